//! Since when a peer that owes an answer says nothing, and what was told of it.
//!
//! Contract: what counts is a whole answer, however the peer drips. Each silence is told once, and
//! its end; that it goes on, once a transaction.

use std::time::{Duration, Instant};

use crate::delivery::QUIET;

/// A peer that says nothing for so long, in the middle of a transaction, may take its time.
const STALL: Duration = Duration::from_secs(10);

/// Those who may wait for a connection whose peer is silent.
pub trait Others {
    /// The peer says nothing while it owes an answer; `in_doubt`: the whole message is out, so that
    /// the connection is kept all the same. `named` as in [`crate::delivery::Host`].
    fn silent(&self, in_doubt: bool, named: bool);
    /// It goes on.
    fn speaks(&self);
    /// Whether they wait, since it was silent last.
    fn wait(&self) -> bool;
}

/// What whoever watches is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// For [`QUIET`]; `in_doubt`: the whole message is out.
    Silent { in_doubt: bool },
    /// For [`STALL`].
    Stalled,
    /// It goes on.
    Speaks,
}

/// The silences of a transaction.
#[derive(Default)]
pub(super) struct Silence {
    /// Since when it owes what was told of.
    since: Option<Instant>,
    stalled: bool,
}

impl Silence {
    /// An answer is awaited since then, or none any more: whether a silence has ended.
    pub(super) fn ends(&mut self, awaited: Option<Instant>) -> bool {
        self.since
            .take_if(|since| Some(*since) != awaited)
            .is_some()
    }

    /// Whether the peer is silent.
    pub(super) fn goes_on(&self) -> bool {
        self.since.is_some()
    }

    /// When whoever watches is to be told next.
    pub(super) fn next(&self, awaited: Instant) -> Option<Instant> {
        match self.since {
            None => Some(awaited + QUIET),
            Some(_) if self.stalled => None,
            Some(since) => Some(since + STALL),
        }
    }

    /// What is to be told now.
    pub(super) fn tell(&mut self, awaited: Instant, in_doubt: bool) -> Told {
        if self.since.is_some() {
            self.stalled = true;
            return Told::Stalled;
        }
        self.since = Some(awaited);
        Told::Silent { in_doubt }
    }
}
