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

    /// It is taken, with so many recipients.
    pub(super) fn count(mut self, recipients: u32, writer: Option<&Writer>) -> Counted {
        let at = clock::now();
        if let Some(writer) = writer {
            let mut limits = self.server.limits();
            limits.wrote(&self.client, &writer.to_string(), at);
        }
        self.end(Some(recipients), at);
        let told = self.server.limits().told(&self.client, at);
        Counted {
            told,
            server: Arc::clone(&self.server),
            client: self.client.clone(),
            recipients,
            at,
            change: self.server.state.changed(),
        }
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
        let mut limits = self.server.limits();
        limits.take_back(&self.client, self.recipients, self.at);
        drop(limits);
        self.server.budget.take_back(&self.client, self.recipients);
        self.server.state.changed();
    }
}

/// Waits until the count of a message would survive a kill. Messages that are not counted wait for
/// nothing.
pub(super) async fn is_kept(counted: Option<&Counted>) {
    let Some(counted) = counted else { return };
    let state = &counted.server.state;
    if !state.is_kept(counted.change) {
        state.flushed().await;
    }
}
