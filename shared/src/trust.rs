//! Whom to believe at the other end of a TLS connection: pins, matched purely. The rustls verifier is in [`crate::tls`].
//!
//! `sha256:HEX` SHA-256 of the public key (SubjectPublicKeyInfo), `cert-sha256:HEX` SHA-256 of the certificate, `sha1:HEX` SHA-1 of the
//! public key (rows B15, B16; accepted with a warning). Hex with or without colons, any case.

use std::fmt;

/// One pin.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum Pin {
    /// `sha256:` of the public key.
    KeySha256([u8; 32]),
    /// `cert-sha256:` of the certificate.
    CertificateSha256([u8; 32]),
    /// `sha1:` of the public key.
    KeySha1([u8; 20]),
}
/// Why a text is no pin; the message says what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinError(pub String);
impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for PinError {}
impl Pin {
    pub fn parse(_text: &str) -> Result<Self, PinError> {
        todo!()
    }
    /// Whether it is a SHA-1 pin.
    pub fn is_weak(&self) -> bool {
        matches!(self, Self::KeySha1(_))
    }
    /// Whether the peer's key or certificate is the pinned one.
    pub fn matches(&self, _peer: &PeerKey) -> bool {
        todo!()
    }
}
impl TryFrom<String> for Pin {
    type Error = PinError;
    fn try_from(text: String) -> Result<Self, PinError> {
        Self::parse(&text)
    }
}
impl fmt::Display for Pin {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
/// What a peer presented.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerKey {
    pub key_sha256: [u8; 32],
    pub key_sha1: [u8; 20],
    pub certificate_sha256: [u8; 32],
}
impl PeerKey {
    /// From the certificate in DER, X.509 v1 included; `None` if no public key can be found in it.
    pub fn of_certificate(_der: &[u8]) -> Option<Self> {
        todo!()
    }
    /// The pin that an administrator would paste.
    pub fn pin(&self) -> Pin {
        Pin::KeySha256(self.key_sha256)
    }
}
