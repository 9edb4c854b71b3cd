//! The configuration as the program uses it: valid by construction, with all defaults filled in.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use mail::address::{Address, Domain, DomainPattern, Sender};
use queue::retry::Schedule;
use relay::{
    relayhost::{Order, Relayhost},
    tls::TlsVersion,
    token::Source,
    trust::{PeerKey, Pin},
};
use smtp::client::Security;

use super::{
    budget::Budget,
    signing::{DkimKey, SrsDomain},
    tls_level::TlsOut,
    transports::Transports,
    web::Web,
};
use crate::{
    destination::{Destination, Kind},
    expected::Wanted,
    limits::Rules,
    lookup::{self, LookupTable, TableName},
    milter::Milter,
    network::Networks,
    policy::{Scores, rule::Rule, verify},
};

/// The queue's directory unless the configuration says otherwise.
pub const SPOOL: &str = "/var/spool/smarthost";
/// Where counters and its own key are unless the configuration says otherwise.
pub const STATE: &str = "/var/lib/smarthost";

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The files they come from, the one that decides first at the front.
    pub(crate) layers: Vec<settings::layers::Layer>,
    /// FQDN of this machine: greeting, EHLO, Received, bounces.
    pub hostname: Domain,
    /// Greeting after `220 `; begins with the host name (row B6).
    pub banner: Option<String>,
    /// Where clients connect.
    pub listen: Vec<Listener>,
    /// `listen` is the default: what cannot be bound is a warning as long as something can.
    pub listen_is_default: bool,
    /// Certificate and key of the listeners.
    pub tls: KeyFiles,
    /// The oldest version of TLS that they speak.
    pub tls_minimum: TlsVersion,
    /// Who may relay.
    pub networks: Networks,
    /// The file of those who may log in.
    pub auth: Option<PathBuf>,
    /// Keys of clients, and as whom each is known.
    pub client_pins: Vec<(Pin, String)>,
    /// Whose connections begin with a PROXY header, which says who the client is.
    pub proxy: Networks,
    /// Who may say XCLIENT.
    pub xclient: Networks,
    /// Whose queue may move here.
    pub drain_from: Networks,
    /// How long the greeting waits for strangers, who must not talk meanwhile.
    pub greet_wait: Duration,
    /// Messages a client may send.
    pub limits: Rules,
    /// Who is told when a client comes near its limit; the admins by default.
    pub limits_notify: Vec<Address>,
    /// The queue's directory.
    pub spool: PathBuf,
    /// Directory of counters, generated key and the default Maildir.
    pub state: PathBuf,
    /// The administrators' socket.
    pub control: PathBuf,
    /// Where the status page and the metrics are; `None`: nowhere.
    /// Shared with other smarthosts.
    pub budget: Option<Budget>,
    pub web: Option<Web>,
    /// Alias tables; an earlier one wins.
    pub aliases: Vec<AliasFile>,
    /// `aliases` is the default: the file need not be there.
    pub aliases_is_default: bool,
    /// Separates user and extension in a local part (row B2); `None`: off.
    pub recipient_delimiter: Option<char>,
    /// Tables of virtual(5), which map recipients of every class (row C2); an earlier one wins.
    pub virtual_aliases: Vec<TableName>,
    /// Which recipients there are in domains that are passed on; empty: the next hop decides.
    pub relay_recipients: Vec<TableName>,
    /// For whom we take mail.
    pub domains: Domains,
    /// Where mail for local domains ends; `None`: only aliases receive (row B3).
    pub local: Option<Destination>,
    /// Where all other mail goes; empty: by MX.
    pub relayhost: Vec<Relayhost>,
    pub relay_order: Order,
    /// The name server; `None`: those of /etc/resolv.conf.
    pub resolver: Option<SocketAddr>,
    /// What is decided at RCPT, in order.
    pub restrictions: Vec<Rule>,
    /// Filters that are asked about sessions and messages, in order.
    pub milters: Vec<Milter>,
    /// Block lists whose weights are added up, and keys of lists.
    pub dnsbl: Dnsbl,
    /// Who has to come again.
    pub greylist: Greylist,
    /// How recipients are asked for at the next hop.
    pub verify: Verify,
    /// TLS towards the relayhost.
    pub relay_tls: RelayTls,
    /// TLS towards everybody else.
    pub tls_out: TlsOut,
    /// Tables with other levels for some next hops.
    pub tls_policy: Vec<TableName>,
    /// Whether policies of MTA-STS are kept to.
    pub mta_sts: bool,
    /// User and password at the relayhost.
    pub relay_auth: Option<RelayAuth>,
    /// Other ways for some recipients, in the order in which they are written.
    pub routes: Vec<(String, String)>,
    /// Of mail that neither they nor `transport` say a way of.
    pub default_routes: Vec<(String, String)>,
    /// The same in files of their own.
    pub transport: Vec<TableName>,
    /// Transports by name, those for well-known providers among them.
    pub transports: Transports,
    /// Whether mail for these providers goes by them.
    pub provider_presets: bool,
    /// Keys that sign mail.
    pub dkim: Vec<DkimKey>,
    /// Whether senders of forwarded mail are rewritten.
    pub srs: Option<SrsDomain>,
    /// Mail that must come.
    pub expected: Vec<Wanted>,
    /// Who is told of limits and faults; postmaster's mail goes there without an alias.
    pub admins: Vec<Address>,
    /// Largest message, bytes.
    pub message_size: u64,
    /// When to retry and give up.
    pub retry: Retry,
    /// How much at once.
    pub concurrency: Concurrency,
    /// Commands sent ahead where RFC 2920 forbids it are refused to clients in `networks`, too.
    pub forbid_unauth_pipelining: bool,
    /// How lines of the log begin.
    pub log_format: LogFormat,
}

