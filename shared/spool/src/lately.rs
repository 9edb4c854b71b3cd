//! What was free a moment ago: messages that come together share a look at the disk.
//!
//! Contract: a look serves for [`FRESH`], and only while twice what is wanted is left of what it
//! saw, less all that has been granted since it began. Where room gets scarce, each message looks.
//! Only looks allow; none refuses here.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::{Duration, Instant};

use mail::limits;
use system::fs::Room;

/// How long a look serves.
const FRESH: Duration = Duration::from_millis(100);

/// What is known of it.
#[derive(Default)]
pub(super) struct Lately {
    seen: Option<Seen>,
    granted: Granted,
}

/// What was granted to messages, from the beginning on.
#[derive(Clone, Copy, Default)]
struct Granted {
    bytes: u64,
    files: u64,
}

struct Seen {
    look: Look,
    room: Room,
}

/// A look that begins.
#[derive(Clone, Copy)]
pub(super) struct Look {
    begun: Instant,
    before: Granted,
}

impl Lately {
    /// Whether there is certainly room for a message of this size beside what must stay free.
    pub(super) fn has_room(&mut self, size: u64, minimum: u64, now: Instant) -> bool {
        let Some(Seen { look, room }) = &self.seen else {
            return false;
        };
        let since = |now: u64, before: u64| now.saturating_sub(before);
        let bytes = since(self.granted.bytes, look.before.bytes);
        let files = since(self.granted.files, look.before.files);
        let is_plenty = |left: u64, wanted: u64| left / 2 >= wanted;
        let enough = now.saturating_duration_since(look.begun) < FRESH
            && is_plenty(
                room.bytes.saturating_sub(bytes),
                minimum.saturating_add(size),
            )
            && is_plenty(room.inodes.saturating_sub(files), limits::MINIMUM_INODES);
        if enough {
            self.grant(size);
        }
        enough
    }

    /// A message of this size was let in.
    pub(super) fn grant(&mut self, size: u64) {
        self.granted.bytes = self.granted.bytes.saturating_add(size);
        self.granted.files = self.granted.files.saturating_add(1);
    }

    pub(super) fn begin(&self, now: Instant) -> Look {
        Look {
            begun: now,
            before: self.granted,
        }
    }

    /// What that look has seen.
    pub(super) fn saw(&mut self, look: Look, room: Room) {
        self.seen = Some(Seen { look, room });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMUM: u64 = 100;

    fn room(bytes: u64, inodes: u64) -> Room {
        Room { bytes, inodes }
    }

    fn seen(room: Room) -> (Lately, Instant) {
        let (mut lately, now) = (Lately::default(), Instant::now());
        lately.saw(lately.begin(now), room);
        (lately, now)
    }

    #[test]
    fn messages_that_come_together_share_a_look_and_later_ones_look_again() {
        let (mut lately, now) = seen(room(1_000_000, 1_000_000));
        assert!((0..100).all(|_| lately.has_room(100, MINIMUM, now)));
        assert!(!lately.has_room(100, MINIMUM, now + FRESH));
        assert!(
            !Lately::default().has_room(0, MINIMUM, now),
            "nothing was seen"
        );
    }

    #[test]
    fn what_is_let_in_on_one_look_fits_whatever_comes() {
        for size in [0, 1, 7, 400, 5000] {
            let (mut lately, now) = seen(room(10_000, 4 * limits::MINIMUM_INODES));
            let mut taken = 0;
            while lately.has_room(size, MINIMUM, now) {
                taken += 1;
            }
            let left = 10_000_u64.checked_sub(taken * size).unwrap();
            assert!(left >= MINIMUM, "{size}: {taken}");
            assert!(taken <= 3 * limits::MINIMUM_INODES);
        }
    }

    #[test]
    fn what_was_granted_while_a_look_was_under_way_counts() {
        let (mut lately, now) = seen(room(100_000, 1_000_000));
        let look = lately.begin(now);
        assert!(lately.has_room(9_000, MINIMUM, now));
        lately.saw(look, room(10_000, 1_000_000));
        assert!(!lately.has_room(1_000, MINIMUM, now));
    }
}
