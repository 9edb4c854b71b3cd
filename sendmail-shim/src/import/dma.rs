//! `/etc/dma/dma.conf` and its `auth.conf`.
//!
//! Quirks that count: names in capitals only; a boolean is a name without a value, whatever the
//! value says; `#` begins a comment anywhere; MAILNAME may name a file.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::{
    ours::Ours,
    plan::{Plan, Tls, Verdict, Words},
    source::{Lookup, Place, Source, lines, named},
};

/// Its main file.
pub const CONFIG: &str = "/etc/dma/dma.conf";
const SPOOL: &str = "/var/spool/dma";

const WORDS: Words = &[
    (&["VERIFYCERT"], Verdict::Unneeded, "always so here"),
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
        &["DEFER", "FULLBOUNCE"],
        Verdict::Unneeded,
        "has no use here",
    ),
    (
        &["NULLCLIENT"],
        Verdict::Insecure,
        "dma gave all mail to the relay, mail for root and other local users too, and used no \
         aliases; here they are used: for the same, name a file that is not there, aliases = \"none\"",
    ),
];

const BOOLEANS: [&str; 8] = [
    "SECURETRANSFER",
    "STARTTLS",
    "OPPORTUNISTIC_TLS",
    "VERIFYCERT",
    "INSECURE",
    "DEFER",
    "FULLBOUNCE",
    "NULLCLIENT",
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
    let mut plan = Plan::keeping_senders();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let settings = settings(&source);
    // Booleans: with a value they are a mistake, and not set.
    let is_set = |key: &str| settings.get(key).is_some_and(|(_, value)| value.is_empty());
    let value = |key: &str| settings.get(key).map(|(_, value)| *value);
    for (key, (at, value)) in &settings {
        if BOOLEANS.contains(key) && !value.is_empty() {
            let text = "stands alone: with a value dma refused the file";
            plan.note(Verdict::Insecure, *at, key, text);
        } else {
            setting(&mut plan, lookup, *at, key, value);
        }
    }
    let Some((at, host)) = settings
        .get("SMARTHOST")
        .filter(|(_, host)| !host.is_empty())
    else {
        let text = "none is set: dma asked for MX records; set relayhost";
        plan.about(Verdict::Unmapped, CONFIG, "SMARTHOST", text);
        return plan;
    };
    plan.tls = match (is_set("SECURETRANSFER"), is_set("STARTTLS")) {
        (true, true) => Some(Tls::StartTls),
        (true, false) => Some(Tls::Wrapped),
        (false, _) => None,
    };
    // Ours defaults to 465 where TLS comes first; dma always to 25.
    let port = settings.get("PORT");
    let port = port.and_then(|(at, port)| plan.port(*at, "PORT", port));
    let default = (plan.tls == Some(Tls::Wrapped)).then_some(25);
    plan.relay(*at, "SMARTHOST", host, port.or(default));
    let verified = is_set("VERIFYCERT") || !plan.pins.is_empty();
    if plan.tls.is_none() || is_set("OPPORTUNISTIC_TLS") {
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
        "SMARTHOST" | "PORT" => {}
        "SECURETRANSFER" | "STARTTLS" => plan.tls(at, key),
        "FINGERPRINT" => plan.fingerprint(at, key, value),
        "INSECURE" => plan.unchecked(at, key, "passwords and mail could go in clear text"),
        "AUTHPATH" => plan.mapped(at, key, Ours::Auth),
        "CERTFILE" => plan.certificate(at, key, [Some(value), None]),
        "ALIASES" => {
            plan.aliases = Some(value.to_owned()).filter(|path| !path.is_empty());
            plan.mapped(at, key, Ours::Aliases);
        }
        "MAILNAME" => {
            let name = named(lookup, value);
            plan.name(at, key, &name, Ours::Hostname);
        }
        // `host`, `@host`, `user@`, or both.
        "MASQUERADE" => match value.split_once('@') {
            Some((user, "")) => {
                let text =
                    format!("all mail came from {user}@HOST: name it in revaliases, `*: ADDRESS`");
                plan.note(Verdict::Unmapped, at, key, text);
            }
            Some(("", domain)) => plan.name(at, key, domain, Ours::Domain),
            Some(_) => plan.sender_of_all(at, key, value),
            None => plan.name(at, key, value, Ours::Domain),
        },
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
                let of = plan.relayhost.clone();
                plan.login(source, at, (user, password), &of);
            } else {
                plan.note(Verdict::Unmapped, at, of, "a password for another host");
            }
        }
    }
}
