//! What the driver tells the queue, and what it has to do.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use mail::{
    address::Sender,
    clock::Timestamp,
    envelope::{Envelope, Recipient},
    outcome::{Failure, Outcome},
};
use spool::{Hold, QueueId, SpoolError};

use crate::{Lesson, clock::Step};

/// A recipient and where it goes now, or why that is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routed<D> {
    /// Index in the envelope.
    pub recipient: u32,
    pub destination: Result<Arc<D>, Failure>,
    /// How long it is tried; `None`: as [`crate::Settings::schedule`] says.
    pub lifetime: Option<std::time::Duration>,
}

/// A recipient that waits, as the spool gives it at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub recipient: u32,
    /// `None`: at once.
    pub until: Option<Timestamp>,
}

/// What the envelope says of a message as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<O> {
    /// Whose it is.
    pub owner: O,
    /// Nobody can be told of its failure (it is a bounce, or like one), so that it is kept on hold
    /// then.
    pub unreturnable: bool,
    /// Who sends, as [`sender`] has it: what a next hop refuses of one it may take of another.
    pub sender: u64,
}

/// A sender in a number, for [`Origin::sender`]. Two of the same number have their turns together.
pub fn sender(sender: &Sender) -> u64 {
    let mut hasher = DefaultHasher::new();
    sender.hash(&mut hasher);
    hasher.finish()
}

/// A recipient in a number, whatever is written behind a plus sign, and in which letters: one
/// mailbox is one.
pub fn recipient(recipient: &Recipient) -> u64 {
    let address = recipient.address.to_string().to_ascii_lowercase();
    let (local, domain) = address.rsplit_once('@').unwrap_or((&address, ""));
    let mailbox = local.split('+').next();
    let mut hasher = DefaultHasher::new();
    (mailbox, domain).hash(&mut hasher);
    hasher.finish()
}

/// A message that the spool knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered<O> {
    pub id: QueueId,
    /// Whose it is, as far as that is known before the envelope is read.
    pub owner: O,
    pub arrival: Timestamp,
    pub held: bool,
    /// The administrator has given it back to its sender, and it has not gone yet.
    pub returned: bool,
    /// The sender was warned of the delay.
    pub warned: bool,
    /// It waits for what is no attempt's end, and so for as long as it says.
    pub kept: bool,
    pub waiting: Vec<Waiting>,
}

impl<O> Recovered<O> {
    /// As the spool has it. What stands for others (a storm) waits for its digest, and so as long
    /// as it says.
    pub fn of(entry: &spool::Entry, owner: O) -> Self {
        let waiting = entry.waiting.iter().map(|waiting| Waiting {
            recipient: waiting.recipient,
            until: waiting.until,
        });
        Self {
            id: entry.id,
            owner,
            arrival: entry.arrival,
            held: entry.hold.is_held(),
            returned: entry.hold == Hold::Returned,
            warned: entry.warned,
            kept: entry.repeats.is_some(),
            waiting: waiting.collect(),
        }
    }
}

