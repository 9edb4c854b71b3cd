//! Raw 8-bit text in header fields made into encoded words, so that mail goes to servers without
//! SMTPUTF8.
//!
//! Contract: fields in ASCII stay byte for byte; in address fields only names and comments change,
//! addresses never; fields whose bytes are syntax (Received, References, …) keep all but their
//! comments, as far as they are UTF-8; signed messages stay as they are; of MIME fields the
//! parameters change. Text is read as UTF-8, or else as ISO 8859-1. What comes out is ASCII
//! wherever the field's text was the only thing that was not; [`to_ascii`] leaves nothing else.
//! RFC 2047 §4.2 (Q), §5 (places); RFC 6532 is what remains where an address itself is UTF-8.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    address::list::{self, Entry},
    message::{
        Field, Header, downgrade, parameters,
        q_encoding::{folded, words},
    },
};

const ADDRESSES: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Reply-To",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Errors-To",
];
/// What is text, although its name begins as that of a field of [`SYNTAX`].
const TEXT: &[&str] = &["Content-Description"];

/// Beginnings of the names of fields whose values are syntax, not text.
const SYNTAX: &[&str] = &[
    "Received",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Date",
    "Return-Path",
    "Resent-",
    "MIME-Version",
    "Content-",
    "List-",
    "ARC-",
    "Authentication-Results",
    "DKIM-",
    "Auto-Submitted",
    "Delivered-To",
    "Bcc",
];

/// Of these, what a signature covers.
const SEALED: &[&str] = &["ARC-", "DKIM-", "Authentication-Results"];

/// Encodes raw 8-bit text of the header; how many fields changed.
pub fn repair(header: &mut Header) -> usize {
    each(header, false)
}

/// The same for a peer without SMTPUTF8: what cannot be encoded is written otherwise, or goes
/// ([`downgrade`]).
pub(super) fn to_ascii(header: &mut Header) -> usize {
    each(header, true)
}

fn each(header: &mut Header, strict: bool) -> usize {
    if header.first("DKIM-Signature").is_some() {
        return 0;
    }
    let mut changed = 0usize;
    header.edit(|field| {
        if field.raw().is_ascii() {
            return None;
        }
        let soft = encoded(field);
        let now = soft.as_ref().unwrap_or(field);
        let illegal = std::str::from_utf8(now.raw()).is_err();
        let other = if now.raw().is_ascii() || !(strict || illegal && !now.name().is_empty()) {
            soft
        } else {
            Some(downgrade::field(now, is_address_field(now)))
        }?;
        changed = changed.saturating_add(1);
        Some(other)
    });
    if changed > 0 {
        header.remove_where(downgrade::is_gone);
    }
    changed
}

fn is_address_field(field: &Field) -> bool {
    ADDRESSES.iter().any(|name| field.is(name))
}

fn starts(field: &Field, names: &[&str]) -> bool {
    names.iter().any(|start| {
        let name = field.name().get(..start.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(start))
    })
}

fn encoded(field: &Field) -> Option<Field> {
    if field.name().is_empty() {
        return None;
    }
    if is_address_field(field) {
        return addresses(field);
    }
    if field.is("Content-Type") || field.is("Content-Disposition") {
        return parameters::encoded(field);
    }
    if !starts(field, SYNTAX) || TEXT.iter().any(|name| field.is(name)) {
        return Some(text(field));
    }
    let sealed = starts(field, SEALED);
    let phrase = match field.body().iter().position(|&byte| byte == b'<') {
        Some(end) if field.is("List-Id") => end,
        _ => 0,
    };
    let (phrase, rest) = field.body().split_at_checked(phrase).unwrap_or_default();
    let body = [
        list::map_text(phrase, true, folded, mixed),
        list::map_text(rest, false, folded, mixed),
    ]
    .concat();
    (!sealed && body != field.body()).then(|| field.with_body(&body))
}

/// Unstructured text: runs of words that are not ASCII.
fn text(field: &Field) -> Field {
    let value = list::decode(&field.value());
    Field::new(field.name(), &runs(&value).join(" "))
}

/// All of a comment as encoded words, unless some of it is written so already.
fn mixed(text: &str) -> String {
    let is_plain = !text.contains(['(', ')', '\\']);
    if is_plain && text.split_whitespace().any(list::is_encoded) {
        runs(text).join(" ")
    } else {
        folded(text)
    }
}

