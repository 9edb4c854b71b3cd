//! Messages that are damaged on the disk: root hears of each once, and soon.
//!
//! Contract: one mail an hour at most, as the smarthost writes. It lies on the same disk, and may
//! not be read back either: that is no news.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use mail::clock::{self, Timestamp};
use queue::notification;
use settings::last_good;
use spool::QueueId;

use super::{
    notices::{OURS, tell_root},
    state::Agent,
};

/// What root was told of last.
const TOLD: &str = "damage.told";
/// How long more of them are looked for before the mail: they are seldom alone.
const TOGETHER: Duration = Duration::from_secs(5);
/// From one mail to the next.
const PAUSE: Duration = Duration::from_hours(1);

/// Somebody waits for more of them.
static GATHERS: AtomicBool = AtomicBool::new(false);
static LETTERS: Mutex<Letters> = Mutex::new(Letters::new());

/// What was written to root about damage.
#[derive(Debug)]
struct Letters {
    last: Option<Timestamp>,
    ours: BTreeSet<QueueId>,
}

impl Letters {
    const fn new() -> Self {
        Self {
            last: None,
            ours: BTreeSet::new(),
        }
    }

    /// What of the damage one more letter would tell of, if one may be written now.
    fn about(&mut self, damaged: Vec<QueueId>, now: Timestamp) -> Vec<QueueId> {
        let rests = self.last.as_mut().is_some_and(|it| it.age(now) < PAUSE);
        let others = damaged.into_iter().filter(|id| !self.ours.contains(id));
        others.filter(|_| !rests).collect()
    }

    /// One is written.
    fn written(&mut self, letter: Option<QueueId>, now: Timestamp) {
        self.last = Some(now);
        self.ours.extend(letter);
    }
}

/// A message could not be read.
pub(super) fn found(agent: &Arc<Agent>) {
    if agent.dispatch.spool.damaged().is_empty() || GATHERS.swap(true, Ordering::SeqCst) {
        return;
    }
    // The agent ends without waiting for this; the next one finds them again.
    let agent = Arc::downgrade(agent);
    let gathered = move || {
        gather();
        if let Some(agent) = agent.upgrade() {
            tell(&agent);
        }
        GATHERS.store(false, Ordering::SeqCst);
    };
    if thread::Builder::new().spawn(gathered).is_err() {
        GATHERS.store(false, Ordering::SeqCst);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells that no more damage will be found"
)]
fn gather() {
    thread::sleep(TOGETHER);
}

fn tell(agent: &Agent) {
    let mut letters = LETTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let now = clock::now();
    let damaged = letters.about(agent.dispatch.spool.damaged(), now);
    let (host, spool) = (&agent.settings.hostname, &agent.settings.spool);
    let list = notification::damaged(&damaged);
    if !damaged.is_empty() && last_good::is_news_of(spool, TOLD, &list) {
        let (subject, text) = notification::damage(host, &list, "sendmail-shim", spool);
        letters.written(tell_root(agent, &subject, &text, OURS), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_about_damage_that_is_damaged_itself_is_no_news_and_there_is_one_an_hour() {
        let mut letters = Letters::new();
        let ids = ["9KH3Q1L8C4R1D", "9KH3Q1LFH3F7X", "9KH3Q1LLM23GF"];
        let [first, letter, second] = ids.map(|id| QueueId::parse(id).unwrap());
        let at = |minute: u64| Timestamp::from_secs(1_795_333_912 + minute * 60);

        assert_eq!(letters.about(vec![first], at(0)), [first]);
        letters.written(Some(letter), at(0));
        assert!(letters.about(vec![first, letter, second], at(1)).is_empty());
        assert_eq!(letters.about(vec![first, letter], at(60)), [first]);
        let both = letters.about(vec![first, letter, second], at(60));
        assert_eq!(both, [first, second]);
    }
}
