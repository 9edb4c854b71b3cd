//! `/etc/nullmailer/*`: one value a file; `remotes` has a relay a line, quoted as for a shell.
//!
//! Quirks that count: a bare `defaulthost` is completed by `defaultdomain`; Debian takes the
//! machine's name from /etc/mailname, not from `me`; `adminaddr` never caught bare names; each
//! remote has TLS settings of its own, ours are common to all.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::{masked::MASK, nexthop::Nexthop};

use super::{
    ours::Ours,
    plan::{Plan, Tls, Verdict},
    source::{Lookup, Place, Source, lines, words},
};

/// Its main file.
pub const CONFIG: &str = "/etc/nullmailer/remotes";
const DIRECTORY: &str = "/etc/nullmailer";
/// The others, in the order in which they decide.
const FILES: [&str; 15] = [
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
];

/// Reads all of them.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::keeping_senders();
    if let Some(source) = lookup(CONFIG) {
        let mut kinds = Vec::new();
        for (at, line) in lines(&source) {
            if !line.trim().is_empty() && !line.starts_with('#') {
                kinds.extend(remote(&mut plan, &source, at, line));
            }
        }
        plan.leave_out_strangers();
        let taken = kinds.iter().filter(|(it, _)| plan.relayhost.contains(it));
        let mut kinds: Vec<_> = taken.map(|(_, kind)| *kind).collect();
        kinds.dedup();
        plan.tls = kinds.first().copied().flatten();
        if kinds.len() > 1 {
            let text = "the relays differ in TLS: here it is the same for all, as for the first";
            plan.about(Verdict::Insecure, CONFIG, "remotes", text);
        }
    }
    let first = |path: &str| {
        let source = lookup(path)?;
        let value = source.text.lines().next().unwrap_or_default().trim();
        Some(value.to_owned()).filter(|value| !value.is_empty())
    };
    let own = |file: &str| first(&format!("{DIRECTORY}/{file}"));
    for file in FILES {
        let path = if file.starts_with('/') {
            file.to_owned()
        } else {
            format!("{DIRECTORY}/{file}")
        };
        let Some(value) = first(&path) else { continue };
        let at = Place {
            path: &path,
            line: 1,
        };
        match file {
            "defaulthost" if !value.contains('.') => {
                let domain = own("defaultdomain").unwrap_or_default();
                plan.name(at, file, &format!("{value}.{domain}"), Ours::Domain);
            }
            // Debian reads the other one.
            "me" if plan.hostname.is_some() => {
                plan.note(Verdict::Unneeded, at, file, "/etc/mailname is the name");
            }
            _ => single(&mut plan, at, file, &value),
        }
    }
    plan
}

fn single(plan: &mut Plan, at: Place<'_>, file: &str, value: &str) {
    let seconds = value.parse().ok();
    match file {
        "/etc/mailname" | "me" | "helohost" => plan.name(at, file, value, Ours::Hostname),
        "defaulthost" => plan.name(at, file, value, Ours::Domain),
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
        "allmailfrom" => {
            plan.sender_of_all(at, file, value);
            let text = "it replaced senders of other domains, too: here they stay";
            plan.note(Verdict::Unmapped, at, file, text);
        }
        "pausetime" => plan.seconds(at, file, Ours::Minimal, seconds),
        "maxpause" => plan.seconds(at, file, Ours::Maximal, seconds),
        "queuelifetime" => plan.seconds(at, file, Ours::Lifetime, seconds),
        "bounceto" | "doublebounceto" => plan.note(
            Verdict::Unmapped,
            at,
            file,
            "bounces go to the sender; those that cannot stay in the queue",
        ),
        _ => plan.note(Verdict::Unneeded, at, file, "has no use here"),
    }
}

/// Options that take a value, in the same word or the next.
const VALUED: [&str; 7] = [
    "port",
    "user",
    "pass",
    "x509certfile",
    "x509keyfile",
    "x509cafile",
    "x509crlfile",
];

/// One relay, and its kind of TLS.
fn remote(
    plan: &mut Plan,
    source: &Source,
    at: Place<'_>,
    line: &str,
) -> Option<(Nexthop, Option<Tls>)> {
    let words = words(line);
    let host = words.first()?;
    let mut tls = None;
    let mut port = None;
    let (mut user, mut password) = (None, None);
    let (mut certificate, mut key) = (None, None);
    let mut unchecked = None;
    let mut words = words.iter().skip(1).peekable();
    while let Some(word) = words.next() {
        let option = word.trim_start_matches('-');
        let (name, mut value) = option.split_once('=').unwrap_or((option, ""));
        if word.starts_with("--") && !word.contains('=') && VALUED.contains(&name) {
            value = words.next_if(|it| !it.starts_with('-')).map_or("", |it| it);
        }
        match name {
            "smtp" => {}
            "qmqp" => {
                return {
                    plan.note(Verdict::Unmapped, at, host, "QMQP is not spoken here");
                    None
                };
            }
            "port" => port = plan.port(at, name, value),
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
            _ => {
                // It may be the value of what is not known.
                let is_option = word.starts_with('-') || word.contains('=');
                let shown = if is_option { name } else { MASK };
                plan.note(Verdict::Unmapped, at, shown, "is not known here");
            }
        }
    }
    // Ours defaults to the same ports.
    let relay = plan.relay(at, host, host, port);
    match (tls, unchecked) {
        (None, _) => plan.unchecked(
            at,
            host,
            "nullmailer sent in clear text to whoever answered",
        ),
        (_, Some(why)) => plan.unchecked(at, host, why),
        _ => {}
    }
    if user.is_some() || password.is_some() {
        let [user, password] = [user, password].map(Option::unwrap_or_default);
        if relay.is_some() {
            plan.login(source, at, (&user, &password), relay.as_slice());
        } else {
            let text = "a login at a relay that is not taken over";
            plan.note(Verdict::Unmapped, at, &format!("user {user}"), text);
        }
    }
    plan.certificate(at, "x509certfile", [certificate.as_deref(), key.as_deref()]);
    Some((relay?, tls))
}
