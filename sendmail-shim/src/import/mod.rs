//! Other programs' configurations made into ours: ssmtp, nullmailer, dma, msmtp, and Postfix as null client.
//!
//! | part | what |
//! |---|---|
//! | [`plan`] | what was understood, what was not, and our configuration written from it |
//! | [`ssmtp`], [`nullmailer`], [`dma`], [`msmtp`], [`postfix`] | one grammar each, quirks included |
//!
//! Contract: pure and total. Each key that is set is told: mapped, without effect here, or not taken over; never silently dropped. What made the old
//! configuration unsafe (no certificate check, another relay for each user, a password that everybody can read) is marked, for it needs a decision.

pub mod dma;
pub mod exim;
pub mod msmtp;
pub mod nullmailer;
pub mod plan;
pub mod postfix;
pub mod queue;
pub mod ssmtp;

#[cfg(test)]
mod tests;
