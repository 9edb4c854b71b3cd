//! The keys of the file and the forms of their values. Each value is checked while it is read, so
//! that an error shows its place.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use mail::address::{Address, DomainPattern, Sender};
use relay::{
    relayhost::{Order, Relayhost},
    tls::TlsVersion,
    token::Source,
    trust::Pin,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_spanned::Spanned;
use settings::{HostName, NameServer, OneOrMany, Size, Span, form::Number};
use smtp::client::Security;

use super::transports::Written;
use crate::{
    config::{
        AliasFile, Budget, DkimKey, ListenTls, Listener, LogFormat, Offer, SrsDomain, TlsLevel, Web,
    },
    destination::{Destination, Kind, LmtpTarget},
    expected::Wanted,
    limits::Limit,
    lookup::TableName,
    milter::Milter,
    network::Network,
    policy::{dnsbl::List, rule::Rule, verify::OutageMode},
};

/// The whole file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub hostname: Option<HostName>,
    pub banner: Option<Spanned<String>>,
    pub listen: Option<OneOrMany<Listener>>,
    #[serde(deserialize_with = "settings::table")]
    pub tls: Tls,
    pub networks: Option<OneOrMany<RelayNetwork>>,
    #[serde(deserialize_with = "settings::optional_table")]
    pub auth: Option<Auth>,
    #[serde(deserialize_with = "settings::table")]
    pub client_pins: BTreeMap<String, Spanned<String>>,
    pub proxy: OneOrMany<Proxy>,
    pub xclient: OneOrMany<Proxy>,
    pub drain_from: OneOrMany<Proxy>,
    pub greet_wait: Option<Span>,
    #[serde(deserialize_with = "settings::table")]
    pub limits: Limits,
    #[serde(deserialize_with = "settings::optional_table")]
    pub budget: Option<Budget>,
    pub spool: Option<PathBuf>,
    pub state: Option<PathBuf>,
    pub control: Option<PathBuf>,
    pub web: Option<Web>,
    pub aliases: Option<OneOrMany<WrittenAliases>>,
    #[serde(rename = "virtual")]
    pub virtual_aliases: OneOrMany<TableName>,
    pub relay_recipients: OneOrMany<TableName>,
    pub recipient_delimiter: Option<Delimiter>,
    #[serde(deserialize_with = "settings::table")]
    pub domains: Domains,
    pub maildir: Option<Spanned<Maildir>>,
    pub lmtp: Option<Spanned<LmtpTarget>>,
    pub relayhost: Option<OneOrMany<Relayhost>>,
    pub relay_order: Option<Order>,
    pub resolver: Option<NameServer>,
    pub restrictions: Option<Vec<Rule>>,
    pub milters: OneOrMany<Milter>,
    #[serde(deserialize_with = "settings::table")]
    pub dnsbl: Dnsbl,
    #[serde(deserialize_with = "settings::table")]
    pub greylist: Greylist,
    #[serde(deserialize_with = "settings::table")]
    pub verify: Verify,
    #[serde(deserialize_with = "settings::table")]
    pub relay_tls: RelayTls,
    #[serde(deserialize_with = "settings::table")]
    pub tls_out: WrittenTlsOut,
    pub tls_policy: OneOrMany<TableName>,
    pub mta_sts: Option<bool>,
    #[serde(deserialize_with = "settings::optional_table")]
    pub relay_auth: Option<RelayAuth>,
    #[serde(deserialize_with = "settings::table")]
    pub routes: BTreeMap<String, Spanned<String>>,
    #[serde(deserialize_with = "settings::table")]
    pub default_routes: BTreeMap<String, Spanned<String>>,
    pub transport: OneOrMany<NamedTable>,
    #[serde(deserialize_with = "settings::table")]
    pub transports: BTreeMap<String, Spanned<Written>>,
    pub provider_presets: Option<bool>,
    pub dkim: OneOrMany<DkimKey>,
    #[serde(deserialize_with = "settings::optional_table")]
    pub srs: Option<SrsDomain>,
    pub expected: OneOrMany<Wanted>,
    #[serde(alias = "admin")]
    pub admins: OneOrMany<Address>,
    pub message_size: Option<Size>,
    #[serde(deserialize_with = "settings::table")]
    pub retry: Retry,
    #[serde(deserialize_with = "settings::table")]
    pub concurrency: Concurrency,
    pub forbid_unauth_pipelining: Option<bool>,
    #[serde(deserialize_with = "settings::table")]
    pub log: Log,
}

