//! What may stand after the @: a domain name or an address literal.
//!
//! Contract: total; a text that passes holds no blank, no control and no bracket except a literal's
//! own two.
//! Underscores pass, because hosts carry them; UTF-8 passes as IDN (RFC 6531 §3.3). However a
//! [`Domain`] was written (`BÜCHER.example`, `xn--bcher-kva.example`, with a composed or a
//! decomposed letter), it is one value: comparisons and look-ups need no rule of their own.
//! RFC 5321 §4.1.2 (Domain), §4.1.3 (address literals), §4.5.3.1.2 (length); RFC 1035 §2.3.4
//! (labels);
//! RFC 5890 §2.3.2.1 (A-labels), UTS 46.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    borrow::Borrow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Deref,
};

use crate::{address::AddressError, limits};

/// A domain or address literal, in the one form that is compared: A-labels, lower case.
///
/// A name that has no A-labels (UTS 46 refuses it) stays as it was written, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Domain(Box<str>);

impl Domain {
    /// Reads a name or a literal.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > limits::DOMAIN {
            return Err(AddressError::TooLong);
        }
        if let Some(address) = literal(text) {
            let text = match address {
                IpAddr::V4(address) => format!("[{address}]"),
                IpAddr::V6(address) => format!("[IPv6:{address}]"),
            };
            return Ok(Self(text.into()));
        }
        Self::name(text)
    }

    /// Reads a name; a literal is none.
    pub fn name(text: &str) -> Result<Self, AddressError> {
        if !is_name(text) {
            return Err(AddressError::Domain);
        }
        if text.is_ascii() {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        let ascii = idna::domain_to_ascii(text).ok();
        let form = ascii.filter(|ascii| is_name(ascii));
        Ok(Self(form.unwrap_or_else(|| text.to_lowercase()).into()))
    }

    /// This machine, and nothing else.
    pub fn localhost() -> Self {
        Self("localhost".into())
    }

    /// A name of loopback, as hosts files of Debian, Red Hat and the BSDs have it: each machine
    /// calls itself so.
    pub fn is_loopback(&self) -> bool {
        [
            "localhost",
            "localhost.localdomain",
            "localhost6",
            "localhost6.localdomain6",
            "ip6-localhost",
            "ip6-loopback",
        ]
        .contains(&self.as_str())
    }

    /// A name by which no other machine can mean this one: of loopback, or below such a name, as
    /// installers make them up. RFC 6761 §6.3.
    pub fn is_nowhere(&self) -> bool {
        let last = self.as_str().rsplit('.').next().unwrap_or_default();
        self.is_loopback() || ["localhost", "localdomain", "localdomain6"].contains(&last)
    }

    /// Reads a host's or domain's own name as a setting writes it; the error is for the
    /// administrator.
    pub fn setting(text: &str) -> Result<Self, String> {
        if text.ends_with('.') {
            return Err(format!(
                "`{}`: write it without the final dot",
                text.escape_debug()
            ));
        }
        Self::name(text).map_err(|_| {
            format!(
                "`{}` is no host or domain name; write one such as \"mail.example.org\"",
                text.escape_debug()
            )
        })
    }

    /// As it goes on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of a literal.
    pub fn as_literal(&self) -> Option<IpAddr> {
        literal(&self.0)
    }

    /// Whether it lies below `parent`, and is not `parent` itself.
    pub fn is_below(&self, parent: &Self) -> bool {
        let rest = self.0.strip_suffix(&*parent.0);
        rest.is_some_and(|rest| rest.ends_with('.'))
    }

    /// The domains that it lies below, the nearest first: of `a.b.example`, `b.example` and
    /// `example`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        let dots = self.0.match_indices('.');
        dots.filter_map(|(dot, _)| self.0.get(dot.saturating_add(1)..))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
/// With a text that is in the one form already.
impl PartialEq<&str> for Domain {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}
impl Deref for Domain {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
impl Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl TryFrom<String> for Domain {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::setting(&text)
    }
}

/// `example.org`, or `.example.org` for all its subdomains.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum DomainPattern {
    /// That domain alone.
    Exactly(Domain),
    /// All below it.
    Below(Domain),
}

impl DomainPattern {
    /// Whether a domain is meant.
    pub fn covers(&self, domain: &Domain) -> bool {
        match self {
            Self::Exactly(this) => this == domain,
            Self::Below(parent) => domain.is_below(parent),
        }
    }
}

