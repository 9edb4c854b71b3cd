//! The client's side of AUTH: SCRAM-SHA-256, PLAIN and LOGIN, chosen from what the server offers.
//!
//! | part | what |
//! |---|---|
//! | `exchange` | [`Exchange`]: which mechanism, what it says next |
//! | `scram` | SCRAM-SHA-256: the password is proved, not sent, and the server must prove that it knows it, too |
//!
//! Contract: pure; a hostile challenge is refused, never a panic, and costs bounded time. Nothing here prints a password: [`Credentials`] hides it.
//! For use under TLS only, which is the caller's matter.
//! RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM-SHA-256), draft-murchison-sasl-login.

mod exchange;
mod scram;

pub use exchange::{Credentials, Exchange};
