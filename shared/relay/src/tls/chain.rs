//! Chains of certificates: up to an authority, and for one of several names.
//!
//! Contract: dates, names and constraints are checked as the web does (webpki). With TLSA records
//! the host's own certificate (DANE-EE) is believed whatever it says, and an authority of theirs
//! (DANE-TA) signs for the names only.
//! RFC 5280 §6, RFC 6125, RFC 7671 §5.1, §5.2, RFC 7672 §3.2.

use std::{
    hash::{Hash, Hasher},
    path::Path,
    sync::{Arc, LazyLock},
};

use der::{Header, SliceReader};
use rustls::{
    RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime},
    server::ParsedCertificate,
};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use super::{
    certificate::chain_of,
    error::{TlsError, in_words},
};
use crate::tlsa::{Authority, Usable};

/// Authorities that are believed. Equal are only those that were read together.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

impl Roots {
    /// The web's.
    pub fn web() -> Self {
        static WEB: LazyLock<Roots> = LazyLock::new(|| {
            let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
            Roots(Arc::new(RootCertStore { roots }))
        });
        WEB.clone()
    }

    /// Those of a file in PEM.
    pub fn of_file(path: &Path) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in chain_of(path)? {
            store.add(certificate).map_err(|error| {
                let file = path.display();
                TlsError(format!("{file}: a certificate of no authority: {error}"))
            })?;
        }
        Ok(Self(Arc::new(store)))
    }

    /// Whether they are the same authorities, or both none, wherever they were read.
    pub fn are_equal(one: Option<&Self>, other: Option<&Self>) -> bool {
        one.map(|roots| &roots.0.roots) == other.map(|roots| &roots.0.roots)
    }

    /// For a client that checks names and dates as browsers do.
    pub fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0)
    }
}

impl PartialEq for Roots {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for Roots {}
impl Hash for Roots {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// A name that a certificate may show.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Name {
    /// This one, or the address.
    Exactly(String),
    /// Any below it.
    Below(String),
}

/// What a peer has shown.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) certificate: &'a CertificateDer<'a>,
    pub(super) others: &'a [CertificateDer<'a>],
    pub(super) now: UnixTime,
    pub(super) algorithms: &'a WebPkiSupportedAlgorithms,
}

impl Shown<'_> {
    /// Whether it is signed by one of the authorities, in its time; otherwise why not.
    pub(super) fn is_signed(self, roots: &Roots) -> Result<(), String> {
        self.is_anchored(&roots.0)
    }

    /// Whether it shows one of the names; otherwise what it shows.
    pub(super) fn is_for(self, names: &[Name]) -> Result<(), String> {
        /// More would not fit into a log line.
        const NAMES: usize = 3;
        let certificate = EndEntityCert::try_from(self.certificate).map_err(told)?;
        let fits = |name: &Name| match name {
            Name::Exactly(name) => ServerName::try_from(name.as_str())
                .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok()),
            Name::Below(parent) => certificate
                .valid_dns_names()
                .any(|shown| is_below(shown, parent)),
        };
        if names.iter().any(fits) {
            return Ok(());
        }
        let shown: Vec<&str> = certificate.valid_dns_names().take(NAMES).collect();
        Err(format!("it is for {}", shown.join(", ")))
    }

    /// Which TLSA record it fits; otherwise why none.
    pub(super) fn fits(self, records: &Usable, names: &[Name]) -> Result<String, String> {
        if let Some(record) = records.end_entity(self.certificate) {
            return Ok(record.to_string());
        }
        let mut why = "no TLSA record fits it".to_owned();
        for (anchor, record) in self.anchors(records) {
            let roots = RootCertStore {
                roots: vec![anchor],
            };
            match self.is_anchored(&roots).and_then(|()| self.is_for(names)) {
                Ok(()) => return Ok(record),
                Err(error) => why = format!("TLSA {record}: {error}"),
            }
        }
        Err(why)
    }

    fn is_anchored(self, roots: &RootCertStore) -> Result<(), String> {
        let certificate = ParsedCertificate::try_from(self.certificate).map_err(why)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            self.others,
            self.now,
            algorithms,
        )
        .map_err(why)
    }

    /// The authorities that TLSA records name: certificates that were shown, or the records' own,
    /// and bare keys.
    fn anchors(self, records: &Usable) -> Vec<(TrustAnchor<'static>, String)> {
        let mut anchors = Vec::new();
        let mut add = |certificate: &CertificateDer<'_>, record: String| {
            if let Ok(anchor) = anchor_from_trusted_cert(certificate) {
                anchors.push((anchor.to_owned(), record));
            }
        };
        for certificate in self.others {
            if let Some(record) = records.authority(certificate) {
                add(certificate, record.to_string());
            }
        }
        for record in records.records() {
            if let Some(Authority::Certificate(bytes)) = record.authority() {
                add(&CertificateDer::from(bytes), record.to_string());
            }
        }
        for record in records.records() {
            let Some(Authority::Key(key)) = record.authority() else {
                continue;
            };
            let Some(key) = content(key) else { continue };
            // The record does not say what the authority is called: whoever has issued what was
            // shown.
            for certificate in std::iter::once(self.certificate).chain(self.others) {
                let Ok(certificate) = EndEntityCert::try_from(certificate) else {
                    continue;
                };
                let anchor = TrustAnchor {
                    subject: Der::from_slice(certificate.issuer()),
                    subject_public_key_info: Der::from_slice(key),
                    name_constraints: None,
                };
                anchors.push((anchor.to_owned(), record.to_string()));
            }
        }
        anchors
    }
}