/// With a text that is in the one form already.
impl PartialEq<&str> for DomainPattern {
    fn eq(&self, other: &&str) -> bool {
        match self {
            Self::Exactly(domain) => domain == other,
            Self::Below(parent) => other.strip_prefix('.').is_some_and(|it| *parent == it),
        }
    }
}
impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(domain) => write!(f, "{domain}"),
            Self::Below(parent) => write!(f, ".{parent}"),
        }
    }
}
impl TryFrom<String> for DomainPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix('.') {
            Some(parent) => Domain::setting(parent).map(Self::Below),
            None => Domain::setting(&text).map(Self::Exactly),
        }
    }
}

/// Longest label of a domain name, in characters.
const LABEL: usize = 63;

/// Whether the text is a domain name: labels of letters, digits, `-` and `_`, without a final dot.
pub fn is_name(text: &str) -> bool {
    text.len() <= limits::DOMAIN && text.split('.').all(is_label)
}

/// Whether a name ends in a number, as some write an address (`3221225985`, `0x7f000001`, `10.1`):
/// the system's resolver takes it for one, and no domain is called so (RFC 3696 §2).
pub fn ends_in_number(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    decimal || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_label(label: &str) -> bool {
    let inner = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_')
            || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
    };
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().count() <= LABEL
        && label.chars().all(inner)
}

/// The address in a literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
pub fn literal(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
            address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// Whether the text may stand after the @.
pub fn is_valid(text: &str) -> bool {
    is_name(text) || literal(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_in_a_number_is_no_domain_of_mail() {
        for name in [
            "3221225985",
            "0x7f000001",
            "0X",
            "10.1",
            "a.012",
            "192.0.2.1.",
        ] {
            assert!(ends_in_number(name), "{name}");
        }
        for name in [
            "",
            "example",
            "3com.com",
            "0x7g",
            "x.0y",
            "123.example",
            "xn--0zwm56d",
        ] {
            assert!(!ends_in_number(name), "{name}");
        }
    }

    #[test]
    fn a_domain_is_the_same_however_it_is_written() {
        for (written, form) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.Example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("b\u{fc}cher\u{3002}example", "xn--bcher-kva.example"),
            ("Stra\u{df}e.example", "xn--strae-oqa.example"),
            ("\u{ff45}xample.org", "example.org"),
            ("my_Host.example", "my_host.example"),
            ("[IPv6:2001:0DB8:0::1]", "[IPv6:2001:db8::1]"),
            ("[192.0.2.1]", "[192.0.2.1]"),
        ] {
            assert_eq!(Domain::parse(written).unwrap().as_str(), form, "{written}");
        }
        // What UTS 46 makes of it is no domain name: it stays a name of its own.
        let odd = Domain::parse("a\u{2100}b.example").unwrap();
        assert_eq!(odd.as_str(), "a\u{2100}b.example");
    }

    #[test]
    fn a_leading_dot_means_all_below_a_domain_and_not_the_domain_itself() {
        let pattern = |text: &str| DomainPattern::try_from(text.to_owned()).unwrap();
        let covers = |text, name| pattern(text).covers(&Domain::parse(name).unwrap());
        assert!(covers(".bücher.example", "shop.XN--bcher-kva.example"));
        assert!(covers("Bücher.example", "bu\u{308}cher.example"));
        for (text, name) in [
            (".bücher.example", "bücher.example"),
            (".bücher.example", "notbücher.example"),
            ("example.org", "mail.example.org"),
        ] {
            assert!(!covers(text, name), "{text} {name}");
        }
        assert_eq!(
            pattern(".BÜCHER.example").to_string(),
            ".xn--bcher-kva.example"
        );
        let domain = Domain::parse("a.b.example").unwrap();
        assert_eq!(
            domain.parents().collect::<Vec<_>>(),
            ["b.example", "example"]
        );
    }

    #[test]
    fn names_and_literals_are_told_from_everything_else() {
        for good in [
            "example.org",
            "localhost",
            "my_host.example",
            "münchen.example",
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
            "[ipv6:::1]",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            ".org",
            "example.org.",
            "-a.org",
            "a-.org",
            "a b",
            "a\u{85}b",
            "a\u{2028}b",
            "[]",
            "[2001:db8::1]",
            "[IPv6:192.0.2.1]",
            "[192.0.2.256]",
            "[192.0.2.1",
            "a@b",
            "<a>",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert!(!is_valid(&"a".repeat(64)), "a label of 64");
        assert!(!is_valid(&"a.".repeat(200)), "400 bytes");
    }
}
