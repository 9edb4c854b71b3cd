//! A look at a disk that may not answer, made by another thread.
//!
//! Contract: who asks waits for [`BRIEF`] at most, and not at all once it is known that the disk is
//! late; several that ask share a look that begins after them. The last answer is kept.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{asked::BRIEF, lock};
use mail::clock;
use system::workers;

/// Something that is looked at.
pub(super) struct Apart<T> {
    work: Box<dyn Fn() -> T + Send + Sync>,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    asked: u64,
    answered: u64,
    /// Since when a look has been under way.
    begun: Option<Instant>,
    /// A thread looks.
    served: bool,
    last: Option<Arc<T>>,
}

/// What was seen.
pub(super) enum Seen<T> {
    Now(Arc<T>),
    /// The disk is late, for so long; what was seen before.
    Late(Duration, Option<Arc<T>>),
}

impl<T: Send + Sync + 'static> Apart<T> {
    pub(super) fn new(work: impl Fn() -> T + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            work: Box::new(work),
            state: Mutex::new(State {
                asked: 0,
                answered: 0,
                begun: None,
                served: false,
                last: None,
            }),
            changed: Condvar::new(),
        })
    }

    /// How long the look has taken that is under way.
    pub(super) fn late(&self) -> Duration {
        let begun = lock(&self.state).begun;
        begun.map_or(Duration::ZERO, since)
    }

    /// Looks.
    pub(super) fn ask(self: &Arc<Self>) -> Seen<T> {
        let mut state = lock(&self.state);
        state.asked = state.asked.saturating_add(1);
        let mine = state.asked;
        if !state.served {
            let own = Arc::clone(self);
            state.served = workers::run(move || own.serve()).is_ok();
            if !state.served {
                drop(state);
                return Seen::Now(Arc::new((self.work)()));
            }
        }
        let asked = clock::steady();
        loop {
            if state.answered >= mine
                && let Some(last) = &state.last
            {
                return Seen::Now(Arc::clone(last));
            }
            let late = state.begun.map_or(Duration::ZERO, since);
            let waited = late.max(since(asked));
            if waited >= BRIEF {
                return Seen::Late(waited, state.last.clone());
            }
            let woken = self
                .changed
                .wait_timeout(state, BRIEF.saturating_sub(waited));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Looks until nobody waits for a look.
    fn serve(&self) {
        let mut state = lock(&self.state);
        while state.asked != state.answered {
            let asked = state.asked;
            state.begun = Some(clock::steady());
            drop(state);
            let found = Arc::new((self.work)());
            state = lock(&self.state);
            state.begun = None;
            state.answered = asked;
            state.last = Some(found);
            self.changed.notify_all();
        }
        state.served = false;
    }
}

fn since(then: Instant) -> Duration {
    clock::steady().saturating_duration_since(then)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn a_disk_that_does_not_answer_is_waited_for_briefly_and_what_was_seen_is_kept() {
        let (answer, answers) = mpsc::channel::<u32>();
        let answers = Mutex::new(answers);
        let apart = Apart::new(move || lock(&answers).recv().unwrap_or_default());
        answer.send(1).unwrap();
        assert!(matches!(apart.ask(), Seen::Now(seen) if *seen == 1));
        // Nobody answers; the second asker finds it late and does not wait.
        for _ in 0..2 {
            assert!(
                matches!(apart.ask(), Seen::Late(late, Some(seen)) if *seen == 1 && late >= BRIEF)
            );
        }
        assert!(apart.late() >= BRIEF);
        answer.send(2).unwrap();
        answer.send(3).unwrap();
        while apart.late() > Duration::ZERO {
            thread::yield_now();
        }
        drop(answer);
        assert!(matches!(apart.ask(), Seen::Now(_)));
    }
}
