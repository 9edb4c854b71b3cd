//! The path of MAIL and RCPT.
//!
//! Contract: brackets may be missing (Postfix takes that too). A source route is checked and
//! dropped, as RFC 5321 appendix C allows:
//! `<@a,@b:user@x>` is `user@x`, and whether that may be relayed is decided on `user@x` alone. So
//! is the final dot of a domain's name.
//! RFC 5321 §4.1.2 (Path), §4.5.1 (`postmaster`), appendix C (routes).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::command::verb::BLANKS;
use mail::address::{Mailbox, domain};

/// What stands between the brackets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Path {
    /// `None`: `<>`
    pub(super) mailbox: Option<Mailbox>,
    /// It was written in ASCII.
    pub(super) ascii: bool,
}

/// Reads the path at the start of `text`; what follows it begins with a blank, if there is
/// anything.
pub(super) fn split(text: &str) -> Option<(Path, &str)> {
    let (inner, rest) = match text.strip_prefix('<') {
        Some(inside) => {
            let (inner, rest) = unquoted(inside, |c| c == '>')?;
            (inner, rest.strip_prefix('>')?)
        }
        None if text.is_empty() => return None,
        None => unquoted(text, |c| BLANKS.contains(&c)).unwrap_or((text, "")),
    };
    if !rest.is_empty() && !rest.starts_with(BLANKS) {
        return None;
    }
    let mailbox = without_final_dot(without_route(inner)?);
    let read = (!mailbox.is_empty()).then(|| Mailbox::parse(mailbox).ok());
    let path = Path {
        mailbox: match read {
            Some(mailbox) => Some(mailbox?),
            None => None,
        },
        ascii: mailbox.is_ascii(),
    };
    Some((path, rest))
}

/// `user@host.` → `user@host`: the name as resolvers write it (RFC 1034 §3.1).
fn without_final_dot(mailbox: &str) -> &str {
    let without = mailbox.strip_suffix('.');
    without
        .filter(|without| {
            let domain = without.rsplit_once('@').map(|(_, domain)| domain);
            domain.is_some_and(|domain| {
                !domain.is_empty() && !domain.ends_with('.') && !domain.contains(['[', '"'])
            })
        })
        .unwrap_or(mailbox)
}

/// Splits before the first character that `ends` knows, outside quoted strings.
fn unquoted(text: &str, ends: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    let end = text.char_indices().find(|&(_, c)| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else {
            return !quoted && ends(c);
        }
        false
    });
    end.and_then(|(at, _)| text.split_at_checked(at))
}

/// `@a,@b:user@x` → `user@x`
fn without_route(path: &str) -> Option<&str> {
    if !path.starts_with('@') {
        return Some(path);
    }
    let mut literal = false;
    let (route, mailbox) = path.split_once(|c| {
        match c {
            '[' => literal = true,
            ']' => literal = false,
            _ => {}
        }
        c == ':' && !literal
    })?;
    let hop = |hop: &str| hop.strip_prefix('@').is_some_and(domain::is_valid);
    (!mailbox.is_empty() && route.split(',').all(hop)).then_some(mailbox)
}
