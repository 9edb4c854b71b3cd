//! What a server keeps instead of a password, in the form that `PostgreSQL` writes:
//! `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`, all but the rounds in base64.
//!
//! Contract: nothing here prints a key or a password. Whoever reads the file cannot log in with it,
//! unless the password is weak.
//! RFC 5802 §3, RFC 5803 (form of a verifier), RFC 7677.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{fmt, num::NonZeroU32, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    hmac, pbkdf2,
};

use super::{
    prepared,
    scram::{MAX_ROUNDS, MIN_ROUNDS},
};

const NAME: &str = "SCRAM-SHA-256";
/// Longest salt that is read, bytes.
const MAX_SALT: usize = 256;

type Key = [u8; SHA256_OUTPUT_LEN];

/// Proves a password that it does not contain.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(super) rounds: NonZeroU32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: Key,
    pub(super) server_key: Key,
}

impl Verifier {
    /// For a new password, prepared if it can be; `salt` new for each, 16 bytes are usual. `rounds`
    /// is raised to what RFC 7677 asks at least.
    pub fn new(password: &str, salt: &[u8], rounds: NonZeroU32) -> Self {
        Self::of(&prepared(password).unwrap_or(password.into()), salt, rounds)
    }

    /// For a password as it is.
    pub(super) fn of(password: &str, salt: &[u8], rounds: NonZeroU32) -> Self {
        let rounds = rounds.max(NonZeroU32::new(MIN_ROUNDS).unwrap_or(NonZeroU32::MIN));
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted(password, salt, rounds));
        let client_key = hmac::sign(&salted, b"Client Key");
        Self {
            rounds,
            salt: salt.to_vec(),
            stored_key: hash(client_key.as_ref()),
            server_key: key(hmac::sign(&salted, b"Server Key").as_ref()),
        }
    }

    /// Whether it is this password, prepared or as verifiers of other software may have it; costs
    /// as much time as the rounds say, some milliseconds.
    pub fn proves(&self, password: &str) -> bool {
        let is = |password: &str| {
            let other = Self::of(password, &self.salt, self.rounds);
            is_same(&other.stored_key, &self.stored_key)
        };
        prepared(password).is_some_and(|it| it != password && is(&it)) || is(password)
    }

    /// Whether a client's proof of `all` that was said shows that it knows the password.
    pub(super) fn accepts(&self, proof: &[u8], all: &[u8]) -> bool {
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.stored_key), all);
        if proof.len() != signature.as_ref().len() {
            return false;
        }
        let client_key = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b);
        let client_key: Vec<u8> = client_key.collect();
        is_same(&hash(&client_key), &self.stored_key)
    }

    /// The server's own proof.
    pub(super) fn signature(&self, all: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.server_key);
        BASE64_STANDARD.encode(hmac::sign(&key, all))
    }
}

fn salted(password: &str, salt: &[u8], rounds: NonZeroU32) -> Key {
    let mut salted = Key::default();
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
    salted
}

fn hash(bytes: &[u8]) -> Key {
    key(digest(&SHA256, bytes).as_ref())
}

fn key(bytes: &[u8]) -> Key {
    bytes.try_into().unwrap_or_default()
}

/// Whether two hashes are the same, in a time that does not tell how much of them is alike.
pub fn is_same(a: &Key, b: &Key) -> bool {
    let pairs = a.iter().zip(b);
    pairs.fold(0, |differs, (a, b)| std::hint::black_box(differs | (a ^ b))) == 0
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] = [&self.salt[..], &self.stored_key, &self.server_key]
            .map(|bytes| BASE64_STANDARD.encode(bytes));
        write!(f, "{NAME}${}:{salt}${stored}:{server}", self.rounds)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}

impl FromStr for Verifier {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a password is written as SCRAM-SHA-256$rounds:salt$key:key; `smarthost passwd` makes it";
        let mut parts = text.split('$');
        let mut part = || parts.next().ok_or(FORM);
        if !part()?.eq_ignore_ascii_case(NAME) {
            return Err(FORM);
        }
        let (rounds, salt) = part()?.split_once(':').ok_or(FORM)?;
        let (stored, server) = part()?.split_once(':').ok_or(FORM)?;
        if parts.next().is_some() {
            return Err(FORM);
        }
        let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| FORM);
        let key = |text: &str| Key::try_from(bytes(text)?).map_err(|_| FORM);
        let rounds: NonZeroU32 = rounds.parse().map_err(|_| FORM)?;
        if !(MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds.get()) {
            return Err("a password needs 4096 to 1000000 rounds (RFC 7677 section 4)");
        }
        let salt = bytes(salt)?;
        if salt.is_empty() || salt.len() > MAX_SALT {
            return Err(FORM);
        }
        Ok(Self {
            rounds,
            salt,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }
}
