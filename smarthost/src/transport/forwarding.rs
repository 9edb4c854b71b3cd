//! The sender of mail that is passed on for others, where senders are rewritten.
//!
//! Contract: rewritten is only the sender of mail that an alias leads to a domain that is not ours,
//! and only one that is not ours either: with him the next hop would find this machine in nobody's
//! SPF record. The queue keeps the sender as he was.

use mail::{
    address::Sender,
    clock,
    envelope::{Envelope, Recipient},
};

use crate::setup::Setup;

/// Gives the envelope the sender with which it leaves.
pub(super) fn forward(setup: &Setup, envelope: &mut Envelope) {
    let (Some(srs), Sender::Address(sender)) = (&setup.srs, &envelope.sender) else {
        return;
    };
    let router = &setup.router;
    let leaves = |recipient: &Recipient| {
        recipient.replaced().is_some() && router.class(&recipient.address).is_none()
    };
    if router.class(sender).is_some() || !envelope.recipients.iter().any(leaves) {
        return;
    }
    if let Some(forwarded) = srs.forward(sender, clock::now()) {
        envelope.sender = Sender::Address(forwarded);
    }
}
