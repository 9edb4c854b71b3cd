//! Certificate and key of our own: read and checked.

use std::path::Path;

use rustls::{
    Error, InconsistentKeys,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};

use super::error::TlsError;
use crate::trust::{self, PeerKey, is_version_1};

/// Largest PEM file that is read, bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// What can sign here.
const OURS: &str = "RSA of 2048 to 4096 bits, ECDSA P-256 or P-384, and Ed25519";

/// Certificates and key from PEM files; refuses X.509 v1, which peers refuse.
pub(super) fn pair(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = chain_of(certificate)?;
    if chain.first().and_then(|first| is_version_1(first)) == Some(true) {
        let file = certificate.display();
        return Err(TlsError(format!(
            "{file}: an X.509 version 1 certificate, which TLS clients refuse: make a version 3 one for the same key, so that pins stay right"
        )));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| {
        TlsError(format!(
            "{}: no private key in PEM without a passphrase found ({})",
            key.display(),
            said(&error)
        ))
    })?;
    Ok((chain, secret))
}

/// Why a pair cannot be used, with its files.
pub(super) fn unfit(certificate: &Path, key: &Path, error: Error) -> TlsError {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError(format!(
            "{}: this key does not belong to the certificate in {}",
            key.display(),
            certificate.display()
        )),
        // It says no more than that it cannot read it.
        Error::General(_) => TlsError(format!(
            "{}: this key cannot be used: it is damaged, or none of {OURS}; make one of these, and \
             a certificate for it",
            key.display()
        )),
        error => TlsError(format!(
            "{} with {}: {error}",
            certificate.display(),
            key.display()
        )),
    }
}

/// Whether a certificate file's first one names itself as its issuer.
pub fn is_self_issued(certificate: &Path) -> Result<bool, TlsError> {
    let chain = chain_of(certificate)?;
    let mut first = chain.iter().take(1);
    Ok(first.any(|first| trust::is_self_issued(first) == Some(true)))
}

/// What a certificate file's pins are.
pub fn pins_of_file(certificate: &Path) -> Result<PeerKey, TlsError> {
    let chain = chain_of(certificate)?;
    chain
        .first()
        .and_then(|first| PeerKey::of_certificate(first))
        .ok_or_else(|| {
            TlsError(format!(
                "{}: the first certificate is damaged: no public key can be found in it",
                certificate.display()
            ))
        })
}

/// The same of a text in PEM; `None` if there is no certificate in it.
pub fn pins_of_text(pem: &str) -> Option<PeerKey> {
    let first = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    PeerKey::of_certificate(&first)
}

/// All certificates of a file, at least one.
pub(super) fn chain_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            TlsError(format!(
                "{}: not a certificate in PEM ({})",
                file.display(),
                said(&error)
            ))
        })?;
    if chain.is_empty() {
        return Err(TlsError(format!(
            "{}: there is no certificate in PEM (-----BEGIN CERTIFICATE-----) in this file",
            file.display()
        )));
    }
    Ok(chain)
}

/// Of a line that is missing or wrong rustls shows the bytes, as numbers.
fn said(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut off: its END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is damaged".to_owned(),
        error => error.to_string(),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    system::read::bytes(file, MAX_FILE)
        .map_err(|error| TlsError(format!("{}: {error}", file.display())))
}
