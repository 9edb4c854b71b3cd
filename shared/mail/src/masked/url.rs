//! What stands behind a host and is nobody's business.

use std::ops::Range;

/// Schemes of stores, behind whose host a number stands.
const STORES: [&str; 4] = ["redis:", "rediss:", "valkey:", "valkeys:"];

/// Where a word of a line begins or ends.
pub(super) fn is_edge(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// What stands behind the `?` of a URL or of `unix:PATH`, and what a store has in the place of its
/// database and is no number.
pub fn behind_host(value: &str) -> Option<Range<usize>> {
    let slashes = value.find("//").map(|at| at.saturating_add(2));
    let socket = value.find("unix:").map(|at| at.saturating_add(5));
    let start = slashes.or(socket)?;
    let (scheme, rest) = value.split_at_checked(start)?;
    let word = rest.split(is_edge).next()?;
    // A password may have slashes and question marks.
    let login = word.rfind('@').map_or(0, |at| at.saturating_add(1));
    let (start, rest) = (start.saturating_add(login), word.get(login..)?);
    let scheme = scheme.trim_end_matches('/').to_lowercase();
    let is_store = STORES.iter().any(|store| scheme.ends_with(store));
    let path = rest.find('/').filter(|_| is_store);
    let is_number = |at: usize| {
        let path = rest.get(at..).unwrap_or_default();
        path.bytes().skip(1).all(|byte| byte.is_ascii_digit())
    };
    let from = path.filter(|at| !is_number(*at)).or(rest.find('?'))?;
    let range = start.saturating_add(from).saturating_add(1)..start.saturating_add(rest.len());
    (!range.is_empty()).then_some(range)
}

/// A login behind the host of a value, as settings and tables of other programs have it there.
pub fn login(value: &str) -> Option<Range<usize>> {
    behind_port(value).or_else(|| login_behind_host(value))
}

/// What stands behind host and port of a value, as some write a login there: `host:587 user:pw`,
/// `[host]:587:user:pw`, `host:587 user=u pass=pw`.
fn behind_port(value: &str) -> Option<Range<usize>> {
    // An address, a network, a time.
    if value
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || b":.[]/\"' -+T".contains(&byte))
    {
        return None;
    }
    let colons = value.match_indices(':').map(|(at, _)| at.saturating_add(1));
    let mut places = colons.filter_map(|at| {
        let rest = value.get(at..)?;
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_port = (1..=5).contains(&rest.len().saturating_sub(behind.len()));
        let login = behind.strip_prefix(|c: char| c == ':' || c.is_whitespace());
        let login = login.filter(|_| is_port)?;
        let end = login.find(['"', '\'']).unwrap_or(login.len());
        let login = login.get(..end)?;
        let mut signs = login.match_indices([':', '=']);
        let is_login = signs.any(|(sign, _)| {
            let next = login.get(sign.saturating_add(1)..);
            next.is_some_and(|next| !next.is_empty() && !next.starts_with(['/', ' ']))
        });
        let start = value.len().saturating_sub(behind.len()).saturating_add(1);
        is_login.then(|| start..start.saturating_add(login.len()))
    });
    places.next()
}

/// `user:password` behind a host and a blank, as tables of passwords have it, to the end of the
/// quotation or else of the text.
fn login_behind_host(text: &str) -> Option<Range<usize>> {
    let quotes = ['"', '\'', '`'];
    let (mut at, mut before) = (0usize, "");
    for word in text.split_inclusive(char::is_whitespace) {
        let (start, bare) = (at, word.trim_end());
        at = at.saturating_add(word.len());
        if bare.is_empty() {
            continue;
        }
        if is_host(before.trim_start_matches(quotes)) && is_login(bare.trim_end_matches(quotes)) {
            let rest = text.get(start..)?;
            let mut ends = rest.match_indices(quotes);
            let is_end = |end: usize| !rest.get(..end).is_some_and(|it| it.ends_with('\\'));
            let end = ends.find(|(end, _)| is_end(*end)).map(|(end, _)| end);
            let length = end.unwrap_or_else(|| rest.trim_end().len());
            return Some(start..start.saturating_add(length));
        }
        before = bare;
    }
    None
}

fn is_host(word: &str) -> bool {
    word.contains(['.', ']', ':']) && !word.contains(['/', '=', ',', '"', '\''])
}

/// Not `hash:/table`, nor another host with its port.
fn is_login(word: &str) -> bool {
    let Some((user, password)) = word.split_once(':') else {
        return false;
    };
    let is_port = password.len() <= 5 && password.bytes().all(|byte| byte.is_ascii_digit());
    let is_place = password.starts_with('/') || (is_port && is_host(user));
    !user.is_empty() && !password.is_empty() && !is_place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_behind_a_port_is_found_and_an_address_or_a_table_is_none() {
        for (text, hidden) in [
            ("\"[h]:587:u:s3cret\"", "u:s3cret"),
            ("\"[h]:587 user=u pass=s3cret\"", "user=u pass=s3cret"),
            ("mail.example.org:587 u:s3cret", "u:s3cret"),
            ("inet:h:1:u:s3cret", "u:s3cret"),
            ("\"[h]:587\"", ""),
            ("\"inet:127.0.0.1:10023\"", ""),
            (
                "check_policy_service inet:a:1 check_helo_access hash:/etc/x",
                "",
            ),
            ("\"2001:db8:1:2:3::1\"", ""),
            ("\"[2001:db8::1]:25\"", ""),
            ("2026-11-30T12:00:01+01:00", ""),
            ("redis://h:1/0", ""),
        ] {
            let found = behind_port(text).map_or("", |range| &text[range]);
            assert_eq!(found, hidden, "{text}");
        }
    }

    #[test]
    fn a_login_behind_a_host_is_found_and_a_table_or_another_host_is_none() {
        for (line, login) in [
            ("smtp.example.org:587 u:s3cret", Some("u:s3cret")),
            ("\"[mail]:587  u@a:s3 c:t\"", Some("u@a:s3 c:t")),
            (
                "relayhost = [\"a.example\", \"mail.example.org u:s3\\\"c\", \"b.example\"]",
                Some("u:s3\\\"c"),
            ),
            ("relayhost = \"a.example b.example:587\"", None),
            ("mail.example.org hash:/etc/table", None),
            ("check_client_access hash:table", None),
            ("mail.example.org u", None),
            ("mail.example.org:587", None),
            (" :", None),
            ("a. :", None),
        ] {
            let found = login_behind_host(line).and_then(|range| line.get(range));
            assert_eq!(found, login, "{line}");
        }
    }

    #[test]
    fn a_password_behind_the_host_of_a_url_is_found() {
        for (text, hidden) in [
            ("redis://h:1/s3cret", "s3cret"),
            ("redis://h:1/0?password=s3cret", "0?password=s3cret"),
            ("\"rediss://h?pass=s3cret\" x", "pass=s3cret"),
            ("unix:/run/r.sock?pass=s3cret", "pass=s3cret"),
            ("redis+unix:///run/r.sock?pass=s3cret", "pass=s3cret"),
            ("https://h/path?token=s3cret#x", "token=s3cret#x"),
            ("redis://h:1/0", ""),
            ("redis://h:1/", ""),
            ("redis://h", ""),
            ("https://h/path", ""),
            ("unix:/run/r.sock", ""),
            ("what is it?", ""),
        ] {
            let found = behind_host(text).map_or("", |range| &text[range]);
            assert_eq!(found, hidden, "{text}");
        }
    }
}
