//! What goes now, what waits, and whose turn it is when there is room.
//!
//! Contract: pure. In no span more than the limit goes, but for what an administrator lets go, which counts too. Users take turns,
//! root first, each with his oldest. What was refused after all costs nothing.

use std::{collections::HashMap, time::Duration};

use mail::clock::Timestamp;
use queue::rate::{Recorded, Ring, Window};
use serde::{Deserialize, Serialize};
use spool::QueueId;

use crate::agent::schedule::timetable::{Ticket, Timetable};

/// Part of the window that passes before root is told that mail waits, so that he hears of a whole burst: ten minutes of a day.
const PATIENCE: u32 = 144;
/// Notices are at least this far apart.
const NOTICE_INTERVAL: Duration = Duration::from_hours(24);

/// What was spent, and who waits.
#[derive(Debug)]
pub struct Account {
    window: Window,
    spent: Ring,
    line: Timetable,
    tickets: HashMap<QueueId, Ticket>,
    told: Option<Timestamp>,
}

/// What must outlive the agent; who waits is in the spool.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    spent: Vec<Recorded>,
    told: Option<Timestamp>,
}

impl Account {
    /// With what was kept.
    pub fn new(window: Window, kept: &Kept, now: Timestamp) -> Self {
        Self {
            window,
            spent: Ring::restore(window, &kept.spent, now),
            line: Timetable::default(),
            tickets: HashMap::new(),
            told: kept.told,
        }
    }

    /// What is to be kept.
    pub fn kept(&self) -> Kept {
        Kept {
            spent: vec![self.spent.record(self.window)],
            told: self.told,
        }
    }

    /// Whether a message that comes may go; it is counted then.
    pub fn ask(&mut self, now: Timestamp) -> bool {
        let granted = self.tickets.is_empty() && self.has_room(now);
        if granted {
            self.count(now);
        }
        granted
    }

    /// One more goes.
    pub fn count(&mut self, now: Timestamp) {
        self.spent.add(now);
    }

    /// What was counted then was not taken after all.
    pub fn take_back(&mut self, then: Timestamp) {
        self.spent.take_back(then);
    }

    /// A message waits from now on.
    pub fn wait(&mut self, id: QueueId, user: u32, arrival: Timestamp) {
        self.leave(id);
        let ticket = Ticket {
            id,
            user,
            arrival,
            // Everybody's time has come; ids grow, so each user's oldest is first.
            due: Timestamp::default(),
        };
        self.line.insert(ticket);
        self.tickets.insert(id, ticket);
    }

    /// The message that may go now, if there is room: say [`Account::count`] if it does.
    pub fn let_go(&mut self, now: Timestamp) -> Option<QueueId> {
        let id = self
            .has_room(now)
            .then(|| self.line.take_turn(now))
            .flatten()?;
        self.leave(id);
        Some(id)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.tickets.len()
    }

