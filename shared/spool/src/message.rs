//! What callers see of a message: entry, content, events.

use std::{
    io::{self, Read},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    QueueId,
    source::{Readable as _, Source},
};
use mail::{clock::Timestamp, envelope::Envelope};

/// What became of one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Settlement {
    Delivered,
    Bounced,
}

/// What is recorded after acceptance. Rides on the next commit, within
/// [`Options::linger`](super::Options::linger).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Recipient number `recipient` (index in the envelope) is done; with the last one the message
    /// leaves the spool.
    Settled {
        recipient: u32,
        settlement: Settlement,
    },
    /// These recipients wait until then, for this reason.
    Deferred {
        recipients: Vec<u32>,
        until: Timestamp,
        reason: Arc<str>,
    },
    /// No delivery until released.
    Held,
    /// Delivery goes on.
    Released,
    /// By the administrator.
    Removed,
    /// The sender was told that it is late.
    Warned,
    /// It stands for so many messages now, itself included; the last of them came then.
    Repeated(Repeats),
    /// It stands for itself alone.
    Alone,
    /// No delivery until the budget of its senders allows it.
    OverBudget,
    /// By the administrator: no delivery, its sender gets it back.
    Returned,
    /// Another server has it on disk: it is delivered there, and never from here.
    Leaving,
}

/// Whether a message is kept from delivery. On disk the first two are false and true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Hold {
    #[default]
    No,
    /// Until an administrator says otherwise.
    Held,
    /// Until the budget of its senders allows it, or an administrator.
    OverBudget,
    /// It is on its way back to its sender.
    Returned,
    /// It has come from another server's queue, which does not know yet that it is here, and may
    /// have it, too. Then it goes on, or is held as it was there.
    Arriving { held: bool },
    /// The other half: another server has it, and does not know yet that it is given up here.
    Leaving,
    /// It says what was said before: until a digest tells of it, or an administrator lets it go.
    Unchanged,
}

impl Hold {
    /// Whether it waits for somebody to say otherwise; what is returned does not.
    pub fn is_held(self) -> bool {
        match self {
            Self::Held
            | Self::OverBudget
            | Self::Arriving { .. }
            | Self::Leaving
            | Self::Unchanged => true,
            Self::No | Self::Returned => false,
        }
    }
}

/// How many messages one in the queue stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Repeats {
    /// Itself included.
    pub count: u32,
    /// When the last of them came.
    pub last: Timestamp,
}

/// A message in the queue, without its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub id: QueueId,
    pub arrival: Timestamp,
    /// Bytes of header, empty line and body.
    pub size: u64,
    pub hold: Hold,
    /// The unix user who submitted it, where there is one.
    pub uid: Option<u32>,
    /// The sender was told that it is late.
    pub warned: bool,
    /// Set if it stands for others that are like it.
    pub repeats: Option<Repeats>,
    /// The server from whose queue it came, where there is one.
    pub giver: Option<Arc<str>>,
    /// Recipients that are not settled, by index.
    pub waiting: Vec<Waiting>,
}

/// A recipient that is not settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Index in the envelope.
    pub recipient: u32,
    /// When to try next; `None`: at once.
    pub until: Option<Timestamp>,
    /// Why it waited last.
    pub reason: Option<Arc<str>>,
}

impl Waiting {
    /// So many recipients, of whom nothing is known yet.
    pub(super) fn new(recipients: u32) -> Vec<Self> {
        let waiting = (0..recipients).map(|recipient| Self {
            recipient,
            until: None,
            reason: None,
        });
        waiting.collect()
    }
}

/// A message as kept.
pub struct Stored {
    pub id: QueueId,
    pub arrival: Timestamp,
    pub envelope: Envelope,
    /// Header section, CRLF lines, without the empty line.
    pub header: Vec<u8>,
    pub body: Body,
}

/// Where the body is.
pub enum Body {
    Inline(Vec<u8>),
    /// A file of its own and its length; stays readable while this lives.
    File(Source, u64),
}

impl Stored {
    /// Bytes of header, empty line and body.
    pub fn size(&self) -> u64 {
        let body = match &self.body {
            Body::Inline(bytes) => bytes.len() as u64,
            Body::File(_, length) => *length,
        };
        message_size(self.header.len(), body)
    }

    /// The first so many bytes of the body; cut at the end of a line, if it is longer.
    pub fn beginning(&self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match &self.body {
            Body::Inline(body) => body.as_slice().take(most).read_to_end(&mut bytes)?,
            Body::File(file, length) => Section {
                file: file.clone(),
                at: 0,
                end: (*length).min(most),
            }
            .read_to_end(&mut bytes)?,
        };
        let whole = match &self.body {
            Body::Inline(body) => body.len() as u64,
            Body::File(_, length) => *length,
        };
        if whole > most {
            let end = bytes.iter().rposition(|&byte| byte == b'\n');
            bytes.truncate(end.map_or(bytes.len(), |at| at.saturating_add(1)));
        }
        Ok(bytes)
    }

    /// Header, empty line and body as one stream. Several may be read at the same time.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        self.reader_with(&self.header)
    }

    /// The same with another header section.
    pub fn reader_with(&self, header: &[u8]) -> io::Result<Box<dyn Read + Send>> {
        let mut head = Vec::with_capacity(header.len() + 2);
        head.extend_from_slice(header);
        head.extend_from_slice(b"\r\n");
        let head = io::Cursor::new(head);
        Ok(match &self.body {
            Body::Inline(bytes) => Box::new(head.chain(io::Cursor::new(bytes.clone()))),
            Body::File(file, length) => Box::new(head.chain(Section {
                file: file.clone(),
                at: 0,
                end: *length,
            })),
        })
    }
}

/// Bytes of header, empty line and body.
pub(super) fn message_size(header: usize, body: u64) -> u64 {
    (header as u64).saturating_add(2).saturating_add(body)
}

/// Reads a file by position, so that readers of one file do not disturb one another.
struct Section {
    file: Source,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let Some(buffer) = buffer.get_mut(..room).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        match self.file.read_at(buffer, self.at)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the body's file is shorter than recorded",
            )),
            read => {
                self.at += read as u64;
                Ok(read)
            }
        }
    }
}
