//! A message that the limits let begin, from MAIL until it is answered.
//!
//! Contract: it ends once, as taken or as an attempt that came to nothing, however its session
//! ends.

use std::sync::Arc;

use mail::{
    clock::{self, Timestamp},
    message::writer::Writer,
};

use super::Server;
use crate::{limits::Peer, state::Changed};

/// The most that a message which says that it is a test may be, octets: what `sendmail-shim test`
/// sends has about a thousand.
const TEST: u64 = 4096;

/// A message under way.
pub(super) struct Begun {
    server: Arc<Server>,
    client: Peer,
    /// That were let through with it.
    recipients: u32,
    ended: bool,
}

/// A message that was counted, until it is on disk.
pub(super) struct Counted {
    server: Arc<Server>,
    client: Peer,
    recipients: u32,
    at: Timestamp,
    change: Changed,
    /// It is a test, which counts for nothing.
    free: bool,
    /// As whom, and how far that one is, for the log; empty: not at all.
    pub(super) told: String,
}

impl Begun {
    pub(super) fn new(server: &Arc<Server>, client: Peer) -> Self {
        Self {
            server: Arc::clone(server),
            client,
            recipients: 0,
            ended: false,
        }
    }

    /// One more recipient was let through.
    pub(super) fn add_recipient(&mut self) {
        self.recipients = self.recipients.saturating_add(1);
    }

    /// It is taken, with so many recipients and octets.
    pub(super) fn count(mut self, recipients: u32, size: u64, writer: Option<&Writer>) -> Counted {
        let at = clock::now();
        let is_test = writer.is_some_and(|writer| writer.test) && recipients == 1 && size <= TEST;
        let free = is_test && self.end_test(at);
        let told = if free {
            ", a test: not counted".to_owned()
        } else {
            if let Some(writer) = writer {
                let mut limits = self.server.limits();
                limits.wrote(&self.client, &writer.to_string(), at);
            }
            self.end(Some(recipients), at);
            self.server.limits().told(&self.client, at)
        };
        Counted {
            told,
            free,
            server: Arc::clone(&self.server),
            client: self.client.clone(),
            recipients,
            at,
            change: self.server.state.changed(),
        }
    }

    /// As a test that is not counted, if there may be one more.
    fn end_test(&mut self, now: Timestamp) -> bool {
        let mut limits = self.server.limits();
        self.ended |= limits.end_test(&self.client, self.recipients, now);
        drop(limits);
        if self.ended {
            let budget = &self.server.budget;
            budget.end(&self.client, self.recipients, None);
        }
        self.ended
    }

    fn end(&mut self, taken: Option<u32>, now: Timestamp) {
        if !std::mem::replace(&mut self.ended, true) {
            let mut limits = self.server.limits();
            limits.end(&self.client, self.recipients, taken, now);
            let news = limits.has_news();
            drop(limits);
            self.server.budget.end(&self.client, self.recipients, taken);
            if news {
                self.server.dispatch.news().wake();
            }
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.end(None, clock::now());
    }
}

impl Counted {
    /// It could not be kept after all.
    pub(super) fn take_back(self) {
        if self.free {
            return;
        }
        let mut limits = self.server.limits();
        limits.take_back(&self.client, self.recipients, self.at);
        drop(limits);
        self.server.budget.take_back(&self.client, self.recipients);
        self.server.state.changed();
    }
}

/// Waits until the count of a message would survive a kill, or cannot be written for now: a client
/// that is not answered sends the message again. Messages that are not counted wait for nothing.
pub(super) async fn is_kept(counted: Option<&Counted>) {
    let Some(counted) = counted else { return };
    let state = &counted.server.state;
    if !state.is_kept(counted.change) {
        state.flushed().await;
    }
}
