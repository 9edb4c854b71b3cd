//! Secrets among the words with which a program is called, as a configuration has them in TOML.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::names::{named, names_secret, names_user};

/// What stands before a secret in a header that a program is to send.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// What stands behind the scheme of a login in a line: `Authorization: Bearer …`.
pub(super) fn bearers(line: &str) -> Vec<Range<usize>> {
    let (mut found, mut before, mut last) = (Vec::new(), "", "");
    for (at, word) in words(line) {
        let is_scheme = |scheme: &&str| last.eq_ignore_ascii_case(scheme);
        let is_header = before.ends_with([':', '=']) || last.eq_ignore_ascii_case("bearer");
        let end = word.trim_end_matches(['"', '\'', '`']).len();
        if is_header && SCHEMES.iter().any(is_scheme) && end > 0 {
            found.push(at..at.saturating_add(end));
        }
        (before, last) = (last, word);
    }
    found
}

/// Where secrets stand in a list whose first text is the path of a program: behind the name of one,
/// in the same word or the next (`--token=…`, `--password`, `…`), and behind a user's name.
pub fn arguments(value: &str) -> Vec<Range<usize>> {
    let texts = texts(value);
    let is_program =
        |at: &Range<usize>| value.get(at.clone()).is_some_and(|it| it.starts_with('/'));
    let Some((program, rest)) = texts.split_first().filter(|(first, _)| is_program(first)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut before = value.get(program.clone()).unwrap_or_default();
    for text in rest {
        let written = value.get(text.clone()).unwrap_or_default();
        hide(before, written, text.start, &mut found);
        // A text may be a line for a shell, or a header.
        let mut last = "";
        for (at, word) in words(written) {
            let start = text.start.saturating_add(at);
            hide(last, word, start, &mut found);
            if SCHEMES
                .iter()
                .any(|scheme| last.eq_ignore_ascii_case(scheme))
            {
                found.push(start..start.saturating_add(word.len()));
            }
            last = word;
        }
        let shift = |it: Range<usize>| {
            it.start.saturating_add(text.start)..it.end.saturating_add(text.start)
        };
        found.extend(named(written).into_iter().map(shift));
        before = written;
    }
    found
}

/// A word behind another one that names what it is.
pub(super) fn hide(before: &str, word: &str, start: usize, found: &mut Vec<Range<usize>>) {
    let name = before.trim_start_matches('-');
    let is_option = before.starts_with('-') && !before.contains('=');
    let is_file = ["/", "./", "../", "-"]
        .iter()
        .any(|it| word.starts_with(it));
    let is_secret = is_option && names_secret(name) && !is_file;
    let is_login = is_option && (names_user(name) || name == "u") && word.contains(':');
    if is_secret || is_login {
        found.push(start..start.saturating_add(word.len()));
    }
}

/// The insides of quotes.
fn texts(value: &str) -> Vec<Range<usize>> {
    let (mut texts, mut open, mut escaped) = (Vec::new(), None, false);
    for (at, c) in value.char_indices() {
        match open {
            _ if std::mem::take(&mut escaped) => {}
            None if matches!(c, '"' | '\'') => open = Some((c, at.saturating_add(1))),
            Some(('"', _)) if c == '\\' => escaped = true,
            Some((quote, start)) if c == quote => {
                texts.push(start..at);
                open = None;
            }
            None | Some(_) => {}
        }
    }
    texts
}

/// With their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0usize;
    text.split(char::is_whitespace).filter_map(move |word| {
        let at = from;
        from = at.saturating_add(word.len()).saturating_add(1);
        (!word.is_empty()).then_some((at, word))
    })
}

#[cfg(test)]
mod tests {
    use super::super::places_only;

    #[test]
    fn what_a_program_is_called_with_is_shown_without_what_looks_like_a_secret() {
        for (value, shown) in [
            (
                r#"["/bin/x", "--password", "s3cret", "-v", "${recipient}"]"#,
                r#"["/bin/x", "--password", "***", "-v", "${recipient}"]"#,
            ),
            (
                r#"["/bin/x", "--token=s3cret", "--api-key", "s3 cret"]"#,
                r#"["/bin/x", "--token=***", "--api-key", "***"]"#,
            ),
            (
                r#"["/bin/x", "--key", "/etc/key.pem", "--password-file", "./pw"]"#,
                r#"["/bin/x", "--key", "/etc/key.pem", "--password-file", "./pw"]"#,
            ),
            (
                r#"["/usr/bin/env", "PASSWORD=s3cret", "/bin/x"]"#,
                r#"["/usr/bin/env", "PASSWORD=***", "/bin/x"]"#,
            ),
            (
                r#"["/bin/curl", "-u", "me:s3cret", "https://a:b@example.org/"]"#,
                r#"["/bin/curl", "-u", "***", "https://***@example.org/"]"#,
            ),
            (
                r#"["/bin/curl", "-H", "Authorization: Bearer s3cret"]"#,
                r#"["/bin/curl", "-H", "Authorization: Bearer ***"]"#,
            ),
            (
                r#"["/bin/sh", "-c", "x --secret s3cret \"a\" | y"]"#,
                r#"["/bin/sh", "-c", "x --secret *** \"a\" | y"]"#,
            ),
            (
                r#"{ command = ["/bin/x", "--secret", "s3cret"] }"#,
                r#"{ command = ["/bin/x", "--secret", "***"] }"#,
            ),
            (
                r#"["permit_mynetworks", "check_client_access pcre:/etc/token=x"]"#,
                r#"["permit_mynetworks", "check_client_access pcre:/etc/token=x"]"#,
            ),
            (r#"["/etc/a", "/etc/b"]"#, r#"["/etc/a", "/etc/b"]"#),
        ] {
            assert_eq!(places_only(value), shown, "{value}");
        }
    }
}
