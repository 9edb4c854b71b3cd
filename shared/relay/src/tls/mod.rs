//! rustls for both directions: verifiers from [`crate::trust`], certificates of our own.
//!
//! | part | what |
//! |---|---|
//! | `trust` | [`Trust`]: who can be believed |
//! | `client` | the configuration towards one next hop, and what it has verified |
//! | `verifier` | that, inside the handshake |
//! | `foreign` | keys that cannot be verified here, told by their kind |
//! | `chain` | authorities, names, TLSA records |
//! | `certificate` | files with certificate and key: read, checked |
//! | `made` | certificate and key, made |
//! | `sessions` | what hosts let us resume |
//! | `server` | the configuration of listeners |
//! | `tickets` | what they let clients resume |
//! | `session` | what was agreed upon, for the log |
//! | `error` | what went wrong, in words that name the remedy |
//!
//! Contract: whatever is trusted, possession of the presented key is proved by the handshake's
//! signature. Sessions are resumed only within one [`ClientTls`], that is, by the same name and
//! under the same trust; those of clients only by a listener of the same kind, with the same
//! certificate. TLS 1.2 and 1.3 only.
//! Failures: a key that is not pinned never leads to clear text; the text of [`explain`] says what
//! to do.
//! RFC 8446, RFC 5246, RFC 7435 (opportunistic).

mod certificate;
mod chain;
mod client;
mod error;
mod foreign;
#[cfg(any(test, feature = "certificates"))]
mod made;
mod server;
mod session;
mod sessions;
mod tickets;
mod trust;
mod verifier;

#[cfg(test)]
mod tests;

pub use certificate::{is_self_issued, pins_of_file, pins_of_text};
pub use chain::{Name, Roots};
pub use client::{ClientTls, Standing};
pub use error::{TlsError, explain, explain_to, has_nothing_in_common};
#[cfg(any(test, feature = "certificates"))]
pub use made::{certify, self_signed};
pub use server::{TlsVersion, for_listener, server_config};
pub use session::{peer_key, summary};
pub use tickets::{KeyRing, TicketKeys};
pub use trust::{Dane, Named, Trust};
