//! What a host shows in its TLS handshake: its key, certificate and session, for pins. Nobody is believed, no mail is spoken of.
//!
//! Contract: the connection ends with the handshake, so that any TLS server can be asked, whatever it speaks afterwards.
//! Failures: as for a delivery; the failure of the last address is reported.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rustls::pki_types::ServerName;

use super::{
    dial::{addresses, connect, reason, relay_name},
    stream::Stream,
};
use crate::{
    tls::{self, ClientTls, Trust},
    trust::PeerKey,
};
use mail::{
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use smtp::client::{Action, Client, Event, Protocol, Security, Settings, Timeouts};

/// What was shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presented {
    /// `host[address]:port`.
    pub relay: String,
    pub key: PeerKey,
    /// `TLSv1.3 with cipher …`.
    pub session: String,
}

/// Asks a host for its key, by STARTTLS or by TLS from the first byte; each wait lasts at most `patience`.
pub fn presented(
    nexthop: &Nexthop,
    port: u16,
    wrapped: bool,
    helo: &str,
    patience: Duration,
) -> Result<Presented, Failure> {
    let anybody = ClientTls::new(&Trust::Opportunistic)
        .map_err(|error| failed(Blame::Local, Stage::Tls, &error.0))?;
    let mut last = failed(Blame::Network, Stage::Lookup, "the name has no address");
    for address in addresses(&nexthop.host, port)? {
        match at_address(nexthop, address, wrapped, helo, patience, &anybody) {
            Ok(presented) => return Ok(presented),
            Err(failure) => last = failure.at(&relay_name(nexthop, address)),
        }
    }
    Err(last)
}

fn at_address(
    nexthop: &Nexthop,
    address: SocketAddr,
    wrapped: bool,
    helo: &str,
    patience: Duration,
    anybody: &ClientTls,
) -> Result<Presented, Failure> {
    let socket = connect(address, patience)
        .map_err(|error| failed(Blame::Network, Stage::Connect, &reason(&error)))?;
    let mut stream = Stream::from(socket);
    if !wrapped {
        ask_for_tls(&mut stream, helo, patience)?;
    }
    let name = ServerName::try_from(nexthop.host.clone())
        .unwrap_or_else(|_| ServerName::from(address.ip()));
    stream
        .start_tls(anybody, name, Instant::now() + patience)
        .map_err(|error| failed(Blame::Peer, Stage::Tls, &tls::explain(&error)))?;
    let shown = stream
        .tls()
        .and_then(|session| Some((tls::peer_key(session)?, tls::summary(session))));
    stream.close();
    let (key, session) =
        shown.ok_or_else(|| failed(Blame::Peer, Stage::Tls, "no certificate was shown"))?;
    Ok(Presented {
        relay: relay_name(nexthop, address),
        key,
        session,
    })
}

/// Greeting, EHLO and STARTTLS, up to where the handshake begins.
fn ask_for_tls(stream: &mut Stream, helo: &str, patience: Duration) -> Result<(), Failure> {
    let mut machine = Client::new(Settings {
        helo: helo.to_owned(),
        protocol: Protocol::Smtp,
        security: Security::StartTls,
        timeouts: Timeouts {
            reply: patience,
            ..Timeouts::default()
        },
        known: None,
        credentials: None,
    });
    machine.handle(Event::Connected, Instant::now());
    let lost = |error: &io::Error| failed(Blame::Network, Stage::Greeting, &reason(error));
    loop {
        let deadline = Instant::now() + patience;
        match machine.next_action() {
            Some(Action::Send(bytes)) => stream
                .write_all(&bytes, deadline)
                .map_err(|error| lost(&error))?,
            Some(Action::StartTls) => return Ok(()),
            Some(Action::Failed(failure)) => return Err(failure),
            Some(_) => {}
            None => {
                let mut buffer = [0; 1024];
                let count = stream
                    .read(&mut buffer, deadline)
                    .map_err(|error| lost(&error))?;
                let bytes = buffer.get(..count).unwrap_or_default();
                machine.handle(Event::Received(bytes), Instant::now());
            }
        }
    }
}

fn failed(blame: Blame, stage: Stage, text: &str) -> Failure {
    Failure::new(blame, stage, EnhancedStatus::new(4, 7, 5), text)
}
