//! What goes now, what waits, and whose turn it is when there is room.
//!
//! Contract: pure. In no span more than the limit goes, but for what an administrator lets go,
//! which counts too. Users take turns, root first, each with his oldest. Nobody but root spends
//! more than half, and a quarter is root's alone. What was refused after all costs nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound::{Excluded, Unbounded},
    time::Duration,
};

use mail::clock::Timestamp;
use queue::rate::{Recorded, Ring, Window};
use serde::{Deserialize, Serialize};
use spool::QueueId;

/// What passes before root is told that mail waits, so that he hears of more than the first of a
/// burst: a part of the window,
const PATIENCE: u32 = 144;
/// and no more than that, however long the window is.
const LONGEST: Duration = Duration::from_mins(1);
/// Notices are at least this far apart.
const NOTICE_INTERVAL: Duration = Duration::from_hours(24);
const ROOT: u32 = 0;
/// Part of the budget that only root may spend.
const RESERVED: u32 = 4;
/// Part of the budget that one user may spend.
const USER_PART: u32 = 2;

/// What was spent, and who waits.
#[derive(Debug)]
pub(crate) struct Account {
    window: Window,
    spent: Ring,
    /// The same without root.
    by_users: Ring,
    users: HashMap<u32, Ring>,
    waiting: Waiting,
    told: Option<Timestamp>,
}

/// What must outlive the agent; who waits is in the spool.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    spent: Vec<Recorded>,
    told: Option<Timestamp>,
    #[serde(default)]
    by_users: Vec<Recorded>,
    #[serde(default)]
    users: Vec<(u32, Vec<Recorded>)>,
}

/// Who waits: by user, and by age.
#[derive(Debug, Default)]
struct Waiting {
    users: BTreeMap<u32, BTreeSet<QueueId>>,
    ages: BTreeSet<(Timestamp, QueueId)>,
    tickets: HashMap<QueueId, (u32, Timestamp)>,
    /// Who had the last turn, root apart.
    last: u32,
}

impl Account {
    /// With what was kept.
    pub(crate) fn new(window: Window, kept: &Kept, now: Timestamp) -> Self {
        let ring = |kept: &[Recorded]| Ring::restore(window, kept, now);
        let users = kept.users.iter().map(|(user, kept)| (*user, ring(kept)));
        Self {
            window,
            spent: ring(&kept.spent),
            by_users: ring(&kept.by_users),
            users: users.collect(),
            waiting: Waiting::default(),
            told: kept.told,
        }
    }

    /// What is to be kept.
    pub(crate) fn kept(&self) -> Kept {
        let users = self.users.iter();
        Kept {
            spent: vec![self.spent.record(self.window)],
            told: self.told,
            by_users: vec![self.by_users.record(self.window)],
            users: users
                .map(|(user, ring)| (*user, vec![ring.record(self.window)]))
                .collect(),
        }
    }

    /// Whether a message of this user that comes may go; it is counted then. Who has mail that
    /// waits is behind it.
    pub(crate) fn ask(&mut self, user: u32, now: Timestamp) -> bool {
        self.advance(now);
        let behind = self.waiting.in_turn().any(|waiting| match (user, waiting) {
            (ROOT, _) => waiting == ROOT,
            _ => waiting == user || self.has_room(waiting, now),
        });
        let granted = !behind && self.has_room(user, now);
        if granted {
            self.count(user, now);
        }
        granted
    }

    /// The clock may have been set back.
    fn advance(&mut self, now: Timestamp) {
        let all = [&mut self.spent, &mut self.by_users];
        let all = all.into_iter().chain(self.users.values_mut());
        all.for_each(|ring| ring.advance(now));
        if let Some(told) = &mut self.told {
            told.noted(now);
        }
    }

    /// One more of this user goes.
    pub(crate) fn count(&mut self, user: u32, now: Timestamp) {
        self.spent.add(now);
        if user != ROOT {
            self.by_users.add(now);
            self.users.retain(|_, ring| ring.count(now) > 0);
            let ring = self.users.entry(user);
            ring.or_insert_with(|| Ring::new(self.window)).add(now);
        }
    }

    /// What was counted then was not taken after all.
    pub(crate) fn take_back(&mut self, user: u32, then: Timestamp) {
        self.spent.take_back(then);
        if user != ROOT {
            self.by_users.take_back(then);
            if let Some(ring) = self.users.get_mut(&user) {
                ring.take_back(then);
            }
        }
    }

    /// A message waits from now on.
    pub(crate) fn wait(&mut self, id: QueueId, user: u32, arrival: Timestamp) {
        self.waiting.leave(id);
        self.waiting.users.entry(user).or_default().insert(id);
        self.waiting.ages.insert((arrival, id));
        self.waiting.tickets.insert(id, (user, arrival));
    }

