//! The way to the relayhost, for the agent and for `sendmail` alone.
//!
//! Contract: the relayhosts are tried in order; the first that answers and is trusted is used. Header fields in raw UTF-8 do not
//! make a message undeliverable: SMTPUTF8 is asked for where it is offered, and needed only for addresses that are not ASCII.
//! RFC 6531 §3.4.

use std::time::Duration;

use shared::{
    envelope::Envelope,
    net::{Connection, Target},
    outcome::{Blame, Failure, Stage},
    smtp::client::{Protocol, Settings as Smtp, Timeouts, Transaction},
    status::EnhancedStatus,
    tls::ClientTls,
};

use crate::config::settings::Settings;

/// Connects; of several failures the last one is told.
pub fn open(
    settings: &Settings,
    tls: Option<&ClientTls>,
    timeouts: Timeouts,
    connect: Duration,
) -> Result<Connection, Failure> {
    let smtp = smtp(settings, timeouts);
    let mut last = local("no relayhost is set in the configuration");
    for nexthop in &settings.relayhost {
        let target = Target::Tcp {
            nexthop,
            default_port: settings.default_port(),
            tls,
        };
        match Connection::open(&target, &smtp, connect) {
            Ok(connection) => return Ok(connection),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// How the relayhosts are spoken to.
pub fn smtp(settings: &Settings, timeouts: Timeouts) -> Smtp {
    Smtp {
        helo: settings.hostname.clone(),
        protocol: Protocol::Smtp,
        security: settings.security,
        timeouts,
        known: None,
    }
}

/// A message of `size` bytes for this connection.
pub fn transaction(connection: &Connection, mut envelope: Envelope, size: u64) -> Transaction {
    envelope.content.utf8 &= connection.capabilities().smtputf8;
    Transaction {
        envelope,
        size,
        xcaller: None,
        unqualified_sender: None,
        unqualified: Vec::new(),
    }
}

/// A fault of this machine.
pub fn local(text: &str) -> Failure {
    Failure::new(
        Blame::Local,
        Stage::Local,
        EnhancedStatus::new(4, 3, 5),
        text,
    )
}