/// Runs of words that are not ASCII as encoded words, and all others as they are.
fn runs(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    // Readers drop the blanks between two encoded words (RFC 2047 §6.2): where one stands already,
    // the run beside it has the blank.
    let mut before = "";
    for word in text.split_whitespace() {
        if !word.is_ascii() {
            run.push(word);
            continue;
        }
        let after = if list::is_encoded(word) { " " } else { "" };
        flush(&mut run, (before, after), &mut out);
        out.push(word.to_owned());
        before = after;
    }
    flush(&mut run, (before, ""), &mut out);
    out
}

fn flush(run: &mut Vec<&str>, (before, after): (&str, &str), out: &mut Vec<String>) {
    if !run.is_empty() {
        let text = format!("{before}{}{after}", run.join(" "));
        out.push(words(&text).join(" "));
        run.clear();
    }
}

/// Names and comments of the mailboxes, and what stands around these: names of groups, comments.
fn addresses(field: &Field) -> Option<Field> {
    let body = field.body();
    let around = |bytes: &[u8]| list::map_text(bytes, true, folded, mixed);
    let mut out = Vec::with_capacity(body.len());
    let mut kept = 0usize;
    for entry in list::parse(body).entries {
        let mailbox = body.get(entry.mailbox.clone()).unwrap_or_default();
        let spec = body.get(entry.spec.clone()).unwrap_or_default();
        let name = body.get(entry.mailbox.start..entry.spec.start);
        let name = name.unwrap_or_default();
        let rest_is_ascii = mailbox.iter().filter(|b| !b.is_ascii()).count()
            == spec.iter().filter(|b| !b.is_ascii()).count();
        out.extend_from_slice(&around(
            body.get(kept..entry.mailbox.start).unwrap_or_default(),
        ));
        if rest_is_ascii {
            out.extend_from_slice(mailbox);
        } else if list::has_encoded_word(name) {
            // What is encoded already stays so, beside the rest.
            let rest = body.get(entry.spec.end..entry.mailbox.end);
            out.extend_from_slice(&around(name));
            out.extend_from_slice(spec);
            out.extend_from_slice(&around(rest.unwrap_or_default()));
        } else {
            out.extend_from_slice(&mailbox_with_words(&entry, spec));
        }
        kept = entry.mailbox.end;
    }
    out.extend_from_slice(&around(body.get(kept..).unwrap_or_default()));
    (out != body).then(|| field.with_body(&out))
}

