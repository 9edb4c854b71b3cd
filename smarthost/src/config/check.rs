//! From what is written to what is used: defaults, and what concerns several keys.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use mail::address::{Domain, DomainPattern};
use queue::retry::Schedule;
use relay::relayhost::{ORDER, Relayhost, relayhosts};
use serde_spanned::Spanned;
use settings::{
    ConfigError, HostName, LONGEST, OneOrMany, Span,
    faults::{self, Wrong},
    form::{Form, MESSAGE_SIZE},
    last_good::{self, salvage},
    layers::{self, Layer},
};

use crate::{
    config::{
        AliasFile, Concurrency, Config, Domains, KeyFiles, Listener, Offer, Retry, SPOOL, STATE,
        TlsOut,
        clients::{client_pins, proxies, rules},
        file::{self, File},
        forms::{
            BOUNCE_LIFETIME, CLIENT, DELIVERIES, DESTINATION, FORBID_PIPELINING, GREET_WAIT,
            LIFETIME, LOG_FORMAT, MAXIMAL, MINIMAL, MTA_STS, PROVIDER_PRESETS, RELAY_LIFETIME,
            SESSIONS, TLS_LEVEL, TLS_MINIMUM, WARNING,
        },
        queries::{dnsbl, greylist, verify},
        relayhost,
        routes::{Route, is_key},
        transports::{Transports, Written, providers},
    },
    destination::{Destination, Kind, LmtpTarget},
    lookup::Place,
    network::{Network, Networks},
    policy::rule::Rule,
};

/// Where the daemon is found, and where it finds its queue.
const PLACES: [&str; 8] = [
    "hostname", "listen", "spool", "state", "control", "web", "proxy", "xclient",
];

/// Settings that are used while the files are wrong, if they are right by themselves.
const SALVAGED: [&str; 36] = [
    "hostname",
    "listen",
    "spool",
    "state",
    "control",
    "web",
    "tls",
    "networks",
    "auth",
    "client_pins",
    "proxy",
    "xclient",
    "greet_wait",
    "limits",
    "budget",
    "aliases",
    "recipient_delimiter",
    "virtual",
    "relay_recipients",
    "domains",
    "maildir",
    "lmtp",
    "relayhost",
    "relay_order",
    "resolver",
    "routes",
    "default_routes",
    "transport",
    "transports",
    "provider_presets",
    "milters",
    "expected",
    "admins",
    "admin",
    "message_size",
    "concurrency",
];

impl Config {
    /// Where the configuration is without `--config`.
    pub const PATH: &'static str = "/etc/smarthost/config.toml";

    /// Where mail may have been queued while nothing said where.
    pub fn refuge(path: &Path) -> PathBuf {
        last_good::refuge(path, Path::new(Self::PATH), Path::new(SPOOL), "spool")
    }

    /// The same for what is kept beside it.
    pub fn refuge_of_state(path: &Path) -> PathBuf {
        last_good::refuge(path, Path::new(Self::PATH), Path::new(STATE), "state")
    }

    /// Where it is noted in which directories the queue has been.
    pub fn notes_of_spools(&self, path: &Path) -> [PathBuf; 2] {
        [self.state.clone(), Self::refuge_of_state(path)]
    }

    /// Checks TOML text; `path` is for messages and where relative paths start, `machine` is the
    /// host name where none is set.
    pub fn parse(path: &Path, text: &str, machine: &str) -> Result<Self, ConfigError> {
        Self::layered(&[(path.to_owned(), text.to_owned())], machine)
    }

    /// From several files of one directory: what an earlier one leaves open, a later one decides.
    pub fn layered(layers: &[Layer], machine: &str) -> Result<Self, ConfigError> {
        faults::read(layers, &[("admin", "admins")], |file| {
            let mut config = Self::fill_in(file, machine)?;
            config.layers = layers.to_vec();
            config.place();
            match config.contradiction() {
                Some(wrong) => Err(wrong),
                None => Ok(config),
            }
        })
    }

    /// What is wrong with a setting, told with its place.
    pub fn wrong(&self, key: &str, what: &str) -> ConfigError {
        layers::wrong_at(&self.layers, key, None, what)
    }

    /// The same of an item, where the setting is a list.
    pub(super) fn wrong_item(&self, key: &str, index: usize, what: &str) -> ConfigError {
        layers::wrong_at(&self.layers, key, Some(index), what)
    }

    /// Where a setting stands, by its table's names and its own, or the value with this index where
    /// it is a list; `None`: it is a default.
    pub fn place_of(&self, key: &[&str], index: Option<usize>) -> Option<Place> {
        let (path, line) = layers::place(&self.layers, key, index)?;
        let path = path.into();
        Some(Place { path, line })
    }

