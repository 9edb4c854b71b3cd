//! A program of ours: its spool on a simulated disk, its queue, its deliveries and sessions, under
//! a clock that the world sets.
//!
//! In place of what moves it there: the agent's `dispatch`, `delivery::driver` and
//! `delivery::report` (threads), smarthost's `dispatch`, `delivery::driver` and
//! `delivery::nondelivery` (tokio). These lines are written again here, in the same order, and are
//! not covered.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex},
    time::Instant,
};

use mail::{
    clock::{self, Timestamp},
    envelope::Envelope,
    outcome::Failure,
};
use queue::{Event, Origin, Queue, Recovered, Routed, clock::Watch};
use relay::delivery::{Host, Locality, Memory, Place, Way};
use smtp::session::{Question, Verdict};
use spool::{
    QueueId, Spool, Stored,
    simulation::{Luck, Sim},
};
use tempfile::TempDir;

use crate::{
    model::{Model, token_of},
    names::Names,
    network::{Arrival, ConnId, Micros, Network, Owner, SECOND, Sent, Side},
    receiving::Reception,
    sending::{Errand, Kept},
    story::Story,
    trouble::{QUIET, Trouble, disk, scratch},
};

/// What a step sees and does of the world; what it does happens when the program is still there at
/// its end.
pub(crate) struct Context<'a> {
    pub(crate) owner: Owner,
    pub(crate) now: Micros,
    pub(crate) wall: Timestamp,
    pub(crate) steady: Instant,
    pub(crate) names: &'a Names,
    pub(crate) network: &'a mut Network,
    pub(crate) story: &'a mut Story,
    pub(crate) out: Vec<Sent>,
    pub(crate) notes: Vec<Note>,
}

/// Something that the oracle is told.
pub(crate) type Note = Box<dyn FnOnce(&mut Model)>;

/// What is different in the two programs.
pub(crate) trait Role: Sized {
    type D: Eq + Hash + Clone + Debug;
    type O: Copy + Ord + Hash + Debug;
    /// It is started: what it keeps beside the spool is read.
    fn start(&mut self, now: Timestamp);
    fn hostname(&self) -> &str;
    fn queue(&self, seed: u64, now: Timestamp) -> Queue<Self::D, Self::O>;
    fn origin(&self, envelope: &Envelope) -> Origin<Self::O>;
    fn owner(&self, uid: Option<u32>) -> Self::O;
    fn routed(&self, index: u32, envelope: &Envelope) -> Option<Routed<Self::D>>;
    fn way(&self, to: &Self::D, names: &Names, now: Micros) -> Result<Way, Failure>;
    /// The hosts of a destination are shared with others, and counted.
    fn shares() -> bool;
    fn session(&self) -> smtp::session::Settings;
    /// A client brought it who may not relay.
    fn is_strangers(&self, envelope: &Envelope) -> bool;
    fn decide(
        up: &mut Up<Self>,
        role: &mut Self,
        reception: &mut Reception,
        question: &Question,
        context: &mut Context<'_>,
    ) -> Verdict;
    /// A message under way came to nothing.
    fn abort(&mut self, reception: &mut Reception, now: Timestamp);
}

pub(crate) struct Program<R: Role> {
    pub(crate) name: String,
    pub(crate) owner: Owner,
    pub(crate) role: R,
    pub(crate) up: Option<Up<R>>,
    directory: TempDir,
    disk: Arc<Sim>,
    trouble: Arc<Mutex<Trouble>>,
    /// Its clock is ahead by so many milliseconds.
    pub(crate) skew: i64,
    starts: u64,
    /// There is mail that it could not read when it started.
    pub(crate) misses: bool,
    pub(crate) back_at: Option<Micros>,
}

/// A program that runs.
pub(crate) struct Up<R: Role> {
    pub(crate) spool: Spool,
    pub(crate) queue: Queue<R::D, R::O>,
    pub(crate) memory: Memory,
    watch: Watch,
    /// When what was recorded must be on disk.
    flush: Option<Micros>,
    /// When the clock is looked at, whatever happens.
    look: Option<Micros>,
    pub(crate) errands: BTreeMap<u64, Errand<R::D>>,
    pub(crate) kept: Vec<Kept<R::D>>,
    pub(crate) sessions: BTreeMap<ConnId, Reception>,
    /// Messages whose end is not certainly on disk.
    unsettled: BTreeMap<QueueId, u32>,
    /// Refused by a disk that failed, and on it perhaps.
    pub(crate) doubtful: Vec<u32>,
}

