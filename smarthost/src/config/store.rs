//! Where the store of a shared budget is.
//!
//! Contract: total; what is taken has no password in it, and a text that may hold one is never
//! quoted. Shown are scheme, host, port and database, no more.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, net::Ipv6Addr};

use mail::{address::domain, masked::MASK};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use serde::Deserialize;

/// How places of stores begin, and whether it shows a key there.
const SCHEMES: [(&str, bool); 4] = [
    ("redis://", false),
    ("rediss://", true),
    ("valkey://", false),
    ("valkeys://", true),
];
/// How paths of sockets begin.
const SOCKETS: [&str; 3] = ["redis+unix://", "valkey+unix://", "unix:"];
const FORMS: &str = "write \"redis://127.0.0.1:6379/0\", \"rediss://store.example.org\" (TLS) or \
     \"unix:/run/redis/redis.sock\"";
const PASSWORD: &str = "a password in config.toml is seen by whoever reads it; write it into a \
     file of its own, and its path to password_file";

/// `redis://[USER@]HOST[:PORT][/DB]`, `rediss://…` with TLS, `unix:/PATH[?db=DB]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct StoreUrl {
    text: String,
    /// Without the user.
    shown: String,
    /// Who logs in there, if a password is in a file.
    has_user: bool,
    is_with_tls: bool,
}

impl StoreUrl {
    /// As the library takes it.
    pub(crate) fn connection(&self) -> Option<ConnectionInfo> {
        self.text.as_str().into_connection_info().ok()
    }

    /// Whether the store shows a key: `rediss://`.
    pub(super) fn is_with_tls(&self) -> bool {
        self.is_with_tls
    }

    /// What looks like a user, and may be a password.
    pub(super) fn has_user(&self) -> bool {
        self.has_user
    }

    /// `unix:PATH`.
    fn socket(text: &str, rest: &str) -> Option<Self> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let database = query.strip_prefix("db=").unwrap_or(query);
        let is_plain = path.starts_with('/') && !path.contains('#') && is_number(database);
        is_plain.then(|| Self {
            text: text.to_owned(),
            shown: text.to_owned(),
            has_user: false,
            is_with_tls: false,
        })
    }

    /// `[USER@]HOST[:PORT][/DB]`.
    fn host(scheme: &str, is_with_tls: bool, rest: &str) -> Option<Self> {
        let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (host, database) = place.split_once('/').unwrap_or((place, ""));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let is_host = match address {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => domain::is_name(name),
        };
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let is_user = !user.contains(|c: char| ":/?#".contains(c) || c.is_whitespace());
        let shown = |user: &str| format!("{scheme}{user}{place}");
        (is_host && is_port && is_user && is_number(database)).then(|| Self {
            text: format!("{scheme}{rest}"),
            shown: shown(if user.is_empty() { "" } else { MASK_OF_USER }),
            has_user: !user.is_empty(),
            is_with_tls,
        })
    }
}

/// A user in what is shown.
const MASK_OF_USER: &str = "***@";

/// The number of a database, or nothing.
fn is_number(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl TryFrom<String> for StoreUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let scheme = SCHEMES.iter().find(|(it, _)| lower.starts_with(it));
        let socket = SOCKETS.iter().find(|it| lower.starts_with(*it));
        let rest = |scheme: &str| text.get(scheme.len()..).unwrap_or_default();
        let url = match (scheme, socket) {
            (Some((scheme, is_with_tls)), _) => Self::host(scheme, *is_with_tls, rest(scheme)),
            (None, Some(socket)) => Self::socket(&text, rest(socket)),
            _ => None,
        };
        let known = url.filter(|it| {
            it.connection()
                .is_some_and(|it| it.addr().is_supported() && is_safe(&it))
        });
        known.ok_or_else(|| {
            let behind = scheme.map_or("", |(scheme, _)| rest(scheme));
            let before_host = behind.rsplit_once('@').map_or("", |(before, _)| before);
            let asks = ["pass", "pw", "auth"].iter().any(|it| lower.contains(it));
            if before_host.contains(':') || (text.contains('?') && asks) {
                PASSWORD.to_owned()
            } else if lower.ends_with("#insecure") {
                "#insecure believes any certificate; leave it out".to_owned()
            } else {
                let scheme = scheme.map(|(scheme, _)| *scheme);
                let shown = scheme.or(socket.copied()).unwrap_or_default();
                format!("`{shown}{MASK}` is no place of a store; {FORMS}")
            }
        })
    }
}
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// It brings no password and checks whom it speaks to.
fn is_safe(it: &ConnectionInfo) -> bool {
    let is_insecure = matches!(it.addr(), ConnectionAddr::TcpTls { insecure: true, .. });
    it.redis_settings().password().is_none() && !is_insecure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_without_its_password_and_checked_with_its_certificate() {
        for right in [
            "redis://127.0.0.1:6379/0",
            "redis://[2001:db8::1]:6379/15",
            "redis://store.example.org",
            "redis://store.example.org/",
            "rediss://store.example.org",
            "unix:/run/redis/redis.sock",
            "unix:/run/redis/redis.sock?db=3",
        ] {
            let url = StoreUrl::try_from(right.to_owned()).unwrap();
            assert_eq!(url.to_string(), right);
            assert!(!url.has_user() && url.connection().is_some(), "{right}");
        }
        for (wrong, told) in [
            ("", "write \"redis:"),
            ("127.0.0.1:6379", "write \"redis:"),
            ("http://store.example.org", "write \"redis:"),
            ("http://u:s3cret@h", "write \"redis:"),
            ("redis://store.example.org:0", "write \"redis:"),
            ("redis://127.0.0.1:1/s3cret", "`redis://***`"),
            ("redis://127.0.0.1:s3cret/0", "`redis://***`"),
            ("redis:/0:s3cret@h", "write \"redis:"),
            ("u:s3cret@127.0.0.1:6379", "write \"redis:"),
            ("redis://h?s3cret", "`redis://***`"),
            ("unix:/run/r.sock?db=s3cret", "`unix:***`"),
            ("unix:s3cret", "`unix:***`"),
            ("redis://:s3cret@store.example.org", "password_file"),
            ("redis://u:s3cr/et@h?x@store.example.org", "password_file"),
            ("redis://u%3As3cret:@h", "password_file"),
            ("redis://h/0?password=s3cret", "password_file"),
            ("redis://h/?pass=s3cret", "password_file"),
            ("unix:/run/r.sock?pass=s3cret", "password_file"),
            ("redis+unix:///run/r.sock?db=0&pass=s3cret", "password_file"),
            ("rediss://store.example.org/#insecure", "leave it out"),
        ] {
            let why = StoreUrl::try_from(wrong.to_owned()).unwrap_err();
            assert!(
                why.contains(told) && !why.contains("s3cr"),
                "{wrong}: {why}"
            );
        }
    }

    #[test]
    fn what_stands_before_the_host_of_a_store_is_shown_to_nobody() {
        let url = StoreUrl::try_from("redis://s3cret@store.example.org:1/3".to_owned()).unwrap();
        assert_eq!(url.to_string(), "redis://***@store.example.org:1/3");
        assert!(url.has_user());
        let known = url.connection().unwrap();
        assert_eq!(known.redis_settings().username(), Some("s3cret"));
    }
}
