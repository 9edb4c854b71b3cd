//! One delivery to the relayhost, over a connection that is kept while there is work, and the
//! thread that makes it.
//!
//! Contract: what is tried and in which order is [`::relay::delivery`]'s. There are as many
//! outcomes as recipients, in their order; what is not known is deferred.
//! Failures: a relayhost that does not answer, or that cannot be trusted, is [`Event::Unreached`]
//! with the reason; one that refuses this mail as that of this machine may take that of another
//! sender, and this message is deferred; what goes wrong on this machine defers the message.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use ::relay::{
    delivery::{Delivery as Attempt, Patience},
    net::{Connection, Kept, Outgoing, Road, Text, deliver},
};
use mail::{
    clock,
    envelope::Envelope,
    message::{Header, writer::Writer},
    outcome::{Failure, Outcome},
};
use queue::{
    deferring::{self, Found},
    notification::Occasion,
};
use smtp::client::Timeouts;
use spool::{Hold, QueueId, Stored};
use system::log::life;

use super::{replacement, report, waiting::Waiting};
use crate::{
    agent::{
        damage,
        dispatch::{Delivery, Event},
        maillog, notices,
        showing::Showing,
        state::Agent,
        turns::{Part, Turn},
    },
    relay,
};

/// What the one next hop is known by.
const RELAYHOST: &str = "relayhost";
/// How long a connection without work is kept.
const KEEP: Duration = Duration::from_secs(20);

/// A delivery thread's own things.
pub(super) struct Attempts {
    agent: Arc<Agent>,
    showing: Arc<Showing>,
    connection: Option<Kept>,
}

impl Attempts {
    pub(super) fn new(agent: Arc<Agent>, showing: Arc<Showing>) -> Self {
        Self {
            agent,
            showing,
            connection: None,
        }
    }

    /// Works until the sender of deliveries is gone; `done` is told of each end.
    pub(super) fn run(mut self, deliveries: &Receiver<Delivery>, done: impl Fn(Event)) {
        loop {
            match deliveries.recv_timeout(KEEP) {
                Ok(delivery) => {
                    let (event, part) = self.attempt(&delivery);
                    done(event);
                    // What became of it is recorded.
                    drop(part);
                }
                Err(RecvTimeoutError::Timeout) => self.quit(),
                Err(RecvTimeoutError::Disconnected) => return self.quit(),
            }
        }
    }