/// What the driver tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<D, O> {
    /// A message was found in the spool; it is loaded when it is due.
    Recovered(Recovered<O>),
    /// A message was just accepted (all its recipients, routed: no load is needed).
    Accepted {
        id: QueueId,
        arrival: Timestamp,
        origin: Origin<O>,
        recipients: Vec<Routed<D>>,
    },
    /// The answer to [`Action::Load`]: the recipients asked for, routed.
    Loaded {
        id: QueueId,
        origin: Origin<O>,
        recipients: Vec<Routed<D>>,
    },
    /// The spool could not read it: try later. `damaged`: not for a fault of this moment, so that
    /// it is given up when it is old, as after an attempt.
    LoadFailed {
        id: QueueId,
        failure: Failure,
        damaged: bool,
    },
    /// The spool does not know it (any more).
    Gone {
        id: QueueId,
    },
    /// The driver has recorded that it is held.
    Parked {
        id: QueueId,
    },
    /// A delivery has ended: one outcome for each of its recipients, in order.
    Finished {
        ticket: u64,
        outcomes: Vec<Outcome>,
    },
    /// The driver ends in the middle of a delivery: what each of its recipients was answered, in
    /// order; nothing happened to the others.
    Interrupted {
        ticket: u64,
        outcomes: Vec<Option<Outcome>>,
    },
    /// No session with the destination came about, or it refuses this machine: nothing happened to
    /// the message.
    Unreached {
        ticket: u64,
        failure: Failure,
    },
    /// The peer of a delivery under way owes an answer and has said nothing for some seconds; told
    /// again each time.
    Silent {
        ticket: u64,
        silence: Silence,
    },
    /// It has said something again, or owes nothing.
    Speaks {
        ticket: u64,
    },
    /// Recipients of a delivery under way, as [`recipient`] has them, to whom its peer said that it
    /// has too many connections; told before its end.
    Crowded {
        ticket: u64,
        recipients: Vec<u64>,
    },
    /// A delivery under way has no connection and waits for what is no peer: it keeps nobody from
    /// being tried meanwhile, and is [`Self::Withdrawn`] then. As many do so at once as have places
    /// at its site, and three times as many as there are places altogether.
    Stalls {
        ticket: u64,
    },
    /// A program that mail is given to takes its time: it counts among those of its transport and
    /// its destination, and keeps nobody else waiting. At most as many as there are places do so at
    /// once, silent ones and those of [`Self::Stalls`] among them.
    Runs {
        ticket: u64,
    },
    /// A delivery was not made after all ([`crate::Queue::admits`] said no, or the message was
    /// parked): its turn comes again.
    Withdrawn {
        ticket: u64,
    },
    /// The bounce that [`Action::Bounce`] asked for is in the spool (or none is due: NOTIFY=NEVER).
    Bounced {
        id: QueueId,
    },
    /// The bounce could not be kept: ask again later.
    BounceFailed {
        id: QueueId,
    },
    /// The warning that [`Action::Warn`] asked for is in the spool (or none is due: null sender,
    /// NOTIFY without DELAY); or the message takes the place of one whose sender was warned.
    Warned {
        id: QueueId,
    },
    /// The warning could not be kept: it is asked for again with the next deferral.
    WarnFailed {
        id: QueueId,
    },
    /// Administrator: try everything now, and all destinations again.
    FlushAll,
    /// Administrator: try this one now, once also where its destination is suspended.
    Flush {
        id: QueueId,
    },
    /// Administrator: do not deliver until released.
    Hold {
        id: QueueId,
    },
    Release {
        id: QueueId,
    },
    /// Administrator: return it to its sender without another attempt.
    Return {
        id: QueueId,
        failure: Failure,
        /// It has none: it is dead mail.
        null_sender: bool,
    },
    /// Administrator: delete (recipients in a delivery may still be delivered to).
    Remove {
        id: QueueId,
    },
    /// Another server has it now, and knows that it is here no more.
    Moved {
        id: QueueId,
    },
    /// The wall clock was set.
    Stepped(Step),
    /// The deadline has passed.
    TimedOut,
}

impl<D, O> Event<D, O> {
    /// What is to be told of the recipients of a delivery before its end, if anything is.
    pub fn crowded(ticket: u64, recipients: &[Recipient], outcomes: &[Outcome]) -> Option<Self> {
        let both = recipients.iter().zip(outcomes);
        let those = both.filter(|(_, outcome)| outcome.crowded().is_some());
        let recipients: Vec<_> = those.map(|(it, _)| recipient(it)).collect();
        (!recipients.is_empty()).then_some(Self::Crowded { ticket, recipients })
    }

    /// A delivery that was cut short ended with these outcomes: what the peer has said stands.
    pub fn interrupted(ticket: u64, outcomes: Vec<Outcome>) -> Self {
        let said = |outcome: Outcome| match &outcome {
            Outcome::Delivered(_) | Outcome::Failed(_) => Some(outcome),
            Outcome::Deferred(failure) => failure.reply.is_some().then_some(outcome),
        };
        let outcomes = outcomes.into_iter().map(said).collect();
        Self::Interrupted { ticket, outcomes }
    }

    /// An administrator, or whose mail it is, gives it back to its sender.
    ///
    /// `known`, `entry`: what the spool says.
    pub fn returned(
        id: QueueId,
        known: Option<&spool::Known>,
        entry: Option<&spool::Entry>,
    ) -> Self {
        let mut waiting = entry.iter().flat_map(|entry| &entry.waiting);
        let reason = waiting.find_map(|waiting| waiting.reason.as_deref());
        let null = known.is_some_and(|known| known.envelope.sender == Sender::Null);
        Self::Return {
            id,
            failure: Failure::by_order(reason),
            null_sender: null,
        }
    }