    /// The message that may go now, and whose it is, if there is room: say [`Account::count`] if it
    /// does.
    pub(crate) fn let_go(&mut self, now: Timestamp) -> Option<(u32, QueueId)> {
        self.advance(now);
        let user = self
            .waiting
            .in_turn()
            .find(|user| self.has_room(*user, now))?;
        let id = *self.waiting.users.get(&user)?.first()?;
        if user != ROOT {
            self.waiting.last = user;
        }
        self.waiting.leave(id);
        Some((user, id))
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.tickets.len()
    }

    /// When there is room for root at least; `None`: never, there is no budget at all.
    pub(crate) fn room_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.room_for(ROOT, now)
    }

    /// When there is room for this user; `None`: never.
    pub(crate) fn room_for(&self, user: u32, now: Timestamp) -> Option<Timestamp> {
        let mut room = self.spent.free_at(self.window.limit, now)?;
        if user != ROOT {
            let (of_users, of_one) = self.shares();
            room = room.max(self.by_users.free_at(of_users, now)?);
            if let Some(ring) = self.users.get(&user) {
                room = room.max(ring.free_at(of_one, now)?);
            }
        }
        Some(room)
    }

    /// What holds mail back, in words: the budget, or what users may have of it.
    pub(crate) fn reached(&self, now: Timestamp) -> String {
        let window = self.window;
        if self.room_at(now).is_none_or(|at| at > now) {
            return format!("the budget of {window}");
        }
        let (of_users, of_one) = self.shares();
        format!(
            "a share of the budget of {window}: {of_one} for a user, {of_users} for all but root"
        )
    }

    /// What all users together may spend, and each of them.
    fn shares(&self) -> (u32, u32) {
        let limit = self.window.limit;
        let of_users = limit.saturating_sub(limit / RESERVED);
        (of_users, (limit / USER_PART).max(limit.min(1)))
    }

    /// Whether root must be told that mail waits; then he counts as told.
    pub(crate) fn must_tell(&mut self, now: Timestamp) -> bool {
        self.advance(now);
        let tell = self.notice_at(now).is_some_and(|at| at <= now);
        if tell {
            self.told = Some(now);
        }
        tell
    }

    /// When there is something to do at the latest.
    pub(crate) fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let users = self.waiting.users.keys();
        let room = users.filter_map(|user| self.room_for(*user, now)).min();
        room.into_iter().chain(self.notice_at(now)).min()
    }

    fn notice_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (oldest, _) = self.waiting.ages.first()?;
        // One that came by a clock that was ahead has waited for long enough.
        let patience = if *oldest > now {
            Duration::ZERO
        } else {
            (self.window.span / PATIENCE).min(LONGEST)
        };
        let complete = (*oldest).min(now).after(patience);
        let told = self.told.map(|told| told.min(now).after(NOTICE_INTERVAL));
        Some(told.map_or(complete, |told| told.max(complete)))
    }

    fn has_room(&self, user: u32, now: Timestamp) -> bool {
        self.room_for(user, now).is_some_and(|room| room <= now)
    }
}

impl Waiting {
    /// Who waits, root first, then those after whom the last turn was.
    fn in_turn(&self) -> impl Iterator<Item = u32> {
        let root = self.users.contains_key(&ROOT).then_some(ROOT);
        let after = self.users.range((Excluded(self.last), Unbounded));
        let others = after.chain(self.users.range(..=self.last));
        let others = others.map(|(user, _)| *user).filter(|user| *user != ROOT);
        root.into_iter().chain(others)
    }

