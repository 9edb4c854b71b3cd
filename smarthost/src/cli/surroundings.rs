//! What the daemon needs of this machine beyond its files: its name, addresses to listen on, and a
//! queue in which nothing lies that nobody was told of; and lists that say a thing twice.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
};

use control::{
    findings::{Findings, Untold},
    order::{self, Selection},
};
use mail::address::{Address, DomainPattern};

use super::silent;
use crate::{
    admin::{Answer, Request},
    config::{Config, Web},
};

/// `answers`: the daemon does; one that does not has been told of.
pub(super) fn check(config: &Config, answers: bool, findings: &mut Findings) {
    name(config, findings);
    addresses(config, findings);
    domains_twice(config, findings);
    routes_twice(config, findings);
    if answers {
        untold(config, findings);
    }
}

/// A name that others can find out about.
fn name(config: &Config, findings: &mut Findings) {
    let name = &config.hostname;
    let remedy =
        "set hostname = \"NAME.example.org\", a name that DNS has with this machine's address";
    if name.is_nowhere() {
        let what = format!("{name} is what each machine calls itself: others refuse it");
        findings.fail("hostname", what, remedy);
    } else if name.as_literal().is_none() && !name.contains('.') {
        let what = format!("{name} has no domain: others refuse it");
        findings.warn("hostname", what, remedy);
    }
}

/// Addresses to listen on that this machine does not have: the next start would fail.
fn addresses(config: &Config, findings: &mut Findings) {
    let clients = config.listen.iter().map(|it| ("listen", it.address));
    let clients = clients.filter(|_| !config.listen_is_default);
    let page = config.web.iter().filter_map(|web| match web {
        Web::Tcp(address) => Some(("web", *address)),
        Web::Unix(_) => None,
    });
    for (key, address) in clients.chain(page) {
        if let Some(why) = not_here(address) {
            let error = config.wrong(key, &format!("{}: {why}", address.ip()));
            let remedy = "ip address shows those that it has; \"0.0.0.0:25\" and \"[::]:25\" are all of them";
            findings.fail(key, error.text, remedy);
        }
    }
}

/// Why nothing can listen on an address, whatever the port.
fn not_here(mut address: SocketAddr) -> Option<&'static str> {
    if address.ip().is_unspecified() {
        return None;
    }
    address.set_port(0);
    match TcpListener::bind(address).err()?.kind() {
        io::ErrorKind::AddrNotAvailable => Some("this machine has no such address"),
        _ => None,
    }
}

/// A domain that stands in one list more than once, in other letters perhaps.
fn domains_twice(config: &Config, findings: &mut Findings) {
    let lists = &config.domains;
    for (key, list) in [
        ("local", &lists.local),
        ("relay", &lists.relay),
        ("virtual", &lists.virtual_aliases),
    ] {
        for (index, domain) in list.iter().enumerate() {
            let before = list.iter().take(index);
            if before.filter(|other| *other == domain).count() == 1 {
                let what = format!(
                    "{domain} is listed twice in domains.{key}; case does not \
                     matter"
                );
                findings.warn("domains", what, "keep one of them");
            }
        }
    }
}

/// Two routes of one key, in other letters perhaps: the second is never asked.
fn routes_twice(config: &Config, findings: &mut Findings) {
    for (setting, routes) in [
        ("routes", &config.routes),
        ("default_routes", &config.default_routes),
    ] {
        let mut known = HashMap::new();
        for (key, way) in routes {
            let form = same(key);
            let Some((first, other)) = known.get(&form).copied() else {
                known.insert(form, (key, way));
                continue;
            };
            let what = format!("\"{first}\" and \"{key}\" are one");
            if way == other {
                findings.warn(setting, what, "keep one of them");
            } else {
                let what = format!("{what}: mail goes to {other}, and never to {way}");
                findings.fail(setting, what, "keep the one that is meant");
            }
        }
    }
}

/// A key of routes in the one form in which it is looked up.
fn same(key: &str) -> String {
    if let Ok(address) = Address::parse(key) {
        return address.key();
    }
    DomainPattern::try_from(key.to_owned()).map_or_else(|_| key.to_owned(), |it| it.to_string())
}

/// What the daemon's queue keeps for an administrator to look at.
fn untold(config: &Config, findings: &mut Findings) {
    let selection = Selection {
        sender: Some("<>".to_owned()),
        held: true,
        ..Selection::default()
    };
    let mut untold = Untold::default();
    let request = Request::Queue(order::Request::List(selection));
    // A daemon that does not answer is told of elsewhere.
    let _ = control::ask(&silent::socket(config), &request, &mut |answer: Answer| {
        if let Answer::Queue(order::Answer::Row(row)) = answer {
            untold.see(&row);
        }
    });
    untold.tell("smarthost", findings);
    missing(config, findings);
}

/// Mail that must come and does not, as the daemon knows it.
fn missing(config: &Config, findings: &mut Findings) {
    let request = Request::ExpectedList { learned: false };
    // A daemon that does not answer is told of elsewhere.
    let _ = control::ask(&silent::socket(config), &request, &mut |answer: Answer| {
        if let Answer::Expected(it) = answer
            && let Some(since) = it.missing
        {
            let what = format!("{} is missing since {}", it.wanted, since.rfc3339());
            let remedy = "look at what sends it, or stop expecting it: smarthost expected forget";
            findings.warn("expected", what, remedy);
        }
    });
}
