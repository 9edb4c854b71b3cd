//! TLSA records of a mail host, and whether a certificate is what they say. Pure.
//!
//! Contract: total on any bytes. Usable are the usages DANE-TA(2) and DANE-EE(3) with selectors 0
//! and 1 and matching types 0, 1 and 2, whose data can be what they say; PKIX-TA(0) and PKIX-EE(1)
//! mean nothing to SMTP. Of several digests of one usage and selector only the strongest count.
//! RFC 6698 §2.1, RFC 7671 §5, §9, RFC 7672 §3.1.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

use crate::trust::public_key;

/// One record.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Tlsa {
    pub usage: u8,
    pub selector: u8,
    pub matching: u8,
    pub data: Vec<u8>,
}

/// DANE-TA: the certificate is of an authority that signs.
const AUTHORITY: u8 = 2;
/// DANE-EE: the certificate is the host's own.
const END_ENTITY: u8 = 3;
const WHOLE_CERTIFICATE: u8 = 0;
const PUBLIC_KEY: u8 = 1;
const EXACT: u8 = 0;
const SHA256: u8 = 1;
const SHA512: u8 = 2;

impl Tlsa {
    /// Whether SMTP can go by it.
    pub fn is_usable(&self) -> bool {
        let selected = matches!(self.selector, WHOLE_CERTIFICATE | PUBLIC_KEY);
        let fits = match (self.matching, self.selector) {
            (EXACT, WHOLE_CERTIFICATE) => public_key(&self.data).is_some(),
            // A sequence of some length.
            (EXACT, _) => self.data.len() > 16 && self.data.first() == Some(&0x30),
            (SHA256, _) => self.data.len() == 32,
            (SHA512, _) => self.data.len() == 64,
            _ => false,
        };
        matches!(self.usage, AUTHORITY | END_ENTITY) && selected && fits
    }

    /// Whether it is about this certificate (DER).
    fn is_of(&self, certificate: &[u8]) -> bool {
        let selected = match self.selector {
            WHOLE_CERTIFICATE => Some(certificate),
            _ => public_key(certificate),
        };
        selected.is_some_and(|selected| match self.matching {
            EXACT => *selected == *self.data,
            SHA256 => *Sha256::digest(selected) == *self.data,
            SHA512 => *Sha512::digest(selected) == *self.data,
            _ => false,
        })
    }

    /// The record alone names an authority: its certificate, or its key.
    pub(crate) fn authority(&self) -> Option<Authority<'_>> {
        match (self.usage, self.matching, self.selector) {
            (AUTHORITY, EXACT, WHOLE_CERTIFICATE) => Some(Authority::Certificate(&self.data)),
            (AUTHORITY, EXACT, PUBLIC_KEY) => Some(Authority::Key(&self.data)),
            _ => None,
        }
    }
}

/// What a record holds of an authority, in DER.
pub(crate) enum Authority<'a> {
    Certificate(&'a [u8]),
    Key(&'a [u8]),
}

/// `3 1 1 9f2c…`, with the beginning of the data.
impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Bytes that tell one key from another.
        const SHOWN: usize = 8;
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        let shown = self.data.iter().take(SHOWN);
        shown
            .into_iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.data.len() > SHOWN {
            f.write_str("...")?;
        }
        Ok(())
    }
}

/// The usable records of a host, in an order that does not depend on the name server's.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Usable(Vec<Tlsa>);

impl Usable {
    /// Those of a set of records that count; `None`: there is none.
    pub fn of(records: &[Tlsa]) -> Option<Self> {
        let usable = records.iter().filter(|record| record.is_usable());
        let stronger = |weak: &Tlsa| {
            weak.matching == SHA256
                && usable.clone().any(|it| {
                    it.matching == SHA512 && (it.usage, it.selector) == (weak.usage, weak.selector)
                })
        };
        let mut counting: Vec<Tlsa> = usable.clone().filter(|it| !stronger(it)).cloned().collect();
        counting.sort();
        counting.dedup();
        (!counting.is_empty()).then_some(Self(counting))
    }

    /// The record that says that this is the host's own certificate.
    pub fn end_entity(&self, certificate: &[u8]) -> Option<&Tlsa> {
        self.find(END_ENTITY, certificate)
    }

    /// The record that says that this certificate of a chain is of an authority.
    pub(crate) fn authority(&self, certificate: &[u8]) -> Option<&Tlsa> {
        self.find(AUTHORITY, certificate)
    }

