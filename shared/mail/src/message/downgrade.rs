//! Header fields for a peer without SMTPUTF8 whose syntax itself is not ASCII: addresses,
//! identifiers, tokens.
//!
//! Contract: total; what comes out is ASCII. A mailbox with a local part in UTF-8 becomes an empty
//! group that shows it, a domain its A-labels, a URL its percent form; a trace field loses its
//! `for` clause, a list of identifiers those that cannot be written; of anything else the bytes go
//! that are not ASCII. Comments and phrases were encoded before
//! ([`encoded_words`](super::encoded_words)).
//! RFC 6857 §3.1.8 (empty groups), §3.2 (fields); RFC 6854 (groups in From); RFC 3986 §2.1, RFC
//! 5890 §2.3.2.1.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

use crate::{
    address::{
        Domain, Mailbox,
        list::{self, Entry},
    },
    message::{Field, q_encoding::folded},
};

/// Fields that hold identifiers, of which each counts by itself.
const IDENTIFIERS: &[&str] = &[
    "Message-ID",
    "Resent-Message-ID",
    "References",
    "In-Reply-To",
    "Content-ID",
];
/// Fields that are nothing without a value.
const GONE: &[&str] = &[
    "Resent-Message-ID",
    "References",
    "In-Reply-To",
    "Content-ID",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
];

/// The field in ASCII; `addresses`: it holds mailboxes.
pub(super) fn field(field: &Field, addresses: bool) -> Field {
    if field.name().is_empty() {
        let text = list::decode(field.raw().trim_ascii());
        return Field::new("X-Malformed", &folded(&text));
    }
    let body = field.body();
    let body = if addresses {
        mailboxes(body)
    } else if IDENTIFIERS.iter().any(|name| field.is(name)) {
        identifiers(body)
    } else if field.is("Received") {
        without_for(body)
    } else if field
        .name()
        .get(..5)
        .is_some_and(|x| x.eq_ignore_ascii_case("List-"))
    {
        in_brackets(body)
    } else {
        body.to_vec()
    };
    field.with_body(&ascii(&body))
}

/// Whether nothing is left of a field that needs something.
pub(super) fn is_gone(field: &Field) -> bool {
    field.value().is_empty() && GONE.iter().any(|name| field.is(name))
}

fn ascii(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(u8::is_ascii).collect()
}

/// Written anew, as groups cannot hold groups; as it is, if no address is to blame.
fn mailboxes(body: &[u8]) -> Vec<u8> {
    let entries = list::parse(body).entries;
    if entries.iter().all(|entry| entry.target.is_ascii()) {
        return body.to_vec();
    }
    let items: Vec<String> = entries.into_iter().map(mailbox).collect();
    format!(" {}", items.join(",\r\n ")).into_bytes()
}

fn mailbox(entry: Entry) -> String {
    let target = match entry.target {
        Mailbox::Address(address) => Mailbox::Address(address.with_ascii_domain()),
        Mailbox::Local(_) => entry.target,
    };
    // Already encoded.
    let name = entry.name.or(entry.comment).filter(|name| name.is_ascii());
    let name = name.map_or_else(String::new, |name| list::phrase(&name) + " ");
    match (target.is_ascii(), name.is_empty()) {
        (true, true) => target.to_string(),
        (true, false) => format!("{name}<{target}>"),
        (false, _) => format!("{name}{}:;", folded(&format!(" <{target}>"))),
    }
}

/// Those that can be written.
fn identifiers(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for word in body.split_inclusive(|&byte| byte == b'>' || byte.is_ascii_whitespace()) {
        if word.is_ascii() {
            out.extend_from_slice(word);
        }
    }
    if out.trim_ascii().is_empty() {
        out.clear();
    }
    out
}

/// Without `for` and the address behind it.
fn without_for(body: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(body.len());
    let mut after_for = None;
    for word in body.split_inclusive(u8::is_ascii_whitespace) {
        let start = out.len();
        out.extend_from_slice(word);
        let text = word.trim_ascii();
        match after_for {
            Some(start) if !text.is_ascii() => {
                out.truncate(start);
                while out.last().is_some_and(u8::is_ascii_whitespace) {
                    out.pop();
                }
                if let Some(semicolon) = word.iter().rposition(|&byte| byte == b';') {
                    out.extend_from_slice(word.get(semicolon..).unwrap_or_default());
                }
            }
            _ if text.is_empty() => continue,
            _ => {}
        }
        after_for = text.eq_ignore_ascii_case(b"for").then_some(start);
    }
    out
}

/// What stands in `<…>`: a URL, or the name of a list.
fn in_brackets(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for piece in body.split_inclusive(|&byte| byte == b'>') {
        let open = piece.iter().position(|&byte| byte == b'<');
        let (before, inner) = piece
            .split_at_checked(open.unwrap_or(0))
            .unwrap_or_default();
        out.extend_from_slice(before);
        let name = inner
            .strip_prefix(b"<")
            .and_then(|name| name.strip_suffix(b">"));
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        match name.and_then(|name| Domain::name(name).ok()) {
            Some(domain) => out.extend_from_slice(format!("<{domain}>").as_bytes()),
            None => out.extend_from_slice(percent(inner).as_bytes()),
        }
    }
    out
}

