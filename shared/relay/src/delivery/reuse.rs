//! What an answer over a kept connection is worth.
//!
//! A peer that ends an idle connection may say so (`554 5.4.2 idle too long`) while the next message begins, and a reply that
//! nobody asked for shifts all that follow. Replies are believed only if they are proved to be in step: the peer has asked for
//! the message (354), or taken it. What the dead connection's peer offered (SIZE, SMTPUTF8) decides nothing.

use mail::outcome::{Outcome, Stage};

/// Whether the replies to a transaction were proved to belong to its commands.
pub(super) fn in_step(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| match outcome {
        Outcome::Delivered(_) => true,
        Outcome::Deferred(failure) | Outcome::Failed(failure) => {
            matches!(failure.stage, Stage::Body | Stage::Message)
        }
    })
}
