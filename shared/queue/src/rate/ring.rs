//! One window's counter: the time is cut into slots of 1/144 of the window (10 minutes of a day),
//! and each slot counts.
//!
//! Contract: an event counts for the whole span, and for at most one slot longer. So never more
//! than the limit passes in any span, and a message is taken again at most 0.7 % of the span late.
//! Slots without events take no memory.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Window;
use mail::clock::Timestamp;

/// Slots of a window.
const SLOTS: u64 = 144;

/// A counter of events in a sliding window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ring {
    /// Milliseconds of a slot.
    width: u64,
    /// Number of the slot since 1970, and its count; ascending, none is zero.
    slots: VecDeque<(u64, u32)>,
}

/// A ring as it is kept in a file: slots since 1970 and their counts, and the window's length in
/// seconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recorded {
    seconds: u64,
    slots: Vec<(u64, u32)>,
}

impl Ring {
    /// Nothing counted yet.
    pub fn new(window: Window) -> Self {
        let span = u64::try_from(window.span.as_millis()).unwrap_or(u64::MAX);
        Self {
            width: span.div_ceil(SLOTS).max(1),
            slots: VecDeque::new(),
        }
    }

    /// A ring with what was kept of the window of that length, if any was; slots that make no sense
    /// are put in order.
    pub fn restore(window: Window, kept: &[Recorded], now: Timestamp) -> Self {
        let mut ring = Self::new(window);
        let seconds = window.span.as_secs();
        if let Some(kept) = kept.iter().find(|kept| kept.seconds == seconds) {
            let counted = kept.slots.iter().filter(|(_, count)| *count > 0);
            ring.slots.extend(counted);
        }
        ring.slots.make_contiguous().sort_unstable();
        ring.advance(now);
        ring
    }

    /// To be kept in a file.
    pub fn record(&self, window: Window) -> Recorded {
        Recorded {
            seconds: window.span.as_secs(),
            slots: self.slots().collect(),
        }
    }

    fn slots(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.slots.iter().copied()
    }

