//! What restrictions want to know of DNS.
//!
//! Contract: a sure no and "nobody could say" are told apart; a question takes at most [`PATIENCE`]
//! for each name server's answer that it needs. Names that come back are names of hosts, in lower
//! case, and texts are bounded.
//! RFC 5321 §5.1 (whether a domain takes mail), RFC 1035 §3.5 (names of addresses), RFC 5782
//! (lists).

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ::domain::{
    base::{Message, ParsedName, Rtype},
    rdata::{A, Aaaa, Ptr, Txt},
};
use mail::address::Domain;
use tokio::time;

use relay::relayhost::records::records;

use super::mx::{self, Resolver};
use crate::policy::{ClientName, Found, MailDomain, dnsbl};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Names of one address that are tried.
const NAMES: usize = 5;
/// Longest text of a list that is passed on, bytes.
const TEXT: usize = 300;

/// An answer's records of the kind that was asked for, or what there is instead.
enum Records<T> {
    Some(Vec<T>),
    None,
    Unknown(String),
}

/// Reads the records of one kind.
type Read<T> = fn(&Message<[u8]>) -> Result<Vec<T>, String>;

impl Resolver {
    /// Whether mail for a domain can go anywhere.
    pub(crate) async fn mail_domain(&self, domain: &Domain) -> MailDomain {
        let Ok(answer) = time::timeout(PATIENCE, self.mx(domain)).await else {
            return MailDomain::Unknown;
        };
        match answer {
            mx::Answer::Found(found) if !found.is_empty() => MailDomain::Found,
            mx::Answer::NullMx => MailDomain::NullMx,
            mx::Answer::NoDomain => MailDomain::Missing,
            mx::Answer::Failed(_) => MailDomain::Unknown,
            mx::Answer::Found(_) | mx::Answer::NoMx => match self.addresses(domain).await {
                Records::Some(_) => MailDomain::Found,
                Records::None => MailDomain::Missing,
                Records::Unknown(_) => MailDomain::Unknown,
            },
        }
    }

    /// The name of an address that has this address, or what there is instead.
    pub(crate) async fn client_name(&self, address: IpAddr) -> ClientName {
        let address = address.to_canonical();
        let names = match self.names(&dnsbl::reverse_name(address)).await {
            Records::Some(names) => names,
            Records::None => return ClientName::Missing,
            Records::Unknown(_) => return ClientName::Unknown,
        };
        let usable = names
            .iter()
            .filter_map(|name| Domain::name(name.trim_end_matches('.')).ok());
        let (mut first, mut doubtful) = (None, false);
        for name in usable.take(NAMES) {
            match self.addresses(&name).await {
                Records::Some(found) if found.contains(&address) => {
                    return ClientName::Confirmed(name.to_string());
                }
                Records::Some(_) | Records::None => {}
                Records::Unknown(_) => doubtful = true,
            }
            first.get_or_insert(name);
        }
        match first {
            None => ClientName::Missing,
            Some(name) if doubtful => ClientName::Doubtful(name.to_string()),
            Some(name) => ClientName::Unconfirmed(name.to_string()),
        }
    }

    /// The addresses with which a list answers, and its reason.
    pub(crate) async fn listed(&self, name: &str) -> Found {
        let read: Read<Ipv4Addr> = |message| records(message, A::addr);
        match self.find(name, Rtype::A, read).await {
            Records::Some(codes) => Found::Codes(codes, self.text(name).await),
            Records::None => Found::Nothing,
            Records::Unknown(why) => Found::Trouble(why),
        }
    }

    /// The texts of a name, the strings of each put together; none, if it has none.
    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let read: Read<Vec<u8>> =
            |message| records(message, |data: &Txt<&[u8]>| data.text::<Vec<u8>>());
        let texts = self.ask(name, Rtype::TXT, read).await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(texts.into_iter().map(text).collect())
    }

    /// Only a decoration: without it the entry counts all the same.
    async fn text(&self, name: &str) -> Option<String> {
        let texts = self.texts(name).await.ok()?;
        let text = texts.first()?;
        let printable = |c: char| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        };
        let shown: String = text.chars().take(TEXT).map(printable).collect();
        Some(shown.trim().to_owned()).filter(|shown| !shown.is_empty())
    }

    async fn names(&self, name: &str) -> Records<String> {
        let read: Read<String> = |message| {
            records(message, |data: &Ptr<ParsedName<&[u8]>>| {
                data.ptrdname().to_string()
            })
        };
        self.find(name, Rtype::PTR, read).await
    }

    /// The addresses of a host; none, if it has none.
    pub(crate) async fn addresses_of(&self, host: &Domain) -> Result<Vec<IpAddr>, String> {
        match self.addresses(host).await {
            Records::Some(found) => Ok(found),
            Records::None => Ok(Vec::new()),
            Records::Unknown(why) => Err(why),
        }
    }

    /// IPv4 and IPv6 addresses of a host.
    async fn addresses(&self, host: &Domain) -> Records<IpAddr> {
        let a: Read<IpAddr> = |message| records(message, |data: &A| data.addr().into());
        let aaaa: Read<IpAddr> = |message| records(message, |data: &Aaaa| data.addr().into());
        let found = tokio::join!(
            self.find(host, Rtype::A, a),
            self.find(host, Rtype::AAAA, aaaa)
        );
        match found {
            (Records::Some(mut v4), Records::Some(v6)) => {
                v4.extend(v6);
                Records::Some(v4)
            }
            (Records::Some(found), _) | (_, Records::Some(found)) => Records::Some(found),
            (Records::Unknown(why), _) | (_, Records::Unknown(why)) => Records::Unknown(why),
            (Records::None, Records::None) => Records::None,
        }
    }

    async fn find<T>(&self, name: &str, kind: Rtype, read: Read<T>) -> Records<T> {
        match self.ask(name, kind, read).await {
            Ok(found) if found.is_empty() => Records::None,
            Ok(found) => Records::Some(found),
            Err(why) => Records::Unknown(why),
        }
    }

    /// Nothing: the name does not exist, or has no such record.
    async fn ask<T>(&self, name: &str, kind: Rtype, read: Read<T>) -> Result<Vec<T>, String> {
        let asked = time::timeout(PATIENCE, self.query(name, kind)).await;
        match asked.map_err(|_| "no answer in time".to_owned())?? {
            Some(message) => read(message.for_slice()),
            None => Ok(Vec::new()),
        }
    }
}
