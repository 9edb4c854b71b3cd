//! Settings printed as they may be written (row D7).

use std::{fmt, path::Path};

use settings::{Span, layers::quote};
use smtp::client::Security;

use crate::{
    config::{Config, ListenTls, Listener, LogFormat},
    destination::Destination,
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
const BASIS: [&str; 6] = [
    "hostname",
    "state",
    "relayhost",
    "relay_tls.pins",
    "admins",
    "limits.per_client",
];

impl Config {
    /// Where local mail ends. No setting of today leads to the last ones.
    fn shown_local(&self) -> (&'static str, String) {
        match &self.local {
            None => ("maildir", quote("none")),
            Some(Destination::Maildir(directory)) => ("maildir", path(directory)),
            Some(Destination::Lmtp(target)) => ("lmtp", quote(&target.to_string())),
            Some(other @ (Destination::Smtp { .. } | Destination::Aliases)) => {
                ("local", quote(&other.to_string()))
            }
        }
    }

    fn policy(&self, row: &mut impl FnMut(&str, String)) {
        row("restrictions", strings(&self.restrictions));
        row("dnsbl.threshold", self.dnsbl.scores.threshold.to_string());
        row("dnsbl.lists", strings(&self.dnsbl.scores.lists));
        if let Some(keys) = &self.dnsbl.keys {
            row("dnsbl.keys", path(keys));
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
        if let Some(auth) = &self.relay_auth {
            row("relay_auth.user", quote(&auth.user));
            if let Some(file) = &auth.password_file {
                row(
                    "relay_auth.password_file",
                    quote(&file.display().to_string()),
                );
            }
        }
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
        row("tls.certificate", path(&self.tls.certificate));
        row("tls.key", path(&self.tls.key));
        row("networks", strings(&self.networks.0));
        row("limits.per_client", strings(&self.limits.per_client));
        row("limits.per_prefix6", strings(&self.limits.per_prefix6()));
        row("limits.per_stranger", strings(&self.limits.per_stranger));
        row("limits.exempt", strings(&self.limits.exempt.0));
        row("limits.notify", strings(&self.limits_notify));
        row("spool", path(&self.spool));
        row("state", path(&self.state));
        row("control", path(&self.control));
        row("aliases", array(self.aliases.iter().map(|file| path(file))));
        row(
            "recipient_delimiter",
            quote(
                &self
                    .recipient_delimiter
                    .map(String::from)
                    .unwrap_or_default(),
            ),
        );
        row("domains.local", strings(&self.domains.local));
        row("domains.relay", strings(&self.domains.relay));
        let (key, value) = self.shown_local();
        row(key, value);
        self.relay(&mut row);
        self.policy(&mut row);
        for (domain, transport) in &self.routes {
            row(
                &format!("routes.{}", quote(&domain.to_string())),
                quote(&match transport {
                    Destination::Smtp { nexthop, .. } => nexthop.to_string(),
                    other => other.to_string(),
                }),
            );
        }
        row("admins", strings(&self.admins));
        row("message_size", self.message_size.to_string());
        let (schedule, warning) = (self.retry.schedule, self.retry.warning);
        for (key, span) in [
            ("retry.minimal", schedule.minimal),
            ("retry.maximal", schedule.maximal),
            ("retry.lifetime", schedule.lifetime),
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

    /// Settings that differ from those of an empty file on this machine (`machine`), without those that only follow from another.
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

fn listener(listener: &Listener) -> String {
    let tls = match listener.tls {
        ListenTls::StartTls => return quote(&listener.address.to_string()),
        ListenTls::Wrapped => "wrapped",
        ListenTls::None => "none",
    };
    format!("{{ address = \"{}\", tls = \"{tls}\" }}", listener.address)
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
