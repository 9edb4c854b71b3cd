//! A peer that owes an answer and says nothing: who is told, and when the connection is cut because
//! others wait for it.
//!
//! Contract: what counts is a whole answer, however the peer drips. A connection is cut in the
//! silence that was told, and in no other; never once the whole message is out.

use std::{future, time::Instant};

use mail::outcome::Outcome;
use relay::delivery::QUIET;
use tokio::{sync::watch, time};

/// What is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// The peer has said nothing for [`QUIET`]; `in_doubt`: the whole message is out.
    Silent { in_doubt: bool },
    /// It goes on.
    Speaks,
    /// Of this recipient it has said that he has the message; others are not answered yet.
    Arrived(usize, Outcome),
}

/// Who is told in a transaction.
pub(crate) struct Silence<'a> {
    tell: &'a (dyn Fn(Told) + Send + Sync),
    /// Others wait.
    cut: watch::Receiver<()>,
    /// Since when the peer owes what was told of.
    since: Option<Instant>,
    /// So many recipients were told of.
    arrived: usize,
}

impl<'a> Silence<'a> {
    pub(crate) fn new(tell: &'a (dyn Fn(Told) + Send + Sync), cut: watch::Receiver<()>) -> Self {
        Self {
            tell,
            cut,
            since: None,
            arrived: 0,
        }
    }

    /// An answer is awaited since then, or none any more.
    pub(super) fn awaits(&mut self, since: Option<Instant>) {
        if self.since.take_if(|told| Some(*told) != since).is_some() {
            (self.tell)(Told::Speaks);
        }
    }

    /// Who has the message by now.
    pub(super) fn arrived(&mut self, known: impl Iterator<Item = (usize, Outcome)>) {
        // Answers come in the recipients' order (RFC 2033 section 4.2).
        for (index, outcome) in known.skip(self.arrived) {
            self.arrived = self.arrived.saturating_add(1);
            (self.tell)(Told::Arrived(index, outcome));
        }
    }

    /// Returns when the connection is to be cut, if it is.
    pub(super) async fn is_cut(&mut self, since: Instant, in_doubt: bool) {
        self.awaits(Some(since));
        if self.since.is_none() {
            time::sleep_until((since + QUIET).into()).await;
            self.since = Some(since);
            // Whatever was said before was of another silence.
            self.cut.mark_unchanged();
            (self.tell)(Told::Silent { in_doubt });
        }
        if in_doubt || self.cut.changed().await.is_err() {
            future::pending::<()>().await;
        }
    }
}
