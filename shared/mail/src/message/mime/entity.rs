//! What a header section says of its body: structure, kind, encoding.
//!
//! RFC 2045 §5, §6; RFC 2046 §5.1 (multipart), §5.2 (message).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::message::{Field, Header, parameters};

/// Longest boundary that is believed; RFC 2046 §5.1.1 allows 70.
pub(super) const BOUNDARY: usize = 200;

/// One entity of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    /// Lines of text, which quoted-printable suits; a multipart without a boundary, in which nobody
    /// finds a part (RFC 2046 §5.1.1), is nothing else.
    pub(super) text: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Multipart {
        boundary: Vec<u8>,
        signed: bool,
        digest: bool,
    },
    /// A message in the message.
    Message,
    /// It may be encoded.
    Leaf,
    /// It may not: other kinds of `message`, and a multipart whose parts are not to be seen (RFC
    /// 2046 §5.2, RFC 2045 §6.4).
    Opaque,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// 7bit, 8bit, binary.
    Plain,
    QuotedPrintable,
    Base64,
    /// Whatever else is written there (`8-bit`, `utf-8`, `x-uuencode`): no reader decodes it (RFC
    /// 2045 §6.4), so that the bytes are what is meant.
    Unknown,
}

impl Entity {
    /// From its header; `in_digest`: what it is without Content-Type.
    pub(super) fn of(header: &Header, in_digest: bool) -> Self {
        let encoding = header
            .first("Content-Transfer-Encoding")
            .map(|field| word(&field.value()));
        let encoding = match encoding.as_deref() {
            None | Some("" | "7bit" | "8bit" | "binary") => Encoding::Plain,
            Some("quoted-printable") => Encoding::QuotedPrintable,
            Some("base64") => Encoding::Base64,
            Some(_) => Encoding::Unknown,
        };
        let value = header
            .first("Content-Type")
            .map(Field::value)
            .unwrap_or_default();
        let parts = parameters::parts(&value);
        let kind = parts.first().map(|part| word(part)).unwrap_or_default();
        let (major, minor) = kind
            .split_once('/')
            .unwrap_or((if in_digest { "message" } else { "text" }, "rfc822"));
        let boundary = || parts.iter().skip(1).find_map(|part| boundary(part));
        let whole = major == "multipart" && boundary().is_none();
        Self {
            kind: match (major, minor) {
                // Composite types are not encoded as a whole, whatever else is written there. In
                // base64 no boundary would be found.
                ("multipart", _) if encoding != Encoding::Base64 => match boundary() {
                    Some(boundary) => Kind::Multipart {
                        boundary,
                        signed: minor == "signed",
                        digest: minor == "digest",
                    },
                    None => Kind::Leaf,
                },
                ("message", "rfc822" | "global" | "news")
                    if matches!(encoding, Encoding::Plain | Encoding::Unknown) =>
                {
                    Kind::Message
                }
                ("message" | "multipart", _) => Kind::Opaque,
                _ => Kind::Leaf,
            },
            encoding,
            text: major == "text" || whole,
        }
    }
}

/// The first word, in lower case, without comment.
fn word(value: &[u8]) -> String {
    let value = value.trim_ascii();
    let end = value
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || *byte == b'(');
    let word = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

/// The value of a parameter that is named boundary.
fn boundary(part: &[u8]) -> Option<Vec<u8>> {
    let equals = part.iter().position(|&byte| byte == b'=')?;
    let (name, value) = part.split_at_checked(equals)?;
    let value = value.get(1..)?.trim_ascii();
    let value = if value.starts_with(b"\"") {
        let end = value.iter().rposition(|&byte| byte == b'"')?;
        parameters::unquoted(value.get(..=end)?)
    } else {
        let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'(';
        let end = value.iter().position(blank).unwrap_or(value.len());
        value.get(..end)?.to_vec()
    };
    let value = value.trim_ascii_end();
    let usable = name.trim_ascii().eq_ignore_ascii_case(b"boundary")
        && (1..=BOUNDARY).contains(&value.len());
    usable.then(|| value.to_vec())
}
