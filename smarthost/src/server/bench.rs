//! Rules are judged where their tables cost no other session anything.
//!
//! Contract: as long as that is quick, on the threads that drive sockets; once it was slow (aliases
//! with many members, thousands of patterns), and at the start, on others, of which strangers and
//! clients of ours each have a bounded number, where clients take turns.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use super::turns::Turns;
use crate::{
    network::Network,
    policy::{Evaluation, Step},
};

/// Longer than this is slow.
const SLOW: Duration = Duration::from_micros(500);
/// So many quick steps in a row make up for a slow one.
const WARY: u32 = 256;

/// Where rules are judged.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Steps that are still taken aside.
    wary: AtomicU32,
    strangers: Arc<Turns<Network>>,
    own: Arc<Turns<Network>>,
}

impl Default for Bench {
    fn default() -> Self {
        // Half of the machine at most is for those whom nobody knows.
        let most = thread::available_parallelism().map_or(1, |all| (all.get() / 2).max(1));
        Self {
            wary: AtomicU32::new(WARY),
            strangers: Turns::new(most),
            own: Turns::new(most),
        }
    }
}

impl Bench {
    /// The next step of a chain; `None`: it broke off.
    pub(super) async fn step(
        &self,
        mut evaluation: Evaluation,
        (client, own): (IpAddr, bool),
    ) -> Option<(Evaluation, Step)> {
        let step = move || {
            let step = evaluation.step();
            (evaluation, step)
        };
        self.work(step, (client, own)).await
    }

    /// The same of other work that looks through tables, for a client, which may be one of ours.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        (client, own): (IpAddr, bool),
    ) -> Option<T> {
        let wary = self.wary.load(Ordering::Relaxed);
        let (done, took) = if wary == 0 {
            timed(work)
        } else {
            let places = if own { &self.own } else { &self.strangers };
            let client = Network::of(client, 32, if own { 128 } else { 64 });
            let place = places.take(client).await?;
            let aside = spawn_blocking(move || {
                let done = timed(work);
                drop(place);
                done
            });
            aside.await.ok()?
        };
        self.note(wary, took);
        Some(done)
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
    use std::sync::atomic::AtomicUsize;

    use tokio::{runtime::Runtime, task::JoinSet};

    use super::*;

    /// Also the aliases of messages that end at the same moment.
    #[test]
    fn no_more_look_through_tables_at_a_time_than_there_are_places_and_strangers_take_no_others() {
        let bench = Arc::new(Bench::default());
        bench.note(0, SLOW * 2);
        let most = bench.strangers.free();
        let (running, peak) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let runtime = Runtime::new().unwrap_or_else(|error| panic!("{error}"));
        runtime.block_on(async {
            let mut all = JoinSet::new();
            for number in 0..4 * most {
                let (bench, running, peak) =
                    (Arc::clone(&bench), Arc::clone(&running), Arc::clone(&peak));
                all.spawn(async move {
                    let work = move || {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        peak.fetch_max(now, Ordering::SeqCst);
                        // Time for one too many to come.
                        let began = Instant::now();
                        while peak.load(Ordering::SeqCst) <= most && began.elapsed() < SLOW * 100 {
                            thread::yield_now();
                        }
                        running.fetch_sub(1, Ordering::SeqCst);
                    };
                    let client = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
                    bench.work(work, (client[number % 2], false)).await
                });
            }
            let own = bench.work(|| "a client of ours", (IpAddr::from([10, 0, 0, 1]), true));
            let own = own.await;
            assert_eq!(own, Some("a client of ours"));
            while let Some(done) = all.join_next().await {
                assert!(done.is_ok_and(|done| done.is_some()));
            }
        });
        assert_eq!(peak.load(Ordering::SeqCst), most);
    }

    #[test]
    fn after_one_slow_decision_the_next_ones_are_taken_aside_until_many_were_quick() {
        let bench = Bench::default();
        assert_eq!(
            bench.wary.load(Ordering::Relaxed),
            WARY,
            "nothing is known yet"
        );
        bench.wary.store(0, Ordering::Relaxed);
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
