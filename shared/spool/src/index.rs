//! What is queued, in memory: about 200 bytes a recipient; and which segments it needs.
//!
//! Contract: the lock around an index is held for look-ups only, never while the disk is waited
//! for. An event shows here at once; what it frees on disk is freed only when its record is
//! durable.
//! The rules for removing a segment are those of [`super`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::{Bound, Range},
    path::PathBuf,
    sync::Arc,
};

use super::{
    Entry, Event, Hold, QueueId, Repeats, Waiting,
    parties::{Parties, Texts},
    record::{Place, State, What},
    usage::{Usage, Usages},
};
use mail::clock::Timestamp;

/// A message as the index keeps it.
pub(super) struct Message {
    /// Where its record is.
    pub(super) segment: u64,
    pub(super) offset: u32,
    /// Bytes of that record.
    pub(super) length: u32,
    pub(super) arrival: Timestamp,
    pub(super) size: u64,
    /// Its body is a file of its own.
    pub(super) blob: bool,
    pub(super) hold: Hold,
    pub(super) uid: Option<u32>,
    pub(super) parties: Parties,
    pub(super) warned: bool,
    /// Boxed: hardly any message has it.
    pub(super) repeats: Option<Box<Repeats>>,
    /// The same.
    pub(super) giver: Option<Arc<str>>,
    /// Settled or removed, but that is not yet durable.
    pub(super) gone: bool,
    /// Sorted by recipient.
    pub(super) waiting: Vec<Waiting>,
}

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Message {
    /// How much of whose queue it is.
    fn usage(&self) -> Option<(u32, Usage)> {
        let usage = Usage {
            bytes: self.size,
            recipients: self.waiting.len() as u64,
        };
        Some((self.uid.filter(|_| !self.gone)?, usage))
    }

    pub(super) fn new(
        at: Location,
        arrival: Timestamp,
        size: u64,
        body: Place,
        waiting: Vec<Waiting>,
    ) -> Self {
        let Location {
            segment,
            offset,
            length,
        } = at;
        let blob = matches!(body, Place::File(_));
        Self {
            segment,
            offset,
            length,
            arrival,
            size,
            blob,
            hold: Hold::No,
            uid: None,
            parties: Parties::default(),
            warned: false,
            repeats: None,
            giver: None,
            gone: false,
            waiting,
        }
    }

    pub(super) fn location(&self) -> Location {
        Location {
            segment: self.segment,
            offset: self.offset,
            length: self.length,
        }
    }

    pub(super) fn state(&self) -> State {
        State::of(
            self.hold,
            self.warned,
            self.repeats.as_deref().copied(),
            &self.waiting,
        )
        .with_giver(self.giver.as_ref())
    }

    pub(super) fn entry(&self, id: QueueId) -> Entry {
        Entry {
            id,
            arrival: self.arrival,
            size: self.size,
            hold: self.hold,
            uid: self.uid,
            warned: self.warned,
            repeats: self.repeats.as_deref().copied(),
            giver: self.giver.clone(),
            waiting: self.waiting.clone(),
        }
    }

    fn apply(&mut self, what: &What, texts: &mut Texts) {
        match what {
            What::Event(Event::Settled { recipient, .. }) => {
                self.waiting
                    .retain(|waiting| waiting.recipient != *recipient);
                self.waiting.shrink_to_fit();
            }
            What::Event(Event::Deferred {
                recipients,
                until,
                reason,
            }) => {
                let reason = texts.intern(reason);
                for recipient in recipients {
                    if let Ok(place) = self
                        .waiting
                        .binary_search_by_key(recipient, |waiting| waiting.recipient)
                        && let Some(waiting) = self.waiting.get_mut(place)
                    {
                        waiting.until = Some(*until);
                        waiting.reason = Some(Arc::clone(&reason));
                    }
                }
            }
            What::Event(Event::Held) => self.hold = Hold::Held,
            What::Event(Event::OverBudget) => self.hold = Hold::OverBudget,
            What::Event(Event::Returned) => self.hold = Hold::Returned,
            What::Event(Event::Leaving) => self.hold = Hold::Leaving,
            What::Event(Event::Released) => self.hold = Hold::No,
            What::Event(Event::Warned) => self.warned = true,
            // Totals, so that one that is read twice changes nothing.
            What::Event(Event::Repeated(repeats)) => self.repeats = Some(Box::new(*repeats)),
            What::Event(Event::Alone) => self.repeats = None,
            What::Event(Event::Removed) => self.waiting.clear(),
            What::State(state) => {
                self.hold = state.hold;
                self.warned = state.warned;
                self.repeats = state.repeats.map(Box::new);
                self.giver = state.giver().map(|giver| texts.intern(&giver));
                self.waiting = state.waiting();
                for waiting in &mut self.waiting {
                    waiting.reason = waiting.reason.as_ref().map(|reason| texts.intern(reason));
                }
            }
        }
        self.gone |= self.waiting.is_empty();
    }
}

