//! Spool and queue together: what is in the spool the queue knows, and what the queue decides is
//! recorded.
//!
//! Contract: what the queue wants recorded is recorded in its order, before anything else follows
//! from it. Whoever gets a queue id back from [`Dispatch::inject`] may promise delivery.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use mail::{
    address::Sender as MailFrom,
    clock::{self, Timestamp},
    envelope::Envelope,
    outcome::Failure,
};
use queue::{BackOff, Origin, Recovered, Routed, Slots};
use relay::delivery::stopped;
use spool::{Entry, Hold, QueueId, Spool, SpoolError, Stored, Waiting};

use crate::config::settings::Settings;

/// Waiting messages that a connection must have before another one is opened beside it.
const PER_CONNECTION: usize = 4;
/// The owner of mail that is nobody's.
pub(super) const NOBODY: u32 = u32::MAX;
/// Whose mail goes first.
const ROOT: u32 = 0;

/// Where all mail goes: whichever of the relayhosts answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Relayhost;

/// Its owners are users.
pub(super) type Queue = queue::Queue<Relayhost, u32>;
pub(super) type Event = queue::Event<Relayhost, u32>;
pub(super) type Action = queue::Action<Relayhost>;
pub(super) type Delivery = queue::Delivery<Relayhost>;

/// What the driver of the queue is told.
pub(super) enum Signal {
    /// There may be something to do.
    Wake,
    /// That worker can take the next delivery.
    Idle(usize),
    /// The queue knows what became of a delivery.
    Ended,
    /// Answer, to show that the thread is alive.
    Alive(Sender<()>),
    /// Begin nothing more; answer when nothing is under way.
    Stop(Sender<()>),
}

/// Spool and queue.
pub(super) struct Dispatch {
    pub(super) spool: Spool,
    queue: Mutex<Queue>,
    signals: Sender<Signal>,
    halting: AtomicBool,
    /// Deliveries under way, and whether the connection is wanted for others.
    cuts: Mutex<HashMap<u64, bool>>,
}

impl Dispatch {
    /// With everything that is in the spool; the receiver is the driver's.
    pub(super) fn new(spool: Spool, settings: &Settings) -> (Self, Receiver<Signal>) {
        let schedule = settings.retry;
        let slots = Slots::of_one(settings.connections, PER_CONNECTION);
        let settings = queue::Settings {
            schedule,
            back_off: BackOff::of_one(&schedule),
            warning: settings.warning,
            slots: if settings.limits_connections {
                slots.strict()
            } else {
                slots
            },
            first: Some(ROOT),
        };
        let mut queue = Queue::new(settings, getrandom::u64().unwrap_or_default());
        let now = clock::now();
        for entry in spool.entries() {
            let found = Recovered::of(&entry, entry.uid.unwrap_or(NOBODY));
            queue.handle(Event::Recovered(found), now);
        }
        let (signals, received) = channel();
        let dispatch = Self {
            spool,
            queue: Mutex::new(queue),
            signals,
            halting: AtomicBool::new(false),
            cuts: Mutex::default(),
        };
        (dispatch, received)
    }

    /// Tells the queue; what follows is done by its driver.
    pub(super) fn tell(&self, event: Event) {
        let mut queue = self.lock();
        queue.handle(event, clock::now());
        for (id, event) in queue.take_records() {
            self.spool.record(id, event);
        }
        drop(queue);
        self.signal(Signal::Wake);
    }

    /// Deliveries under way end with what recipients were answered.
    pub(super) fn halt(&self) {
        self.halting.store(true, Ordering::SeqCst);
    }

    /// Why they do, once they are to.
    pub(super) fn halted(&self) -> Option<Failure> {
        self.halting.load(Ordering::SeqCst).then(stopped)
    }

    /// Others wait for the connection of a delivery whose relayhost is silent.
    pub(super) fn cut(&self, ticket: u64) {
        if let Some(cut) = self.cuts().get_mut(&ticket) {
            *cut = true;
        }
    }

