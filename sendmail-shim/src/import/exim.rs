//! Debian's `/etc/exim4/update-exim4.conf.conf`, where Exim only passes mail on (smarthost,
//! satellite), with `passwd.client` and `/etc/email-addresses`.
//!
//! Quirks that count: values are quoted as for a shell, and the last of several holds; hosts are
//! separated by semicolons or single colons, and `::` is a colon within one, as before a port; a
//! file `/etc/exim4/exim4.conf` makes all of this void; `/etc/mailname` is the domain of the
//! senders, unless it is hidden.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::BTreeMap,
    net::{Ipv6Addr, SocketAddr},
};

use super::{
    logins::by_entry,
    ours::Ours,
    plan::{Plan, Verdict, Words},
    source::{Lookup, Place, Source, lines, words},
};

/// Its main file.
pub const CONFIG: &str = "/etc/exim4/update-exim4.conf.conf";
const PASSWORDS: &str = "/etc/exim4/passwd.client";
const SENDERS: &str = "/etc/email-addresses";
/// Exim reads this instead of all others.
const INSTEAD: &str = "/etc/exim4/exim4.conf";
const MACROS: &str = "/etc/exim4/exim4.conf.localmacros";

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
    let mut plan = Plan::keeping_senders();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let mut values: BTreeMap<&str, (Place<'_>, String)> = BTreeMap::new();
    for (at, line) in lines(&source) {
        if let Some((key, value)) = value(line) {
            values.insert(key, (at, value));
        }
    }
    let hidden = values.get("dc_hide_mailname");
    let hidden = hidden.is_some_and(|(_, value)| value == "true");
    for (key, (at, value)) in &values {
        setting(&mut plan, *at, key, value, hidden);
    }
    if let Some((at, value)) = values.get("dc_local_interfaces") {
        listeners(&mut plan, lookup, *at, value);
    }
    let start = Place {
        path: &source.path,
        line: 1,
    };
    if hidden {
        let text = "From at this machine's own names became the mail name's: here only names without a domain do";
        plan.note(Verdict::Insecure, start, "dc_hide_mailname", text);
    }
    if plan.domain.is_none()
        && let Some(mailname) = lookup("/etc/mailname")
    {
        let name = mailname.text.lines().next().unwrap_or_default().trim();
        let at = Place {
            path: &mailname.path,
            line: 1,
        };
        plan.name(at, "/etc/mailname", name, Ours::Domain);
    }
    if lookup(INSTEAD).is_some() {
        let text = "Exim read this file instead of all others: look there for the relayhost";
        plan.about(Verdict::Insecure, INSTEAD, "exim4.conf", text);
    }
    if lookup(MACROS).is_some() {
        plan.about(
            Verdict::Unmapped,
            MACROS,
            "macros",
            "what it says is not read",
        );
    }
    if let Some(passwords) = lookup(PASSWORDS) {
        logins(&mut plan, &passwords);
        plan.leave_out_strangers();
    }
    let why = "Exim checked no certificate, and sent in clear text where TLS was not offered";
    plan.unchecked(start, "dc_smarthost", why);
    if let Some(table) = lookup(SENDERS) {
        senders(&mut plan, &table);
    }
    plan
}

/// `127.0.0.1 ; ::1`, with `.PORT` behind an address for another port; empty: all addresses.
fn listeners(plan: &mut Plan, lookup: &Lookup<'_>, at: Place<'_>, value: &str) {
    let key = "dc_local_interfaces";
    let address = |text: &str| {
        let usual = text.parse().ok().map(|ip| SocketAddr::new(ip, 25));
        let behind = || {
            let (ip, port) = text.rsplit_once('.')?;
            Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
        };
        usual.or_else(behind).or_else(|| text.parse().ok())
    };
    let named = value.split(';').map(str::trim);
    let named: Vec<&str> = named.filter(|text| !text.is_empty()).collect();
    let mut found: Vec<SocketAddr> = Vec::new();
    for text in &named {
        match address(text) {
            Some(address) => found.push(address),
            None => plan.note(Verdict::Unmapped, at, key, format!("`{text}`: set listen")),
        }
    }
    if named.is_empty() {
        found.push(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 25));
    }
    plan.listens(lookup, at, key, &found);
}

