//! How long a disk takes until what was written is on it: what each sender waits for.
//!
//! Contract: writes where it has written before, as the queue does, in a file without a name, of
//! which nothing is left. Takes a third of a second at most, and one flush.

use std::{
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use crate::nameless::Nameless;

/// Bytes of one write, a block of most file systems.
const BLOCK: usize = 4096;
/// Flushes at most, and how long no more is begun.
const TIMES: u64 = 16;
const LONGEST: Duration = Duration::from_millis(300);

/// The median of some flushes of the disk that a directory lies on.
pub fn flush_takes(directory: &Path) -> io::Result<Duration> {
    let nameless = Nameless::create(directory)?;
    let file = nameless.file();
    let block = [0; BLOCK];
    for number in 0..TIMES {
        file.write_all_at(&block, number * BLOCK as u64)?;
    }
    file.sync_data()?;
    let begun = Instant::now();
    let mut taken = Vec::new();
    for number in 0..TIMES {
        let before = Instant::now();
        file.write_all_at(&block, number * BLOCK as u64)?;
        file.sync_data()?;
        taken.push(before.elapsed());
        if begun.elapsed() > LONGEST {
            break;
        }
    }
    taken.sort_unstable();
    let middle = taken.get(taken.len() / 2);
    Ok(middle.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_measured_and_nothing_is_left_of_it() {
        let directory = tempfile::tempdir().unwrap();
        assert!(flush_takes(directory.path()).unwrap() > Duration::ZERO);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(flush_takes(&directory.path().join("none")).is_err());
    }
}
