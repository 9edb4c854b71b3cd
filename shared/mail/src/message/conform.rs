//! Fields that a strict relayhost refuses, written anew as they were meant.
//!
//! Contract: afterwards each field that may stand once stands once at most (To and Cc are joined,
//! of the others the first usable one stays), address fields parse and have one author, `Date` and
//! `Message-ID` are of the standard or gone, no line is anything but a field. What was well-formed
//! is untouched, byte for byte, and so are obsolete forms (RFC 5322 §4) that nothing else is wrong
//! with; a field that is written anew has none. Conforming twice is conforming once.
//! What is missing then, [`complete`](super::complete) adds.
//! RFC 5322 §3.6 (how often), §3.4, §3.6.2, §3.6.4; RFC 2045 §3.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    address::list::{
        decode,
        mend::{Known, Role, mend},
    },
    message::{Field, Header, date, rewrite::Change},
};

/// Fields that may stand once.
const ONCE: &[&str] = &[
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
];
/// Of these, those whose values are put together.
const JOINED: &[&str] = &["To", "Cc"];
/// Fields with one mailbox.
const AUTHORS: &[&str] = &["From", "Sender", "Resent-From", "Resent-Sender"];
/// Fields with any number of mailboxes.
const RECIPIENTS: &[&str] = &[
    "Reply-To",
    "To",
    "Cc",
    "Resent-To",
    "Resent-Cc",
    "Resent-Reply-To",
];
/// Fields that must not be empty, and need not be there.
const OPTIONAL: &[&str] = &[
    "Sender",
    "Reply-To",
    "Cc",
    "In-Reply-To",
    "References",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "Resent-Reply-To",
];

/// Makes the header one that every relayhost takes. `own` is the address, or the local name, of who
/// sends it; `known`: which words in fields of recipients are mailboxes, and no parts of a name.
pub fn conform(header: &mut Header, own: &str, known: Known<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut authors = Vec::new();
    header.edit(|field| {
        let tidied = field.tidied();
        let plain = without_controls(tidied.as_ref().unwrap_or(field));
        let tidied = plain.or(tidied);
        let field = tidied.as_ref().unwrap_or(field);
        let mended = mended(field, own, known, &mut authors).or_else(|| strict(tidied.as_ref()?));
        if let Some(mended) = &mended {
            changes.push(change(field, mended, "RFC 5322"));
        }
        mended.or(tidied.clone())
    });
    once(header, &mut changes);
    header.remove_where(|field| is_one_of(field, OPTIONAL) && is_empty(field));
    if !authors.is_empty() && header.first("Reply-To").is_none() {
        header.append(Field::new("Reply-To", &authors.join(", ")));
    }
    changes
}

/// With blanks in the place of control characters (RFC 5322 §2.2); `None` if there are none. Those
/// of ISO-2022 texts, which mean other letters, stay.
fn without_controls(field: &Field) -> Option<Field> {
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n');
    let body = field.body();
    let shifts = |pair: &[u8]| matches!(pair, [0x1b, b'$' | b'(']);
    if field.name().is_empty() || !body.iter().any(is_control) || body.windows(2).any(shifts) {
        return None;
    }
    let blank = |byte: &u8| if is_control(byte) { b' ' } else { *byte };
    let body: Vec<u8> = body.iter().map(blank).collect();
    Some(field.with_body(&body))
}

/// A field that is written anew in any case, without obsolete forms; `None`: it has none.
fn strict(field: &Field) -> Option<Field> {
    let value = decode(&field.value());
    let text = if is_one_of(field, &["Date", "Resent-Date"]) {
        date::strict(&value)
    } else if is_one_of(field, &["References", "In-Reply-To"]) {
        let ids = message_ids(&value);
        (ids != value).then_some(ids)
    } else {
        None
    };
    Some(Field::new(field.name(), &text?))
}

fn is_one_of(field: &Field, names: &[&str]) -> bool {
    names.iter().any(|name| field.is(name))
}

fn is_empty(field: &Field) -> bool {
    field.body().trim_ascii().is_empty()
}

