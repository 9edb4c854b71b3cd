//! A program that starts anew in its own place: same process, same arguments, same sockets.
//!
//! Contract: whatever is to outlast the program (queue, log) was written and closed before; lines
//! of the log that could not be written are counted on. Sockets of systemd stay where systemd put
//! them; our own wait in a socket that is the next one's standard input, which has nothing else to
//! say.
//! Failures: [`start`] returns only if it failed; the program then ends with the reason, and its
//! unit starts it again. A socket of our own that gets lost is made again.

use std::{
    env,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{self, Command, Stdio},
};

use rustix::{
    cmsg_space,
    io::{FdFlags, fcntl_setfd},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
    },
};

/// So many of our own are handed over at most; the kernel takes 253.
const MOST: usize = 128;

use crate::log;

/// A socket that systemd handed over stays open for the program that takes our place.
pub fn keep_open(socket: impl AsFd) {
    // If it cannot be kept, systemd still has it, and hands it over at the next start.
    let _ = fcntl_setfd(socket, FdFlags::empty());
}

/// Starts anew with so many sockets of systemd, which lie where systemd put them
/// (`sd_listen_fds(3)`), and with these of our own; or tells why not.
pub fn start(handed: usize, own: &[BorrowedFd<'_>]) -> String {
    let mut command = Command::new("/proc/self/exe");
    let mut words = env::args_os();
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(words);
    if handed > 0 {
        // Without LISTEN_PID: the process is the same.
        command.env("LISTEN_FDS", handed.to_string());
    }
    // Without them it makes its own.
    if !own.is_empty()
        && let Ok(packed) = packed(own)
    {
        command.stdin(Stdio::from(OwnedFd::from(packed)));
    }
    command.env(log::LEFT_OUT, log::left_out().to_string());
    format!("cannot start anew: {}", command.exec())
}

/// A socket from which the others can be received.
fn packed(own: &[BorrowedFd<'_>]) -> io::Result<UnixStream> {
    let (from, to) = UnixStream::pair()?;
    let own = own.get(..MOST).unwrap_or(own);
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut sockets = SendAncillaryBuffer::new(&mut space);
    sockets.push(SendAncillaryMessage::ScmRights(own));
    let mark = mark();
    let bytes = [IoSlice::new(mark.as_bytes())];
    sendmsg(&from, &bytes, &mut sockets, SendFlags::empty())?;
    Ok(to)
}

/// What lies beside sockets that were packed by this very process.
fn mark() -> String {
    format!("sockets of {}\n", process::id())
}

/// Sockets of our own that the program before us in this process left; once.
pub fn left() -> Vec<OwnedFd> {
    unpacked(io::stdin())
}

fn unpacked(packed: impl AsFd) -> Vec<OwnedFd> {
    let mark = mark();
    let mut bytes = vec![0; mark.len()];
    let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    // Anything else is not ours to read; most standard inputs are no sockets.
    let is_ours = recv(&packed, bytes.as_mut_slice(), look).is_ok_and(|_| bytes == mark.as_bytes());
    if !is_ours {
        return Vec::new();
    }
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut sockets = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    // What cannot be received is made again.
    let _ = recvmsg(
        packed,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut sockets,
        flags,
    );
    let mut left = Vec::new();
    for message in sockets.drain() {
        if let RecvAncillaryMessage::ScmRights(sockets) = message {
            left.extend(sockets);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_socket_that_is_left_to_the_next_one_has_who_connected_meanwhile() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let packed = packed(&[listener.as_fd()]).unwrap();
        drop(listener);
        let client = TcpStream::connect(address).unwrap();
        let mut left = unpacked(&packed);
        assert_eq!(left.len(), 1);
        let listener = TcpListener::from(left.pop().unwrap());
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        assert!(unpacked(&packed).is_empty(), "once");
        assert!(unpacked(std::fs::File::open("/dev/null").unwrap()).is_empty());
    }
}
