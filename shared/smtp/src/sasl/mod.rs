//! AUTH: the client's side chooses SCRAM-SHA-256, PLAIN or LOGIN from what the server offers, with
//! a token XOAUTH2 or OAUTHBEARER; the server's side offers the first two.
//!
//! | part | what |
//! |---|---|
//! | `exchange` | [`Exchange`]: which mechanism, what it says next |
//! | `prepare` | names and passwords are the same however they are typed |
//! | `repeated` | a secret that a server repeats, found and taken away |
//! | `scram` | SCRAM-SHA-256: the password is proved, not sent, and the server must prove that it knows it, too |
//! | `verifier` | what a server keeps instead of a password |
//! | `acceptor` | the server's side of one authentication |
//!
//! Contract: pure; a hostile challenge or response is refused, never a panic, and costs bounded
//! time. Nothing here prints a password: [`Credentials`] hides it.
//! For use under TLS only, which is the caller's matter.
//! RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM-SHA-256),
//! draft-murchison-sasl-login, RFC 4013 (`SASLprep`), RFC 7628 (OAUTHBEARER), Google's XOAUTH2.

mod acceptor;
mod exchange;
mod prepare;
mod repeated;
mod scram;
#[cfg(test)]
mod tests;
mod verifier;

pub use acceptor::{Acceptor, Attempt, Logins, MECHANISMS, Progress, Proof};
pub use exchange::{Credentials, Exchange, Secret};
pub use prepare::prepared;
pub(crate) use repeated::Repeated;
pub use verifier::{Verifier, is_same};
