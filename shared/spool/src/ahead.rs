//! Space that is written before it is needed.
//!
//! A block that is reserved and not yet written becomes a written one in the file system's journal,
//! which takes a flush of its own; so each commit into new space would take two or three. Over
//! what is written already it takes one. Two things see to that, on file systems that write in
//! place ([`Disk::writes_in_place`]):
//! - a commit that comes into new space writes zeros behind its records, as much as the segment
//!   has already, within bounds; so a segment of 16 MiB takes some twenty flushes more, not one for
//!   each commit;
//! - when a quarter of a segment is full, a thread that no commit waits for makes the next one:
//!   written with zeros from end to end, synced, and under its final name.
//!
//! Contract: zeros are no record and no damage (scan.rs). A segment that is ready and was not used
//! is an empty one to a start after a crash, whatever its number is; a clean end removes it. So at
//! most one segment more lies there than without.

use std::{
    io::{self, IoSlice},
    iter,
    path::PathBuf,
};

use super::{
    disk::{self, Disk},
    holder::Own,
    layout::Layout,
};

/// Bytes of a written zero.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
/// What is written ahead at a time, bytes: at least, and as a rule at most.
const LEAST: u64 = 64 * 1024;
const MOST: u64 = 1024 * 1024;
/// Many commits of this size are to come before the next that writes ahead.
const COMMITS: u64 = 4;

/// The segment that is appended to, or will be.
pub(super) struct Active {
    pub(super) number: u64,
    pub(super) mark: u64,
    pub(super) path: PathBuf,
    pub(super) file: Own,
    pub(super) size: u64,
    /// What is synced ends here.
    pub(super) end: u64,
    /// What is written, with zeros at least, ends here.
    filled: u64,
    /// The segment after it was asked for.
    pub(super) followed: bool,
}

impl Active {
    /// One whose space is reserved.
    pub(super) fn new(number: u64, mark: u64, path: PathBuf, file: Own, size: u64) -> Self {
        Self {
            number,
            mark,
            path,
            file,
            size,
            end: 0,
            filled: 0,
            followed: false,
        }
    }

    /// How many zeros are to be written behind the next `length` bytes.
    pub(super) fn fill_behind(&mut self, length: u64) -> u64 {
        let end = self.end.saturating_add(length);
        if end <= self.filled {
            return 0;
        }
        let ahead = end.clamp(LEAST, MOST).max(length.saturating_mul(COMMITS));
        // To the end of a block: a part of one would become a whole one with the next commit.
        let filled = end.saturating_add(ahead).next_multiple_of(LEAST);
        self.filled = filled.min(self.size).max(end);
        self.filled - end
    }
}

/// So many zeros.
pub(super) fn zeros<'a>(count: u64) -> impl Iterator<Item = IoSlice<'a>> {
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    iter::from_fn(move || {
        let piece = ZEROS.get(..left.min(ZEROS.len()))?;
        left -= piece.len();
        (!piece.is_empty()).then(|| IoSlice::new(piece))
    })
}

/// The segment that is to come after the active one.
pub(super) struct Next {
    pub(super) number: u64,
    pub(super) mark: u64,
    pub(super) size: u64,
}

impl Next {
    /// Makes it, name and all; nothing is left of one that fails.
    pub(super) fn make(self, disk: &dyn Disk, layout: &Layout) -> io::Result<Active> {
        let path = layout.segment(self.number, self.mark);
        let file = Own::new(disk.create(&path, self.size)?);
        let mut made = Active::new(self.number, self.mark, path, file, self.size);
        match made.fill(disk, layout) {
            Ok(()) => Ok(made),
            Err(error) => {
                // What matters is why it failed; an empty segment harms nothing.
                let _ = disk.remove(&made.path);
                Err(error)
            }
        }
    }
}

impl Active {
    fn fill(&mut self, disk: &dyn Disk, layout: &Layout) -> io::Result<()> {
        let mut pieces: Vec<_> = zeros(self.size).collect();
        disk::write_all(disk, &self.file, 0, &mut pieces)?;
        disk.sync(&self.file)?;
        disk.sync_directory(&layout.segments)?;
        self.filled = self.size;
        Ok(())
    }
}
