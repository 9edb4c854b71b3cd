//! The ways of whole classes of mail, which Postfix takes where `transport_maps` say nothing:
//! `virtual_transport`, `relay_transport`, `default_transport`. Rows B13, D5.
//!
//! The last of them counts for mail that is in no other class, so that domains which are passed on
//! get a default route of their own.

use mail::nexthop::Nexthop;
use settings::rows::quote;

use super::{
    reader::Reader,
    recipients::lmtp_target,
    report::{Value, Verdict},
};

pub(super) fn read(reader: &mut Reader<'_>) {
    mailboxes(reader);
    relayed(reader);
    others(reader);
}

/// Puts a default route.
fn put(reader: &mut Reader<'_>, key: &str, value: &str) -> Result<(), String> {
    let key = format!("default_routes.{}", quote(key));
    reader.put(&key, Value::Plain(quote(value)))
}

/// Domains that are passed on and have no default route yet.
fn without_route(reader: &Reader<'_>) -> Vec<String> {
    let routed = |domain: &String| reader.has(&format!("default_routes.{}", quote(domain)));
    let domains = reader.texts("domains.relay").iter();
    domains.filter(|it| !routed(it)).cloned().collect()
}

fn relayhost(reader: &Reader<'_>) -> Option<String> {
    match reader.setting("relayhost") {
        Some(Value::Plain(text)) => Some(text.trim_matches('"').to_owned()),
        _ => None,
    }
}

/// A transport of Postfix's as a route: without a next hop it goes to the relayhost, if there is
/// one.
fn way(reader: &Reader<'_>, value: &str) -> String {
    if let Some(target) = lmtp_target(reader, value) {
        return format!("lmtp:{target}");
    }
    let (transport, nexthop) = value.split_once(':').unwrap_or((value, ""));
    let is_ours = |key: &str| reader.has(&format!("transports.{transport}.{key}"));
    match relayhost(reader) {
        Some(relayhost) if nexthop.is_empty() && (is_ours("type") || is_ours("command")) => {
            format!("{transport}:{relayhost}")
        }
        _ => value.to_owned(),
    }
}

/// Domains of mailboxes that an LMTP server or a program has: passed on to it.
fn mailboxes(reader: &mut Reader<'_>) {
    let (domains, maps, way) = (
        "virtual_mailbox_domains",
        "virtual_mailbox_maps",
        "virtual_transport",
    );
    if !reader.is_set(domains) && !reader.is_set(maps) {
        let text = "virtual_mailbox_domains is not set: no mail went by it";
        return reader.note_if_set(Verdict::Ignored, way, text);
    }
    let value = reader.value(way);
    let own = format!("transports.{}", value.trim_end_matches(':'));
    let known = reader.has(&format!("{own}.type")) || reader.has(&format!("{own}.command"));
    let target = match lmtp_target(reader, &value) {
        Some(target) => Some(format!("lmtp:{target}")),
        None if known => Some(value.clone()),
        None if value.trim_end_matches(':') == "smtp" => Some("smtp:".to_owned()),
        None => value.strip_prefix("smtp:").map(str::to_owned),
    };
    let Some(target) = target else {
        let text = "mailboxes are not written here: an LMTP server does it (domains.relay, and routes = { \"example.org\" = \"lmtp:unix:/run/dovecot/lmtp\" })";
        for name in [domains, maps, way] {
            reader.note_if_set(Verdict::NotSupported, name, text);
        }
        return;
    };
    if !reader.is_set(domains) {
        let text = "it also says which domains there are: name them in domains.relay, with a route to the server";
        reader.note(Verdict::NotSupported, maps, text);
        return reader.note_if_set(
            Verdict::NotSupported,
            way,
            "virtual_mailbox_domains is not set",
        );
    }
    to_mailboxes(reader, domains, way, &target);
    let text = "who has a mailbox is not looked up: put \"reject_unverified_recipient\" into restrictions, which asks the server, or tables into relay_recipients";
    reader.note_if_set(Verdict::NotSupported, maps, text);
}

