//! `/etc/dma/dma.conf` and its `auth.conf`.
//!
//! Quirks that count: names in capitals only; a boolean is a name without a value; `#` begins a comment anywhere; MAILNAME may name a file.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::plan::{Credentials, Lookup, Place, Plan, Tls, Verdict, lines};
use shared::trust::Pin;

/// Its main file.
pub const CONFIG: &str = "/etc/dma/dma.conf";

#[derive(Default)]
struct Seen {
    host: Option<(usize, String)>,
    port: Option<u16>,
    secure: bool,
    starttls: bool,
    opportunistic: bool,
    verified: bool,
    auth: Option<String>,
}

/// Reads both.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let mut seen = Seen::default();
    for (at, line) in lines(&source) {
        let text = line.split('#').next().unwrap_or_default().trim();
        let (key, value) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        if !key.is_empty() {
            setting(&mut plan, &mut seen, lookup, at, key, value.trim());
        }
    }
    let path = &source.path;
    let Some((line, host)) = &seen.host else {
        let at = Place { path, line: 1 };
        plan.note(
            Verdict::Unmapped,
            at,
            "SMARTHOST",
            "none is set: dma asked for MX records; set relayhost",
        );
        return plan;
    };
    let at = Place { path, line: *line };
    let wrapped = seen.secure && !seen.starttls;
    plan.relay(at, "SMARTHOST", host, seen.port.or(wrapped.then_some(25)));
    plan.tls = match (seen.secure, seen.starttls) {
        (true, true) => Some(Tls::StartTls),
        (true, false) => Some(Tls::Wrapped),
        _ => None,
    };
    if plan.tls.is_none() || seen.opportunistic {
        plan.unchecked(
            at,
            "SMARTHOST",
            "dma sent in clear text where TLS was not offered",
        );
    } else if !seen.verified {
        plan.unchecked(at, "SMARTHOST", "dma did not check the relay's certificate");
    }
    if let Some(auth) = seen.auth.as_deref().and_then(lookup) {
        logins(&mut plan, &auth, host);
    }
    plan
}

fn setting(
    plan: &mut Plan,
    seen: &mut Seen,
    lookup: &Lookup<'_>,
    at: Place<'_>,
    key: &str,
    value: &str,
) {
    match key {
        "SMARTHOST" => seen.host = Some((at.line, value.to_owned())),
        "PORT" => {
            seen.port = value.parse().ok();
            plan.mapped(at, key, "the port of relayhost");
        }
        "ALIASES" => {
            plan.aliases = Some(value.to_owned());
            plan.mapped(at, key, "aliases");
        }
        "AUTHPATH" => {
            seen.auth = Some(value.to_owned());
            plan.mapped(at, key, "auth");
        }
        "SECURETRANSFER" => {
            seen.secure = true;
            plan.mapped(at, key, "tls");
        }
        "STARTTLS" => {
            seen.starttls = true;
            plan.mapped(at, key, "tls");
        }
        "OPPORTUNISTIC_TLS" => {
            seen.opportunistic = true;
            plan.note(
                Verdict::Unmapped,
                at,
                key,
                "there is no way back to clear text here",
            );
        }
        "CERTFILE" => {
            plan.client_certificate = Some((value.to_owned(), value.to_owned()));
            plan.mapped(at, key, "certificate and key");
        }
        "VERIFYCERT" => {
            seen.verified = true;
            plan.mapped(at, key, "always so here");
        }
        "FINGERPRINT" => match Pin::parse(&format!("cert-sha256:{value}")) {
            Ok(pin) => {
                seen.verified = true;
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
        "SPOOLDIR" => plan.note(
            Verdict::Unneeded,
            at,
            key,
            "deliver what waits there first: dma -q",
        ),
        "DEFER" | "FULLBOUNCE" | "NULLCLIENT" => {
            plan.note(Verdict::Unneeded, at, key, "has no use here");
        }
        _ => plan.note(Verdict::Unmapped, at, key, "dma does not know it either"),
    }
}

/// `user|host:password`; `|`, `:` and tab all separate.
fn logins(plan: &mut Plan, source: &super::plan::Source, host: &str) {
    for (at, line) in lines(source) {
        let text = line.split('#').next().unwrap_or_default().trim();
        let mut parts = text.splitn(3, ['|', ':', '\t']);
        if let (Some(user), Some(of), Some(password)) = (parts.next(), parts.next(), parts.next()) {
            if of.eq_ignore_ascii_case(host) {
                let (user, password) = (user.to_owned(), password.to_owned());
                plan.login(source, at, Credentials { user, password });
            } else {
                plan.note(Verdict::Unmapped, at, of, "a password for another host");
            }
        }
    }
}
