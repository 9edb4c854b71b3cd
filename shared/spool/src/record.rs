//! The form of a record: what one message or one event looks like in a segment.
//!
//! ```text
//! mark 8 · id 8 · time 8 · length 4 · payload CRC32C 4 · commit 4 · version 1 · kind 1 · zero 2 · header CRC32C 4 · payload
//! ```
//! Numbers are little-endian. `mark` is random for each segment and stands in its name: nobody who
//! sends mail knows it, so no body can pretend to be a record when a damaged range is searched for
//! the next one. `commit` is the offset at which the commit that wrote the record began; it tells a
//! torn commit, never promised, from damage.
//!
//! The envelope has a CRC of its own ([`Part`]): listings and the scheduler read it without the
//! rest.
//!
//! # Versions
//!
//! A record has the lowest version that can express it, so that an older program reads whatever it
//! could have written. What was added to version 1 is therefore said in words that its first
//! readers know, and ignore:
//! - the checksum of a body in a file is a reason to which no recipient refers ([`State`]);
//! - so is the server from whose queue a message came;
//! - so is that what follows is all that is left of a message; its body is a file that there is
//!   not, so that nobody sends it;
//! - the end of a segment that was closed cleanly is a change of message 0, which there is not.
//!
//! A reader that meets a later version copies the record to quarantine, and leaves segment and
//! body where they are for the program that knows it.
//!
//! Contract: decoding is total; what does not check is `None`.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{io::IoSlice, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Event, Hold, QueueId, Repeats, Waiting};
use mail::{clock::Timestamp, envelope::Envelope};

/// Bytes of a record's header.
pub(super) const HEADER: usize = 44;
/// Longest payload: header section, body and envelope have limits of their own that lie far below.
pub(super) const MAX_PAYLOAD: usize = 16 * 1024 * 1024;
/// Version of what is written.
const VERSION: u8 = 1;
/// How the reason begins that is the checksum of a body in a file; eight hexadecimal digits follow.
const BODY_CHECKSUM: &str = "body crc32c ";
/// How the reason begins that is the server from whose queue a message came; its name follows.
const GIVER: &str = "queued before by ";
/// The reason that says that the record holds what is left of a message whose own is damaged.
const REMAINS: &str = "what is left of a damaged message";
/// The message that there is not: its changes are about the segment.
const NOBODY: QueueId = QueueId::from_number(0);

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A message: [`Head`], envelope, header section, body.
    Message = 1,
    /// What happened to one: [`Change`].
    Change = 2,
}

/// A record's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) id: QueueId,
    pub(super) time: Timestamp,
    pub(super) length: u32,
    pub(super) crc: u32,
    pub(super) commit: u32,
    /// `None`: of a version or kind that is not known here.
    pub(super) kind: Option<Kind>,
}

