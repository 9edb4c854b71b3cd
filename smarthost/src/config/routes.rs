//! What a route says: by which transport, and to which next hop. Pure.
//!
//! | written | means |
//! |---|---|
//! | `slow`, `slow:` | that transport, to the recipient's own domain or where the transport says |
//! | `slow:[host]:25` | that transport, to this next hop |
//! | `[host]:port`, `example.net`, `:[host]` | SMTP to this host; to the MX of this domain |
//! | `lmtp:…`, `maildir:/…`, `smtp:…` | transports that need no settings |
//! | `error:5.1.1 text`, `error:4.2.0 text` | refused at RCPT; what is queued is bounced, or put off with 4 in front |
//! | `retry:text` | taken and kept, as long as it stands there |
//! | `:` | as without the route |
//!
//! Contract: a name that is a transport of the settings is that transport. Failures: a text that
//! says what to write. transport(5).

use std::sync::Arc;

use mail::{
    address::{Address, Domain, DomainPattern},
    maps::Problem,
    nexthop::Nexthop,
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

use super::transports::{Transports, Type};
use crate::{
    destination::{Destination, Kind},
    lookup::{self, LookupTable},
};

/// What a route says of those whom it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// All of them.
    To(Destination),
    /// To the recipient's domain, by this transport of the settings, or by SMTP.
    OwnDomain(Option<Arc<str>>),
    /// Nobody gets mail there: whoever brings some hears so.
    Refused(Failure),
    /// It is taken, and waits.
    Kept(Failure),
    /// As if it were not there.
    Usual,
}

impl Route {
    pub fn parse(written: &str, transports: &Transports) -> Result<Self, String> {
        let written = written.trim();
        if written == ":" {
            return Ok(Self::Usual);
        }
        if let Some(nexthop) = written.strip_prefix(':') {
            return Kind::named(nexthop).map(|kind| Self::To(kind.into()));
        }
        let (name, rest) = match written.split_once(':') {
            _ if written.starts_with('[') => (written, None),
            Some((name, rest)) => (name, Some(rest)),
            None => (written, None),
        };
        if let Some((name, transport)) = transports.get_key_value(name) {
            return by(name, &transport.kind, rest.unwrap_or_default());
        }
        match (name, rest.unwrap_or_default()) {
            ("smtp" | "relay", "") => return Ok(Self::OwnDomain(None)),
            ("error", text) if rest.is_some() => return Ok(Self::Refused(failure(&[5, 4], text))),
            ("retry", text) if rest.is_some() => return Ok(Self::Kept(failure(&[4], text))),
            _ => {}
        }
        let read = match rest {
            Some(rest) => Kind::read(name, rest),
            None => Kind::read(name, "").filter(|_| Kind::is_reserved(name)),
        };
        let kind =
            read.unwrap_or_else(|| Kind::named(written).map_err(|why| unknown(name, &why)))?;
        Ok(Self::To(kind.into()))
    }

    /// The destination of a recipient in this domain; `None`: as without the route.
    pub fn destination(
        self,
        domain: &Domain,
        transports: &Transports,
    ) -> Result<Option<Destination>, Failure> {
        let name = match self {
            Self::To(destination) => return Ok(Some(destination)),
            Self::Usual => return Ok(None),
            Self::Refused(failure) | Self::Kept(failure) => return Err(failure),
            Self::OwnDomain(name) => name,
        };
        let is_pipe = |name: &Arc<str>| {
            let transport = transports.get(name);
            transport.is_some_and(|it| matches!(it.kind, Type::Pipe(_)))
        };
        Ok(Some(match name {
            Some(name) if is_pipe(&name) => {
                Destination::from(Kind::Pipe(domain.to_string())).by(&name)
            }
            Some(name) => Destination::of_recipient(exchanger(domain)).by(&name),
            None => Destination::of_recipient(exchanger(domain)),
        }))
    }
}