    /// The files that it was read from.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Where relative paths start.
    pub fn directory(&self) -> &Path {
        let file = self.layers.first().map(|(path, _)| path.as_path());
        file.and_then(Path::parent).unwrap_or(Path::new("."))
    }

    /// What can be used of files that are wrong as a whole: enough to find the queue and to take
    /// mail into it.
    pub(super) fn salvaged(
        layers: &[Layer],
        path: &Path,
        machine: &str,
    ) -> Result<Self, ConfigError> {
        let make = |mut file: File| {
            file.spool.get_or_insert_with(|| Self::refuge(path));
            file.state
                .get_or_insert_with(|| Self::refuge_of_state(path));
            Self::fill_in(file, machine)
        };
        let config = salvage(layers, &SALVAGED, make);
        let config = config.or_else(|_| salvage(layers, &PLACES, make));
        let mut config = config.map_err(|wrong| nowhere(&wrong))?;
        config.layers = layers.to_vec();
        config.place();
        // Nothing is given up before an administrator has had a say.
        config.retry.schedule.lifetime = LONGEST;
        config.retry.bounce_lifetime = LONGEST;
        config.retry.relay_lifetime = LONGEST;
        config.retry.warning = None;
        Ok(config)
    }

    /// The defaults, given the settings that others follow from.
    pub(super) fn basis(&self) -> Result<Self, ConfigError> {
        let file = File {
            hostname: Some(HostName(self.hostname.clone())),
            state: Some(self.state.clone()),
            relayhost: Some(OneOrMany(self.relayhost.clone())).filter(|it| !it.0.is_empty()),
            relay_tls: file::RelayTls {
                pins: OneOrMany(self.relay_tls.pins.clone()),
                ..file::RelayTls::default()
            },
            admins: OneOrMany(self.admins.clone()),
            retry: file::Retry {
                lifetime: Some(Span(self.retry.schedule.lifetime)),
                ..file::Retry::default()
            },
            limits: file::Limits {
                per_client: OneOrMany(
                    self.limits
                        .per_client
                        .iter()
                        .map(|it| file::SomeMail(*it))
                        .collect(),
                ),
                ..file::Limits::default()
            },
            ..File::default()
        };
        Self::fill_in(file, &self.hostname).map_err(|wrong| nowhere(&wrong))
    }

    fn fill_in(mut file: File, machine: &str) -> Result<Self, Wrong> {
        let own = || Domain::name(machine).unwrap_or_else(|_| Domain::localhost());
        let hostname = file.hostname.map_or_else(own, |name| name.0);
        let banner = check_banner(file.banner, &hostname)?;
        let state = file.state.unwrap_or_else(|| PathBuf::from(STATE));
        let relayhosts = relayhosts(file.relayhost)?;
        let local = local_transport(file.maildir, file.lmtp, &relayhosts, &state)?;
        let (listen, listen_is_default) = match file.listen {
            Some(listen) => (listen.0, false),
            None => (default_listeners(), true),
        };
        let (aliases, aliases_is_default) = alias_files(file.aliases);
        let admins = file.admins.0;
        let notify = file.limits.notify.take().map(|notify| notify.0);
        let transports = transports(file.transports)?;
        let networks = networks(file.networks);
        Ok(Self {
            layers: Vec::new(),
            banner,
            listen,
            listen_is_default,
            tls_minimum: TLS_MINIMUM.read(file.tls.minimum)?,
            tls: key_files(file.tls, &state)?,
            networks: networks.clone(),
            auth: file.auth.map(|auth| auth.users),
            client_pins: client_pins(file.client_pins)?,
            proxy: proxies(file.proxy),
            xclient: proxies(file.xclient),
            drain_from: proxies(file.drain_from),
            greet_wait: GREET_WAIT.read(file.greet_wait)?.0,
            limits: rules(&mut file.limits, networks),
            limits_notify: notify.unwrap_or_else(|| admins.clone()),
            spool: file.spool.unwrap_or_else(|| PathBuf::from(SPOOL)),
            control: file.control.unwrap_or_else(|| state.join("control.sock")),
            budget: file.budget,
            web: file.web,
            aliases,
            aliases_is_default,
            recipient_delimiter: file
                .recipient_delimiter
                .map_or(Some('+'), |delimiter| delimiter.0),
            virtual_aliases: file.virtual_aliases.0,
            relay_recipients: file.relay_recipients.0,
            domains: domains(file.domains, &hostname),
            local,
            relayhost: relayhosts,
            relay_order: ORDER.read(file.relay_order)?,
            resolver: file.resolver.map(|server| server.0),
            restrictions: file.restrictions.unwrap_or_else(Rule::defaults),
            milters: file.milters.0,
            dnsbl: dnsbl(file.dnsbl)?,
            greylist: greylist(&file.greylist)?,
            verify: verify(file.verify)?,
            relay_tls: relayhost::tls(file.relay_tls)?,
            tls_out: TlsOut {
                level: TLS_LEVEL.read(file.tls_out.level)?,
                ca_file: file.tls_out.ca_file,
            },
            tls_policy: file.tls_policy.0,
            mta_sts: MTA_STS.read(file.mta_sts)?,
            relay_auth: file.relay_auth.map(relayhost::auth).transpose()?,
            routes: routes(file.routes, &transports)?,
            default_routes: routes(file.default_routes, &transports)?,
            transport: file.transport.0.into_iter().map(|it| it.0).collect(),
            transports,
            provider_presets: PROVIDER_PRESETS.read(file.provider_presets)?,
            dkim: file.dkim.0,
            srs: file.srs,
            expected: file.expected.0,
            admins,
            message_size: MESSAGE_SIZE.read(file.message_size)?.0,
            retry: check_retry(&file.retry)?,
            concurrency: concurrency(&file.concurrency)?,
            forbid_unauth_pipelining: FORBID_PIPELINING.read(file.forbid_unauth_pipelining)?,
            log_format: LOG_FORMAT.read(file.log.format)?,
            hostname,
            state,
        })
    }
}

