//! Values of more than one word, as TOML that can be read back.

use mail::address::Sender;
use settings::rows::{self, path, quote, span};

use crate::{
    config::{AliasFile, Budget, Config, DkimKey, ListenTls, Listener, Offer, Transport, Type},
    destination::{Destination, Kind},
    expected::Wanted,
    milter::{Milter, OnFailure},
};

/// A setting of the smarthost.
pub(crate) type Row = rows::Row<Config>;

/// Whose setting it is, if it is one of a transport.
pub(super) fn transport_of(key: &str) -> Option<&str> {
    let (name, _) = key.strip_prefix("transports.")?.rsplit_once('.')?;
    Some(name)
}

/// A setting of each transport that the administrator has written.
pub(super) fn transports(
    config: &Config,
    setting: &str,
    value: fn(&Transport) -> Option<String>,
) -> Vec<(String, String)> {
    let own = config.transports.iter().filter(|(_, it)| !it.shipped);
    own.filter_map(|(name, it)| Some((format!("transports.{name}.{setting}"), value(it)?)))
        .collect()
}

pub(super) fn nexthop(transport: &Transport) -> Option<String> {
    match &transport.kind {
        Type::Smtp(kind) => kind.as_ref().map(quote),
        Type::Lmtp(target) => target.as_ref().map(quote),
        Type::Maildir(_) | Type::Pipe(_) => None,
    }
}

pub(super) fn directory(transport: &Transport) -> Option<String> {
    match &transport.kind {
        Type::Maildir(directory) => directory.as_deref().map(path),
        Type::Pipe(pipe) => Some(path(&pipe.directory)),
        Type::Smtp(_) | Type::Lmtp(_) => None,
    }
}

/// Values under names that are free: `routes."example.org"`.
pub(super) fn family(table: &str, values: &[(String, String)]) -> Vec<(String, String)> {
    let key = |name: &str| format!("{table}.{}", quote(name));
    let values = values.iter();
    values
        .map(|(name, value)| (key(name), quote(value)))
        .collect()
}

/// Where local mail ends, if it is not an LMTP server.
pub(super) fn maildir(local: Option<&Destination>) -> Option<String> {
    match local.map(|local| &local.kind) {
        None => Some(quote("none")),
        Some(Kind::Maildir(directory)) => Some(path(directory)),
        Some(_) => None,
    }
}

/// The LMTP server where local mail ends.
pub(super) fn lmtp(local: Option<&Destination>) -> Option<String> {
    match local.map(|local| &local.kind) {
        Some(Kind::Lmtp(target)) => Some(quote(target)),
        _ => None,
    }
}

pub(super) fn node(config: &Config, budget: &Budget) -> String {
    match &budget.node {
        Some(node) => quote(node),
        None => quote(&config.hostname),
    }
}

pub(super) fn verify_from(config: &Config) -> String {
    match &config.verify.from {
        Sender::Null => quote("<>"),
        Sender::Address(address) => quote(address),
    }
}

pub(super) fn alias_file(table: &AliasFile) -> String {
    let file = path(&table.path);
    match &table.programs {
        None => file,
        Some(programs) => format!("{{ file = {file}, programs = {} }}", quote(programs)),
    }
}

pub(super) fn listener(listener: &Listener) -> String {
    let (address, Offer { tls, submission }) = (listener.address, listener.offer);
    let submission = if submission == Offer::is_submission(address.port()) {
        ""
    } else if submission {
        ", submission = true"
    } else {
        ", submission = false"
    };
    let tls = match tls {
        ListenTls::StartTls if submission.is_empty() => return quote(address),
        ListenTls::StartTls => "starttls",
        ListenTls::Wrapped => "wrapped",
        ListenTls::None => "none",
    };
    format!("{{ address = \"{address}\", tls = \"{tls}\"{submission} }}")
}

pub(super) fn milter(milter: &Milter) -> String {
    let address = quote(&milter.endpoint);
    let on_failure = milter.on_failure;
    if on_failure == OnFailure::default() && milter.timeout.is_none() {
        return address;
    }
    let timeout = milter.timeout.map_or_else(String::new, |timeout| {
        format!(", timeout = {}", span(timeout))
    });
    let on_failure = quote(on_failure.word());
    format!("{{ address = {address}, on_failure = {on_failure}{timeout} }}")
}

pub(super) fn wanted(it: &Wanted) -> String {
    let of = |key: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("{key} = {}, ", quote(&value)))
    };
    format!(
        "{{ {}{}{}every = {}, grace = {} }}",
        of("client", it.client.as_ref().map(ToString::to_string)),
        of("sender", it.sender.as_ref().map(ToString::to_string)),
        of("subject", it.subject.as_ref().map(ToString::to_string)),
        quote(it.every.to_string()),
        quote(it.grace.to_string())
    )
}

pub(super) fn dkim(entry: &DkimKey) -> String {
    let DkimKey {
        domain,
        selector,
        key,
    } = entry;
    format!(
        "{{ domain = {}, selector = {}, key = {} }}",
        quote(&domain.0),
        quote(&selector.0),
        path(key)
    )
}
