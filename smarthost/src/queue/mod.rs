//! The scheduler: which recipients are tried when, in what order, how many at once, and what is recorded. Sans-io.
//!
//! | part | what |
//! |---|---|
//! | [`event`] | what the driver tells, what it has to do |
//! | [`machine`](Queue) | the face: `handle`, `next_action`, `deadline` |
//! | [`message`](message::Message) | one message: the state of each of its recipients |
//! | [`lane`](lane::Lanes) | one destination: jobs, concurrency, back-off; fair turns among destinations |
//! | [`progress`] | accepted, loaded, delivered, deferred, bounced |
//! | [`orders`] | flush, hold, release, remove |
//!
//! The states of a recipient, and what leaves them:
//!
//! ```text
//! Waiting(time) ──time──▶ Loading ──Loaded──▶ Queued ──its lane's turn──▶ Flying ──▶ delivered (recorded, gone)
//!      ▲                     │                   │                           ├────▶ Failed ──Bounced──▶ bounced (recorded, gone)
//!      └─────────────────────┴── lane suspended ─┴──── deferred (recorded) ──┘
//! ```
//!
//! Contract: every recipient ends in exactly one of delivered, bounced, removed. Nothing is recorded as settled before it is; a bounce
//! is in the spool before its recipients are settled. A recipient is never in two deliveries at once. What waits longest is tried
//! first; destinations take turns, so that a slow one holds up nobody else.
//! Failures: a destination that cannot be reached is suspended for a growing time, and its mail is deferred with that reason (row C7);
//! where other connections to it work, only their number is lowered.
//! Memory: about 150 bytes a message with one recipient while it waits; envelopes are read from the spool when they are due.

mod event;
mod lane;
mod machine;
mod message;
mod orders;
mod progress;
mod random;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use event::{Action, Delivery, Event, Routed, Settings, Waiting};
pub use machine::Queue;
