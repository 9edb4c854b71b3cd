//! Settings printed as they may be written (row D7).

use std::{fmt, path::Path};

use relay::token::Source;
use settings::{Span, layers::quote};
use smtp::client::Security;

use crate::{
    config::{
        AliasFile, Config, DkimKey, ListenTls, Listener, LogFormat, Offer, OnOutage, Transport,
        Type,
    },
    destination::Kind,
    expected::Wanted,
    milter::{Milter, OnFailure},
    policy::verify::OutageMode,
};

/// One setting: `key = value`, as TOML.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    pub key: String,
    pub value: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.key, self.value)
    }
}

/// Settings that the defaults of others follow from ([`Config::basis`]).
const BASIS: [&str; 7] = [
    "hostname",
    "state",
    "relayhost",
    "relay_tls.pins",
    "admins",
    "limits.per_client",
    "retry.lifetime",
];

impl Config {
    /// Where local mail ends. No setting of today leads to the last ones.
    fn shown_local(&self) -> (&'static str, String) {
        let Some(local) = &self.local else {
            return ("maildir", quote("none"));
        };
        match &local.kind {
            Kind::Maildir(directory) => ("maildir", path(directory)),
            Kind::Lmtp(target) => ("lmtp", quote(&target.to_string())),
            Kind::Smtp { .. } | Kind::Pipe(_) | Kind::Program(_) | Kind::Aliases => {
                ("local", quote(&local.to_string()))
            }
        }
    }

    fn policy(&self, row: &mut impl FnMut(&str, String)) {
        row("restrictions", strings(&self.restrictions));
        row("milters", array(self.milters.iter().map(milter)));
        row("dnsbl.threshold", self.dnsbl.scores.threshold.to_string());
        row("dnsbl.lists", strings(&self.dnsbl.scores.lists));
        if let Some(keys) = &self.dnsbl.keys {
            row("dnsbl.keys", path(keys));
        }
        row(
            "greylist.delay",
            quote(&Span(self.greylist.delay).to_string()),
        );
        let only = if self.greylist.listed_only {
            "listed"
        } else {
            "all"
        };
        row("greylist.only", quote(only));
        let (verify, from) = (self.verify.settings, self.verify.from.to_string());
        row(
            "verify.from",
            quote(if from.is_empty() { "<>" } else { &from }),
        );
        let outage = match verify.outage {
            OutageMode::AcceptKnown => "accept-known",
            OutageMode::AcceptAll => "accept-all",
            OutageMode::Defer => "defer",
        };
        row("verify.outage", quote(outage));
        for (key, span) in [
            ("verify.positive", verify.positive),
            ("verify.negative", verify.negative),
            ("verify.trouble", verify.trouble),
        ] {
            row(key, quote(&Span(span).to_string()));
        }
    }

    fn relay(&self, row: &mut impl FnMut(&str, String)) {
        if let Some(relayhost) = &self.relayhost {
            row("relayhost", quote(&relayhost.to_string()));
        }
        if let Some(resolver) = &self.resolver {
            row("resolver", quote(&resolver.to_string()));
        }
        row("relay_tls.level", quote(level(self.relay_tls.security)));
        row("relay_tls.pins", strings(&self.relay_tls.pins));
        if let Some((certificate, key)) = &self.relay_tls.identity {
            row(
                "relay_tls.certificate",
                quote(&certificate.display().to_string()),
            );
            row("relay_tls.key", quote(&key.display().to_string()));
        }
        row("tls_out.level", quote(self.tls_out.level.as_str()));
        if let Some(authorities) = &self.tls_out.ca_file {
            row("tls_out.ca_file", path(authorities));
        }
        row("tls_policy", strings(&self.tls_policy));
        row("mta_sts", self.mta_sts.to_string());
        if let Some(auth) = &self.relay_auth {
            row("relay_auth.user", quote(&auth.user));
            if let Some(token) = &auth.token {
                row("relay_auth.token", token_source(token));
            }
            if let Some(file) = &auth.password_file {
                row(
                    "relay_auth.password_file",
                    quote(&file.display().to_string()),
                );
            }
        }
    }

    fn ways(&self, row: &mut impl FnMut(&str, String)) {
        for (key, value) in &self.routes {
            row(&format!("routes.{}", quote(key)), quote(value));
        }
        row("transport", strings(&self.transport));
        for (key, value) in &self.default_routes {
            row(&format!("default_routes.{}", quote(key)), quote(value));
        }
        let own = self.transports.iter().filter(|(_, it)| !it.shipped);
        for (name, transport) in own {
            transport_rows(transport, &mut |key, value| {
                row(&format!("transports.{name}.{key}"), value);
            });
        }
        row("provider_presets", self.provider_presets.to_string());
    }

