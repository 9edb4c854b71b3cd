//! An address → the destination that its mail is taken to now.

use std::{fmt, path::PathBuf};

use mail::{
    address::{Address, Domain, DomainPattern},
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

use crate::{
    config::{LmtpTarget, LocalTransport, Transport},
    route::Router,
};

/// Where mail is taken to. Equal destinations share connections, concurrency and back-off.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Destination {
    Smtp {
        nexthop: Nexthop,
        /// It is the relayhost: `relay_tls` applies; otherwise opportunistic TLS.
        relayhost: bool,
        /// The administrator named it, here or in the routes; otherwise it is the recipient's own domain.
        named: bool,
    },
    Lmtp(LmtpTarget),
    /// Local delivery; the directory.
    Maildir(PathBuf),
}

/// `smtp:example.net`, `lmtp:unix:/run/dovecot/lmtp`, `maildir:/var/lib/smarthost/Maildir`.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp { nexthop, .. } => write!(f, "smtp:{nexthop}"),
            Self::Lmtp(target) => write!(f, "lmtp:{target}"),
            Self::Maildir(path) => write!(f, "maildir:{}", path.display()),
        }
    }
}

impl Router {
    /// Where an address goes now: by the routes table, else into our local transport, else to the relayhost, else by MX.
    pub fn destination(&self, address: &Address) -> Result<Destination, Failure> {
        let rules = &self.rules;
        if self.is_local(address) {
            // An alias that cannot be expanded must not end in the mailbox of its own name.
            self.lookup(address)?;
        }
        if let Some(transport) = self.routed(address.domain()) {
            return Ok(match transport {
                Transport::Smtp(nexthop) => Destination::Smtp {
                    nexthop: nexthop.clone(),
                    relayhost: false,
                    named: true,
                },
                Transport::Lmtp(target) => Destination::Lmtp(target.clone()),
            });
        }
        if self.is_local(address) {
            return match &rules.local {
                LocalTransport::Maildir(path) => Ok(Destination::Maildir(path.clone())),
                LocalTransport::Lmtp(target) => Ok(Destination::Lmtp(target.clone())),
                LocalTransport::None => {
                    let text = format!("{address}: User unknown in local recipient table");
                    Err(Failure::new(
                        Blame::Policy,
                        Stage::Local,
                        EnhancedStatus::new(5, 1, 1),
                        &text,
                    ))
                }
            };
        }
        if let Some(relayhost) = &rules.relayhost {
            return Ok(Destination::Smtp {
                nexthop: relayhost.clone(),
                relayhost: true,
                named: true,
            });
        }
        Ok(Destination::Smtp {
            nexthop: exchanger(address.domain()),
            relayhost: false,
            named: false,
        })
    }

    /// The routes table's entry for a domain, or for the nearest domain above it that has one for all below.
    fn routed(&self, domain: &Domain) -> Option<&Transport> {
        let routes = &self.rules.routes;
        let mut nearest: Option<(&Domain, &Transport)> = None;
        for (pattern, transport) in routes.iter().filter(|(pattern, _)| pattern.covers(domain)) {
            match pattern {
                DomainPattern::Exactly(_) => return Some(transport),
                DomainPattern::Below(parent) => {
                    if nearest.is_none_or(|(other, _)| other.len() < parent.len()) {
                        nearest = Some((parent, transport));
                    }
                }
            }
        }
        nearest.map(|(_, transport)| transport)
    }
}

/// The domain's MX, or the host itself of an address literal (RFC 5321 §4.1.3).
fn exchanger(domain: &Domain) -> Nexthop {
    Nexthop {
        host: domain
            .as_literal()
            .map_or_else(|| domain.to_string(), |address| address.to_string()),
        port: None,
        mx: domain.as_literal().is_none(),
    }
}
