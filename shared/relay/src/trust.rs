//! Whom to believe at the other end of a TLS connection: pins, matched purely. The rustls verifier
//! is in [`crate::tls`].
//!
//! `sha256:HEX` SHA-256 of the public key (`SubjectPublicKeyInfo`), `cert-sha256:HEX` SHA-256 of
//! the certificate, `sha1:HEX` SHA-1 of the public key (rows B15, B16; accepted with a warning).
//! Hex with or without colons, any case.
//! Contract: [`public_key`] is total on any bytes and finds the key in certificates of every X.509
//! version.
//! RFC 5280 §4.1 (Certificate), RFC 7469 §2.4 (why the key, not the certificate).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{fmt, time::Duration};

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{GeneralizedTime, UtcTime},
};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use mail::clock::Timestamp;

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
    /// Reads one pin; blanks around it do not matter.
    pub fn parse(text: &str) -> Result<Self, PinError> {
        let text = text.trim();
        // The text before a colon is an algorithm only if it is not hex itself (`sha256:…` but not
        // `AB:CD:…`).
        let (algorithm, digits) = match text.split_once(':') {
            Some((word, digits)) if !word.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                (word.to_ascii_lowercase(), digits)
            }
            _ => return Err(PinError(without_algorithm(text))),
        };
        let pin = match algorithm.as_str() {
            "sha256" => unhex(digits).map(Self::KeySha256),
            "cert-sha256" => unhex(digits).map(Self::CertificateSha256),
            "sha1" => unhex(digits).map(Self::KeySha1),
            _ => {
                return Err(PinError(format!(
                    "unknown kind of pin \"{algorithm}\": write sha256:HEX (public key) or cert-sha256:HEX (certificate)"
                )));
            }
        };
        let length = if algorithm == "sha1" { 40 } else { 64 };
        pin.ok_or_else(|| PinError(format!("\"{text}\" is no pin: {algorithm}: wants {length} hexadecimal digits, with or without colons")))
    }

    /// Whether it is a SHA-1 pin.
    pub fn is_weak(&self) -> bool {
        matches!(self, Self::KeySha1(_))
    }

    /// Whether the peer's key or certificate is the pinned one.
    pub fn matches(&self, peer: &PeerKey) -> bool {
        *self == peer.pin_like(self)
    }
}

/// What to say to a digest that does not name its algorithm.
fn without_algorithm(text: &str) -> String {
    if unhex::<32>(text).is_some() {
        format!(
            "a pin names what it is of: write sha256:{text} if it is of the public key, cert-sha256:{text} if of the certificate"
        )
    } else if unhex::<20>(text).is_some() {
        format!(
            "a pin names what it is of: write sha1:{text} if it is of the public key (and rather use sha256:)"
        )
    } else {
        format!(
            "\"{text}\" is no pin: write sha256: and the 64 hexadecimal digits that `smarthost pin` prints"
        )
    }
}

/// Bytes in hexadecimal digits, as [`unhex`] reads them.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// So many bytes in hexadecimal digits, with or without colons.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut digits = text.bytes().filter(|&byte| byte != b':').map(|byte| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    });
    let mut out = [0; N];
    for byte in &mut out {
        *byte = (digits.next()?? << 4) | digits.next()??;
    }
    digits.next().is_none().then_some(out)
}

impl TryFrom<String> for Pin {
    type Error = PinError;
    fn try_from(text: String) -> Result<Self, PinError> {
        Self::parse(&text)
    }
}

impl serde::Serialize for Pin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, digest) = match self {
            Self::KeySha256(digest) => ("sha256", digest.as_slice()),
            Self::CertificateSha256(digest) => ("cert-sha256", digest.as_slice()),
            Self::KeySha1(digest) => ("sha1", digest.as_slice()),
        };
        write!(f, "{algorithm}:{}", Hex(digest))
    }
}

/// What a peer presented.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerKey {
    pub key_sha256: [u8; 32],
    pub key_sha1: [u8; 20],
    pub certificate_sha256: [u8; 32],
    /// When the certificate holds; `None` if it says so in no form of RFC 5280. Pins do not look at
    /// it.
    pub validity: Option<Validity>,
}

/// From when and until when a certificate holds (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Validity {
    /// Whether it holds now and for some time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.from <= now && !self.ends_soon(now)
    }

    /// Whether it is time to renew it.
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        self.until.since(now) < Duration::from_hours(14 * 24)
    }
}

impl PeerKey {
    /// From the certificate in DER, X.509 v1 included; `None` if no public key can be found in it.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let outline = outline(der)?;
        Some(Self {
            key_sha256: Sha256::digest(outline.key).into(),
            key_sha1: Sha1::digest(outline.key).into(),
            certificate_sha256: Sha256::digest(der).into(),
            validity: validity(outline.validity),
        })
    }

    /// The pin that an administrator would paste.
    pub fn pin(&self) -> Pin {
        Pin::KeySha256(self.key_sha256)
    }

    /// The pin of the same kind as another, for comparison.
    pub fn pin_like(&self, other: &Pin) -> Pin {
        match other {
            Pin::KeySha256(_) => Pin::KeySha256(self.key_sha256),
            Pin::CertificateSha256(_) => Pin::CertificateSha256(self.certificate_sha256),
            Pin::KeySha1(_) => Pin::KeySha1(self.key_sha1),
        }
    }
}

