//! How much of the queue is whose.
//!
//! Contract: what is settled or removed counts no more, whether that is durable or not. Users without mail take no memory.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashMap;

use super::index::Message;

/// What is queued of one user's mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Of header and body of each message.
    pub bytes: u64,
    /// Who wait: a message to ten counts ten.
    pub recipients: u64,
}

/// The same of all users.
#[derive(Default)]
pub(super) struct Usages(HashMap<u32, Usage>);

impl Usages {
    /// Of all users that are meant, together.
    pub(super) fn of(&self, whose: impl Fn(u32) -> bool) -> Usage {
        let meant = self.0.iter().filter(|(uid, _)| whose(**uid));
        meant.fold(Usage::default(), |sum, (_, usage)| Usage {
            bytes: sum.bytes.saturating_add(usage.bytes),
            recipients: sum.recipients.saturating_add(usage.recipients),
        })
    }

    pub(super) fn add(&mut self, message: &Message) {
        if let Some((uid, more)) = of(message) {
            let usage = self.0.entry(uid).or_default();
            usage.bytes = usage.bytes.saturating_add(more.bytes);
            usage.recipients = usage.recipients.saturating_add(more.recipients);
        }
    }

    pub(super) fn subtract(&mut self, message: &Message) {
        if let Some((uid, less)) = of(message)
            && let Some(usage) = self.0.get_mut(&uid)
        {
            usage.bytes = usage.bytes.saturating_sub(less.bytes);
            usage.recipients = usage.recipients.saturating_sub(less.recipients);
            if *usage == Usage::default() {
                self.0.remove(&uid);
            }
        }
    }
}

/// What a message adds.
fn of(message: &Message) -> Option<(u32, Usage)> {
    let usage = Usage {
        bytes: message.size,
        recipients: message.waiting.len() as u64,
    };
    Some((message.uid.filter(|_| !message.gone)?, usage))
}