/// Block lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dnsbl {
    pub scores: Scores,
    /// Holds `NAME = key` lines.
    pub keys: Option<PathBuf>,
}

/// Greylisting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Greylist {
    pub delay: Duration,
    /// Only for those of whom something speaks against them.
    pub listed_only: bool,
}

/// Verification of recipients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verify {
    /// Of probes.
    pub from: Sender,
    pub settings: verify::Settings,
}

/// An alias table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AliasFile {
    pub path: PathBuf,
    /// The transport by which programs are run that it names.
    pub programs: Option<String>,
}

/// How lines of the log begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// With the program's name.
    #[default]
    Plain,
    /// With the names of Postfix's daemons.
    Postfix,
}

settings::words!(LogFormat:
    "plain" = Self::Plain,
    "postfix" = Self::Postfix,
);

/// A listening address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    pub address: SocketAddr,
    pub offer: Offer,
}

/// What clients find there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    pub tls: ListenTls,
    /// Logins are taken, and clients are asked for a key, under TLS (RFC 6409, RFC 8314).
    pub submission: bool,
}

impl Offer {
    /// What a port is for (RFC 8314 §7.3): 465 speaks TLS from the first byte, and on 25 other
    /// servers come, who have no login here.
    pub fn usual(port: u16) -> Self {
        let tls = if port == 465 {
            ListenTls::Wrapped
        } else {
            ListenTls::StartTls
        };
        Self {
            tls,
            submission: Self::is_submission(port),
        }
    }

    /// Whether a client can show a key there.
    pub fn asks_for_keys(&self) -> bool {
        self.submission && self.tls != ListenTls::None
    }

    pub(super) fn is_submission(port: u16) -> bool {
        port != 25
    }
}

/// TLS of a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenTls {
    /// STARTTLS is offered.
    #[default]
    StartTls,
    /// From the first byte (RFC 8314).
    Wrapped,
    /// None.
    None,
}

/// Where certificate and key are (PEM).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Not configured: made at the first start if they are not there.
    pub generate: bool,
}

impl KeyFiles {
    /// Those that are made where none are configured.
    pub fn made_in(state: &Path) -> Self {
        Self {
            certificate: state.join("cert.pem"),
            key: state.join("key.pem"),
            generate: true,
        }
    }
}

/// Domains that we take mail for from anybody. None stands in two lists; of patterns that cover one
/// domain the nearest counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Domains {
    /// Ours: aliases apply, the rest goes where [`Config::local`] says. The host name and
    /// `localhost` are always among them.
    pub local: Vec<DomainPattern>,
    /// Passed on (backup MX, inbound relay).
    pub relay: Vec<DomainPattern>,
    /// Those whose addresses only stand for others.
    pub virtual_aliases: Vec<DomainPattern>,
}

/// What is done with the mail of a domain that we take mail for from anybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Local,
    Relay,
    Virtual,
}

impl Class {
    /// As in `domains`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Relay => "relay",
            Self::Virtual => "virtual",
        }
    }
}

