//! Postfix's `main.cf`, where Postfix only passes mail on (null client, satellite).
//!
//! Quirks that count: a line that begins with a blank goes on with the one before, comments in between or not; the last of several settings
//! holds; `$name`, `${name}` and `$(name)` stand for other settings; a fingerprint may be of the certificate or of the key.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::BTreeMap, time::Duration};

use mail::nexthop::Nexthop;
use relay::trust::Pin;

use super::plan::{Credentials, Lookup, Place, Plan, Source, Tls, Verdict, is_yes, lines};

/// Its main file.
pub const CONFIG: &str = "/etc/postfix/main.cf";
const SPOOL: &str = "/var/spool/postfix";
/// Settings within settings.
const MAX_DEPTH: usize = 8;
/// Names replaced in one value, all depths together.
const MAX_NAMES: usize = 1000;

/// Settings: line and value of each.
type Settings = BTreeMap<String, (usize, String)>;

/// Where its queue is.
pub fn spool(lookup: &Lookup<'_>) -> String {
    let source = lookup(CONFIG);
    let settings = source.as_ref().map(settings).unwrap_or_default();
    let named = settings.get("queue_directory");
    named.map_or_else(|| SPOOL.to_owned(), |(_, value)| expand(&settings, value))
}

/// Reads it, and the table of passwords.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let settings = settings(&source);
    let value = |key: &str| settings.get(key).map(|(_, value)| expand(&settings, value));
    let place = |line| Place {
        path: &source.path,
        line,
    };
    for (key, (line, raw)) in &settings {
        setting(
            &mut plan,
            lookup,
            place(*line),
            key,
            &expand(&settings, raw),
        );
    }
    security(&mut plan, &settings, place(1));
    if let (Some(tables), true) = (
        value("smtp_sasl_password_maps"),
        value("smtp_sasl_auth_enable").is_some_and(|v| is_yes(&v)),
    ) {
        logins(&mut plan, lookup, &tables);
    }
    if let Some(certificate) = value("smtp_tls_cert_file").filter(|file| !file.is_empty()) {
        let key = value("smtp_tls_key_file")
            .filter(|key| !key.is_empty())
            .unwrap_or_else(|| certificate.clone());
        plan.client_certificate = Some((certificate, key));
    }
    plan
}

fn settings(source: &Source) -> Settings {
    let mut settings = Settings::new();
    let mut current: Option<String> = None;
    for (at, line) in lines(source) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = current.as_ref().and_then(|key| settings.get_mut(key)) {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().to_owned();
            settings.insert(key.clone(), (at.line, value.trim().to_owned()));
            current = Some(key);
        }
    }
    settings
}

/// Replaces `$name`; what is not set is nothing.
fn expand(settings: &Settings, value: &str) -> String {
    let mut out = String::new();
    let mut names = MAX_NAMES;
    replace(settings, value, 0, &mut names, &mut out);
    out
}

fn replace(settings: &Settings, value: &str, depth: usize, names: &mut usize, out: &mut String) {
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, remainder) = name(after);
        *names = names.saturating_sub(1);
        if *names == 0 {
            return;
        }
        if let Some((_, inner)) = settings.get(name).filter(|_| depth < MAX_DEPTH) {
            replace(settings, inner, depth.saturating_add(1), names, out);
        }
        rest = remainder;
    }
    out.push_str(rest);
}

fn name(after: &str) -> (&str, &str) {
    for (open, close) in [('{', '}'), ('(', ')')] {
        if let Some(inner) = after.strip_prefix(open) {
            return inner.split_once(close).unwrap_or((inner, ""));
        }
    }
    let end = after
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(after.len());
    after.split_at_checked(end).unwrap_or((after, ""))
}

fn relays(plan: &mut Plan, at: Place<'_>, key: &str, value: &str) {
    let hosts = value.split([' ', ',', '\t']);
    for host in hosts.filter(|host| !host.is_empty()) {
        match Nexthop::parse(host) {
            Ok(nexthop) => {
                if nexthop.mx {
                    let text = "without brackets Postfix asked for MX records: here the host itself is meant";
                    plan.note(Verdict::Unmapped, at, key, text);
                }
                plan.mapped(at, key, "relayhost");
                plan.relayhost.push(nexthop);
            }
            Err(error) => plan.note(Verdict::Unmapped, at, key, error.to_string()),
        }
    }
}