/// `"/etc/aliases"` or `{ file = "/var/lib/mailman/data/aliases", programs = "mailman" }`.
pub(super) struct WrittenAliases(pub AliasFile);
impl<'de> Deserialize<'de> for WrittenAliases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AliasesVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasesTable {
    file: PathBuf,
    programs: Option<String>,
}

struct AliasesVisitor;
impl<'de> Visitor<'de> for AliasesVisitor {
    type Value = WrittenAliases;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a file, or { file = \"PATH\", programs = \"TRANSPORT\" }")
    }

    fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<WrittenAliases, E> {
        Ok(WrittenAliases(AliasFile {
            path: path.into(),
            programs: None,
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenAliases, A::Error> {
        let table = AliasesTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(WrittenAliases(AliasFile {
            path: table.file,
            programs: table.programs,
        }))
    }
}

/// Who may log in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    #[serde(deserialize_with = "settings::users_file")]
    pub users: PathBuf,
}

/// A table in a file of its own.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct NamedTable(pub TableName);
impl TryFrom<String> for NamedTable {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        TableName::parse(&text).map(Self)
    }
}

/// A limit that lets something through: another one is a mistake.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "Limit")]
pub(super) struct SomeMail(pub Limit);
impl TryFrom<Limit> for SomeMail {
    type Error = String;
    fn try_from(limit: Limit) -> Result<Self, String> {
        if limit.window.limit == 0 {
            return Err(format!(
                "`{limit}` lets nothing through; write at least 1, or leave the limit out"
            ));
        }
        Ok(Self(limit))
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub format: Option<LogFormat>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dnsbl {
    pub threshold: Option<Number>,
    pub lists: OneOrMany<Scored>,
    #[serde(default, deserialize_with = "settings::optional_secret_file")]
    pub keys: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Greylist {
    pub delay: Option<Span>,
    pub only: Option<Only>,
}

/// Whom greylisting is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    All,
    Listed,
}

settings::words!(Only:
    "listed" = Self::Listed,
    "all" = Self::All,
);

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Verify {
    pub from: Option<ProbeSender>,
    pub outage: Option<OutageMode>,
    pub positive: Option<Span>,
    pub negative: Option<Span>,
    pub trouble: Option<Span>,
}

/// `"<>"`, or an address.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ProbeSender(pub Sender);
impl TryFrom<String> for ProbeSender {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text == "<>" {
            return Ok(Self(Sender::Null));
        }
        Address::parse(&text)
            .map(|address| Self(Sender::Address(address)))
            .map_err(|error| {
                format!("{error}; write \"<>\", or an address such as \"probe@example.org\"")
            })
    }
}

/// A list with its weight.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Scored(pub List);
impl TryFrom<String> for Scored {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let list = List::parse(&text, true);
        list.map(Self)
            .map_err(|why| format!("{why} \"a.example=127.0.0.[2..11]*2\""))
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub certificate: Option<Spanned<PathBuf>>,
    pub key: Option<Spanned<PathBuf>>,
    pub minimum: Option<TlsVersion>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub per_client: OneOrMany<SomeMail>,
    pub per_prefix6: Option<OneOrMany<SomeMail>>,
    pub per_stranger: OneOrMany<SomeMail>,
    pub exempt: OneOrMany<Network>,
    pub notify: Option<OneOrMany<Address>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Domains {
    pub local: OneOrMany<DomainPattern>,
    pub relay: OneOrMany<DomainPattern>,
    #[serde(rename = "virtual")]
    pub virtual_aliases: OneOrMany<DomainPattern>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RelayTls {
    pub pins: OneOrMany<Pin>,
    pub level: Option<Level>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenTlsOut {
    pub level: Option<TlsLevel>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RelayAuth {
    #[serde(deserialize_with = "settings::user")]
    pub user: String,
    #[serde(default, deserialize_with = "settings::optional_secret_file")]
    pub password_file: Option<PathBuf>,
    pub token: Option<Spanned<Source>>,
}

/// How much TLS the relayhost must show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Level(pub Security);

settings::words!(Level:
    "opportunistic" = Self(Security::Opportunistic),
    "starttls" = Self(Security::StartTls),
    "wrapped" = Self(Security::Wrapped),
    "none" = Self(Security::None),
);

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    pub minimal: Option<Span>,
    pub maximal: Option<Span>,
    pub lifetime: Option<Span>,
    pub bounce_lifetime: Option<Span>,
    pub relay_lifetime: Option<Span>,
    pub warning: Option<Span>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Concurrency {
    pub destination: Option<Number>,
    pub deliveries: Option<Number>,
    pub sessions: Option<Number>,
    #[serde(alias = "sessions_per_client")]
    pub client: Option<Number>,
}

/// A network that may relay: never the whole Internet, nor a large part of it.
#[derive(Deserialize)]
#[serde(try_from = "Network")]
pub(super) struct RelayNetwork(pub Network);
impl TryFrom<Network> for RelayNetwork {
    type Error = String;
    fn try_from(network: Network) -> Result<Self, String> {
        if network.is_anybodys() {
            let what = if network.is_everything() {
                "the whole Internet"
            } else {
                "a large part of the Internet"
            };
            return Err(format!(
                "{network} is {what}: everybody could send mail through this machine (an open relay); \
                 write the networks of your own machines"
            ));
        }
        Ok(Self(network))
    }
}
/// A proxy or front end, whose word about who connects is believed: a few machines at most.
#[derive(Deserialize)]
#[serde(try_from = "Network")]
pub(super) struct Proxy(pub Network);
impl TryFrom<Network> for Proxy {
    type Error = String;
    fn try_from(network: Network) -> Result<Self, String> {
        if network.is_anybodys() {
            return Err(format!(
                "anybody in {network} could pretend to be any client (an open relay); write the \
                 addresses of your own proxies"
            ));
        }
        Ok(Self(network))
    }
}
/// One character, or nothing for off.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Delimiter(pub Option<char>);
impl TryFrom<String> for Delimiter {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (None, _) => Ok(Self(None)),
            (Some(one), None) if one.is_ascii_punctuation() && one != '@' && one != '"' => {
                Ok(Self(Some(one)))
            }
            _ => Err("write one character such as \"+\" or \"-\", or \"\" for none".to_owned()),
        }
    }
}

/// A directory, or `"none"`: local domains have aliases only.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Maildir(pub Option<Destination>);
impl From<String> for Maildir {
    fn from(text: String) -> Self {
        Self((text != "none").then(|| Kind::Maildir(text.into()).into()))
    }
}

/// `"127.0.0.1:2525"` or `{ address = "127.0.0.1:4650", tls = "wrapped" }`.
impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenerVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListenerTable {
    address: ListenAddress,
    tls: Option<ListenTls>,
    submission: Option<bool>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ListenAddress(SocketAddr);
impl TryFrom<String> for ListenAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "`{}` is not an address with a port; write \"192.0.2.1:25\", \
                 \"[2001:db8::1]:25\", or \"[::]:25\" for all \
                 addresses",
                text.escape_debug()
            )
        })
    }
}

struct ListenerVisitor;
impl<'de> Visitor<'de> for ListenerVisitor {
    type Value = Listener;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"address:port\" or { address = \"address:port\", tls = \"starttls\" }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Listener, E> {
        let address = ListenAddress::try_from(text.to_owned())
            .map_err(E::custom)?
            .0;
        Ok(Listener {
            address,
            offer: Offer {
                tls: ListenTls::default(),
                submission: Offer::is_submission(address.port()),
            },
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listener, A::Error> {
        let table = ListenerTable::deserialize(MapAccessDeserializer::new(map))?;
        let address = table.address.0;
        let usual = Offer::is_submission(address.port());
        Ok(Listener {
            address,
            offer: Offer {
                tls: table.tls.unwrap_or_default(),
                submission: table.submission.unwrap_or(usual),
            },
        })
    }
}
