//! What to bounce, and to whom; composing is [`shared::notice`]. Pure.
//!
//! Contract: never a bounce for a bounce (null sender), never against NOTIFY=NEVER. RFC 5321 §4.5.5, §6.1; RFC 3461 §6.

use shared::{
    address::Address,
    envelope::{Envelope, Recipient},
    outcome::Failure,
};

/// A bounce that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub to: Address,
    pub failed: Vec<(Recipient, Failure)>,
    /// The body is returned too (RET=FULL, or a short message without RET).
    pub whole: bool,
}

/// Decides; `failed` as in [`crate::queue::Action::Bounce`]. `None`: nobody is to be told.
pub fn plan(_envelope: &Envelope, _failed: &[(u32, Failure)]) -> Option<Plan> {
    todo!()
}
