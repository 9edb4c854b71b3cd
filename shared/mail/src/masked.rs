//! What of a text that somebody wrote may be shown to others: which names are those of secrets, and
//! where in a text a secret stands.
//!
//! | part | what is hidden |
//! |---|---|
//! | [`names_secret`] | what has such a name: `password`, `AuthPass`, `api_key`, also misspelt |
//! | [`named`] | what stands behind such a name: `host?password=secret` |
//! | [`user_info`] | user and password of a URL: `smtp://user:password@host` |
//! | [`behind_host`] | what a URL asks for, which may be a password: `redis://host/0?pass=password` |
//! | [`login`] | a login behind a host: `host:587:user:password`, `mail.example.org user:password` |
//! | [`list_keys`] | a customer's key in the name of a block list: `abc….zen.dq.spamhaus.net` |
//! | [`arguments`] | what a program is called with: `["/bin/x", "--password", "secret"]` |
//! | [`said`] | in what a program says: what it was called with; [`tokens`]: what looks like one |
//! | [`Typed`] | what was typed on a command line, in messages about it |
//! | [`free_text`] | all of these in a sentence or a line of a file |
//!
//! Contract: pure, total, in linear time. What only looks like a secret is hidden, too.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod arguments;
mod names;
mod said;
mod typed;
mod url;

use std::ops::Range;

pub use arguments::arguments;
use arguments::bearers;
pub use names::{named, names_secret, names_user};
pub use said::printed;
use said::{given_in, tokens_in};
pub use typed::Typed;
use url::is_edge;
pub use url::{behind_host, login};

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Fewest characters of a customer's key in the name of a list.
const KEY: usize = 16;
/// Lists in whose names the fifth label from the end is such a key, however it looks.
const KEYED: [&str; 2] = [".dq.spamhaus.net", ".mail.abusix.zone"];

/// User and password in a value: what stands between `//` and the last `@` behind it, also where
/// that is cut off, or, where there is no `//`, `user:password` before an `@`.
pub fn user_info(value: &str) -> Option<Range<usize>> {
    let scheme = value.find("//").map(|at| at.saturating_add(2));
    let range = match (value.rfind('@'), scheme) {
        (Some(end), Some(start)) => start..end,
        (Some(end), None) => {
            let before = value.get(..end)?;
            let mut colons = before.match_indices(':').map(|(at, _)| before.split_at(at));
            let is_login = |after: &str| !after.chars().nth(1).is_none_or(char::is_whitespace);
            let (user, _) = colons.find(|(_, after)| is_login(after))?;
            user.rfind(is_edge).map_or(0, |at| at.saturating_add(1))..end
        }
        (None, scheme) => {
            // Behind the colon of a host stands a number.
            let start = scheme?;
            let host = value.get(start..)?.split('/').next()?;
            let host = host.trim_end_matches(is_edge);
            let port = host.rsplit(']').next()?.split_once(':')?.1;
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            (!is_port).then(|| start..start.saturating_add(host.len()))?
        }
    };
    (range.start < range.end).then_some(range)
}

/// Labels of names that look like the key of a customer.
pub fn list_keys(text: &str) -> Vec<Range<usize>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_keyed = |name: &str| KEYED.iter().any(|zone| name.to_lowercase().ends_with(zone));
    let mut found = Vec::new();
    let mut from = 0usize;
    for name in text.split_inclusive(|c: char| !is_name(c)) {
        let plain = name.trim_end_matches(|c: char| !is_name(c));
        let labels: Vec<_> = plain.trim_end_matches('.').split('.').collect();
        let mut at = from;
        for (label, behind) in labels.iter().zip((0..labels.len()).rev()) {
            let end = at.saturating_add(label.len());
            let has = |which: fn(&u8) -> bool| label.bytes().any(|byte| which(&byte));
            let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
            let is_one = is_mixed && label.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let is_long = is_one && label.len() >= KEY && (behind >= 1 || plain.ends_with('.'));
            if is_long || (behind == 4 && !label.is_empty() && is_keyed(plain)) {
                found.push(at..end);
            }
            at = end.saturating_add(1);
        }
        from = from.saturating_add(name.len());
    }
    found
}

/// A text without the secrets that can be seen in it: what is said of a line of a table or of
/// another program's file. What stands behind `password =` is hidden to the end of the quotation,
/// or else of the line.
pub fn free_text(text: &str) -> String {
    let mut hidden = Vec::new();
    let mut from = 0usize;
    for line in text.split_inclusive('\n') {
        let mut shift = |range: Range<usize>| {
            hidden.push(range.start.saturating_add(from)..range.end.saturating_add(from));
        };
        named(line).into_iter().for_each(&mut shift);
        bearers(line).into_iter().for_each(&mut shift);
        list_keys(line).into_iter().for_each(&mut shift);
        urls(line).into_iter().for_each(&mut shift);
        from = from.saturating_add(line.len());
    }
    without(text, hidden)
}

/// What a program said, without the words with which it was called, its path not among them.
pub fn said(text: &str, given: &[&str]) -> String {
    free_text(&without(text, given_in(text, given)))
}

/// A text without what looks like a token in it.
pub fn tokens(text: &str) -> String {
    without(text, tokens_in(text))
}

/// A value without what is a secret in its URLs, names of block lists and arguments of programs.
pub fn places_only(value: &str) -> String {
    let hidden = list_keys(value).into_iter().chain(urls(value));
    without(value, hidden.chain(arguments(value)).collect())
}

