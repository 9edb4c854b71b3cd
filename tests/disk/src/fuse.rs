//! The kernel's side: one directory with one file, `image`, over /dev/fuse.
//!
//! Contract: as much of the protocol as a loop device needs. What is not known is `ENOSYS`, as the
//! protocol wants it; what is too short is `EINVAL`. Requests are answered by several threads, so
//! that a flush that takes its time holds up nothing else here.
//! See also: `include/uapi/linux/fuse.h` of the kernel (7.31).

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
};

use rustix::io::Errno;

use crate::device::Device;

/// Bytes of one write at most.
const MAX_WRITE: u32 = 1024 * 1024;
const PAGES: u16 = 256;
const HEADER: usize = 40;
/// Nodes: the directory and its file.
const ROOT: u64 = 1;
const IMAGE: u64 = 2;
const NAME: &[u8] = b"image\0";
/// Seconds that the kernel may believe what it was told of a node.
const VALID: u64 = 3600;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FSYNC: u32 = 20;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;

/// `FUSE_ASYNC_READ`, `FUSE_BIG_WRITES`, `FUSE_MAX_PAGES`
const WANTED: u32 = 1 | 1 << 5 | 1 << 22;
/// Nothing stays in the kernel's cache: after a cut it would show what is lost.
const DIRECT_IO: u32 = 1;

/// Answers requests until the file system is unmounted; without a device, none about what is in
/// the directory.
pub(crate) fn serve(connection: &File, device: Option<&Device>) -> io::Result<()> {
    let mut buffer = vec![0; MAX_WRITE as usize + 64 * 1024];
    loop {
        let length = match (&*connection).read(&mut buffer) {
            Ok(length) => length,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NODEV) => return Ok(()),
                // The request was taken back.
                Some(Errno::NOENT | Errno::INTR | Errno::AGAIN) => continue,
                _ => return Err(error),
            },
        };
        let Some(request) = buffer.get(..length).and_then(Request::parse) else {
            return Err(io::Error::other("what the kernel asks has no header"));
        };
        if [FORGET, BATCH_FORGET, INTERRUPT].contains(&request.code) {
            continue;
        }
        let answer = match device {
            Some(device) => answer(&request, device),
            None if request.code == INIT => greet(&request),
            None if request.code == GETATTR && request.node == ROOT => {
                Ok(Reply::of_attributes(ROOT, 0))
            }
            None => continue,
        };
        let reply = Reply::to(request.unique, answer);
        if let Err(error) = (&*connection).write_all(&reply)
            && Errno::from_io_error(&error) != Some(Errno::NOENT)
        {
            return Err(error);
        }
    }
}

struct Request<'a> {
    code: u32,
    unique: u64,
    node: u64,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            code: number(bytes, 4)?,
            unique: long(bytes, 8)?,
            node: long(bytes, 16)?,
            body: bytes.get(HEADER..)?,
        })
    }

    fn number(&self, at: usize) -> Result<u32, Errno> {
        number(self.body, at).ok_or(Errno::INVAL)
    }

    fn long(&self, at: usize) -> Result<u64, Errno> {
        long(self.body, at).ok_or(Errno::INVAL)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*four))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*eight))
}

/// Bytes of an answer, field after field.
#[derive(Default)]
struct Reply(Vec<u8>);

impl Reply {
    fn short(mut self, value: u16) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn number(mut self, value: u32) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn long(mut self, value: u64) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    /// `fuse_attr_out`
    fn of_attributes(node: u64, size: u64) -> Self {
        Self::default().long(VALID).zeros(8).attributes(node, size)
    }

    /// `fuse_attr`
    fn attributes(self, node: u64, size: u64) -> Self {
        let (mode, links, size) = match node {
            ROOT => (0o040_755, 2, 0),
            _ => (0o100_600, 1, size),
        };
        self.long(node)
            .long(size)
            .long(size / 512)
            .zeros(3 * 8 + 3 * 4)
            .number(mode)
            .number(links)
            .zeros(3 * 4)
            .number(4096)
            .number(0)
    }

    /// The whole answer: `fuse_out_header`, then what there is to say.
    fn to(unique: u64, answer: Result<Self, Errno>) -> Vec<u8> {
        let (error, body) = match answer {
            Ok(Self(body)) => (0, body),
            Err(error) => (-error.raw_os_error(), Vec::new()),
        };
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        let mut whole = Vec::with_capacity(16 + body.len());
        whole.extend(length.to_ne_bytes());
        whole.extend(error.to_ne_bytes());
        whole.extend(unique.to_ne_bytes());
        whole.extend(body);
        whole
    }
}

fn answer(request: &Request<'_>, device: &Device) -> Result<Reply, Errno> {
    let empty = Reply::default();
    match request.code {
        INIT => greet(request),
        LOOKUP if request.node == ROOT && request.body == NAME => Ok(empty
            .long(IMAGE)
            .long(0)
            .long(VALID)
            .long(VALID)
            .zeros(8)
            .attributes(IMAGE, device.size())),
        LOOKUP => Err(Errno::NOENT),
        GETATTR => Ok(Reply::of_attributes(request.node, device.size())),
        OPEN if request.node == IMAGE => Ok(empty.long(0).number(DIRECT_IO).number(0)),
        READ => {
            let length = request.number(16)?.min(MAX_WRITE) as usize;
            device.read(request.long(8)?, length).map(Reply)
        }
        WRITE => {
            let (offset, length) = (request.long(8)?, request.number(16)?);
            let bytes = request.body.get(40..).unwrap_or_default();
            let bytes = bytes.get(..length as usize).ok_or(Errno::INVAL)?;
            device.write(offset, bytes)?;
            Ok(empty.number(length).number(0))
        }
        FSYNC => device.flush().map(|()| empty),
        STATFS => Ok(empty
            .zeros(5 * 8)
            .number(4096)
            .number(255)
            .number(4096)
            .zeros(4 + 24)),
        FLUSH | RELEASE | DESTROY => Ok(empty),
        _ => Err(Errno::NOSYS),
    }
}

/// `fuse_init_out`
fn greet(request: &Request<'_>) -> Result<Reply, Errno> {
    let (major, ahead, flags) = (request.number(0)?, request.number(8)?, request.number(12)?);
    if major != 7 {
        return Err(Errno::PROTO);
    }
    Ok(Reply::default()
        .number(7)
        .number(31)
        .number(ahead)
        .number(flags & WANTED)
        .short(64)
        .short(48)
        .number(MAX_WRITE)
        .number(1)
        .short(PAGES)
        .short(0)
        .zeros(4 + 4 + 24))
}
