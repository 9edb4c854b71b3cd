//! The client's SCRAM-SHA-256, without channel binding.
//!
//! Failures: a server whose nonce does not begin with ours, that wants fewer than 4096 rounds (RFC
//! 7677 §4) or more than [`MAX_ROUNDS`], or whose signature is wrong, is refused. A name or
//! password that cannot be prepared (`SASLprep`) is used as it is.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::num::NonZeroU32;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{digest, hmac, pbkdf2};

use super::prepared;

/// Least rounds.
pub(super) const MIN_ROUNDS: u32 = 4096;
/// Most rounds: some tenths of a second; more would be an attack on our processor.
pub(super) const MAX_ROUNDS: u32 = 1_000_000;
/// `n,,`: no channel binding, no other identity; in base64 as the last message repeats it.
const HEADER: &str = "n,,";
const HEADER_BASE64: &str = "biws";

pub(super) struct Scram {
    /// `n=user,r=nonce`
    bare: String,
    nonce: String,
    step: Step,
}

enum Step {
    First,
    /// The signature that the server must show.
    Proof(hmac::Tag),
    Proved,
}

impl Scram {
    pub(super) fn new(user: &str, nonce: &str) -> Self {
        let user = prepared(user).unwrap_or(user.into());
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            bare: format!("n={user},r={nonce}"),
            nonce: nonce.to_owned(),
            step: Step::First,
        }
    }

    /// client-first-message
    pub(super) fn first(&self) -> Vec<u8> {
        format!("{HEADER}{}", self.bare).into_bytes()
    }

    /// server-first-message, then server-final-message.
    pub(super) fn answer(
        &mut self,
        challenge: &[u8],
        password: &str,
    ) -> Result<Vec<u8>, &'static str> {
        let challenge = str::from_utf8(challenge).map_err(|_| "the challenge is no text")?;
        match &self.step {
            Step::First => self.proof(challenge, password),
            Step::Proof(expected) => {
                let signature = challenge
                    .strip_prefix("v=")
                    .and_then(|rest| BASE64_STANDARD.decode(rest).ok())
                    .ok_or("the server did not prove that it knows the password")?;
                if signature != expected.as_ref() {
                    return Err("the server's proof that it knows the password is wrong");
                }
                self.step = Step::Proved;
                Ok(Vec::new())
            }
            Step::Proved => Err("the server asks for more than SCRAM has"),
        }
    }

    pub(super) fn is_proved(&self) -> bool {
        matches!(self.step, Step::Proved)
    }

    /// client-final-message (RFC 5802 §3)
    fn proof(&mut self, challenge: &str, password: &str) -> Result<Vec<u8>, &'static str> {
        let (nonce, salt, rounds) = first_of_server(challenge)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server's nonce does not begin with ours");
        }
        let rounds = NonZeroU32::new(rounds)
            .filter(|rounds| (MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds.get()))
            .ok_or("the server wants too few or too many rounds")?;
        let password = prepared(password).unwrap_or(password.into());
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            &salt,
            password.as_bytes(),
            &mut salted,
        );
        let key = |key: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, key);
        let salted = key(&salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let last = format!("c={HEADER_BASE64},r={nonce}");
        let all = format!("{},{challenge},{last}", self.bare);
        let signature = hmac::sign(&key(stored_key.as_ref()), all.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let expected = hmac::sign(&key(server_key.as_ref()), all.as_bytes());
        self.step = Step::Proof(expected);
        Ok(format!("{last},p={}", BASE64_STANDARD.encode(proof)).into_bytes())
    }
}

/// `r=nonce,s=salt,i=rounds[,…]`
fn first_of_server(challenge: &str) -> Result<(&str, Vec<u8>, u32), &'static str> {
    const WRONG: &str = "the server's challenge is no SCRAM";
    let mut fields = challenge.split(',');
    let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
    let nonce = field("r=").ok_or(WRONG)?;
    let salt = field("s=").ok_or(WRONG)?;
    let rounds = field("i=").ok_or(WRONG)?;
    let salt = BASE64_STANDARD.decode(salt).map_err(|_| WRONG)?;
    Ok((nonce, salt, rounds.parse().map_err(|_| WRONG)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    /// RFC 7677 §3.
    #[test]
    fn the_example_of_the_rfc_is_spoken_byte_for_byte() {
        let mut scram = Scram::new("user", NONCE);
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let last = scram.answer(SERVER_FIRST.as_bytes(), "pencil").unwrap();
        assert_eq!(
            String::from_utf8(last).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!scram.is_proved());
        let proof = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(scram.answer(proof, "pencil"), Ok(Vec::new()));
        assert!(scram.is_proved());
    }

    #[test]
    fn a_server_that_does_not_know_the_password_or_weakens_the_exchange_is_refused() {
        let after = |challenge: &str| {
            let mut scram = Scram::new("user", NONCE);
            scram.answer(challenge.as_bytes(), "pencil").err()
        };
        assert_eq!(after(SERVER_FIRST), None);
        for (from, to) in [
            ("i=4096", "i=4095"),
            ("i=4096", "i=1000001"),
            ("i=4096", "i=x"),
            ("r=rOpr", "r=sOpr"),
            ("s=W22Z", "s=!"),
            ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""),
        ] {
            assert!(after(&SERVER_FIRST.replace(from, to)).is_some(), "{to}");
        }
        for proof in [
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
            "e=invalid-proof",
            "",
        ] {
            let mut scram = Scram::new("user", NONCE);
            scram.answer(SERVER_FIRST.as_bytes(), "pencil").unwrap();
            assert!(scram.answer(proof.as_bytes(), "pencil").is_err());
            assert!(!scram.is_proved());
        }
    }

    #[test]
    fn commas_and_equal_signs_in_a_user_are_written_so_that_they_stay_in_it() {
        assert_eq!(Scram::new("a=b,c", "x").first(), b"n,,n=a=3Db=2Cc,r=x");
    }

    proptest! {
        #[test]
        fn any_challenge_is_answered_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "r=x[a-z,=]{0,20},s=[A-Za-z0-9=]{0,8},i=[0-9]{0,3}") {
            let mut scram = Scram::new("user", "x");
            let _ = scram.answer(&bytes, "p");
            let _ = scram.answer(text.as_bytes(), "p");
            prop_assert!(!scram.is_proved());
        }
    }
}
