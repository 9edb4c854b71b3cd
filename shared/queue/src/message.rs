//! One message: the state of each recipient that is not settled.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use mail::{clock::Timestamp, outcome::Failure};

/// Where a recipient stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Waiting(Timestamp),
    /// [`crate::Action::Load`] was asked for.
    Loading,
    /// Among its destination's jobs.
    Queued,
    Delivering,
    /// For good; the bounce is being made, or will be when no other recipient is on its way.
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pending {
    pub(crate) recipient: u32,
    pub(crate) state: State,
    /// How long it is tried, in seconds, if not as the schedule says.
    pub(crate) lifetime: Option<NonZeroU32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Message<O> {
    /// Whose it is, as far as that is known.
    pub(crate) owner: O,
    /// Nobody can be told of its failure: it is kept on hold then.
    pub(crate) unreturnable: bool,
    /// It moves with the clock: how old mail is does not depend on whether that was right.
    pub(crate) arrival: Timestamp,
    /// Since when this process knows it.
    pub(crate) seen: Timestamp,
    /// It waits for what is no attempt's end, and so for as long as it says.
    pub(crate) kept: bool,
    pub(crate) held: bool,
    /// Removed by the administrator while recipients were on their way: so many others were not
    /// delivered to.
    pub(crate) deleted: Option<usize>,
    /// Some of it was delivered after an order to hold, delete or return it.
    overtaken: bool,
    /// By the administrator: the next attempt is made also where the destination is suspended.
    pub(crate) flushed: bool,
    /// The sender was warned of the delay, or is just being.
    pub(crate) warned: bool,
    /// Jobs that carry another number are void.
    pub(crate) epoch: u32,
    /// Its place in the order of what is due.
    pub(crate) due: Option<Timestamp>,
    /// By their numbers, so that one of many thousands is found without looking at all.
    pub(crate) recipients: Vec<Pending>,
    /// Boxed: a message that waits, as a million may, has none.
    news: Option<Box<News>>,
    /// A recipient's end was a bounce.
    pub(crate) bounced: bool,
    /// One of [`News::failed`] was given up after the queue lifetime.
    pub(crate) expired: bool,
}

/// The way of a message of which one recipient is left, as it was when it was read last.
#[derive(Debug)]
pub(crate) struct Behind<D> {
    pub(crate) destination: Arc<D>,
    pub(crate) sender: u64,
    /// How often it need not be read.
    pub(crate) skips: u8,
}

/// What is to be told of a message.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct News {
    /// By the administrator: whoever waits is given up with this reason.
    pub(crate) returned: Option<Failure>,
    /// What the warning of the delay will tell.
    pub(crate) late: Vec<(u32, Failure)>,
    /// What the next bounce will tell.
    pub(crate) failed: Vec<(u32, Failure)>,
    /// Recipients of the bounce that is being made; empty if none is.
    pub(crate) bouncing: Vec<u32>,
}

impl<O> Message<O> {
    pub(crate) fn new(
        owner: O,
        arrival: Timestamp,
        seen: Timestamp,
        mut recipients: Vec<Pending>,
    ) -> Self {
        recipients.sort_by_key(|pending| pending.recipient);
        Self {
            owner,
            unreturnable: false,
            arrival,
            seen,
            kept: false,
            held: false,
            deleted: None,
            overtaken: false,
            flushed: false,
            warned: false,
            epoch: 0,
            due: None,
            recipients,
            news: None,
            bounced: false,
            expired: false,
        }
    }

    /// What is to be told, if there is anything.
    pub(crate) fn some_news(&mut self) -> Option<&mut News> {
        self.news.as_deref_mut()
    }

    /// What is to be told, to add to it.
    pub(crate) fn news(&mut self) -> &mut News {
        self.news.get_or_insert_default()
    }

    /// No memory for what was told.
    pub(crate) fn forget_old_news(&mut self) {
        self.news.take_if(|news| **news == News::default());
    }

    /// Why whoever waits is given up.
    pub(crate) fn returned(&self) -> Option<&Failure> {
        self.news.as_ref()?.returned.as_ref()
    }

