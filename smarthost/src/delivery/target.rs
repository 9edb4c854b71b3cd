//! The server that this one is emptied into: who it is, whether it would have the mail, and how
//! something is told there.
//!
//! Contract: only over a connection that shows the pinned key, to a server that offers XMOVE.
//! Failures: the connection's own, or what the other server says.

use std::{
    io::Cursor,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use mail::{
    address::{Address, Mailbox},
    clock,
    envelope::{Mail, Rcpt},
    nexthop::Nexthop,
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use relay::{
    delivery::{Host, Place},
    tls::{ClientTls, Trust},
    trust::Pin,
};
use smtp::client::{Protocol, Security, Settings, Timeouts, Transaction};

use crate::{dns::exchange, drain::told::Told, link::Connection, setup::Setup};

/// How long the other server may take up to the end of a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// And at its end, when it has to write it.
const ANSWER: Duration = Duration::from_mins(2);
/// Where the mail goes.
pub(super) struct Target {
    host: Host,
    security: Security,
    tls: ClientTls,
    pub(super) setup: Arc<Setup>,
    /// Something has changed hands.
    pub(super) progress: AtomicBool,
}

/// Whether the other server is there, shows the key, takes mail from this one, and is not this one,
/// which nobody else calls `name`.
pub(crate) async fn test(
    setup: Arc<Setup>,
    to: &str,
    pin: &str,
    name: &str,
) -> Result<(), Failure> {
    let target = Target::new(setup, to, pin)?;
    let mut connection = target.open().await?;
    let asks = Told::Asks {
        server: name.to_owned(),
        now: clock::now(),
    };
    let told = tell(
        &mut connection,
        &target.setup,
        &mut Cursor::new(asks.line()),
    )
    .await;
    connection.quit().await;
    told
}

impl Target {
    pub(super) fn new(setup: Arc<Setup>, to: &str, pin: &str) -> Result<Self, Failure> {
        let nexthop = Nexthop::parse(to).map_err(|error| Failure::ours(&error.to_string()))?;
        let pin = Pin::parse(pin).map_err(|error| Failure::ours(&error.to_string()))?;
        let port = nexthop.port.unwrap_or(25);
        Ok(Self {
            host: Host::named(nexthop.host, port),
            security: match port {
                465 => Security::Wrapped,
                _ => Security::StartTls,
            },
            tls: setup.trusts.of(Trust::Pins(vec![pin]))?,
            setup,
            progress: AtomicBool::new(false),
        })
    }

    /// To the first of its addresses that answers.
    pub(super) async fn open(&self) -> Result<Connection, Failure> {
        let hostname = &self.setup.config.hostname;
        let places = exchange::places(&self.setup.resolver, &self.host, hostname).await?;
        let mut failed = None;
        for (place, _) in places {
            match self.connect(place).await {
                Ok(connection) => return wanting(connection),
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(|| {
            let text = format!("{} has no address", self.host.name);
            Failure::new(
                Blame::Network,
                Stage::Lookup,
                EnhancedStatus::new(4, 4, 4),
                &text,
            )
        }))
    }

    async fn connect(&self, place: Place) -> Result<Connection, Failure> {
        let settings = Settings {
            helo: self.setup.config.hostname.to_string(),
            protocol: Protocol::Smtp,
            security: self.security,
            timeouts: Timeouts {
                opening: PATIENCE,
                reply: PATIENCE,
                data: PATIENCE,
                piece: PATIENCE,
                message: ANSWER,
            },
            known: None,
            credentials: None,
            enroll: None,
        };
        Connection::open(&self.host.name, place, Some(&self.tls), settings, PATIENCE).await
    }
}

/// Only a server that this one may be emptied into.
fn wanting(connection: Connection) -> Result<Connection, Failure> {
    if connection.capabilities().xmove {
        return Ok(connection);
    }
    let relay = connection.relay();
    let text = if connection.capabilities().xwriter {
        format!("{relay} takes no queued mail from here: name this server in its `drain_from`")
    } else {
        format!("{relay} is no smarthost: queued mail moves to one only, as it is")
    };
    Err(Failure::new(
        Blame::Peer,
        Stage::Helo,
        EnhancedStatus::new(4, 7, 0),
        &text,
    ))
}

/// One transaction: something is told, and perhaps a message follows.
pub(super) async fn tell(
    connection: &mut Connection,
    setup: &Setup,
    content: &mut (dyn std::io::Read + Send),
) -> Result<(), Failure> {
    let postmaster = Address::new("postmaster", &setup.config.hostname.to_string());
    let postmaster = postmaster.map_err(|error| Failure::ours(&error.to_string()))?;
    let transaction = Transaction {
        mail: Mail {
            eight_bit: true,
            moved: true,
            ..Mail::default()
        },
        recipients: vec![Rcpt::from(Mailbox::from(postmaster))],
        patience: None,
        kept: false,
    };
    match connection
        .send(transaction, content, None)
        .await
        .into_iter()
        .next()
    {
        Some(Outcome::Delivered(_)) => Ok(()),
        Some(Outcome::Deferred(failure) | Outcome::Failed(failure)) => Err(failure),
        None => Err(Failure::ours("no answer")),
    }
}
