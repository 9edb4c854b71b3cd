//! Where a policy server or a milter listens.

use std::{
    fmt,
    path::{Path, PathBuf},
};

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
            "inet" if port.is_some() => Ok(Self::Inet(rest.to_owned())),
            "unix" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            _ => Err(format!(
                "`{}` is not the address of a policy server; write inet:127.0.0.1:10023 or \
                 unix:/run/policy",
                text.escape_debug()
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

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(place) => write!(f, "inet:{place}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
