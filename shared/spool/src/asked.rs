//! What a disk has been asked and has not answered: a disk that is away lets whoever reads or
//! writes wait, and says nothing.
//!
//! Contract: [`Asked::during`] counts from the first moment. What waits for [`HANGS`] is told in
//! the log, once, and once when the disk answers again, by a thread that asks the disk nothing; it
//! is there only while something is asked, and a little longer.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use mail::clock;
use system::workers;

use super::{
    journal::{self, Level},
    lock,
};

/// How long an answer is waited for by those who can do without it.
pub(super) const BRIEF: Duration = Duration::from_secs(1);
/// What has waited this long is told to administrators.
pub(super) const HANGS: Duration = Duration::from_secs(5);
/// So many questions that wait show that the whole disk is away.
const MANY: usize = 8;
/// How long a thread that tells is kept while nothing is asked.
const IDLE: Duration = Duration::from_secs(10);

/// All of it.
pub(super) struct Asked {
    root: Arc<Path>,
    state: Mutex<State>,
    /// Somebody is to be told: there may be threads.
    tells: bool,
}

#[derive(Default)]
struct State {
    next: u64,
    open: BTreeMap<u64, Question>,
    /// A thread tells what waits for too long.
    served: bool,
    /// That something does was told.
    told: bool,
}

struct Question {
    since: Instant,
    doing: &'static str,
    path: Arc<Path>,
}

impl Question {
    fn waited(&self) -> Duration {
        clock::steady().saturating_duration_since(self.since)
    }

    fn is_late(&self) -> bool {
        self.waited() >= BRIEF
    }

    fn told(&self) -> String {
        let (doing, path, waited) = (self.doing, self.path.display(), self.waited().as_secs());
        format!("spool: the disk does not answer: {doing} {path} has waited {waited} seconds")
    }
}

impl Asked {
    pub(super) fn new(root: &Path, tells: bool) -> Arc<Self> {
        Arc::new(Self {
            root: root.into(),
            state: Mutex::default(),
            tells,
        })
    }

    /// Asks the disk for something. `doing`: as in "cannot read".
    pub(super) fn during<T>(
        self: &Arc<Self>,
        doing: &'static str,
        path: impl Into<Arc<Path>>,
        work: impl FnOnce() -> T,
    ) -> T {
        let _open = self.begin(doing, path.into());
        work()
    }

    /// The same of the spool as a whole.
    pub(super) fn at_root<T>(self: &Arc<Self>, doing: &'static str, work: impl FnOnce() -> T) -> T {
        self.during(doing, Arc::clone(&self.root), work)
    }

    fn begin(self: &Arc<Self>, doing: &'static str, path: Arc<Path>) -> Open<'_> {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next = number.wrapping_add(1);
        let since = clock::steady();
        let question = Question { since, doing, path };
        state.open.insert(number, question);
        if self.tells && !state.served {
            let own = Arc::clone(self);
            state.served = workers::run(move || own.serve()).is_ok();
        }
        drop(state);
        Open {
            asked: self,
            number,
        }
    }

    pub(super) fn has_threads(&self) -> bool {
        self.tells
    }

    /// How long the oldest question waits.
    pub(super) fn late(&self) -> Duration {
        let state = lock(&self.state);
        state.oldest().map_or(Duration::ZERO, Question::waited)
    }

    /// Whether so much waits that the whole disk is away.
    pub(super) fn is_away(&self) -> bool {
        lock(&self.state).is_away()
    }

    /// Whether nobody should ask for this file now.
    pub(super) fn is_late_at(&self, path: &Path) -> bool {
        let state = lock(&self.state);
        let mut late = state.open.values().filter(|it| it.is_late());
        state.is_away() || late.any(|it| *it.path == *path)
    }

    /// What waits, for administrators.
    pub(super) fn alarm(&self) -> Option<String> {
        let state = lock(&self.state);
        let oldest = state.oldest().filter(|it| it.waited() >= HANGS)?;
        let since = clock::now().before(oldest.waited()).mailq();
        let (root, doing, path) = (self.root.display(), oldest.doing, oldest.path.display());
        let others = state.open.values().filter(|it| it.is_late()).count();
        let others = match others.saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(format!(
            "the disk of {root} has not answered since {since}: {doing} {path}{others}; the mail \
             that needs it waits, and goes on by itself once the disk answers (is the file system \
             frozen? is its network there? what does the kernel say of the disk?)"
        ))
    }

    /// The thread that tells.
    fn serve(&self) {
        let mut idle = Duration::ZERO;
        while idle < IDLE {
            thread::park_timeout(BRIEF);
            let mut state = lock(&self.state);
            idle = if state.open.is_empty() {
                idle.saturating_add(BRIEF)
            } else {
                Duration::ZERO
            };
            let untold = state
                .oldest()
                .filter(|it| it.waited() >= HANGS && !state.told);
            let text = untold.map(Question::told);
            state.told |= text.is_some();
            state.served = idle < IDLE;
            // The log may be on that disk, too.
            drop(state);
            if let Some(text) = text {
                journal::line(Level::Error, &text);
            }
        }
    }
}

impl State {
    /// Those who ask later have later numbers.
    fn oldest(&self) -> Option<&Question> {
        self.open.values().next()
    }

    fn is_away(&self) -> bool {
        let late = self.open.values().filter(|it| it.is_late());
        late.take(MANY).count() == MANY
    }
}

/// A question that has no answer yet.
struct Open<'a> {
    asked: &'a Asked,
    number: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.asked.state);
        state.open.remove(&self.number);
        let late = state.oldest().is_some_and(|it| it.waited() >= HANGS);
        let over = state.told && !late;
        state.told &= !over;
        drop(state);
        if over {
            journal::line(Level::Notice, &"spool: the disk answers again");
        }
    }
}
