//! Blocking connections: dialling, and the driver of the client machine over TCP, TLS and unix sockets. For sendmail-shim and the
//! administrators' commands; the daemon has a tokio driver of its own.
//!
//! | part | what |
//! |---|---|
//! | `connection` | the driver of [`smtp::client`]: moves bytes, makes handshakes, decides nothing |
//! | `dial` | names to addresses, addresses to sockets |
//! | `presented` | what a host shows in its TLS handshake, without a word of mail |
//! | `stream` | one socket, with or without TLS, that keeps deadlines |
//!
//! Contract: every wait ends at the machine's deadline, however slowly the peer drips. All addresses of a host are tried until one lets us speak.
//! Over a unix socket a small message to a known peer takes two writes and as many reads as the peer makes of its answers.
//! Failures: a [`mail::outcome::Failure`] that names the relay; never a panic, never clear text where TLS is required.

mod connection;
mod dial;
mod presented;
mod stream;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Content, Target};
pub use dial::addresses;
pub use presented::{Presented, presented};
