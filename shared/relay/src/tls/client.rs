//! Whom to believe, made into a rustls configuration.

use std::{path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::{certificate, error::TlsError, verifier::KeyVerifier};
use crate::trust::Pin;

/// Whom to believe. (DANE will be one more: TLSA records of the next hop instead of pins.)
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
    pub config: Arc<ClientConfig>,
    /// Anybody is believed: where the handshake fails, clear text loses nothing. Never with pins.
    pub clear_text_is_as_good: bool,
}

impl ClientTls {
    /// Refuses an empty list of pins, with which no peer could ever be believed.
    pub fn new(trust: &Trust) -> Result<Self, TlsError> {
        Self::with_identity(trust, None)
    }

    /// With a certificate and key (files in PEM) that are shown to a peer who asks for one; both are read here.
    pub fn with_identity(
        trust: &Trust,
        identity: Option<(&Path, &Path)>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(format!("TLS cannot be set up: {error}")))?;
        let verified = |verifier| {
            builder
                .clone()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        };
        let builder = match trust {
            Trust::Pins(pins) if pins.is_empty() => {
                return Err(TlsError(
                    "the list of pins is empty: nobody could be believed".to_owned(),
                ));
            }
            Trust::Pins(pins) => verified(KeyVerifier::pinned(pins.clone(), algorithms)),
            Trust::Opportunistic => verified(KeyVerifier::anybody(algorithms)),
            Trust::WebRoots => builder.with_root_certificates(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            }),
        };
        let config = match identity {
            Some((certificate, key)) => {
                let (chain, secret) = certificate::pair(certificate, key)?;
                let built = builder.with_client_auth_cert(chain, secret);
                built.map_err(|error| certificate::unfit(certificate, key, error))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self {
            config: Arc::new(config),
            clear_text_is_as_good: *trust == Trust::Opportunistic,
        })
    }
}
