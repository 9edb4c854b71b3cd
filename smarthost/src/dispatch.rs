//! The way into the queue: a message is committed to the spool, then the scheduler hears of it.
//!
//! Contract: who gets a queue id back may promise delivery: the message is on disk, and in the
//! queue. Many messages that wait for the disk at the same moment share one commit.
//! Failures: the spool's own, unchanged.

use std::{
    collections::{HashMap, hash_map},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    activity::Activity, dead_mail::DeadMail, destination::Destination, drain::Progress,
    draining::Draining, lessons::Lessons, loops::SentOn, maillog, news::Teller, provenance,
    route::Router,
};
use control::attempts::Attempts;
use mail::{
    address::{Address, Sender},
    clock::{self, Timestamp},
    envelope::{Envelope, Recipient},
    limits,
    outcome::{Failure, Outcome},
    status::EnhancedStatus,
};
use queue::{Lesson, Origin, Routed};
use spool::{Draft, Hold, QueueId, Spool, SpoolError, Stored};
use system::log::life;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::block_in_place,
};

mod settings;

pub use settings::{queue_settings, transports};

/// Whose mail it is: the client that brought it, nobody where we wrote it ourselves.
pub type Client = Option<IpAddr>;
pub(crate) type Queue = queue::Queue<Destination, Client>;
pub(crate) type Event = queue::Event<Destination, Client>;
pub(crate) type Action = queue::Action<Destination>;
pub(crate) type Delivery = queue::Delivery<Destination>;

/// A question to a next hop: would it take a message for this recipient?
pub(crate) struct Probe {
    pub(crate) destination: Arc<Destination>,
    pub(crate) sender: Sender,
    pub(crate) recipient: Address,
    /// A client of ours asks, and no stranger.
    pub(crate) own: bool,
    /// `None`: there was no place for it.
    pub(crate) done: oneshot::Sender<Option<Outcome>>,
}

