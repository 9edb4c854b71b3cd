//! Rules are judged where their tables cost no other session anything.
//!
//! Contract: as long as that is quick, on the threads that drive sockets; once it was slow (aliases
//! with many members, thousands of patterns), on others, of which strangers and clients of ours
//! each have a bounded number, in the order in which they come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::policy::{Evaluation, Step};

/// Longer than this is slow.
const SLOW: Duration = Duration::from_micros(500);
/// So many quick steps in a row make up for a slow one.
const WARY: u32 = 256;

/// Where rules are judged.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Steps that are still taken aside.
    wary: AtomicU32,
    strangers: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

impl Default for Bench {
    fn default() -> Self {
        // Half of the machine at most is for those whom nobody knows.
        let most = thread::available_parallelism().map_or(1, |all| (all.get() / 2).max(1));
        Self {
            wary: AtomicU32::new(0),
            strangers: Arc::new(Semaphore::new(most)),
            own: Arc::new(Semaphore::new(most)),
        }
    }
}

impl Bench {
    /// The next step of a chain; `None`: it broke off.
    pub(super) async fn step(
        &self,
        mut evaluation: Evaluation,
        own: bool,
    ) -> Option<(Evaluation, Step)> {
        let wary = self.wary.load(Ordering::Relaxed);
        let (stepped, took) = if wary == 0 {
            timed(move || {
                let step = evaluation.step();
                (evaluation, step)
            })
        } else {
            let places = if own { &self.own } else { &self.strangers };
            let place = Arc::clone(places).acquire_owned().await.ok()?;
            let aside = spawn_blocking(move || {
                let stepped = timed(move || {
                    let step = evaluation.step();
                    (evaluation, step)
                });
                drop(place);
                stepped
            });
            aside.await.ok()?
        };
        self.note(wary, took);
        Some(stepped)
    }

    fn note(&self, wary: u32, took: Duration) {
        if took > SLOW {
            self.wary.store(WARY, Ordering::Relaxed);
        } else if wary > 0 {
            // Of several at the same time one counts: it only takes longer.
            self.wary.store(wary.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = Instant::now();
    let done = work();
    (done, before.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_one_slow_decision_the_next_ones_are_taken_aside_until_many_were_quick() {
        let bench = Bench::default();
        bench.note(0, SLOW);
        assert_eq!(bench.wary.load(Ordering::Relaxed), 0);
        bench.note(0, SLOW * 2);
        for left in (0..WARY).rev() {
            bench.note(left + 1, SLOW / 2);
            assert_eq!(bench.wary.load(Ordering::Relaxed), left);
        }
        bench.note(7, SLOW * 2);
        assert_eq!(bench.wary.load(Ordering::Relaxed), WARY);
    }
}
