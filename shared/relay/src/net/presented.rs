//! What a host shows in its TLS handshake: its key, certificate and session, for pins. Nobody is
//! believed, no mail is spoken of.
//!
//! Contract: the connection ends with the handshake, so that any TLS server can be asked, whatever
//! it speaks afterwards.
//! Failures: as for a delivery; the failure of the last address is reported.

use std::{net::SocketAddr, time::Duration};

use super::{
    Connection, Target,
    dial::{addresses, relay_name},
};
use crate::{
    tls::{ClientTls, Trust},
    trust::PeerKey,
};
use mail::{
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};
use smtp::client::{Protocol, Security, Settings, Timeouts};

/// What was shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presented {
    /// `host[address]:port`.
    pub relay: String,
    pub key: PeerKey,
    /// `TLSv1.3 with cipher …`.
    pub session: String,
}

/// Asks a host for its key, by STARTTLS or by TLS from the first byte; each wait lasts at most
/// `patience`.
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
            Err(failure) => last = failure.at(&relay_name(&nexthop.host, address)),
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
    let security = if wrapped {
        Security::Wrapped
    } else {
        Security::StartTls
    };
    let settings = Settings {
        helo: helo.to_owned(),
        protocol: Protocol::Smtp,
        security,
        timeouts: Timeouts {
            opening: patience,
            ..Timeouts::default()
        },
        known: None,
        credentials: None,
        enroll: None,
    };
    let target = Target::tcp(&nexthop.host, address, Some(anybody));
    let shown = Connection::shown(&target, &settings, patience)?;
    let (key, session) =
        shown.ok_or_else(|| failed(Blame::Peer, Stage::Tls, "no certificate was shown"))?;
    Ok(Presented {
        relay: relay_name(&nexthop.host, address),
        key,
        session,
    })
}

fn failed(blame: Blame, stage: Stage, text: &str) -> Failure {
    Failure::new(blame, stage, EnhancedStatus::new(4, 7, 5), text)
}
