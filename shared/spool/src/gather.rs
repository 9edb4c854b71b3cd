//! How long a commit waits for more: who was answered a moment ago may come again at once, and is
//! then served by this flush of the disk instead of the next.
//!
//! Without it, half of all who send one message after the other are in each flush: while it takes
//! its time for one half, the other half comes. With it, all are.
//!
//! Contract: pure. Nobody waits longer than a quarter of what the last commit took, and never for
//! nobody: a lone sender is served at once. Where it brings too few it is left off for a while that
//! doubles each time, up to [`LONGEST_REST`] commits.

use std::time::{Duration, Instant};

/// Commits that do not wait after waits that brought too few.
const LONGEST_REST: u32 = 64;
/// The part of a commit's time that the next one may wait: one in so many.
const PART: u32 = 4;
/// A shorter wait is not worth going to sleep, a longer one nobody's patience.
const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_millis(10);

#[derive(Default)]
pub(super) struct Gather {
    /// Senders that are known: those that waited when the last commit ended, and those it answered.
    senders: u32,
    /// When it ended, and how long it took.
    last: Option<(Instant, Duration)>,
    /// How long the next rest is, and commits left of this one.
    rest: u32,
    resting: u32,
}

impl Gather {
    /// A commit ended: how many it answers, and how many wait already.
    pub(super) fn committed(&mut self, now: Instant, took: Duration, answered: u32, waiting: u32) {
        self.senders = answered.saturating_add(waiting);
        self.last = Some((now, took));
        self.resting = self.resting.saturating_sub(1);
    }

    /// Until when to wait for more than `waiting`, if at all.
    pub(super) fn until(&self, now: Instant, waiting: u32) -> Option<Instant> {
        let (ended, took) = self.last?;
        let length = (took / PART).min(LONGEST);
        let until = ended.checked_add(length)?;
        let worth = self.resting == 0 && length >= SHORTEST && waiting < self.senders;
        (worth && now < until).then_some(until)
    }

    /// Whether all have come that are known.
    pub(super) fn is_complete(&self, waiting: u32) -> bool {
        waiting >= self.senders
    }

    /// A wait is over: was its part of a commit's time less than the part of all that it brought?
    pub(super) fn waited(&mut self, length: Duration, before: u32, after: u32) {
        let took = self.last.map_or(Duration::ZERO, |(_, took)| took);
        let came = after.saturating_sub(before);
        if took.saturating_mul(came) >= length.saturating_mul(before) && came > 0 {
            self.rest = 0;
        } else {
            self.rest = LONGEST_REST.min(self.rest.saturating_mul(2).max(1));
            self.resting = self.rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLUSH: Duration = Duration::from_millis(20);

    fn after(answered: u32, waiting: u32) -> (Gather, Instant) {
        let (mut gather, now) = (Gather::default(), Instant::now());
        gather.committed(now, FLUSH, answered, waiting);
        (gather, now)
    }

    #[test]
    fn who_was_answered_is_waited_for_a_quarter_of_a_commit_and_a_lone_sender_not() {
        let (gather, now) = after(4, 4);
        assert_eq!(gather.until(now, 4), Some(now + FLUSH / 4));
        assert_eq!(gather.until(now + FLUSH / 4, 4), None, "it came late");
        assert_eq!((gather.until(now, 8), gather.is_complete(8)), (None, true));
        let (gather, now) = after(1, 0);
        assert_eq!(gather.until(now, 1), None);
        let (mut gather, now) = after(4, 0);
        gather.committed(now, Duration::from_micros(200), 4, 0);
        assert_eq!(gather.until(now, 1), None, "a disk that is fast");
    }

    #[test]
    fn where_nobody_comes_again_fewer_and_fewer_commits_wait() {
        let (mut gather, now) = after(4, 4);
        let mut waits = 0;
        for _ in 0..1000 {
            if gather.until(now, 4).is_some() {
                waits += 1;
                gather.waited(FLUSH / 4, 4, 4);
            }
            gather.committed(now, FLUSH, 4, 4);
        }
        assert!((15..30).contains(&waits), "{waits}");
        while gather.until(now, 4).is_none() {
            gather.committed(now, FLUSH, 4, 4);
        }
        gather.waited(FLUSH / 20, 4, 8);
        gather.committed(now, FLUSH, 8, 0);
        assert!(gather.until(now, 4).is_some(), "it brought half of all");
    }
}