    fn clients(&self, row: &mut impl FnMut(&str, String)) {
        row("tls.certificate", path(&self.tls.certificate));
        row("tls.key", path(&self.tls.key));
        row("networks", strings(&self.networks.0));
        if let Some(users) = &self.auth {
            row("auth.users", path(users));
        }
        for (pin, name) in &self.client_pins {
            row(
                &format!("client_pins.{}", quote(&pin.to_string())),
                quote(name),
            );
        }
        row("proxy", strings(&self.proxy.0));
        row("xclient", strings(&self.xclient.0));
        row("drain_from", strings(&self.drain_from.0));
        row("greet_wait", quote(&Span(self.greet_wait).to_string()));
        row("limits.per_client", strings(&self.limits.per_client));
        row("limits.per_prefix6", strings(&self.limits.per_prefix6()));
        row("limits.per_stranger", strings(&self.limits.per_stranger));
        row("limits.exempt", strings(&self.limits.exempt.0));
        row("limits.notify", strings(&self.limits_notify));
    }

    fn shared_budget(&self, row: &mut impl FnMut(&str, String)) {
        let Some(budget) = &self.budget else {
            return;
        };
        row("budget.store", quote(&budget.store.to_string()));
        if let Some(file) = &budget.password_file {
            row("budget.password_file", path(file));
        }
        let node = budget.node.as_ref().map(ToString::to_string);
        row(
            "budget.node",
            quote(node.as_deref().unwrap_or(&self.hostname)),
        );
        row("budget.nodes", budget.nodes.0.to_string());
        let on_outage = match budget.on_outage {
            OnOutage::Share => "share",
            OnOutage::Defer => "defer",
            OnOutage::Open => "open",
        };
        row("budget.on_outage", quote(on_outage));
    }

    /// All settings in effect.
    pub fn settings(&self) -> Vec<Setting> {
        let mut rows = Vec::new();
        let mut row = |key: &str, value: String| {
            rows.push(Setting {
                key: key.to_owned(),
                value,
            });
        };
        row("hostname", quote(&self.hostname));
        if let Some(banner) = &self.banner {
            row("banner", quote(banner));
        }
        row("listen", array(self.listen.iter().map(listener)));
        self.clients(&mut row);
        self.shared_budget(&mut row);
        row("spool", path(&self.spool));
        row("state", path(&self.state));
        row("control", path(&self.control));
        if let Some(web) = &self.web {
            row("web", quote(&web.to_string()));
        }
        row("aliases", array(self.aliases.iter().map(alias_file)));
        row(
            "recipient_delimiter",
            quote(
                &self
                    .recipient_delimiter
                    .map(String::from)
                    .unwrap_or_default(),
            ),
        );
        row("virtual", strings(&self.virtual_aliases));
        row("relay_recipients", strings(&self.relay_recipients));
        row("domains.local", strings(&self.domains.local));
        row("domains.relay", strings(&self.domains.relay));
        row("domains.virtual", strings(&self.domains.virtual_aliases));
        let (key, value) = self.shown_local();
        row(key, value);
        self.relay(&mut row);
        self.policy(&mut row);
        self.ways(&mut row);
        row("dkim", array(self.dkim.iter().map(dkim)));
        if let Some(srs) = &self.srs {
            row("srs.domain", quote(&srs.domain.0));
            row("srs.secrets", path(&self.srs_secrets(srs)));
        }
        row("expected", array(self.expected.iter().map(wanted)));
        row("admins", strings(&self.admins));
        row("message_size", self.message_size.to_string());
        let (schedule, warning) = (self.retry.schedule, self.retry.warning);
        for (key, span) in [
            ("retry.minimal", schedule.minimal),
            ("retry.maximal", schedule.maximal),
            ("retry.lifetime", schedule.lifetime),
            ("retry.bounce_lifetime", self.retry.bounce_lifetime),
            ("retry.relay_lifetime", self.retry.relay_lifetime),
            ("retry.warning", warning.unwrap_or_default()),
        ] {
            row(key, quote(&Span(span).to_string()));
        }
        for (key, count) in [
            ("concurrency.destination", self.concurrency.destination),
            ("concurrency.deliveries", self.concurrency.deliveries),
            ("concurrency.sessions", self.concurrency.sessions),
            ("concurrency.client", self.concurrency.client),
        ] {
            row(key, count.to_string());
        }
        row(
            "forbid_unauth_pipelining",
            self.forbid_unauth_pipelining.to_string(),
        );
        let format = match self.log_format {
            LogFormat::Plain => "plain",
            LogFormat::Postfix => "postfix",
        };
        row("log.format", quote(format));
        rows
    }