    /// Events that count now.
    pub fn count(&self, now: Timestamp) -> u32 {
        let oldest = self.slot(now).saturating_sub(SLOTS);
        self.slots()
            .filter(|(slot, _)| *slot >= oldest)
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Counts one event.
    pub fn add(&mut self, now: Timestamp) {
        self.advance(now);
        let slot = self.slot(now);
        match self.slots.back_mut() {
            Some((last, count)) if *last == slot => *count = count.saturating_add(1),
            _ => self.slots.push_back((slot, 1)),
        }
    }

    /// Takes back an event that was counted then.
    pub fn take_back(&mut self, then: Timestamp) {
        let slot = self.slot(then);
        if let Some(at) = self.slots.iter().rposition(|(known, _)| *known == slot)
            && let Some((_, count)) = self.slots.get_mut(at)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.slots.remove(at);
            }
        }
    }

    /// When fewer than `limit` events will count, if nothing is added; `None` if never (the limit
    /// is 0).
    pub fn free_at(&self, limit: u32, now: Timestamp) -> Option<Timestamp> {
        let current = self.slot(now);
        let mut left = self.count(now);
        if left < limit {
            return Some(now);
        }
        let oldest = current.saturating_sub(SLOTS);
        for (slot, count) in self.slots().filter(|(slot, _)| *slot >= oldest) {
            left = left.saturating_sub(count);
            if left < limit {
                let gone = slot.min(current).saturating_add(SLOTS).saturating_add(1);
                return Some(Timestamp::from_millis(gone.saturating_mul(self.width)));
            }
        }
        None
    }

    /// Adds other events of the same window.
    pub fn absorb(&mut self, other: &Self, now: Timestamp) {
        let mut all: Vec<_> = self.slots().chain(other.slots()).collect();
        all.sort_unstable_by_key(|(slot, _)| *slot);
        self.slots.clear();
        for (slot, count) in all {
            match self.slots.back_mut() {
                Some((last, known)) if *last == slot => *known = known.saturating_add(count),
                _ => self.slots.push_back((slot, count)),
            }
        }
        self.advance(now);
    }

    fn slot(&self, now: Timestamp) -> u64 {
        now.as_millis() / self.width
    }

    /// Drops what has slid out. Events of the future (the clock was set back) count as of now, or
    /// they would stay for as long: to be called before it is asked whether there is room.
    pub fn advance(&mut self, now: Timestamp) {
        let current = self.slot(now);
        let mut future = 0u32;
        while let Some((_, count)) = self.slots.pop_back_if(|(slot, _)| *slot > current) {
            future = future.saturating_add(count);
        }
        if future > 0 {
            match self.slots.back_mut() {
                Some((last, count)) if *last == current => *count = count.saturating_add(future),
                _ => self.slots.push_back((current, future)),
            }
        }
        let oldest = current.saturating_sub(SLOTS);
        while self
            .slots
            .pop_front_if(|(slot, _)| *slot < oldest)
            .is_some()
        {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_ring_counts_as_a_log_of_all_events_does_up_to_one_slot(
            steps in proptest::collection::vec(0u64..5000, 1..200),
            span in 1u64..600,
        ) {
            let mut ring = Ring::new(Window { limit: 1, span: Duration::from_secs(span) });
            let (mut log, mut now) = (Vec::new(), 1_000_000_000u64);
            for step in steps {
                now += step;
                ring.add(Timestamp::from_millis(now));
                log.push(now);
                let within = |millis: u64| log.iter().filter(|&&event| now - event < millis).count();
                let count = ring.count(Timestamp::from_millis(now)) as usize;
                prop_assert!(count >= within(span * 1000), "forgotten too early");
                prop_assert!(count <= within(ring.width * (SLOTS + 1)), "kept too long");
                prop_assert!(ring.slots.len() <= 145);
            }
        }

        #[test]
        fn the_time_that_is_promised_is_when_a_slot_is_free(
            steps in proptest::collection::vec(0u64..5000, 1..100),
            limit in 1u32..50,
        ) {
            let mut ring = Ring::new(Window { limit, span: Duration::from_mins(1) });
            let mut now = Timestamp::from_secs(1_000_000);
            for step in steps {
                now = now.after(Duration::from_millis(step));
                ring.add(now);
            }
            let free = ring.free_at(limit, now).unwrap();
            prop_assert!(ring.count(free) < limit);
            if free > now {
                prop_assert!(ring.count(Timestamp::from_millis(free.as_millis() - 1)) >= limit);
            }
        }
    }

    /// A slot of a window of one second.
    const WIDTH: u64 = 7;
    const SECOND: Window = Window {
        limit: 1,
        span: Duration::from_secs(1),
    };
    const START: u64 = WIDTH * 1_000_000;

    /// The same without cleverness: the slot of each event, one by one.
    #[derive(Clone, Default)]
    struct Naive(Vec<u64>);

    impl Naive {
        fn advance(&mut self, now: u64) {
            let current = now / WIDTH;
            self.0.retain(|slot| slot + SLOTS >= current);
            self.0
                .iter_mut()
                .for_each(|slot| *slot = (*slot).min(current));
        }

        fn add(&mut self, now: u64) {
            self.advance(now);
            self.0.push(now / WIDTH);
        }

        fn take_back(&mut self, then: u64) {
            if let Some(at) = self.0.iter().position(|slot| *slot == then / WIDTH) {
                self.0.remove(at);
            }
        }

        fn count(&self, now: u64) -> u32 {
            let counts = self.0.iter().filter(|slot| **slot + SLOTS >= now / WIDTH);
            u32::try_from(counts.count()).unwrap()
        }

        fn free_at(&self, limit: u32, now: u64) -> Option<u64> {
            let beginnings = (1..=SLOTS + 1).map(|slot| (now / WIDTH + slot) * WIDTH);
            let mut moments = std::iter::once(now).chain(beginnings);
            moments.find(|moment| self.count(*moment) < limit)
        }
    }

    fn agree(ring: &Ring, naive: &Naive, now: u64, what: impl std::fmt::Debug) {
        let at = Timestamp::from_millis(now);
        assert_eq!(ring.count(at), naive.count(now), "{what:?}, at {now}");
        for limit in 0..4 {
            let free = ring.free_at(limit, at).map(Timestamp::as_millis);
            assert_eq!(
                free,
                naive.free_at(limit, now),
                "{what:?}, {limit} at {now}"
            );
        }
    }

    /// Moments that lie at both ends of slots, over a window and what is beyond it.
    #[test]
    fn any_choice_of_moments_counts_as_a_list_of_all_events_does() {
        let moments =
            [0, 6, 7, 300, 301, 999, 1000, 1007, 1008, 1014, 1015, 1022].map(|ms| START + ms);
        for chosen in 0..1u32 << moments.len() {
            let (mut ring, mut naive) = (Ring::new(SECOND), Naive::default());
            for (nth, now) in moments.into_iter().enumerate() {
                if chosen & (1 << nth) != 0 {
                    ring.add(Timestamp::from_millis(now));
                    naive.add(now);
                }
                let counts = ring.count(Timestamp::from_millis(now));
                assert_eq!(counts, naive.count(now), "{chosen:b} at {now}");
            }
            for now in [1022, 1300, 2015, 2022, 2023, 2030, 2031, 2100].map(|ms| START + ms) {
                agree(&ring, &naive, now, chosen);
            }
        }
    }

    /// With a clock that is set back and forth, and events that are taken back.
    #[test]
    fn any_four_things_that_happen_count_as_in_a_list_of_all_events() {
        const MOMENTS: [u64; 5] = [START, START + 6, START + 7, START + 1014, START + 1015];
        for mut number in 0..10u32.pow(4) {
            let (mut ring, mut naive) = (Ring::new(SECOND), Naive::default());
            let what = number;
            for _ in 0..4 {
                let moment = MOMENTS[number as usize % 5];
                let at = Timestamp::from_millis(moment);
                if number % 10 < 5 {
                    ring.add(at);
                    naive.add(moment);
                } else {
                    ring.take_back(at);
                    naive.take_back(moment);
                }
                number /= 10;
            }
            for now in [START, START + 1015, START + 1022] {
                ring.advance(Timestamp::from_millis(now));
                naive.advance(now);
                agree(&ring, &naive, now, what);
            }
            assert!(ring.slots.iter().all(|(_, count)| *count > 0), "{what}");
        }
    }

    #[test]
    fn what_is_taken_back_counts_no_more_and_what_was_kept_counts_again() {
        let window = Window {
            limit: 2,
            span: Duration::from_hours(24),
        };
        let (early, late) = (
            Timestamp::from_secs(1_000_000),
            Timestamp::from_secs(1_003_600),
        );
        let mut ring = Ring::new(window);
        for time in [early, late, late] {
            ring.add(time);
        }
        ring.take_back(early);
        ring.take_back(early);
        assert_eq!((ring.count(late), ring.slots.len()), (2, 1));
        let kept = [ring.record(window)];
        assert_eq!(Ring::restore(window, &kept, late), ring);
        let hour = Window {
            limit: 2,
            span: Duration::from_hours(1),
        };
        assert_eq!(Ring::restore(hour, &kept, late).count(late), 0);
    }

    #[test]
    fn a_clock_set_back_does_not_block_a_client_for_years() {
        let mut ring = Ring::new(Window {
            limit: 1,
            span: Duration::from_mins(1),
        });
        ring.add(Timestamp::from_secs(2_000_000_000));
        let now = Timestamp::from_secs(1_000_000_000);
        ring.add(now);
        assert_eq!(ring.count(now), 2);
        assert_eq!(ring.count(now.after(Duration::from_secs(61))), 0);
        // Nothing more is added where the limit was reached.
        ring.add(Timestamp::from_secs(2_000_000_000));
        ring.advance(now);
        let free = ring.free_at(1, now).unwrap();
        assert!(
            free > now && free < now.after(Duration::from_secs(61)),
            "{free:?}"
        );
        assert_eq!(ring.count(now.after(Duration::from_secs(61))), 0);
    }
}