/// TLS towards the relayhost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayTls {
    /// With pins never less than `StartTls`.
    pub security: Security,
    /// Current and next key; empty: nothing is verified.
    pub pins: Vec<Pin>,
    /// Certificate and key that are shown to a relayhost who asks.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// When to retry, when to warn, when to give up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    pub schedule: Schedule,
    /// Age at which mail without a sender is given up, and mail for `domains.relay` is returned.
    pub bounce_lifetime: Duration,
    pub relay_lifetime: Duration,
    /// Age at which the sender is warned that a message still waits; `None`: never.
    pub warning: Option<Duration>,
}

/// How much at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Concurrency {
    /// Deliveries to one destination.
    pub destination: usize,
    /// That was set: silent ones count.
    pub limits_destination: bool,
    /// Deliveries altogether.
    pub deliveries: usize,
    /// Sessions of clients altogether.
    pub sessions: usize,
    /// Sessions of one client.
    pub client: usize,
}

impl Config {
    /// Whether a destination is one that the administrator named, or of a domain that we take mail
    /// for: not one of others.
    pub(crate) fn is_ours(&self, destination: &Destination) -> bool {
        match &destination.kind {
            Kind::Smtp { named: true, .. } => true,
            Kind::Smtp { nexthop, .. } => {
                let domain = Domain::name(nexthop.host.as_ref());
                domain.is_ok_and(|domain| self.domains.class(&domain).is_some())
            }
            _ => true,
        }
    }

    /// As whom a client's key is known.
    pub(crate) fn client_of(&self, key: &PeerKey) -> Option<String> {
        let mut pins = self.client_pins.iter();
        let found = pins.find(|(pin, _)| pin.matches(key));
        found.map(|(_, name)| name.clone())
    }

    /// The names of `client_pins`.
    pub(crate) fn pinned_names(&self) -> HashSet<&str> {
        let pins = self.client_pins.iter();
        pins.map(|(_, name)| name.as_str()).collect()
    }

    /// The routes as a table, and the default ones.
    pub fn route_tables(&self) -> [LookupTable; 2] {
        let named = [
            ("routes", &self.routes),
            ("default_routes", &self.default_routes),
        ];
        named.map(|(name, routes)| {
            let lines = routes.iter();
            let lines = lines.map(|(key, value)| [key, " ", value, "\n"].concat());
            let lines = lines.collect::<Vec<_>>().concat();
            // Each was read when the settings were.
            LookupTable::read(lookup::Kind::Text, name.into(), &lines).0
        })
    }

    /// The port that clients are told who may use any of these: one that speaks TLS from the first
    /// byte, if there is one.
    pub(crate) fn door(&self, may: impl Fn(&Offer) -> bool) -> Option<&Listener> {
        let doors = || self.listen.iter().filter(|it| may(&it.offer));
        let wrapped = doors().find(|it| it.offer.tls == ListenTls::Wrapped);
        wrapped.or_else(|| doors().next())
    }

    /// How a transport runs programs.
    pub(crate) fn pipe(&self, name: &str) -> Option<&super::transports::Pipe> {
        self.transports.get(name)?.pipe()
    }
}

impl Domains {
    /// The lists, by class.
    pub fn lists(&self) -> [(Class, &[DomainPattern]); 3] {
        [
            (Class::Local, &self.local),
            (Class::Relay, &self.relay),
            (Class::Virtual, &self.virtual_aliases),
        ]
    }

    /// The class of a domain; `None` if we take no mail for it from strangers.
    pub fn class(&self, domain: &Domain) -> Option<Class> {
        self.nearest(domain).map(|(class, _)| class)
    }

    /// The same with the index of the name in its list that says so.
    pub fn nearest(&self, domain: &Domain) -> Option<(Class, usize)> {
        let nearness = |pattern: &DomainPattern| match pattern {
            DomainPattern::Exactly(_) => usize::MAX,
            DomainPattern::Below(parent) => parent.len(),
        };
        let lists = self.lists().into_iter();
        lists
            .flat_map(|(class, list)| list.iter().enumerate().map(move |it| (class, it)))
            .filter(|(_, (_, pattern))| pattern.covers(domain))
            .max_by_key(|(_, (_, pattern))| nearness(pattern))
            .map(|(class, (index, _))| (class, index))
    }
}

/// User and password at the relayhost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayAuth {
    pub user: String,
    /// `None`, and no token: systemd's credential `relay-password`.
    pub password_file: Option<PathBuf>,
    /// Instead of a password.
    pub token: Option<Source>,
}
