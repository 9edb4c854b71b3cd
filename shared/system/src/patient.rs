//! Reading and writing where the caller set `O_NONBLOCK`, as event loops do with the pipes and
//! terminals that they pass on.
//!
//! Contract: what is not ready is waited for, without end, as on any other descriptor.

use std::{
    io::{self, Read},
    os::fd::AsFd,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, write},
};

/// Reads from `R`, and waits where it would not.
#[derive(Debug)]
pub struct Patient<R>(pub R);

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(&self.0, PollFlags::IN)?;
                }
                read => return read,
            }
        }
    }
}

/// Writes all of it. A descriptor that is not open takes everything, as with [`io::stdout`].
pub fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    write_from(to, &mut bytes)
}

/// The same; where it fails, what is not written is left.
pub fn write_from(to: impl AsFd, bytes: &mut &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::AGAIN) => wait(&to, PollFlags::OUT)?,
            Err(Errno::INTR) => {}
            Err(Errno::BADF) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait(on: &impl AsFd, until: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(on, until)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream, thread};

    use super::*;

    #[test]
    fn a_pipe_that_does_not_block_is_read_and_written_to_its_end() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let text = vec![b'x'; 4 << 20];
        let sent = text.clone();
        let writer = thread::spawn(move || write_all(&far, &sent));
        let mut read = Vec::new();
        Patient(&near).read_to_end(&mut read).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(read.len(), text.len());
        assert!(near.write(b"x").is_err());
    }
}
