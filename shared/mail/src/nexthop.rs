//! Where a message goes next: `host`, `host:port`, `[host]`, `[host]:port`, `[192.0.2.1]:25`,
//! `[ipv6:2001:db8::1]`, `[2001:db8::1]:25`.
//!
//! Contract: brackets mean this host itself, no MX lookup (row D1); an address is never looked up.
//! What is printed reads back as the same next hop. Ports may be named: `smtp`, `submission`,
//! `submissions`, `smtps`, `lmtp`.
//! Failures: a [`NexthopError`] quotes the text and says what to write. Postfix transport(5).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use crate::address::Domain;

/// A next hop as configured.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Nexthop {
    /// Host name, or the address in its plain textual form.
    pub host: String,
    /// `None`: the caller's default (25; 465 with wrapped TLS).
    pub port: Option<u16>,
    /// Whether MX records of `host` are to be asked (no brackets).
    pub mx: bool,
}

/// Why a text is no next hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NexthopError(pub String);
impl fmt::Display for NexthopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for NexthopError {}

impl Nexthop {
    /// Reads the forms above.
    pub fn parse(text: &str) -> Result<Self, NexthopError> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| {
                wrong(
                    text,
                    "the closing bracket is missing; write \"[host]:port\"",
                )
            })?;
            let port = match rest {
                "" => None,
                _ => Some(port(text, rest.strip_prefix(':').unwrap_or_default())?),
            };
            return Ok(Self {
                host: host_in_brackets(text, host)?,
                port,
                mx: false,
            });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                host: address.to_string(),
                port: None,
                mx: false,
            });
        }
        let (host, port) = match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => {
                return Err(wrong(
                    text,
                    "write an IPv6 address in brackets, \"[2001:db8::1]:25\"",
                ));
            }
            Some((host, rest)) => (host, Some(port(text, rest)?)),
            None => (text, None),
        };
        Ok(Self {
            host: host_name(text, host)?,
            port,
            mx: host.parse::<IpAddr>().is_err(),
        })
    }
}

fn wrong(text: &str, why: &str) -> NexthopError {
    NexthopError(format!("`{}` is no next hop: {why}", text.escape_debug()))
}

fn host_in_brackets(text: &str, host: &str) -> Result<String, NexthopError> {
    let plain = match host.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("ipv6:") => address,
        _ => host,
    };
    match plain.parse::<Ipv6Addr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => host_name(text, host),
    }
}

fn host_name(text: &str, host: &str) -> Result<String, NexthopError> {
    if let Some(host) = host
        .strip_suffix('.')
        .filter(|host| Domain::name(host).is_ok())
    {
        return Err(wrong(
            text,
            &format!("write it without the final dot, \"{host}\""),
        ));
    }
    if host.is_empty() {
        return Err(wrong(
            text,
            "the host is missing; write \"host\", \"[host]\" or \"[host]:port\"",
        ));
    }
    if let Ok(host) = Domain::name(host) {
        return Ok(host.to_string());
    }
    Err(wrong(
        text,
        "the host is neither a name nor an address; write \"host\", \"[host]\" or \"[host]:port\"",
    ))
}

/// A port, by its number or by its name in Postfix's files.
pub fn port_number(port: &str) -> Option<u16> {
    match port {
        "smtp" => Some(25),
        "submission" => Some(587),
        "submissions" | "smtps" => Some(465),
        "lmtp" => Some(24),
        _ if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().ok().filter(|&port| port != 0)
        }
        _ => None,
    }
}

fn port(text: &str, port: &str) -> Result<u16, NexthopError> {
    port_number(port).ok_or_else(|| {
        wrong(
            text,
            "the port is a number from 1 to 65535, such as \"[host]:587\"",
        )
    })
}

impl TryFrom<String> for Nexthop {
    type Error = NexthopError;
    fn try_from(text: String) -> Result<Self, NexthopError> {
        Self::parse(&text)
    }
}
impl fmt::Display for Nexthop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mx {
            f.write_str(&self.host)?;
        } else {
            write!(f, "[{}]", self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Row D1.
    #[test]
    fn brackets_mean_the_host_itself_and_no_brackets_its_mx() {
        for (text, host, port, mx) in [
            ("example.org", "example.org", None, true),
            ("example.org:587", "example.org", Some(587), true),
            ("[mail.example.org]", "mail.example.org", None, false),
            (
                "[mail.example.org]:submission",
                "mail.example.org",
                Some(587),
                false,
            ),
            ("[192.0.2.1]:25", "192.0.2.1", Some(25), false),
            ("192.0.2.1", "192.0.2.1", None, false),
            ("192.0.2.1:2525", "192.0.2.1", Some(2525), false),
            ("[ipv6:2001:DB8::1]", "2001:db8::1", None, false),
            ("[2001:db8::1]:25", "2001:db8::1", Some(25), false),
            ("::1", "::1", None, false),
        ] {
            let expected = Nexthop {
                host: host.into(),
                port,
                mx,
            };
            assert_eq!(Nexthop::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_next_hop_is_quoted_and_the_right_form_shown() {
        for (text, remedy) in [
            ("", "host is missing"),
            ("[]", "host is missing"),
            ("[mail.example.org", "closing bracket"),
            ("[mail.example.org]25", "the port is a number"),
            ("mail.example.org:0", "the port is a number"),
            ("mail.example.org:+25", "the port is a number"),
            ("mail.example.org.", "without the final dot"),
            ("2001:db8::1:25:zz", "in brackets"),
            ("mail example", "neither a name nor an address"),
            ("a\r\nb", "neither a name nor an address"),
        ] {
            let message = Nexthop::parse(text).unwrap_err().to_string();
            assert!(message.contains(remedy), "{text:?}: {message}");
            assert!(!message.contains(['\r', '\n']));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(text in ".*|\\[?[a-f:.0-9]{1,12}\\]?(:[0-9]{1,5})?") {
            if let Ok(nexthop) = Nexthop::parse(&text) {
                prop_assert_eq!(Nexthop::parse(&nexthop.to_string()), Ok(nexthop));
            }
        }
    }
}
