//! Why a text is no address.

use std::fmt;

/// Why a text is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressError {
    /// There is nothing.
    Empty,
    /// Longer than SMTP can carry.
    TooLong,
    /// A local part alone.
    NoDomain,
    /// The part before the @ is malformed.
    LocalPart,
    /// The part after the @ is malformed.
    Domain,
    /// A control character.
    Control,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the address is empty",
            Self::TooLong => "the address is too long",
            Self::NoDomain => "the address has no @domain",
            Self::LocalPart => "the part before the @ is malformed",
            Self::Domain => "the domain is malformed",
            Self::Control => "the address contains a control character",
        })
    }
}
impl std::error::Error for AddressError {}
