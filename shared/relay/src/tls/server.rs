//! What listeners show, made into a rustls configuration.

use std::{path::Path, sync::Arc};

use rustls::{
    Error, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    server::{ProducesTickets, ServerSessionMemoryCache},
};

use super::{
    certificate::{pair, unfit},
    error::TlsError,
    verifier::Verifier,
};

/// The oldest version that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

settings::words!(TlsVersion:
    "1.2" = Self::V1_2,
    "1.3" = Self::V1_3,
);

impl TlsVersion {
    /// This one, and what is newer.
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static NEWEST: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self::V1_2 => rustls::ALL_VERSIONS,
            Self::V1_3 => &NEWEST,
        }
    }
}

/// A server configuration from PEM files; refuses X.509 v1 and a key that does not fit, with a
/// clear text.
pub fn server_config(
    certificate: &Path,
    key: &Path,
    minimum: TlsVersion,
) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, secret) = pair(certificate, key)?;
    let setup = |error: Error| unfit(certificate, key, error);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(minimum.and_newer())
        .map_err(setup)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(setup)?;
    Ok(Arc::new(config))
}

/// Sessions of clients that take no tickets, which are resumed from memory.
const SESSIONS: usize = 256;

/// The same for one kind of listener, whose sessions no other one resumes. `asks_for_keys`: clients
/// are asked for a certificate; without one they are served as well, and a key that is shown is
/// proved.
pub fn for_listener(
    (server, minimum): (&ServerConfig, TlsVersion),
    asks_for_keys: bool,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let failed = |error: Error| TlsError(error.to_string());
    let mut config = if asks_for_keys {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(minimum.and_newer())
            .map_err(failed)?
            .with_client_cert_verifier(Arc::new(Verifier::anybody(algorithms)))
            .with_cert_resolver(Arc::clone(&server.cert_resolver))
    } else {
        server.clone()
    };
    config.ticketer = tickets;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Ok(Arc::new(config))
}
