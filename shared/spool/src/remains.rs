//! What is known of a message whose record cannot be read: what of it is whole, and what is kept in
//! memory of every message. It is listed, and goes back to its sender, all the same, also after a
//! start; one whose sender cannot be read then is held until an administrator says what becomes of
//! it.
//!
//! Contract: nothing is given as read whose checksum is wrong, the header section apart, of which
//! only the lines are given that can be lines of one. Where recipients cannot be read, their
//! domains are known, and [`UNREADABLE`] stands in front of them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{io::ErrorKind, os::unix::fs::FileExt as _};

use super::{
    Body, Hold, Parties, QueueId, Spool, SpoolError, Stored, Waiting,
    index::{Location, Message},
    lock,
    message::message_size,
    record::{self, HEADER, Place, State},
    scan::Seen,
};
use mail::{
    address::{Address, Sender},
    envelope::{Envelope, Recipient, Ret},
};

/// Stands for the name of a recipient that cannot be read.
pub const UNREADABLE: &str = "name-cannot-be-read";

/// Sender and recipients, as far as they are known.
pub struct Known {
    pub envelope: Envelope,
    /// Why they could not be read; then they are only what is kept in memory.
    pub unread: Option<SpoolError>,
}

impl Spool {
    /// Sender and recipients of a message, read or as far as they are known; `None` if it is no
    /// longer queued.
    pub fn known(&self, id: QueueId) -> Option<Known> {
        let (envelope, unread) = match self.envelope(id) {
            Ok(read) => (read?, None),
            Err(why) => {
                let index = lock(&self.open.committer.index);
                (remembered(index.message(id)?), Some(why))
            }
        };
        Some(Known { envelope, unread })
    }

    /// What is left of a message whose record is damaged.
    pub(super) fn remains(&self, id: QueueId) -> Option<Stored> {
        let (envelope, arrival) = {
            let index = lock(&self.open.committer.index);
            let message = index.message(id)?;
            (remembered(message), message.arrival)
        };
        let (envelope, header) = self.salvage(id).unwrap_or((envelope, Vec::new()));
        Some(Stored {
            id,
            arrival,
            envelope: Envelope {
                // An empty body would look like what was sent.
                ret: Some(Ret::Headers),
                ..envelope
            },
            header,
            body: Body::Inline(Vec::new()),
        })
    }

    /// The envelope, which has a checksum of its own, and what looks like the header section.
    fn salvage(&self, id: QueueId) -> Option<(Envelope, Vec<u8>)> {
        let committer = &self.open.committer;
        let (at, path, parties, uid) = {
            let index = lock(&committer.index);
            let message = index.message(id)?;
            let at = message.location();
            let segment = index.segments.get(&at.segment)?;
            let (parties, uid) = (message.parties.clone(), message.uid);
            (at, segment.path.clone(), parties, uid)
        };
        let file = committer.disk.open(&path).ok()?;
        let length = usize::try_from(at.length).ok()?.checked_sub(HEADER)?;
        let mut payload = vec![0; length];
        let begin = u64::from(at.offset).checked_add(HEADER as u64)?;
        match file.read_exact_at(&mut payload, begin) {
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return None,
            _ => {}
        }
        let envelope = record::read_envelope(&payload)?;
        // It may be the place of another message by now.
        let is_its_own = Parties::of(&envelope) == parties && envelope.uid == uid;
        let header = record::read_head(&payload)
            .and_then(|(head, rest)| record::read_section(&head, rest))
            .unwrap_or_default();
        is_its_own.then(|| (envelope, lines_of(header)))
    }
}

/// A message of which the start finds a damaged record. What was delivered is said by its state if
/// all parts of the record are as long as they should be; else everybody waits.
pub(super) fn listed(at: Location, seen: &Seen<'_>) -> Message {
    let envelope = record::read_envelope(seen.payload);
    let head = record::read_head(seen.payload).map(|(head, rest)| (head, rest.len()));
    let head = head.filter(|(head, rest)| head.rest() == Some(*rest));
    let head = head.map(|(head, _)| head);
    let recipients = match (&envelope, &head) {
        (Some(envelope), _) => u32::try_from(envelope.recipients.len()).ok(),
        // Every recipient has bytes of its own.
        (None, Some(head)) => Some(head.recipients).filter(|it| *it <= at.length),
        (None, None) => None,
    };
    // Where it is not known, what became of one is not the end of it.
    let recipients = recipients.unwrap_or(2).max(1);
    let state = head.as_ref().and_then(|head| head.state.as_ref());
    let waiting = state.map(State::waiting).filter(|waiting| {
        let numbers: Vec<_> = waiting.iter().map(|it| it.recipient).collect();
        !numbers.is_empty()
            && numbers.is_sorted_by(|one, next| one < next)
            && numbers.iter().all(|number| *number < recipients)
    });
    let body = head.as_ref().map_or(Place::Inline(0), |head| head.body);
    let size = head.as_ref().map_or_else(
        || at.length.into(),
        |head| message_size(usize::try_from(head.header).unwrap_or_default(), body.len()),
    );
    let waiting = waiting.unwrap_or_else(|| Waiting::new(recipients));
    let mut message = Message::new(at, seen.header.time, size, body, waiting);
    match envelope {
        Some(envelope) => {
            message.uid = envelope.uid;
            message.parties = Parties::of(&envelope);
            message.hold = state.map(|state| state.hold).unwrap_or_default();
            message.warned = state.is_some_and(|state| state.warned);
            message.giver = state.and_then(State::giver);
        }
        // Nobody could be told when it is too old.
        None => message.hold = Hold::Held,
    }
    message
}

/// From memory alone.
fn remembered(message: &Message) -> Envelope {
    let parties = &message.parties;
    let sender = Address::parse(&parties.sender).map_or(Sender::Null, Sender::Address);
    let last = message
        .waiting
        .iter()
        .map(|waiting| waiting.recipient)
        .max();
    let recipients = (0..=last.unwrap_or_default()).filter_map(|number| {
        let domains = [parties.domain(number), "invalid"].into_iter();
        let mut addresses =
            domains.filter_map(|domain| Address::parse(&format!("{UNREADABLE}@{domain}")).ok());
        addresses.next().map(Recipient::from)
    });
    Envelope {
        sender,
        recipients: recipients.collect(),
        origin: parties.origin.to_string(),
        uid: message.uid,
        ..Envelope::default()
    }
}

/// What can be lines of a header section.
fn lines_of(section: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    let text = section.split_inclusive(|byte| *byte == b'\n');
    // Where the body begins, the length of the section is what is damaged.
    for line in text.take_while(|line| *line != b"\r\n") {
        let Some(text) = line.strip_suffix(b"\r\n") else {
            continue;
        };
        let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
        let goes_on = text.starts_with(b" ") || text.starts_with(b"\t");
        let begins = text.iter().take_while(|byte| byte.is_ascii_graphic());
        let is_field = begins.take_while(|byte| **byte != b':').count() > 0 && text.contains(&b':');
        if text.iter().all(is_text) && (is_field || goes_on && !lines.is_empty()) {
            lines.extend_from_slice(line);
        }
    }
    lines
}