fn change(before: &Field, after: &Field, because: &str) -> Change {
    Change {
        what: before.name().to_owned(),
        before: decode(&before.value()),
        after: decode(&after.value()),
        because: because.to_owned(),
    }
}

/// The field as it should have been written; `None` if it is well-formed. `authors` gets those that
/// From cannot hold.
fn mended(field: &Field, own: &str, known: Known<'_>, authors: &mut Vec<String>) -> Option<Field> {
    let name = field.name();
    if name.is_empty() {
        return Some(Field::new("X-Malformed", &decode(field.raw().trim_ascii())));
    }
    let role = if is_one_of(field, AUTHORS) {
        Role::Author(own)
    } else if is_one_of(field, RECIPIENTS) {
        Role::Recipients(known)
    } else {
        let value = || decode(&field.value());
        let text = if field.is("Date") || field.is("Resent-Date") {
            as_date(&value())
        } else if field.is("Message-ID") || field.is("Resent-Message-ID") {
            as_message_id(&value())
        } else {
            None
        };
        return text.map(|text| Field::new(name, &text));
    };
    if is_empty(field) {
        return None;
    }
    let mended = mend(field.body(), role)?;
    if field.is("From") && authors.is_empty() {
        *authors = mended.authors;
    }
    Some(Field::new(name, &mended.text))
}

/// `None`: it is well-formed. An unreadable one becomes empty, which counts as missing.
fn as_date(value: &str) -> Option<String> {
    match date::read(value) {
        date::Date::Fine => None,
        date::Date::Written(text) => Some(text),
        date::Date::Unreadable if value.is_empty() => None,
        date::Date::Unreadable => Some(String::new()),
    }
}

/// `None`: it is well-formed. Brackets that are missing are added; anything else that is no id
/// becomes empty.
fn as_message_id(value: &str) -> Option<String> {
    let inner = match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(inner, _)| inner),
        None => value,
    };
    let written = if is_message_id(inner.trim()) {
        format!("<{}>", inner.trim())
    } else {
        String::new()
    };
    (written != value).then_some(written)
}

/// The ids alone: words beside them (RFC 5322 §4.5.4) tell nothing.
pub fn message_ids(value: &str) -> String {
    let ids = value.split('<').skip(1);
    let ids = ids.filter_map(|rest| Some(rest.split_once('>')?.0));
    let ids: Vec<_> = ids.filter(|inner| is_message_id(inner)).collect();
    let written = ids.iter().map(|inner| format!("<{inner}>"));
    written.collect::<Vec<_>>().join(" ")
}

/// RFC 5322 §3.6.4, as liberal as what programs write.
fn is_message_id(inner: &str) -> bool {
    let parts: Vec<&str> = inner.split('@').collect();
    inner.len() < 900
        && inner
            .chars()
            .all(|c| c.is_ascii_graphic() && !"<>".contains(c))
        && matches!(parts.as_slice(), [left, right] if !left.is_empty() && !right.is_empty())
}

fn once(header: &mut Header, changes: &mut Vec<Change>) {
    for name in ONCE {
        let fields = header.fields().iter().enumerate();
        let found: Vec<(usize, &Field)> = fields.filter(|(_, field)| field.is(name)).collect();
        let [first, _, ..] = found.as_slice() else {
            continue;
        };
        let usable: Vec<(usize, &[u8])> = found
            .iter()
            .map(|(index, field)| (*index, field.body().trim_ascii()))
            .filter(|(_, body)| !body.is_empty())
            .collect();
        let index = usable.first().map_or(first.0, |(index, _)| *index);
        let joined = JOINED.contains(name).then(|| {
            let bodies: Vec<&[u8]> = usable.iter().map(|(_, body)| *body).collect();
            [b" ", bodies.join(&b",\r\n\t"[..]).as_slice()].concat()
        });
        for other in header.keep_one(name, index, joined.as_deref()) {
            let empty = Field::new(name, "");
            let because = if joined.is_some() {
                "joined: it may stand once"
            } else {
                "it may stand once"
            };
            changes.push(change(&other, &empty, because));
        }
    }
}

#[cfg(test)]
mod tests;
