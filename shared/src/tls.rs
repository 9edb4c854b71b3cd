//! rustls for both directions: verifiers from [`crate::trust`], certificates of our own.

use std::{fmt, path::Path, sync::Arc};

use crate::trust::{PeerKey, Pin};

/// Whom to believe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// One of these keys; names and dates do not matter, possession of the key does.
    Pins(Vec<Pin>),
    /// The web's authorities, name and dates checked.
    WebRoots,
    /// Anybody; the signature is still checked.
    Opportunistic,
}

/// A client configuration for one next hop and one set of pins (sessions are resumed only within it).
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub config: Arc<rustls::ClientConfig>,
}
impl ClientTls {
    pub fn new(_trust: &Trust) -> Result<Self, TlsError> {
        todo!()
    }
}
/// A server configuration from PEM files; refuses X.509 v1 and a key that does not fit, with a clear text.
pub fn server_config(_certificate: &Path, _key: &Path) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    todo!()
}
/// What a certificate file's pins are.
pub fn pins_of_file(_certificate: &Path) -> Result<PeerKey, TlsError> {
    todo!()
}
/// Makes an ECDSA P-256 key and a self-signed certificate (10 years) for a host, in PEM: (certificate, key).
pub fn self_signed(_hostname: &str) -> Result<(String, String), TlsError> {
    todo!()
}
/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError(pub String);
impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for TlsError {}
/// An established session, for the log: `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384`.
pub fn summary(_connection: &rustls::CommonState) -> String {
    todo!()
}
/// What the peer presented.
pub fn peer_key(_connection: &rustls::CommonState) -> Option<PeerKey> {
    todo!()
}
/// An I/O or rustls error of a handshake in words: a pin mismatch names the key seen and the keys expected, and what to do.
pub fn explain(_error: &std::io::Error) -> String {
    todo!()
}
