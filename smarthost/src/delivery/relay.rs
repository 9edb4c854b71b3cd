//! SMTP and LMTP deliveries: an idle connection if there is one, else the next hop's hosts in order.
//!
//! Contract: a kept connection that turns out to be dead costs no attempt: the message goes over a fresh one. Hosts are tried in order
//! until one takes the session; its answer to the message is final for this attempt.
//! RFC 5321 §5.1; RFC 2033 (LMTP).

use std::{sync::Arc, time::Duration};

use mail::{
    envelope::Envelope,
    limits,
    nexthop::Nexthop,
    outcome::{Blame, Failure, Outcome, Stage},
};
use smtp::{
    client::{Protocol, Security, Settings, Timeouts, Transaction},
    sasl::Credentials,
};
use spool::Stored;
use system::secret;
use tokio::time;

use super::{
    Carrier,
    attempt::{all, local},
    pool::Line,
};
use crate::{
    config::LmtpTarget,
    dns::exchange,
    link::{Connection, Peer},
    maillog,
    route::Destination,
    setup::Setup,
};

/// The name of the relayhost's password among systemd's credentials.
const CREDENTIAL: &str = "relay-password";
/// How long a connection may take to be ready again after a message.
const SETTLE: Duration = Duration::from_secs(2);

/// Where and how to connect.
struct Plan {
    peers: Vec<Peer>,
    settings: Settings,
    pinned: bool,
}

impl Carrier {
    /// Delivers to a next hop.
    pub(super) async fn relay(
        &self,
        destination: &Arc<Destination>,
        envelope: Envelope,
        stored: &Stored,
    ) -> Vec<Outcome> {
        let count = envelope.recipients.len();
        let transaction = Transaction::of(&envelope, stored.size());
        while let Some(line) = self.pool.take(destination) {
            let outcomes = self
                .converse(destination, line, transaction.clone(), stored)
                .await;
            if !outcomes.iter().all(is_stale) {
                return outcomes;
            }
        }
        match self.fresh(destination).await {
            Ok(line) => self.converse(destination, line, transaction, stored).await,
            Err(failure) => all(count, failure),
        }
    }

    /// One message over a connection, which is kept if it is still good.
    async fn converse(
        &self,
        destination: &Arc<Destination>,
        mut line: Line,
        transaction: Transaction,
        stored: &Stored,
    ) -> Vec<Outcome> {
        let count = transaction.recipients.len();
        let mut content = match stored.reader() {
            Ok(content) => content,
            Err(error) => {
                return all(
                    count,
                    local(&format!("cannot read the queued message: {error}")),
                );
            }
        };
        let outcomes = line.connection.send(transaction, &mut *content).await;
        if time::timeout(SETTLE, line.connection.settle()).await == Ok(true) {
            self.pool.put(destination, line);
        }
        outcomes
    }

    /// A new connection to the first host that talks to us.
    async fn fresh(&self, destination: &Destination) -> Result<Line, Failure> {
        let setup = self.current.get();
        let plan = match destination {
            Destination::Smtp { nexthop, relayhost } => {
                self.smtp_plan(nexthop, *relayhost, &setup).await?
            }
            Destination::Lmtp(target) => lmtp_plan(target, &setup),
            Destination::Maildir(_) => {
                return Err(local("a Maildir is not reached over a connection"));
            }
        };
        let mut last = local("no host to connect to");
        for peer in &plan.peers {
            match Connection::open(peer, &plan.settings, limits::CONNECT_TIMEOUT).await {
                Ok(connection) => {
                    if let Some(summary) = connection.tls_summary() {
                        maillog::tls_to(connection.relay(), summary, plan.pinned);
                    }
                    return Ok(Line {
                        connection,
                        used: 0,
                    });
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn smtp_plan(
        &self,
        nexthop: &Nexthop,
        relayhost: bool,
        setup: &Setup,
    ) -> Result<Plan, Failure> {
        let relay_tls = &setup.config.relay_tls;
        let (security, tls) = if relayhost {
            (relay_tls.security, &setup.relay_tls)
        } else {
            (Security::Opportunistic, &setup.world_tls)
        };
        let hosts = exchange::hosts(&self.resolver, nexthop, &setup.config.hostname)
            .await
            .map_err(|failure| {
                // A relayhost that cannot be found is a mistake or a fault of ours, never the sender's.
                if relayhost {
                    Failure {
                        status: temporary(),
                        ..failure
                    }
                } else {
                    failure
                }
            })?;
        let port = nexthop.port.unwrap_or(if security == Security::Wrapped {
            465
        } else {
            25
        });
        let peers = hosts
            .into_iter()
            .map(|host| Peer::Tcp {
                host,
                port,
                tls: Some(tls.clone()),
            })
            .collect();
        let pinned = relayhost && !relay_tls.pins.is_empty();
        Ok(Plan {
            peers,
            settings: Settings {
                credentials: if relayhost { credentials(setup)? } else { None },
                ..settings(setup, Protocol::Smtp, security)
            },
            pinned,
        })
    }
}

fn temporary() -> mail::status::EnhancedStatus {
    mail::status::EnhancedStatus::new(4, 4, 3)
}

fn lmtp_plan(target: &LmtpTarget, setup: &Setup) -> Plan {
    let peer = match target {
        LmtpTarget::Unix(path) => Peer::Unix(path.clone()),
        LmtpTarget::Tcp(nexthop) => Peer::Tcp {
            host: nexthop.host.clone(),
            port: nexthop.port.unwrap_or(24),
            tls: None,
        },
    };
    Plan {
        peers: vec![peer],
        settings: settings(setup, Protocol::Lmtp, Security::None),
        pinned: false,
    }
}

/// For the relayhost; the password is read anew, so that it can be changed at any time.
fn credentials(setup: &Setup) -> Result<Option<Credentials>, Failure> {
    let Some(auth) = &setup.config.relay_auth else {
        return Ok(None);
    };
    let password = match &auth.password_file {
        Some(file) => secret::password(file),
        None => secret::credential(CREDENTIAL),
    };
    let password = password.map_err(|why| local(&format!("relay_auth: {why}")))?;
    Ok(Some(Credentials {
        user: auth.user.clone(),
        password,
    }))
}

fn settings(setup: &Setup, protocol: Protocol, security: Security) -> Settings {
    Settings {
        helo: setup.config.hostname.to_string(),
        protocol,
        security,
        timeouts: Timeouts::default(),
        known: None,
        credentials: None,
    }
}

/// Whether a kept connection had ended before it took anything of the message: lost, or told with 421 that it was idle for too long.
fn is_stale(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Deferred(Failure {
            stage: Stage::Mail,
            reply: None,
            blame,
            ..
        }) => *blame == Blame::Network,
        Outcome::Deferred(Failure {
            stage: Stage::Mail,
            reply: Some(code),
            ..
        }) => code.value() == 421,
        _ => false,
    }
}