/// What is in a sequence in DER.
fn content(sequence: &[u8]) -> Option<&[u8]> {
    let header = Header::peek(&SliceReader::new(sequence).ok()?).ok()?;
    let length = usize::try_from(u32::from(header.length())).ok()?;
    sequence.get(sequence.len().checked_sub(length)?..)
}

fn is_below(shown: &str, parent: &str) -> bool {
    let shown = shown.to_ascii_lowercase();
    let wild = shown.strip_prefix("*.");
    wild == Some(parent)
        || wild
            .unwrap_or(&shown)
            .strip_suffix(parent)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Why a certificate is not trusted.
fn why(error: rustls::Error) -> String {
    in_words(&error).unwrap_or_else(|| told(error))
}

/// Without what only fits a browser.
fn told(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let plain = text.strip_prefix("invalid peer certificate: ");
    plain.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    use rustls::crypto::ring;
    use sha2::{Digest as _, Sha256, Sha512};

    use super::*;
    use crate::{tlsa::Tlsa, trust::public_key};

    /// In 2025, when the certificates of these tests hold.
    const NOW: u64 = 1_750_000_000;

    /// An authority, and the certificate of a host that it signed.
    struct Chain {
        leaf: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    }

    fn chain(name: &str, until: i32) -> Chain {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let authority = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        Chain { leaf, authority }
    }

    fn record(usage: u8, selector: u8, matching: u8, certificate: &[u8]) -> Tlsa {
        let selected = match selector {
            0 => certificate,
            _ => public_key(certificate).unwrap(),
        };
        let data = match matching {
            0 => selected.to_vec(),
            1 => Sha256::digest(selected).to_vec(),
            _ => Sha512::digest(selected).to_vec(),
        };
        Tlsa {
            usage,
            selector,
            matching,
            data,
        }
    }

    /// What becomes of a chain under a record; `sent`: the host sends its authority's certificate.
    fn judged(chain: &Chain, record: Tlsa, sent: bool) -> Result<String, String> {
        let others = [chain.authority.clone()];
        let shown = Shown {
            certificate: &chain.leaf,
            others: if sent { &others } else { &[] },
            now: UnixTime::since_unix_epoch(Duration::from_secs(NOW)),
            algorithms: &ring::default_provider().signature_verification_algorithms,
        };
        let names = ["mx.example.net", "example.net"];
        let names = names.map(|name| Name::Exactly(name.to_owned()));
        shown.fits(&Usable::of(&[record]).unwrap(), &names)
    }

    const KINDS: [(u8, u8); 6] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];

    /// Names and dates mean nothing where the record is of the host's own certificate.
    #[test]
    fn the_hosts_own_record_is_believed_whatever_the_certificate_says() {
        let chain = chain("old.invalid", 2020);
        for (selector, matching) in KINDS {
            let right = record(3, selector, matching, &chain.leaf);
            let told = right.to_string();
            assert_eq!(judged(&chain, right, true), Ok(told));
            let other = record(3, selector, matching, &chain.authority);
            assert!(judged(&chain, other, true).is_err());
        }
    }

    #[test]
    fn an_authoritys_record_wants_chain_name_and_date() {
        for name in ["mx.example.net", "example.net"] {
            let right = chain(name, 2030);
            let stranger = chain(name, 2030);
            for (selector, matching) in KINDS {
                let of = |certificate: &[u8]| record(2, selector, matching, certificate);
                let kind = (selector, matching);
                assert!(
                    judged(&right, of(&right.authority), true).is_ok(),
                    "{kind:?}"
                );
                let alone = judged(&right, of(&right.authority), false);
                assert_eq!(alone.is_ok(), matching == 0, "the record alone: {kind:?}");
                assert!(judged(&right, of(&stranger.authority), true).is_err());
                let leaf = judged(&right, of(&right.leaf), true);
                assert!(leaf.is_err(), "the host is no authority: {kind:?}");
                for wrong in [chain("old.invalid", 2030), chain(name, 2020)] {
                    let found = judged(&wrong, of(&wrong.authority), true);
                    assert!(found.is_err(), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn a_name_below_a_domain_is_one_label_or_several_below_it() {
        for (shown, fits) in [
            ("a.example.net", true),
            ("a.b.example.net", true),
            ("*.example.net", true),
            ("*.a.example.net", true),
            ("example.net", false),
            ("badexample.net", false),
            ("*.net", false),
            (".example.net", false),
        ] {
            assert_eq!(is_below(shown, "example.net"), fits, "{shown}");
        }
    }
}
