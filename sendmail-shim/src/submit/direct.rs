//! Delivery to the relayhost by `sendmail` itself: no queue, so the exit status is the only record.
//!
//! Contract: the relayhosts are tried in order until one answers; the message goes to one of them only. The caller waits, so
//! the timeouts are shorter than those of a queue.
//! Failures: one [`Outcome`] a recipient; without a relayhost, or with none that answers, the [`Failure`] that says why.

use std::time::Duration;

use shared::{
    envelope::Envelope,
    message::Header,
    net::{Connection, Target},
    outcome::{Blame, Failure, Outcome, Stage},
    smtp::client::{Protocol, Settings as Smtp, Timeouts, Transaction},
    status::EnhancedStatus,
};

use crate::{compose::read::Message, config::settings::Settings};

const CONNECT: Duration = Duration::from_secs(10);
const TIMEOUTS: Timeouts = Timeouts {
    reply: Duration::from_secs(30),
    data: Duration::from_secs(30),
    piece: Duration::from_secs(60),
    message: Duration::from_secs(120),
};

/// Sends a message that is rewritten and complete.
pub fn send(
    settings: &Settings,
    envelope: Envelope,
    header: &Header,
    message: &Message,
) -> Result<Vec<Outcome>, Failure> {
    let mut connection = open(settings)?;
    let mut content = message
        .reader_with(header)
        .map_err(|error| super::run::unreadable(&error))?;
    let transaction = Transaction {
        envelope,
        size: message.size_with(header),
        xcaller: None,
        unqualified_sender: None,
        unqualified: Vec::new(),
    };
    let outcomes = connection.send(transaction, &mut content);
    connection.quit();
    Ok(outcomes)
}

/// The first relayhost that answers and is trusted.
fn open(settings: &Settings) -> Result<Connection, Failure> {
    let local = |text: &str| {
        Failure::new(
            Blame::Local,
            Stage::Local,
            EnhancedStatus::new(4, 3, 5),
            text,
        )
    };
    let tls = settings.client_tls().map_err(|error| local(&error.0))?;
    let smtp = Smtp {
        helo: settings.hostname.clone(),
        protocol: Protocol::Smtp,
        security: settings.security,
        timeouts: TIMEOUTS,
        known: None,
    };
    let mut last = local("no relayhost is set in the configuration");
    for nexthop in &settings.relayhost {
        let target = Target::Tcp {
            nexthop,
            default_port: settings.default_port(),
            tls: tls.as_ref(),
        };
        match Connection::open(&target, &smtp, CONNECT) {
            Ok(connection) => return Ok(connection),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}
