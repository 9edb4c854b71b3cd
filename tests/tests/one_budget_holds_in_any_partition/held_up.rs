//! How long the kernel let threads wait for a processor, by its own account: what an answer takes
//! on a busy machine, whatever the store does.

use std::{fs, path::Path, time::Duration};

/// Of all threads of a process so far.
pub(super) fn process(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().map(|it| thread(&it.path())).sum()
}

/// Of the one that asks.
pub(super) fn own() -> Duration {
    thread(Path::new("/proc/thread-self"))
}

/// One that has ended meanwhile, or a kernel that keeps no account: nothing.
fn thread(folder: &Path) -> Duration {
    let account = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
    let waited = account.split_whitespace().nth(1);
    let waited = waited.and_then(|text| text.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}