    /// Deliveries under way, and whether that is so.
    pub(super) fn cuts(&self) -> MutexGuard<'_, HashMap<u64, bool>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To the driver, which is gone only when the agent ends.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = self.signals.send(signal);
    }

    /// A message is in the spool: it is tried now, or when what was recorded of it says so.
    pub(super) fn arrived(&self, id: QueueId, envelope: &Envelope) {
        let Some(entry) = self.spool.entry(id) else {
            return;
        };
        let origin = origin(envelope);
        if entry.hold != Hold::No || entry.repeats.is_some() {
            return self.tell(Event::Recovered(Recovered::of(&entry, origin.owner)));
        }
        let recipients = entry
            .waiting
            .iter()
            .map(|waiting| routed(waiting.recipient));
        self.tell(Event::Accepted {
            id,
            arrival: entry.arrival,
            origin,
            recipients: recipients.collect(),
        });
    }

    /// Queues a message of our own: complete, in canonical CRLF lines.
    pub(super) fn inject(&self, envelope: &Envelope, text: &[u8]) -> Result<QueueId, SpoolError> {
        let (draft, header, content) = self.spool.draft_of(text)?;
        let envelope = Envelope {
            content,
            ..envelope.clone()
        };
        let id = self.spool.accept(draft, &envelope, &header.to_bytes())?;
        self.arrived(id, &envelope);
        Ok(id)
    }

    /// Queues a message in the place of one that is queued, as old as that, and ends that. Of the
    /// recipients, those in `waiting` are not settled. No delivery of it may be under way.
    pub(super) fn replace(
        &self,
        (stored, entry): (&Stored, &Entry),
        envelope: &Envelope,
        waiting: Vec<Waiting>,
    ) -> Result<Option<QueueId>, SpoolError> {
        let mut new = None;
        if !waiting.is_empty() {
            let draft = self.spool.draft_in_place_of(stored, entry, waiting)?;
            let id = self.spool.accept(draft, envelope, &stored.header)?;
            self.arrived(id, envelope);
            if entry.warned {
                self.tell(Event::Warned { id });
            }
            new = Some(id);
        }
        self.tell(Event::Moved { id: stored.id });
        Ok(new)
    }

    /// When a message is tried next.
    pub(super) fn next_attempt(&self, id: QueueId) -> Option<Timestamp> {
        self.lock().next_attempt(id)
    }

    /// Whether an attempt is under way.
    pub(super) fn is_under_way(&self, id: QueueId) -> bool {
        self.lock().is_under_way(id)
    }

    /// Until when nothing is tried at the relayhosts, if that is known.
    pub(super) fn suspended(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().suspended(&Relayhost, now)
    }

    /// Deliveries under way.
    pub(super) fn in_flight(&self) -> usize {
        self.lock().in_flight()
    }

    /// What is to be done.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut queue = self.lock();
        std::iter::from_fn(|| queue.next_action()).collect()
    }

    /// Whether deliveries may begin; if not, when to look again. The queue begins none meanwhile.
    pub(super) fn may_begin(&self) -> Result<(), Duration> {
        let may = self.spool.may_begin();
        self.lock().refrain(may.is_err(), clock::now());
        may
    }

    /// How long there is nothing to do.
    pub(super) fn rest(&self, most: Duration) -> Duration {
        let deadline = self.lock().deadline();
        deadline.map_or(most, |deadline| deadline.since(clock::now()).min(most))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the queue wants to know of a message as a whole.
pub(super) fn origin(envelope: &Envelope) -> Origin<u32> {
    Origin {
        owner: envelope.uid.unwrap_or(NOBODY),
        unreturnable: envelope.sender == MailFrom::Null,
        sender: queue::sender(&envelope.sender),
    }
}

/// Everybody is reached over the relayhost.
pub(super) fn routed(recipient: u32) -> Routed<Relayhost> {
    Routed {
        recipient,
        destination: Ok(std::sync::Arc::new(Relayhost)),
        lifetime: None,
    }
}