/// What becomes of a message that is on disk.
#[derive(Clone, Copy)]
enum Next<'a> {
    Queue(&'a Router),
    Hold(Option<&'a str>),
}

/// More recipients are worked on beside what else there is to do.
const MANY: usize = 1000;
/// Questions that wait.
const PROBES: usize = 100;

/// Spool and scheduler, as everybody who brings mail needs them.
pub(crate) struct Dispatch {
    spool: Spool,
    queue: Mutex<Queue>,
    activity: Arc<Mutex<Activity>>,
    lessons: Arc<Mutex<Lessons>>,
    news: Teller,
    draining: Draining,
    attempts: Attempts,
    dead: Mutex<DeadMail>,
    wake: Notify,
}

impl Dispatch {
    pub(crate) fn new(
        spool: Spool,
        queue: Queue,
        (activity, lessons): (Arc<Mutex<Activity>>, Arc<Mutex<Lessons>>),
        news: Teller,
        draining: Draining,
    ) -> Self {
        Self {
            activity,
            lessons,
            news,
            draining,
            attempts: Attempts::default(),
            spool,
            queue: Mutex::new(queue),
            dead: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// A message is on hold because nobody can be told of its failure.
    pub(crate) fn note_dead(&self, stored: &Stored) {
        if let Some(client) = provenance::who(&stored.envelope) {
            self.dead().add(client, stored.id, stored.size());
        }
    }

    /// Whether so much of a client's mail is dead and on hold that it may bring no more.
    pub(crate) fn is_full_of_dead(&self, client: &str) -> bool {
        let held = |id| self.spool.entry(id).is_some_and(|it| it.hold.is_held());
        self.dead().is_full(client, held)
    }

    fn dead(&self) -> MutexGuard<'_, DeadMail> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How receiving asks sending.
    pub(crate) fn probes() -> (mpsc::Sender<Probe>, mpsc::Receiver<Probe>) {
        mpsc::channel(PROBES)
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The scheduler, for whoever gives it events through [`Self::tell`] or answers administrators.
    pub(crate) fn queue(&self) -> &Mutex<Queue> {
        &self.queue
    }

    /// The scheduler, locked. Never held over an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has happened.
    pub(crate) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hosts have said how many connections they take: known after a restart, too.
    pub(crate) fn learned(&self, lesson: Lesson) {
        let hosts: Vec<&str> = lesson.hosts.iter().map(|host| &**host).collect();
        maillog::learned(&hosts.join(", "), lesson.connections);
        let lessons = self.lessons.lock();
        lessons
            .unwrap_or_else(PoisonError::into_inner)
            .learn(lesson);
        self.news.changed();
    }

    /// One attempt for one recipient, in the log and in the counts.
    pub(crate) fn attempted(
        &self,
        id: QueueId,
        recipient: &Recipient,
        age: Duration,
        outcome: &Outcome,
    ) {
        life::attempt(id, recipient, age, outcome);
        self.attempts.tell(id, None, recipient, outcome);
        self.activity().attempted(age, outcome, clock::now());
    }

    /// For whoever follows a message.
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Whether this server is being emptied.
    pub(crate) fn draining(&self) -> &Draining {
        &self.draining
    }

    /// How far this server is emptied.
    pub(crate) fn drained(&self) -> Option<Progress> {
        let queue = self.lock();
        self.draining.progress(left(&queue))
    }

    /// What administrators are told.
    pub(crate) fn news(&self) -> &Teller {
        &self.news
    }

    /// Gives the scheduler an event; its driver does what follows.
    pub(crate) fn tell(&self, event: Event) {
        self.lock().handle(event, clock::now());
        self.wake.notify_one();
    }

    /// Whether deliveries may begin; if not, when to look again. The queue begins none meanwhile.
    pub(crate) fn may_begin(&self) -> Result<(), Duration> {
        let may = self.spool.may_begin();
        self.lock().refrain(may.is_err(), clock::now());
        may
    }

    /// The driver has something to do.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to do.
    pub(crate) async fn awoken(&self) {
        self.wake.notified().await;
    }

    /// Commits a message and schedules it. Returns when it is on disk.
    ///
    /// What must have a place, and has nobody who would read it, is kept on hold: as a message of
    /// its own, if others get it too.
    pub(crate) async fn enqueue(
        &self,
        draft: Draft,
        envelope: &Envelope,
        header: &[u8],
        router: &Router,
    ) -> Result<QueueId, SpoolError> {
        let recipients = envelope.recipients.iter().cloned();
        let (kept, others): (Vec<_>, Vec<_>) = beside_others(envelope.recipients.len(), || {
            recipients.partition(|recipient| router.is_nobodys(&recipient.address))
        });
        if kept.is_empty() {
            return self
                .commit(draft, envelope, header, Next::Queue(router))
                .await;
        }
        let to = |recipients| Envelope {
            recipients,
            ..envelope.clone()
        };
        let kept = to(kept);
        let held = self.hold(draft, &kept, header, None).await?;
        maillog::nobodys(held, &kept.recipients);
        if others.is_empty() {
            return Ok(held);
        }
        let draft = match block_in_place(|| self.spool.load(held))? {
            Some(stored) => block_in_place(|| self.spool.draft_again(&stored))?,
            None => return Ok(held),
        };
        self.commit(draft, &to(others), header, Next::Queue(router))
            .await
    }

    /// Commits a message that waits until an administrator releases it; listings show why.
    pub(crate) async fn hold(
        &self,
        draft: Draft,
        envelope: &Envelope,
        header: &[u8],
        why: Option<&str>,
    ) -> Result<QueueId, SpoolError> {
        self.commit(draft, envelope, header, Next::Hold(why)).await
    }

    async fn commit(
        &self,
        mut draft: Draft,
        envelope: &Envelope,
        header: &[u8],
        next: Next<'_>,
    ) -> Result<QueueId, SpoolError> {
        if let Next::Hold(_) = next {
            draft.hold(Hold::Held);
        }
        let (done, committed) = oneshot::channel();
        self.spool
            .accept_then(draft, envelope, header, move |result| {
                // Nobody waits any more: the message is queued all the same, and found at the next
                // start.
                let _ = done.send(result);
            });
        let id = committed.await.unwrap_or(Err(SpoolError::Stopped))?;
        let arrival = self
            .spool
            .entry(id)
            .map_or_else(clock::now, |entry| entry.arrival);
        match next {
            Next::Queue(router) => self.schedule(id, arrival, envelope, router),
            Next::Hold(why) => self.keep(id, arrival, envelope, why),
        }
        Ok(id)
    }

    fn keep(&self, id: QueueId, arrival: Timestamp, envelope: &Envelope, why: Option<&str>) {
        let waiting = (0u32..).zip(&envelope.recipients);
        if let Some(why) = why {
            let event = spool::Event::Deferred {
                recipients: waiting.clone().map(|(recipient, _)| recipient).collect(),
                until: arrival,
                reason: why.into(),
            };
            self.spool.record(id, event);
        }
        self.enter(id, arrival, envelope, None);
    }

    /// Queues a message that is in the queue once more, for these recipients.
    pub(crate) async fn forward(
        &self,
        stored: &Stored,
        recipients: Vec<Recipient>,
        router: &Router,
    ) -> Result<QueueId, SpoolError> {
        let envelope = Envelope {
            recipients,
            ..stored.envelope.clone()
        };
        let draft = block_in_place(|| self.spool.draft_again(stored))?;
        let id = self
            .enqueue(draft, &envelope, &stored.header, router)
            .await?;
        maillog::queued(id, &envelope, stored.size(), None);
        Ok(id)
    }

    fn schedule(&self, id: QueueId, arrival: Timestamp, envelope: &Envelope, router: &Router) {
        let indexes = (0u32..).zip(&envelope.recipients);
        let route = || {
            indexes
                .filter_map(|(index, _)| routed(index, envelope, router))
                .collect()
        };
        let recipients = beside_others(envelope.recipients.len(), route);
        for recipient in &recipients {
            self.log_unrouted(id, Some(arrival), envelope, recipient);
        }
        let scheduled = Event::Accepted {
            id,
            arrival,
            origin: origin(envelope, router),
            recipients,
        };
        self.enter(id, arrival, envelope, Some(scheduled));
    }

    /// A recipient that there is no way for has its line in the log as one whose delivery failed.
    pub(crate) fn log_unrouted(
        &self,
        id: QueueId,
        arrival: Option<Timestamp>,
        envelope: &Envelope,
        routed: &Routed<Destination>,
    ) {
        let at = usize::try_from(routed.recipient).ok();
        let recipient = at.and_then(|at| envelope.recipients.get(at));
        if let (Err(failure), Some(recipient)) = (&routed.destination, recipient) {
            let now = clock::now();
            let age = now.since(arrival.unwrap_or(now));
            self.attempted(id, recipient, age, &failure.clone().outcome());
        }
    }

    /// Queues a message of our own (bounce, notice): complete, in canonical CRLF lines.
    pub(crate) async fn inject(
        &self,
        message: &[u8],
        envelope: Envelope,
        router: &Router,
    ) -> Result<QueueId, SpoolError> {
        self.enter_own(message, envelope, router, |_| {}).await
    }

    /// The same; its attempts are remembered, from the first one on.
    pub(crate) async fn inject_followed(
        &self,
        message: &[u8],
        envelope: Envelope,
        router: &Router,
    ) -> Result<QueueId, SpoolError> {
        let follow = |id| self.attempts.follow(id);
        self.enter_own(message, envelope, router, follow).await
    }

    /// `known`: hears its id before it is queued.
    async fn enter_own(
        &self,
        message: &[u8],
        mut envelope: Envelope,
        router: &Router,
        known: impl FnOnce(QueueId),
    ) -> Result<QueueId, SpoolError> {
        let size = u64::try_from(message.len()).unwrap_or(u64::MAX);
        let (draft, header, content) = self.spool.draft_of(message)?;
        known(draft.id());
        envelope.content = content;
        if let Ok(recipients) = expand(&envelope.recipients, &SentOn::default(), router) {
            envelope.recipients = recipients;
        }
        let id = self
            .enqueue(draft, &envelope, &header.to_bytes(), router)
            .await?;
        maillog::queued(id, &envelope, size, None);
        Ok(id)
    }
}

/// What is in the queue, for the balance of a drain: also what has ended and is not counted yet.
pub(crate) fn left(queue: &Queue) -> usize {
    queue.len().saturating_add(queue.ending())
}

/// Work on so many recipients. On many of them it takes its time, and others go on meanwhile.
fn beside_others<T>(recipients: usize, work: impl FnOnce() -> T) -> T {
    if recipients > MANY {
        block_in_place(work)
    } else {
        work()
    }
}

/// What the queue wants to know of a message as a whole.
///
/// A stranger's mail is not kept on hold where nobody can be told of its failure: he could fill the
/// disk with bounces that nobody takes.
pub fn origin(envelope: &Envelope, router: &Router) -> Origin<Client> {
    Origin {
        owner: owner(envelope),
        unreturnable: envelope.sender == Sender::Null && !router.is_strangers(envelope),
        sender: queue::sender(&envelope.sender),
    }
}

/// Whose a message is.
pub(crate) fn owner(envelope: &Envelope) -> Client {
    let (_, address) = provenance::client_of(&envelope.origin);
    address.parse().ok()
}

/// A recipient with where it goes now.
pub fn routed(index: u32, envelope: &Envelope, router: &Router) -> Option<Routed<Destination>> {
    let at = usize::try_from(index).ok()?;
    let recipient = envelope.recipients.get(at)?;
    let null_sender = envelope.sender == Sender::Null;
    // Which of those with the same address.
    let nth = || {
        let key = recipient.address.key();
        let before = envelope.recipients.iter().take(at);
        before.filter(|other| other.address.key() == key).count()
    };
    Some(Routed {
        recipient: index,
        lifetime: router.lifetime(&recipient.address, null_sender),
        destination: router
            .nth_destination(&recipient.address, nth)
            .map(Arc::<Destination>::new),
    })
}

/// Recipients after aliases, each address once. One that cannot be expanded, or that has `sent` the
/// message on before, stays as it is and fails at delivery, so that the sender hears of it.
pub fn expand(
    recipients: &[Recipient],
    sent: &SentOn,
    router: &Router,
) -> Result<Vec<Recipient>, Failure> {
    let mut known = HashMap::new();
    let mut all: Vec<Recipient> = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let mut expanded = if sent.is_by(&recipient.address) {
            vec![recipient.clone()]
        } else {
            let expanded = router.expand(recipient);
            expanded.unwrap_or_else(|_| vec![recipient.clone()])
        };
        let nobody = router.leave_out(&mut expanded);
        maillog::left_out(&recipient.address, &nobody);
        let mut here = HashMap::new();
        for recipient in expanded {
            // A program each stands behind the same address.
            let nth = here.entry(recipient.address.key()).or_insert(0usize);
            *nth += 1;
            match known.entry((recipient.address.key(), *nth)) {
                hash_map::Entry::Vacant(place) => {
                    place.insert(all.len());
                    all.push(recipient);
                }
                // One mailbox for two recipients: whoever wants to be told is told.
                hash_map::Entry::Occupied(place) => {
                    if let Some(first) = all.get_mut(*place.get()) {
                        first.notify = first.notify.or(recipient.notify);
                    }
                }
            }
        }
        if all.len() > limits::EXPANDED {
            let text = "too many recipients after aliases; send it to fewer at once";
            return Err(Failure::local(EnhancedStatus::new(4, 5, 3), text));
        }
    }
    Ok(all)
}
