//! What a transport is given, and what all of them answer alike.

use std::{
    io::{self, Cursor, Read},
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use mail::{
    address::Address,
    envelope::Envelope,
    message::Header,
    outcome::{Failure, Outcome},
};
use spool::Stored;
use tokio::sync::watch;

use super::ledger::Ledger;
use crate::{
    config::Pipe,
    destination::{Destination, Kind},
    link::Halt,
    loops,
    setup::Setup,
};

/// A whole delivery of a small message.
const BASE: Duration = Duration::from_mins(40);
/// Bytes a second that a message must make.
const SLOWEST: u64 = 4096;

/// To whom, and for whom.
pub(crate) struct Errand {
    /// What the queue calls it; `None`: a question beside it.
    pub(crate) ticket: Option<u64>,
    pub(crate) destination: Arc<Destination>,
    /// With these recipients alone.
    pub(crate) envelope: Envelope,
    /// What the queue calls each of them.
    pub(crate) numbers: Vec<u32>,
    /// Where it is noted who has the message; `None`: there is none.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// In force when it began.
    pub(crate) setup: Arc<Setup>,
    /// Others wait for the place.
    pub(crate) hurried: bool,
    /// When it ends with what is known by then.
    pub(crate) halt: Halt,
    /// Told where the peer is silent and others wait for the connection.
    pub(crate) cut: watch::Receiver<()>,
}

/// One message for some of its recipients.
pub(crate) struct Job {
    pub(crate) errand: Errand,
    pub(crate) stored: Arc<Stored>,
}

impl Deref for Job {
    type Target = Errand;
    fn deref(&self) -> &Errand {
        &self.errand
    }
}

impl Errand {
    /// The same for some of the recipients.
    pub(crate) fn only(&mut self, indexes: &[usize]) {
        self.numbers = self.numbers_of(indexes);
        self.envelope = self.envelope.with_only(indexes);
    }

    pub(super) fn numbers_of(&self, indexes: &[usize]) -> Vec<u32> {
        let numbers = indexes.iter().filter_map(|&at| self.numbers.get(at));
        numbers.copied().collect()
    }

    /// This recipient has the message, whatever becomes of the others.
    pub(super) fn arrived(&self, index: usize, outcome: &Outcome) {
        let (number, to) = (self.numbers.get(index), self.envelope.recipients.get(index));
        if let (Some(ledger), Some(&number), Some(to)) = (&self.ledger, number, to) {
            ledger.arrived(number, to, outcome);
        }
    }

    /// How its program is run, if there is one.
    pub(super) fn pipe(&self) -> Pipe {
        let name = self.destination.transport.as_deref();
        let pipe = name.and_then(|name| self.setup.config.pipe(name));
        pipe.cloned().unwrap_or_default()
    }

    /// How long it may take with so many bytes: every wait in it has a bound of its own, but a peer
    /// may use up each of them.
    pub(crate) fn longest(&self, size: u64) -> Duration {
        let base = match &self.destination.kind {
            Kind::Pipe(_) | Kind::Program(_) => {
                let count = u32::try_from(self.envelope.recipients.len()).unwrap_or(u32::MAX);
                BASE.max(self.pipe().timeout.saturating_mul(count.saturating_add(1)))
            }
            Kind::Smtp { .. } | Kind::Lmtp(_) | Kind::Maildir(_) | Kind::Aliases => BASE,
        };
        base.saturating_add(Duration::from_secs(size / SLOWEST))
    }
}

/// A message as those get it to whom a list sends it on.
pub(super) struct Marked<'a> {
    pub(super) stored: &'a Stored,
    mark: Vec<u8>,
}

impl<'a> Marked<'a> {
    pub(super) fn new(stored: &'a Stored, list: Option<&Address>) -> Self {
        let mark = loops::mark(list);
        Self { stored, mark }
    }

    pub(super) fn size(&self) -> u64 {
        let more = u64::try_from(self.mark.len()).unwrap_or(u64::MAX);
        self.stored.size().saturating_add(more)
    }

    pub(super) fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        let content = self.stored.reader()?;
        Ok(Box::new(Cursor::new(self.mark.clone()).chain(content)))
    }
}

/// Whether a message was delivered to this address before, on this machine or on one before it;
/// then it goes in circles.
pub(super) fn was_here_before(header: &[u8], address: &str) -> Option<Failure> {
    let header = Header::parse(header);
    let was_here = header.fields().iter().any(|field| {
        field.is("Delivered-To") && field.value().eq_ignore_ascii_case(address.as_bytes())
    });
    was_here.then(|| loops::failure(address))
}

/// The same failure for all recipients.
pub(crate) fn all(count: usize, failure: Failure) -> Vec<Outcome> {
    vec![failure.outcome(); count]
}
