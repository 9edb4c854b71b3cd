//! A login as it is written: a user's name, and the place of the file in which its secret is. Who
//! writes the secret itself there is told so, and nothing repeats what was written.

use std::path::PathBuf;

use mail::masked::names_secret;
use serde::{Deserialize as _, Deserializer, de::Error as _};

/// How the place of a file begins.
const BEGINNINGS: [&str; 3] = ["/", "./", "../"];

/// How the name of a file with a key ends.
const ENDS: [&str; 5] = [".pem", ".key", ".crt", ".der", ".private"];

/// Whether this is surely the place of a file, and not what may be the secret itself:
/// `/etc/relay`, `./relay`, `relay.password`, `s1.pem`.
pub(crate) fn is_place(value: &str) -> bool {
    // Nobody writes the name of such a file in capitals, and many write a password with some.
    let word = |c: char| c.is_lowercase() || matches!(c, '.' | '-' | '_' | '/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let begins = BEGINNINGS.iter().any(|begin| value.starts_with(begin));
    let ends = ENDS.iter().any(|end| value.ends_with(end));
    let is_named = names_secret(value) && value.chars().all(word);
    begins || is_named || (ends && value.chars().all(plain))
}

/// The place of a file with a secret, for `deserialize_with`.
pub fn secret_file<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let value = String::deserialize(from)?;
    if is_place(&value) {
        return Ok(value.into());
    }
    Err(D::Error::custom(
        "this may be the secret itself; write that into a file for the program's user alone, and \
         here where the file is: \"/etc/…\", or \"./name\" beside the configuration",
    ))
}

/// The same where none may be set.
pub fn optional_secret_file<'de, D>(from: D) -> Result<Option<PathBuf>, D::Error>
where
    D: Deserializer<'de>,
{
    secret_file(from).map(Some)
}

/// The name of a user, for `deserialize_with`.
pub fn user<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    if name.contains(':') {
        return Err(D::Error::custom(
            "a user's name has no colon; a password is not written here, but into a file of its \
             own, which password_file names",
        ));
    }
    Ok(name)
}

/// The place of a file of logins, for `deserialize_with`.
pub fn users_file<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let value = String::deserialize(from)?;
    let is_one_word = !value.contains(|c: char| c == ':' || c.is_whitespace());
    if !value.is_empty() && (is_one_word || BEGINNINGS.iter().any(|it| value.starts_with(it))) {
        return Ok(value.into());
    }
    Err(D::Error::custom(
        "this must be the name of a file, in which each line is a login as `smarthost passwd` \
         writes it; no login or password is written here",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_the_secret_itself_is_no_place_of_a_file() {
        for place in [
            "/etc/relay",
            "./Relay1",
            "../x",
            "relay.password",
            "dnsbl.keys",
            "secrets",
            "s1.pem",
            "keys/2026-1.private",
        ] {
            assert!(is_place(place), "{place}");
        }
        for secret in [
            "",
            "SECRETPW",
            "SECRETPW-secret",
            "Passw0rd",
            "pass1word",
            "hunter2",
            "a secret",
            "tr0ub4dor.pem&3",
            "~/s1.pem",
        ] {
            assert!(!is_place(secret), "{secret}");
        }
    }
}
