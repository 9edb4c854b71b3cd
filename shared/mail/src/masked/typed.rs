//! Secrets among the words of a command line, which messages about these words quote.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::{
    arguments::hide,
    names::named,
    url::{behind_host, login},
    user_info, without,
};

/// What of the words that somebody typed nobody else may read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Typed {
    secrets: Vec<String>,
}

impl Typed {
    /// Of the words behind the program's name.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets = Vec::new();
        let mut before = "";
        for word in words {
            let hidden = secrets_of(before, word).into_iter();
            secrets.extend(hidden.filter_map(|range| word.get(range).map(str::to_owned)));
            before = word;
        }
        // One may be a part of another.
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.retain(|secret| !secret.is_empty());
        secrets.dedup();
        Self { secrets }
    }

    /// A text without them, as they were typed or escaped.
    pub fn masked(&self, text: &str) -> String {
        let mut hidden = Vec::new();
        for secret in &self.secrets {
            let escaped = secret.escape_debug().to_string();
            for look in [secret, &escaped] {
                let places = text.match_indices(look.as_str());
                let places = places.map(|(at, _)| at..at.saturating_add(look.len()));
                hidden.extend(places.filter(|it| stands_alone(text, it)));
            }
        }
        without(text, hidden)
    }
}

fn secrets_of(before: &str, word: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    hide(before, word, 0, &mut found);
    found.extend(named(word));
    // `relayhost=smtp://user:password@host` as well as the value alone.
    let value = word.find('=').map_or(0, |sign| sign.saturating_add(1));
    for start in [0, value] {
        let Some(text) = word.get(start..) else {
            continue;
        };
        let ranges = [user_info(text), behind_host(text), login(text)];
        let shift = |it: Range<usize>| it.start.saturating_add(start)..it.end.saturating_add(start);
        found.extend(ranges.into_iter().flatten().map(shift));
    }
    found
}

/// Not a part of a longer word: a secret of one letter is not looked for in each.
fn stands_alone(text: &str, at: &Range<usize>) -> bool {
    let before = text.get(..at.start).and_then(|it| it.chars().next_back());
    let after = text.get(at.end..).and_then(|it| it.chars().next());
    let inner = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !inner(before) && !inner(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_about_a_command_line_repeats_a_secret_that_was_typed_there() {
        for (words, text, shown) in [
            (
                "-bp --password=s3cret",
                "unknown option --password=s3cret",
                "unknown option --password=***",
            ),
            (
                "--password s3cret",
                "\"s3cret\": the queue is listed as a whole",
                "\"***\": the queue is listed as a whole",
            ),
            (
                "init password=s3\"cret",
                "\"password=s3\\\"cret\": \"password\" is not asked",
                "\"password=***\": \"password\" is not asked",
            ),
            (
                "pin user:s3cret@host.example",
                "invalid value 'user:s3cret@host.example' for '[HOST]': no host",
                "invalid value '***@host.example' for '[HOST]': no host",
            ),
            (
                "init relayhost=smtp://user:s3cret@host",
                "relayhost: \"smtp://user:s3cret@host\" is no host",
                "relayhost: \"smtp://***@host\" is no host",
            ),
            (
                "pin host.example:587:user:s3cret",
                "'host.example:587:user:s3cret' has no port",
                "'host.example:587:***' has no port",
            ),
            (
                "--token=a",
                "a token is --token=a",
                "*** token is --token=***",
            ),
            (
                "root admin@example.org -f joe@example.org",
                "bad address \"admin@example.org\"",
                "bad address \"admin@example.org\"",
            ),
            (
                "--key /etc/key.pem -qs3cret",
                "/etc/key.pem: No such file",
                "/etc/key.pem: No such file",
            ),
        ] {
            assert_eq!(Typed::of(words.split(' ')).masked(text), shown, "{words}");
        }
    }
}
