//! How much of the queue is whose.
//!
//! Contract: what is settled or removed counts no more, whether that is durable or not. Users
//! without mail take no memory.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashMap;

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

    /// A message of this user, if it is somebody's and counts.
    pub(super) fn add(&mut self, whose: Option<(u32, Usage)>) {
        if let Some((uid, more)) = whose {
            let usage = self.0.entry(uid).or_default();
            usage.bytes = usage.bytes.saturating_add(more.bytes);
            usage.recipients = usage.recipients.saturating_add(more.recipients);
        }
    }

    pub(super) fn subtract(&mut self, whose: Option<(u32, Usage)>) {
        if let Some((uid, less)) = whose
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
