//! Where a policy server or a milter listens.

use std::{
    fmt,
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

use mail::{address::domain, masked::MASK};

/// Where a policy server or a milter listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// `host:port`
    Inet(String),
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads `inet:127.0.0.1:10023`, `inet:[::1]:10023`, `unix:/run/policy`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        let port = rest.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let port = port
            .and_then(|(_, port)| port.parse().ok())
            .filter(|port: &u16| *port > 0);
        match kind {
            "inet" if port.is_some() && is_host(rest) => Ok(Self::Inet(rest.to_owned())),
            "unix" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            _ => Err(format!(
                "`{}` is not the address of a policy server; write inet:127.0.0.1:10023 or \
                 unix:/run/policy",
                shown(text)
            )),
        }
    }

    /// A relative path starts from this directory.
    pub(crate) fn place(&mut self, directory: &Path) {
        if let Self::Unix(path) = self {
            *path = directory.join(&*path);
        }
    }
}

/// Whether a name or an address stands before the port.
fn is_host(place: &str) -> bool {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => domain::is_name(host) || host.parse::<Ipv6Addr>().is_ok(),
    }
}

/// What is no address, but for a login in it.
pub(crate) fn shown(text: &str) -> String {
    let rest = text.strip_prefix("inet:").unwrap_or(text);
    let (place, colons) = (rest.rsplit('@').next(), rest.matches(':').count());
    match place {
        Some(place) if place.len() < rest.len() => format!("{MASK}@{}", place.escape_debug()),
        // What stands behind host and port may be one.
        _ if colons > 1 && !is_host(rest) && rest.len() < text.len() => format!("inet:{MASK}"),
        _ => text.escape_debug().to_string(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(place) => write!(f, "inet:{place}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
