//! The durable queue store of both programs: append-only segments with group commit. See architecture.

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, envelope::Envelope};

/// A message's name in the queue, in the log and in `mailq`: at least 10 letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueId(u64);
impl QueueId {
    /// Reads what `Display` wrote.
    pub fn parse(_text: &str) -> Option<Self> {
        todo!()
    }
}
impl fmt::Display for QueueId {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = self.0;
        todo!()
    }
}
impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the spool is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of a segment, bytes.
    pub segment: u64,
    /// Below this many free bytes new mail is refused (deliveries go on).
    pub minimum_free: u64,
    /// Delivery results are durable at the latest after this.
    pub linger: Duration,
}
impl Default for Options {
    fn default() -> Self {
        Self { segment: 64 * 1024 * 1024, minimum_free: 64 * 1024 * 1024, linger: Duration::from_secs(1) }
    }
}

/// What became of one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Settlement {
    Delivered,
    Bounced,
}

/// What is recorded after acceptance. All but `Removed` ride on the next commit, within [`Options::linger`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Recipient number `recipient` (index in the envelope) is done; with the last one the message leaves the spool.
    Settled { recipient: u32, settlement: Settlement },
    /// These recipients wait until then, for this reason.
    Deferred { recipients: Vec<u32>, until: Timestamp, reason: Arc<str> },
    Held,
    Released,
    /// By the administrator.
    Removed,
}

/// A message in the queue, without its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub id: QueueId,
    pub arrival: Timestamp,
    /// Bytes of header and body.
    pub size: u64,
    pub held: bool,
    /// Recipients that are not settled: index, when to try next (`None`: at once), why it waited.
    pub waiting: Vec<Waiting>,
}
/// A recipient that is not settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub recipient: u32,
    pub until: Option<Timestamp>,
    pub reason: Option<Arc<str>>,
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
impl Stored {
    /// Bytes of header, empty line and body.
    pub fn size(&self) -> u64 {
        todo!()
    }
    /// Header, empty line and body as one stream.
    pub fn reader(&self) -> io::Result<Box<dyn io::Read + Send>> {
        todo!()
    }
}
/// Where the body is.
pub enum Body {
    Inline(Vec<u8>),
    /// A file of its own; stays readable while this lives.
    File(std::fs::File, u64),
}

/// A message being received: nothing of it is promised.
pub struct Draft {
    // id, inline buffer or O_TMPFILE
}
impl Draft {
    pub fn id(&self) -> QueueId {
        todo!()
    }
    /// Adds a piece of the body.
    pub fn write(&mut self, _piece: &[u8]) -> io::Result<()> {
        todo!()
    }
    /// Bytes of body so far.
    pub fn size(&self) -> u64 {
        todo!()
    }
}

/// What start-up found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of a torn tail that were cut.
    pub cut: u64,
    /// Damaged ranges moved to `quarantine/`.
    pub quarantined: u64,
}
/// Why the spool did not take or give something.
#[derive(Debug)]
pub enum SpoolError {
    /// Answer 452: path, bytes free.
    Full { path: std::path::PathBuf, free: u64 },
    Io { doing: &'static str, path: std::path::PathBuf, error: io::Error },
    /// Another process has it open.
    Locked(std::path::PathBuf),
    /// The committer has stopped after a failed fsync.
    Stopped,
}
impl fmt::Display for SpoolError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl std::error::Error for SpoolError {}

/// The store. Cheap to clone; shared by threads.
#[derive(Clone)]
pub struct Spool {}

impl Spool {
    /// Opens (and makes) the spool in a directory, and recovers what is there.
    pub fn open(_directory: &Path, _options: Options) -> Result<(Self, Recovery), SpoolError> {
        todo!()
    }
    /// Whether there is room for a message of that size (0: unknown).
    pub fn has_room(&self, _size: u64) -> Result<(), SpoolError> {
        todo!()
    }
    /// Begins a message.
    pub fn draft(&self) -> Result<Draft, SpoolError> {
        todo!()
    }
    /// Makes it durable; blocks until the commit that holds it is on disk.
    pub fn accept(&self, _draft: Draft, _envelope: &Envelope, _header: &[u8]) -> Result<QueueId, SpoolError> {
        todo!()
    }
    /// The same without blocking: `done` is called (on the committer's thread) when it is durable, or not.
    pub fn accept_then(&self, _draft: Draft, _envelope: &Envelope, _header: &[u8], _done: impl FnOnce(Result<QueueId, SpoolError>) + Send + 'static) {
        todo!()
    }
    /// Records what happened to a message. Returns at once.
    pub fn record(&self, _id: QueueId, _event: Event) {
        todo!()
    }
    /// Waits until all that was recorded is on disk.
    pub fn flush(&self) -> Result<(), SpoolError> {
        todo!()
    }
    /// A message with its content; `None` if it is no longer queued.
    pub fn load(&self, _id: QueueId) -> Result<Option<Stored>, SpoolError> {
        todo!()
    }
    /// A message without its content.
    pub fn entry(&self, _id: QueueId) -> Option<Entry> {
        todo!()
    }
    /// All that is queued, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        todo!()
    }
    /// Number of messages queued.
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Commits what is recorded and stops the committer.
    pub fn close(&self) {
        todo!()
    }
}
