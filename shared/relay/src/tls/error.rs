//! What went wrong with TLS, in words that name the remedy.

use std::{error::Error as _, fmt, io};

use rustls::{AlertDescription, CertificateError, Error, OtherError, SignatureScheme};

use crate::trust::{PeerKey, Pin};

/// What is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError(pub String);
impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for TlsError {}

/// The peer's key is none of the pinned ones.
#[derive(Debug)]
pub(super) struct NotPinned {
    pub(super) seen: PeerKey,
    pub(super) expected: Vec<Pin>,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More would not fit into a log line.
        const SHOWN: usize = 3;
        let pin = self.seen.pin();
        write!(f, "the peer's key is not pinned: it has {pin}")?;
        // The administrator compares with what is written in the configuration.
        if let Some(same_kind) = self
            .expected
            .first()
            .map(|first| self.seen.pin_like(first))
            .filter(|same_kind| *same_kind != pin)
        {
            write!(f, " ({same_kind})")?;
        }
        write!(f, ", expected")?;
        for (index, expected) in self.expected.iter().take(SHOWN).enumerate() {
            write!(f, "{} {expected}", if index == 0 { "" } else { " or" })?;
        }
        if self.expected.len() > SHOWN {
            write!(
                f,
                " or one of {} more",
                self.expected.len().saturating_sub(SHOWN)
            )?;
        }
        write!(
            f,
            "; if the peer's administrator confirms the new key, add it to the pins; otherwise somebody is in between"
        )
    }
}
impl std::error::Error for NotPinned {}

/// No authority or TLSA record vouches for the certificate, or it is for another name, and why.
#[derive(Debug)]
pub(super) struct NotTrusted(pub(super) String);

impl fmt::Display for NotTrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server certificate not trusted: {}", self.0)
    }
}
impl std::error::Error for NotTrusted {}

/// What can be verified here.
const KEYS: &str = "RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519";

/// The peer's key is of a kind that cannot be verified here.
#[derive(Debug)]
pub(super) struct UnsupportedKey(pub(super) &'static str);

impl fmt::Display for UnsupportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the peer's key is {}, a type that is not supported here; its administrator must give it a certificate with {KEYS}",
            self.0
        )
    }
}
impl std::error::Error for UnsupportedKey {}

/// The peer could not prove that it has the key, or has a key that nobody should use.
#[derive(Debug)]
pub(super) struct UnverifiedSignature {
    pub(super) scheme: SignatureScheme,
}

impl fmt::Display for UnverifiedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the peer did not prove that it has the key of its certificate ({:?} signature); keys must be {KEYS}",
            self.scheme
        )
    }
}
impl std::error::Error for UnverifiedSignature {}

/// Whether the peer has ended the handshake because nothing that is offered here serves it.
pub fn has_nothing_in_common(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let tls = inner.and_then(|inner| inner.downcast_ref::<Error>());
    matches!(
        tls,
        Some(Error::AlertReceived(AlertDescription::HandshakeFailure))
    )
}

/// An I/O or rustls error of a handshake in words: a pin mismatch names the key seen and the keys
/// expected, and what to do.
pub fn explain(error: &io::Error) -> String {
    explain_to(
        error,
        "perhaps it wants tls = \"starttls\", or the other way round",
    )
}

/// The same, of a peer that speaks something else than SMTP: `clear` says what to do where it
/// speaks no TLS.
pub fn explain_to(error: &io::Error, clear: &str) -> String {
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the peer closed the connection during the TLS handshake".to_owned()
            }
            _ => error.to_string(),
        };
    };
    match tls {
        Error::AlertReceived(AlertDescription::HandshakeFailure) => format!(
            "the peer refused the TLS handshake: HandshakeFailure; it has no cipher or no type of key in common with us, whose keys would be {KEYS}"
        ),
        Error::InvalidCertificate(error) => unusable(error),
        Error::InvalidMessage(_) => format!("the peer does not speak TLS on this port ({clear})"),
        Error::AlertReceived(alert) => format!("the peer refused the TLS handshake: {alert:?}"),
        tls => match tls.source() {
            Some(source) => format!("{tls}: {source}"),
            None => tls.to_string(),
        },
    }
}

/// Why a certificate is not believed, and what to do. Most that sign themselves are made as
/// authorities (CA:TRUE), some in X.509 version 1.
fn unusable(error: &CertificateError) -> String {
    let webpki = match error {
        CertificateError::Other(OtherError(inner)) => inner.downcast_ref::<webpki::Error>(),
        _ => None,
    };
    match (error, webpki) {
        (CertificateError::UnknownIssuer, _)
        | (_, Some(webpki::Error::CaUsedAsEndEntity | webpki::Error::UnsupportedCertVersion)) => {
            "the peer's certificate is not signed by a public certificate authority; if it is self-signed, pin its key".to_owned()
        }
        (CertificateError::Other(OtherError(inner)), None) => inner.to_string(),
        (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }, _) => {
            "the peer's certificate is for another name; use the name it was made for, or pin its key".to_owned()
        }
        (CertificateError::Expired | CertificateError::ExpiredContext { .. }, _) => {
            format!("the peer's certificate has expired ({error}); the peer must renew it, or pin its key")
        }
        (_, Some(error)) => cannot_be_used(&words(error)),
        _ => cannot_be_used(&error.to_string()),
    }
}

/// What the library knows by a name alone; `None`: it says it itself.
pub(super) fn in_words(error: &Error) -> Option<String> {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error else {
        return None;
    };
    Some(match inner.downcast_ref::<webpki::Error>()? {
        webpki::Error::CaUsedAsEndEntity => {
            "it is an authority's own certificate (CA:TRUE), and no server's".to_owned()
        }
        error => words(error),
    })
}

fn cannot_be_used(why: &str) -> String {
    format!("the peer's certificate cannot be used ({why}); the peer must mend it, or pin its key")
}

/// `UnsupportedCriticalExtension` → `unsupported critical extension`; what stands behind such a
/// name in brackets is left out.
fn words(error: &webpki::Error) -> String {
    let name = format!("{error:?}");
    let name = name.split(['(', ' ']).next().unwrap_or_default();
    let mut words = String::new();
    let mut before = 'A';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        before = c;
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        for (error, told) in [
            (
                webpki::Error::UnsupportedCriticalExtension,
                "(unsupported critical extension)",
            ),
            (webpki::Error::BadDerTime, "(bad der time)"),
            (
                webpki::Error::PathLenConstraintViolated,
                "(path len constraint violated)",
            ),
        ] {
            let error = CertificateError::Other(OtherError(Arc::new(error)));
            let said = unusable(&error);
            assert!(said.contains(told) && !said.contains("Other"), "{said}");
        }
        let authority = OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity));
        let authority = Error::InvalidCertificate(CertificateError::Other(authority));
        let said = in_words(&authority).unwrap();
        assert!(said.contains("CA:TRUE"), "{said}");
    }
}
