//! What is to be made durable: a message that came, or what happened to one.

use mail::clock::Timestamp;

use super::{
    Hold, Parties, QueueId, SpoolError,
    draft::Known,
    index::{Location, Message},
    place,
    record::{Place, Record, What},
};

/// Called when a message is durable, or not.
pub(super) type Done = Box<dyn FnOnce(Result<QueueId, SpoolError>) + Send>;

/// Something to be made durable.
pub(super) enum Item {
    Accept(Box<Accept>),
    /// `last`: with it the message leaves the spool.
    Event {
        id: QueueId,
        what: What,
        last: bool,
    },
}

/// A message to be made durable.
pub(super) struct Accept {
    pub(super) record: Record,
    pub(super) new: New,
    /// A bounce: may use the reserve.
    pub(super) vital: bool,
    /// Where its body lies, if that is a file.
    pub(super) file: Option<place::Place>,
    pub(super) done: Done,
}

/// What the index will know of it.
pub(super) struct New {
    pub(super) arrival: Timestamp,
    pub(super) size: u64,
    pub(super) body: Place,
    pub(super) uid: Option<u32>,
    pub(super) parties: Parties,
    pub(super) hold: Hold,
    pub(super) known: Known,
}

impl New {
    pub(super) fn has_file(&self) -> bool {
        matches!(self.body, Place::File(_))
    }

    pub(super) fn at(self, place: Location) -> Message {
        let known = self.known;
        let mut message = Message::new(place, self.arrival, self.size, self.body, known.waiting);
        (message.uid, message.hold, message.warned) = (self.uid, self.hold, known.warned);
        message.giver = known.giver;
        message.parties = self.parties;
        message
    }
}
