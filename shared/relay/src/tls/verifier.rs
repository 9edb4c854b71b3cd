//! The verifier for pins and for opportunistic TLS, and of the keys that clients show.
//!
//! Contract: names, dates, issuers and the version of the certificate do not matter; the key is a pinned one (if there are pins), and the signature of
//! the handshake is always verified with it. The key is taken out of the certificate by [`public_key`], because webpki refuses X.509 v1.
//! RFC 8446 §4.4.3, RFC 5246 §7.4.3 (signatures).

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use webpki::RawPublicKeyEntity;

use super::error::{NotPinned, UnverifiedSignature};
use crate::trust::{PeerKey, Pin, public_key};

#[derive(Debug)]
pub(super) struct KeyVerifier {
    /// `None`: anybody.
    pins: Option<Vec<Pin>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl KeyVerifier {
    pub(super) fn pinned(pins: Vec<Pin>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self {
            pins: Some(pins),
            algorithms,
        }
    }

    pub(super) fn anybody(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self {
            pins: None,
            algorithms,
        }
    }
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = PeerKey::of_certificate(certificate)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match &self.pins {
            Some(pins) if !pins.iter().any(|pin| pin.matches(&seen)) => {
                let error = NotPinned {
                    seen,
                    expected: pins.clone(),
                };
                Err(Error::InvalidCertificate(CertificateError::Other(
                    OtherError(Arc::new(error)),
                )))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| unverified(signed))?;
        // In TLS 1.2 a scheme leaves the curve open, hence several algorithms for one scheme.
        let candidates = self
            .algorithms
            .mapping
            .iter()
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter());
        for algorithm in candidates {
            if key
                .verify_signature(*algorithm, message, signed.signature())
                .is_ok()
            {
                return Ok(HandshakeSignatureValid::assertion());
            }
        }
        Err(unverified(signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &key_of(certificate)?,
            signed,
            &self.algorithms,
        )
        .map_err(|error| match error {
            Error::InvalidCertificate(_) => unverified(signed),
            error => error,
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A client shows a key or does not; who it is is found out by whoever knows its name.
impl ClientCertVerifier for KeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    let key =
        public_key(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(SubjectPublicKeyInfoDer::from(key))
}

fn unverified(signed: &DigitallySignedStruct) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
        UnverifiedSignature {
            scheme: signed.scheme,
        },
    ))))
}
