//! When a file is to be read: at once the first time, then whenever it has changed and was left
//! alone for two seconds.
//!
//! Contract: pure. A look that was taken, or refused, is not read again; so a fault is told once.
//! A file that is as it was is not looked at again as long as no change of it could be taken.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::time::Duration;

use mail::clock::Timestamp;

/// An editor, or a program that writes the file piece by piece, is done when it was silent for so
/// long.
pub const SETTLED: Duration = Duration::from_secs(2);

/// A change may look older by less than this: it is told in whole seconds, and a file system's
/// clock is a little behind ours.
const BEHIND: Duration = Duration::from_millis(1100);

/// How a file looks without being read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// Device, inode, size; when it last changed (its mode and owner too), and the nanoseconds of
    /// that.
    File([u64; 3], Timestamp, i64),
    Missing,
    /// Why it cannot even be looked at.
    Hidden(String),
}

/// What is known of one file.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// How it looked when it was read.
    seen: Option<Look>,
    /// Another look, and since when.
    changing: Option<(Look, Timestamp)>,
    /// When it last was as it is known.
    same: Option<Timestamp>,
}

impl Watch {
    /// Whether it is to be looked at: what has changed since it was as it is known is not left
    /// alone for long enough before.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let enough = SETTLED.saturating_sub(BEHIND);
        self.same
            .is_none_or(|same| now < same || now.since(same) >= enough)
    }

    /// Whether it is to be read now.
    pub fn handle(&mut self, look: &Look, now: Timestamp) -> bool {
        let Some(seen) = &self.seen else {
            return self.take(look, now);
        };
        if seen == look {
            self.changing = None;
            self.same = Some(now);
            return false;
        }
        let since = match (look, &self.changing) {
            // It says itself when it changed; a time to come says nothing.
            (Look::File(_, changed, _), _) if *changed <= now => *changed,
            (_, Some((other, since))) if other == look => *since,
            _ => now,
        };
        if since <= now && now.since(since) >= SETTLED {
            return self.take(look, now);
        }
        self.same = None;
        self.changing = Some((look.clone(), since));
        false
    }

    fn take(&mut self, look: &Look, now: Timestamp) -> bool {
        self.seen = Some(look.clone());
        self.changing = None;
        self.same = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    fn file(size: u64, changed: u64) -> Look {
        Look::File([1, 2, size], at(changed), 0)
    }

    #[test]
    fn a_file_is_read_at_once_the_first_time_and_then_when_it_was_left_alone_for_two_seconds() {
        let mut watch = Watch::default();
        assert!(watch.handle(&file(10, 5), at(5)), "first");
        assert!(!watch.handle(&file(10, 5), at(6)), "as it was");
        assert!(!watch.handle(&file(3, 10), at(10)), "just changed");
        assert!(!watch.handle(&file(20, 11), at(12)), "again");
        assert!(watch.handle(&file(20, 11), at(13)), "left alone");
        assert!(watch.handle(&file(7, 100), at(5000)), "long ago");
        assert!(!watch.handle(&file(7, 100), at(5001)));
    }

    #[test]
    fn a_file_is_not_looked_at_as_long_as_no_change_of_it_could_be_taken() {
        let mut watch = Watch::default();
        assert!(watch.is_due(at(5)), "nothing is known");
        assert!(watch.handle(&file(10, 1), at(5)));
        assert!(!watch.is_due(at(5)));
        // What changed just after the last look, at the end of a second, counts soon.
        assert!(watch.is_due(at(6)));
        assert!(watch.handle(&file(20, 5), at(7)));
        assert!(!watch.handle(&file(20, 5), at(9)) && !watch.is_due(at(9)));
        assert!(!watch.handle(&file(30, 11), at(11)));
        assert!(watch.is_due(at(11)), "it is changing");
        assert!(watch.handle(&file(30, 11), at(13)) && !watch.is_due(at(13)));
        assert!(watch.is_due(at(12)), "the clock was set back");
    }

    #[test]
    fn a_file_that_comes_and_goes_or_is_from_the_future_is_waited_for_by_our_own_clock() {
        let mut watch = Watch::default();
        assert!(watch.handle(&file(10, 5), at(5)));
        assert!(!watch.handle(&Look::Missing, at(10)));
        assert!(!watch.handle(&Look::Missing, at(11)));
        assert!(watch.handle(&Look::Missing, at(12)));
        let ahead = file(8, 900_000);
        assert!(!watch.handle(&ahead, at(20)));
        assert!(watch.handle(&ahead, at(22)));
        let hidden = Look::Hidden("permission denied".into());
        assert!(!watch.handle(&hidden, at(30)));
        assert!(watch.handle(&hidden, at(32)) && !watch.handle(&hidden, at(40)));
    }
}
