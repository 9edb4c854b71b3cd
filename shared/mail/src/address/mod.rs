//! Mail addresses that cannot be built invalid.
//!
//! Contract: parsing is total and bounded; a value prints as it goes on the wire; no control byte
//! can be inside.
//!
//! | part | what |
//! |---|---|
//! | [`Address`], [`Sender`] | RFC 5321 §4.1.2 Mailbox and reverse path, with UTF-8 (RFC 6531 §3.3) |
//! | [`Mailbox`] | an address, or a name of this machine alone |
//! | [`Domain`] | domain names and address literals, one value however they are written |
//! | [`list`] | address lists as header fields write them: groups, comments, display names (RFC 5322 §3.4) |

pub mod domain;
pub mod list;

mod error;
mod mailbox;
mod name;

pub use domain::{Domain, DomainPattern};
pub use error::AddressError;
pub(crate) use mailbox::is_atext;
pub use mailbox::{Address, Sender, is_dot_string, quote_local};
pub use name::{LocalPart, Mailbox};