/// Two values of a setting, in TOML, as they may be shown; `None`: only that they differ may.
pub fn values(key: &str, one: &str, other: &str) -> Option<[String; 2]> {
    // The place of a file is no secret; a program that gives a token may be called with one.
    let is_path = |value: &str| value.is_empty() || value.starts_with("\"/");
    let shown = [one, other].map(places_only);
    let is_secret = names_secret(key) && !(is_path(one) && is_path(other));
    (!is_secret && shown[0] != shown[1]).then_some(shown)
}

/// A sentence without those of its quoted parts.
pub fn requoted(what: &str, quote: char, hides: &dyn Fn(&str) -> bool) -> String {
    let parts = what.split(quote).enumerate();
    let parts = parts.map(|(number, part)| {
        let is_quoted = number % 2 == 1;
        if is_quoted && hides(part) { MASK } else { part }
    });
    parts.collect::<Vec<_>>().join(&quote.to_string())
}

/// The same text with [`MASK`] in these places, which may overlap.
pub fn without(text: &str, mut hidden: Vec<Range<usize>>) -> String {
    hidden.sort_by_key(|range| range.start);
    let (mut out, mut at) = (String::new(), 0usize);
    for range in hidden {
        if range.end <= at {
            continue;
        }
        if range.start >= at {
            out.push_str(text.get(at..range.start).unwrap_or_default());
            out.push_str(MASK);
        }
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// User and password of each URL.
fn urls(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0usize;
    for word in line.split_inclusive(is_edge) {
        if word.contains("//")
            && let Some(range) = user_info(word)
        {
            found.push(range.start.saturating_add(from)..range.end.saturating_add(from));
        }
        if let Some(range) = behind_host(word) {
            found.push(range.start.saturating_add(from)..range.end.saturating_add(from));
        }
        from = from.saturating_add(word.len());
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_secrets_are_known_also_misspelt_and_others_are_none() {
        for name in [
            "password",
            "passwrd",
            "pasword",
            "pssword",
            "passwd",
            "pwd",
            "pw",
            "pass",
            "AuthPass",
            "smtp_pass",
            "secret",
            "secrets",
            "secert",
            "token",
            "web.token",
            "web_token",
            "tken",
            "tloken",
            "tokexn",
            "kyey",
            "apikey",
            "api_key",
            "key",
            "dnsbl.keys",
            "auth",
            "relay_auth",
            "auth.passwort",
            "passphrase",
            "credentials",
            "relay_auth.token.command",
            "smtp_sasl_password_maps",
            "authPassword",
            "PASSWORD",
            "\"password\"",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in [
            "",
            "relayhost",
            "hostname",
            "auth.user",
            "auth.usr",
            "tls",
            "admins",
            "networks",
            "restrictions",
            "transport",
            "transports.slow.delay",
            "message_size",
            "spool",
            "budget",
            "store",
            "nodes",
            "aliases",
            "greylist.delay",
            "retry.minimal",
            "certificate",
            "from_override",
            "postscript",
            "author",
            "proxy",
            "pins",
            "client_pins",
            "AuthUser",
        ] {
            let is_user = name == "AuthUser";
            assert_eq!(names_secret(name), is_user, "{name}");
        }
    }

    #[test]
    fn a_password_in_a_url_a_key_in_a_zone_and_what_a_name_promises_are_hidden() {
        for (text, shown) in [
            (
                "`smtp://u:s3cret@host` is none",
                "`smtp://***@host` is none",
            ),
            ("redis://:s3/cr@et@h/0", "redis://***@h/0"),
            ("no file: //u:s3cret@h", "no file: //***@h"),
            ("mail for a@b.example", "mail for a@b.example"),
            ("`root:admin@example.org`", "`root:admin@example.org`"),
            (
                "`password = s3cret` is no name",
                "`password = ***` is no name",
            ),
            ("AuthPass=s3cret word", "AuthPass=***"),
            ("/run/secret: No such file", "/run/secret: No such file"),
            ("\"token\": \"s3cret\"", "\"token\": ***"),
            ("use password_file", "use password_file"),
            ("duplicate key: keep one", "duplicate key: keep one"),
            ("auth: s3cret", "auth: ***"),
            (
                "abcdefghij2345678901234567.zen.dq.spamhaus.net=127.0.0.2",
                "***.zen.dq.spamhaus.net=127.0.0.2",
            ),
            (
                "abcdefghijklmnop.zen.dq.spamhaus.net",
                "***.zen.dq.spamhaus.net",
            ),
            ("zen.spamhaus.org", "zen.spamhaus.org"),
            ("${DQS}.zen.dq.spamhaus.net", "${DQS}.zen.dq.spamhaus.net"),
            (
                "internationalization.example.org",
                "internationalization.example.org",
            ),
            ("name: ***", "name: ***"),
        ] {
            assert_eq!(free_text(text), shown, "{text}");
        }
        assert_eq!(user_info("user:s3cret@mail.example.org:587"), Some(0..11));
        assert_eq!(user_info("smtp://user:s3cret"), Some(7..18));
        assert_eq!(user_info("redis://127.0.0.1:6379/0"), None);
        assert_eq!(user_info("redis://[2001:db8::1]:6379"), None);
        assert_eq!(user_info("admin@example.org"), None);
        assert_eq!(user_info("virtual: a@example.org"), None);
    }

    proptest! {
        #[test]
        fn whatever_the_text_is_it_can_be_shown(text in "([a-z:@/= .\"`#é\\n]|pass|://){0,60}") {
            let shown = free_text(&text);
            let most = text.chars().count().saturating_add(1).saturating_mul(MASK.len());
            prop_assert!(shown.chars().count() <= most);
        }
    }
}
