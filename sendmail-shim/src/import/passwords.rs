//! Postfix's tables of passwords: files of text, `static:` and `inline:`.
//!
//! Quirks that count: the key is the next hop as `relayhost` writes it, or its host alone, which
//! comes first; a value is the rest of the line; a line that begins with a blank goes on with the
//! one before.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::nexthop::Nexthop;
use postfix::{
    Settings, members,
    tables::{self, Table},
};

use super::{
    logins::by_entry,
    maincf::{CONFIG, place},
    plan::{Plan, Verdict},
    source::{Lookup, Place, Source},
};

const MAPS: &str = "smtp_sasl_password_maps";

/// Finds the login for the relayhost.
pub(super) fn read(plan: &mut Plan, lookup: &Lookup<'_>, settings: &Settings) {
    let enable = "smtp_sasl_auth_enable";
    let (maps, on) = (settings.value(MAPS), settings.is_yes(enable));
    let at = |key: &str| place(settings, key);
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
    let filter = "smtp_sasl_mechanism_filter";
    if postfix::gives_tokens(&settings.value(filter)) {
        return plan.token(at(filter), filter);
    }
    let at = at(MAPS);
    let mut known = Vec::new();
    for map in members(&maps) {
        let before = plan.credentials.is_some();
        let read = one(plan, &mut known, lookup, at, map).and_then(|()| {
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

fn one(
    plan: &mut Plan,
    known: &mut Vec<Nexthop>,
    lookup: &Lookup<'_>,
    at: Place<'_>,
    map: &str,
) -> Result<(), String> {
    match tables::named(map, "hash") {
        Table::Text(file) => {
            let source = lookup(file).ok_or_else(|| format!("{file} is not there as text"))?;
            table(plan, known, &source);
        }
        // Every host had it.
        Table::Static(login) => {
            let of = without(plan, known);
            found(plan, known, &own(), at, login, &of);
        }
        Table::Inline(entries) => {
            let entries = tables::inline(entries)?;
            choose(
                plan,
                known,
                &own(),
                entries.iter().map(|(key, value)| (at, key, value)),
            );
        }
        Table::Patterns(kind, _) | Table::Other(kind, _) => {
            return Err(format!("a table of type {kind} is not read here"));
        }
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

/// `[host]:port user:password`, a line each.
fn table(plan: &mut Plan, known: &mut Vec<Nexthop>, source: &Source) {
    let entries = tables::entries(&source.text);
    let entries = entries.iter().map(|(line, key, value)| {
        let line = usize::try_from(*line).unwrap_or(1);
        let path = source.path.as_str();
        (Place { path, line }, key, value)
    });
    choose(plan, known, source, entries);
}

/// The logins of the relayhosts, that of the first one first; those that have one are `known` then.
fn choose<'a>(
    plan: &mut Plan,
    known: &mut Vec<Nexthop>,
    source: &Source,
    entries: impl Iterator<Item = (Place<'a>, &'a String, &'a String)> + Clone,
) {
    let entries: Vec<_> = entries.collect();
    let keys = entries.iter().map(|(_, key, _)| key.as_str());
    let without = without(plan, known);
    let used = by_entry(&without, |relay| tables::key_of(relay, keys.clone()));
    for (nth, of) in &used {
        if let Some((at, _, login)) = entries.get(*nth) {
            found(plan, known, source, *at, login, of);
        }
    }
    for (nth, (at, key, _)) in entries.iter().enumerate() {
        if used.iter().all(|(used, _)| *used != nth) {
            plan.note(Verdict::Unmapped, *at, key, "a password for another host");
        }
    }
}

/// The relayhosts for which no table before had a login.
fn without(plan: &Plan, known: &[Nexthop]) -> Vec<Nexthop> {
    let relays = plan.relayhost.iter();
    relays.filter(|it| !known.contains(it)).cloned().collect()
}

fn found(
    plan: &mut Plan,
    known: &mut Vec<Nexthop>,
    source: &Source,
    at: Place<'_>,
    login: &str,
    of: &[Nexthop],
) {
    let login = login.split_once(':').unwrap_or(("", login));
    plan.login(source, at, login, of);
    known.extend_from_slice(of);
}
