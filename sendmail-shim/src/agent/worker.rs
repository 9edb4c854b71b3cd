//! One connection to the relayhost, kept while there is work, and the thread that uses it.
//!
//! Contract: a message is tried over the kept connection; if that turns out to be stale before the message went out, once more over
//! a new one. A bounce is in the queue before the failure it tells of is recorded.
//! Failures: a relayhost that does not answer, or that cannot be trusted, is [`Attempt::Unreached`] with the reason; what goes
//! wrong on this machine defers the message.

use std::{
    io::Read,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use shared::{
    clock,
    envelope::Envelope,
    limits,
    net::Connection,
    notice::{self, Bounce},
    outcome::{Blame, Failure, Outcome, Stage},
    smtp::client::Timeouts,
    spool::{Body, Event, QueueId, Settlement as Settled, Stored},
    status::EnhancedStatus,
    tls::ClientTls,
};

use super::{
    Agent, maillog,
    schedule::{Action, Attempt},
    settle::{Settlement, Tried, settle},
};
use crate::{deposit, relay};

/// How long a connection without work is kept.
const KEEP: Duration = Duration::from_secs(20);
/// Largest part of a body that a bounce returns.
const RETURNED: usize = 64 * 1024;

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
        let waiting = self.waiting(id);
        let outcomes = match self.send(&stored, &waiting) {
            Ok(outcomes) => outcomes,
            Err(failure) => return (Attempt::Unreached, Some(failure)),
        };
        (self.conclude(&stored, &waiting, &outcomes), None)
    }

    /// Too old, and no relayhost to try: returned with the last reason that the queue knows.
    fn expire(&self, id: QueueId) -> Attempt {
        let stored = match self.agent.spool.load(id) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Attempt::Done,
            Err(error) => return self.put_off(id, &error.to_string()),
        };
        let waiting = self.waiting(id);
        let reason = self
            .agent
            .trouble()
            .unwrap_or_else(|| "not delivered".to_owned());
        let failure = Failure::new(
            Blame::Network,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 1),
            &reason,
        );
        let outcomes: Vec<_> = waiting
            .iter()
            .map(|_| Outcome::Deferred(failure.clone()))
            .collect();
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

    fn send(&mut self, stored: &Stored, waiting: &[u32]) -> Result<Vec<Outcome>, Failure> {
        let kept = self.connection.as_ref().is_some_and(Connection::is_usable);
        let outcomes = self.transaction(stored, waiting)?;
        let stale = |outcome: &Outcome| matches!(outcome, Outcome::Deferred(failure) if failure.stage != Stage::Message && failure.blame == Blame::Network);
        let usable = self.connection.as_ref().is_some_and(Connection::is_usable);
        if kept && !usable && outcomes.iter().all(stale) {
            self.connection = None;
            return self.transaction(stored, waiting);
        }
        Ok(outcomes)
    }

    fn transaction(&mut self, stored: &Stored, waiting: &[u32]) -> Result<Vec<Outcome>, Failure> {
        let mut content = stored
            .reader()
            .map_err(|error| relay::local(&error.to_string()))?;
        let recipients = waiting
            .iter()
            .filter_map(|&index| stored.envelope.recipients.get(usize::try_from(index).ok()?));
        let envelope = Envelope {
            recipients: recipients.cloned().collect(),
            ..stored.envelope.clone()
        };
        let connection = self.connection()?;
        let transaction = relay::transaction(connection, envelope, stored.size());
        Ok(connection.send(transaction, &mut content))
    }

    /// The kept connection, or one to the first relayhost that answers and is trusted.
    fn connection(&mut self) -> Result<&mut Connection, Failure> {
        if let Some(kept) = self.connection.take_if(|kept| !kept.is_usable()) {
            kept.quit();
        }
        match &mut self.connection {
            Some(kept) => Ok(kept),
            none => Ok(none.insert(open(&self.agent, self.tls.as_ref())?)),
        }
    }

    fn conclude(&self, stored: &Stored, waiting: &[u32], outcomes: &[Outcome]) -> Attempt {
        let now = clock::now();
        for (index, outcome) in waiting.iter().zip(outcomes) {
            let recipient = usize::try_from(*index)
                .ok()
                .and_then(|index| stored.envelope.recipients.get(index));
            if let Some(recipient) = recipient {
                maillog::attempt(stored.id, recipient, now.since(stored.arrival), outcome);
                let attempts = &self.agent.attempts;
                attempts.tell(stored.id, &stored.envelope, recipient, outcome);
            }
        }
        let tried = Tried {
            envelope: &stored.envelope,
            arrival: stored.arrival,
            recipients: waiting,
            outcomes,
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
            maillog::expired(stored.id, &stored.envelope.sender);
        }
        let spool = &self.agent.spool;
        // First what is settled for good: if the bounce cannot be queued, nobody gets the message twice.
        settlement
            .events
            .into_iter()
            .for_each(|event| spool.record(stored.id, event));
        if let Err(why) = self.bounce(stored, &settlement.failed) {
            maillog::warning(&format!(
                "{}: the bounce could not be queued: {why}",
                stored.id
            ));
            return self.put_off(stored.id, &why);
        }
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
            Attempt::Done => maillog::removed(stored.id),
            Attempt::Held => maillog::dead(
                stored.id,
                "a bounce, or mail with a null sender, was refused or too old",
            ),
            Attempt::Deferred { .. } | Attempt::Unreached => {}
        }
        settlement.attempt
    }

    /// Queues the bounce that tells the sender of `failed`.
    fn bounce(&self, stored: &Stored, failed: &[(u32, Failure)]) -> Result<(), String> {
        let Some(to) = stored
            .envelope
            .sender
            .address()
            .filter(|_| !failed.is_empty())
        else {
            return Ok(());
        };
        let recipient = |index: &u32| {
            stored
                .envelope
                .recipients
                .get(usize::try_from(*index).ok()?)
                .cloned()
        };
        let failed: Vec<_> = failed
            .iter()
            .filter_map(|(index, failure)| Some((recipient(index)?, failure.clone())))
            .collect();
        let whole = stored.envelope.ret == Some(shared::envelope::Ret::Full);
        let body = if whole {
            Some(beginning(&stored.body).map_err(|error| error.to_string())?)
        } else {
            None
        };
        let text = notice::bounce(&Bounce {
            hostname: &self.agent.settings.hostname,
            queue_id: &stored.id.to_string(),
            arrival: stored.arrival,
            now: clock::now(),
            to,
            envid: stored.envelope.envid.as_deref(),
            failed: &failed,
            header: &stored.header,
            body: body.as_deref(),
        });
        let envelope = Envelope {
            recipients: vec![to.clone().into()],
            origin: format!("bounce of {}", stored.id),
            uid: stored.envelope.uid,
            ..Envelope::default()
        };
        let id = deposit::whole(&self.agent.spool, envelope, &text)
            .map_err(|error| error.to_string())?;
        maillog::bounced(stored.id, id);
        self.agent.arrived(id);
        Ok(())
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

fn open(agent: &Agent, tls: Option<&ClientTls>) -> Result<Connection, Failure> {
    let settings = &agent.settings;
    let connection = relay::open(settings, tls, Timeouts::default(), limits::CONNECT_TIMEOUT)?;
    if let Some(summary) = connection.tls_summary() {
        maillog::tls(connection.relay(), summary, !settings.pins.is_empty());
    }
    let key = connection.peer_key();
    if let Some(change) = key.and_then(|key| agent.presented(connection.relay(), key)) {
        maillog::notice(&change);
    }
    Ok(connection)
}

/// The first [`RETURNED`] bytes, cut at a line.
fn beginning(body: &Body) -> std::io::Result<Vec<u8>> {
    let mut bytes = match body {
        Body::Inline(bytes) => bytes
            .get(..bytes.len().min(RETURNED))
            .unwrap_or_default()
            .to_vec(),
        Body::File(file, _) => {
            let mut bytes = Vec::new();
            file.take(RETURNED as u64).read_to_end(&mut bytes)?;
            bytes
        }
    };
    if bytes.len() == RETURNED {
        let end = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at.saturating_add(1));
        bytes.truncate(end);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use shared::{
        address::{Address, Sender},
        envelope::Ret,
        outcome::Delivery,
        spool::{Options, Spool},
    };

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