fn to_mailboxes(reader: &mut Reader<'_>, domains: &str, way: &str, target: &str) {
    let mut routed = Vec::new();
    let mut excepted = Vec::new();
    for domain in reader.keys(domains) {
        let domain = domain.to_ascii_lowercase();
        if let Some(domain) = domain.strip_prefix('!') {
            excepted.push(domain.to_owned());
            continue;
        }
        if excepted.contains(&domain) {
            continue;
        }
        let refused = reader.extend("domains.relay", vec![domain.clone()]);
        let why = refused.into_iter().next().map(|(_, why)| why);
        match why.map_or_else(|| put(reader, &domain, target), Err) {
            Ok(()) => routed.push(domain),
            Err(why) => reader.note(Verdict::NotSupported, domains, format!("`{domain}`: {why}")),
        }
    }
    if routed.is_empty() {
        let text = "no domain of mailboxes could be taken over";
        return reader.note_if_set(Verdict::NotSupported, way, text);
    }
    let text = format!(
        "domains.relay, with default routes to {target}: {}",
        routed.join(", ")
    );
    for name in [domains, way] {
        reader.note_if_set(Verdict::Mapped, name, &text);
    }
}

/// A default route for each domain that is passed on.
fn relayed(reader: &mut Reader<'_>) {
    let name = "relay_transport";
    if !reader.is_set(name) {
        return;
    }
    let value = reader.value(name);
    if matches!(value.trim_end_matches(':'), "" | "smtp" | "relay") {
        return reader.note(Verdict::Default, name, "SMTP, as here");
    }
    let domains = without_route(reader);
    if domains.is_empty() {
        return reader.note(Verdict::Ignored, name, "no domain is passed on by it");
    }
    let value = way(reader, &value);
    for domain in domains {
        if let Err(why) = put(reader, &domain, &value) {
            return reader.note(Verdict::NotSupported, name, why);
        }
    }
    let text = "default_routes of the domains in domains.relay";
    reader.note(Verdict::Mapped, name, text);
}

/// Mail of no other class.
fn others(reader: &mut Reader<'_>) {
    let name = "default_transport";
    if !reader.is_set(name) {
        return;
    }
    let value = reader.value(name);
    let (transport, nexthop) = value.split_once(':').unwrap_or((&value, ""));
    match (transport, nexthop) {
        ("", "") => reader.note(Verdict::Default, name, "is not set"),
        ("smtp" | "relay", "") => reader.note(Verdict::Default, name, "SMTP, as here"),
        ("smtp" | "relay", nexthop) if Nexthop::parse(nexthop).is_ok() => {
            to_host(reader, name, nexthop);
        }
        _ => {
            let value = way(reader, &value);
            let read = except_relayed(reader, ":").and_then(|()| put(reader, "*", &value));
            match read {
                Ok(()) => reader.note(
                    Verdict::Mapped,
                    name,
                    format!("default_routes.\"*\" = {}", quote(&value)),
                ),
                Err(why) => reader.note(
                    Verdict::NotSupported,
                    name,
                    format!("{why}; set default_routes by hand"),
                ),
            }
        }
    }
}

/// What is passed on goes this way, and not that of other mail.
fn except_relayed(reader: &mut Reader<'_>, way: &str) -> Result<(), String> {
    for domain in without_route(reader) {
        put(reader, &domain, way)?;
    }
    Ok(())
}

/// The next hop of all other mail is the relayhost: it has a password and a level of TLS of its
/// own.
fn to_host(reader: &mut Reader<'_>, name: &str, nexthop: &str) {
    let before = relayhost(reader).filter(|it| it != nexthop);
    let relayed = !without_route(reader).is_empty();
    let way = before.clone().unwrap_or_else(|| "smtp:".to_owned());
    if let Err(why) = except_relayed(reader, &way) {
        return reader.note(Verdict::NotSupported, name, why);
    }
    if !reader.map_text(name, "relayhost", nexthop) || before.is_none() {
        return;
    }
    reader.unmap("relayhost");
    if relayed {
        let text = "default_routes of the domains in domains.relay; other mail goes where default_transport says";
        reader.note(Verdict::Mapped, "relayhost", text);
    } else {
        let text = "default_transport names another next hop, which counts";
        reader.note(Verdict::Ignored, "relayhost", text);
    }
}
