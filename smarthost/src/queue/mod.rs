//! The scheduler: which recipients are tried when, in what order, how many at once, and what is recorded. Sans-io.
//!
//! Contract: every recipient ends in exactly one of delivered, bounced, removed. Nothing is recorded as settled before it is. A bounce
//! is in the spool before its recipients are settled.

mod machine;

pub use machine::{Action, Delivery, Event, Queue, Routed, Settings, Waiting};
