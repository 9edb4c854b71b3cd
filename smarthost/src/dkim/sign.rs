//! Which keys sign a message, over which fields, and the signature itself.
//!
//! Contract: only mail whose one From address is in a key's domain, exactly; with several addresses
//! there it is said and not signed.
//! Fields of [`SEALED`] are named once more than there are, so that nobody adds another (RFC 6376
//! §8.15); those of
//! [`KEPT`], which hops behind us may add, as often as there are. Of several the lowest is the
//! first (§5.4.2).
//! RFC 6376 §3.5, §3.7, §5.4.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mail::{
    address::{Domain, Mailbox, list},
    clock::Timestamp,
    message::{Field, Header, HeaderTooLong, Splitter},
};
use ring::digest::{Context, Digest, SHA256};

use super::{
    canonical::{self, Body},
    key::{Algorithm, Key, lines},
};

/// Signed with one more than there are.
const SEALED: [&str; 12] = [
    "from",
    "reply-to",
    "subject",
    "date",
    "to",
    "cc",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];
/// Signed if they are there.
const KEPT: [&str; 17] = [
    "sender",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "content-id",
    "content-description",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
];
/// Names in one signature; more fields than that are an attack on whoever verifies it.
const NAMES: usize = 200;
/// Where our lines are folded.
const FOLD: usize = 72;

/// A key and where it is published.
#[derive(Debug)]
pub struct SigningKey {
    pub domain: Domain,
    pub selector: String,
    pub key: Key,
}

/// All keys.
#[derive(Debug, Default)]
pub struct Signer(pub Vec<SigningKey>);

impl Signer {
    /// The keys that sign a message with this header; an error says why none does although one
    /// could be meant.
    pub fn keys(&self, header: &Header) -> Result<Vec<&SigningKey>, &'static str> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let fields: Vec<&Field> = header.fields().iter().filter(|it| it.is("From")).collect();
        let mut domains = Vec::new();
        let mut doubtful = fields.len() > 1;
        for field in fields {
            let read = list::parse(&field.value());
            doubtful |= read.entries.len() != 1 || !read.problems.is_empty();
            let addresses = read.entries.iter();
            domains.extend(addresses.filter_map(|entry| match &entry.target {
                Mailbox::Address(address) => Some(address.domain().clone()),
                Mailbox::Local(_) => None,
            }));
        }
        let meant = self.0.iter().filter(|key| domains.contains(&key.domain));
        let meant: Vec<_> = meant.collect();
        if doubtful && !meant.is_empty() {
            return Err("it has not exactly one From address");
        }
        Ok(meant)
    }
}

/// A message that passes, as the peer gets it.
pub struct Hashing {
    splitter: Splitter,
    body: Body,
    hash: Context,
}

/// What is signed of a message.
#[derive(Debug)]
pub struct Hashed {
    header: Header,
    body: Digest,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            splitter: Splitter::default(),
            body: Body::default(),
            hash: Context::new(&SHA256),
        }
    }
}

impl Hashing {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), HeaderTooLong> {
        let body = self.splitter.split(piece)?;
        let mut canonical = Vec::with_capacity(body.len());
        self.body.feed(body, &mut canonical);
        self.hash.update(&canonical);
        Ok(())
    }

    /// After the last one.
    pub fn finish(mut self) -> Hashed {
        self.hash.update(self.body.end());
        Hashed {
            header: self.splitter.finish().0,
            body: self.hash.finish(),
        }
    }
}

impl Hashed {
    /// The field that a key signs it with, CRLF included.
    pub fn signature(&self, by: &SigningKey, now: Timestamp) -> Result<Vec<u8>, String> {
        let names = self.names();
        if names.len() > NAMES {
            return Err(format!(
                "it has more than {NAMES} fields that would be signed"
            ));
        }
        let algorithm = match by.key.algorithm() {
            Algorithm::Rsa => "rsa-sha256",
            Algorithm::Ed25519 => "ed25519-sha256",
        };
        let mut text = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed;\r\n\td={}; s={};\r\n\tt={}; bh={};\r\n\th=",
            by.domain,
            by.selector,
            now.as_secs(),
            BASE64_STANDARD.encode(self.body),
        );
        let mut column = "\th=".len();
        for (index, name) in names.iter().enumerate() {
            let last = index.saturating_add(1) == names.len();
            let end = if last { ";" } else { ":" };
            if column.saturating_add(name.len()) > FOLD {
                text.push_str("\r\n\t ");
                column = 2;
            }
            let _ = write!(text, "{name}{end}");
            column = column.saturating_add(name.len()).saturating_add(1);
        }
        text.push_str("\r\n\tb=");
        let signature = by.key.sign(&self.signed(&names, &text))?;
        let encoded = BASE64_STANDARD.encode(signature);
        let signature: Vec<&str> = lines(&encoded, FOLD).collect();
        let _ = write!(text, "{}\r\n", signature.join("\r\n\t "));
        Ok(text.into_bytes())
    }

    /// As h= names them.
    fn names(&self) -> Vec<&'static str> {
        let count = |name: &str| self.header.fields().iter().filter(|it| it.is(name)).count();
        let sealed = SEALED.into_iter();
        let sealed =
            sealed.flat_map(|name| std::iter::repeat_n(name, count(name).saturating_add(1)));
        let kept = KEPT.into_iter();
        sealed
            .chain(kept.flat_map(|name| std::iter::repeat_n(name, count(name))))
            .collect()
    }

    /// The text that is signed: the named fields, each name again meaning the next one above, and
    /// our own without its signature.
    fn signed(&self, names: &[&str], own: &str) -> Vec<u8> {
        let mut text = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let before = names.iter().take(index).filter(|it| **it == *name).count();
            let fields = self.header.fields().iter().rev();
            if let Some(field) = fields.filter(|field| field.is(name)).nth(before) {
                text.extend_from_slice(&canonical::field(field));
            }
        }
        let own = Header::parse(own.as_bytes());
        let own = own.fields().first().map(canonical::field);
        let own = own.unwrap_or_default();
        text.extend_from_slice(own.strip_suffix(b"\r\n").unwrap_or(&own));
        text
    }
}

#[cfg(test)]
mod tests;
