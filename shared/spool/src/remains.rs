//! What is known of a message whose record cannot be read: what of it is whole, and what is kept in
//! memory of every message. It is listed, and goes back to its sender, all the same.
//!
//! Contract: nothing is given as read whose checksum is wrong, the header section apart, of which
//! only the lines are given that can be lines of one. Where recipients cannot be read, their
//! domains are known, and [`UNREADABLE`] stands in front of them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::ErrorKind;

use super::{
    Body, Parties, QueueId, Spool, SpoolError, Stored,
    index::Message,
    journal::{self, Level},
    lock,
    record::{self, HEADER, Header},
    source::Readable as _,
};
use mail::{
    address::{Address, Sender},
    envelope::{Envelope, Recipient, Ret},
};

/// Stands for the name of a recipient that cannot be read.
pub const UNREADABLE: &str = "name-cannot-be-read";

impl Spool {
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

    /// Notes what is known of messages whose damaged records do not say any more which they are.
    pub(super) fn keep_remains(&self) {
        if *lock(&self.open.closed) {
            return;
        }
        for id in self.damaged() {
            let known = self.open.committer.known(id).filter(|known| {
                let unread = known.unread.as_ref();
                unread.is_some_and(SpoolError::is_damage) && !self.says_which(id)
            });
            let kept = known.map(|known| self.open.committer.keep_remains(id, &known.envelope));
            if let Some(Err(error)) = kept {
                let text = format_args!("spool: what is left of {id} cannot be noted: {error}");
                journal::line(Level::Error, &text);
            }
        }
    }

    /// Whether the header of a message's record can be read.
    fn says_which(&self, id: QueueId) -> bool {
        let place = self.open.committer.place_of(id);
        let mut bytes = [0; HEADER];
        place.is_some_and(|(at, mark, path)| {
            let file = self.open.committer.disk.open(&path);
            file.and_then(|file| file.read_exact_at(&mut bytes, at.offset.into()))
                .is_ok_and(|()| Header::decode(&bytes, mark).is_some_and(|it| it.id == id))
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

/// From memory alone.
pub(super) fn remembered(message: &Message) -> Envelope {
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