    /// All of them.
    pub fn records(&self) -> &[Tlsa] {
        &self.0
    }

    fn find(&self, usage: u8, certificate: &[u8]) -> Option<&Tlsa> {
        let mut of_usage = self.0.iter().filter(|record| record.usage == usage);
        of_usage.find(|record| record.is_of(certificate))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    fn certificate() -> Vec<u8> {
        let pem = include_bytes!("tls/testdata/v1-rsa.pem");
        CertificateDer::from_pem_slice(pem).unwrap().to_vec()
    }

    fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
        Tlsa {
            usage,
            selector,
            matching,
            data: data.to_vec(),
        }
    }

    /// The data that a record of this selector and matching type has for a certificate.
    fn data(selector: u8, matching: u8, certificate: &[u8]) -> Vec<u8> {
        let selected = match selector {
            0 => certificate,
            _ => public_key(certificate).unwrap(),
        };
        match matching {
            0 => selected.to_vec(),
            1 => Sha256::digest(selected).to_vec(),
            _ => Sha512::digest(selected).to_vec(),
        }
    }

    #[test]
    fn of_all_usages_selectors_and_matching_types_those_of_smtp_count() {
        let certificate = certificate();
        for usage in 0..=255u8 {
            for selector in 0..4u8 {
                for matching in 0..4u8 {
                    let right = data(selector, matching, &certificate);
                    let record = record(usage, selector, matching, &right);
                    let known = matches!(usage, 2 | 3) && selector < 2 && matching < 3;
                    assert_eq!(record.is_usable(), known, "{record}");
                    let usable = Usable::of(std::slice::from_ref(&record));
                    let ours = usable.as_ref().and_then(|it| it.end_entity(&certificate));
                    assert_eq!(ours.is_some(), known && usage == 3, "{record}");
                }
            }
        }
    }

    /// Data of a wrong length, and a "certificate" that is none.
    #[test]
    fn a_record_whose_data_cannot_be_what_it_says_is_unusable() {
        let certificate = certificate();
        for (selector, matching, bytes) in [
            (1, 1, &[7u8; 31][..]),
            (1, 1, &[7; 64]),
            (1, 2, &[7; 32]),
            (0, 0, b""),
            (0, 0, &certificate[..100]),
            (1, 0, b"\x30"),
            (1, 0, &[7; 64]),
            (1, 1, b""),
        ] {
            let record = record(3, selector, matching, bytes);
            assert!(!record.is_usable(), "{record}");
        }
    }

    #[test]
    fn of_two_digests_the_stronger_one_counts_and_a_rollover_needs_one_that_fits() {
        let certificate = certificate();
        let fits = |records: &[Tlsa]| {
            let usable = Usable::of(records).unwrap();
            usable.end_entity(&certificate).is_some()
        };
        let right = record(3, 1, 1, &data(1, 1, &certificate));
        let next = record(3, 1, 1, &[9; 32]);
        assert!(fits(&[next.clone(), right.clone()]));
        assert!(!fits(std::slice::from_ref(&next)));
        let stronger = record(3, 1, 2, &[9; 64]);
        assert!(!fits(&[right.clone(), stronger.clone()]), "RFC 7671 §9");
        let other = record(3, 0, 2, &[9; 64]);
        assert!(fits(&[right.clone(), other]), "another selector");
        let whole = record(3, 1, 0, &data(1, 0, &certificate));
        assert!(fits(&[whole, stronger]), "no digest at all is as strong");
    }

    #[test]
    fn the_order_of_the_records_does_not_matter() {
        let (a, b) = (record(3, 1, 1, &[1; 32]), record(2, 1, 1, &[2; 32]));
        let one = Usable::of(&[a.clone(), b.clone(), a.clone()]);
        assert_eq!(one, Usable::of(&[b, a]));
    }

    proptest! {
        #[test]
        fn records_of_a_hostile_zone_are_read_without_harm(usage: u8, selector: u8, matching: u8, data in proptest::collection::vec(any::<u8>(), 0..100)) {
            let record = record(usage, selector, matching, &data);
            let usable = Usable::of(std::slice::from_ref(&record));
            prop_assert_eq!(usable.is_some(), record.is_usable());
            let certificate = certificate();
            prop_assert!(usable.is_none_or(|it| it.end_entity(&certificate).is_none()));
        }
    }
}
