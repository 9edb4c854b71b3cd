//! Why an alias leads to nobody.

use mail::{address::Address, maps::NOBODY, outcome::Failure, status::EnhancedStatus};

/// The table is wrong: that can be mended, so the mail waits.
pub(super) fn unusable(alias: &Address, why: &str) -> Failure {
    cannot_be_expanded(alias, EnhancedStatus::new(4, 3, 5), why)
}

/// Nothing is wrong, but there is nobody: mail that is taken has a recipient at least.
pub(super) fn nobody(alias: &Address) -> Failure {
    cannot_be_expanded(alias, EnhancedStatus::new(4, 3, 0), NOBODY)
}

fn cannot_be_expanded(alias: &Address, status: EnhancedStatus, why: &str) -> Failure {
    let text = format!("alias {alias} cannot be expanded: {why}");
    Failure::local(status, &text)
}
