//! How a setting names a table: `clients`, `hash:/etc/postfix/access`, `cidr:networks`,
//! `pcre:senders`.
//!
//! Contract: what is printed reads back as the same. Failures: a text that says what to write.

use std::{fmt, path::PathBuf};

/// How a table's file is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Keys and values; lines such as `/…/ value` are patterns.
    Text,
    /// The text from which Postfix makes a database: keys and values.
    Database,
    Cidr,
    Regexp,
    Pcre,
}

/// Kinds by their names in Postfix.
const KINDS: [(&str, Kind); 9] = [
    ("hash", Kind::Database),
    ("texthash", Kind::Database),
    ("lmdb", Kind::Database),
    ("btree", Kind::Database),
    ("dbm", Kind::Database),
    ("cdb", Kind::Database),
    ("cidr", Kind::Cidr),
    ("regexp", Kind::Regexp),
    ("pcre", Kind::Pcre),
];

/// A table: how it is read, and where it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct TableName {
    pub kind: Kind,
    pub path: PathBuf,
    /// The prefix as written.
    prefix: Box<str>,
}

impl TableName {
    /// Reads `PATH` or `KIND:PATH`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_word = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric());
        let (prefix, path) = match text.split_once(':') {
            Some((word, path)) if is_word(word) => (word, path),
            _ => ("", text),
        };
        let (prefix, kind) = match prefix {
            "" => ("", Kind::Text),
            word => KINDS
                .into_iter()
                .find(|(name, _)| *name == word)
                .ok_or_else(|| {
                    format!(
                        "there is no kind of table `{word}`; write the file's path, or put hash:, \
                     cidr:, regexp: or pcre: before it"
                    )
                })?,
        };
        if path.is_empty() || path.contains(char::is_control) {
            return Err(format!(
                "`{}` names no file; write a path, or one such as \"cidr:clients\"",
                text.escape_debug()
            ));
        }
        Ok(Self {
            kind,
            path: path.into(),
            prefix: prefix.into(),
        })
    }
}

impl TryFrom<String> for TableName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.prefix.is_empty() { "" } else { ":" };
        write!(f, "{}{colon}{}", self.prefix, self.path.display())
    }
}
