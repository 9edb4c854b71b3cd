//! Certificate and key of our own, made. Behind the feature `certificates`: what is called as
//! `sendmail` has no need of it.

use std::time::{Duration, SystemTime};

use mail::clock;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::error::TlsError;

const DAY: Duration = Duration::from_hours(24);

/// Makes an ECDSA P-256 key and a self-signed certificate (10 years) for a host, in PEM:
/// (certificate, key).
pub fn self_signed(hostname: &str) -> Result<(String, String), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
    let key = key.map_err(|error| failed(hostname, &error))?;
    Ok((certificate(hostname, &key)?, key.serialize_pem()))
}

/// Makes a self-signed certificate (10 years) for a host that has a key, both in PEM.
pub fn certify(hostname: &str, key: &str) -> Result<String, TlsError> {
    let key = KeyPair::from_pem(key).map_err(|error| failed(hostname, &error))?;
    certificate(hostname, &key)
}

fn failed(hostname: &str, error: &rcgen::Error) -> TlsError {
    TlsError(format!(
        "no certificate can be made for {hostname}: {error}"
    ))
}

fn certificate(hostname: &str, key: &KeyPair) -> Result<String, TlsError> {
    let failed = |error: rcgen::Error| failed(hostname, &error);
    let mut params = CertificateParams::new(vec![hostname.to_owned()]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, hostname);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(clock::now().as_secs());
    // A day early, for peers whose clock is behind.
    params.not_before = now.checked_sub(DAY).unwrap_or(now).into();
    params.not_after = (now + DAY * 3652).into();
    let certificate = params.self_signed(key).map_err(failed)?;
    Ok(certificate.pem())
}
