//! How settings name tables, and the entries of those that are text.
//!
//! Quirks that count: `proxy:` in front changes nothing; a name without a type has that of
//! `default_database_type`; a database is made from the text beside it; a key of a table of
//! passwords is the next hop as it is written, or its host alone, which comes first.

use mail::{maps::logical_lines, nexthop::Nexthop};

use crate::list::{bare, members};

/// A table as it is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table<'a> {
    /// Keys and values in a file of text, which it is or is made from.
    Text(&'a str),
    /// `cidr`, `regexp` or `pcre`, and its file.
    Patterns(&'a str, &'a str),
    /// `inline:{ key = value, … }`
    Inline(&'a str),
    /// `static:value`
    Static(&'a str),
    /// A type that is no text here: its name, and what follows.
    Other(&'a str, &'a str),
}

/// Reads `hash:/etc/postfix/virtual`, and a path alone as a table of that type.
pub fn named<'a>(map: &'a str, usual: &'a str) -> Table<'a> {
    let map = map.strip_prefix("proxy:").unwrap_or(map);
    let (kind, rest) = match map.split_once(':') {
        Some((kind, rest)) if !kind.contains('/') => (kind, rest),
        _ => (usual, map),
    };
    match kind {
        "hash" | "btree" | "lmdb" | "cdb" | "dbm" | "sdbm" | "texthash" => Table::Text(rest),
        "cidr" | "regexp" | "pcre" if !rest.starts_with('{') => Table::Patterns(kind, rest),
        "inline" => Table::Inline(rest),
        "static" => Table::Static(bare(rest).trim()),
        _ => Table::Other(kind, rest),
    }
}

/// An entry: line, key and value.
pub type Entry = (u32, String, String);

/// The entries of a table of text.
pub fn entries(text: &str) -> Vec<Entry> {
    let lines = logical_lines(text).filter(|line| !line.orphan);
    let entry = |line: mail::maps::LogicalLine<'_>| {
        let text = line.text.trim();
        let (key, value) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        (line.number, key.to_owned(), value.trim().to_owned())
    };
    lines.map(entry).collect()
}

/// `{ key = value, { key = value with blanks } }`; an entry that is none is an error, as for
/// Postfix.
pub fn inline(entries: &str) -> Result<Vec<(String, String)>, String> {
    let mut tokens = members(bare(entries)).into_iter().peekable();
    let mut found = Vec::new();
    while let Some(token) = tokens.next() {
        let mut entry = bare(token).trim().to_owned();
        if !token.starts_with('{') {
            // Blanks around the sign, which Postfix takes in braces alone.
            let is_sign = |next: &&str| next.starts_with('=');
            entry.extend(tokens.next_if(|it| !entry.contains('=') && is_sign(it)));
            let is_value = |next: &&str| !next.contains(['=', '{']);
            let is_open = entry.ends_with('=') && !token.contains('=');
            entry.extend(tokens.next_if(|it| is_open && is_value(it)));
        }
        let Some((key, value)) = entry.split_once('=') else {
            return Err(format!("`{entry}`: an entry is {{ key = value }}"));
        };
        found.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(found)
}

/// `{ { /pattern/ value }, … }` as lines of a file.
pub fn inline_lines(entries: &str) -> String {
    let entries = members(bare(entries)).into_iter();
    entries
        .map(|entry| [bare(entry).trim(), "\n"].concat())
        .collect()
}

/// Which of the keys of a table of passwords is that of a relayhost: first its host without
/// brackets and port, then the next hop as it is written. A key such as `[host]` is none for
/// `[host]:587`.
pub fn key_of<'a>(relay: &Nexthop, keys: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
    let host = relay.host.to_ascii_lowercase();
    let wanted = Nexthop {
        host: host.clone(),
        ..relay.clone()
    };
    let is_host = |key: &str| key.eq_ignore_ascii_case(&host);
    let is_nexthop =
        |key: &str| Nexthop::parse(&key.to_ascii_lowercase()).is_ok_and(|key| key == wanted);
    let by_host = keys.clone().position(is_host);
    by_host.or_else(|| keys.clone().position(is_nexthop))
}

/// So many seconds; `usual` is the unit where none is written.
pub fn seconds(value: &str, usual: u64) -> Option<u64> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = value.strip_prefix(digits).unwrap_or_default();
    let unit = match unit.to_ascii_lowercase().as_str() {
        "w" => 604_800,
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        "" => usual,
        _ => return None,
    };
    let count: u64 = digits.trim().parse().ok()?;
    Some(count.saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_and_times_are_written_as_in_postfix() {
        for (map, table) in [
            ("hash:/etc/aliases", Table::Text("/etc/aliases")),
            ("proxy:lmdb:/x", Table::Text("/x")),
            ("/etc/postfix/virtual", Table::Text("/etc/postfix/virtual")),
            ("pcre:/x", Table::Patterns("pcre", "/x")),
            ("pcre:{{/a/ b}}", Table::Other("pcre", "{{/a/ b}}")),
            ("static:{a b}", Table::Static("a b")),
            ("proxy:mysql:/x.cf", Table::Other("mysql", "/x.cf")),
            ("unix:passwd.byname", Table::Other("unix", "passwd.byname")),
        ] {
            assert_eq!(named(map, "hash"), table, "{map}");
        }
        for (value, usual, wanted) in [
            ("30d", 1, Some(2_592_000)),
            ("5", 86_400, Some(432_000)),
            ("300s", 1, Some(300)),
            ("1h30m", 1, None),
            ("", 1, None),
            ("5x", 1, None),
        ] {
            assert_eq!(seconds(value, usual), wanted, "{value}");
        }
    }

    #[test]
    fn the_login_of_a_relayhost_stands_under_its_host_or_under_the_next_hop_as_postfix_looks_it_up()
    {
        for (relayhost, keys, found) in [
            ("[h.example]:587", "[h.example] h.example", Some(1)),
            ("[h.example]:587", "[h.example]:587 H.example", Some(1)),
            ("[h.example]:587", "[h.example] [H.example]:587", Some(1)),
            ("[h.example]:587", "[h.example]", None),
            ("[h.example]:587", "h.example:587 [h.example]:25", None),
            ("[h.example]", "[h.example]", Some(0)),
            ("h.example:587", "[h.example]:587 h.example:587", Some(1)),
            ("[2001:db8::1]:587", "[2001:db8::1]:587", Some(0)),
            ("[2001:db8::1]:587", "[2001:db8::1] 2001:db8::1", Some(1)),
        ] {
            let relay = Nexthop::parse(relayhost).unwrap();
            assert_eq!(
                key_of(&relay, keys.split(' ')),
                found,
                "{relayhost}: {keys}"
            );
        }
    }

    #[test]
    fn entries_between_braces_are_all_read_whatever_blanks_and_braces_are_around_them() {
        for (written, wanted) in [
            (
                "{ {a@b.example = 550 5.7.1 no} }",
                "a@b.example>550 5.7.1 no",
            ),
            ("{{<> = REJECT}}", "<>>REJECT"),
            ("{{ k.example=WARN x },{b=}}", "k.example>WARN x|b>"),
            ("{ a=b, c=d e=f }", "a>b|c>d|e>f"),
            ("{ a = b, c = d }", "a>b|c>d"),
            ("{ {k = a = b}\n {l = {x} y} }", "k>a = b|l>{x} y"),
            (" {a=, b=c}", "a>|b>c"),
            ("{ }", ""),
        ] {
            let found = inline(written).unwrap();
            let found: Vec<_> = found.iter().map(|(k, v)| format!("{k}>{v}")).collect();
            assert_eq!(found.join("|"), wanted, "{written}");
        }
        assert!(inline("{ a=b, lost }").is_err());
        assert_eq!(inline_lines("{ {/a b/ c}, {/d/ e} }"), "/a b/ c\n/d/ e\n");
    }
}
