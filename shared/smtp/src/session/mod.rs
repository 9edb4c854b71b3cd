//! The server's machine: one session, no I/O, no policy.
//!
//! | part | what |
//! |---|---|
//! | `interface` | what the driver says and hears |
//! | `state` | where a session stands |
//! | `machine` | its input, its replies, its deadline; every way out |
//! | `command` | what each command does |
//! | `auth` | AUTH, if logins are there |
//! | `waits` | how long the client is waited for |
//! | `verdict` | what each answer of the policy does |
//! | `content` | the message, after DATA and in BDAT chunks |
//!
//! Contract: [`Action::Ask`] stops the machine until [`Event::Verdict`]; bytes that arrive
//! meanwhile are kept, bounded, but a driver should not read before it has answered. Replies to
//! pipelined commands go out together. One reset is used on every way out of a transaction. Bytes
//! buffered before STARTTLS are dropped. How the bytes were cut into packets changes no reply.
//! Failures: all are the peer's, and replies. A bare CR or LF ends the session with 521, in
//! commands, after DATA and in BDAT chunks; so do an HTTP request, a TLS handshake where clear text
//! is spoken, and a client that talks before the greeting. A message that is too large is read to
//! its end, then refused (552). After an error in BDAT the transaction is gone, and the chunk is
//! skipped.
//! RFC 5321, 2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS), 3461 (DSN), 4954 (AUTH), 6152
//! (8BITMIME), 6531 (SMTPUTF8), 1870 (SIZE), 2034, 3848.

mod auth;
mod command;
mod content;
mod interface;
mod machine;
mod state;
#[cfg(test)]
mod tests;
mod verdict;
mod waits;

pub use interface::{Action, Event, Question, Settings, Verdict};
pub use machine::Session;

pub use mail::envelope::{Mail, Rcpt};
