//! Fair turns among those whose mail it is.
//!
//! Contract: owners take turns, however much mail each of them has; who goes first does so, but
//! after [`FIRST_TURNS`] turns in a row somebody else has one.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

/// Turns in a row of who goes first, while others wait.
const FIRST_TURNS: u32 = 4;

/// Whose turn it was.
#[derive(Clone, Debug)]
pub(crate) struct Turns<O> {
    first: Option<O>,
    streak: u32,
    last: Option<O>,
}

impl<O: Copy + Ord> Turns<O> {
    pub(crate) fn new(first: Option<O>) -> Self {
        Self {
            first,
            streak: 0,
            last: None,
        }
    }

    /// The last turns came to nothing: who goes first does so again.
    pub(crate) fn restart(&mut self) {
        self.streak = 0;
    }

    /// The owner whose turn it is, of those that have something ready; it had its turn then.
    pub(crate) fn next<V>(
        &mut self,
        waiting: &BTreeMap<O, V>,
        ready: impl Fn(&O, &V) -> bool,
    ) -> Option<O> {
        let is_ready = |owner: &O| waiting.get(owner).is_some_and(|own| ready(owner, own));
        let first = self.first.filter(is_ready);
        if first.is_some() && self.streak < FIRST_TURNS {
            self.streak += 1;
            return first;
        }
        self.streak = 0;
        let (after, up_to) = match self.last {
            Some(last) => (
                waiting.range((Excluded(last), Unbounded)),
                Some(waiting.range(..=last)),
            ),
            None => (waiting.range(..), None),
        };
        let mut others = after
            .chain(up_to.into_iter().flatten())
            .filter(|(owner, _)| Some(**owner) != self.first);
        match others.find(|(owner, own)| ready(owner, own)) {
            Some((owner, _)) => {
                self.last = Some(*owner);
                Some(*owner)
            }
            None => first,
        }
    }
}
