//! What listeners show, made into a rustls configuration.

use std::{path::Path, sync::Arc};

use rustls::{Error, ServerConfig, crypto::ring};

use super::{
    certificate::{pair, unfit},
    error::TlsError,
    verifier::Verifier,
};

/// A server configuration from PEM files; refuses X.509 v1 and a key that does not fit, with a
/// clear text. Clients resume their sessions with tickets, whose keys change by themselves (row
/// B7).
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, secret) = pair(certificate, key)?;
    let setup = |error: Error| unfit(certificate, key, error);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(setup)?;
    config.ticketer = ring::Ticketer::new().map_err(setup)?;
    Ok(Arc::new(config))
}

/// The same, asking clients for a certificate: without one they are served as well, and a key that
/// is shown is proved.
pub fn asking_for_keys(server: &ServerConfig) -> Result<ServerConfig, TlsError> {
    let failed = |error: Error| TlsError(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_client_cert_verifier(Arc::new(Verifier::anybody(algorithms)))
        .with_cert_resolver(Arc::clone(&server.cert_resolver));
    config.ticketer = Arc::clone(&server.ticketer);
    Ok(config)
}
