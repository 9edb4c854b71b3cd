//! Private keys in PEM, and what of them is public.
//!
//! Contract: what [`Key::make_ed25519`] writes, and what openssl and opendkim-genkey write, is
//! read. Nothing here prints a private half.
//! RFC 5958 and RFC 8410 (PKCS #8), RFC 8017 A.1 (PKCS #1), RFC 8301 §3.2 (2048 bits).

use std::fmt::{self, Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};

/// How a key signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    Rsa,
    Ed25519,
}

impl Algorithm {
    /// As `k=` names it (RFC 6376 §3.6.1, RFC 8463 §4).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A private key.
pub struct Key(Pair);

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.algorithm())
    }
}

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410 §7).
const ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// `AlgorithmIdentifier` of rsaEncryption (RFC 8017 A.1).
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

impl Key {
    /// Reads the first key of a PEM text.
    pub fn read(pem: &str) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "there is no private key in it, as PEM has it".to_owned())?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der())),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    Ok(pair) => Ok(Pair::Ed25519(pair)),
                    Err(_) => rsa(RsaKeyPair::from_pkcs8(der)),
                }
            }
            _ => Err("it is neither an RSA nor an Ed25519 key".to_owned()),
        };
        pair.map(Self)
    }

    /// A new Ed25519 key, as PEM.
    pub fn make_ed25519() -> Result<String, String> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| format!("no random numbers: {error}"))?;
        let encoded = BASE64_STANDARD.encode([&ED25519[..], &seed].concat());
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in lines(&encoded, 64) {
            let _ = writeln!(pem, "{line}");
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// As `p=` publishes it: `SubjectPublicKeyInfo` of RSA, as all do (RFC 6376 appendix C), and
    /// the bare key of Ed25519 (RFC 8463 §4).
    pub fn public(&self) -> Vec<u8> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let key = [&[0], pair.public_key().as_ref()].concat();
                der(0x30, &[&RSA[..], &der(0x03, &key)].concat())
            }
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The bare `RSAPublicKey`, as the letter of RFC 6376 §3.6.1 has it.
    pub(super) fn bare(&self) -> Vec<u8> {
        match &self.0 {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(_) => self.public(),
        }
    }

    /// The signature of a text; Ed25519 signs its SHA-256 (RFC 8463 §3).
    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    text,
                    &mut signature,
                )
                .map_err(|_| "the key cannot sign".to_owned())?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => {
                let hash = ring::digest::digest(&ring::digest::SHA256, text);
                Ok(pair.sign(hash.as_ref()).as_ref().to_vec())
            }
        }
    }
}

fn rsa(read: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<Pair, String> {
    match read {
        Ok(pair) => Ok(Pair::Rsa(Box::new(pair))),
        Err(error) => Err(format!(
            "the key cannot be used ({error}): it must be Ed25519, or RSA of 2048 to 4096 bits"
        )),
    }
}

/// A value with its tag and length (X.690 §8.1).
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let bytes = value.len().to_be_bytes();
    let mut length: Vec<u8> = bytes.into_iter().skip_while(|&it| it == 0).collect();
    if value.len() > 0x7f {
        let count = u8::try_from(length.len()).unwrap_or_default();
        length.insert(0, 0x80 | count);
    }
    [&[tag], length.as_slice(), value].concat()
}

/// A text without anything but ASCII in pieces of so many bytes.
pub(super) fn lines(text: &str, length: usize) -> impl Iterator<Item = &str> {
    (0..text.len())
        .step_by(length)
        .filter_map(move |at| text.get(at..text.len().min(at.saturating_add(length))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_made_is_read_and_what_is_none_is_told() {
        let pem = Key::make_ed25519().unwrap();
        assert_ne!(pem, Key::make_ed25519().unwrap());
        let key = Key::read(&pem).unwrap();
        assert_eq!(key.algorithm(), Algorithm::Ed25519);
        assert_eq!(key.public().len(), 32);
        assert!(!format!("{key:?}").contains("public"));
        for wrong in [
            "",
            "no key",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\n!\n-----END RSA PRIVATE KEY-----\n",
        ] {
            assert!(Key::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_are_written_as_der_has_them() {
        assert_eq!(der(4, &[1])[..], [4, 1, 1]);
        assert_eq!(der(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(der(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }
}
