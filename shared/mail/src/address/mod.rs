//! Mail addresses that cannot be built invalid.
//!
//! Contract: parsing is total and bounded; a value prints as it goes on the wire; no control byte can be inside.
//!
//! | part | what |
//! |---|---|
//! | [`Address`], [`Sender`] | RFC 5321 §4.1.2 Mailbox and reverse path, with UTF-8 (RFC 6531 §3.3) |
//! | [`domain`] | domain names and address literals (RFC 5321 §4.1.2, §4.1.3) |
//! | [`list`] | address lists as header fields write them: groups, comments, display names (RFC 5322 §3.4) |

pub mod domain;
pub mod list;
mod mailbox;

pub use mailbox::{Address, AddressError, Sender, is_dot_string, quote_local};