fn mailbox_with_words(entry: &Entry, spec: &[u8]) -> Vec<u8> {
    let phrase = |text: &str| {
        if text.is_ascii() {
            list::display_name(text)
        } else {
            folded(text)
        }
    };
    let mut out = Vec::new();
    match &entry.name {
        Some(name) => {
            out.extend_from_slice(phrase(name).as_bytes());
            out.extend_from_slice(b" <");
            out.extend_from_slice(spec);
            out.push(b'>');
        }
        None => out.extend_from_slice(spec),
    }
    if let Some(comment) = entry.comment.as_ref().filter(|comment| !comment.is_ascii()) {
        out.extend_from_slice(format!(" ({})", mixed(comment)).as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repaired(text: &[u8]) -> String {
        let mut header = Header::parse(text);
        repair(&mut header);
        String::from_utf8(header.to_bytes()).unwrap()
    }

    #[test]
    fn text_and_names_are_encoded_and_addresses_are_not() {
        for (raw, expected) in [
            (
                "Subject: Cron <r@h> d\u{e9}j\u{e0} vu, 100% sure\r\n",
                "Subject: Cron <r@h> =?utf-8?q?d=C3=A9j=C3=A0?= vu, 100% sure\r\n",
            ),
            (
                "Subject: \u{e9} \u{fc} x\r\n",
                "Subject: =?utf-8?q?=C3=A9_=C3=BC?= x\r\n",
            ),
            (
                "From: J\u{fc}rgen <j@x>,\r\n plain <p@x>\r\n",
                "From: =?utf-8?q?J=C3=BCrgen?= <j@x>,\r\n plain <p@x>\r\n",
            ),
            (
                "From: \"M\u{fc}ller, (J.)\" <j@x>\r\n",
                "From: =?utf-8?q?M=C3=BCller=2C_=28J=2E=29?= <j@x>\r\n",
            ),
            (
                "To: root (B\u{fc}ro)\r\n",
                "To: root (=?utf-8?q?B=C3=BCro?=)\r\n",
            ),
            (
                "To: j\u{fc}@x, Plain <p@x>\r\n",
                "To: j\u{fc}@x, Plain <p@x>\r\n",
            ),
            (
                "Content-Type: text/plain; name=\u{fc}\r\n",
                "Content-Type: text/plain; name*=utf-8''%C3%BC\r\n",
            ),
            ("Subject: a  b\r\n\tc\r\n", "Subject: a  b\r\n\tc\r\n"),
            (
                "DKIM-Signature: x\r\nSubject: \u{e9}\r\n",
                "DKIM-Signature: x\r\nSubject: \u{e9}\r\n",
            ),
        ] {
            assert_eq!(repaired(raw.as_bytes()), expected);
        }
        assert_eq!(
            repaired(b"Subject: caf\xe9\r\n"),
            "Subject: =?utf-8?q?caf=C3=A9?=\r\n"
        );
    }

    #[test]
    fn what_is_encoded_already_stays_so_beside_raw_text_and_the_blank_between_them_is_kept() {
        for (raw, expected) in [
            (
                "From: =?utf-8?q?J=C3=B6rg?= \"M\u{fc}ller\" <j@x>\r\n",
                "From: =?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M=C3=BCller?= <j@x>\r\n",
            ),
            (
                "To: a@x, \u{e9} =?utf-8?b?SsO2cmc=?= J. <j@x> (B\u{fc}ro), b@x\r\n",
                "To: a@x, =?utf-8?q?=C3=A9_?= =?utf-8?b?SsO2cmc=?= J. <j@x> (=?utf-8?q?B=C3=BCro?=), b@x\r\n",
            ),
            (
                "Cc: \"=?utf-8?q?x?=\" \u{e9} <j@x>\r\n",
                "Cc: =?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D_=C3=A9?= <j@x>\r\n",
            ),
            (
                "To: root (=?utf-8?q?a?= \u{fc})\r\n",
                "To: root (=?utf-8?q?a?= =?utf-8?q?_=C3=BC?=)\r\n",
            ),
            (
                "To: =?utf-8?q?a?= \u{fc}: b@x;\r\n",
                "To: =?utf-8?q?a?= =?utf-8?q?_=C3=BC?=: b@x;\r\n",
            ),
            (
                "Subject: \u{fc} =?utf-8?q?a?= \u{fc} x\r\n",
                "Subject: =?utf-8?q?=C3=BC_?= =?utf-8?q?a?= =?utf-8?q?_=C3=BC?= x\r\n",
            ),
        ] {
            assert_eq!(repaired(raw.as_bytes()), expected);
        }
    }

    /// What a mail program shows: encoded words decoded, the blanks between two of them dropped.
    fn shown(text: &str) -> String {
        let text = text
            .replace("?= =?utf-8?q?", "")
            .replace("?=\r\n =?utf-8?q?", "")
            .replace("\r\n", "");
        let mut out = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("=?utf-8?q?") {
            out.extend_from_slice(before.as_bytes());
            let (word, after) = after.split_once("?=").unwrap();
            let mut bytes = word.bytes();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'=' => {
                        let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                        out.push(
                            u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap(),
                        );
                    }
                    b'_' => out.push(b' '),
                    _ => out.push(byte),
                }
            }
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn a_reader_sees_the_text_that_was_written(words in prop::collection::vec("[a-z\u{e9}\u{4e2d}\u{1f4e7}()<>,._%]{1,30}", 1..12)) {
            let value = words.join(" ");
            let out = repaired(format!("Subject: {value}\r\n").as_bytes());
            prop_assert!(out.is_ascii());
            prop_assert!(out.lines().all(|line| line.len() <= 78 || value.is_ascii()));
            let shown = shown(&out);
            prop_assert_eq!(shown.trim_end(), format!("Subject: {value}"));
        }

        #[test]
        fn any_bytes_are_repaired_once_and_no_field_is_made_or_lost(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let value: Vec<u8> = value.into_iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect();
            for name in ["Subject", "From"] {
                let mut header = Header::parse(&[name.as_bytes(), b": ", &value, b"\r\nEnd: x\r\n"].concat());
                repair(&mut header);
                let again = Header::parse(&header.to_bytes());
                prop_assert_eq!(again.fields().len(), 2);
                prop_assert_eq!(&again, &header);
                if name == "Subject" {
                    prop_assert!(header.to_bytes().is_ascii());
                }
            }
        }
    }
}
