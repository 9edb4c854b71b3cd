//! Three smarthosts with one budget, and all that can happen between them and the store, drawn from
//! a seed: lines that are silent, late, deaf on one side or refused; a store that stands still, is
//! killed, forgets or has its clock set; servers that are killed, stopped, stand still or have
//! their clocks set. What they took is counted where it arrives.
//!
//! | part | what |
//! |---|---|
//! | `site` | the servers, the lines, the store, and what is brought to them |
//! | `misfortune` | what happens to them |
//! | `held_up` | how long the machine let the daemons wait |
//!
//! Row A4 for several servers: with `defer` no limit is ever passed, with `share` by no more than
//! `status` says; no accepted message is lost, and no answer waits for the store longer than is
//! promised. `tests/budgets/run` lives many of these lives, and tells of each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod held_up;
mod misfortune;
mod site;

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spool::simulation::Random;
use tests::{clock::Clocks, luck::number};

use site::{Answer, LIMIT, NODES, Site};

const STEPS: usize = 24;
/// An answer waits 50 ms for the store at most; the rest is for the way.
const PROMISED: Duration = Duration::from_millis(60);

/// One life.
#[derive(Clone, Copy)]
struct Life {
    seed: u64,
    on_outage: &'static str,
    /// Messages that may be taken, at most.
    most: usize,
}

/// What became of it.
struct Lived {
    life: Life,
    brought: usize,
    taken: usize,
    /// Of these, what did not arrive.
    lost: usize,
    answers: Vec<Answer>,
    took: Duration,
    story: String,
}

impl Lived {
    fn late(&self) -> usize {
        let late = self.answers.iter().filter(|it| it.is_later_than(PROMISED));
        late.count()
    }

    fn is_over(&self) -> bool {
        self.taken > self.life.most
    }
}

impl fmt::Display for Lived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Life {
            seed,
            on_outage,
            most,
        } = self.life;
        let slowest = self.answers.iter().max_by_key(|it| it.took);
        let (slowest, held_up) =
            slowest.map_or((0, 0), |it| (it.took.as_millis(), it.held_up.as_millis()));
        write!(
            f,
            "seed {seed:3} {on_outage}: {} taken of {} brought, at most {most}; lost {}; {} answers, slowest {slowest} ms \
             (of these {held_up} for want of a processor), late {}; {:.1} s{}",
            self.taken,
            self.brought,
            self.lost,
            self.answers.len(),
            self.late(),
            self.took.as_secs_f32(),
            if self.is_over() { ": OVER" } else { "" },
        )
    }
}

/// `None`: something that is needed is not installed.
fn live(life: Life, clocks: &Clocks) -> Option<Lived> {
    let began = Instant::now();
    let mut site = Site::new(life.on_outage, clocks)?;
    let mut dice = Random(life.seed);
    for _ in 0..STEPS {
        site.step(&mut dice);
    }
    site.end_all_misfortune();
    // All meet again, and together they have no more than they had.
    site.use_up();
    Some(Lived {
        life,
        brought: site.brought(),
        taken: site.taken.len(),
        lost: site.lost(),
        answers: site.answers,
        took: began.elapsed(),
        story: site.story,
    })
}

fn sum(all: &[Lived], first: u64, seeds: u64) -> String {
    let count = |what: &dyn Fn(&Lived) -> usize| all.iter().map(what).sum::<usize>();
    let answers = all.iter().flat_map(|it| &it.answers);
    let mut answers: Vec<Duration> = answers.map(|it| it.took).collect();
    answers.sort_unstable();
    let slow = answers.iter().filter(|took| **took > PROMISED).count();
    let within = |part: usize| answers[(answers.len() - 1) * part / 1000].as_millis();
    let of = |on_outage: &str| {
        let lives = all.iter().filter(|it| it.life.on_outage == on_outage);
        let (over, most) = lives.fold((0, 0), |(over, most), it| {
            (over + usize::from(it.is_over()), most.max(it.taken))
        });
        format!("over with {on_outage} in {over} of {seeds} (most {most})")
    };
    format!(
        "{seeds} seeds from {first}, limit {LIMIT}: {}, {}; lost {} of {} taken; later than {} ms {slow} of {} answers, {} of them not for want of a processor \
         (half within {} ms, 99 of 100 within {} ms, 999 of 1000 within {} ms, all within {} ms)",
        of("defer"),
        of("share"),
        count(&|it| it.lost),
        count(&|it| it.taken),
        PROMISED.as_millis(),
        answers.len(),
        count(&Lived::late),
        within(500),
        within(990),
        within(999),
        within(1000),
    )
}

#[test]
fn three_servers_pass_no_limit_whatever_happens_between_them_and_the_store() {
    let Some(clocks) = Clocks::new() else { return };
    let (first, seeds) = (number("BUDGET_FIRST", 1), number("BUDGET_SEEDS", 2));
    let at_once = number("BUDGET_AT_ONCE", 1);
    // (2 - 1/n) times the limit.
    let shared = LIMIT * (2 * NODES - 1) / NODES;
    let lives: Vec<Life> = (first..first + seeds)
        .flat_map(|seed| {
            [("defer", LIMIT), ("share", shared)].map(|(on_outage, most)| Life {
                seed,
                on_outage,
                most,
            })
        })
        .collect();
    let (next, all) = (AtomicUsize::new(0), Mutex::<Vec<Lived>>::default());
    let work = || {
        while let Some(life) = lives.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(end) = live(*life, &clocks) else {
                return;
            };
            println!("{end}");
            if end.is_over() || end.lost > 0 || end.late() > 0 {
                println!("{}", end.story);
            }
            all.lock().unwrap().push(end);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let all = all.into_inner().unwrap();
    if all.is_empty() {
        return;
    }
    let told = sum(&all, first, seeds);
    println!("{told}");
    let wrong = |lived: &&Lived| lived.is_over() || lived.lost > 0;
    let stories: String = all
        .iter()
        .filter(wrong)
        .map(|it| it.story.as_str())
        .collect();
    assert!(stories.is_empty(), "{told}\n{stories}");
    // Only where the command asks: what a machine does that is busy otherwise is no fault.
    if number("BUDGET_TIMED", 0) > 0 {
        assert!(all.iter().all(|it| it.late() == 0), "{told}");
    }
}