impl Header {
    fn encode(&self, kind: Kind, mark: u64) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let fields = mark
            .to_le_bytes()
            .into_iter()
            .chain(self.id.number().to_le_bytes())
            .chain(self.time.as_millis().to_le_bytes())
            .chain(self.length.to_le_bytes())
            .chain(self.crc.to_le_bytes())
            .chain(self.commit.to_le_bytes())
            .chain([VERSION, kind as u8, 0, 0]);
        bytes
            .iter_mut()
            .zip(fields)
            .for_each(|(byte, field)| *byte = field);
        if let Some((checked, crc)) = bytes.split_last_chunk_mut::<4>() {
            *crc = crc32c::crc32c(checked).to_le_bytes();
        }
        bytes
    }

    /// Reads a header of a segment with this mark; `None` if it is none, or damaged.
    pub(super) fn decode(bytes: &[u8], mark: u64) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEADER>()?;
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        let mut rest = checked;
        if u64::from_le_bytes(take(&mut rest)?) != mark
            || u32::from_le_bytes(*crc) != crc32c::crc32c(checked)
        {
            return None;
        }
        let id = QueueId::from_number(u64::from_le_bytes(take(&mut rest)?));
        let time = Timestamp::from_millis(u64::from_le_bytes(take(&mut rest)?));
        let length = u32::from_le_bytes(take(&mut rest)?);
        let crc = u32::from_le_bytes(take(&mut rest)?);
        let commit = u32::from_le_bytes(take(&mut rest)?);
        let kind = match take(&mut rest)? {
            [VERSION, 1] => Some(Kind::Message),
            [VERSION, 2] => Some(Kind::Change),
            _ => None,
        };
        Some(Self {
            id,
            time,
            length,
            crc,
            commit,
            kind,
        })
    }

    /// Bytes of header and payload.
    pub(super) fn record_length(&self) -> u64 {
        (HEADER as u64).saturating_add(u64::from(self.length))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

/// A record on its way to a segment, in two pieces so that a body is never copied.
pub(super) struct Record {
    id: QueueId,
    time: Timestamp,
    kind: Kind,
    crc: u32,
    /// Room for the header, then the payload up to the body.
    front: Vec<u8>,
    body: Vec<u8>,
}

impl Record {
    /// A message. `rest` is what stands between [`Head`] and the body.
    pub(super) fn message(
        id: QueueId,
        arrival: Timestamp,
        head: &Head,
        rest: &[&[u8]],
        body: Vec<u8>,
    ) -> Option<Self> {
        let mut front = postcard::to_extend(head, vec![0; HEADER]).ok()?;
        for piece in rest {
            front.extend_from_slice(piece);
        }
        Self::new(id, arrival, Kind::Message, front, body)
    }

    /// What happened to a message.
    pub(super) fn change(id: QueueId, time: Timestamp, change: &Change) -> Option<Self> {
        let front = postcard::to_extend(change, vec![0; HEADER]).ok()?;
        Self::new(id, time, Kind::Change, front, Vec::new())
    }

    /// That a segment was closed cleanly: what is damaged in it was promised, and is not torn.
    pub(super) fn end(segment: u64, time: Timestamp) -> Option<Self> {
        let what = What::Event(Event::Removed);
        Self::change(NOBODY, time, &Change { segment, what })
    }

    fn new(
        id: QueueId,
        time: Timestamp,
        kind: Kind,
        front: Vec<u8>,
        body: Vec<u8>,
    ) -> Option<Self> {
        let crc = crc32c::crc32c_append(crc32c::crc32c(front.get(HEADER..)?), &body);
        let record = Self {
            id,
            time,
            kind,
            crc,
            front,
            body,
        };
        (record.len() <= MAX_PAYLOAD as u64).then_some(record)
    }

    pub(super) fn id(&self) -> QueueId {
        self.id
    }

    /// Bytes of header and payload.
    pub(super) fn len(&self) -> u64 {
        (self.front.len() as u64).saturating_add(self.body.len() as u64)
    }

    /// Fills in the header for a place in a segment.
    pub(super) fn seal(&mut self, mark: u64, commit: u32) {
        let length = u32::try_from(self.len().saturating_sub(HEADER as u64)).unwrap_or(u32::MAX);
        let header = Header {
            id: self.id,
            time: self.time,
            length,
            crc: self.crc,
            commit,
            kind: Some(self.kind),
        };
        let encoded = header.encode(self.kind, mark);
        self.front
            .iter_mut()
            .zip(encoded)
            .for_each(|(byte, value)| *byte = value);
    }

    /// What is to be written.
    pub(super) fn pieces(&self) -> impl Iterator<Item = IoSlice<'_>> {
        [&self.front, &self.body]
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(|piece| IoSlice::new(piece))
    }
}

/// How a message record begins: what the index needs, without the envelope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) recipients: u32,
    pub(super) envelope: Part,
    /// Bytes of the header section.
    pub(super) header: u32,
    pub(super) body: Place,
    /// What had happened before, in a record that compaction wrote anew.
    pub(super) state: Option<State>,
}

impl Head {
    /// How many bytes should follow it.
    pub(super) fn rest(&self) -> Option<usize> {
        let body = match self.body {
            Place::Inline(length) => length,
            Place::File(_) => 0,
        };
        let parts = [self.envelope.length, self.header, body];
        parts.into_iter().try_fold(0usize, |sum, part| {
            sum.checked_add(usize::try_from(part).ok()?)
        })
    }
}

/// A part of the record with a checksum of its own, so that it can be read alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    length: u32,
    crc: u32,
}

impl Part {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            length: u32::try_from(bytes.len()).ok()?,
            crc: crc32c::crc32c(bytes),
        })
    }
}

/// Where the body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Place {
    /// The end of the record, so many bytes.
    Inline(u32),
    /// A file of so many bytes in `bodies/`.
    File(u64),
}

impl Place {
    pub(super) fn len(self) -> u64 {
        match self {
            Self::Inline(length) => length.into(),
            Self::File(length) => length,
        }
    }
}

/// Everything that is known of a message's recipients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) hold: Hold,
    pub(super) warned: bool,
    pub(super) repeats: Option<Repeats>,
    reasons: Vec<Arc<str>>,
    /// Recipient, until, and which reason.
    waiting: Vec<(u32, Option<Timestamp>, Option<u32>)>,
}

impl State {
    /// The state as a value of its own; equal reasons stand in it once.
    pub(super) fn of(
        hold: Hold,
        warned: bool,
        repeats: Option<Repeats>,
        waiting: &[Waiting],
    ) -> Self {
        let mut reasons: Vec<Arc<str>> = Vec::new();
        let mut number = |reason: &Arc<str>| {
            let place = reasons
                .iter()
                .position(|known| known == reason)
                .unwrap_or_else(|| {
                    reasons.push(Arc::clone(reason));
                    reasons.len().saturating_sub(1)
                });
            u32::try_from(place).ok()
        };
        let waiting = waiting
            .iter()
            .map(|w| {
                (
                    w.recipient,
                    w.until,
                    w.reason.as_ref().and_then(&mut number),
                )
            })
            .collect();
        Self {
            hold,
            warned,
            repeats,
            reasons,
            waiting,
        }
    }

