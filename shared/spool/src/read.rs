//! Messages read back: whole, or the envelope alone, which is all that listings and routing need.
//!
//! Contract: what is given has the checksum it was written with. A message that leaves the queue while it is read is `None`, not an error.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    fs::File,
    io::{Error, ErrorKind, Result},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use super::{
    Body, QueueId, Spool, SpoolError, Stored,
    index::{Location, Message},
    lock,
    record::{self, HEADER, Header, Kind, Place},
};
use mail::envelope::Envelope;

/// What is read first for an envelope, bytes: enough for some recipients.
const FIRST: usize = 1024;

/// A record on disk.
struct Found {
    id: QueueId,
    at: Location,
    file: Arc<File>,
    mark: u64,
}

impl Spool {
    /// A message with its content; `None` if it is no longer queued.
    pub fn load(&self, id: QueueId) -> std::result::Result<Option<Stored>, SpoolError> {
        self.find(id, |found| {
            let bodies = &self.open.committer.layout;
            found.whole(|| File::open(bodies.body(id)))
        })
    }

    /// Sender and recipients of a message, read without its content; `None` if it is no longer queued.
    pub fn envelope(&self, id: QueueId) -> std::result::Result<Option<Envelope>, SpoolError> {
        self.find(id, Found::envelope)
    }

    fn find<T>(
        &self,
        id: QueueId,
        read: impl FnOnce(&Found) -> Result<T>,
    ) -> std::result::Result<Option<T>, SpoolError> {
        let (found, path) = {
            let index = lock(&self.open.committer.index);
            let Some(at) = index.message(id).map(Message::location) else {
                return Ok(None);
            };
            let Some(segment) = index.segments.get(&at.segment) else {
                return Ok(None);
            };
            let (file, mark) = (Arc::clone(&segment.file), segment.mark);
            let found = Found { id, at, file, mark };
            (found, segment.path.clone())
        };
        match read(&found) {
            // Settled while we read: then its body may be gone, and that is no error.
            Err(_) if self.entry(id).is_none() => Ok(None),
            read => read
                .map(Some)
                .map_err(SpoolError::io("cannot read a message of", &path)),
        }
    }
}

impl Found {
    fn damaged(&self) -> Error {
        let text = format!("record of {} is damaged", self.id);
        Error::new(ErrorKind::InvalidData, text)
    }

    fn length(&self) -> Result<usize> {
        usize::try_from(self.at.length).map_err(|_| self.damaged())
    }

    /// The record's first bytes: its header, and as much of its payload as was asked for.
    fn read(&self, length: usize) -> Result<(Header, Vec<u8>)> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.at.offset.into())?;
        let header = Header::decode(&bytes, self.mark)
            .filter(|header| header.kind == Some(Kind::Message) && header.id == self.id)
            .ok_or_else(|| self.damaged())?;
        bytes.drain(..HEADER);
        Ok((header, bytes))
    }

    /// The envelope; reads more as long as it is not whole.
    fn envelope(&self) -> Result<Envelope> {
        let all = self.length()?;
        let mut length = FIRST.min(all);
        loop {
            let (_, payload) = self.read(length)?;
            match record::read_envelope(&payload) {
                Some(envelope) => return Ok(envelope),
                None if length == all => return Err(self.damaged()),
                None => length = length.saturating_mul(16).min(all),
            }
        }
    }

    fn whole(&self, open_body: impl FnOnce() -> Result<File>) -> Result<Stored> {
        let (header, payload) = self.read(self.length()?)?;
        if crc32c::crc32c(&payload) != header.crc {
            return Err(self.damaged());
        }
        let damaged = || self.damaged();
        let (head, rest) = record::read_head(&payload).ok_or_else(damaged)?;
        let (envelope, section, inline) = record::read_content(&head, rest).ok_or_else(damaged)?;
        let body = match head.body {
            Place::Inline(_) => Body::Inline(inline.to_vec()),
            Place::File(length) => Body::File(open_body()?, length),
        };
        Ok(Stored {
            id: self.id,
            arrival: header.time,
            envelope,
            header: section.to_vec(),
            body,
        })
    }
}
