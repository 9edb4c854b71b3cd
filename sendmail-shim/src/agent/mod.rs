//! The agent: takes mail over a unix socket, keeps it, and brings it to the relayhost.
//!
//! | part | what |
//! |---|---|
//! | [`quota`] | who may have how many connections; pure |
//! | [`owners`] | whose a user number is |
//! | [`share`] | who may have how much of the queue |
//! | [`schedule`] | which message is tried when; pure |
//! | [`settle`] | what follows from the outcomes of an attempt; pure |
//! | [`loopback`] | who is at the other end of a TCP connection |
//! | [`storms`] | the same automatic mail again and again: counted, and told in a digest |
//! | [`budget`] | so much automatic mail a day; what is beyond it waits |
//! | [`outage`] | why the relayhost cannot be used, kept over restarts |
//! | [`door`] | the sockets |
//! | `accept` | the threads that wait at them |
//! | `session`, `transaction` | one submission |
//! | `control` | the queue, listed and changed |
//! | `attempts` | the last attempts, for whoever follows a message |
//! | `rollover` | the relayhost's key changes to the next of the pins |
//! | `addressing` | who gets a queued message now; pure |
//! | [`delivery`], `worker` | the queue, delivered |
//! | `letters` | mail that the agent writes itself |
//! | `state` | what the threads share |
//! | `supervision` | what systemd wants to know |
//! | [`run`] | all of it put together |

pub mod budget;
pub mod delivery;
pub mod door;
pub mod loopback;
pub mod outage;
pub mod owners;
pub mod quota;
pub mod run;
pub mod schedule;
pub mod settle;
pub mod share;
pub mod storms;

mod accept;
mod addressing;
mod attempts;
mod control;
mod letters;
mod maillog;
mod rollover;
mod session;
mod state;
mod supervision;
mod transaction;
#[cfg(test)]
mod week;
mod worker;

use state::Agent;
