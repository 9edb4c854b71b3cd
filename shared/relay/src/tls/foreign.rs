//! A second look at a peer that refused the handshake: it may have nothing but a key that cannot be
//! verified here, and then shows it to nobody who does not say that he knows such keys.
//!
//! Contract: a key that is verified here is judged as it is without this; any other is refused,
//! by its name. Nobody is believed for it.
//! RFC 8446 §4.2.3 (schemes), RFC 5480, RFC 8410, RFC 4055 (keys in certificates).

use std::sync::Arc;

use der::{Reader as _, SliceReader};
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{error::UnsupportedKey, verifier::refused};
use crate::trust::public_key;

/// Schemes of keys that nothing here verifies: ECDSA P-521, Ed448, RSASSA-PSS, Brainpool curves.
const SCHEMES: [SignatureScheme; 8] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080A),
    SignatureScheme::Unknown(0x080B),
    SignatureScheme::Unknown(0x081A),
    SignatureScheme::Unknown(0x081B),
    SignatureScheme::Unknown(0x081C),
];

/// Object identifiers, as they stand in a key.
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const RSASSA_PSS: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A];
const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
const ED448: &[u8] = &[0x2B, 0x65, 0x71];
const DSA: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x38, 0x04, 0x01];
const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x23];

/// The verifier of a configuration, shown keys that it does not know.
#[derive(Debug)]
pub(super) struct Curious(pub(super) Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(kind) = public_key(certificate).and_then(unsupported) {
            return Err(refused(UnsupportedKey(kind)));
        }
        self.0
            .verify_server_cert(certificate, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.0.supported_verify_schemes();
        schemes.extend(SCHEMES);
        schemes
    }
}

/// What kind of key that is, if nothing here verifies it.
fn unsupported(key: &[u8]) -> Option<&'static str> {
    let (kind, parameters) = kind(key)?;
    match (kind, parameters) {
        (RSA | ED25519, _) | (EC, Some(P256 | P384)) => None,
        (EC, Some(P521)) => Some("ECDSA P-521"),
        (EC, _) => Some("ECDSA with a rare curve"),
        (ED448, _) => Some("Ed448"),
        (RSASSA_PSS, _) => Some("RSASSA-PSS"),
        (DSA, _) => Some("DSA"),
        _ => Some("of an unknown kind"),
    }
}

/// The algorithm of a `SubjectPublicKeyInfo`, and its parameter, if that is an identifier, too.
fn kind(key: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut reader = SliceReader::new(key).ok()?;
    let read = reader.sequence(|info| {
        let read = info.sequence(|algorithm| {
            let kind = algorithm.tlv_bytes()?;
            let parameters = if algorithm.is_finished() {
                None
            } else {
                Some(algorithm.tlv_bytes()?)
            };
            while !algorithm.is_finished() {
                algorithm.tlv_bytes()?;
            }
            Ok::<_, der::Error>((kind, parameters))
        })?;
        while !info.is_finished() {
            info.tlv_bytes()?;
        }
        Ok::<_, der::Error>(read)
    });
    let (kind, parameters) = read.ok()?;
    Some((identifier(kind)?, parameters.and_then(identifier)))
}

/// The content of an object identifier: those that matter here are short.
fn identifier(value: &[u8]) -> Option<&[u8]> {
    match value.split_first_chunk::<2>()? {
        ([0x06, length], content) if usize::from(*length) == content.len() => Some(content),
        _ => None,
    }
}