/// `key='value'`, as a shell reads it.
fn value(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let first = if value.starts_with(char::is_whitespace) {
        None
    } else {
        words(value).into_iter().next()
    };
    let value = first.filter(|word| !word.starts_with('#'));
    Some((key, value.unwrap_or_default()))
}

fn setting(plan: &mut Plan, at: Place<'_>, key: &str, value: &str, hidden: bool) {
    match key {
        // Empty, it means all.
        "dc_local_interfaces" => {}
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
        "dc_smarthost" => relays(plan, at, key, value),
        "dc_readhost" if hidden => plan.name(at, key, value, Ours::Domain),
        "dc_readhost" => plan.note(Verdict::Unneeded, at, key, "the mail name was not hidden"),
        "dc_hide_mailname" if hidden => plan.mapped(at, key, Ours::Domain),
        "dc_hide_mailname" => plan.note(Verdict::Unneeded, at, key, "is off"),
        _ => plan.told(at, key, WORDS, "Debian's Exim does not know it either"),
    }
}

/// `host`, `host::port`, `[2001::db8::::1]::port`, each after a semicolon or a single colon; within
/// brackets each colon may be written once or twice.
fn relays(plan: &mut Plan, at: Place<'_>, key: &str, list: &str) {
    let (mut hosts, mut single) = (vec![String::new()], false);
    let (mut rest, mut in_brackets) = (list.chars().peekable(), false);
    while let Some(c) = rest.next() {
        in_brackets = c == '[' || (in_brackets && c != ']');
        let separates = c == ';' || (c == ':' && !in_brackets && rest.next_if_eq(&':').is_none());
        single |= separates && c == ':';
        match hosts.last_mut().filter(|_| !separates) {
            Some(host) => host.push(c),
            None => hosts.push(String::new()),
        }
    }
    for host in hosts
        .iter()
        .map(|host| host.trim())
        .filter(|host| !host.is_empty())
    {
        if single && host.bytes().all(|byte| byte.is_ascii_digit()) {
            let text = format!(
                "one colon separates hosts in Exim, so {host} was a host; if the port was meant, write it behind relayhost"
            );
            plan.note(Verdict::Insecure, at, key, text);
        } else {
            relay(plan, at, key, host);
        }
    }
}

fn relay(plan: &mut Plan, at: Place<'_>, key: &str, text: &str) {
    if text.parse::<Ipv6Addr>().is_ok() {
        plan.relay(at, key, text, None);
        return;
    }
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = bracketed.unwrap_or_else(|| text.split_once(':').unwrap_or((text, "")));
    let once = host.replace("::", ":");
    let doubled = host.parse::<Ipv6Addr>().is_err() && once.parse::<Ipv6Addr>().is_ok();
    let host = if doubled { &once } else { host };
    match port.trim_start_matches(':') {
        // Ours defaults to the same port.
        "" => {
            plan.relay(at, key, host, None);
        }
        port => {
            let port = plan.port(at, key, port);
            plan.relay(at, key, host, port);
        }
    }
}

/// `host:user:password`; the host may be a pattern, and a password may have colons of its own. The
/// first line that fits a host is its login.
fn logins(plan: &mut Plan, source: &Source) {
    let entries = lines(source).filter_map(|(at, line)| {
        let line = line.trim();
        let (host, login) = line
            .split_once([':', ' ', '\t'])
            .filter(|_| !line.starts_with('#'))?;
        Some((at, host, login.trim_start().split_once(':')?))
    });
    let entries: Vec<_> = entries.collect();
    let used = by_entry(&plan.relayhost, |relay| {
        let mut hosts = entries.iter().map(|(_, host, _)| host);
        hosts.position(|host| matches(host, &relay.host))
    });
    for (nth, of) in &used {
        if let Some((at, _, login)) = entries.get(*nth) {
            plan.login(source, *at, *login, of);
        }
    }
    for (nth, (at, host, _)) in entries.iter().enumerate() {
        if used.iter().all(|(used, _)| *used != nth) {
            plan.note(Verdict::Unmapped, *at, host, "a password for another host");
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
