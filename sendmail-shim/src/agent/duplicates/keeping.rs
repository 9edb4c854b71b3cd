//! Duplicate suppression with the queue behind it.
//!
//! Contract: a count is recorded for a message that is in the queue, and nothing is counted any
//! more by one that is being sent or thrown away: [`Duplicates::close`] first. What was kept is
//! known again after a restart.

use std::{
    hash::RandomState,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::{
    clock::{self, Timestamp},
    envelope::Envelope,
    message::Header,
};
use spool::{Body, Event, QueueId, Repeats, Spool};

use super::{
    likeness::{is_automatic, likeness},
    window::{Judgement, Windows},
};

/// What is known of storms now.
pub(in crate::agent) struct Duplicates {
    key: RandomState,
    windows: Mutex<Windows>,
}

/// What becomes of a message.
#[derive(Clone, Copy)]
pub(in crate::agent) enum Verdict {
    /// Sent; it may be the first of a storm.
    Send(Option<u64>),
    /// Taken, and kept until then.
    Keep { likeness: u64, until: Timestamp },
    /// Not taken: that one counts it, on disk after the next flush.
    Counted { by: QueueId, count: u32 },
}

impl Duplicates {
    /// With what the last agent kept.
    pub(in crate::agent) fn new(span: Duration, spool: &Spool) -> Self {
        let duplicates = Self {
            key: RandomState::new(),
            windows: Mutex::new(Windows::new(span)),
        };
        for entry in spool.entries() {
            let until = entry.waiting.iter().filter_map(|waiting| waiting.until);
            if let (Some(repeats), Some(until)) = (entry.repeats, until.max())
                && let Ok(Some(stored)) = spool.load(entry.id)
                && let Body::Inline(body) = &stored.body
            {
                let header = Header::parse(&stored.header);
                let likeness = likeness(&duplicates.key, &stored.envelope, &header, body);
                duplicates
                    .lock()
                    .kept(likeness, until, entry.id, repeats.count);
            }
        }
        duplicates
    }

    /// Decides about a message that is about to be taken. `body`: if it is small.
    pub(in crate::agent) fn judge(
        &self,
        spool: &Spool,
        envelope: &Envelope,
        header: &Header,
        body: Option<&[u8]>,
    ) -> Verdict {
        let Some(body) = body.filter(|_| is_automatic(header)) else {
            return Verdict::Send(None);
        };
        let (likeness, now) = (likeness(&self.key, envelope, header, body), clock::now());
        let mut windows = self.lock();
        match windows.judge(likeness, now) {
            Judgement::Send => Verdict::Send(Some(likeness)),
            Judgement::Keep { until } => Verdict::Keep { likeness, until },
            Judgement::Count { by, .. } if spool.entry(by).is_none() => {
                windows.close(by);
                windows.judge(likeness, now);
                Verdict::Send(Some(likeness))
            }
            Judgement::Count { by, count } => {
                spool.record(by, Event::Repeated(Repeats { count, last: now }));
                Verdict::Counted { by, count }
            }
        }
    }

    /// The message to be kept is in the queue.
    pub(in crate::agent) fn keep(
        &self,
        spool: &Spool,
        id: QueueId,
        likeness: u64,
        until: Timestamp,
    ) {
        let last = clock::now();
        let waiting = spool
            .entry(id)
            .map(|entry| entry.waiting)
            .unwrap_or_default();
        spool.record(id, Event::Repeated(Repeats { count: 1, last }));
        spool.record(
            id,
            Event::Deferred {
                recipients: waiting.iter().map(|waiting| waiting.recipient).collect(),
                until,
                reason: Arc::from("kept for the digest of mail that is like it"),
            },
        );
        self.lock().kept(likeness, until, id, 1);
    }

    /// The message was refused after all.
    pub(in crate::agent) fn forget(&self, likeness: u64) {
        self.lock().forget(likeness);
    }

    /// Nothing is counted by this message any more.
    pub(in crate::agent) fn close(&self, id: QueueId) {
        self.lock().close(id);
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
