//! What a client may do: a chain of restrictions for each stage of a session, pure.
//!
//! | part | what |
//! |---|---|
//! | [`rule`] | one line of `restrictions`, read once |
//! | [`chain`] | the chains of the stages |
//! | [`evaluation`] | how one is gone through |
//! | [`view`] | what restrictions see, and what they may think |
//! | [`restrictions`] | what each restriction thinks |
//! | [`names`] | of HELO names and of domains as they are written |
//! | [`world`] | of what DNS says |
//! | [`access`] | of what tables say |
//! | [`access_table`] | such a table |
//! | [`action`] | what tables and policy servers may say: access(5) |
//! | [`endpoint`] | where a policy server listens |
//! | [`service`] | policy delegation: what a server is told, and what it answers |
//! | [`dnsbl`] | block lists: codes, keys, what is asked |
//! | [`health`] | which of them can be believed |
//! | [`greylist`] | which networks have to come again |
//! | [`refusals`] | what was refused, for administrators |
//! | [`verify`] | which recipients exist at the next hop, and what counts while it is silent |
//! | [`query`] | what the world is asked, and what it says |
//! | [`facts`] | what is known of session, transaction and message |
//! | [`trace`] | what each rule thought and why, for who asks |
//!
//! | stage | what is decided, in order |
//! |---|---|
//! | connect, HELO, DATA | nothing |
//! | MAIL | `client_limit` (asks) |
//! | RCPT | permission to relay; `restrictions`; then, whatever they said: `reject_unlisted_recipient`, `alias_expansion`, an earlier deferral, `client_limit` (asks) |
//! | message | `hop_limit` |
//!
//! Contract: relay permission is decided before anything that asks the world about a recipient, and
//! no other restriction can grant it. A restriction that needs the world gives [`Step::Ask`]; the
//! driver finds out and goes on. Those that only look something up are asked together, however they
//! stand. A chain that ends without a refusal accepts. Reply texts are Postfix's.
//! RFC 5321 §3.6.2, §6.3, §7.1.

mod access;
pub mod access_table;
mod action;
mod chain;
pub mod dnsbl;
pub mod endpoint;
mod evaluation;
mod facts;
pub mod greylist;
pub mod health;
mod names;
mod query;
pub mod refusals;
mod restrictions;
pub mod rule;
pub mod service;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod verify;
pub(crate) mod view;
mod world;

pub use chain::{Policy, Sources, lists_in_use};
pub use dnsbl::{Found, Scores};
pub use evaluation::{Evaluation, Ruling, Step};
pub use facts::{Facts, Message, Session, Transaction};
pub use query::{Answer, ClientName, Listing, MailDomain, Query};
pub use trace::Effect;
