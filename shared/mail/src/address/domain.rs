//! What may stand after the @: a domain name or an address literal.
//!
//! Contract: total; a text that passes holds no blank, no control and no bracket except a literal's own two.
//! Underscores pass, because hosts carry them; UTF-8 passes as IDN (RFC 6531 §3.3).
//! RFC 5321 §4.1.2 (Domain), §4.1.3 (address literals), §4.5.3.1.2 (length); RFC 1035 §2.3.4 (labels).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits;

/// Longest label of a domain name, in characters.
const LABEL: usize = 63;

/// Whether the text is a domain name: labels of letters, digits, `-` and `_`, without a final dot.
pub fn is_name(text: &str) -> bool {
    text.len() <= limits::DOMAIN && text.split('.').all(is_label)
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
