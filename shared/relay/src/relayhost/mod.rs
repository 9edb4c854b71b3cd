//! Relayhosts: how they are written, in which order several are tried, and which hosts are behind
//! one that DNS names. Pure.
//!
//! | part | what |
//! |---|---|
//! | here | the text: `host`, `srv:domain`, `mx:domain`; the settings that order them |
//! | [`rank`] | the order of its own that each machine has |
//! | [`records`] | what DNS says, in order |
//!
//! Contract: what is printed reads back as the same. A list is tried as it is listed, or each
//! machine has an order of its own ([`Order::Spread`]), and keeps to it: the limits of a server
//! meet all of a machine's mail at one place, connections and TLS sessions are used again, and one
//! log tells its story. A machine's mail changes its server only while that fails.
//! What DNS names is an order within one entry of the list. DNS is not believed: a key must be
//! pinned, or the certificate must be for the domain that the administrator wrote, never for a name
//! that came from DNS ([`Host::certified`]).
//! RFC 6186 §3.1, RFC 8314 §5.1 (services), RFC 7817 §3 (which name a certificate must show).

pub mod rank;
pub mod records;

use std::fmt;

use mail::nexthop::{Nexthop, NexthopError};
use serde::Deserialize;
use settings::{OneOrMany, faults::Wrong, form::Form};

use self::{rank::ranked, records::Record};
use crate::delivery::Host;

/// One entry of the setting `relayhost`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Relayhost {
    pub by: By,
    pub nexthop: Nexthop,
}

/// How its hosts are found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum By {
    /// As the program reads a host: that host itself, or its MX.
    Text,
    /// `mx:`: the domain's mail exchangers.
    Mx,
    /// `srv:`: the domain's submission servers, with their ports.
    Srv,
}

/// In which order several are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// As they are listed: the first one takes all mail while it can.
    #[default]
    Listed,
    /// Each machine has an order of its own, so that many share all of them evenly.
    Spread,
}

/// The setting `relayhost`: where it is written it names one at least, and none twice.
pub fn relayhosts(written: Option<OneOrMany<Relayhost>>) -> Result<Vec<Relayhost>, Wrong> {
    let Some(OneOrMany(all)) = written else {
        return Ok(Vec::new());
    };
    if all.is_empty() {
        let what = "this list names no relayhost; write one such as \"mail.example.org\", or take \
                    the line away";
        return Err(Wrong::of(&["relayhost"], what));
    }
    let mut before = Vec::new();
    for (index, relayhost) in all.iter().enumerate() {
        let name = relayhost.to_string().to_lowercase();
        if before.contains(&name) {
            let what = format!("{relayhost} is listed twice; keep one of them");
            return Err(Wrong::of(&["relayhost"], what).item(index));
        }
        before.push(name);
    }
    Ok(all)
}

/// The setting that says it.
pub const ORDER: Form<Order> = Form::new("relay_order", Order::Listed);

impl Relayhost {
    pub fn parse(text: &str) -> Result<Self, NexthopError> {
        let text = text.trim();
        let (by, rest) = match text.split_once(':') {
            Some(("mx", rest)) => (By::Mx, rest),
            Some(("srv", rest)) => (By::Srv, rest),
            _ => (By::Text, text),
        };
        let nexthop = Nexthop::parse(rest)?;
        if by != By::Text && !nexthop.mx {
            return Err(NexthopError(format!(
                "`{}` is no relayhost: behind mx: and srv: stands a domain, such as \"srv:example.org\"",
                text.escape_debug()
            )));
        }
        if by == By::Srv && nexthop.port.is_some() {
            return Err(NexthopError(format!(
                "`{}` is no relayhost: SRV records tell the port; write \"srv:{}\"",
                text.escape_debug(),
                nexthop.host
            )));
        }
        Ok(Self { by, nexthop })
    }

    /// The name of its SRV records, of submission with STARTTLS, or with TLS from the first byte.
    pub fn service(&self, wrapped: bool) -> String {
        let service = if wrapped { "submissions" } else { "submission" };
        format!("_{service}._tcp.{}", self.nexthop.host)
    }

    /// Its hosts, from what DNS says, in the order of this machine; `port`: where the records tell
    /// none.
    pub fn hosts(&self, records: Vec<Record>, port: u16, machine: &str) -> Vec<Host> {
        let port = self.nexthop.port.unwrap_or(port);
        let hosts = records::in_order(records, machine).into_iter();
        let hosts = hosts.map(|record| Host {
            name: record.host,
            port: record.port.unwrap_or(port),
            named: true,
            certified: Some(self.nexthop.host.clone()),
        });
        hosts.collect()
    }
}

/// The entries in the order in which this machine tries them.
pub fn in_order<'a>(all: &'a [Relayhost], order: Order, machine: &str) -> Vec<&'a Relayhost> {
    let all = all.iter();
    match order {
        Order::Listed => all.collect(),
        Order::Spread => ranked(all.map(|it| (it, it.to_string(), 1)).collect(), machine),
    }
}

/// `host`, `mx:domain`, `srv:domain`.
impl fmt::Display for Relayhost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by {
            By::Text => "",
            By::Mx => "mx:",
            By::Srv => "srv:",
        })?;
        write!(f, "{}", self.nexthop)
    }
}

settings::words!(Order:
    "listed" = Self::Listed,
    "spread" = Self::Spread,
);

impl TryFrom<String> for Relayhost {
    type Error = NexthopError;
    fn try_from(text: String) -> Result<Self, NexthopError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests;
