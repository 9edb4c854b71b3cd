//! What DANE wants to know of DNS, and whether DNSSEC works at all.
//!
//! Contract: "secure" is what a validating resolver on loopback says of the whole answer, aliases
//! included; what it calls bogus is an error here (SERVFAIL), never "there is none".
//! RFC 7672 §2.1, §2.2.

use std::{fmt, net::IpAddr};

use domain::base::ParsedName;
use domain::{
    base::{Message, Rtype},
    rdata::{A, Aaaa, AllRecordData, Cname, Ns},
};
use relay::tlsa::Tlsa;

use relay::relayhost::records::records;

use super::mx::Resolver;
use crate::dane::Host;

/// A record of any type.
type Any<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;

/// What a self-test of DNSSEC has shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Dnssec {
    /// The name server validates.
    Works,
    /// And why not.
    Missing(String),
}

impl fmt::Display for Dnssec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => f.write_str("DNSSEC works"),
            Self::Missing(why) => write!(f, "DNSSEC does not work: {why}"),
        }
    }
}

impl Resolver {
    /// Asks for what is always signed: the name servers of the root (as Postfix does).
    pub(crate) async fn test(&self) -> Dnssec {
        if !self.is_believed() {
            let servers: Vec<_> = self.servers.addresses().map(ToString::to_string).collect();
            return Dnssec::Missing(format!(
                "not all name servers ({}) are on loopback, so that what they say could be forged; \
                 install unbound and set resolver = \"127.0.0.1\"",
                servers.join(", ")
            ));
        }
        let read = |data: &Ns<ParsedName<&[u8]>>| data.nsdname().to_string();
        let asked = self.secure(".", Rtype::NS, |it| records(it, read));
        match asked.await {
            Ok(Answered { secure: true, .. }) => Dnssec::Works,
            Ok(_) => Dnssec::Missing(
                "the name server does not validate: it does not call the root's own records secure"
                    .to_owned(),
            ),
            Err(why) => Dnssec::Missing(why),
        }
    }

    /// Whether what the name servers say of DNSSEC counts.
    pub(crate) fn is_believed(&self) -> bool {
        self.servers.are_believed()
    }

    /// The addresses of a host.
    pub(crate) async fn host(&self, name: &str) -> Result<Host, String> {
        let a = |it: &Message<[u8]>| records(it, |data: &A| IpAddr::from(data.addr()));
        let aaaa = |it: &Message<[u8]>| records(it, |data: &Aaaa| IpAddr::from(data.addr()));
        let found = tokio::join!(
            self.secure(name, Rtype::AAAA, aaaa),
            self.secure(name, Rtype::A, a)
        );
        let mut host = Host {
            name: name.to_owned(),
            secure: true,
            ..Host::default()
        };
        let mut failed = None;
        for found in [found.0, found.1] {
            match found {
                Ok(found) => {
                    if found.canonical.is_some() {
                        host.canonical = found.canonical;
                    }
                    if !found.records.is_empty() {
                        host.secure &= found.secure;
                        host.addresses.extend(found.records);
                    }
                }
                Err(why) => failed = Some(why),
            }
        }
        host.secure &= !host.addresses.is_empty();
        match failed {
            Some(why) if host.addresses.is_empty() => Err(why),
            _ => Ok(host),
        }
    }

    /// Whether a name is, by DNSSEC, an alias.
    pub(crate) async fn is_alias(&self, name: &str) -> Result<bool, String> {
        let read = |data: &Cname<ParsedName<&[u8]>>| data.cname().to_string();
        let asked = self.secure(name, Rtype::CNAME, |it| records(it, read));
        let found = asked.await?;
        Ok(found.secure && !found.records.is_empty())
    }

    /// The TLSA records of a name that DNSSEC proves; none: it has none that are proved.
    pub(crate) async fn tlsa(&self, name: &str) -> Result<Vec<Tlsa>, String> {
        let read = |data: &Any<'_>| match data {
            Any::Tlsa(data) => Some(Tlsa {
                usage: data.usage().into(),
                selector: data.selector().into(),
                matching: data.matching_type().into(),
                data: data.data().to_vec(),
            }),
            _ => None,
        };
        let asked = self.secure(name, Rtype::TLSA, |it| records(it, read));
        let found = asked.await?;
        Ok(if found.secure {
            found.records.into_iter().flatten().collect()
        } else {
            Vec::new()
        })
    }

    async fn secure<T>(
        &self,
        name: &str,
        kind: Rtype,
        read: impl Fn(&Message<[u8]>) -> Result<Vec<T>, String>,
    ) -> Result<Answered<T>, String> {
        let Some(message) = self.query(name, kind).await? else {
            return Ok(Answered {
                records: Vec::new(),
                secure: false,
                canonical: None,
            });
        };
        let message = message.for_slice();
        let Some(canonical) = message.canonical_name() else {
            return Err("its aliases go in circles".to_owned());
        };
        let canonical = canonical.to_string();
        Ok(Answered {
            records: read(message)?,
            secure: self.servers.proves(message),
            canonical: (!canonical.eq_ignore_ascii_case(name)).then_some(canonical),
        })
    }
}

/// An answer.
struct Answered<T> {
    records: Vec<T>,
    /// DNSSEC proves all of it.
    secure: bool,
    /// The name at the end of the aliases, if it is another.
    canonical: Option<String>,
}
