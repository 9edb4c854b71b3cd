//! XCLIENT: what a front end says of the client whose session it hands on.
//!
//! Contract: total and bounded; what is told can stand in a log, a header field and a reply.
//! Failures: [`CommandError`]; of a faulty command nothing counts.
//! Postfix's `XCLIENT_README`; RFC 3461 §4 (xtext).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{borrow::Cow, net::IpAddr};

use mail::limits;

use super::{CommandError, Verb, helo_name, verb::BLANKS, xtext};
use crate::{proxy, sasl::prepared};

/// What is said of one attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told<T> {
    Is(T),
    /// `[UNAVAILABLE]`: there is none.
    Unavailable,
    /// `[TEMPUNAVAIL]`: nobody could say.
    Unknown,
}

/// All that one command says; where it is silent (`None`), address, name, port and server stay as
/// they were, and HELO name and login are those of a new session: none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Override {
    pub address: Option<Told<IpAddr>>,
    pub port: Option<Told<u16>>,
    pub name: Option<Told<String>>,
    pub helo: Option<Told<String>>,
    /// It said EHLO.
    pub extended: Option<bool>,
    pub login: Option<Told<String>>,
    pub server: Option<Told<IpAddr>>,
    pub server_port: Option<Told<u16>>,
}

/// As EHLO announces them.
pub(crate) const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

/// Reads `NAME=value` words.
pub fn xclient(arguments: &str) -> Result<Override, CommandError> {
    const USAGE: CommandError = CommandError::Usage("XCLIENT attribute=value...");
    let mut said = Override::default();
    let words = arguments.split(BLANKS).filter(|word| !word.is_empty());
    for word in words {
        let (name, value) = word.split_once('=').ok_or(USAGE)?;
        match name.to_ascii_uppercase().as_str() {
            "ADDR" => put(&mut said.address, told("ADDR", value, address))?,
            "PORT" => put(&mut said.port, told("PORT", value, port))?,
            "NAME" => put(&mut said.name, told("NAME", value, hostname))?,
            "HELO" => put(&mut said.helo, told("HELO", value, helo))?,
            "PROTO" => put(&mut said.extended, protocol(value))?,
            "LOGIN" => put(&mut said.login, told("LOGIN", value, login))?,
            "DESTADDR" => put(&mut said.server, told("DESTADDR", value, address))?,
            "DESTPORT" => put(&mut said.server_port, told("DESTPORT", value, port))?,
            _ => return Err(USAGE),
        }
    }
    if said == Override::default() {
        return Err(USAGE);
    }
    Ok(said)
}

/// Each attribute once.
fn put<T>(slot: &mut Option<T>, value: Result<T, CommandError>) -> Result<(), CommandError> {
    match slot.replace(value?) {
        None => Ok(()),
        Some(_) => Err(CommandError::Parameter("repeated XCLIENT")),
    }
}

fn told<T>(
    attribute: &'static str,
    value: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Told<T>, CommandError> {
    if value.eq_ignore_ascii_case("[UNAVAILABLE]") {
        return Ok(Told::Unavailable);
    }
    if value.eq_ignore_ascii_case("[TEMPUNAVAIL]") {
        return Ok(Told::Unknown);
    }
    let text = xtext::decode(value).filter(|text| !text.is_empty());
    let read = text.and_then(|text| read(&text));
    read.map(Told::Is).ok_or(CommandError::Parameter(attribute))
}

/// `192.0.2.1`, `IPV6:2001:db8::1`, or that without its tag.
fn address(text: &str) -> Option<IpAddr> {
    let tagged = text
        .split_at_checked(5)
        .filter(|(tag, _)| tag.eq_ignore_ascii_case("IPV6:"));
    let address: IpAddr = match tagged {
        Some((_, rest)) => IpAddr::V6(rest.parse().ok()?),
        None => text.parse().ok()?,
    };
    Some(address.to_canonical()).filter(|address| !proxy::is_nobodys(*address))
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn hostname(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let fits = text.len() <= limits::DOMAIN && text.bytes().all(plain);
    fits.then(|| text.trim_end_matches('.').to_owned())
        .filter(|name| !name.is_empty() && name.parse::<IpAddr>().is_err())
}

fn helo(text: &str) -> Option<String> {
    helo_name(Verb::Ehlo, text).ok().map(str::to_owned)
}

/// Whether it may be counted under this name is policy.
fn login(text: &str) -> Option<String> {
    let fits = text.len() <= limits::DOMAIN;
    fits.then(|| prepared(text).map_or_else(|| text.to_owned(), Cow::into_owned))
}

fn protocol(value: &str) -> Result<bool, CommandError> {
    match value.to_ascii_uppercase().as_str() {
        "ESMTP" => Ok(true),
        "SMTP" => Ok(false),
        _ => Err(CommandError::Parameter("PROTO")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_front_ends_say_is_read_in_any_case_and_order() {
        let said = xclient(
            "name=mx.ham.example ADDR=IPV6:2001:db8::7 proto=esmtp helo=a+2Bb LOGIN=vm7@example.org port=99 \
             destaddr=192.0.2.1 DESTPORT=25",
        );
        let expected = Override {
            address: Some(Told::Is("2001:db8::7".parse().unwrap())),
            port: Some(Told::Is(99)),
            name: Some(Told::Is("mx.ham.example".into())),
            helo: Some(Told::Is("a+b".into())),
            extended: Some(true),
            login: Some(Told::Is("vm7@example.org".into())),
            server: Some(Told::Is("192.0.2.1".parse().unwrap())),
            server_port: Some(Told::Is(25)),
        };
        assert_eq!(said, Ok(expected));
        let said = xclient("NAME=[tempunavail] ADDR=[UNAVAILABLE] HELO=[Unavailable]").unwrap();
        assert_eq!(said.name, Some(Told::Unknown));
        assert_eq!(said.address, Some(Told::Unavailable));
        assert_eq!(said.helo, Some(Told::Unavailable));
        let mapped = xclient("ADDR=IPV6:::ffff:198.51.100.7").unwrap().address;
        assert_eq!(mapped, Some(Told::Is("198.51.100.7".parse().unwrap())));
    }

    #[test]
    fn a_command_with_one_fault_says_nothing_at_all() {
        for faulty in [
            "",
            "  ",
            "ADDR",
            "ADDR=",
            "ADDR=198.51.100.7 COLOUR=red",
            "ADDR=198.51.100.7 ADDR=198.51.100.8",
            "ADDR=198.51.100.07",
            "ADDR=0.0.0.0",
            "ADDR=IPV6:198.51.100.7",
            "ADDR=255.255.255.255",
            "ADDR=[198.51.100.7]",
            "ADDR=é1234",
            "PORT=70000",
            "PORT=+2B31",
            "PORT=-1",
            "NAME=two+20words",
            "NAME=a]+0Ab",
            "NAME=198.51.100.7",
            "NAME=...",
            "HELO=a+20b",
            "HELO=+0D+0A",
            "LOGIN=a+",
            "LOGIN=+00",
            "PROTO=[UNAVAILABLE]",
            "PROTO=LMTP",
        ] {
            assert!(xclient(faulty).is_err(), "{faulty}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "([A-Z]{4,8}=[ -~é]{0,20} ?){0,5}") {
            if let Ok(Override { name: Some(Told::Is(name)), .. }) = xclient(&line) {
                prop_assert!(name.is_ascii() && !name.contains(['[', ']', ' ']));
            }
        }
    }
}
