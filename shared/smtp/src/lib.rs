//! SMTP without I/O: codecs and the two machines.
//!
//! | module | what |
//! |---|---|
//! | [`proxy`] | the header that a proxy writes in front of a session |
//! | [`line`] | bounded lines that end in CRLF and nothing else |
//! | [`data`] | the message between DATA and `CRLF.CRLF`, both directions |
//! | [`command`] | commands, read and written |
//! | [`reply`] | replies, read and written |
//! | [`capability`] | what EHLO announces, both directions |
//! | [`sasl`] | AUTH, both sides |
//! | [`session`] | the server's machine |
//! | [`client`] | the client's machine (SMTP and LMTP) |
//!
//! Machines are fed events and drained of actions: `handle(event, now)`, `next_action()` until
//! `None`, `deadline()`. They never block and never look at a clock.
//! RFC 5321, RFC 2033 (LMTP).

pub mod capability;
pub mod client;
pub mod command;
pub mod data;
pub mod line;
pub mod proxy;
pub mod reply;
pub mod sasl;
pub mod session;