/// Of what stands in no file.
fn nowhere(wrong: &Wrong) -> ConfigError {
    let text = wrong.to_string();
    ConfigError { text }
}

fn check_banner(banner: Option<Spanned<String>>, hostname: &str) -> Result<Option<String>, Wrong> {
    let Some(banner) = banner else {
        return Ok(None);
    };
    let (span, text) = (banner.span(), banner.into_inner());
    let first = text.split(' ').next().unwrap_or_default();
    if !first.eq_ignore_ascii_case(hostname) {
        let what = format!(
            "the banner must begin with the host name (RFC 5321 §4.2); write \"{hostname} ESMTP …\""
        );
        return Err(Wrong::at(span, what).with(&["hostname"]));
    }
    if text.len() > 400 || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Wrong::at(
            span,
            "the banner must be at most 400 printable ASCII characters; shorten it",
        ));
    }
    Ok(Some(text))
}

fn local_transport(
    maildir: Option<Spanned<file::Maildir>>,
    lmtp: Option<Spanned<LmtpTarget>>,
    relayhosts: &[Relayhost],
    state: &Path,
) -> Result<Option<Destination>, Wrong> {
    match (maildir, lmtp) {
        (Some(_), Some(lmtp)) => Err(Wrong::at(
            lmtp.span(),
            "`maildir` and `lmtp` both say where local mail goes; keep one of them",
        )),
        (Some(maildir), None) => Ok(maildir.into_inner().0),
        (None, Some(lmtp)) => Ok(Some(Kind::Lmtp(lmtp.into_inner()).into())),
        (None, None) if !relayhosts.is_empty() => Ok(None),
        (None, None) => Ok(Some(Kind::Maildir(state.join("Maildir")).into())),
    }
}