fn percent(url: &[u8]) -> String {
    let mut out = String::with_capacity(url.len());
    for &byte in url {
        // Writing to a String cannot fail.
        let _ = if byte.is_ascii() {
            out.write_char(char::from(byte))
        } else {
            write!(out, "%{byte:02X}")
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::message::{Header, encoded_words};

    fn sent(text: &[u8]) -> String {
        let mut header = Header::parse(text);
        encoded_words::to_ascii(&mut header);
        String::from_utf8(header.to_bytes()).unwrap()
    }

    #[test]
    fn no_field_goes_in_eight_bits_to_a_peer_that_does_not_take_them() {
        for (raw, expected) in [
            (
                "Reply-To: j\u{fc}@a.example",
                "Reply-To: =?utf-8?q?_=3Cj=C3=BC=40a=2Eexample=3E?=:;",
            ),
            (
                "From: J\u{fc} <j\u{fc}@a.example>",
                "From: =?utf-8?q?J=C3=BC?= =?utf-8?q?_=3Cj=C3=BC=40a=2Eexample=3E?=:;",
            ),
            (
                "Cc: a@b\u{fc}.example, Bob <b@x>",
                "Cc: a@xn--b-eha.example,\r\n Bob <b@x>",
            ),
            (
                "To: g: j\u{fc}@x, b@x;",
                "To: =?utf-8?q?_=3Cj=C3=BC=40x=3E?=:;,\r\n b@x",
            ),
            (
                "To: B\u{fc}ro S\u{fc}d: a@x;",
                "To: =?utf-8?q?B=C3=BCro?= =?utf-8?q?_S=C3=BCd?=: a@x;",
            ),
            ("To: \"j\u{fc} x\":;", "To: =?utf-8?q?j=C3=BC_x?=:;"),
            (
                "References: <a@x> <j\u{fc}@x>\r\n <b@x>",
                "References: <a@x> \r\n <b@x>",
            ),
            ("In-Reply-To: <j\u{fc}@x>", ""),
            ("Content-ID: <j\u{fc}@x>", ""),
            (
                "Content-Description: j\u{fc}",
                "Content-Description: =?utf-8?q?j=C3=BC?=",
            ),
            (
                "List-Id: F\u{fc} <j\u{fc}.a.example>",
                "List-Id: =?utf-8?q?F=C3=BC?= <xn--j-eha.a.example>",
            ),
            (
                "List-Unsubscribe: <mailto:a@x>, <https://x.example/\u{fc}>",
                "List-Unsubscribe: <mailto:a@x>, <https://x.example/%C3%BC>",
            ),
            (
                "Received: from a by b with ESMTP id 1\r\n\tfor <j\u{fc}@x>; Sat, 28 Nov 2026 19:00:00 +0000",
                "Received: from a by b with ESMTP id 1; Sat, 28 Nov 2026 19:00:00 +0000",
            ),
            (
                "Received: from j\u{fc} (B\u{fc}ro [192.0.2.1]) by b for <a@x>; Sat",
                "Received: from j (=?utf-8?q?B=C3=BCro_=5B192=2E0=2E2=2E1=5D?=) by b for <a@x>; Sat",
            ),
            ("MIME-Version: 1.0\u{fc}", "MIME-Version: 1.0"),
            (
                "Content-Transfer-Encoding: 8bit\u{fc}",
                "Content-Transfer-Encoding: 8bit",
            ),
            ("Auto-Submitted: \u{fc}", ""),
            ("j\u{fc}: x", "X-Malformed: =?utf-8?q?j=C3=BC=3A_x?="),
        ] {
            let expected = match expected {
                "" => String::new(),
                expected => format!("{expected}\r\n"),
            };
            assert_eq!(sent(format!("{raw}\r\n").as_bytes()), expected, "{raw}");
        }
        assert_eq!(
            sent(b"References: <a@x> <\xfc@x>\r\n"),
            "References: <a@x> \r\n"
        );
    }

    #[test]
    fn what_a_peer_with_smtputf8_may_read_stays_and_what_nobody_may_goes() {
        let repaired = |text: &[u8]| {
            let mut header = Header::parse(text);
            encoded_words::repair(&mut header);
            header.to_bytes()
        };
        let utf8 = "From: <j\u{fc}@x>\r\nReferences: <\u{fc}@x>\r\nReceived: from x for <\u{fc}@x>; Sat\r\n";
        assert_eq!(repaired(utf8.as_bytes()), utf8.as_bytes());
        assert_eq!(
            repaired(b"References: <a@x> <\xfc@x>\r\n"),
            b"References: <a@x> \r\n"
        );
    }

    const PIECES: &[&[u8]] = &[
        b"a@x",
        b"<",
        b">",
        b"\xc3\xbc",
        b"\xfc",
        b" ",
        b",",
        b";",
        b":",
        b"(",
        b")",
        b"\"",
        b"for ",
        b"\r\n ",
        b"@",
        b"x",
    ];

    proptest! {
        #[test]
        fn any_header_becomes_ascii_and_stays_that_way(
            name in prop::sample::select(&[
                "From", "To", "Received", "References", "List-Id", "List-Post", "Content-ID", "Content-Type", "Date",
                "MIME-Version", "Subject", "X-Y", "Resent-From", "Content-Description", "j\u{fc}",
            ][..]),
            value in prop::collection::vec(prop::sample::select(PIECES), 0..16),
        ) {
            let text = [name.as_bytes(), b": ", &value.concat(), b"\r\nEnd: x\r\n"].concat();
            let out = sent(&text);
            prop_assert!(out.is_ascii(), "{}", out);
            prop_assert_eq!(&sent(out.as_bytes()), &out);
            prop_assert!(Header::parse(out.as_bytes()).fields().len() <= 2);
        }
    }
}
