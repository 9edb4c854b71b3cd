//! What questions take of the connections of a site: whether a recipient would be taken, asked
//! without a message.
//!
//! Contract: deliveries go first. A question has one of the connections that its site may have, and
//! questions have half of these at most. Where deliveries wait too, one question at a time goes,
//! and a delivery begins between two. Hosts that have too many connections for a question are asked
//! nothing for a growing time; deliveries go on.

use std::time::Duration;

use mail::clock::Timestamp;

/// How long hosts are asked nothing after a question was one too many, at first and at most.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(5);

/// The questions of one site.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Asking {
    /// Questions under way, each with a connection.
    pub(crate) under_way: usize,
    /// The last one that said anything of them was answered.
    pub(crate) answers: bool,
    /// No delivery has begun since the last question did.
    was_last: bool,
    pause: Option<Timestamp>,
    /// Pauses without an answer between them.
    pauses: u32,
}

impl Asking {
    /// Whether there may be one more question, of so many deliveries that there may be.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        self.under_way < part(most)
    }

    /// Whether there are more than there may be.
    pub(crate) fn has_too_many(&self, most: usize) -> bool {
        self.under_way > part(most)
    }

    /// Whether a question goes before a delivery that waits.
    pub(crate) fn goes_first(&self) -> bool {
        self.under_way == 0 && !self.was_last
    }

    pub(crate) fn begin(&mut self) {
        self.under_way += 1;
        self.was_last = true;
    }

    pub(crate) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A delivery begins.
    pub(crate) fn gives_way(&mut self) {
        self.was_last = false;
    }

    pub(crate) fn is_paused(&self, now: Timestamp) -> bool {
        self.pause.is_some_and(|until| until > now)
    }

    /// A question was one too many.
    pub(crate) fn begin_pause(&mut self, now: Timestamp) {
        let pause = PAUSE.saturating_mul(1 << self.pauses.min(8)).min(LONGEST);
        self.pauses = self.pauses.saturating_add(1);
        self.answers = false;
        self.pause = Some(now.after(pause));
    }

    /// A question was answered, or the administrator wants everything tried.
    pub(crate) fn end_pause(&mut self) {
        (self.pause, self.pauses) = (None, 0);
    }

    /// The wall clock was set back.
    pub(crate) fn bound(&mut self, now: Timestamp) {
        self.pause = self.pause.map(|until| until.min(now.after(LONGEST)));
    }
}

/// What questions have of so many places.
fn part(most: usize) -> usize {
    (most / 2).max(1)
}
