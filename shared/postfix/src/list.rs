//! Lists, and what stands between braces.

/// What stands in brackets at the beginning, and what follows.
pub fn enclosed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let inner = text.trim_start().strip_prefix(open)?;
    let mut depth = 1usize;
    for (at, c) in inner.char_indices() {
        if c == open {
            depth = depth.saturating_add(1);
        } else if c == close {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            let (inside, rest) = inner.split_at_checked(at)?;
            return Some((inside, rest.strip_prefix(close).unwrap_or(rest)));
        }
    }
    None
}

/// Without the braces around it.
pub fn bare(text: &str) -> &str {
    enclosed(text, '{', '}').map_or(text, |(inner, _)| inner)
}

/// The members of a list: blanks and commas separate, braces keep together.
pub fn members(value: &str) -> Vec<&str> {
    split(value, |c| c.is_whitespace() || c == ',')
}

/// Whether `smtp_sasl_mechanism_filter` lets tokens of OAuth 2.0 through, and no password: what
/// stands in a table of passwords is none then.
pub fn gives_tokens(filter: &str) -> bool {
    let is_token =
        |it: &&str| it.eq_ignore_ascii_case("xoauth2") || it.eq_ignore_ascii_case("oauthbearer");
    let mut allowed = members(filter)
        .into_iter()
        .filter(|it| !it.starts_with('!'));
    let mut any = false;
    allowed.all(|it| {
        any = true;
        is_token(&it)
    }) && any
}

/// The words of a line: blanks separate, braces keep together.
pub(crate) fn words(line: &str) -> Vec<&str> {
    split(line, char::is_whitespace)
}

fn split(value: &str, is_separator: impl Fn(char) -> bool) -> Vec<&str> {
    let mut members = Vec::new();
    let (mut depth, mut start) = (0usize, None);
    for (at, c) in value.char_indices() {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let separates = depth == 0 && is_separator(c);
        match start {
            Some(begun) if separates => {
                members.extend(value.get(begun..at));
                start = None;
            }
            None if !separates => start = Some(at),
            _ => {}
        }
    }
    members.extend(start.and_then(|begun| value.get(begun..)));
    members
}
