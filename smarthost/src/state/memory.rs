//! What is kept, in the memory of the daemon.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail::clock::{self, Timestamp, Zone};

use super::shelves::{Key, Restored, Shelf};
use crate::{
    activity::Activity,
    budget,
    expected::Expected,
    lessons::Lessons,
    limits::{Limits, Rules},
    machines::Machines,
    notices::Notices,
    policy::{greylist::Greylist, refusals::Refusals, verify::Recipients},
    srs::Tokens,
};

/// What is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory {
    pub limits: Arc<Mutex<Limits>>,
    pub greylist: Arc<Mutex<Greylist>>,
    pub recipients: Arc<Mutex<Recipients>>,
    pub refusals: Arc<Mutex<Refusals>>,
    pub activity: Arc<Mutex<Activity>>,
    pub machines: Arc<Mutex<Machines>>,
    pub notices: Arc<Mutex<Notices>>,
    pub expected: Arc<Mutex<Expected>>,
    pub(crate) budget: Arc<Mutex<budget::Site>>,
    pub tokens: Arc<Mutex<Tokens>>,
    pub lessons: Arc<Mutex<Lessons>>,
}

impl Memory {
    /// What was kept, and a line for each thing that cannot be read. `tokens` lie beside what makes
    /// them.
    pub fn of(
        rules: Rules,
        restored: Restored,
        tokens: Arc<Mutex<Tokens>>,
        now: Timestamp,
    ) -> (Self, Vec<String>) {
        let expected = Expected::new(Zone::system(), now);
        let budget = budget::Site::new(budget::Terms::default(), budget::sequence());
        let notices = Notices::new("smarthost", Zone::system());
        let memory = Self {
            limits: Arc::new(Mutex::new(Limits::new(rules))),
            greylist: Arc::default(),
            recipients: Arc::default(),
            refusals: Arc::default(),
            activity: Arc::default(),
            machines: Arc::default(),
            notices: Arc::new(Mutex::new(notices)),
            expected: Arc::new(Mutex::new(expected)),
            budget: Arc::new(Mutex::new(budget)),
            tokens,
            lessons: Arc::default(),
        };
        let unread = memory.restore(restored, now);
        (memory, unread)
    }

    /// For a look: a copy of what decides about clients, and of nothing else.
    pub(super) fn copy(&self) -> Self {
        let budget = budget::Site::new(budget::Terms::default(), budget::sequence());
        Self {
            limits: copy(&self.limits),
            greylist: copy(&self.greylist),
            recipients: copy(&self.recipients),
            refusals: Arc::default(),
            activity: Arc::default(),
            machines: Arc::default(),
            notices: Arc::new(Mutex::new(Notices::new("smarthost", Zone::system()))),
            expected: Arc::new(Mutex::new(Expected::new(Zone::system(), clock::now()))),
            budget: Arc::new(Mutex::new(budget)),
            tokens: Arc::clone(&self.tokens),
            lessons: Arc::default(),
        }
    }

    /// Takes back what was kept; clients that are counted already go on so. A line for each thing
    /// that cannot be read.
    pub(super) fn restore(&self, restored: Restored, now: Timestamp) -> Vec<String> {
        let mut unread = Vec::new();
        let mut limits = locked(&self.limits);
        for (key, record) in restored.limits {
            let client = key.1.clone();
            if !limits.restore(key, &record, now) {
                let text = format!("the counter of {client} cannot be read and starts anew");
                unread.push(text);
            }
        }
        drop(limits);
        // One at a time: others may hold one and wait for another.
        let lost = [
            lost(restored.greylist, |row, it| {
                locked(&self.greylist).restore(row, it)
            }),
            lost(restored.recipients, |row, it| {
                locked(&self.recipients).restore(row, it)
            }),
            lost(restored.refusals, |row, it| {
                locked(&self.refusals).restore(row, it)
            }),
            lost(restored.activity, |row, it| {
                locked(&self.activity).restore(&row, it, now)
            }),
            lost(restored.machines, |row, it| {
                locked(&self.machines).restore(row, it)
            }),
            lost(restored.notices, |row, it| {
                locked(&self.notices).restore(&row, it)
            }),
            lost(restored.expected, |row, it| {
                locked(&self.expected).restore(&row, it)
            }),
            lost(restored.budget, |row, it| {
                locked(&self.budget).restore(&row, it)
            }),
            lost(restored.tokens, |row, it| {
                locked(&self.tokens).restore(row, it)
            }),
            lost(restored.lessons, |row, it| {
                locked(&self.lessons).restore(row, it, now)
            }),
        ];
        let rows = lost.iter().sum::<usize>();
        if rows > 0 {
            let text = format!(
                "{rows} rows of greylist, verification, refusals, activity, clients, notices, expected mail, budgets, forwarded senders and learned connections cannot be read"
            );
            unread.push(text);
        }
        unread
    }

    pub(super) fn changes(&self) -> Vec<(Key, Option<String>)> {
        let limits = locked(&self.limits).changes().into_iter();
        let limits = limits
            .map(|((kept, client), record)| ((Shelf::Limit(kept), client.to_string()), record));
        let mut all: Vec<(Key, Option<String>)> = limits.collect();
        let mut add = |shelf: Shelf, rows: Vec<(String, Option<String>)>| {
            all.extend(rows.into_iter().map(|(row, record)| ((shelf, row), record)));
        };
        add(Shelf::Greylist, locked(&self.greylist).changes());
        add(Shelf::Recipients, locked(&self.recipients).changes());
        add(Shelf::Refusals, locked(&self.refusals).changes());
        add(Shelf::Activity, locked(&self.activity).changes());
        add(Shelf::Machines, locked(&self.machines).changes());
        let now = clock::now();
        add(Shelf::Notices, locked(&self.notices).changes(now));
        add(Shelf::Expected, locked(&self.expected).changes());
        add(Shelf::Budget, budget::changes(&self.budget));
        add(Shelf::Tokens, locked(&self.tokens).changes());
        add(Shelf::Lessons, locked(&self.lessons).changes());
        all
    }

    pub(super) fn all_changed(&self) {
        locked(&self.limits).all_changed();
        locked(&self.greylist).all_changed();
        locked(&self.recipients).all_changed();
        locked(&self.refusals).all_changed();
        locked(&self.activity).all_changed();
        locked(&self.machines).all_changed();
        locked(&self.notices).all_changed();
        locked(&self.expected).all_changed();
        locked(&self.budget).all_changed();
        locked(&self.tokens).all_changed();
        locked(&self.lessons).all_changed();
    }
}

/// How many rows cannot be read.
fn lost<R>(
    rows: impl IntoIterator<Item = (R, String)>,
    mut restore: impl FnMut(R, &str) -> bool,
) -> usize {
    let rows = rows.into_iter();
    rows.filter_map(|(row, record)| (!restore(row, &record)).then_some(()))
        .count()
}

fn copy<T: Clone>(what: &Mutex<T>) -> Arc<Mutex<T>> {
    Arc::new(Mutex::new(locked(what).clone()))
}

pub(super) fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
