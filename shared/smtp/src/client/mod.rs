//! The client's machine, SMTP and LMTP: greeting, EHLO, STARTTLS, transactions one after the other
//! over one connection.
//!
//! | part | what |
//! |---|---|
//! | `settings` | how a connection is spoken |
//! | `event` | what the driver tells, what it has to do |
//! | `machine` | [`Client`]: which reply answers which command |
//! | `hello` | greeting, EHLO, STARTTLS |
//! | `auth` | AUTH |
//! | `transaction` | from MAIL to the final dot |
//! | `ending` | the ways out |
//! | `attempt` | one message: what became of each recipient |
//! | `commands` | the commands of a transaction |
//! | `parameters` | what the commands ask beyond addresses |
//! | `retract` | a peer that refuses a parameter which it offered to take |
//!
//! Contract: MAIL, all RCPT and DATA go out together where PIPELINING is offered; each recipient
//! gets its own outcome; a message counts as delivered only after a 2yz reply to its end. The body
//! is never sent with a bare CR or LF. The machine does not know the relay's name: the driver adds
//! it to outcomes and failures.
//! Failures: everything that concerns the connection rather than a recipient is temporary. Bytes
//! that arrive between the answer to STARTTLS and the handshake end the connection (reply
//! injection). A reply that nobody asked for, or that goes on and belongs to another command, ends
//! it, too.
//! RFC 5321, RFC 2033 (LMTP), RFC 2920 (PIPELINING), RFC 3207 (STARTTLS).

mod attempt;
mod auth;
mod commands;
mod ending;
mod event;
mod hello;
mod machine;
mod parameters;
mod retract;
mod settings;
mod transaction;

#[cfg(test)]
mod tests;

pub use auth::NO_MACHINES;
pub use event::{Action, Event, Transaction};
pub use machine::Client;
pub use parameters::is_retraction;
pub use settings::{Protocol, Security, Settings, Timeouts};
