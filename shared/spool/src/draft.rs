//! A message while it is received: in memory while it is small, then in a file without a name.
//!
//! Contract: nothing of a draft is promised; one that is dropped leaves nothing behind, and neither
//! does a crash.

use std::{
    io::{self, IoSlice},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::Arc,
};

use super::{
    Hold, QueueId, SpoolError, Waiting,
    disk::{self, Disk},
    message::message_size,
};
use mail::{clock::Timestamp, limits};
use system::nameless::Nameless;

/// A message being received: nothing of it is promised.
pub struct Draft {
    id: QueueId,
    disk: Arc<dyn Disk>,
    bodies: PathBuf,
    content: Content,
    hold: Hold,
    /// `None`: it comes now.
    arrival: Option<Timestamp>,
    known: Option<Known>,
}

/// What is known of a message that was queued before.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) warned: bool,
    pub(super) waiting: Vec<Waiting>,
    /// The server from whose queue it comes.
    pub(super) giver: Option<Arc<str>>,
}

/// A draft's body.
pub(super) enum Content {
    Inline(Vec<u8>),
    /// A nameless file, its length and its checksum (CRC32C).
    File(Nameless, u64, u32),
}

impl Draft {
    pub(super) fn new(id: QueueId, disk: Arc<dyn Disk>, bodies: PathBuf) -> Self {
        Self {
            id,
            disk,
            bodies,
            content: Content::Inline(Vec::new()),
            hold: Hold::No,
            arrival: None,
            known: None,
        }
    }

    /// It will be held from the first moment on.
    pub fn hold(&mut self, hold: Hold) {
        self.hold = hold;
    }

    /// What was known of it where it was queued before: whether its sender was warned, and how each
    /// of its recipients, by index and in order, waits.
    pub(super) fn known(&mut self, warned: bool, waiting: Vec<Waiting>, giver: Option<Arc<str>>) {
        self.known = Some(Known {
            warned,
            waiting,
            giver,
        });
    }

    /// It came at that time.
    pub(super) fn came(&mut self, arrival: Timestamp) {
        self.arrival = Some(arrival);
    }

    pub(super) fn arrival(&self) -> Option<Timestamp> {
        self.arrival
    }

    /// The queue id that the message will have.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Adds a piece of the body.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        let added = self.add(piece);
        added.map_err(SpoolError::io("cannot write a message to", &self.bodies))
    }

    fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        if let Content::Inline(body) = &mut self.content {
            if body.len().saturating_add(piece.len()) <= limits::INLINE_BODY {
                body.extend_from_slice(piece);
                return Ok(());
            }
            let file = self.disk.create_nameless(&self.bodies)?;
            disk::write_all(
                self.disk.as_ref(),
                file.file(),
                0,
                &mut [IoSlice::new(body)],
            )?;
            self.content = Content::File(file, body.len() as u64, crc32c::crc32c(body));
        }
        if let Content::File(file, length, crc) = &mut self.content {
            disk::write_all(
                self.disk.as_ref(),
                file.file(),
                *length,
                &mut [IoSlice::new(piece)],
            )?;
            *length = length.saturating_add(piece.len() as u64);
            *crc = crc32c::crc32c_append(*crc, piece);
        }
        Ok(())
    }

    /// An empty draft of the same id: one of the two is committed, the other dropped.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            id: self.id,
            disk: Arc::clone(&self.disk),
            bodies: self.bodies.clone(),
            content: Content::Inline(Vec::new()),
            hold: self.hold,
            arrival: self.arrival,
            known: self.known.clone(),
        }
    }

    /// Fills the buffer from this place of the body on; less than that only at the end.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.content {
            Content::Inline(body) => {
                let rest = usize::try_from(offset).ok().and_then(|at| body.get(at..));
                let rest = rest.unwrap_or_default();
                let count = rest.len().min(buffer.len());
                if let (Some(into), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
                    into.copy_from_slice(from);
                }
                Ok(count)
            }
            Content::File(file, length, _) => {
                let left = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
                let count = left.min(buffer.len());
                let into = buffer.get_mut(..count).unwrap_or_default();
                file.file().read_exact_at(into, offset)?;
                Ok(count)
            }
        }
    }

    /// The body so far, while it is small enough to be in memory.
    pub fn small(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Inline(body) => Some(body),
            Content::File(..) => None,
        }
    }

    /// Bytes of this header section, the empty line and the body so far.
    pub fn size_with(&self, header: &[u8]) -> u64 {
        message_size(header.len(), self.size())
    }

    /// Bytes of body so far.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Inline(body) => body.len() as u64,
            Content::File(_, length, _) => *length,
        }
    }

    /// Whether the body is in a file of its own.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.content, Content::File(..))
    }

    pub(super) fn into_content(self) -> (Content, Hold, Option<Known>) {
        (self.content, self.hold, self.known)
    }
}
