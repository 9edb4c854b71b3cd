//! The verifier for everybody but the web: pins, opportunistic TLS, names and authorities, DANE;
//! and of the keys that clients show.
//!
//! Contract: with pins, or where anybody is believed, names, dates, issuers and the version of the
//! certificate do not matter. The signature of the handshake is always verified with the key shown,
//! which is taken out of the certificate by [`public_key`], because webpki refuses X.509 v1.
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

use super::{
    chain::Shown,
    error::{NotPinned, NotTrusted, UnverifiedSignature},
    trust::{Dane, Named},
};
use crate::trust::{PeerKey, Pin, public_key};

/// Who is believed.
#[derive(Clone, Debug)]
pub(super) enum Belief {
    Anybody,
    Pins(Vec<Pin>),
    Named(Named),
    Dane(Dane),
}

#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) belief: Belief,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn anybody(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self {
            belief: Belief::Anybody,
            algorithms,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = PeerKey::of_certificate(certificate)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let shown = Shown {
            certificate,
            others,
            now,
            algorithms: &self.algorithms,
        };
        let refusal = match &self.belief {
            Belief::Anybody => return Ok(ServerCertVerified::assertion()),
            Belief::Pins(pins) if pins.iter().any(|pin| pin.matches(&seen)) => {
                return Ok(ServerCertVerified::assertion());
            }
            Belief::Pins(pins) => {
                return Err(refused(NotPinned {
                    seen,
                    expected: pins.clone(),
                }));
            }
            Belief::Named(named) => {
                let signed = shown.is_signed(&named.roots);
                signed.and_then(|()| shown.is_for(&named.names))
            }
            Belief::Dane(dane) => shown.fits(&dane.records, &dane.names).map(drop),
        };
        match refusal {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(why) => Err(refused(NotTrusted(why))),
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
impl ClientCertVerifier for Verifier {
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
    refused(UnverifiedSignature {
        scheme: signed.scheme,
    })
}

pub(super) fn refused(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}