    fn quit(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.quit();
        }
    }

    fn attempt(&mut self, delivery: &Delivery) -> (Event, Option<Part>) {
        let (id, ticket) = (delivery.id, delivery.ticket);
        let agent = Arc::clone(&self.agent);
        let deferred = |text: &str| {
            let outcomes = all(delivery.recipients.len(), text);
            Event::Finished { ticket, outcomes }
        };
        // Removed a moment ago: there is nothing to tell of, neither in the log.
        let gone = || (deferred("the message is no longer queued"), None);
        let stored = match agent.dispatch.spool.load(id) {
            Ok(Some(stored)) => stored,
            Ok(None) => return gone(),
            Err(error) => {
                damage::found(&agent);
                return (deferred(&error.to_string()), None);
            }
        };
        let changed = replacement::is_due(&agent, &stored.envelope, &delivery.recipients);
        let turn = agent.turns.begin(id, changed);
        let Some(entry) = agent.dispatch.spool.entry(id) else {
            return gone();
        };
        match turn {
            Turn::Wait => (deferred(replacement::WAIT), None),
            Turn::Deliver(part) => (self.deliver(delivery, &stored), Some(part)),
            // An order came meanwhile, which is not another message's.
            Turn::Replace(part) if entry.hold != Hold::No => {
                (Event::Withdrawn { ticket }, Some(part))
            }
            Turn::Replace(part) => {
                let event = match replacement::replace(&agent, &stored, &entry) {
                    Some(Ok(())) => Event::Withdrawn { ticket },
                    Some(Err(error)) => deferred(&error.to_string()),
                    None => self.deliver(delivery, &stored),
                };
                (event, Some(part))
            }
        }
    }

    fn deliver(&mut self, delivery: &Delivery, stored: &Stored) -> Event {
        let (id, ticket, count) = (delivery.id, delivery.ticket, delivery.recipients.len());
        let finished = |outcomes| Event::Finished { ticket, outcomes };
        let envelope = stored.envelope.with_numbers(&delivery.recipients);
        let (mut outcomes, unusable, is_tried) = self.outcomes(delivery, stored, &envelope);
        if self.agent.dispatch.halted().is_some() {
            self.tell(delivery, stored, &envelope, &outcomes);
            return Event::interrupted(ticket, outcomes);
        }
        let untold = self.agent.memory().take_untold();
        notices::refused_elsewhere(&self.agent, &untold);
        match unusable {
            Some(failure) => {
                notices::unreached(&self.agent, &failure);
                if !failure.refuses_mail() {
                    return Event::Unreached { ticket, failure };
                }
            }
            None if is_tried => self.answered(id, &outcomes),
            None => {}
        }
        outcomes.resize(count, no_result());
        self.tell(delivery, stored, &envelope, &outcomes);
        if let Some(event) = Event::crowded(ticket, &envelope.recipients, &outcomes) {
            self.agent.dispatch.tell(event);
        }
        finished(outcomes)
    }

    /// As [`Self::send`], without those whose mail aliases refuse by now; and whether anybody was
    /// left.
    fn outcomes(
        &mut self,
        delivery: &Delivery,
        stored: &Stored,
        envelope: &Envelope,
    ) -> (Vec<Outcome>, Option<Failure>, bool) {
        let of = |it| replacement::refused(&self.agent, &stored.envelope, it);
        let refused: Vec<_> = envelope.recipients.iter().map(of).collect();
        let served = (0..).zip(&refused).filter(|(_, it)| it.is_none());
        let served: Vec<usize> = served.map(|(at, _)| at).collect();
        if served.len() == refused.len() {
            let (outcomes, unusable) = self.send(delivery, stored, envelope);
            return (outcomes, unusable, true);
        }
        let (sent, unusable) = if served.is_empty() {
            (Vec::new(), None)
        } else {
            self.send(delivery, stored, &envelope.with_only(&served))
        };
        let mut sent = sent.into_iter();
        let outcomes = refused.into_iter();
        let outcomes = outcomes.map(|refused| {
            let sent = || sent.next().unwrap_or_else(no_result);
            refused.unwrap_or_else(sent)
        });
        (outcomes.collect(), unusable, !served.is_empty())
    }

    /// What a delivery shows of a relayhost that was reached: one that says "later" to all mail
    /// takes none.
    fn answered(&self, id: QueueId, outcomes: &[Outcome]) {
        let agent = &self.agent;
        match deferring::look(outcomes) {
            Found::Takes => {
                agent.deferring().takes(RELAYHOST);
                agent.outages.ended();
            }
            Found::Defers(failure) if agent.deferring().defers(RELAYHOST, id) => {
                notices::deferred(agent, failure);
            }
            Found::Nothing | Found::Defers(_) => agent.outages.reached(),
        }
    }

    /// Log, followers, and a sender who asked to hear of it.
    fn tell(&self, delivery: &Delivery, stored: &Stored, envelope: &Envelope, of: &[Outcome]) {
        let age = clock::now().since(stored.arrival);
        for (recipient, outcome) in envelope.recipients.iter().zip(of) {
            life::attempt(stored.id, recipient, age, outcome);
            let attempts = &self.agent.attempts;
            attempts.tell(stored.id, stored.envelope.uid, recipient, outcome);
        }
        notices::refused(&self.agent, of);
        // Before they are settled: a crash may repeat it.
        let reached = Occasion::Reached {
            recipients: &delivery.recipients,
            outcomes: of,
        };
        match report::queue(&self.agent, stored, reached) {
            Ok(Some(news)) => life::confirmed(stored.id, news),
            Ok(None) => {}
            Err(why) => maillog::warning(&format!("{}: nobody is told of it: {why}", stored.id)),
        }
    }

    /// The outcomes, and the failure that speaks against any other mail, too.
    fn send(
        &mut self,
        delivery: &Delivery,
        stored: &Stored,
        envelope: &Envelope,
    ) -> (Vec<Outcome>, Option<Failure>) {
        let agent = Arc::clone(&self.agent);
        let settings = &agent.settings;
        let others = Waiting::new(&agent.dispatch, delivery.ticket);
        let tls = self.showing.tls(settings);
        let road = Road {
            way: &|| {
                if settings.relayhost.is_empty() {
                    return Err(relay::nowhere(agent.fault().as_ref()));
                }
                let way = relay::way(settings, &agent.names, tls.as_ref())?;
                agent.memory().found(&way.hosts);
                Ok(way)
            },
            settings: &|| relay::smtp(settings, Timeouts::default()),
            tls: tls.as_ref(),
            own: &settings.listen,
            memory: &agent.memory,
            opened: &|connection| opened(&agent, connection),
            others: Some(&others),
            halted: Some(&|| agent.dispatch.halted()),
            all_the_same: &|connection, what| {
                let relay = connection.relay();
                maillog::warning(&format!("{}: {relay} {what}", stored.id));
            },
        };
        let mut header = Header::parse(&stored.header);
        let told = Writer::take(&mut header).is_some();
        let header = header.to_bytes();
        let removed = stored.header.len().saturating_sub(header.len()) as u64;
        let read_for_others = || stored.reader_with(&header);
        let outgoing = Outgoing {
            envelope,
            text: Text {
                size: stored.size(),
                read: &|| stored.reader(),
            },
            for_others: told.then_some(Text {
                size: stored.size().saturating_sub(removed),
                read: &read_for_others,
            }),
        };
        let sender = envelope.sender.to_string();
        let attempt = Attempt::new(
            envelope.recipients.len(),
            sender,
            Patience::AMONG_RELAYHOSTS,
        );
        deliver(attempt, &mut self.connection, &road, &outgoing)
    }
}

/// Says what was agreed upon with a relayhost.
fn opened(agent: &Agent, connection: &Connection) {
    if let Some(summary) = connection.tls_summary() {
        maillog::tls(connection.relay(), summary, !agent.settings.pins.is_empty());
    }
    let key = connection.peer_key();
    if let Some(change) = key.and_then(|key| agent.presented(connection.relay(), key)) {
        maillog::notice(&change);
    }
}

fn no_result() -> Outcome {
    Failure::ours("no result for this recipient").outcome()
}

/// The same failure of this machine for all recipients.
fn all(count: usize, text: &str) -> Vec<Outcome> {
    vec![Failure::ours(text).outcome(); count]
}
