//! What a client may do: a chain of named restrictions for each stage of a session, pure.
//!
//! Contract: relay permission is decided before anything that asks the world, and no other restriction can grant it.
//! A restriction that needs the world gives [`Step::Ask`]; the driver answers and goes on. A chain that ends without a
//! refusal accepts. Reply texts are Postfix's.
//! RFC 5321 §3.6.2, §7.1; RFC 7505 is not asked here (delivery finds out).

mod chain;

pub use chain::{Answer, Evaluation, Facts, Policy, Query, Ruling, Step};
