//! Messages read back: whole, or the envelope alone, which is all that listings and routing need.
//!
//! Contract: what is given has the checksum it was written with, a body in a file, too (spools that
//! are older have none for these: then its length alone is checked). A message that leaves the
//! queue while it is read is `None`, not an error.
//! Failures: a damaged message (a file of it gone counts, or something else in its place, or a
//! block that the disk cannot read) is an error, and an alarm, in the log once: it stays queued,
//! and is whole again if it can be read one day. Of one whose body alone is damaged the rest can be
//! returned to its sender. What may pass (too many open files, a disk that does not answer) is an
//! error alone.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{
    Body, QueueId, Spool, SpoolError, Stored,
    committer::Committer,
    disk::Disk,
    index::{Location, Message},
    journal::{self, Level},
    lock,
    record::{self, HEADER, Header, Kind, Place, State},
    source::{Readable as _, Source},
};
use mail::envelope::{Envelope, Ret};

/// What is read first for an envelope, bytes: enough for some recipients.
const FIRST: usize = 1024;

/// Bytes of a body that are checked at a time.
const PIECE: usize = 256 * 1024;
/// How often a message is looked for that compaction moves while it is read.
const MOVES: usize = 8;

/// Why a message could not be read.
struct Unread {
    /// Its body, not its record.
    body: bool,
    error: io::Error,
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self { body: false, error }
    }
}

type Result<T> = std::result::Result<T, Unread>;

/// A record on disk.
struct Found {
    id: QueueId,
    at: Location,
    file: Source,
    mark: u64,
}

impl Spool {
    /// A message with its content; `None` if it is no longer queued. Of one that may have been
    /// delivered, why that is not known.
    pub fn load(&self, id: QueueId) -> std::result::Result<Option<Stored>, SpoolError> {
        let committer = &self.open.committer;
        committer.is_certain(id)?;
        committer.load(id)
    }

    /// Whether a message was found damaged.
    pub fn is_damaged(&self, id: QueueId) -> bool {
        lock(&self.open.committer.damaged).contains(&id)
    }

    /// Messages that are damaged and stay for that, as far as they were tried.
    pub fn damaged(&self) -> Vec<QueueId> {
        let index = lock(&self.open.committer.index);
        let mut damaged = lock(&self.open.committer.damaged);
        damaged.retain(|id| index.message(*id).is_some());
        damaged.iter().copied().collect()
    }

    /// The same for who tells its sender that it is given up: of one that is damaged, what is left
    /// (remains.rs). What cannot be read now (too many open files) may be whole: that is an error
    /// still.
    pub fn load_to_return(&self, id: QueueId) -> std::result::Result<Option<Stored>, SpoolError> {
        self.load(id).or_else(|error| {
            let but_the_body = || self.open.committer.find(id, Found::remains);
            let remains = || but_the_body().or_else(|_| Ok(self.remains(id)));
            if self.is_damaged(id) {
                remains()
            } else {
                Err(error)
            }
        })
    }

    /// Sender and recipients of a message, read without its content; `None` if it is no longer
    /// queued.
    pub fn envelope(&self, id: QueueId) -> std::result::Result<Option<Envelope>, SpoolError> {
        let committer = &self.open.committer;
        committer.is_certain(id)?;
        committer.envelope(id)
    }
}

impl Committer {
    pub(super) fn load(&self, id: QueueId) -> std::result::Result<Option<Stored>, SpoolError> {
        let path = self.layout.body(id);
        let loaded = self.find(id, |found| found.whole(self.disk.as_ref(), &path));
        if loaded.is_ok() {
            lock(&self.damaged).remove(&id);
        }
        loaded
    }

    pub(super) fn envelope(
        &self,
        id: QueueId,
    ) -> std::result::Result<Option<Envelope>, SpoolError> {
        self.find(id, Found::envelope)
    }

    /// Where its record is: in a segment with that mark, and path.
    pub(super) fn place_of(&self, id: QueueId) -> Option<(Location, u64, PathBuf)> {
        let index = lock(&self.index);
        let at = index.message(id).map(Message::location)?;
        let segment = index.segments.get(&at.segment)?;
        Some((at, segment.mark, segment.path.clone()))
    }

