//! Blocking connections: the movers of bytes for [`crate::conversation`] and [`crate::delivery`]
//! over TCP and unix sockets. For sendmail-shim and the administrators' commands; the daemon has
//! tokio movers of its own.
//!
//! | part | what |
//! |---|---|
//! | `connection` | one connection: moves bytes, decides nothing |
//! | `deliver` | one delivery: does what the delivery asks |
//! | `dial` | names to addresses, addresses to sockets |
//! | [`names`] | the hosts behind a relayhost that DNS names |
//! | [`resolv`] | whom names are asked of |
//! | `presented` | what a host shows in its TLS handshake, without a word of mail |
//! | `silence` | since when a peer says nothing, and who was told |
//! | `stream` | one socket that keeps deadlines |
//!
//! Contract: every wait ends at the machine's deadline, however slowly the peer drips.
//! Over a unix socket a small message to a known peer takes two writes and as many reads as the
//! peer makes of its answers.
//! Failures: a [`mail::outcome::Failure`] that names the relay; never a panic, never clear text
//! where TLS is required.

mod connection;
mod deliver;
mod dial;
pub mod names;
mod presented;
pub mod resolv;
mod silence;
mod stream;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Target};
pub use deliver::{Kept, Outgoing, REUSED, Road, Text, deliver};
pub use dial::{addresses, relay_name};
pub use presented::{Presented, presented};
pub use silence::Others;
