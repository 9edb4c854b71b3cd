//! What the spool has promised so far, kept beside it: the oracle of the crash tests and of the
//! model test.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{Entry, Usage};
use mail::clock::Timestamp;

/// The promises.
#[derive(Default)]
pub(super) struct Ledger {
    messages: BTreeMap<QueueId, Promise>,
}

struct Promise {
    /// As it was when it was last known to be on disk; `None`: settled.
    durable: Option<Entry>,
    /// What was recorded since; each may be on disk or not.
    since: Vec<Event>,
}

impl Ledger {
    /// Accepts a message, and notes it if it was promised.
    pub(super) fn accept(
        &mut self,
        spool: &Spool,
        recipients: u32,
        size: usize,
    ) -> Option<QueueId> {
        let id = accept(spool, recipients, size).ok()?;
        let held = spool.entry(id).map(|entry| entry.hold != Hold::No);
        assert_eq!(held, Some(size % 5 == 3));
        self.promised(spool, id, recipients);
        Some(id)
    }

    /// The same with a message that was queued elsewhere, under its id.
    pub(super) fn arrive(
        &mut self,
        spool: &Spool,
        recipients: u32,
        size: usize,
    ) -> Option<QueueId> {
        let id = arrive(spool, recipients, size).ok()?;
        let entry = spool.entry(id)?;
        assert_eq!((entry.hold, entry.warned), (ARRIVING, true));
        assert!(entry.waiting.iter().all(|it| it.until == Some(LATER)));
        self.promised(spool, id, recipients);
        Some(id)
    }

    fn promised(&mut self, spool: &Spool, id: QueueId, recipients: u32) {
        // Everything recorded before was on the same commit, or an earlier one.
        self.all_durable();
        let durable = spool.entry(id);
        assert_eq!(
            durable.as_ref().map(|entry| entry.waiting.len()),
            Some(recipients as usize)
        );
        self.messages.insert(
            id,
            Promise {
                durable,
                since: Vec::new(),
            },
        );
    }

    pub(super) fn record(&mut self, spool: &Spool, id: QueueId, event: Event) {
        spool.record(id, event.clone());
        if let Some(promise) = self.messages.get_mut(&id) {
            promise.since.push(event);
        }
    }

    pub(super) fn flush(&mut self, spool: &Spool) {
        if spool.flush().is_ok() {
            self.all_durable();
        }
    }

    fn all_durable(&mut self) {
        for promise in self.messages.values_mut() {
            promise.durable = apply(promise.durable.take(), promise.since.drain(..));
        }
    }

    /// Who of a message is not settled.
    pub(super) fn waiting(&self, id: QueueId) -> Vec<u32> {
        let promise = self.messages.get(&id);
        let entry = promise
            .and_then(|promise| apply(promise.durable.clone(), promise.since.iter().cloned()));
        let waiting = entry.into_iter().flat_map(|entry| entry.waiting);
        waiting.map(|it| it.recipient).collect()
    }

    /// The ids that are queued now, as the running spool must show them.
    pub(super) fn check_running(&self, spool: &Spool) {
        let expected: Vec<Entry> = self
            .messages
            .values()
            .filter_map(|promise| apply(promise.durable.clone(), promise.since.iter().cloned()))
            .collect();
        assert_eq!(spool.entries(), expected);
        assert_eq!(spool.len(), expected.len());
        check_usage(spool);
    }

    /// After a crash: every promised message is queued as it may be, or was settled; what is queued
    /// beyond that is whole.
    /// From then on, what was found is what is promised.
    pub(super) fn check_recovered(&mut self, spool: &Spool) {
        let entries: BTreeMap<QueueId, Entry> = spool
            .entries()
            .into_iter()
            .map(|entry| (entry.id, entry))
            .collect();
        for (id, promise) in &self.messages {
            let found = entries.get(id);
            assert!(
                promise.allows(found),
                "{id}: {found:?} after {:?} and {:?}",
                promise.durable,
                promise.since
            );
        }
        check_usage(spool);
        for (id, entry) in &entries {
            check_content(spool, *id);
            if !self.messages.contains_key(id) {
                // Not promised, but whole: nothing was recorded about it.
                let first = if entry.hold == ARRIVING {
                    Some(LATER)
                } else {
                    None
                };
                assert!(entry.waiting.iter().all(|waiting| waiting.until == first));
            }
        }
        let found = entries.into_iter().map(|(id, entry)| {
            (
                id,
                Promise {
                    durable: Some(entry),
                    since: Vec::new(),
                },
            )
        });
        self.messages = found.collect();
    }
}

impl Promise {
    /// Whether this is the durable state with any of what was recorded since.
    fn allows(&self, found: Option<&Entry>) -> bool {
        (0..1u32 << self.since.len()).any(|subset| {
            let chosen = self
                .since
                .iter()
                .enumerate()
                .filter(|(bit, _)| subset & (1 << bit) != 0);
            apply(self.durable.clone(), chosen.map(|(_, event)| event.clone())).as_ref() == found
        })
    }
}

/// That what is counted of each user's mail is what is queued.
fn check_usage(spool: &Spool) {
    for uid in 0..5 {
        let mut usage = Usage::default();
        let entries = spool.entries().into_iter();
        for entry in entries.filter(|entry| entry.uid == Some(uid)) {
            usage.bytes += entry.size;
            usage.recipients += entry.waiting.len() as u64;
        }
        assert_eq!(spool.usage(|user| user == uid), usage, "of user {uid}");
    }
}

/// What events make of a message, written as plainly as possible.
fn apply(entry: Option<Entry>, events: impl Iterator<Item = Event>) -> Option<Entry> {
    let mut entry = entry?;
    for event in events {
        match event {
            Event::Settled { recipient, .. } => entry
                .waiting
                .retain(|waiting| waiting.recipient != recipient),
            Event::Deferred {
                recipients,
                until,
                reason,
            } => {
                for waiting in &mut entry.waiting {
                    if recipients.contains(&waiting.recipient) {
                        (waiting.until, waiting.reason) = (Some(until), Some(Arc::clone(&reason)));
                    }
                }
            }
            Event::Held => entry.hold = Hold::Held,
            Event::Released => entry.hold = Hold::No,
            Event::OverBudget => entry.hold = Hold::OverBudget,
            Event::Returned => entry.hold = Hold::Returned,
            Event::Leaving => entry.hold = Hold::Leaving,
            Event::Alone => entry.repeats = None,
            Event::Warned => entry.warned = true,
            Event::Repeated(repeats) => entry.repeats = Some(repeats),
            Event::Removed => entry.waiting.clear(),
        }
        if entry.waiting.is_empty() {
            return None;
        }
    }
    Some(entry)
}

pub(super) fn deferred(recipients: Vec<u32>, until: u64) -> Event {
    Event::Deferred {
        recipients,
        until: Timestamp::from_secs(until),
        reason: Arc::from(format!("450 {until}")),
    }
}
