//! What a client may do: a chain of named restrictions for each stage of a session, pure.
//!
//! | stage | restrictions, in order |
//! |---|---|
//! | connect, HELO, DATA | none yet |
//! | MAIL | `client_limit` (asks) |
//! | RCPT | `reject_unauth_destination`, `reject_unlisted_recipient`, `alias_expansion`, `client_limit` (asks) |
//! | message | `hop_limit` |
//!
//! Contract: relay permission is decided before anything that asks the world about a recipient, and no other restriction can grant
//! it. A restriction that needs the world gives [`Step::Ask`]; the driver finds out and goes on. Those that only look
//! something up are asked together, however they stand. A chain that ends without a
//! refusal accepts. Reply texts are Postfix's.
//! RFC 5321 §3.6.2, §6.3, §7.1.

mod chain;
mod facts;
mod restrictions;
#[cfg(test)]
mod tests;

pub use chain::{Answer, Evaluation, Policy, Query, Ruling, Step};
pub use facts::{Facts, Message, Session, Transaction};