fn setting(plan: &mut Plan, lookup: &Lookup<'_>, at: Place<'_>, key: &str, value: &str) {
    match key {
        "relayhost" | "smtp_fallback_relay" => relays(plan, at, key, value),
        "myhostname" | "smtp_helo_name" => {
            plan.hostname = plan
                .name(at, key, value, "hostname")
                .or(plan.hostname.take());
        }
        "myorigin" => {
            let file = value.starts_with('/').then(|| lookup(value)).flatten();
            let name = file.map_or_else(
                || value.to_owned(),
                |f| f.text.lines().next().unwrap_or_default().trim().to_owned(),
            );
            plan.domain = plan.name(at, key, &name, "domain");
        }
        "message_size_limit" => {
            plan.message_size = value.parse().ok().filter(|size| *size > 0);
            plan.mapped(at, key, "message_size");
        }
        "maximal_queue_lifetime" => time(plan, at, key, value, "retry.lifetime", |plan| {
            &mut plan.lifetime
        }),
        "minimal_backoff_time" => time(plan, at, key, value, "retry.minimal", |plan| {
            &mut plan.minimal
        }),
        "maximal_backoff_time" => time(plan, at, key, value, "retry.maximal", |plan| {
            &mut plan.maximal
        }),
        "alias_maps" => {
            let file = value
                .split([',', ' '])
                .find_map(|map| map.split_once(':'))
                .map(|(_, file)| file.to_owned());
            plan.mapped(at, key, "aliases");
            plan.aliases = file;
        }
        "smtp_tls_security_level"
        | "smtp_use_tls"
        | "smtp_enforce_tls"
        | "smtp_tls_wrappermode"
        | "smtp_tls_fingerprint_cert_match"
        | "smtp_tls_fingerprint_digest" => plan.mapped(at, key, "tls, pins"),
        "smtp_sasl_auth_enable" | "smtp_sasl_password_maps" => plan.mapped(at, key, "auth"),
        "smtp_tls_cert_file" | "smtp_tls_key_file" => plan.mapped(at, key, "certificate and key"),
        "smtp_generic_maps"
        | "sender_canonical_maps"
        | "canonical_maps"
        | "virtual_alias_maps"
        | "header_checks"
        | "smtp_header_checks"
        | "always_bcc"
        | "authorized_submit_users"
        | "smtp_bind_address"
        | "smtp_bind_address6"
        | "smtp_tls_policy_maps" => plan.note(
            Verdict::Unmapped,
            at,
            key,
            "write it into revaliases, aliases or the relay's configuration",
        ),
        "sender_dependent_relayhost_maps" | "transport_maps" => plan.note(
            Verdict::Insecure,
            at,
            key,
            "some mail had another relay: here all mail goes to one relayhost",
        ),
        "mydestination" if !value.is_empty() => plan.note(
            Verdict::Unmapped,
            at,
            key,
            "nothing is delivered on this machine: admin and aliases say where local mail goes",
        ),
        _ => plan.note(
            Verdict::Unneeded,
            at,
            key,
            "is for a server, or has no use here",
        ),
    }
}

fn time(
    plan: &mut Plan,
    at: Place<'_>,
    key: &str,
    value: &str,
    ours: &str,
    field: fn(&mut Plan) -> &mut Option<Duration>,
) {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match value.strip_prefix(digits).unwrap_or_default() {
        "w" => 604_800,
        "" if key == "maximal_queue_lifetime" => 86_400,
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let seconds = digits
        .parse::<u64>()
        .ok()
        .map(|count| count.saturating_mul(unit));
    *field(plan) = seconds.map(Duration::from_secs);
    plan.mapped(at, key, ours);
}

fn security(plan: &mut Plan, settings: &Settings, start: Place<'_>) {
    let value = |key: &str| {
        settings
            .get(key)
            .map(|(_, value)| expand(settings, value))
            .unwrap_or_default()
    };
    let place = |key: &str| Place {
        line: settings.get(key).map_or(1, |(line, _)| *line),
        ..start
    };
    let level = value("smtp_tls_security_level");
    let at = place("smtp_tls_security_level");
    if is_yes(&value("smtp_tls_wrappermode")) {
        plan.tls = Some(Tls::Wrapped);
        // Without a port Postfix used 25 even then.
        for nexthop in plan
            .relayhost
            .iter_mut()
            .filter(|nexthop| nexthop.port.is_none())
        {
            nexthop.port = Some(25);
        }
    }
    let key = "smtp_tls_security_level";
    match level.as_str() {
        "fingerprint" => fingerprints(
            plan,
            place("smtp_tls_fingerprint_cert_match"),
            &value("smtp_tls_fingerprint_cert_match"),
            &value("smtp_tls_fingerprint_digest"),
        ),
        "verify" | "secure" => plan.unchecked(
            at,
            key,
            "the certificate was checked with smtp_tls_CAfile, which is not taken over",
        ),
        "dane" | "dane-only" => plan.unchecked(at, key, "DANE was used"),
        "encrypt" => plan.unchecked(at, key, "the relay's certificate was not checked"),
        _ => plan.unchecked(at, key, "mail went in clear text where TLS was not offered"),
    }
}

/// Postfix compares with the certificate and with the key.
fn fingerprints(plan: &mut Plan, at: Place<'_>, list: &str, digest: &str) {
    for text in list.split([' ', ',', '|']).filter(|text| !text.is_empty()) {
        let kinds: &[&str] = match digest {
            "sha1" => &["sha1"],
            "" | "sha256" => &["sha256", "cert-sha256"],
            _ => &[],
        };
        let pins: Vec<Pin> = kinds
            .iter()
            .filter_map(|kind| Pin::parse(&format!("{kind}:{text}")).ok())
            .collect();
        if pins.is_empty() {
            plan.unchecked(at, text, "a fingerprint of this kind is not taken over");
        } else if digest == "sha1" {
            plan.note(Verdict::Unmapped, at, text, "taken as the SHA-1 of the key; if it was the certificate's, replace it by a pin of the key");
        }
        plan.pins.extend(pins);
    }
}

/// `[host]:port user:password`, a line each.
fn logins(plan: &mut Plan, lookup: &Lookup<'_>, tables: &str) {
    let files = tables
        .split([' ', ','])
        .filter_map(|map| map.split_once(':'));
    for source in files.filter_map(|(_, file)| lookup(file)) {
        for (at, line) in lines(&source) {
            let mut words = line.split_whitespace();
            let (Some(host), Some(login)) = (
                words.next().filter(|host| !host.starts_with('#')),
                words.next(),
            ) else {
                continue;
            };
            let Some((user, password)) = login.split_once(':') else {
                continue;
            };
            if Nexthop::parse(host).is_ok_and(|host| plan.relayhost.contains(&host)) {
                let (user, password) = (user.to_owned(), password.to_owned());
                plan.login(&source, at, Credentials { user, password });
            } else {
                plan.note(Verdict::Unmapped, at, host, "a password for another host");
            }
        }
    }
}
