//! Messages by which a machine tries whether its mail goes: some of them do not count.

use mail::clock::Timestamp;

use super::{Kept, Limits};
use crate::limits::{Class, Peer};

impl Limits {
    /// What was let begin, with so many recipients, is a test, and is taken. `false`: it counts as
    /// all others do, and has not ended. Only clients of ours test, and only so often.
    pub fn end_test(&mut self, peer: &Peer, recipients: u32, now: Timestamp) -> bool {
        let counted = self.counted(peer, now);
        let free = counted.iter().all(|(counter, terms)| {
            counter.0 == Class::Own && self.client(counter, terms, now).has_tests_left(terms, now)
        });
        if free {
            self.arrive(peer, recipients);
            for (counter, terms) in counted {
                self.client(&counter, &terms, now).test(&terms, now);
                self.dirty.insert((Kept::Counts(counter.0), counter.1));
            }
        }
        free
    }
}
