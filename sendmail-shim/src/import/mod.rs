//! Other programs' configurations made into ours: ssmtp, nullmailer, dma, msmtp, Postfix as null
//! client, and Debian's Exim; and their queues read.
//!
//! | part | what |
//! |---|---|
//! | [`plan`], `ours`, `written` | what was understood, what was not, and our configuration written from it |
//! | `logins`, `unreadable` | who may hear our login; what was not written in UTF-8 |
//! | [`ssmtp`], [`nullmailer`], [`dma`], [`msmtp`], [`postfix`], [`exim`] | one grammar each, quirks included |
//! | `maincf`, `passwords` | of Postfix: the places of its settings, and its tables of passwords; crate `postfix` reads the text |
//! | [`person`] | who reads root's mail |
//! | [`queue`] | the messages that wait in the files of a queue |
//!
//! Contract: pure and total. Each key that is set is told, once all was read: mapped, if what it
//! says is in the result, without effect here, or not taken over; never silently dropped. What made
//! the old configuration unsafe (no certificate check, another relay for each user, a password that
//! everybody can read) is marked, for it needs a decision.

pub mod dma;
pub mod exim;
mod logins;
mod maincf;
pub mod msmtp;
pub mod nullmailer;
mod ours;
mod passwords;
pub mod person;
pub mod plan;
pub mod postfix;
pub mod queue;
pub mod source;
pub mod ssmtp;
mod unreadable;
mod written;

#[cfg(test)]
mod by_hand;
#[cfg(test)]
mod logins_tests;
#[cfg(test)]
mod tests;
