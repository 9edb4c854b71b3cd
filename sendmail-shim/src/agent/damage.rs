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
static NOTICES: Mutex<Notices> = Mutex::new(Notices::new());

/// What was written to root about damage.
#[derive(Debug)]
struct Notices {
    last: Option<Timestamp>,
    ours: BTreeSet<QueueId>,
}

impl Notices {
    const fn new() -> Self {
        Self {
            last: None,
            ours: BTreeSet::new(),
        }
    }

    /// What of the damage one more notice would tell of, if one may be written now.
    fn about(&mut self, damaged: Vec<QueueId>, now: Timestamp) -> Vec<QueueId> {
        let rests = self.last.as_mut().is_some_and(|it| it.age(now) < PAUSE);
        let others = damaged.into_iter().filter(|id| !self.ours.contains(id));
        others.filter(|_| !rests).collect()
    }

    /// One is written.
    fn written(&mut self, notice: Option<QueueId>, now: Timestamp) {
        self.last = Some(now);
        self.ours.extend(notice);
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
        // What is found from now on is for the next one.
        GATHERS.store(false, Ordering::SeqCst);
        if let Some(agent) = agent.upgrade() {
            tell(&agent);
        }
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
    let mut notices = NOTICES.lock().unwrap_or_else(PoisonError::into_inner);
    let now = clock::now();
    let damaged = notices.about(agent.dispatch.spool.damaged(), now);
    let (host, spool) = (&agent.settings.hostname, &agent.settings.spool);
    let list = notification::damaged(&damaged);
    if !damaged.is_empty() && last_good::is_news_of(spool, TOLD, &list) {
        let (subject, text) = notification::damage(host, &list, "sendmail-shim", spool);
        notices.written(tell_root(agent, &subject, &text, OURS), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_about_damage_that_is_damaged_itself_is_no_news_and_there_is_one_an_hour() {
        let mut notices = Notices::new();
        let ids = ["9KH3Q1L8C4R1D", "9KH3Q1LFH3F7X", "9KH3Q1LLM23GF"];
        let [first, notice, second] = ids.map(|id| QueueId::parse(id).unwrap());
        let at = |minute: u64| Timestamp::from_secs(1_795_333_912 + minute * 60);

        assert_eq!(notices.about(vec![first], at(0)), [first]);
        notices.written(Some(notice), at(0));
        assert!(notices.about(vec![first, notice, second], at(1)).is_empty());
        assert_eq!(notices.about(vec![first, notice], at(60)), [first]);
        let both = notices.about(vec![first, notice, second], at(60));
        assert_eq!(both, [first, second]);
    }
}
