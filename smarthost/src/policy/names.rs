//! Restrictions that look at names alone: the HELO name, and the domains of sender and recipient.
//!
//! RFC 5321 §2.3.5 (full names), §4.1.3 (address literals).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    rule::Subject::{self, Helo},
    view::{Opinion, View},
};

/// A name in figures, or an address literal with its tag; Postfix's `valid_hostname`.
pub(super) fn invalid_helo(see: &View<'_>) -> Opinion {
    let Some(name) = &see.facts.session.helo else {
        return Opinion::Pass;
    };
    if name.starts_with('[') {
        return invalid_literal(see, name);
    }
    let name = truncated(name);
    if is_hostname(name) || name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok() {
        return Opinion::Pass;
    }
    Opinion::Refuse(see.rejection(Helo, 501, (5, 5, 2), "Invalid name"))
}

pub(super) fn non_fqdn_helo(see: &View<'_>) -> Opinion {
    let Some(name) = &see.facts.session.helo else {
        return Opinion::Pass;
    };
    if name.starts_with('[') {
        return invalid_literal(see, name);
    }
    let name = truncated(name);
    if is_hostname(name) && name.contains('.') {
        return Opinion::Pass;
    }
    Opinion::Refuse(see.rejection(Helo, 504, (5, 5, 2), "need fully-qualified hostname"))
}

/// The sender's or the recipient's domain; literals are let through.
pub(super) fn non_fqdn(see: &View<'_>, subject: Subject) -> Opinion {
    let Some(address) = see.address(subject) else {
        return Opinion::Pass;
    };
    let domain = address.domain();
    if domain.as_literal().is_some() || (is_hostname(domain) && domain.contains('.')) {
        return Opinion::Pass;
    }
    Opinion::Refuse(see.rejection(subject, 504, (5, 5, 2), "need fully-qualified address"))
}

pub(super) fn invalid_literal(see: &View<'_>, name: &str) -> Opinion {
    if mail::address::domain::literal(name).is_some() {
        return Opinion::Pass;
    }
    let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()) {
        see.notes.say(|| {
            "\"IPv6:\" is missing before the address in the brackets (RFC 5321 section 4.1.3)"
                .to_owned()
        });
    }
    Opinion::Refuse(see.rejection(Helo, 501, (5, 5, 2), "invalid ip address"))
}

/// Without one final dot.
pub(super) fn truncated(name: &str) -> &str {
    match name.strip_suffix('.') {
        Some(rest) if !rest.is_empty() && !rest.ends_with('.') => rest,
        _ => name,
    }
}

/// Letters, figures, `-` and `_` in labels, and not in figures alone.
fn is_hostname(name: &str) -> bool {
    name.is_ascii()
        && mail::address::domain::is_name(name)
        && !name
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}
