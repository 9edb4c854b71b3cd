//! Postfix's tables of passwords: files of text, `static:` and `inline:`.
//!
//! Quirks that count: the key is the next hop as `relayhost` writes it, or its host alone, which comes first; a value is the rest of the line; a line that
//! begins with a blank goes on with the one before.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::nexthop::Nexthop;

use super::{
    maincf::{CONFIG, Settings, enclosed, members},
    plan::{Lookup, Place, Plan, Source, Verdict, lines},
};

const MAPS: &str = "smtp_sasl_password_maps";

/// The file of text from which a table is made, or which it is.
pub(super) fn text_file(map: &str) -> Option<&str> {
    let map = map.strip_prefix("proxy:").unwrap_or(map);
    match map.split_once(':') {
        Some(("hash" | "btree" | "lmdb" | "cdb" | "dbm" | "sdbm" | "texthash", file)) => Some(file),
        None if map.starts_with('/') => Some(map),
        _ => None,
    }
}

/// Finds the login for the relayhost.
pub(super) fn read(plan: &mut Plan, lookup: &Lookup<'_>, settings: &Settings) {
    let enable = "smtp_sasl_auth_enable";
    let (maps, on) = (settings.value(MAPS), settings.is_yes(enable));
    let at = |key: &str| Place {
        path: CONFIG,
        line: settings.line(key),
    };
    if !on || maps.is_empty() {
        let (key, text) = match (on, maps.is_empty()) {
            (true, _) => (
                enable,
                "Postfix logged in without a table of passwords: set auth",
            ),
            (_, false) => (
                MAPS,
                "smtp_sasl_auth_enable was off: Postfix did not log in",
            ),
            _ => return,
        };
        return plan.note(Verdict::Unmapped, at(key), key, text);
    }
    let at = at(MAPS);
    for map in members(&maps) {
        let before = plan.credentials.is_some();
        let read = one(plan, lookup, at, map).and_then(|()| {
            let found = before || plan.credentials.is_some();
            let none = || "no login for the relayhost was found there".to_owned();
            found.then_some(()).ok_or_else(none)
        });
        if let Err(why) = read {
            let text = format!("{why}: set auth.user and auth.password_file");
            plan.note(Verdict::Unmapped, at, MAPS, text);
        }
    }
}

fn one(plan: &mut Plan, lookup: &Lookup<'_>, at: Place<'_>, map: &str) -> Result<(), String> {
    if let Some(file) = text_file(map) {
        let source = lookup(file).ok_or_else(|| format!("{file} is not there as text"))?;
        table(plan, &source);
        return Ok(());
    }
    match map.split_once(':').unwrap_or((map, "")) {
        ("static", login) => {
            let login = enclosed(login, '{', '}').map_or(login, |(inner, _)| inner);
            found(plan, &own(), at, login);
        }
        ("inline", entries) => inline(plan, &own(), at, entries),
        (kind, _) => return Err(format!("a table of type {kind} is not read here")),
    }
    Ok(())
}

/// The configuration as a place for passwords.
fn own() -> Source {
    Source {
        path: CONFIG.to_owned(),
        text: String::new(),
        // Everybody reads main.cf.
        world_readable: true,
    }
}

/// `{ key = value, { key = value with blanks } }`
fn inline(plan: &mut Plan, source: &Source, at: Place<'_>, entries: &str) {
    let (inner, _) = enclosed(entries, '{', '}').unwrap_or((entries, ""));
    let inner = inner.replace(" =", "=").replace("= ", "=");
    let entries = members(&inner).into_iter().filter_map(|entry| {
        let entry = enclosed(entry, '{', '}').map_or(entry, |(inside, _)| inside);
        entry.split_once('=')
    });
    choose(
        plan,
        source,
        entries
            .map(|(key, value)| (at, key.trim(), value.trim()))
            .collect(),
    );
}

/// `[host]:port user:password`, a line each.
fn table(plan: &mut Plan, source: &Source) {
    let mut entries: Vec<(Place<'_>, String)> = Vec::new();
    for (at, line) in lines(source) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match entries.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
            Some((_, entry)) => {
                entry.push(' ');
                entry.push_str(line.trim());
            }
            None => entries.push((at, line.trim().to_owned())),
        }
    }
    let entries = entries.iter().map(|(at, entry)| {
        let (key, value) = entry.split_once([' ', '\t']).unwrap_or((entry, ""));
        (*at, key, value.trim())
    });
    choose(plan, source, entries.collect());
}

/// The login of the first relayhost that has one: by its host, then as the next hop.
fn choose(plan: &mut Plan, source: &Source, entries: Vec<(Place<'_>, &str, &str)>) {
    let is_host = |key: &str, relay: &Nexthop| {
        key.trim_matches(['[', ']'])
            .eq_ignore_ascii_case(&relay.host)
    };
    let is_nexthop = |key: &str, relay: &Nexthop| {
        Nexthop::parse(&key.to_ascii_lowercase()).is_ok_and(|key| {
            let host = relay.host.to_ascii_lowercase();
            key == Nexthop {
                host,
                ..relay.clone()
            }
        })
    };
    let relays = plan.relayhost.clone();
    let place = relays.iter().find_map(|relay| {
        let by_host = entries.iter().position(|(_, key, _)| is_host(key, relay));
        by_host.or_else(|| {
            entries
                .iter()
                .position(|(_, key, _)| is_nexthop(key, relay))
        })
    });
    for (nth, (at, key, login)) in entries.into_iter().enumerate() {
        if Some(nth) == place {
            found(plan, source, at, login);
        } else {
            plan.note(Verdict::Unmapped, at, key, "a password for another host");
        }
    }
}

fn found(plan: &mut Plan, source: &Source, at: Place<'_>, login: &str) {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    plan.login(source, at, user, password);
}
