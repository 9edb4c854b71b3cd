//! The agent: takes mail over a unix socket, keeps it, and brings it to the relayhost.
//!
//! Layers, lowest first; a file uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | core, pure | `quota` `flushes` | who may have how many connections, and how often have his mail tried |
//! | core, pure | `addressing` `counts` | who gets a queued message now; what was taken, by user and unit |
//! | core, pure | `turns` | deliveries of one message at the same time |
//! | core, pure | `duplicates::likeness` `duplicates::window` `duplicates::digest` | the same automatic mail again and again: counted, and told in a digest |
//! | core, pure | `budget::account` `budget::notice` | so much automatic mail a day; what is beyond it waits |
//! | core, pure | `unchanged::report` `unchanged::table` `unchanged::digest` | a report that says what was said before: told in a digest |
//! | edges | `maillog` | the log |
//! | edges | `owners` `loopback` `share` | whose a user number is, who is at the other end of a TCP connection, how much of the queue he may have |
//! | edges | `rewriting` | the rules of rewriting, as alias files have them now |
//! | edges | `writer` | which program of a user writes |
//! | edges | `showing` | the key that this machine shows to the relayhosts |
//! | edges | `outage` `keys` | what the relayhosts refused and showed last, kept over restarts |
//! | edges | `ending` | signals that want the end |
//! | edges | `deaf` `sockets` `presence` `listener` | where mail comes in, who is connected, the threads that accept |
//! | edges | `dispatch` | spool and queue together |
//! | edges | `duplicates` `budget` `unchanged` | the same as in the core, with spool and file |
//! | shared | `state` | what all services use |
//! | services | `notices` | mail that the agent writes itself |
//! | services | `damage` | what root is told of messages that are damaged on the disk |
//! | services | `session` `transaction` | one submission |
//! | services | `control` | the queue, listed and changed |
//! | services | `delivery` | the queue, delivered |
//! | services | `release` `digests` `supervision` | mail that waited for the budget; reports that wait for their digest; what systemd wants to know |
//! | root | `run` | all of it put together |
//!
//! Which message is tried when, when it is given up, and who is told: crate `queue`, with one
//! destination, the relayhost, and users as owners.

pub mod run;

pub(crate) mod duplicates;

mod addressing;
mod budget;
mod control;
mod counts;
mod damage;
mod deaf;
mod delivery;
mod digests;
mod dispatch;
mod ending;
mod flushes;
mod keys;
mod listener;
mod loopback;
mod maillog;
mod notices;
mod outage;
mod owners;
mod presence;
mod quota;
mod release;
mod rewriting;
mod session;
mod share;
mod showing;
mod sockets;
mod state;
mod supervision;
#[cfg(test)]
mod tests;
mod transaction;
mod turns;
mod unchanged;
mod writer;
