//! Milters: filters that look at sessions and messages, decide and edit (Sendmail's protocol,
//! version 6). Pure.
//!
//! | part | what |
//! |---|---|
//! | [`setting`] | one filter as it is configured |
//! | [`packet`] | packets, and the strings in them |
//! | [`options`] | what both sides agree on at first |
//! | [`macros`] | what is known of session and message, by the names of Sendmail's macros |
//! | [`stage`] | what a filter is told, as packets |
//! | [`answer`] | what it answers, read |
//! | [`dialog`] | the machine: one filter and one client's session |
//! | [`edit`] | what it wants to be changed, carried out on a header |
//!
//! Contract: bytes of a filter are bounded and never panic; what it says at the wrong time or in
//! the wrong form is its failure, for which [`OnFailure`] stands. Edits of a filter that fails are
//! not carried out. Nothing that it says can put a bare CR, LF or NUL, a field that it did not
//! name, or a reply of our own protocol into a message or a session.
//!
//! There is no specification but Sendmail's `libmilter` and Postfix's `MILTER_README` and
//! `milter8.c`; where they differ we do as Postfix.
//! What we do otherwise: nothing is discarded (it is put on hold), and a filter that failed is
//! tried again with the next message.

pub mod answer;
pub mod dialog;
pub mod edit;
pub mod macros;
pub mod options;
pub mod packet;
pub mod setting;
pub mod stage;
#[cfg(test)]
mod tests;

pub use dialog::{Action, Dialog, Event, Outcome};
pub use edit::{Edit, EditedHeader};
pub use macros::Macros;
pub use setting::{Milter, OnFailure};
pub use stage::Stage;
