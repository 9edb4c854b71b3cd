//! How many recipients a peer takes at once, as its answers to a list of them show.
//!
//! Contract: it says "too many" to those behind the ones that it took, or goes away at one of them;
//! or it takes all the names, and says so to DATA or to the message, or goes away at DATA. Then the
//! list is split, and no recipient is given up for it. One alone is never too many.

use mail::outcome::{Failure, Outcome, Stage};

use super::{
    fault::{cut, is_delivered, words::Words},
    interface::Sent,
};

/// What the answers to one transaction say of its list.
pub(super) struct Crowd {
    /// So many are taken at once, where these were more.
    pub(super) most: Option<usize>,
    /// The session can go on, and has taken some of them.
    begun: bool,
    /// The session can go on, and shorter lists may fare better.
    splits: bool,
}

impl Crowd {
    /// `kept`: another delivery opened the connection, which may have ended for its age.
    pub(super) fn of(asked: usize, sent: &mut Sent, kept: bool) -> Self {
        let refused = sent.outcomes.iter().filter(|it| is_of_list(it, kept));
        let refused = refused.count();
        if refused > 1 {
            for outcome in &mut sent.outcomes {
                spare(outcome);
            }
        }
        let half = (refused > 1).then_some(refused / 2);
        Self {
            most: went_at(asked, sent).or(half),
            begun: sent.open && sent.outcomes.iter().any(is_delivered),
            splits: sent.open && half.is_some(),
        }
    }

    /// Whether a recipient is asked for once more in the same session, with fewer others.
    pub(super) fn is_reason(&self, failure: &Failure) -> bool {
        match failure.stage {
            Stage::Recipient => self.begun && is_too_many(failure),
            _ => self.splits && says_too_many(failure),
        }
    }
}

/// Behind how many of a list a peer went away (421, the end).
fn went_at(asked: usize, sent: &Sent) -> Option<usize> {
    let within = !sent.open && (1..asked).contains(&sent.accepted);
    let cut = |outcome| cut(outcome).is_some();
    (within && sent.outcomes.iter().any(cut)).then_some(sent.accepted)
}

/// 452, or 552 in old words (RFC 5321 §4.5.3.1.10), or the code of both, for good with some.
fn is_too_many(failure: &Failure) -> bool {
    failure.status.says(5, 3) || failure.reply.is_some_and(|code| code.value() == 452)
}

/// Once all are named: 452 alone may be about room.
fn says_too_many(failure: &Failure) -> bool {
    let in_words = || Words::of(&failure.text).say(&["too many recipients"]);
    matches!(failure.stage, Stage::Data | Stage::Message)
        && failure.reply.is_some()
        && (failure.status.says(5, 3) || in_words())
}

fn is_of_list(outcome: &Outcome, kept: bool) -> bool {
    match outcome {
        Outcome::Delivered(_) => false,
        Outcome::Deferred(failure) | Outcome::Failed(failure) => {
            let went = failure.stage == Stage::Data
                && failure.reply.is_some_and(|code| code.value() == 421);
            (went && !kept) || says_too_many(failure)
        }
    }
}

/// A "never" that is about the others of the list is none.
fn spare(outcome: &mut Outcome) {
    if let Outcome::Failed(failure) = outcome
        && says_too_many(failure)
    {
        *outcome = failure.clone().for_now().outcome();
    }
}
