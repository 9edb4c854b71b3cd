//! Files opened for reading without waiting for who is at their other end.
//!
//! Contract: a disk that does not answer is waited for: this is for work that is bounded as a whole
//! ([`crate::within`]); who only reads takes [`crate::read`].

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
    path::Path,
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
};

/// Opens a regular file, and nothing else.
pub fn regular(path: &Path) -> io::Result<File> {
    let file = at_once(path)?;
    let kind = file.metadata()?.file_type();
    let what = match kind {
        it if it.is_file() => return Ok(file),
        it if it.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        it if it.is_fifo() => "a FIFO",
        it if it.is_char_device() || it.is_block_device() => "a device",
        _ => "something else",
    };
    let text = format!("it is {what}, and must be a regular file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Opens whatever is there for reading.
pub fn at_once(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Whether there is something to read, or its end, before that time.
pub(crate) fn ready(file: &impl AsFd, end: Instant) -> io::Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or_default(),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
