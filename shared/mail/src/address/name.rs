//! An address, or a name of this machine alone: what stands between the brackets of MAIL and RCPT,
//! on a command line, in a table.
//!
//! Contract: a [`Mailbox`] is written as RFC 5321 §4.1.2 asks, so it can be put on the wire as it
//! stands.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use crate::{
    address::{Address, AddressError, is_dot_string, mailbox::unquote_local, quote_local},
    limits,
};

/// An address, or a name of this machine that still wants a domain.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Mailbox {
    /// `local@domain`
    Address(Address),
    /// A local part alone.
    Local(LocalPart),
}

impl Mailbox {
    /// Reads `local@domain` or `local` as RFC 5321 writes them, without brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match Address::parse(text) {
            Ok(address) => Ok(Self::Address(address)),
            Err(AddressError::NoDomain) if text.starts_with('"') => {
                LocalPart::new(&unquote_local(text)).map(Self::Local)
            }
            Err(AddressError::NoDomain) if is_dot_string(text) => {
                LocalPart::new(text).map(Self::Local)
            }
            Err(AddressError::NoDomain) => Err(AddressError::LocalPart),
            Err(error) => Err(error),
        }
    }

    /// The address, if it has a domain.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Address(address) => Some(address),
            Self::Local(_) => None,
        }
    }

    /// Local part as meant: what a table is asked for.
    pub fn local_name(&self) -> String {
        match self {
            Self::Address(address) => address.local_name(),
            Self::Local(name) => name.as_str().to_owned(),
        }
    }

    /// Whether it can travel without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Address(address) => address.is_ascii(),
            Self::Local(name) => name.as_str().is_ascii(),
        }
    }

    /// For finding duplicates, as [`Address::key`].
    pub fn key(&self) -> String {
        match self {
            Self::Address(address) => address.key(),
            Self::Local(name) => name.as_str().to_lowercase(),
        }
    }
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

/// As it goes on the wire, without brackets.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::Local(name) => fmt::Display::fmt(name, f),
        }
    }
}

/// A local part alone: never empty, no control characters. Prints quoted where that is needed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LocalPart(Box<str>);

impl LocalPart {
    /// From what is meant (no quotes).
    pub fn new(name: &str) -> Result<Self, AddressError> {
        if name.is_empty() {
            return Err(AddressError::Empty);
        }
        if name.chars().any(char::is_control) {
            return Err(AddressError::Control);
        }
        if quote_local(name).len() > limits::LOCAL_PART {
            return Err(AddressError::TooLong);
        }
        Ok(Self(name.into()))
    }

    /// What is meant.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote_local(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_a_mailbox_too_and_goes_out_quoted_where_it_must() {
        for (text, name, written) in [
            ("root", "root", "root"),
            ("\"root\"", "root", "root"),
            ("\"john doe\"", "john doe", "\"john doe\""),
            ("\"a\\\"b>\"", "a\"b>", "\"a\\\"b>\""),
            ("j\u{fc}rgen", "j\u{fc}rgen", "j\u{fc}rgen"),
        ] {
            let mailbox = Mailbox::parse(text).unwrap();
            assert_eq!(
                mailbox,
                Mailbox::Local(LocalPart::new(name).unwrap()),
                "{text}"
            );
            assert_eq!(mailbox.to_string(), written);
        }
        for bad in [
            "",
            "root> NOTIFY=NEVER",
            "\"a\" b\"",
            "\"a\\\"",
            "\"",
            "\"a\nb\"",
            "john doe",
            "a\r\nRCPT TO:<evil@x.example>",
        ] {
            assert!(Mailbox::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(LocalPart::new("a\nb"), Err(AddressError::Control));
    }
}