    /// The answer to [`Action::Load`] from what the spool says. `route`: where a recipient goes
    /// now, by its index.
    pub fn read(
        id: QueueId,
        recipients: &[u32],
        read: Result<Option<Envelope>, SpoolError>,
        origin: impl Fn(&Envelope) -> Origin<O>,
        route: impl Fn(&Envelope, u32) -> Option<Routed<D>>,
    ) -> Self {
        let envelope = match read {
            Ok(Some(envelope)) => envelope,
            Ok(None) => return Self::Gone { id },
            Err(error) => {
                return Self::LoadFailed {
                    id,
                    failure: Failure::ours(&error.to_string()),
                    damaged: error.is_damage(),
                };
            }
        };
        let due = recipients.iter();
        let due = due.filter_map(|&index| route(&envelope, index));
        Self::Loaded {
            id,
            origin: origin(&envelope),
            recipients: due.collect(),
        }
    }
}

/// How a peer is silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Silence {
    /// The whole message is out: it may have been taken, so that nobody but the peer ends that.
    pub in_doubt: bool,
    /// The administrator named the next hop: the delivery gives up its place among all, and keeps
    /// that among those to its hosts.
    pub named: bool,
}

/// How long a peer may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// As long as RFC 5321 §4.5.3.2 says.
    Full,
    /// Others wait for the place.
    Short,
}

/// One transaction to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery<D> {
    /// Names it in [`Event::Finished`].
    pub ticket: u64,
    pub id: QueueId,
    /// Indexes in the envelope.
    pub recipients: Vec<u32>,
    pub destination: Arc<D>,
    pub patience: Patience,
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action<D> {
    /// Read the envelope, route these recipients, say `Loaded`, `LoadFailed` or `Gone`.
    Load { id: QueueId, recipients: Vec<u32> },
    /// Deliver, say `Finished`, or `Withdrawn`.
    Deliver(Delivery<D>),
    /// Others wait for the connection of a delivery whose peer is silent: end both with what
    /// recipients were answered, and say `Finished`. Not if the peer has spoken, or the whole
    /// message is out: whatever is said of it next is on its way then. Or those of a question.
    Cut { ticket: u64 },
    /// A question has its place ([`crate::Queue::ask`]): ask, and say what came of it with
    /// [`crate::Queue::answered`], or `Withdrawn`.
    Ask { ticket: u64 },
    /// [`spool::Spool::record`].
    Record { id: QueueId, event: spool::Event },
    /// Tell the sender, then say `Bounced` or `BounceFailed`. `expired`: given up after the queue
    /// lifetime.
    Bounce {
        id: QueueId,
        failed: Vec<(u32, Failure)>,
        expired: bool,
    },
    /// Nobody can be told: it is held from now on, as recorded. `tell`: the administrators hear of
    /// it, once for as long as such mail comes.
    Dead {
        id: QueueId,
        failed: Vec<(u32, Failure)>,
        tell: bool,
    },
    /// Tell the sender that these recipients still wait, then say `Warned` or `WarnFailed`.
    Warn {
        id: QueueId,
        /// When it came, as the clock counts now.
        arrival: Timestamp,
        late: Vec<(u32, Failure)>,
    },
    /// A destination does not answer: nothing is tried there until then (log).
    Suspended {
        destination: Arc<D>,
        until: Timestamp,
        reason: Arc<str>,
    },
    /// A destination turns senders away, so many by now: their mail waits until then, and that of
    /// others goes on (log).
    TurnedAway {
        destination: Arc<D>,
        senders: usize,
        until: Timestamp,
        reason: Arc<str>,
    },
    /// A destination that was suspended answers.
    Resumed(Arc<D>),
    /// Hosts have said how many connections they take, to be kept for [`crate::Queue::teach`].
    Learned(Lesson),
    /// Nothing of it is left: `ID: removed` (log). `deleted`: recipients that the administrator's
    /// order kept from delivery.
    Ended {
        id: QueueId,
        deleted: usize,
        bounced: bool,
        /// It was to be held, deleted or returned, and all of it was delivered by an attempt that
        /// was under way.
        overtaken: bool,
    },
}
