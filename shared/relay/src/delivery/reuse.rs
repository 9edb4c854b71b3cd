//! What an answer over a kept connection is worth.
//!
//! A peer that ends an idle connection may say so (`554 5.4.2 idle too long`) while the next
//! message begins, and a reply that nobody asked for shifts all that follow. The client's machine
//! therefore proves answers to be in step ([`smtp::client::Transaction::kept`]). What came to no
//! answer shows that the connection was stale, and is tried on a fresh one; so is a "never" of what
//! the connection alone may be the reason of, and what says that it has served enough messages.
//! What is proved and is of the recipient, or is "not now", stands as it would on a fresh
//! connection: whoever asked twice would count twice with the peer, and go round the pace of its
//! transport.

use mail::outcome::{Blame, Failure, Outcome, Stage};

use super::fault::{Refusal, about_us, is_about_connection, is_taken_perhaps, speaks_of_recipient};

/// Whether a recipient's outcome may come from the connection alone; `named` as in [`about_us`].
pub(super) fn is_stale(outcome: &Outcome, named: bool) -> bool {
    match outcome {
        Outcome::Delivered(_) => false,
        Outcome::Deferred(failure) if is_unfinished(failure) => true,
        Outcome::Deferred(failure) | Outcome::Failed(failure) => is_of_session(failure, named),
    }
}

/// No answer came, or the peer went away with one.
fn is_unfinished(failure: &Failure) -> bool {
    let went = match failure.reply {
        None => failure.blame != Blame::Local,
        Some(code) => code.value() == 421 && failure.stage <= Stage::Data,
    };
    went && !is_taken_perhaps(failure)
}

/// A fresh connection logs in again, and meets settings that may have been mended since: a refusal
/// of this machine, unless it says that we send too much; any other "never" but of a recipient.
fn is_of_session(failure: &Failure, named: bool) -> bool {
    if failure.stage > Stage::Data || speaks_of_recipient(failure) {
        return false;
    }
    if is_about_connection(failure) {
        return true;
    }
    match about_us(failure, named) {
        Some(refusal) => refusal != Refusal::Quota,
        None => failure.status.class() == 5,
    }
}
