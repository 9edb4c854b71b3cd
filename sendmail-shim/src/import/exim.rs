//! Debian's `/etc/exim4/update-exim4.conf.conf`, where Exim only passes mail on (smarthost, satellite), with `passwd.client` and `/etc/email-addresses`.
//!
//! Quirks that count: values are quoted as for a shell; `::` stands before a port, because a single colon would end the host, and hosts are separated by
//! semicolons; a file `/etc/exim4/exim4.conf` makes all of this void; `/etc/mailname` is the domain of the senders, unless it is hidden.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::Ipv6Addr;

use super::plan::{Credentials, Lookup, Place, Plan, Source, Verdict, Words, lines};

/// Its main file.
pub const CONFIG: &str = "/etc/exim4/update-exim4.conf.conf";
const PASSWORDS: &str = "/etc/exim4/passwd.client";
const SENDERS: &str = "/etc/email-addresses";
/// Files that Exim reads instead, or as well.
const OWN: [&str; 2] = ["/etc/exim4/exim4.conf", "/etc/exim4/exim4.conf.localmacros"];

const WORDS: Words = &[
    (
        &["dc_relay_domains", "dc_relay_nets"],
        Verdict::Unmapped,
        "nothing is relayed for others: that is the smarthost's work",
    ),
    (
        &["dc_other_hostnames"],
        Verdict::Unmapped,
        "nothing is delivered on this machine: admin and aliases say where local mail goes",
    ),
    (
        &[
            "dc_local_interfaces",
            "dc_minimaldns",
            "CFILEMODE",
            "dc_use_split_config",
            "dc_mailname_in_oh",
            "dc_localdelivery",
        ],
        Verdict::Unneeded,
        "has no use here",
    ),
];

/// Reads all of them.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let values: Vec<_> = lines(&source)
        .filter_map(|(at, line)| value(at, line))
        .collect();
    let hidden = values
        .iter()
        .any(|(_, key, value)| *key == "dc_hide_mailname" && *value == "true");
    for (at, key, value) in &values {
        setting(&mut plan, *at, key, value, hidden);
    }
    let start = Place {
        path: &source.path,
        line: 1,
    };
    if let Some(mailname) = lookup("/etc/mailname").filter(|_| plan.domain.is_none()) {
        let name = mailname.text.lines().next().unwrap_or_default().trim();
        let at = Place {
            path: &mailname.path,
            line: 1,
        };
        plan.domain = plan.name(at, "/etc/mailname", name, "domain");
    }
    let why = "Exim checked no certificate, and sent in clear text where TLS was not offered";
    plan.unchecked(start, "dc_smarthost", why);
    for path in OWN {
        if lookup(path).is_some() {
            let at = Place { path, line: 1 };
            plan.note(Verdict::Unmapped, at, path, "what it says is not read");
        }
    }
    if let Some(passwords) = lookup(PASSWORDS) {
        logins(&mut plan, &passwords);
    }
    if let Some(table) = lookup(SENDERS) {
        senders(&mut plan, &table);
    }
    plan
}

/// `key='value'`
fn value<'a>(at: Place<'a>, line: &'a str) -> Option<(Place<'a>, &'a str, &'a str)> {
    let line = line.trim();
    let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let value = ['\'', '"']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value);
    Some((at, key, value))
}

fn setting(plan: &mut Plan, at: Place<'_>, key: &str, value: &str, hidden: bool) {
    match key {
        _ if value.is_empty() => plan.note(Verdict::Unneeded, at, key, "is not set"),
        "dc_eximconfig_configtype" if matches!(value, "smarthost" | "satellite") => {
            plan.note(Verdict::Unneeded, at, key, "always so");
        }
        "dc_eximconfig_configtype" => plan.note(
            Verdict::Unmapped,
            at,
            key,
            format!("`{value}` has no relay: set relayhost"),
        ),
        "dc_smarthost" => {
            for host in value
                .split(';')
                .map(str::trim)
                .filter(|host| !host.is_empty())
            {
                relay(plan, at, key, host);
            }
        }
        "dc_readhost" if hidden => plan.domain = plan.name(at, key, value, "domain"),
        "dc_readhost" => plan.note(Verdict::Unneeded, at, key, "the mail name was not hidden"),
        "dc_hide_mailname" => plan.mapped(at, key, "domain"),
        _ => plan.told(at, key, WORDS, "Debian's Exim does not know it either"),
    }
}

/// `host`, `host::port`, `[2001::db8::::1]::port`: within brackets too each colon may be written twice.
fn relay(plan: &mut Plan, at: Place<'_>, key: &str, text: &str) {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = bracketed.unwrap_or_else(|| text.split_once("::").unwrap_or((text, "")));
    let once = host.replace("::", ":");
    let doubled = host.parse::<Ipv6Addr>().is_err() && once.parse::<Ipv6Addr>().is_ok();
    let host = if doubled { &once } else { host };
    let port = port.trim_start_matches(':');
    match port.parse::<u16>() {
        Ok(port) => plan.relay(at, key, host, Some(port)),
        // Ours defaults to the same port.
        Err(_) if port.is_empty() => plan.relay(at, key, host, None),
        Err(_) => plan.note(Verdict::Unmapped, at, key, "is no port"),
    }
}

/// `host:user:password`; the host may be a pattern, and a password may have colons of its own.
fn logins(plan: &mut Plan, source: &Source) {
    for (at, line) in lines(source) {
        let line = line.trim();
        let parts = line
            .split_once([':', ' ', '\t'])
            .filter(|_| !line.starts_with('#'));
        let Some((host, login)) = parts else { continue };
        let Some((user, password)) = login.trim_start().split_once(':') else {
            continue;
        };
        let first = plan
            .relayhost
            .iter()
            .any(|relay| matches(host, &relay.host));
        if first && plan.credentials.is_none() {
            let (user, password) = (user.to_owned(), password.to_owned());
            plan.login(source, at, Credentials { user, password });
        } else {
            plan.note(Verdict::Unmapped, at, host, "a password for another host");
        }
    }
}

/// A pattern with one `*` at most, at its beginning.
fn matches(pattern: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match pattern.to_ascii_lowercase().strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => pattern.eq_ignore_ascii_case(&host),
    }
}

/// `user: address`
fn senders(plan: &mut Plan, source: &Source) {
    for (at, line) in lines(source) {
        let parts = line
            .split_once(':')
            .filter(|_| !line.trim_start().starts_with('#'));
        if let Some((user, address)) = parts {
            plan.revalias(at, user.trim(), address);
        }
    }
}