    fn find<T>(
        &self,
        id: QueueId,
        read: impl Fn(&Found) -> Result<T>,
    ) -> std::result::Result<Option<T>, SpoolError> {
        let place = || self.place_of(id);
        let (mut moves, mut looked) = (MOVES, false);
        loop {
            let Some((at, mark, path)) = place() else {
                return Ok(None);
            };
            let opened = self.disk.open(&path).map_err(|error| Unread {
                body: false,
                error: if_damaged(error, || format!("record of {id} is damaged")),
            });
            let found = opened.map(|file| Found { id, at, file, mark });
            match found.and_then(|found| read(&found)) {
                Ok(read) => return Ok(Some(read)),
                Err(Unread { body, error }) => match place() {
                    // Settled while we read: then its body may be gone, and that is no error.
                    None => return Ok(None),
                    Some((now, ..)) if now != at && moves > 0 => {
                        moves = moves.saturating_sub(1);
                    }
                    // Its segment may have been taken away, and be open still.
                    Some(_) if !looked && !body && error.kind() == ErrorKind::InvalidData => {
                        looked = true;
                        self.put_right();
                    }
                    Some(_) => {
                        if error.kind() == ErrorKind::InvalidData && lock(&self.damaged).insert(id)
                        {
                            let text = format_args!("spool: {error}; not delivered, it stays");
                            journal::line(Level::Error, &text);
                        }
                        let (doing, path) = if body {
                            ("cannot read", self.layout.body(id))
                        } else {
                            ("cannot read a message of", path)
                        };
                        return Err(SpoolError::io(doing, &path)(error));
                    }
                },
            }
        }
    }
}

/// What is gone, cut short, something else or on a bad block is damaged; other errors may pass.
fn if_damaged(error: io::Error, what: impl FnOnce() -> String) -> io::Error {
    let cannot_be_read = error.raw_os_error() == Some(Errno::IO.raw_os_error());
    let why = match error.kind() {
        _ if cannot_be_read => "the disk cannot read it".to_owned(),
        ErrorKind::NotFound => "its file is gone".to_owned(),
        ErrorKind::UnexpectedEof => "its file ends before it".to_owned(),
        ErrorKind::InvalidData => error.to_string(),
        _ => return error,
    };
    io::Error::new(ErrorKind::InvalidData, format!("{}: {why}", what()))
}

impl Found {
    fn damaged(&self) -> Unread {
        io::Error::new(ErrorKind::InvalidData, self.name()).into()
    }

    fn name(&self) -> String {
        format!("record of {} is damaged", self.id)
    }

    fn length(&self) -> Result<usize> {
        usize::try_from(self.at.length).map_err(|_| self.damaged())
    }

    /// The record's first bytes: its header, and as much of its payload as was asked for.
    fn read(&self, length: usize) -> Result<(Header, Vec<u8>)> {
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, self.at.offset.into());
        read.map_err(|error| if_damaged(error, || self.name()))?;
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

    fn whole(&self, disk: &dyn Disk, path: &Path) -> Result<Stored> {
        self.stored(|length, checksum| {
            let checked = disk.open(path).and_then(|file| {
                check_body(&file, length, checksum)?;
                Ok(Body::File(file, length))
            });
            checked.map_err(|error| Unread {
                body: true,
                error: if_damaged(error, || format!("body of {} is damaged", self.id)),
            })
        })
    }

    /// What is left of it without a body that is a file.
    fn remains(&self) -> Result<Stored> {
        let mut left = self.stored(|_, _| Ok(Body::Inline(Vec::new())))?;
        // An empty body would look like what was sent.
        left.envelope.ret = Some(Ret::Headers);
        Ok(left)
    }

    fn stored(&self, body_of: impl FnOnce(u64, Option<u32>) -> Result<Body>) -> Result<Stored> {
        let (header, payload) = self.read(self.length()?)?;
        if crc32c::crc32c(&payload) != header.crc {
            return Err(self.damaged());
        }
        let damaged = || self.damaged();
        let (head, rest) = record::read_head(&payload).ok_or_else(damaged)?;
        if head.state.as_ref().is_some_and(State::is_of_remains) {
            return Err(self.damaged());
        }
        let (envelope, section, inline) = record::read_content(&head, rest).ok_or_else(damaged)?;
        let body = match head.body {
            Place::Inline(_) => Body::Inline(inline.to_vec()),
            Place::File(length) => {
                let checksum = head.state.as_ref().and_then(State::body_checksum);
                body_of(length, checksum)?
            }
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

fn check_body(file: &Source, length: u64, checksum: Option<u32>) -> io::Result<()> {
    let spoiled = |what: String| io::Error::new(ErrorKind::InvalidData, what);
    let found = file.length()?;
    if found != length {
        return Err(spoiled(format!("it has {found} bytes, not {length}")));
    }
    let Some(checksum) = checksum else {
        return Ok(());
    };
    let (mut piece, mut at, mut crc) = (vec![0; PIECE], 0, 0);
    loop {
        match file.read_at(&mut piece, at)? {
            0 => break,
            read => {
                crc = crc32c::crc32c_append(crc, piece.get(..read).unwrap_or_default());
                at = at.saturating_add(read as u64);
            }
        }
    }
    if crc == checksum {
        Ok(())
    } else {
        Err(spoiled("its checksum is wrong".to_owned()))
    }
}