/// A segment as the index keeps it.
#[derive(Default)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) mark: u64,
    /// Bytes of records; nothing valid lies behind.
    pub(super) end: u64,
    /// Bytes of message records that are still needed.
    pub(super) live: u64,
    /// While one of these exists, this one is needed: it holds what happened later to their
    /// messages.
    pub(super) pins: BTreeSet<u64>,
    /// Nothing will be appended any more.
    pub(super) sealed: bool,
    /// Not touched in this run: what is in it, or in one before it, is not all known.
    pub(super) stays: bool,
    /// Removed or replaced while the program ran: at its path lies another file, or none.
    pub(super) displaced: bool,
    /// Damage of which there is a copy in quarantine.
    pub(super) saved: Vec<Range<u64>>,
}

#[derive(Default)]
pub(super) struct Index {
    messages: BTreeMap<QueueId, Message>,
    pub(super) segments: BTreeMap<u64, Segment>,
    /// Why messages wait, whom they are from and for.
    texts: Texts,
    usages: Usages,
    gone: usize,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.messages.len().saturating_sub(self.gone)
    }

    pub(super) fn entry(&self, id: QueueId) -> Option<Entry> {
        self.message(id).map(|message| message.entry(id))
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.queued()
            .map(|(id, message)| message.entry(id))
            .collect()
    }

    /// All that is queued, oldest first.
    pub(super) fn queued(&self) -> impl Iterator<Item = (QueueId, &Message)> {
        self.messages
            .iter()
            .filter(|(_, message)| !message.gone)
            .map(|(id, message)| (*id, message))
    }

    /// So many at most of what is queued behind one message, up to another one; oldest first.
    pub(super) fn behind(
        &self,
        after: Option<QueueId>,
        last: QueueId,
        most: usize,
    ) -> impl Iterator<Item = (QueueId, &Message)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        // A range that begins behind its end is none.
        let some = after.is_none_or(|after| after < last);
        let range = some.then(|| self.messages.range((from, Bound::Included(last))));
        let queued = range.into_iter().flatten();
        let queued = queued.filter(|(_, message)| !message.gone);
        queued.map(|(id, message)| (*id, message)).take(most)
    }

    /// A message that is queued.
    pub(super) fn message(&self, id: QueueId) -> Option<&Message> {
        self.messages.get(&id).filter(|message| !message.gone)
    }

    /// The segment that holds a message's record, also when it is gone but that is not durable yet.
    pub(super) fn segment_of(&self, id: QueueId) -> Option<u64> {
        self.messages.get(&id).map(|message| message.segment)
    }

    /// The greatest id known.
    pub(super) fn highest(&self) -> u64 {
        self.messages
            .last_key_value()
            .map_or(0, |(id, _)| id.number())
    }

    /// Puts a message in, or at its new place.
    pub(super) fn place(&mut self, id: QueueId, mut message: Message) {
        for waiting in &mut message.waiting {
            waiting.reason = waiting
                .reason
                .as_ref()
                .map(|reason| self.texts.intern(reason));
        }
        message.parties.intern(&mut self.texts);
        if let Some(giver) = &mut message.giver {
            *giver = self.texts.intern(giver);
        }
        let at = message.location();
        if let Some(old) = self.forget(id)
            && old.segment != at.segment
        {
            self.pin(at.segment, old.segment);
        }
        if let Some(segment) = self.segments.get_mut(&at.segment) {
            segment.live = segment.live.saturating_add(at.length.into());
        }
        self.gone = self.gone.saturating_add(usize::from(message.gone));
        self.usages.add(message.usage());
        self.messages.insert(id, message);
    }

    /// Moves a message to a copy of its record; its state stays what it is now.
    pub(super) fn relocate(&mut self, id: QueueId, to: Location) {
        let Some(mut message) = self.forget(id) else {
            return;
        };
        self.pin(to.segment, message.segment);
        (message.segment, message.offset, message.length) = (to.segment, to.offset, to.length);
        self.place(id, message);
    }

    /// Applies what happened. The segment that holds the message's record, if it was there.
    pub(super) fn apply(&mut self, id: QueueId, what: &What) -> Option<u64> {
        let message = self.messages.get_mut(&id).filter(|message| !message.gone)?;
        self.usages.subtract(message.usage());
        message.apply(what, &mut self.texts);
        self.usages.add(message.usage());
        self.gone = self.gone.saturating_add(usize::from(message.gone));
        Some(message.segment)
    }

    /// A record in `holder` about a message in `of` is durable: it must stay as long as that
    /// segment.
    pub(super) fn pin(&mut self, holder: u64, of: u64) {
        if holder != of
            && self.segments.contains_key(&of)
            && let Some(segment) = self.segments.get_mut(&holder)
        {
            segment.pins.insert(of);
        }
    }

    /// That the message is gone is durable now: leaves nothing behind. Whether it was.
    pub(super) fn bury(&mut self, id: QueueId) -> Option<Message> {
        if self.messages.get(&id)?.gone {
            self.forget(id)
        } else {
            None
        }
    }

    /// What is queued of a user's mail.
    pub(super) fn usage(&self, whose: impl Fn(u32) -> bool) -> Usage {
        self.usages.of(whose)
    }

    /// Takes a message out, without a word on disk.
    pub(super) fn forget(&mut self, id: QueueId) -> Option<Message> {
        let message = self.messages.remove(&id)?;
        self.usages.subtract(message.usage());
        self.gone = self.gone.saturating_sub(usize::from(message.gone));
        if let Some(segment) = self.segments.get_mut(&message.segment) {
            segment.live = segment.live.saturating_sub(message.length.into());
        }
        Some(message)
    }

    /// Ids of all messages whose settling is not durable yet.
    pub(super) fn all_gone(&self) -> Vec<QueueId> {
        self.messages
            .iter()
            .filter(|(_, message)| message.gone)
            .map(|(id, _)| *id)
            .collect()
    }

    /// Segments that nothing needs, with their paths; whether they were taken away.
    pub(super) fn removable(&self) -> Vec<(u64, PathBuf, bool)> {
        let free = |segment: &Segment| {
            segment.sealed
                && !segment.stays
                && segment.live == 0
                && !segment
                    .pins
                    .iter()
                    .any(|pin| self.segments.contains_key(pin))
        };
        let removable = self.segments.iter().filter(|(_, segment)| free(segment));
        removable
            .map(|(number, it)| (*number, it.path.clone(), it.displaced))
            .collect()
    }

    /// A segment is not to be touched in this run.
    pub(super) fn stay(&mut self, number: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.stays = true;
        }
    }

    /// Where one segment stays, all do: later ones may say what became of messages in it, and it
    /// may say what became of messages in earlier ones, which must not be copied as if it did not.
    pub(super) fn stay_together(&mut self) {
        let stays = self.segments.values().any(|segment| segment.stays);
        for segment in self.segments.values_mut() {
            segment.stays = stays;
        }
    }

    /// Whether bodies in files are queued, by id.
    pub(super) fn blobs(&self) -> HashMap<QueueId, Location> {
        let blobs = self.messages.iter().filter(|(_, message)| message.blob);
        blobs
            .map(|(id, message)| (*id, message.location()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compaction that stops half-way leaves a segment that is needed, with old copies in it.
    #[test]
    fn the_segment_of_a_copy_stays_as_long_as_the_one_it_was_copied_from() {
        let mut index = Index::default();
        for number in [1, 2] {
            let segment = Segment {
                sealed: true,
                ..Segment::default()
            };
            index.segments.insert(number, segment);
        }
        let at = |segment| Location {
            segment,
            offset: 0,
            length: 100,
        };
        let [copied, left] = [1, 2].map(QueueId::from_number);
        for id in [copied, left] {
            let (body, waiting) = (Place::Inline(1), Waiting::new(1));
            index.place(
                id,
                Message::new(at(1), Timestamp::default(), 1, body, waiting),
            );
        }
        let removable = |index: &Index| {
            let removable = index.removable().into_iter();
            removable.map(|(number, ..)| number).collect::<Vec<_>>()
        };
        index.relocate(copied, at(2));
        index.apply(copied, &What::Event(Event::Removed));
        assert!(index.bury(copied).is_some());
        assert!(
            removable(&index).is_empty(),
            "without segment 2, the copy in segment 1 would come back to life"
        );
        index.forget(left);
        assert_eq!(removable(&index), [1]);
        index.segments.remove(&1);
        assert_eq!(removable(&index), [2]);
    }
}