    /// Recipients of the bounce that was being made.
    pub(crate) fn take_bouncing(&mut self) -> Vec<u32> {
        let bouncing = self.some_news().map(|news| &mut news.bouncing);
        bouncing.map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn any(&self, which: impl Fn(State) -> bool) -> bool {
        self.recipients.iter().any(|pending| which(pending.state))
    }

    /// Whether an order has found nothing more to do, of one whose recipients are all settled.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.overtaken && !self.bounced && self.deleted.unwrap_or_default() == 0
    }

    /// Some of it was delivered now, by an attempt that no order ends.
    pub(crate) fn note_delivered(&mut self) {
        self.overtaken |= self.held || self.returned().is_some() || self.deleted.is_some();
    }

    /// Whether a recipient is on its way to or in a delivery.
    pub(crate) fn on_its_way(&self) -> bool {
        self.any(|state| matches!(state, State::Loading | State::Queued | State::Delivering))
    }

    /// Whether nothing happens to it now, and nobody has to be told of it.
    pub(crate) fn rests(&self) -> bool {
        self.deleted.is_none()
            && self
                .recipients
                .iter()
                .all(|it| matches!(it.state, State::Waiting(_)))
    }

    /// When the first waiting recipient is due.
    pub(crate) fn first_due(&self) -> Option<Timestamp> {
        self.recipients
            .iter()
            .filter_map(|pending| match pending.state {
                State::Waiting(until) => Some(until),
                _ => None,
            })
            .min()
    }

    /// Recipients in a state for which `which` holds are put into `state`; gives them.
    pub(crate) fn shift(&mut self, which: impl Fn(State) -> bool, state: State) -> Vec<u32> {
        let matching = self
            .recipients
            .iter_mut()
            .filter(|pending| which(pending.state));
        matching
            .map(|pending| {
                pending.state = state;
                pending.recipient
            })
            .collect()
    }

    /// Puts these recipients into a state.
    pub(crate) fn set(&mut self, recipients: &[u32], state: State) {
        for &recipient in recipients {
            if let Some(pending) = self.pending_mut(recipient) {
                pending.state = state;
            }
        }
    }

    fn place(&self, recipient: u32) -> Option<usize> {
        let by_number = |pending: &Pending| pending.recipient;
        let found = self.recipients.binary_search_by_key(&recipient, by_number);
        found.ok()
    }

    /// A recipient that is not settled.
    pub(crate) fn pending(&self, recipient: u32) -> Option<&Pending> {
        self.recipients.get(self.place(recipient)?)
    }

    fn pending_mut(&mut self, recipient: u32) -> Option<&mut Pending> {
        let place = self.place(recipient)?;
        self.recipients.get_mut(place)
    }

    /// A recipient that was being loaded goes on to its destination, and is tried for so long, if
    /// not as the schedule says; `false`: it was not.
    pub(crate) fn leaves(&mut self, recipient: u32, lifetime: Option<Duration>) -> bool {
        let seconds = lifetime.map(|it| u32::try_from(it.as_secs()).unwrap_or(u32::MAX));
        let pending = self.pending_mut(recipient);
        let Some(pending) = pending.filter(|it| it.state == State::Loading) else {
            return false;
        };
        pending.lifetime = seconds.and_then(NonZeroU32::new);
        pending.state = State::Queued;
        true
    }

    /// Takes these recipients out: they are settled.
    pub(crate) fn settle(&mut self, recipients: &[u32]) {
        let mut settled = recipients.to_vec();
        settled.sort_unstable();
        self.recipients
            .retain(|pending| settled.binary_search(&pending.recipient).is_err());
    }

    /// No wait is longer than this; one that is kept waits for the end of a window that began when
    /// it came.
    pub(crate) fn longest_wait(&self, longest: Duration) -> Duration {
        let waits = self.recipients.iter().map(|it| match it.state {
            State::Waiting(until) => until.since(self.arrival),
            _ => Duration::ZERO,
        });
        waits.max().filter(|_| self.kept).unwrap_or(longest)
    }

    /// The clock was set back: no wait is longer than this, and nothing lies in the future.
    pub(crate) fn bound(&mut self, longest: Duration, now: Timestamp) {
        self.arrival = self.arrival.min(now);
        self.seen = self.seen.min(now);
        for pending in &mut self.recipients {
            if let State::Waiting(until) = &mut pending.state {
                *until = (*until).min(now.after(longest));
            }
        }
    }
}
