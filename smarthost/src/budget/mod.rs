//! One budget over several smarthosts: what a client may send, it may send through all of them
//! together (row A4).
//!
//! | part | what |
//! |---|---|
//! | [`protocol`] | what the store is asked and answers |
//! | [`account`] | one budget as this node keeps it |
//! | [`site`] | all budgets of this node, and what it decides |
//! | [`moment`] | the clocks of this process |
//! | [`orders`] | what administrators order at one node |
//! | [`peers`] | the others, as this node has heard of them |
//! | [`wire`] | a connection that believes no answer without an end |
//! | [`store`] | what is asked over it, and the scripts (Valkey, Redis) |
//! | [`service`] | what sessions call, and the task that keeps the store informed |
//!
//! Contract: the counters of each node, in its own database, stay the truth; the store is where
//! they meet, and may forget everything. Each node tells it absolute counts of its own, so that
//! what is lost, late or told twice changes nothing, and leases what it is about to spend; a lease
//! ends after 1/144 of the window. While the store answers, or with `on_outage = "defer"`, no time
//! as long as the window has more messages than the limit; with `"share"` and n nodes at most
//! (2 − 1/n) times as many, with `"open"` n times. A message that takes longer than a lease, on a
//! node that loses the store meanwhile for a whole window, may slide out that much too early.
//!
//! Failures: whoever asks waits 50 ms at most; then, and until the store answers again, this node
//! decides alone. A store that was emptied, or whose clock was set, is told everything anew and
//! grants nothing before all nodes have done so or a window has passed; so is one that lost a
//! single budget or a field of one, which it knows by what it wrote beside. Clients that are
//! strangers are counted by each node for itself.

mod account;
mod moment;
mod orders;
mod peers;
mod protocol;
mod service;
mod site;
mod store;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use moment::{changes, sequence};
pub(crate) use orders::What;
pub(crate) use protocol::Everywhere;
pub use protocol::Id;
pub(crate) use service::{Budget, look, sums};
pub(crate) use site::{Site, Terms};
pub use wire::Answer;