fn by(name: &Arc<str>, kind: &Type, nexthop: &str) -> Result<Route, String> {
    let missing =
        |what: &str| format!("the transport {name} has no {what}; write \"{name}:...\" with one");
    let kind = match kind {
        Type::Smtp(Some(kind)) if nexthop.is_empty() => kind.clone(),
        Type::Smtp(None) | Type::Pipe(_) if nexthop.is_empty() => {
            return Ok(Route::OwnDomain(Some(Arc::clone(name))));
        }
        Type::Smtp(_) => Kind::named(nexthop)?,
        Type::Pipe(_) => Kind::Pipe(nexthop.to_owned()),
        Type::Lmtp(target) if nexthop.is_empty() => {
            Kind::Lmtp(target.clone().ok_or_else(|| missing("nexthop"))?)
        }
        Type::Maildir(directory) if nexthop.is_empty() => {
            Kind::Maildir(directory.clone().ok_or_else(|| missing("directory"))?)
        }
        Type::Lmtp(_) => Kind::read("lmtp", nexthop).unwrap_or_else(|| Err(missing("nexthop")))?,
        Type::Maildir(_) => {
            Kind::read("maildir", nexthop).unwrap_or_else(|| Err(missing("directory")))?
        }
    };
    Ok(Route::To(Destination::from(kind).by(name)))
}

/// A status in front of the text says more than the class.
/// With the status that the text begins with, if that is of one of these classes; the first is that
/// of a text without.
fn failure(classes: &[u8], text: &str) -> Failure {
    let text = text.trim();
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (status, text) = match EnhancedStatus::parse(first) {
        Some(status) if classes.contains(&status.class()) => (status, rest),
        _ if classes.contains(&5) => (EnhancedStatus::new(5, 0, 0), text),
        _ => (EnhancedStatus::new(4, 3, 0), text),
    };
    let text = if text.is_empty() {
        "the administrator takes no mail for this address"
    } else {
        text
    };
    Failure::new(Blame::Policy, Stage::Local, status, text)
}

/// Whether a text can stand for those whom a route is about: an address, a domain, those below it,
/// a pattern, all.
pub(super) fn is_key(key: &str) -> Result<(), String> {
    if key.contains(char::is_control) {
        return Err("it must be on one line".to_owned());
    }
    if key == "*" {
        return Ok(());
    }
    if key.starts_with('/') {
        let line = format!("{key} :\n");
        let (table, problems) = LookupTable::read(lookup::Kind::Text, "routes".into(), &line);
        let fault = problems.into_iter().find(|problem| problem.fault);
        return match fault {
            Some(fault) => Err(fault.text),
            None if table.pattern("").is_none() && table.exact(key).is_some() => {
                Err("write a pattern between two slashes, \"/@yahoo\\./\"".to_owned())
            }
            None => Ok(()),
        };
    }
    if key.contains('@') {
        return Address::parse(key).map(drop).map_err(|why| why.to_string());
    }
    DomainPattern::try_from(key.to_owned()).map(drop)
}

/// What is wrong with the values of a table, and with its keys.
pub(super) fn faults(
    table: &LookupTable,
    transports: &Transports,
    local: &[DomainPattern],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, value, line) in table.entries() {
        let ours = local.iter().any(|domain| *domain == key);
        // What a pattern puts there is known only when it fits.
        let read = if value.contains('$') {
            Ok(())
        } else {
            Route::parse(value, transports).map(drop)
        };
        let why = match read {
            // That is told already.
            Err(_) if value.is_empty() => continue,
            Err(why) => why,
            Ok(()) if ours && value != ":" => format!(
                "{key} is a local domain, so its mail ends here; only single addresses in it can \
                 have a route"
            ),
            Ok(()) => continue,
        };
        let place = table.place(line);
        problems.push(Problem {
            path: place.path.to_path_buf(),
            line: place.line,
            text: why,
            fault: true,
        });
    }
    problems
}

/// A word that could be meant as a transport.
fn unknown(name: &str, why: &str) -> String {
    let is_word = !name.is_empty() && !name.contains(['.', '[', ' ']);
    if is_word {
        format!(
            "{why}; and there is no [transports.{}]",
            name.escape_debug()
        )
    } else {
        why.to_owned()
    }
}

/// The domain's MX, or the host itself of an address literal (RFC 5321 §4.1.3).
pub fn exchanger(domain: &Domain) -> Nexthop {
    Nexthop {
        host: domain
            .as_literal()
            .map_or_else(|| domain.to_string(), |address| address.to_string()),
        port: None,
        mx: domain.as_literal().is_none(),
    }
}
