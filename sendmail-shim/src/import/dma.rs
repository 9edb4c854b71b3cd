//! `/etc/dma/dma.conf` and its `auth.conf`.
//!
//! Quirks that count: names in capitals only; a boolean is a name without a value; `#` begins a comment anywhere; MAILNAME may name a file.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use relay::trust::Pin;

use super::plan::{Credentials, Lookup, Place, Plan, Source, Tls, Verdict, Words, lines};

/// Its main file.
pub const CONFIG: &str = "/etc/dma/dma.conf";
const SPOOL: &str = "/var/spool/dma";

const WORDS: Words = &[
    (&["PORT"], Verdict::Mapped, "the port of relayhost"),
    (&["ALIASES"], Verdict::Mapped, "aliases"),
    (&["AUTHPATH"], Verdict::Mapped, "auth"),
    (&["SECURETRANSFER", "STARTTLS"], Verdict::Mapped, "tls"),
    (&["CERTFILE"], Verdict::Mapped, "certificate and key"),
    (&["VERIFYCERT"], Verdict::Mapped, "always so here"),
    (
        &["OPPORTUNISTIC_TLS"],
        Verdict::Unmapped,
        "there is no way back to clear text here",
    ),
    (
        &["SPOOLDIR"],
        Verdict::Unneeded,
        "what waits there is taken by sendmail-shim import --queue",
    ),
    (
        &["DEFER", "FULLBOUNCE", "NULLCLIENT"],
        Verdict::Unneeded,
        "has no use here",
    ),
];

/// Settings: line and value of each; the last of several holds.
type Settings<'a> = BTreeMap<&'a str, (Place<'a>, &'a str)>;

/// Where its queue is.
pub fn spool(lookup: &Lookup<'_>) -> String {
    let source = lookup(CONFIG);
    let named = source.as_ref().and_then(|source| {
        settings(source)
            .get("SPOOLDIR")
            .map(|(_, path)| (*path).to_owned())
    });
    named.unwrap_or_else(|| SPOOL.to_owned())
}

/// Reads both.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let settings = settings(&source);
    for (key, (at, value)) in &settings {
        setting(&mut plan, lookup, *at, key, value);
    }
    let value = |key: &str| settings.get(key).map(|(_, value)| *value);
    plan.aliases = value("ALIASES").map(str::to_owned);
    plan.client_certificate = value("CERTFILE").map(|file| (file.to_owned(), file.to_owned()));
    let Some((at, host)) = settings.get("SMARTHOST") else {
        let at = Place {
            path: &source.path,
            line: 1,
        };
        let text = "none is set: dma asked for MX records; set relayhost";
        plan.note(Verdict::Unmapped, at, "SMARTHOST", text);
        return plan;
    };
    plan.tls = match (value("SECURETRANSFER"), value("STARTTLS")) {
        (Some(_), Some(_)) => Some(Tls::StartTls),
        (Some(_), None) => Some(Tls::Wrapped),
        (None, _) => None,
    };
    // Ours defaults to 465 where TLS comes first; dma always to 25.
    let port = value("PORT").and_then(|port| port.parse().ok());
    let default = (plan.tls == Some(Tls::Wrapped)).then_some(25);
    plan.relay(*at, "SMARTHOST", host, port.or(default));
    let verified = value("VERIFYCERT").is_some() || !plan.pins.is_empty();
    if plan.tls.is_none() || value("OPPORTUNISTIC_TLS").is_some() {
        let why = "dma sent in clear text where TLS was not offered";
        plan.unchecked(*at, "SMARTHOST", why);
    } else if !verified {
        plan.unchecked(
            *at,
            "SMARTHOST",
            "dma did not check the relay's certificate",
        );
    }
    if let Some(auth) = value("AUTHPATH").and_then(lookup) {
        logins(&mut plan, &auth, host);
    }
    plan
}

fn settings(source: &Source) -> Settings<'_> {
    let settings = lines(source).filter_map(|(at, line)| {
        let text = line.split('#').next().unwrap_or_default().trim();
        let (key, value) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        (!key.is_empty()).then_some((key, (at, value.trim())))
    });
    settings.collect()
}

fn setting(plan: &mut Plan, lookup: &Lookup<'_>, at: Place<'_>, key: &str, value: &str) {
    match key {
        "SMARTHOST" => {}
        "FINGERPRINT" => match Pin::parse(&format!("cert-sha256:{value}")) {
            Ok(pin) => {
                plan.pins.push(pin);
                plan.mapped(at, key, "pins (of the certificate: rather pin the key)");
            }
            Err(error) => plan.note(Verdict::Insecure, at, key, error.to_string()),
        },
        "INSECURE" => plan.unchecked(at, key, "passwords and mail could go in clear text"),
        "MAILNAME" => {
            let file = value.starts_with('/').then(|| lookup(value)).flatten();
            let name = file.map_or_else(
                || value.to_owned(),
                |f| f.text.lines().next().unwrap_or_default().trim().to_owned(),
            );
            plan.hostname = plan.name(at, key, &name, "hostname");
        }
        "MASQUERADE" => {
            let domain = value
                .trim_end_matches('@')
                .rsplit('@')
                .next()
                .unwrap_or_default();
            plan.domain = plan.name(at, key, domain, "domain");
            if value.contains('@') && !value.starts_with('@') && !value.ends_with('@') {
                let text =
                    format!("to have all mail come from {value}, name each user in revaliases");
                plan.note(Verdict::Unmapped, at, key, text);
            }
        }
        _ => plan.told(at, key, WORDS, "dma does not know it either"),
    }
}

/// `user|host:password`; `|`, `:` and tab all separate.
fn logins(plan: &mut Plan, source: &Source, host: &str) {
    for (at, line) in lines(source) {
        let text = line.split('#').next().unwrap_or_default().trim();
        let mut parts = text.splitn(3, ['|', ':', '\t']);
        if let (Some(user), Some(of), Some(password)) = (parts.next(), parts.next(), parts.next()) {
            if of.eq_ignore_ascii_case(host) {
                if line.contains('#') {
                    let text = "dma did not read what follows a #";
                    plan.note(Verdict::Unmapped, at, user, text);
                }
                let (user, password) = (user.to_owned(), password.to_owned());
                plan.login(source, at, Credentials { user, password });
            } else {
                plan.note(Verdict::Unmapped, at, of, "a password for another host");
            }
        }
    }
}
