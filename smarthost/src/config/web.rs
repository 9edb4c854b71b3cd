//! Where the status page listens: on this machine alone.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// Where the status page listens.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Web {
    /// On loopback: what travels there is not encrypted.
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Web {
    /// A relative path starts from this directory.
    pub(super) fn place(&mut self, directory: &Path) {
        if let Self::Unix(path) = self {
            *path = directory.join(&*path);
        }
    }
}

impl TryFrom<String> for Web {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const FORMS: &str =
            "write \"127.0.0.1:8025\", \"[::1]:8025\" or \"unix:/run/smarthost/web.sock\"";
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => Err(format!("port 0 cannot be used; {FORMS}")),
            Ok(address) if address.ip().is_loopback() => Ok(Self::Tcp(address)),
            Ok(address) => Err(format!(
                "{address} can be reached from other machines, and the page's token would travel \
                 there in the clear; listen on loopback or a unix socket, behind a reverse proxy \
                 with TLS or ssh -L"
            )),
            Err(_) => Err(format!(
                "`{}` is not an address for the status page; {FORMS}",
                text.escape_debug()
            )),
        }
    }
}

impl fmt::Display for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_for_this_machine_alone() {
        for right in ["127.0.0.1:8025", "[::1]:8025", "127.9.9.9:1", "unix:/run/w"] {
            let web = Web::try_from(right.to_owned()).unwrap();
            assert_eq!(web.to_string(), right);
        }
        for wrong in [
            "0.0.0.0:8025",
            "[::]:8025",
            "192.0.2.1:80",
            "[::ffff:192.0.2.1]:80",
            "127.0.0.1:0",
            "127.0.0.1",
            "localhost:8025",
            "unix:",
            "",
            "on",
        ] {
            let why = Web::try_from(wrong.to_owned()).unwrap_err();
            assert!(why.contains("unix"), "{wrong}: {why}");
        }
    }
}
