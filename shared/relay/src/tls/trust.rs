//! Who can be believed at the other end.

use super::chain::{Name, Roots};
use crate::{tlsa::Usable, trust::Pin};

/// Whom to believe. Sessions of equal ones may be resumed for one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Trust {
    /// One of these keys; names and dates do not matter, possession of the key does.
    Pins(Vec<Pin>),
    /// The web's authorities, name and dates checked.
    WebRoots,
    /// Authorities for names, dates checked.
    Named(Named),
    /// TLSA records.
    Dane(Dane),
    /// Anybody; the signature is still checked.
    Opportunistic,
}

/// Authorities, and the names for which one of them must have signed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Named {
    pub roots: Roots,
    pub names: Vec<Name>,
    /// Who says so, for the log: `authority`, `policy of MTA-STS`.
    pub by: &'static str,
}

/// The TLSA records of a host.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Dane {
    pub records: Usable,
    /// For DANE-TA, the names of which the certificate must show one.
    pub names: Vec<Name>,
    /// The name under which the records stand, without port and protocol.
    pub base: String,
    /// Whether DNSSEC also says that this is a host of the domain.
    pub host_is_secure: bool,
}
