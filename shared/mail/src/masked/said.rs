//! What a program says, without what it was given.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::names::names_secret;

/// Fewest characters of what looks like a token.
const LONG: usize = 16;
/// Fewest characters of what is hidden: `-u` is no secret.
const CLEAR: usize = 4;
/// What is shorter is hidden where it is a word of its own, and shown where it is letters alone:
/// the name of a list, or of what is to be done.
const SHORT: usize = 8;

/// Where in a text `given` are, the words with which a program was called: whole, or behind the `=`
/// of an option.
pub(super) fn given_in(text: &str, given: &[&str]) -> Vec<Range<usize>> {
    let mut before = "";
    let mut hidden: Vec<String> = Vec::new();
    for word in given {
        let is_secret = before.starts_with('-') && names_secret(before);
        let value = word.split_once('=').map(|(_, value)| value);
        let parts = [Some(*word), value].into_iter().flatten();
        let parts = parts.filter(|part| is_secret || !is_plain(part));
        hidden.extend(parts.flat_map(as_quoted));
        before = word;
    }
    hidden.iter().flat_map(|part| places(text, part)).collect()
}

/// Words of a text that could be a key or a token: long, with letters and digits.
pub(super) fn tokens_in(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut from) = (Vec::new(), 0usize);
    for word in text.split_inclusive(|c: char| !is_of_token(c)) {
        let plain = word.trim_end_matches(|c: char| !is_of_token(c));
        let has = |which: fn(&u8) -> bool| plain.bytes().any(|byte| which(&byte));
        let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        if plain.len() >= LONG && is_mixed && !plain.starts_with('/') {
            found.push(from..from.saturating_add(plain.len()));
        }
        from = from.saturating_add(word.len());
    }
    found
}

/// The words of a text that are no words of a language, where a program printed them.
pub fn printed(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !is_of_token(c));
    let is_odd =
        |word: &&str| word.len() >= SHORT && !word.bytes().all(|b| b.is_ascii_alphabetic());
    words.filter(is_odd).collect()
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '+' | '/')
}

fn is_plain(part: &str) -> bool {
    part.len() < SHORT && part.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// As it is, and as programs quote it.
fn as_quoted(part: &str) -> impl Iterator<Item = String> {
    let escaped = part.escape_debug().to_string();
    // As JSON has it.
    let json = part.replace('\\', "\\\\").replace('"', "\\\"");
    let all = [part.to_owned(), escaped, json].into_iter();
    all.filter(|it| it.chars().count() >= CLEAR)
}

fn places(text: &str, part: &str) -> Vec<Range<usize>> {
    let is_edge = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    let all = text.match_indices(part).map(|(at, found)| {
        let end = at.saturating_add(found.len());
        at..end
    });
    let is_word = |range: &Range<usize>| {
        let before = text
            .get(..range.start)
            .unwrap_or_default()
            .chars()
            .next_back();
        let after = text.get(range.end..).unwrap_or_default().chars().next();
        is_edge(before) && is_edge(after)
    };
    all.filter(|range| part.len() >= SHORT || is_word(range))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{said, tokens},
        printed,
    };

    #[test]
    fn what_a_program_says_repeats_nothing_that_it_was_called_with_but_plain_words() {
        let given = [
            "post",
            "-s",
            "cl\"ient~secret",
            "--key=inner-value",
            "Pass7",
            "--password",
            "hunter",
            "SECRET01",
        ];
        for (text, shown) in [
            ("usage: list post test", "usage: list post test"),
            ("bad SECRET01: SECRET0123", "bad ***: ***23"),
            ("invalid cl\"ient~secret", "invalid ***"),
            ("{\"sent\":\"cl\\\"ient~secret\"}", "{\"sent\":\"***\"}"),
            (
                "no inner-value, no Pass7, but Pass77",
                "no ***, no ***, but Pass77",
            ),
            ("hunter hunters", "*** hunters"),
            ("password=other", "password=***"),
            ("5.1.1 no user x@example.org", "5.1.1 no user x@example.org"),
        ] {
            assert_eq!(said(text, &given), shown, "{text}");
        }
    }

    #[test]
    fn a_token_that_nobody_has_named_is_known_by_its_looks() {
        for (text, shown) in [
            (
                "cannot refresh: ya29.Sekret_TOKEN-0815xyz is expired",
                "cannot refresh: *** is expired",
            ),
            ("+ T=ya29.Sekret_TOKEN-0815xyz\n+ curl", "+ T=***\n+ curl"),
            (
                "https://login.microsoftonline.com/: HTTP 401",
                "https://login.microsoftonline.com/: HTTP 401",
            ),
            (
                "/usr/lib/python3.13/token.py: AADSTS7000215: invalid",
                "/usr/lib/python3.13/token.py: AADSTS7000215: invalid",
            ),
        ] {
            assert_eq!(tokens(text), shown);
        }
        assert_eq!(
            printed("{\"access_token\": \"ab12-cd34\", \"expires_in\": 3599"),
            ["access_token", "ab12-cd34", "expires_in"]
        );
        assert_eq!(
            said("> Authorization: Bearer ab12cd", &[]),
            "> Authorization: Bearer ***"
        );
    }
}
