//! `/etc/nullmailer/*`: one value a file; `remotes` has a relay a line, quoted as for a shell.
//!
//! Quirks that count: Debian takes the machine's name from /etc/mailname, not from `me`; `adminaddr` never caught bare names; each remote has TLS
//! settings of its own, ours are common to all.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::Duration;

use super::plan::{Credentials, Lookup, Place, Plan, Source, Tls, Verdict, lines};

/// Its main file.
pub const CONFIG: &str = "/etc/nullmailer/remotes";
const DIRECTORY: &str = "/etc/nullmailer";

/// Reads all of them.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::default();
    if let Some(source) = lookup(CONFIG) {
        let mut kinds = Vec::new();
        for (at, line) in lines(&source) {
            if !line.trim().is_empty() && !line.starts_with('#') {
                let before = plan.relayhost.len();
                let kind = remote(&mut plan, &source, at, line);
                kinds.extend((plan.relayhost.len() > before).then_some(kind));
            }
        }
        kinds.dedup();
        plan.tls = kinds.first().copied().flatten();
        if kinds.len() > 1 {
            let at = Place {
                path: &source.path,
                line: 1,
            };
            let text = "the relays differ in TLS: here it is the same for all, as for the first";
            plan.note(Verdict::Insecure, at, "remotes", text);
        }
    }
    for file in [
        "/etc/mailname",
        "me",
        "defaulthost",
        "defaultdomain",
        "idhost",
        "helohost",
        "adminaddr",
        "allmailfrom",
        "bounceto",
        "doublebounceto",
        "bouncelines",
        "pausetime",
        "maxpause",
        "sendtimeout",
        "queuelifetime",
    ] {
        let path = if file.starts_with('/') {
            file.to_owned()
        } else {
            format!("{DIRECTORY}/{file}")
        };
        if let Some(source) = lookup(&path) {
            let value = source.text.lines().next().unwrap_or_default().trim();
            single(
                &mut plan,
                Place {
                    path: &source.path,
                    line: 1,
                },
                file,
                value,
            );
        }
    }
    plan
}

fn single(plan: &mut Plan, at: Place<'_>, file: &str, value: &str) {
    let seconds = value.parse().ok().map(Duration::from_secs);
    match file {
        "/etc/mailname" | "helohost" => {
            plan.hostname = plan
                .name(at, file, value, "hostname")
                .or(plan.hostname.take());
        }
        "defaulthost" => plan.domain = plan.name(at, file, value, "domain"),
        "adminaddr" => {
            let first = value.split(',').next().unwrap_or_default().trim();
            plan.admin(at, file, first);
            if value.contains(',') {
                plan.note(
                    Verdict::Unmapped,
                    at,
                    file,
                    "only the first address: name the others in an alias, root: a@x, b@x",
                );
            }
        }
        "allmailfrom" => plan.note(
            Verdict::Unmapped,
            at,
            file,
            "to have all mail come from there, name each user in revaliases",
        ),
        "pausetime" => {
            plan.minimal = seconds;
            plan.mapped(at, file, "retry.minimal");
        }
        "maxpause" => {
            plan.maximal = seconds;
            plan.mapped(at, file, "retry.maximal");
        }
        "queuelifetime" => {
            plan.lifetime = seconds;
            plan.mapped(at, file, "retry.lifetime");
        }
        "me" => plan.note(
            Verdict::Unneeded,
            at,
            file,
            "Debian's nullmailer did not read it",
        ),
        "bounceto" | "doublebounceto" => plan.note(
            Verdict::Unmapped,
            at,
            file,
            "bounces go to the sender; those that cannot stay in the queue",
        ),
        _ => plan.note(Verdict::Unneeded, at, file, "has no use here"),
    }
}

/// One relay; its kind of TLS.
fn remote(plan: &mut Plan, source: &Source, at: Place<'_>, line: &str) -> Option<Tls> {
    let words = words(line);
    let host = words.first()?;
    let mut tls = None;
    let mut port = None;
    let (mut user, mut password) = (None, None);
    let (mut certificate, mut key) = (None, None);
    let mut unchecked = None;
    for word in words.iter().skip(1) {
        let option = word.trim_start_matches('-');
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "smtp" => {}
            "qmqp" => {
                return {
                    plan.note(Verdict::Unmapped, at, host, "QMQP is not spoken here");
                    None
                };
            }
            "port" => port = value.parse().ok(),
            "tls" | "ssl" => tls = Some(Tls::Wrapped),
            "starttls" => tls = Some(Tls::StartTls),
            "user" => user = Some(value.to_owned()),
            "pass" => password = Some(value.to_owned()),
            "x509certfile" => certificate = Some(value.to_owned()),
            "x509keyfile" => key = Some(value.to_owned()),
            "insecure" => unchecked = Some("insecure: the relay's certificate was not checked"),
            "x509cafile" | "x509crlfile" | "tls-anon-auth" => {
                unchecked = Some("the old check of the relay is not taken over");
            }
            "auth-login" | "x509fmtder" => plan.note(
                Verdict::Unneeded,
                at,
                name,
                "what the relayhost offers is used",
            ),
            _ => plan.note(Verdict::Unmapped, at, name, "is not known here"),
        }
    }
    // Ours defaults to the same ports.
    plan.relay(at, host, host, port);
    match (tls, unchecked) {
        (None, _) => plan.unchecked(
            at,
            host,
            "nullmailer sent in clear text to whoever answered",
        ),
        (_, Some(why)) => plan.unchecked(at, host, why),
        _ => {}
    }
    if let (Some(user), Some(password)) = (user, password) {
        plan.login(source, at, Credentials { user, password });
    }
    if let Some(certificate) = certificate {
        plan.mapped(at, "x509certfile", "certificate and key");
        plan.client_certificate = Some((certificate.clone(), key.unwrap_or(certificate)));
    }
    tls
}

/// Words as a shell sees them: blanks separate, quotes and backslashes keep.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', quote) if quote != Some('\'') => {
                word.get_or_insert_default().extend(characters.next());
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
