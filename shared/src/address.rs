//! Mail addresses that cannot be built invalid.
//!
//! Contract: parsing is total and bounded; a value prints as it goes on the wire; no control byte can be inside.
//! RFC 5321 §4.1.2 (Mailbox, Path), RFC 6531 §3.3 (UTF-8), RFC 5322 §3.4 (lists and groups, in [`list`]).

use std::fmt;

/// `local@domain`, as RFC 5321 writes a Mailbox.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: Box<str>,
    at: u16,
}

/// Why a text is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressError {
    Empty,
    TooLong,
    NoDomain,
    LocalPart,
    Domain,
    Control,
}

impl fmt::Display for AddressError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl std::error::Error for AddressError {}

impl Address {
    /// Reads `local@domain` (dot-string or quoted-string; domain, IDN in UTF-8, or address literal), without brackets.
    pub fn parse(_text: &str) -> Result<Self, AddressError> {
        todo!()
    }
    /// From the parts; `local` is the meaning, not the written form, and is quoted here where that is needed.
    pub fn new(_local: &str, _domain: &str) -> Result<Self, AddressError> {
        todo!()
    }
    /// Local part as written (quotes included).
    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }
    /// Domain as written.
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }
    /// `local@domain`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// Whether it can travel without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
    /// For table lookups and for finding duplicates: all in lower case.
    pub fn key(&self) -> String {
        self.text.to_lowercase()
    }
}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}
impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.text.into()
    }
}

/// The envelope sender: an address, or nobody (bounces).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
pub enum Sender {
    /// `<>`: never bounced to.
    #[default]
    Null,
    /// `<local@domain>`
    Address(Address),
}
/// Without brackets; the null sender prints as nothing. (`from=<{sender}>`, `MAIL FROM:<{sender}>`)
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}
