//! The way to the relayhost, for the agent and for `sendmail` alone.
//!
//! Contract: the relayhosts are tried in order; the first that answers and is trusted is used. Header fields in raw UTF-8 do not
//! make a message undeliverable: SMTPUTF8 is asked for where it is offered, and needed only for addresses that are not ASCII.
//! A peer without 8BITMIME gets text in quoted-printable; what cannot be encoded as a whole is sent as it is, and told.
//! RFC 6531 §3.4, RFC 6152 §3.

use std::{
    io::{self, Read},
    time::Duration,
};

use mail::{
    envelope::Envelope, message::seven_bit::SevenBit, outcome::Failure, status::EnhancedStatus,
};
use relay::{
    net::{Connection, Target},
    tls::ClientTls,
};
use smtp::{
    client::{Protocol, Settings as Smtp, Timeouts, Transaction},
    sasl::Credentials,
};
use system::secret;

use crate::config::{file::Auth, settings::Settings};

/// The name of the password among systemd's credentials.
const CREDENTIAL: &str = "relay-password";

/// Connects; of several failures the last one is told.
pub fn open(
    settings: &Settings,
    tls: Option<&ClientTls>,
    timeouts: Timeouts,
    connect: Duration,
) -> Result<Connection, Failure> {
    let smtp = smtp(settings, timeouts)?;
    let mut last = match &settings.fault {
        Some(fault) => local(&format!("the configuration is wrong: {}", fault.summary())),
        None => local("no relayhost is set in the configuration"),
    };
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

/// How the relayhosts are spoken to; the password is read anew, so that it can be changed at any time.
pub fn smtp(settings: &Settings, timeouts: Timeouts) -> Result<Smtp, Failure> {
    let credentials = match &settings.auth {
        Some(auth) => Some(credentials(auth).map_err(|why| local(&format!("auth: {why}")))?),
        None => None,
    };
    Ok(Smtp {
        helo: settings.hostname.to_string(),
        protocol: Protocol::Smtp,
        security: settings.security,
        timeouts,
        known: None,
        credentials,
    })
}

fn credentials(auth: &Auth) -> Result<Credentials, String> {
    let password = match &auth.password_file {
        Some(file) => secret::password(file)?,
        None => secret::credential(CREDENTIAL)?,
    };
    Ok(Credentials {
        user: auth.user.clone(),
        password,
    })
}

/// A message of `size` bytes for this connection.
pub fn transaction(connection: &Connection, mut envelope: Envelope, size: u64) -> Transaction {
    envelope.content.utf8 &= connection.capabilities().smtputf8;
    Transaction::of(&envelope, size)
}

/// A message as one peer can take it.
pub struct Fitted<'a> {
    pub transaction: Transaction,
    pub content: Box<dyn Read + 'a>,
    /// It is sent in 8 bits to a peer that did not offer to take them.
    pub eight_bit_all_the_same: bool,
}

/// Fits a message of `size` bytes to what the peer offers; `read` gives it from its beginning, more than once if need be.
pub fn fit<'a>(
    connection: &Connection,
    envelope: Envelope,
    size: u64,
    read: &dyn Fn() -> io::Result<Box<dyn Read + 'a>>,
) -> io::Result<Fitted<'a>> {
    let mut fitted = Fitted {
        transaction: transaction(connection, envelope, size),
        content: read()?,
        eight_bit_all_the_same: false,
    };
    if fitted.transaction.mail.eight_bit && !connection.capabilities().eight_bit_mime {
        let mut counted = SevenBit::new(fitted.content)?;
        fitted.eight_bit_all_the_same = !counted.is_encoded();
        if counted.is_encoded() {
            fitted.transaction.mail.size = Some(io::copy(&mut counted, &mut io::sink())?);
        }
        fitted.content = Box::new(SevenBit::new(read()?)?);
    }
    Ok(fitted)
}

/// A fault of this machine.
pub fn local(text: &str) -> Failure {
    Failure::local(EnhancedStatus::new(4, 3, 5), text)
}
