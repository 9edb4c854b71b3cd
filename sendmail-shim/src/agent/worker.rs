//! One connection to the relayhost, kept while there is work, and the thread that uses it.
//!
//! Contract: what is tried and in which order is [`::relay::delivery`]'s. A bounce is in the queue before the failure it tells of is recorded.
//! Failures: a relayhost that does not answer, or that cannot be trusted, is [`Attempt::Unreached`] with the reason; what goes
//! wrong on this machine defers the message.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use ::relay::{
    delivery::{Delivery, Patience},
    net::{Connection, Letter, Road, deliver},
    tls::ClientTls,
};
use mail::{
    clock,
    envelope::Envelope,
    message::Header,
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use smtp::client::Timeouts;
use spool::{Event, QueueId, Settlement as Settled, Stored};
use system::log::life;

use super::{
    Agent, addressing,
    budget::keeping::Answer,
    letters, maillog,
    schedule::{Action, Attempt},
    settle::{Settlement, Tried, settle},
};
use crate::{deposit, relay};

/// How long a connection without work is kept.
const KEEP: Duration = Duration::from_secs(20);

/// A worker's own things.
pub(super) struct Worker {
    agent: Arc<Agent>,
    tls: Option<ClientTls>,
    connection: Option<Connection>,
}

impl Worker {
    pub(super) fn new(agent: Arc<Agent>, tls: Option<ClientTls>) -> Self {
        Self {
            agent,
            tls,
            connection: None,
        }
    }

    /// Works until the sender of actions is gone; `done` is told of each end.
    pub(super) fn run(
        mut self,
        actions: &Receiver<Action>,
        mut done: impl FnMut(QueueId, Attempt, Option<Failure>),
    ) {
        loop {
            match actions.recv_timeout(KEEP) {
                Ok(Action::Deliver(id)) => {
                    let (attempt, failure) = self.deliver(id);
                    done(id, attempt, failure);
                }
                Ok(Action::Expire(id)) => done(id, self.expire(id), None),
                Ok(Action::Bounce(id)) => done(id, self.give_back(id), None),
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

    fn deliver(&mut self, id: QueueId) -> (Attempt, Option<Failure>) {
        let stored = match self.agent.spool.load(id) {
            Ok(Some(stored)) => stored,
            Ok(None) => return (Attempt::Done, None),
            Err(error) => return (self.put_off(id, &error.to_string()), None),
        };
        if let Some(attempt) = self.digest(&stored) {
            return (attempt, None);
        }
        if self.over_budget(&stored) {
            return (Attempt::Held, None);
        }
        let waiting = self.waiting(id);
        if let Some(attempt) = self.readdress(&stored, &waiting) {
            return (attempt, None);
        }
        let (outcomes, unusable) = self.send(&stored, &waiting);
        if let Some(failure) = unusable {
            self.unreached(&failure);
            return (Attempt::Unreached, Some(failure));
        }
        self.agent.outages.ended();
        (self.conclude(&stored, &waiting, &outcomes), None)
    }

    /// Where aliases or `admin` name others by now, a message to them is queued in its place.
    fn readdress(&self, stored: &Stored, waiting: &[u32]) -> Option<Attempt> {
        let (agent, id) = (&self.agent, stored.id);
        let recipients = {
            let mut tables = agent.tables();
            let (rules, problems) = tables.refresh(clock::now());
            for problem in problems {
                maillog::warning(&problem.to_string());
            }
            addressing::replaced(&stored.envelope, waiting, rules)?
        };
        let envelope = Envelope {
            recipients,
            ..stored.envelope.clone()
        };
        Some(match deposit::copy(&agent.spool, stored, &envelope) {
            Ok(new) => {
                maillog::readdressed(id, new, &envelope);
                agent.spool.record(id, Event::Removed);
                life::removed(id);
                agent.arrived(new, envelope.uid);
                Attempt::Done
            }
            Err(error) => self.put_off(id, &error.to_string()),
        })
    }

    /// In place of a message that stands for others, its digest is queued.
    fn digest(&self, stored: &Stored) -> Option<Attempt> {
        let (spool, id) = (&self.agent.spool, stored.id);
        spool.entry(id)?.repeats?;
        if let Some(storms) = &self.agent.storms {
            storms.close(id);
        }
        // What was counted up to here is all.
        let repeats = spool.entry(id)?.repeats.filter(|it| it.count > 1)?;
        Some(match letters::digest(&self.agent, stored, repeats) {
            Ok(digest) => {
                maillog::digested(id, digest, repeats.count);
                spool.record(id, Event::Removed);
                Attempt::Done
            }
            Err(why) => self.put_off(id, &why),
        })
    }

    /// Whether a message that was kept for a digest, and remained alone, must wait for the budget as any other.
    fn over_budget(&self, stored: &Stored) -> bool {
        let (spool, id) = (&self.agent.spool, stored.id);
        let alone = spool.entry(id).is_some_and(|entry| entry.repeats.is_some());
        let Some(budget) = self.agent.budget.as_ref().filter(|_| alone) else {
            return false;
        };
        spool.record(id, Event::Alone);
        let uid = spool.entry(id).and_then(|entry| entry.uid);
        let party = self.agent.budget_party(uid);
        let over = matches!(
            budget.ask(&Header::parse(&stored.header), party),
            Answer::Over
        );
        if over {
            spool.record(id, Event::OverBudget);
        }
        over
    }

    /// Keeps the reason for `mailq`; the administrator is told of an outage that lasts.
    fn unreached(&self, failure: &Failure) {
        let (outages, now) = (&self.agent.outages, clock::now());
        let mut kept = outages.goes_on(&failure.log_text(), now);
        if let Some(patience) = self.agent.settings.warning
            && let Some(outage) = outages.to_tell(patience, now)
        {
            kept = kept.and_then(|()| outages.told());
            if let Err(why) = letters::outage(&self.agent, &outage) {
                maillog::warning(&format!("the administrator cannot be written to: {why}"));
            }
        }
        if let Err(error) = kept {
            maillog::warning(&format!("the reason of the outage is not kept: {error}"));
        }
    }

    /// Too old, and no relayhost to try: returned with the last reason that the queue knows.
    fn expire(&self, id: QueueId) -> Attempt {
        let reason = self.agent.outages.reason();
        let failure = Failure::new(
            Blame::Network,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 1),
            reason.as_deref().unwrap_or("not delivered"),
        );
        self.without_relay(id, &Outcome::Deferred(failure))
    }

    /// The administrator gives it back to its sender.
    fn give_back(&self, id: QueueId) -> Attempt {
        let failure = Failure::new(
            Blame::Policy,
            Stage::Local,
            EnhancedStatus::new(5, 7, 1),
            "returned by the administrator",
        );
        self.without_relay(id, &Outcome::Failed(failure))
    }

    /// The same outcome for all who wait.
    fn without_relay(&self, id: QueueId, outcome: &Outcome) -> Attempt {
        let stored = match self.agent.spool.load(id) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Attempt::Done,
            Err(error) => return self.put_off(id, &error.to_string()),
        };
        if let Some(attempt) = self.digest(&stored) {
            return attempt;
        }
        let waiting = self.waiting(id);
        let outcomes = vec![outcome.clone(); waiting.len()];
        self.conclude(&stored, &waiting, &outcomes)
    }

    /// Indexes of the recipients that are not settled.
    fn waiting(&self, id: QueueId) -> Vec<u32> {
        self.agent
            .spool
            .entry(id)
            .map(|entry| {
                entry
                    .waiting
                    .iter()
                    .map(|waiting| waiting.recipient)
                    .collect()
            })
            .unwrap_or_default()
    }

    /// The outcomes, and the failure that speaks against any other mail, too.
    fn send(&mut self, stored: &Stored, waiting: &[u32]) -> (Vec<Outcome>, Option<Failure>) {
        let agent = Arc::clone(&self.agent);
        let (settings, tls) = (&agent.settings, self.tls.clone());
        let indexes: Vec<usize> = waiting
            .iter()
            .filter_map(|&index| usize::try_from(index).ok())
            .collect();
        let envelope = stored.envelope.with_only(&indexes);
        let road = Road {
            way: &|| relay::way(settings, tls.as_ref()),
            settings: &|| relay::smtp(settings, Timeouts::default()),
            tls: tls.as_ref(),
            memory: &agent.memory,
            opened: &|connection| opened(&agent, connection),
            eight_bit: &|connection| {
                maillog::warning(&format!(
                    "{}: {} does not offer 8BITMIME; the message is not text in one part and is sent in 8 bits all the same",
                    stored.id,
                    connection.relay()
                ));
            },
        };
        let letter = Letter {
            envelope: &envelope,
            size: stored.size(),
            read: &|| stored.reader(),
        };
        let sender = envelope.sender.to_string();
        let delivery = Delivery::new(envelope.recipients.len(), sender, Patience::default());
        deliver(delivery, &mut self.connection, &road, &letter)
    }

    fn conclude(&self, stored: &Stored, waiting: &[u32], outcomes: &[Outcome]) -> Attempt {
        let now = clock::now();
        let age = now.since(stored.arrival);
        for (index, outcome) in waiting.iter().zip(outcomes) {
            let recipient = usize::try_from(*index)
                .ok()
                .and_then(|index| stored.envelope.recipients.get(index));
            if let Some(recipient) = recipient {
                life::attempt(stored.id, recipient, age, outcome);
                let attempts = &self.agent.attempts;
                attempts.tell(stored.id, &stored.envelope, recipient, outcome);
            }
        }
        // Before they are settled: a crash may repeat it.
        match letters::success(&self.agent, stored, waiting, outcomes) {
            Ok(Some(news)) => life::confirmed(stored.id, news),
            Ok(None) => {}
            Err(why) => maillog::warning(&format!("{}: nobody is told of it: {why}", stored.id)),
        }
        let patience = self.agent.settings.warning;
        let warned = |id| self.agent.spool.entry(id).is_none_or(|entry| entry.warned);
        let tried = Tried {
            envelope: &stored.envelope,
            arrival: stored.arrival,
            recipients: waiting,
            outcomes,
            late: patience.is_some_and(|patience| age >= patience) && !warned(stored.id),
        };
        let settlement = settle(
            &tried,
            &self.agent.settings.retry,
            now,
            getrandom::u32().unwrap_or(2000),
        );
        self.record(stored, settlement)
    }

    fn record(&self, stored: &Stored, settlement: Settlement) -> Attempt {
        if settlement.expired {
            life::expired(stored.id, &stored.envelope.sender);
        }
        let spool = &self.agent.spool;
        // First what is settled for good: if the bounce cannot be queued, nobody gets the message twice.
        settlement
            .events
            .into_iter()
            .for_each(|event| spool.record(stored.id, event));
        match letters::bounce(&self.agent, stored, &settlement.failed) {
            Ok(Some(bounce)) => life::bounced(stored.id, bounce),
            Ok(None) => {}
            Err(why) => {
                let id = stored.id;
                maillog::warning(&format!("{id}: the bounce could not be queued: {why}"));
                return self.put_off(id, &why);
            }
        }
        self.warn(stored, &settlement.late);
        let failed = settlement.failed.iter().map(|(recipient, _)| *recipient);
        for recipient in failed.chain(settlement.silent) {
            spool.record(
                stored.id,
                Event::Settled {
                    recipient,
                    settlement: Settled::Bounced,
                },
            );
        }
        match settlement.attempt {
            Attempt::Done => life::removed(stored.id),
            Attempt::Held => maillog::dead(
                stored.id,
                "a bounce, or mail with a null sender, was refused or too old",
            ),
            Attempt::Deferred { .. } | Attempt::Unreached => {}
        }
        settlement.attempt
    }

    /// Tells the sender once that his mail is late.
    fn warn(&self, stored: &Stored, late: &[(u32, Failure)]) {
        let id = stored.id;
        match letters::delay(&self.agent, stored, late) {
            Ok(Some(warning)) => {
                self.agent.spool.record(id, Event::Warned);
                life::delayed(id, warning);
            }
            Ok(None) => {}
            Err(why) => maillog::warning(&format!("{id}: the warning is not queued: {why}")),
        }
    }

    /// A fault of this machine: the message waits.
    fn put_off(&self, id: QueueId, why: &str) -> Attempt {
        let now = clock::now();
        let until = self
            .agent
            .settings
            .retry
            .next(now, now, getrandom::u32().unwrap_or(2000));
        let recipients = self.waiting(id);
        self.agent.spool.record(
            id,
            Event::Deferred {
                recipients,
                until,
                reason: Arc::from(why),
            },
        );
        Attempt::Deferred { until }
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

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use mail::{
        address::{Address, Sender},
        envelope::{Envelope, Ret},
        outcome::{Delivery, Handover},
    };
    use spool::{Body, Options, Spool};

    use super::*;
    use crate::config::settings::Settings;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn when_a_bounce_cannot_be_queued_whoever_got_the_mail_does_not_get_it_again() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(directory.path(), Options::default()).unwrap();
        let envelope = Envelope {
            sender: Sender::Address(address("www@example.org")),
            recipients: vec![
                address("there@example.net").into(),
                address("gone@example.net").into(),
            ],
            ret: Some(Ret::Full),
            ..Envelope::default()
        };
        let id = spool
            .accept(spool.draft().unwrap(), &envelope, b"Subject: x\r\n")
            .unwrap();
        let mut stored = spool.load(id).unwrap().unwrap();
        // The message is to be returned whole, and cannot be read: nobody reads bytes from a directory.
        stored.body = Body::File(File::open(directory.path()).unwrap(), 1);

        let settings = Settings::parse(Some(Path::new("/etc/x.toml")), "relayhost = \"x\"\n");
        let (agent, _signals) = Agent::new(settings.unwrap(), spool);
        let worker = Worker::new(Arc::new(agent), None);
        let delivered = Outcome::Delivered(Delivery {
            relay: "x".into(),
            reply: "250 Ok".into(),
            handover: Handover::Promised,
        });
        let refused = Failure::new(
            Blame::Peer,
            Stage::Recipient,
            EnhancedStatus::new(5, 1, 1),
            "550 no such user",
        );
        let attempt = worker.conclude(&stored, &[0, 1], &[delivered, refused.outcome()]);
        assert!(matches!(attempt, Attempt::Deferred { .. }), "{attempt:?}");
        assert_eq!(worker.waiting(id), [1], "the bounce is tried again");
    }
}