/// The `SubjectPublicKeyInfo` inside a certificate, as it stands there; of the certificate only the
/// outline is read.
pub fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    outline(certificate).map(|outline| outline.key)
}

/// Whether a certificate is X.509 version 1, which rustls refuses to present; `None` if it is no
/// certificate.
pub fn is_version_1(certificate: &[u8]) -> Option<bool> {
    outline(certificate).map(|outline| !outline.versioned)
}

/// Whether a certificate names itself as its issuer; `None` if it is no certificate.
pub fn is_self_issued(certificate: &[u8]) -> Option<bool> {
    outline(certificate).map(|outline| outline.issuer == outline.subject)
}

/// The parts of a certificate that matter here, as they stand there.
struct Outline<'a> {
    /// Whether it names its version (v1 does not).
    versioned: bool,
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    key: &'a [u8],
}

fn outline(certificate: &[u8]) -> Option<Outline<'_>> {
    const VERSION: Tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    let mut reader = SliceReader::new(certificate).ok()?;
    reader
        .sequence(|certificate| {
            let found = certificate.sequence(|tbs| {
                let versioned = Tag::peek(tbs)? == VERSION;
                if versioned {
                    tbs.tlv_bytes()?;
                }
                // serial number, algorithm
                for _ in 0..2 {
                    tbs.tlv_bytes()?;
                }
                let issuer = tbs.tlv_bytes()?;
                let validity = tbs.tlv_bytes()?;
                let subject = tbs.tlv_bytes()?;
                Tag::peek(tbs)?.assert_eq(Tag::Sequence)?;
                let key = tbs.tlv_bytes()?;
                // Whatever else the certificate says does not concern a pin.
                while !tbs.is_finished() {
                    tbs.tlv_bytes()?;
                }
                Ok::<_, der::Error>(Outline {
                    versioned,
                    issuer,
                    validity,
                    subject,
                    key,
                })
            })?;
            while !certificate.is_finished() {
                certificate.tlv_bytes()?;
            }
            Ok::<_, der::Error>(found)
        })
        .ok()
}

fn validity(bytes: &[u8]) -> Option<Validity> {
    let mut reader = SliceReader::new(bytes).ok()?;
    reader
        .sequence(|times| {
            let from = time(times)?;
            let until = time(times)?;
            Ok::<_, der::Error>(Validity { from, until })
        })
        .ok()
}

