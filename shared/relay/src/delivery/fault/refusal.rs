//! Whom a refusal is about: this machine, or the mail.
//!
//! Contract: only what is about us is; everything else stays the mail's. What decides is a table
//! (`refusal/rules`): enhanced status first, as far as it is certain, then words about accounts,
//! then codes, at last words, by stage and by who says it. Words are compared as words
//! (`fault/words`); the table of what real servers say, and what each means, is the test.

use mail::outcome::{Failure, Stage};

mod phrases;
mod remedy;
mod rules;

pub use remedy::Refusal;

use self::{
    phrases::{NO, RECIPIENT, RELAYING},
    rules::{RECIPIENTS, Said},
};

/// The failure with what is to be done about it, where it is a refusal of this machine; `named`:
/// the next hop is one that the administrator named. What strangers demand no setting of his can
/// meet.
pub fn with_remedy(failure: Failure, named: bool) -> Failure {
    let remedy = about_us(&failure, named).filter(|_| named);
    Failure {
        remedy: remedy.map(Refusal::remedy).or(failure.remedy),
        ..failure
    }
}

/// What a refusal says of this machine, if it is about it; `named`: the next hop is one that the
/// administrator named.
pub(in crate::delivery) fn about_us(failure: &Failure, named: bool) -> Option<Refusal> {
    Said::of(failure, named)?.rule()?.means()
}

/// Whether a reply speaks of this recipient, by its code or in words: "no such relay user here" is
/// about the user, "relaying denied: user unknown" is not.
pub(in crate::delivery) fn speaks_of_recipient(failure: &Failure) -> bool {
    let Some(said) = Said::of(failure, true) else {
        return false;
    };
    let in_words = || said.says(RECIPIENT) && !(said.says(RELAYING) && said.says(NO));
    failure.stage >= Stage::Recipient
        && (RECIPIENTS.iter().any(|rule| rule.holds(&said)) || in_words())
}

#[cfg(test)]
mod tests;
