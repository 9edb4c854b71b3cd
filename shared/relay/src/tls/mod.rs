//! rustls for both directions: verifiers from [`crate::trust`], certificates of our own.
//!
//! | part | what |
//! |---|---|
//! | `client` | [`Trust`], and the configuration towards one next hop |
//! | `verifier` | pins and opportunistic TLS inside the handshake |
//! | `certificate` | files with certificate and key: read, checked, made |
//! | `session` | what was agreed upon, for the log |
//! | `error` | what went wrong, in words that name the remedy |
//!
//! Contract: whatever is trusted, possession of the presented key is proved by the handshake's signature. Sessions are resumed only within one
//! [`ClientTls`], that is, one next hop and one set of pins. TLS 1.2 and 1.3 only.
//! Failures: a key that is not pinned never leads to clear text; the text of [`explain`] says what to do.
//! RFC 8446, RFC 5246, RFC 7435 (opportunistic).

mod certificate;
mod client;
mod error;
mod session;
mod verifier;

#[cfg(test)]
mod tests;

pub use certificate::{asking_for_keys, pins_of_file, self_signed, server_config};
pub use client::{ClientTls, Trust};
pub use error::{TlsError, explain};
pub use session::{peer_key, summary};