    fn leave(&mut self, id: QueueId) {
        let Some((user, arrival)) = self.tickets.remove(&id) else {
            return;
        };
        self.ages.remove(&(arrival, id));
        if let Some(own) = self.users.get_mut(&user) {
            own.remove(&id);
            if own.is_empty() {
                self.users.remove(&user);
            }
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
            let (user, id) = account.let_go(now)?;
            account.count(user, now);
            Some(id)
        })
        .collect()
    }

    #[test]
    fn what_is_over_the_budget_waits_for_its_day_and_a_restart_forgets_nothing() {
        let mut account = account("3/day");
        for number in 0..3 {
            assert!(account.ask(0, at(number * 3600)));
        }
        assert!(!account.ask(0, at(3 * 3600)));
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
        assert!(!account.ask(33, room), "others wait longer");
        assert_eq!(account.waiting(), 1);
    }

    #[test]
    fn users_take_turns_in_the_line_and_root_is_first_however_late_he_comes() {
        let mut account = account("4/day");
        for _ in 0..4 {
            assert!(account.ask(0, at(0)));
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
        assert!(account.ask(0, at(0)));
        account.take_back(0, at(0));
        assert!(account.ask(0, at(1)));
        account.count(0, at(DAY / 2));
        assert!(
            !account.ask(0, at(DAY + 601)),
            "what was let go counts still"
        );
        assert!(account.ask(0, at(DAY / 2 + DAY + 601)));
    }

    #[test]
    fn root_is_told_within_a_minute_and_then_once_a_day() {
        let mut account = account("1/day");
        account.ask(0, at(0));
        assert_eq!(account.deadline(at(0)), None, "nothing waits");
        account.wait(id(1), 33, at(100));
        assert!(!account.must_tell(at(101)));
        assert_eq!(account.deadline(at(101)), Some(at(160)));
        assert!(account.must_tell(at(160)) && !account.must_tell(at(161)));
        let mut restarted = Account::new(account.window, &account.kept(), at(800));
        restarted.wait(id(1), 33, at(100));
        assert!(!restarted.must_tell(at(DAY)));
        assert!(restarted.must_tell(at(DAY + 160)));
        // A clock set back by years silences for a day at most.
        let early = Timestamp::from_secs(1000);
        assert!(!restarted.must_tell(early));
        let deadline = restarted.deadline(early).unwrap();
        assert!(deadline <= early.after(NOTICE_INTERVAL));
    }

    #[test]
    fn mail_that_was_held_while_the_clock_was_ahead_goes_a_day_after_it_is_right() {
        let mut account = account("3/day");
        let ahead = 400 * DAY;
        for _ in 0..3 {
            assert!(account.ask(0, at(ahead)));
        }
        account.wait(id(1), 0, at(ahead));
        assert!(account.must_tell(at(ahead + 600)));
        for restart in [false, true] {
            let mut account = Account::new(account.window, &account.kept(), at(ahead + 700));
            account.wait(id(1), 0, at(ahead));
            if restart {
                account = Account::new(account.window, &account.kept(), at(0));
                account.wait(id(1), 0, at(ahead));
            }
            assert!(
                let_go(&mut account, at(0)).is_empty(),
                "they count as of now"
            );
            assert!(!account.must_tell(at(DAY - 1)) && account.must_tell(at(DAY)));
            assert_eq!(let_go(&mut account, at(DAY + 601)), [id(1)]);
        }
    }

    #[test]
    fn a_user_can_use_up_neither_the_budget_of_root_nor_that_of_others() {
        let mut account = account("20/day");
        let granted =
            |account: &mut Account, user| (0..100).filter(|_| account.ask(user, at(0))).count();
        assert_eq!(granted(&mut account, 33), 10, "half");
        assert_eq!(
            account.reached(at(0)),
            "a share of the budget of 20/day: 10 for a user, 15 for all but root"
        );
        for number in 1..=50 {
            account.wait(id(number), 33, at(1));
        }
        assert!(let_go(&mut account, at(2)).is_empty());
        assert_eq!(granted(&mut account, 1000), 5, "of what is left for users");
        assert_eq!(granted(&mut account, 1001), 0);
        assert_eq!(
            granted(&mut account, 0),
            5,
            "the quarter that is kept for root"
        );
        assert_eq!(account.reached(at(0)), "the budget of 20/day");
        let kept: Kept =
            serde_json::from_slice(&serde_json::to_vec(&account.kept()).unwrap()).unwrap();
        let mut restarted = Account::new(account.window, &kept, at(3));
        restarted.wait(id(1), 33, at(1));
        restarted.wait(id(2), 1000, at(4));
        let day = restarted.deadline(at(4)).unwrap().max(at(DAY + 601));
        assert_eq!(let_go(&mut restarted, day), [1, 2].map(id));
        // A file that an older agent wrote.
        let old: Kept = serde_json::from_str(r#"{"spent":[],"told":null}"#).unwrap();
        assert_eq!(old, Kept::default());
    }

    #[test]
    fn a_budget_of_nothing_lets_go_nothing() {
        let mut account = account("0/day");
        assert!(!account.ask(0, at(0)));
        account.wait(id(1), 0, at(0));
        assert_eq!(account.room_at(at(0)), None);
        assert!(let_go(&mut account, at(10 * DAY)).is_empty());
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_goes_in_a_span_and_all_go_in_the_end(
            steps in prop::collection::vec((0u64..4000, 0u32..4), 1..150),
            limit in 1u32..8,
        ) {
            let span = 3600;
            let mut account = Account::new(Window { limit, span: Duration::from_secs(span) }, &Kept::default(), at(0));
            let (mut now, mut went, mut waiting) = (0, Vec::new(), BTreeSet::new());
            for (number, (step, user)) in steps.into_iter().enumerate() {
                now += step;
                if account.ask(user, at(now)) {
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
            let room = |account: &Account, now| {
                let users = account.waiting.users.keys();
                users.filter_map(|user| account.room_for(*user, at(now))).min()
            };
            while let Some(room) = room(&account, now) {
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