    /// When there is room; `None`: never, there is no budget at all.
    pub fn room_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.spent.free_at(self.window.limit, now)
    }

    /// Whether root must be told that mail waits; then he counts as told.
    pub fn to_tell(&mut self, now: Timestamp) -> bool {
        let tell = self.notice_at(now).is_some_and(|at| at <= now);
        if tell {
            self.told = Some(now);
        }
        tell
    }

    /// When there is something to do at the latest.
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let room = self.room_at(now).filter(|_| !self.tickets.is_empty());
        room.into_iter().chain(self.notice_at(now)).min()
    }

    fn notice_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (oldest, _) = self.line.oldest()?;
        let complete = oldest.min(now).after(self.window.span / PATIENCE);
        // A clock that was set back must not silence for years.
        let told = self.told.map(|told| told.min(now).after(NOTICE_INTERVAL));
        Some(told.map_or(complete, |told| told.max(complete)))
    }

    fn has_room(&self, now: Timestamp) -> bool {
        self.spent.count(now) < self.window.limit
    }

    fn leave(&mut self, id: QueueId) {
        if let Some(ticket) = self.tickets.remove(&id) {
            self.line.remove(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 86_400;

    fn id(number: u64) -> QueueId {
        serde_json::from_value(number.into()).unwrap()
    }
    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000_000 + seconds)
    }
    fn account(text: &str) -> Account {
        let window = Window::parse(text).unwrap();
        Account::new(window, &Kept::default(), at(0))
    }
    /// Lets go all that may; the time is that of the account's own deadline.
    fn let_go(account: &mut Account, now: Timestamp) -> Vec<QueueId> {
        std::iter::from_fn(|| {
            let id = account.let_go(now)?;
            account.count(now);
            Some(id)
        })
        .collect()
    }

    #[test]
    fn what_is_over_the_budget_waits_for_its_day_and_a_restart_forgets_nothing() {
        let mut account = account("3/day");
        for number in 0..3 {
            assert!(account.ask(at(number * 3600)));
        }
        assert!(!account.ask(at(3 * 3600)));
        account.wait(id(1), 33, at(3 * 3600));
        account.wait(id(2), 33, at(3 * 3600));
        assert!(let_go(&mut account, at(DAY - 1)).is_empty());

        let kept: Kept =
            serde_json::from_slice(&serde_json::to_vec(&account.kept()).unwrap()).unwrap();
        let mut account = Account::new(Window::parse("3/day").unwrap(), &kept, at(DAY - 1));
        account.wait(id(2), 33, at(3 * 3600));
        account.wait(id(1), 33, at(3 * 3600));
        let room = account.room_at(at(DAY - 1)).unwrap();
        assert!(
            (at(DAY)..=at(DAY + 600)).contains(&room),
            "a day after the first, at most a slot late"
        );
        assert_eq!(let_go(&mut account, room), [id(1)]);
        assert!(!account.ask(room), "others wait longer");
        assert_eq!(account.waiting(), 1);
    }

    #[test]
    fn users_take_turns_in_the_line_and_root_is_first_however_late_he_comes() {
        let mut account = account("4/day");
        for _ in 0..4 {
            assert!(account.ask(at(0)));
        }
        for number in 1..=100 {
            account.wait(id(number), 33, at(1));
        }
        account.wait(id(200), 1000, at(2));
        account.wait(id(201), 0, at(3));
        assert_eq!(
            let_go(&mut account, at(2 * DAY)),
            [201, 1, 200, 2].map(id),
            "root, then turn by turn"
        );
    }

    #[test]
    fn what_was_refused_after_all_costs_nothing_and_what_the_administrator_lets_go_costs() {
        let mut account = account("1/day");
        assert!(account.ask(at(0)));
        account.take_back(at(0));
        assert!(account.ask(at(1)));
        account.count(at(DAY / 2));
        assert!(!account.ask(at(DAY + 601)), "what was let go counts still");
        assert!(account.ask(at(DAY / 2 + DAY + 601)));
    }

    #[test]
    fn root_is_told_once_a_day_and_not_before_a_burst_is_complete() {
        let mut account = account("1/day");
        account.ask(at(0));
        assert_eq!(account.deadline(at(0)), None, "nothing waits");
        account.wait(id(1), 33, at(100));
        assert!(!account.to_tell(at(101)));
        assert_eq!(account.deadline(at(101)), Some(at(700)));
        assert!(account.to_tell(at(700)) && !account.to_tell(at(701)));
        let mut restarted = Account::new(account.window, &account.kept(), at(800));
        restarted.wait(id(1), 33, at(100));
        assert!(!restarted.to_tell(at(DAY)));
        assert!(restarted.to_tell(at(DAY + 700)));
        // A clock set back by years silences for a day at most.
        let early = Timestamp::from_secs(1000);
        assert!(!restarted.to_tell(early));
        let deadline = restarted.deadline(early).unwrap();
        assert!(deadline <= early.after(NOTICE_INTERVAL));
    }

    #[test]
    fn a_budget_of_nothing_lets_go_nothing() {
        let mut account = account("0/day");
        assert!(!account.ask(at(0)));
        account.wait(id(1), 0, at(0));
        assert_eq!(account.room_at(at(0)), None);
        assert!(let_go(&mut account, at(10 * DAY)).is_empty());
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_goes_in_a_span_and_all_go_in_the_end(
            steps in proptest::collection::vec((0u64..4000, 0u32..4), 1..150),
            limit in 1u32..8,
        ) {
            let span = 3600;
            let mut account = Account::new(Window { limit, span: Duration::from_secs(span) }, &Kept::default(), at(0));
            let (mut now, mut went, mut waiting) = (0, Vec::new(), std::collections::BTreeSet::new());
            for (number, (step, user)) in steps.into_iter().enumerate() {
                now += step;
                if account.ask(at(now)) {
                    went.push(now);
                } else {
                    account.wait(id(number as u64 + 1), user, at(now));
                    waiting.insert(id(number as u64 + 1));
                }
                for id in let_go(&mut account, at(now)) {
                    prop_assert!(waiting.remove(&id));
                    went.push(now);
                }
            }
            while let Some(room) = account.room_at(at(now)).filter(|_| account.waiting() > 0) {
                now = now.max(room.as_secs() - 1_000_000_000);
                let gone = let_go(&mut account, room);
                prop_assert!(!gone.is_empty());
                for id in gone {
                    prop_assert!(waiting.remove(&id));
                    went.push(now);
                }
            }
            prop_assert!(waiting.is_empty());
            for (index, first) in went.iter().enumerate() {
                let within = went[index..].iter().filter(|time| **time < first + span).count();
                prop_assert!(within <= limit as usize, "{within} within a span");
            }
        }
    }
}
