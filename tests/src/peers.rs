//! Other people's programs (swaks, Postfix, Dovecot …): found, or the test is skipped aloud.
//!
//! Contract: with `LAB_REQUIRE_PEERS=1` in the environment, as in CI, a missing peer fails its
//! test.

use std::{
    env,
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
};

/// Where packages put programs, besides what PATH says.
const PLACES: [&str; 5] = [
    "/usr/sbin",
    "/sbin",
    "/usr/lib/dovecot",
    "/usr/lib/postfix/sbin",
    // What cannot be installed beside Postfix; .ci/run unpacks it there.
    "/var/cache/mail-peers/usr/sbin",
];

/// The program's path; `None` (after saying so) if it is not installed.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|place| place.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Whether this test is root, which it needs for private networks and other users.
pub fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("not root");
    }
    root
}

/// Whether this test can mount file systems of its own.
pub fn mounts() -> bool {
    root() && find("mount").is_some()
}

/// Says on standard error, past the capture of the test runner, why a test does not run; fails it
/// where all peers must be there.
pub fn skip(reason: &str) {
    assert!(
        variable("LAB_REQUIRE_PEERS").is_none_or(|v| v != *"1"),
        "{reason}, and LAB_REQUIRE_PEERS=1"
    );
    not_here(reason);
}

/// Says the same where nothing that could be installed would help: the kernel is as it is.
pub fn not_here(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test's own environment, not the programs'"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name)
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    OsStr::to_str(path.as_os_str()).unwrap()
}