    /// Settings that differ from those of an empty file on this machine (`machine`), without those
    /// that only follow from another.
    pub fn changed_settings(&self, machine: &Self) -> Vec<Setting> {
        let default = machine.settings();
        let follows = self
            .basis()
            .map(|basis| basis.settings())
            .unwrap_or_default();
        let changed = |setting: &Setting| {
            !default.contains(setting)
                && (BASIS.contains(&setting.key.as_str()) || !follows.contains(setting))
        };
        self.settings().into_iter().filter(changed).collect()
    }
}

fn transport_rows(transport: &Transport, row: &mut impl FnMut(&str, String)) {
    let kind = match &transport.kind {
        Type::Smtp(_) => "smtp",
        Type::Lmtp(_) => "lmtp",
        Type::Maildir(_) => "maildir",
        Type::Pipe(_) => "pipe",
    };
    row("type", quote(kind));
    if let Some(connections) = transport.connections {
        row("connections", connections.to_string());
    }
    row(
        "initial_connections",
        transport.initial_connections.to_string(),
    );
    row("recipients", transport.recipients.to_string());
    row("delay", quote(&Span(transport.delay).to_string()));
    if transport.processes < usize::MAX {
        row("processes", transport.processes.to_string());
    }
    match &transport.kind {
        Type::Smtp(Some(kind)) => row("nexthop", quote(&kind.to_string())),
        Type::Lmtp(Some(target)) => row("nexthop", quote(&target.to_string())),
        Type::Maildir(Some(directory)) => row("directory", path(directory)),
        Type::Smtp(None) | Type::Lmtp(None) | Type::Maildir(None) => {}
        Type::Pipe(pipe) => {
            if !pipe.command.is_empty() {
                row("command", strings(&pipe.command));
            }
            row("flags", quote(pipe.flags.as_str()));
            if let Some(size) = pipe.size {
                row("size", size.to_string());
            }
            row("timeout", quote(&Span(pipe.timeout).to_string()));
            row("directory", path(&pipe.directory));
            if let Some(socket) = &pipe.socket {
                row("socket", path(socket));
            }
        }
    }
}

fn alias_file(table: &AliasFile) -> String {
    let file = path(&table.path);
    match &table.programs {
        None => file,
        Some(programs) => format!("{{ file = {file}, programs = {} }}", quote(programs)),
    }
}

fn listener(listener: &Listener) -> String {
    let (address, Offer { tls, submission }) = (listener.address, listener.offer);
    let submission = if submission == Offer::is_submission(address.port()) {
        ""
    } else if submission {
        ", submission = true"
    } else {
        ", submission = false"
    };
    let tls = match tls {
        ListenTls::StartTls if submission.is_empty() => return quote(&address.to_string()),
        ListenTls::StartTls => "starttls",
        ListenTls::Wrapped => "wrapped",
        ListenTls::None => "none",
    };
    format!("{{ address = \"{address}\", tls = \"{tls}\"{submission} }}")
}

fn milter(milter: &Milter) -> String {
    let address = quote(&milter.endpoint.to_string());
    let on_failure = milter.on_failure;
    if on_failure == OnFailure::default() && milter.timeout.is_none() {
        return address;
    }
    let timeout = milter.timeout.map_or_else(String::new, |timeout| {
        format!(", timeout = {}", quote(&Span(timeout).to_string()))
    });
    let on_failure = quote(on_failure.word());
    format!("{{ address = {address}, on_failure = {on_failure}{timeout} }}")
}

fn wanted(it: &Wanted) -> String {
    let of = |key: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("{key} = {}, ", quote(&value)))
    };
    format!(
        "{{ {}{}{}every = {}, grace = {} }}",
        of("client", it.client.as_ref().map(ToString::to_string)),
        of("sender", it.sender.as_ref().map(ToString::to_string)),
        of("subject", it.subject.as_ref().map(ToString::to_string)),
        quote(&it.every.to_string()),
        quote(&it.grace.to_string())
    )
}

fn dkim(entry: &DkimKey) -> String {
    let DkimKey {
        domain,
        selector,
        key,
    } = entry;
    format!(
        "{{ domain = {}, selector = {}, key = {} }}",
        quote(&domain.0),
        quote(&selector.0),
        path(key)
    )
}

fn token_source(source: &Source) -> String {
    match source {
        Source::Command(words) => format!("{{ command = {} }}", strings(words.as_slice())),
        Source::File(file) => format!("{{ file = {} }}", path(file)),
    }
}

fn level(security: Security) -> &'static str {
    match security {
        Security::None => "none",
        Security::Opportunistic => "opportunistic",
        Security::StartTls => "starttls",
        Security::Wrapped => "wrapped",
    }
}

fn path(path: &Path) -> String {
    quote(&path.display().to_string())
}

fn strings<T: fmt::Display>(values: &[T]) -> String {
    array(values.iter().map(|value| quote(&value.to_string())))
}

fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}
