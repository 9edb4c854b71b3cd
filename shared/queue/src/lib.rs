//! The queue of both programs: which recipients are tried when, in what order, how many at once,
//! and what is recorded. Pure.
//!
//! | module | what |
//! |---|---|
//! | `event` | what the driver tells, what it has to do |
//! | `machine` | [`Queue`]: `handle`, `next_action`, `deadline` |
//! | `message` | one message: the state of each of its recipients |
//! | `hashed` | maps whose order a simulation can repeat |
//! | `destination` | one destination: the jobs that wait for it |
//! | `site` | the hosts behind destinations: how many deliveries at once, their back-off, their pause |
//! | `sites` | which destination has which hosts |
//! | `place` | what a delivery under way takes from others |
//! | `crowd` | what hosts mean that say to mail that they have too many connections |
//! | `asking` | what questions about recipients take of the connections of a site |
//! | `question` | those that wait, and those under way |
//! | `slots` | who may begin a delivery: destinations that work, and a share for those that are not known to |
//! | `transports` | which transport a destination has |
//! | `census` | what deliveries under way share |
//! | `refused` | whose mail a next hop refused lately |
//! | `recent` | what happened lately: senders that were refused, messages at which a next hop fell silent |
//! | `turns` | fair turns among those whose mail it is |
//! | `timetable` | what waits in the spool, by the time it is due |
//! | `progress` | accepted, loaded, delivered, deferred, bounced |
//! | `refusing` | a next hop that is there, and refuses mail of some senders |
//! | `behind` | mail that need not be read, because its destination is still suspended |
//! | `settlement` | what an outcome means for its recipients: again, expired, returned, dead |
//! | `orders` | flush, hold, release, return, remove |
//! | [`retry`] | when a deferred recipient is tried again |
//! | [`notification`] | what the sender is told, and the administrators of dead mail |
//! | [`deferring`] | next hops that answer, and say "later" to all mail |
//! | [`clock`] | steps of the wall clock |
//! | [`rate`] | how many of something in a sliding time |
//!
//! It is generic over the destination `D` and over whose mail it is, the owner `O`: a user in the
//! agent, a client in the smarthost.
//!
//! The states of a recipient, and what leaves them:
//!
//! ```text
//! Waiting(time) ──time──▶ Loading ──Loaded──▶ Queued ──its turn──▶ Delivering ──▶ delivered (recorded, gone)
//!      ▲                     │                   │                      ├────▶ Failed ──Bounced──▶ bounced (recorded, gone)
//!      └─────────────────────┴──── suspended ────┴─ deferred (recorded) ┘          └─null sender──▶ held as dead mail
//! ```
//!
//! Contract: every recipient ends in exactly one of delivered, bounced, removed. Nothing is
//! recorded as settled before it is; a bounce is in the spool before its recipients are settled. A
//! recipient is never in two deliveries at once. What waits longest is tried first; owners and
//! destinations take turns, so that a slow one holds up nobody else. Mail expires only after an
//! attempt that failed when the mail was too old already; no step of the clock makes mail older,
//! and no wait is longer than the longest retry step.
//! Failures: a destination that cannot be reached is suspended for a growing time, and its mail is
//! deferred with that reason (row C7), or stays in memory as it is where there is no other
//! destination ([`BackOff::stays`]); where other connections to it work, only their number is
//! lowered. One that is there and refuses the mail of some senders, or turns them away, is asked at
//! once for each other one, however many it refuses: only theirs waits, for a growing time. What is
//! said of a recipient or a message stops that one alone, whatever it is. A message at which one
//! falls silent is cut where others wait, before its final dot, and waits alone; hosts never have
//! more connections than they may, silent ones and those of questions about recipients with them.
//! Memory: about 150 bytes a message with one recipient while it waits, and 50 more behind a
//! destination that is suspended; envelopes are read from the
//! spool when they are due.

pub mod clock;
pub mod deferring;
pub mod notification;
pub mod rate;
pub mod retry;

mod asking;
mod behind;
mod census;
mod crowd;
mod destination;
mod event;
mod gathered;
mod hashed;
mod machine;
mod message;
mod orders;
mod place;
mod progress;
mod question;
mod random;
mod recent;
mod refused;
mod refusing;
mod settlement;
#[cfg(test)]
mod simulation;
mod site;
mod sites;
mod slots;
#[cfg(test)]
mod tests;
mod timetable;
mod transports;
mod turns;

pub use event::{
    Action, Delivery, Event, Origin, Patience, Recovered, Routed, Silence, Waiting, recipient,
    sender,
};
pub use machine::Queue;
pub use settings::{BackOff, Settings, Slots, Transport};
pub use site::Lesson;
pub use transports::Transports;

mod settings;
