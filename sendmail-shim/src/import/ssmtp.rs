//! `/etc/ssmtp/ssmtp.conf` and `revaliases`, as ssmtp 2.64 of Debian reads them.
//!
//! Quirks that count: keys in any case; a line without `=` is nothing; `=`, blank and tab all
//! separate, so a value ends at the second of them;
//! `#` begins a comment anywhere, even in a password; only YES is yes; `Mailhub` and `RemotePort`
//! overwrite each other's port.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::masked::MASK;

use super::{
    ours::Ours,
    plan::{Plan, Tls, Verdict},
    source::{Lookup, Place, Source, lines},
};

/// Its main file.
pub const CONFIG: &str = "/etc/ssmtp/ssmtp.conf";
const REVALIASES: &str = "/etc/ssmtp/revaliases";

/// What is gathered before it makes sense.
#[derive(Default)]
struct Seen<'a> {
    hub: Option<(Place<'a>, &'a str)>,
    /// The mailhub of all, as written.
    common: &'a str,
    port: Option<u16>,
    tls: bool,
    starttls: bool,
    user: Option<(Place<'a>, &'a str)>,
    password: Option<(Place<'a>, &'a str)>,
    certificate: Option<(Place<'a>, &'a str)>,
    key: Option<&'a str>,
}

/// Reads both.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let mut seen = Seen::default();
    for (at, line) in lines(&source) {
        let text = line.split('#').next().unwrap_or_default();
        let mut words = text.split(['=', ' ', '\t']).filter(|word| !word.is_empty());
        let Some(key) = words.next() else { continue };
        if !text.contains('=') {
            // A password may be all that stands there.
            let is_name = key.bytes().all(|byte| byte.is_ascii_alphabetic());
            let key = if is_name { key } else { MASK };
            plan.note(Verdict::Unmapped, at, key, "ssmtp ignored a line without =");
            continue;
        }
        let value = words.next().unwrap_or_default();
        setting(&mut plan, &mut seen, at, key, value);
        let broken = line.contains('#') && key.to_ascii_lowercase().starts_with("auth");
        if broken || (words.next().is_some() && !key.eq_ignore_ascii_case("addheader")) {
            plan.note(
                Verdict::Unmapped,
                at,
                key,
                "ssmtp did not read what follows the value's first #, = or blank",
            );
        }
    }
    conclude(&mut plan, &source, &seen);
    if let Some(revaliases) = lookup(REVALIASES) {
        senders(&mut plan, &revaliases, seen.common);
    }
    plan
}

fn setting<'a>(plan: &mut Plan, seen: &mut Seen<'a>, at: Place<'a>, key: &str, value: &'a str) {
    let yes = value.eq_ignore_ascii_case("yes");
    match key.to_ascii_lowercase().as_str() {
        _ if value.is_empty() => plan.note(Verdict::Unneeded, at, key, "is not set"),
        "root" => plan.admin(at, key, value),
        "mailhub" => {
            // An address in IPv6 was never one for ssmtp.
            let (host, port) = value.split_once(':').unwrap_or((value, ""));
            (seen.hub, seen.common) = (Some((at, host)), value);
            if !port.is_empty() {
                seen.port = plan.port(at, key, port).or(seen.port);
            }
        }
        "remoteport" => seen.port = plan.port(at, key, value).or(seen.port),
        "hostname" => plan.name(at, key, value, Ours::Hostname),
        "rewritedomain" => {
            let domain = value.rsplit('@').next().unwrap_or_default();
            plan.name(at, key, domain, Ours::Domain);
        }
        "fromlineoverride" => {
            plan.from_override = Some(yes);
            plan.mapped(at, key, Ours::FromOverride);
        }
        "usetls" => {
            seen.tls = yes;
            plan.tls(at, key);
        }
        "usestarttls" => {
            seen.starttls = yes;
            plan.tls(at, key);
        }
        "authuser" => seen.user = Some((at, value)),
        "authpass" => seen.password = Some((at, value)),
        "tlscert" => seen.certificate = Some((at, value)),
        "tlskey" => seen.key = Some(value),
        "authmethod" | "useoldauth" | "usetlscert" => {
            plan.note(
                Verdict::Unneeded,
                at,
                key,
                "what the relayhost offers is used",
            );
        }
        "debug" | "minuserid" => plan.note(Verdict::Unneeded, at, key, "has no use here"),
        "verifypeer" | "verifypeername" | "allowselfsigned" | "tls_ca_file" | "tls_ca_dir" => {
            plan.unchecked(at, key, "the old check of the relayhost is not taken over");
        }
        "addheader" => plan.note(Verdict::Unmapped, at, key, "header fields are not added"),
        _ => plan.note(Verdict::Unmapped, at, key, "ssmtp does not know it either"),
    }
}

fn conclude(plan: &mut Plan, source: &Source, seen: &Seen<'_>) {
    let start = Place {
        path: &source.path,
        line: 1,
    };
    let (at, host) = seen.hub.unwrap_or((start, "mailhub"));
    // Ours defaults to 465 where TLS comes first; ssmtp always to 25.
    let wrapped = seen.tls && !seen.starttls;
    let port = seen.port.or(wrapped.then_some(25));
    plan.relay(at, "Mailhub", host, port);
    if wrapped || seen.starttls {
        plan.tls = Some(if wrapped { Tls::Wrapped } else { Tls::StartTls });
        plan.unchecked(
            at,
            "UseTLS",
            "ssmtp never checked the relayhost's certificate",
        );
    } else {
        plan.unchecked(
            at,
            "Mailhub",
            "ssmtp sent in clear text to whoever answered",
        );
    }
    if let Some((at, user)) = seen.user.or(seen.password.map(|(at, _)| (at, ""))) {
        let password = seen.password.map_or("", |(_, it)| it);
        let of = plan.relayhost.clone();
        plan.login(source, at, (user, password), &of);
    }
    if let Some((at, certificate)) = seen.certificate {
        plan.certificate(at, "TLSCert", [Some(certificate), seen.key]);
    }
}

/// `user:address[:mailhub[:port]]`.
fn senders(plan: &mut Plan, source: &Source, common: &str) {
    for (at, line) in lines(source) {
        let text = line.split('#').next().unwrap_or_default().trim_end();
        let mut parts = text.splitn(3, ':');
        let (Some(user), Some(address)) = (parts.next(), parts.next()) else {
            continue;
        };
        plan.revalias(at, user, address);
        if parts.next().is_some_and(|hub| hub != common) {
            plan.note(
                Verdict::Insecure,
                at,
                user,
                "this user had a relay of his own: here all mail goes to one relayhost",
            );
        }
    }
}