fn time<'a>(times: &mut impl der::Reader<'a>) -> Result<Timestamp, der::Error> {
    let since = match Tag::peek(times)? {
        Tag::UtcTime => UtcTime::decode(times)?.to_unix_duration(),
        _ => GeneralizedTime::decode(times)?.to_unix_duration(),
    };
    Ok(Timestamp::from_secs(since.as_secs()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    const V1_RSA: &[u8] = include_bytes!("tls/testdata/v1-rsa.pem");

    /// What openssl x509 -dates said of this certificate.
    const V1_SECONDS: (u64, u64) = (1_795_347_235, 2_110_707_235);

    fn v1() -> Vec<u8> {
        CertificateDer::from_pem_slice(V1_RSA).unwrap().to_vec()
    }

    /// Row B16: the digests are those that openssl printed for this certificate.
    #[test]
    fn the_pins_of_an_old_certificate_are_those_that_openssl_computes() {
        let peer = PeerKey::of_certificate(&v1()).unwrap();
        for openssl in [
            "sha256:78513e3aeba607cb8cef95d763e197959c444228227599115a02bb87c5de2138",
            "SHA1:D3:75:E7:A5:D3:48:3B:89:A3:86:85:F8:27:1D:FB:59:E3:0D:C7:D2",
            "cert-sha256:e6243fe1599d5761e4c7a0173ffa66b14d005bfe709110b495929a620b7d318c",
        ] {
            assert!(Pin::parse(openssl).unwrap().matches(&peer), "{openssl}");
        }
        assert_eq!(is_version_1(&v1()), Some(true));
        let validity = peer.validity.unwrap();
        assert_eq!(
            (validity.from.as_secs(), validity.until.as_secs()),
            V1_SECONDS
        );
        let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
        assert!(!Pin::parse(other).unwrap().matches(&peer));
    }

    #[test]
    fn a_pin_prints_as_it_is_pasted() {
        let text = "sha256:78513e3aeba607cb8cef95d763e197959c444228227599115a02bb87c5de2138";
        assert_eq!(Pin::parse(text).unwrap().to_string(), text);
        assert!(!Pin::parse(text).unwrap().is_weak());
        assert!(
            Pin::parse("sha1:d3:75:e7:a5:d3:48:3b:89:a3:86:85:f8:27:1d:fb:59:e3:0d:c7:d2")
                .unwrap()
                .is_weak()
        );
    }

    #[test]
    fn a_text_that_is_no_pin_says_what_to_write() {
        for (text, hint) in [
            ("", "smarthost pin"),
            ("sha256:", "64 hexadecimal digits"),
            ("sha256:12", "64 hexadecimal digits"),
            ("sha1:zz", "40 hexadecimal digits"),
            (
                "md5:d41d8cd98f00b204e9800998ecf8427e",
                "unknown kind of pin \"md5\"",
            ),
            (
                "D3:75:E7:A5:D3:48:3B:89:A3:86:85:F8:27:1D:FB:59:E3:0D:C7:D2",
                "write sha1:D3",
            ),
            (
                "78513e3aeba607cb8cef95d763e197959c444228227599115a02bb87c5de2138",
                "cert-sha256:78513e",
            ),
        ] {
            let error = Pin::parse(text).unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    const DIGITS: [(&str, &str); 3] = [
        (
            "sha256:",
            "78513e3aeba607cb8cef95d763e197959c444228227599115a02bb87c5de2138",
        ),
        (
            "cert-sha256:",
            "e6243fe1599d5761e4c7a0173ffa66b14d005bfe709110b495929a620b7d318c",
        ),
        ("sha1:", "d375e7a5d3483b89a38685f8271dfb59e30dc7d2"),
    ];

    #[test]
    fn a_pin_of_which_any_one_digit_is_another_one_matches_nothing() {
        let peer = PeerKey::of_certificate(&v1()).unwrap();
        for (kind, digits) in DIGITS {
            for place in 0..digits.len() {
                let (before, rest) = digits.split_at(place);
                let (digit, after) = rest.split_at(1);
                for other in "0123456789abcdef".chars() {
                    let pin = Pin::parse(&format!("{kind}{before}{other}{after}")).unwrap();
                    assert_eq!(pin.matches(&peer), digit == other.to_string(), "{pin}");
                }
            }
            for (other, _) in DIGITS.iter().filter(|(other, _)| *other != kind) {
                // A SHA-1 digest is no SHA-256 digest at all.
                let crossed = Pin::parse(&format!("{other}{digits}"));
                assert!(
                    !crossed.is_ok_and(|pin| pin.matches(&peer)),
                    "{other}{digits}"
                );
            }
        }
    }

    #[test]
    fn a_pin_of_any_other_length_or_with_any_other_sign_in_it_is_none() {
        for (kind, digits) in DIGITS {
            let endless = digits.repeat(3);
            for length in (0..=endless.len()).filter(|length| *length != digits.len()) {
                let text = format!("{kind}{}", &endless[..length]);
                assert!(Pin::parse(&text).is_err(), "{text}");
            }
            let signs = (0..=0x2ff)
                .chain([0xff11, 0x0661])
                .filter_map(char::from_u32);
            for sign in signs.filter(|sign| *sign != ':') {
                for place in 0..=digits.len() {
                    let (before, after) = digits.split_at(place);
                    let longer = Pin::parse(&format!("{kind}{before}{sign}{after}"));
                    let at_the_edge = place == digits.len() && sign.is_whitespace();
                    assert_eq!(longer.is_ok(), at_the_edge, "{sign:?} at {place}");
                    let rest = after.get(1..).filter(|_| !sign.is_ascii_hexdigit());
                    if let Some(rest) = rest {
                        let replaced = Pin::parse(&format!("{kind}{before}{sign}{rest}"));
                        assert!(replaced.is_err(), "{sign:?} in place of {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn case_and_colons_make_no_other_pin() {
        for (kind, digits) in DIGITS {
            let pin = Pin::parse(&format!("{kind}{digits}")).unwrap();
            let same = |text: String| assert_eq!(Pin::parse(&text).as_ref(), Ok(&pin), "{text}");
            for place in 0..digits.len() {
                let (before, after) = digits.split_at(place);
                same(format!("{kind}{before}:{after}"));
                same(format!("{kind}{before}{}", after.to_ascii_uppercase()));
                same(format!("{kind}{}{after}", before.to_ascii_uppercase()));
            }
            let pairs: Vec<&str> = (0..digits.len())
                .step_by(2)
                .map(|at| &digits[at..at + 2])
                .collect();
            same(format!(
                " {}{}\n",
                kind.to_ascii_uppercase(),
                pairs.join(":")
            ));
        }
    }

    #[test]
    fn a_certificate_cut_anywhere_has_no_key() {
        let whole = v1();
        for end in 0..whole.len() {
            assert_eq!(public_key(&whole[..end]), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn bytes_of_a_hostile_peer_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..1000, byte: u8) {
            let _ = PeerKey::of_certificate(&bytes);
            let mut damaged = v1();
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = PeerKey::of_certificate(&damaged);
        }
    }
}
