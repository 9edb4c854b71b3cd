//! One delivery to one next hop, as both programs make it. Pure; bytes are moved by a driver of
//! threads ([`crate::net`]) or of tokio.
//!
//! | part | what |
//! |---|---|
//! | `machine` | [`Delivery`]: which address is tried next, what each answer means, when a kept connection counts |
//! | `interface` | what a delivery asks of its driver, and is told |
//! | `address` | addresses that lead back to this host |
//! | `fault` | whom a refusal is about: this machine, or the mail |
//! | `crowd` | how many recipients a peer takes at once |
//! | `fit` | a message fitted to what its peer offers |
//! | `memory` `circuit` | what past deliveries teach; how long what failed is passed over |
//! | `refusals` | who refuses this machine |
//! | `reuse` | what an answer over a kept connection is worth |
//!
//! Contract: all addresses of a host are tried in the resolver's order, then the next host; one
//! that was silent lately, or of a relayhost that failed in whatever way, is tried last, until it
//! is time to try it again; then a kept connection to another one is given up. No session (a dead
//! address, a refusal at the greeting, 421, a lost connection) leads to the next address, silence
//! in the midst of a transaction and a "not now" of the mail itself to the next host, five in one
//! delivery; the next one begins with whom it did not get to. A peer that refuses a parameter which
//! it offered is asked again without it. While another try is left, no reply up to the end of the
//! message is awaited for long ([`Patience`]). Over a kept connection an answer counts once it is
//! proved to be in step; what comes to no answer there is tried on a fresh one. A host that goes
//! away in the midst of a list of recipients, or finds it too long, is given shorter ones from then
//! on. A refusal of this
//! machine is never the mail's. After the end of a message without an answer nothing is tried
//! elsewhere.
//! Failures: one [`mail::outcome::Outcome`] a recipient; the failure that came furthest is told;
//! what is not known is deferred.
//! RFC 5321 §5.1, §4.5.4.1, RFC 7435.

mod address;
mod circuit;
mod crowd;
mod fault;
mod fit;
mod interface;
mod machine;
mod memory;
mod refusals;
mod reuse;
#[cfg(test)]
mod tests;

pub use address::{Locality, is_listener, is_own, locality};
pub use fault::{Refusal, clear_text_goes_on, with_remedy};
pub use fit::{Fitted, Reading, fit};
pub use interface::{
    Action, Batch, Dial, Event, Found, Host, Patience, Place, QUIET, Sent, Spot, Way,
};
pub use machine::{
    Delivery, MOST_ADDRESSES,
    end::{cut, stopped},
    judge::RETRACTIONS,
};
pub use memory::{Memory, Outlook};
