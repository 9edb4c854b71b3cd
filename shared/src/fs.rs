//! Files: the only place that creates durable ones.

use std::{io, path::Path};

/// Writes a file so that after a crash either the old or the new content is there: temporary name in the same directory, fsync, rename,
/// fsync of the directory.
pub fn replace(_path: &Path, _content: &[u8], _mode: u32) -> io::Result<()> {
    todo!()
}
/// fsync of a directory, so that names in it last.
pub fn sync_directory(_path: &Path) -> io::Result<()> {
    todo!()
}
/// Creates a directory (and its parents) with a mode, if it is not there.
pub fn create_directory(_path: &Path, _mode: u32) -> io::Result<()> {
    todo!()
}
/// Bytes and inodes free for us where `path` lies.
pub fn room(_path: &Path) -> io::Result<Room> {
    todo!()
}
/// Free space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    pub bytes: u64,
    pub inodes: u64,
}
