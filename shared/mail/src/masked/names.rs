//! Names of secrets, and what stands behind them in a line.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

/// Words whose consonants are in the names of secrets, however the vowels were typed: password,
/// passwd, pwd, secret, token, credential, passphrase.
const CONSONANTS: [&str; 9] = [
    "pswr", "psrd", "pswd", "pwd", "pswrd", "scrt", "tkn", "crdnt", "psphrs",
];
/// Words that are the name of a secret as a whole.
const WORDS: [&str; 9] = [
    "pass", "pasw", "pw", "psw", "auth", "key", "keys", "bearer", "cookie",
];
/// How other names of secrets begin and end.
const BEGINNINGS: [&str; 3] = ["pass", "authp", "apik"];
const ENDS: [&str; 4] = ["pass", "apikey", "authkey", "seckey"];
/// What stands beside a secret and is none.
const USERS: [&str; 7] = ["user", "users", "usr", "usre", "username", "login", "name"];

/// Most characters of a name that is looked at for one too many.
const LONGEST: usize = 32;
/// Whether what has this name is to be hidden. Of a dotted name any part counts, unless it ends in
/// that of a user.
pub fn names_secret(name: &str) -> bool {
    let all = words(name);
    !names_user(name) && all.iter().any(|word| is_secret(word))
}

/// Whether what has this name is a user.
pub fn names_user(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    USERS.contains(&last.trim_matches(['"', '\'']).to_lowercase().as_str())
}

fn is_secret(word: &str) -> bool {
    let mut consonants = String::new();
    for c in word.chars().filter(|c| !"aeiou".contains(*c)) {
        if !consonants.ends_with(c) {
            consonants.push(c);
        }
    }
    WORDS.contains(&word)
        || without_one(word).any(|less| less.len() > 2 && WORDS.contains(&less.as_str()))
        || without_one(&consonants).any(|less| CONSONANTS.contains(&less.as_str()))
        || BEGINNINGS.iter().any(|begin| word.starts_with(begin))
        || ENDS.iter().any(|end| word.ends_with(end))
        || CONSONANTS
            .iter()
            .any(|part| consonants.starts_with(part) || consonants.ends_with(part))
}

/// A word without each of its characters: one too many was typed.
fn without_one(word: &str) -> impl Iterator<Item = String> {
    let bounded = word.chars().count() <= LONGEST;
    let places = word.char_indices().filter(move |_| bounded);
    places.map(|(at, c)| {
        let (before, after) = word.split_at(at);
        format!("{before}{}", after.get(c.len_utf8()..).unwrap_or_default())
    })
}

/// `smtp_authPassword.x` is smtp, auth, password and x.
fn words(name: &str) -> Vec<String> {
    let (mut words, mut word, mut was_lower) = (Vec::new(), String::new(), false);
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_lower && c.is_uppercase()) {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// What stands behind the names of secrets in a line.
pub fn named(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0usize;
    while let Some(sign) = line.get(at..).and_then(|rest| rest.find(['=', ':'])) {
        let sign = at.saturating_add(sign);
        let value = sign.saturating_add(1);
        at = value;
        let before = line.get(..sign).unwrap_or_default();
        let before = before.trim_end().trim_end_matches(['"', '\'']);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let rest = before.trim_end_matches(is_part);
        let name = before.get(rest.len()..).unwrap_or_default();
        // In a sentence, `key: ` is no name, and `/run/secret: ` is a file's.
        let is_spoken = line.get(sign..).is_some_and(|it| it.starts_with(':'))
            && rest.ends_with(|c: char| c.is_whitespace() || c == '/');
        let after = line.get(value..).unwrap_or_default();
        let blank = after.len().saturating_sub(after.trim_start().len());
        let start = value.saturating_add(blank);
        let after = after.trim_start();
        let length = after.find('`').unwrap_or(after.trim_end().len());
        if names_secret(name) && !is_spoken && length > 0 && !after.starts_with("//") {
            found.push(start..start.saturating_add(length));
            at = start.saturating_add(length);
        }
    }
    found
}