    /// The same with the server from whose queue it came.
    pub(super) fn with_giver(mut self, giver: Option<&Arc<str>>) -> Self {
        let giver = giver.map(|giver| Arc::from(format!("{GIVER}{giver}")));
        self.reasons.extend(giver);
        self
    }

    /// The server from whose queue it came. A reason that a peer gave is never it: a recipient
    /// refers to that.
    pub(super) fn giver(&self) -> Option<Arc<str>> {
        (0u32..)
            .zip(&self.reasons)
            .filter_map(|(number, reason)| Some((number, reason.strip_prefix(GIVER)?)))
            .find_map(|(number, giver)| self.is_unused(number).then(|| Arc::from(giver)))
    }

    /// The same, of a message of which the record holds only what is left.
    pub(super) fn of_remains(mut self) -> Self {
        self.reasons.push(Arc::from(REMAINS));
        self
    }

    /// Whether it is such a one. A reason that a peer gave is never it: a recipient refers to that.
    pub(super) fn is_of_remains(&self) -> bool {
        let mut reasons = (0u32..).zip(&self.reasons);
        reasons.any(|(number, reason)| **reason == *REMAINS && self.is_unused(number))
    }

    /// The same with the checksum of the body, which is a file.
    pub(super) fn with_body_checksum(mut self, crc: u32) -> Self {
        self.reasons
            .push(Arc::from(format!("{BODY_CHECKSUM}{crc:08x}")));
        self
    }

    /// The body's checksum. What a peer says can never be it: a recipient refers to that.
    pub(super) fn body_checksum(&self) -> Option<u32> {
        let last = u32::try_from(self.reasons.len()).ok()?.checked_sub(1)?;
        if !self.is_unused(last) {
            return None;
        }
        let digits = self.reasons.last()?.strip_prefix(BODY_CHECKSUM)?;
        u32::from_str_radix(digits, 16).ok()
    }

    /// Whether no recipient refers to that reason.
    fn is_unused(&self, number: u32) -> bool {
        let mut waiting = self.waiting.iter();
        !waiting.any(|(_, _, reason)| *reason == Some(number))
    }

    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let reason = |number: u32| self.reasons.get(usize::try_from(number).ok()?).cloned();
        let waiting = self.waiting.iter();
        waiting
            .map(|&(recipient, until, number)| Waiting {
                recipient,
                until,
                reason: number.and_then(reason),
            })
            .collect()
    }
}

/// What happened to a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    /// The segment that held the message then: this record is needed as long as that one exists.
    pub(super) segment: u64,
    pub(super) what: What,
}

/// An event, or all events so far in one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum What {
    Event(Event),
    State(State),
}

/// Takes apart a message's payload: head, and what follows it.
pub(super) fn read_head(payload: &[u8]) -> Option<(Head, &[u8])> {
    postcard::take_from_bytes(payload).ok()
}

/// The envelope of a message, from the beginning of its payload; `None` if it is not whole, or
/// damaged.
pub(super) fn read_envelope(payload: &[u8]) -> Option<Envelope> {
    let (head, rest) = read_head(payload)?;
    let bytes = rest.get(..usize::try_from(head.envelope.length).ok()?)?;
    if crc32c::crc32c(bytes) != head.envelope.crc {
        return None;
    }
    postcard::from_bytes(bytes).ok()
}

/// Takes apart what follows the head: envelope, header section, inline body.
pub(super) fn read_content<'a>(
    head: &Head,
    rest: &'a [u8],
) -> Option<(Envelope, &'a [u8], &'a [u8])> {
    let (envelope, rest) = postcard::take_from_bytes(rest).ok()?;
    let (header, body) = rest.split_at_checked(usize::try_from(head.header).ok()?)?;
    let expected = match head.body {
        Place::Inline(length) => usize::try_from(length).ok()?,
        Place::File(_) => 0,
    };
    (body.len() == expected).then_some((envelope, header, body))
}

/// The header section alone, of whatever follows the head.
pub(super) fn read_section<'a>(head: &Head, rest: &'a [u8]) -> Option<&'a [u8]> {
    let begin = usize::try_from(head.envelope.length).ok()?;
    rest.get(begin..)?.get(..usize::try_from(head.header).ok()?)
}

/// Whether this record says that its segment was closed cleanly.
pub(super) fn is_end(segment: u64, header: &Header, payload: &[u8]) -> bool {
    header.id == NOBODY
        && header.kind == Some(Kind::Change)
        && read_change(payload).is_some_and(|change| change.segment == segment)
}

/// Reads a change's payload.
pub(super) fn read_change(payload: &[u8]) -> Option<Change> {
    postcard::from_bytes(payload).ok()
}