/// Delivery results are on disk after this, as in the spool's default.
const LINGER: Micros = SECOND;

impl<R: Role> Program<R> {
    pub(crate) fn new(name: String, owner: Owner, role: R) -> Self {
        let (directory, trouble) = (scratch(), Arc::default());
        let disk = disk(directory.path(), &trouble);
        Self {
            name,
            owner,
            role,
            up: None,
            directory,
            disk,
            trouble,
            skew: 0,
            starts: 0,
            misses: false,
            back_at: Some(0),
        }
    }

    pub(crate) fn ail(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    /// The power is cut, or (`luck`: everything) the process killed.
    pub(crate) fn crash(&mut self, luck: Luck, back_at: Micros, model: &mut Model) {
        self.ail(Trouble::default());
        if let Some(up) = &self.up {
            for token in up.unsettled.values().chain(&up.doubtful) {
                model.excuse(*token, "a program crashed that had it");
            }
        }
        self.disk.cut();
        self.up = None;
        let after = scratch();
        self.disk.leave(luck, self.directory.path(), after.path());
        self.directory = after;
        self.disk = disk(self.directory.path(), &self.trouble);
        self.back_at = Some(back_at);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.up.is_some() && self.disk.is_off()
    }

    /// A clean end.
    pub(crate) fn stop(&mut self, back_at: Micros) {
        if let Some(up) = self.up.take() {
            up.spool.close();
        }
        self.back_at = Some(back_at);
    }

    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        self.back_at = None;
        self.starts += 1;
        self.role.start(context.wall);
        let ill = self.trouble.lock().unwrap().failing > 0;
        let opened = Spool::simulated(&self.disk, self.directory.path(), QUIET);
        let (spool, found) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                context
                    .story
                    .tell(context.now, &self.name, || format!("cannot start: {error}"));
                self.back_at = Some(context.now + 60 * SECOND);
                return;
            }
        };
        let mut queue = self.role.queue(self.starts, context.wall);
        let mut unsettled = BTreeMap::new();
        for entry in spool.entries() {
            let found = Recovered::of(&entry, self.role.owner(entry.uid));
            queue.handle(Event::Recovered(found), context.wall);
            if let Ok(Some(stored)) = spool.load(entry.id) {
                unsettled.extend(token(&stored).map(|token| (entry.id, token)));
            }
        }
        context
            .story
            .tell(context.now, &self.name, || format!("starts with {found:?}"));
        self.misses = found.unopened + found.unsaved > 0;
        let damage = found.quarantined + found.lost + found.unopened;
        if !ill && damage + found.unsaved + found.spoiled > 0 {
            context.notes.push(Box::new(move |model| {
                model.wrong.push(format!("a crash is no damage: {found:?}"));
            }));
        }
        self.up = Some(Up {
            spool,
            queue,
            memory: Memory::default(),
            watch: Watch::new(context.wall, context.steady),
            flush: None,
            look: None,
            errands: BTreeMap::new(),
            kept: Vec::new(),
            sessions: BTreeMap::new(),
            unsettled,
            doubtful: Vec::new(),
        });
        self.go_on(context);
    }

    /// When something is to be done at the latest.
    pub(crate) fn due(
        &self,
        wall_to_micros: impl Fn(Timestamp) -> Micros,
        steady: impl Fn(Instant) -> Micros,
    ) -> Option<Micros> {
        let Some(up) = &self.up else {
            return self.back_at;
        };
        let queue = up.queue.deadline().map(wall_to_micros);
        let sessions = up
            .sessions
            .values()
            .filter_map(|it| it.session.deadline())
            .map(&steady);
        let errands = up.errands.values().filter_map(|it| it.due(&steady));
        let kept = up.kept.iter().map(Kept::due);
        [queue, up.flush, up.look]
            .into_iter()
            .flatten()
            .chain(sessions)
            .chain(errands)
            .chain(kept)
            .min()
    }

    /// Something has become due.
    pub(crate) fn tick(&mut self, context: &mut Context<'_>) {
        let Some(up) = &mut self.up else {
            if self.back_at.is_some_and(|at| at <= context.now) {
                self.start(context);
            }
            return;
        };
        up.look = up.look.filter(|at| *at > context.now);
        up.tick_sessions(&mut self.role, context);
        up.tick_errands(&mut self.role, context);
        if up.queue.deadline().is_some_and(|due| due <= context.wall) {
            up.queue.handle(Event::TimedOut, context.wall);
        }
        if up.flush.is_some_and(|at| at <= context.now) {
            up.flush(context);
        }
        self.go_on(context);
    }

    pub(crate) fn arrived(
        &mut self,
        conn: ConnId,
        side: Side,
        arrival: Arrival,
        context: &mut Context<'_>,
    ) {
        let Some(up) = &mut self.up else {
            return;
        };
        match side {
            Side::Listener => up.receive(&mut self.role, conn, arrival, context),
            Side::Dialler => up.answered(&mut self.role, conn, arrival, context),
        }
        self.go_on(context);
    }

    /// Does what the queue asks.
    pub(crate) fn go_on(&mut self, context: &mut Context<'_>) {
        let Some(up) = &mut self.up else {
            return;
        };
        if let Some(step) = up.watch.look(context.wall, context.steady) {
            context
                .story
                .tell(context.now, &self.name, || format!("clock set {step}"));
            up.queue.handle(Event::Stepped(step), context.wall);
        }
        loop {
            for (id, event) in up.queue.take_records() {
                up.record(id, event, context);
            }
            let Some(action) = up.queue.next_action() else {
                break;
            };
            up.carry_out(&mut self.role, action, context);
        }
    }

    /// Messages in the spool that are on hold, by number; and whether there is nothing else.
    pub(crate) fn left(&self) -> (BTreeSet<u32>, bool) {
        let Some(up) = &self.up else {
            return (BTreeSet::new(), false);
        };
        let entries = up.spool.entries();
        // What is on its way back to its sender is not done either.
        let (waiting, held): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|it| matches!(it.hold, spool::Hold::No | spool::Hold::Returned));
        let held = held
            .iter()
            .filter_map(|it| token(&up.spool.load(it.id).ok()??));
        (held.collect(), waiting.is_empty())
    }

    /// Messages in the spool, with what they are about.
    pub(crate) fn queued(&self) -> Vec<(QueueId, Option<u32>)> {
        let Some(up) = &self.up else {
            return Vec::new();
        };
        let about = |id| Some((id, token(&up.spool.load(id).ok().flatten()?)));
        let entries = up.spool.entries().into_iter();
        entries.filter_map(|it| about(it.id)).collect()
    }

    /// The clock is looked at then.
    pub(crate) fn look(&mut self, at: Micros) {
        if let Some(up) = &mut self.up {
            up.look = Some(at);
        }
    }
}