fn default_listeners() -> Vec<Listener> {
    let all = |port| Listener {
        address: (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
        offer: Offer::usual(port),
    };
    [25, 587, 465].map(all).into()
}

fn key_files(tls: file::Tls, state: &Path) -> Result<KeyFiles, Wrong> {
    match (tls.certificate, tls.key) {
        (Some(certificate), Some(key)) => Ok(KeyFiles {
            certificate: certificate.into_inner(),
            key: key.into_inner(),
            generate: false,
        }),
        (Some(alone), None) => Err(Wrong::at(alone.span(), "its `key` is missing")),
        (None, Some(alone)) => Err(Wrong::at(alone.span(), "its `certificate` is missing")),
        (None, None) => Ok(KeyFiles::made_in(state)),
    }
}

/// The relay's own programs speak SMTP over loopback, which is among them unless something of it is
/// named.
fn networks(written: Option<OneOrMany<file::RelayNetwork>>) -> Networks {
    let written = written.unwrap_or_default().0;
    let mut all: Vec<_> = written.into_iter().map(|network| network.0).collect();
    for loopback in [
        Network::of(std::net::Ipv4Addr::LOCALHOST.into(), 8, 8),
        Network::of(std::net::Ipv6Addr::LOCALHOST.into(), 128, 128),
    ] {
        if !all.iter().any(|named| loopback.contains(named.address())) {
            all.push(loopback);
        }
    }
    Networks(all)
}

fn domains(domains: file::Domains, hostname: &Domain) -> Domains {
    let mut local = domains.local.0;
    for ours in [hostname.clone(), Domain::localhost()].map(DomainPattern::Exactly) {
        if !local.contains(&ours) {
            local.push(ours);
        }
    }
    Domains {
        local,
        relay: domains.relay.0,
        virtual_aliases: domains.virtual_aliases.0,
    }
}

fn check_retry(retry: &file::Retry) -> Result<Retry, Wrong> {
    let minimal = MINIMAL.read(retry.minimal)?.0;
    let maximal = or_longer(&MAXIMAL, retry.maximal, minimal)?;
    let lifetime = or_longer(&LIFETIME, retry.lifetime, maximal)?;
    let bounce_lifetime = BOUNCE_LIFETIME
        .read_or(retry.bounce_lifetime, Span(lifetime))?
        .0;
    let relay_lifetime = RELAY_LIFETIME
        .read_or(retry.relay_lifetime, Span(lifetime))?
        .0;
    let complain = |key, what| Err(Wrong::of(&["retry", key], what).value().with(&["retry"]));
    if minimal > maximal {
        let key = retry.minimal.map_or("maximal", |_| "minimal");
        return complain(key, "`minimal` is longer than `maximal`; exchange them");
    }
    for (key, written, lifetime) in [
        ("lifetime", retry.lifetime, lifetime),
        ("bounce_lifetime", retry.bounce_lifetime, bounce_lifetime),
        ("relay_lifetime", retry.relay_lifetime, relay_lifetime),
    ] {
        if lifetime < minimal {
            let what = "mail would be given up before it is tried a second time; `lifetime` must be at least as long as `minimal`";
            return complain(written.map_or("minimal", |_| key), what);
        }
    }
    let warning = WARNING.read(retry.warning)?.0;
    Ok(Retry {
        schedule: Schedule {
            minimal,
            maximal,
            lifetime,
        },
        bounce_lifetime,
        relay_lifetime,
        warning: (!warning.is_zero()).then_some(warning),
    })
}

/// The time, of which the default is at least this one.
fn or_longer(form: &Form<Span>, written: Option<Span>, least: Duration) -> Result<Duration, Wrong> {
    let Span(time) = form.read(written)?;
    Ok(written.map_or(time.max(least), |_| time))
}

fn concurrency(written: &file::Concurrency) -> Result<Concurrency, Wrong> {
    Ok(Concurrency {
        limits_destination: written.destination.is_some(),
        destination: DESTINATION.read(written.destination)?.0,
        deliveries: DELIVERIES.read(written.deliveries)?.0,
        sessions: SESSIONS.read(written.sessions)?.0,
        client: CLIENT.read(written.client)?.0,
    })
}

/// And whether these are the default.
fn alias_files(written: Option<OneOrMany<file::WrittenAliases>>) -> (Vec<AliasFile>, bool) {
    let default = AliasFile {
        path: PathBuf::from("/etc/aliases"),
        programs: None,
    };
    written.map_or((vec![default], true), |written| {
        (written.0.into_iter().map(|it| it.0).collect(), false)
    })
}

/// Ours, and the administrator's in their place.
fn transports(written: BTreeMap<String, Spanned<Written>>) -> Result<Transports, Wrong> {
    let mut transports = providers();
    for (name, written) in written {
        let place = written.span();
        let read = written.into_inner().read(&name);
        let transport = read.map_err(|(key, why)| match key {
            "" => Wrong::at(place, why),
            key => Wrong::of(
                &["transports", &name, key],
                format!("transports.{name}.{key}: {why}"),
            ),
        })?;
        transports.insert(name.into(), transport);
    }
    Ok(transports)
}

/// In the order in which they are written.
fn routes(
    written: BTreeMap<String, Spanned<String>>,
    transports: &Transports,
) -> Result<Vec<(String, String)>, Wrong> {
    let mut written: Vec<_> = written.into_iter().collect();
    written.sort_by_key(|(_, value)| value.span().start);
    let read = |(key, value): (String, Spanned<String>)| {
        let place = value.span();
        let value = value.into_inner();
        is_key(&key)
            .and_then(|()| Route::parse(&value, transports))
            .map_err(|why| {
                let name = value.split(':').next().unwrap_or_default();
                let wrong = Wrong::at(place, format!("{key:?}: {why}"));
                wrong.with(&[&format!("transports.{}", name.trim())])
            })?;
        Ok((key, value))
    };
    written.into_iter().map(read).collect()
}
