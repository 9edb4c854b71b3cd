//! `sendmail-shim check`: everything between a program and the relayhost, tried one by one. Sends no mail.
//!
//! | part | what |
//! |---|---|
//! | `finding` | what was found: the table, JSON, the exit status |
//! | `machine` | this machine: configuration, name, alias files, agent, queue, spool, other MTAs |
//! | `relayhost` | the way there: addresses, TCP, TLS, key, certificate, EHLO, sender and recipient |
//!
//! Exit status, for monitoring: 0 all good, 1 works but wants attention, 2 does not work, 78 the configuration cannot be read.

mod finding;
mod machine;
mod relayhost;

pub use finding::run;