/// The number of the message that is stored, or is told of.
pub(crate) fn token(stored: &Stored) -> Option<u32> {
    let mut text = stored.header.clone();
    text.extend(stored.beginning(16 * 1024).ok()?);
    token_of(&text)
}

impl<R: Role> Up<R> {
    pub(crate) fn record(&mut self, id: QueueId, event: spool::Event, context: &Context<'_>) {
        self.spool.record(id, event);
        self.flush.get_or_insert(context.now + LINGER);
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        self.flush = None;
        if self.spool.flush().is_ok() {
            let spool = &self.spool;
            self.unsettled.retain(|id, _| spool.entry(*id).is_some());
        } else {
            self.flush = Some(context.now + LINGER);
        }
    }

    /// A message is in the spool.
    pub(crate) fn arrived(
        &mut self,
        role: &R,
        id: QueueId,
        envelope: &Envelope,
        token: Option<u32>,
        context: &Context<'_>,
    ) {
        let arrival = self
            .spool
            .entry(id)
            .map_or_else(clock::now, |entry| entry.arrival);
        self.unsettled.extend(token.map(|token| (id, token)));
        let indexes = (0u32..).zip(&envelope.recipients);
        let recipients = indexes
            .filter_map(|(index, _)| role.routed(index, envelope))
            .collect();
        let origin = role.origin(envelope);
        self.queue.handle(
            Event::Accepted {
                id,
                arrival,
                origin,
                recipients,
            },
            context.wall,
        );
    }
}

/// Where the addresses of a host lead.
pub(crate) fn places(
    host: &Host,
    names: &Names,
    now: Micros,
) -> Result<Vec<(Place, Locality)>, Failure> {
    let found = names.addresses(&host.name, now)?;
    let place = |address| Place::Tcp((address, host.port).into());
    Ok(found
        .into_iter()
        .map(|address| (place(address), Locality::Elsewhere))
        .collect())
}
