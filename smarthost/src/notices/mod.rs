//! What administrators are told by mail: one machine for all of it. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`event`](Event) | what the machine hears |
//! | [`news`](News) | one thing to tell, and a mail that tells it |
//! | [`words`](counted) | texts in it |
//! | [`kind`](Kind) | what sorts of news there are, and the words of a mail that gathers many |
//! | [`machine`](Notices) | which mail is due when |
//! | [`channel`] | what waits of one sort |
//! | [`outages`] | which outages last long enough to be told |
//! | [`day`](Day) | what a day brought, for its digest |
//!
//! Contract: events in, mails out. Of each sort one mail an hour at most: the first is due at once,
//! what comes within an hour of it is told together, with counts. Each outage is a sort of its own,
//! and of all of them no more than a few mails an hour. What strangers can cause is told once a day
//! at most and takes a fifth of a mail, so that they neither fill the mailbox nor crowd out what is
//! about our own machines. Bounded, and kept over a restart.

mod channel;
mod day;
mod event;
mod kind;
mod machine;
mod news;
mod outages;
#[cfg(test)]
mod tests;
mod words;

pub use day::{Day, HOURS, Passed, Waiting};
pub use event::Event;
pub use kind::Kind;
pub use machine::Notices;
pub use news::{News, Notice};
pub use outages::{Down, OutageReport};
pub(crate) use words::counted;
