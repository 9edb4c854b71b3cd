//! The sender of mail that is passed on for others, where senders are rewritten.
//!
//! Contract: rewritten is only the sender of mail that an alias leads to a domain that is not ours,
//! and only one that is not ours either: with him the next hop would find this machine in nobody's
//! SPF record. Others of the same message have a transaction of their own, with the sender as he
//! is. The queue keeps him so.
//! What comes back finds him, also after a restart: what has to be remembered for it is written
//! down before the next hop hears of it.

use mail::{
    address::{Address, Sender},
    clock,
    envelope::{Envelope, Recipient},
};

use crate::{dispatch::Dispatch, setup::Setup, srs::Srs};

/// The recipients by their indexes, those who get it from the sender as he is and those to whom it
/// is forwarded for him; without those parts that have nobody.
pub(super) fn parts(setup: &Setup, envelope: &Envelope) -> Vec<Vec<usize>> {
    let all = 0..envelope.recipients.len();
    let (forwarded, direct): (Vec<_>, Vec<_>) = match rewrites(setup, envelope) {
        Some(_) => all.partition(|&index| {
            let recipient = envelope.recipients.get(index);
            recipient.is_some_and(|recipient| leaves(setup, recipient))
        }),
        None => (Vec::new(), all.collect()),
    };
    let parts = [direct, forwarded].into_iter();
    parts.filter(|part| !part.is_empty()).collect()
}

/// Gives the envelope of one part the sender with which it leaves.
pub(super) async fn forward(setup: &Setup, dispatch: Option<&Dispatch>, envelope: &mut Envelope) {
    let Some((srs, sender)) = rewrites(setup, envelope) else {
        return;
    };
    let forwarded = envelope.recipients.iter().any(|it| leaves(setup, it));
    let Some(forwarded) = forwarded
        .then(|| srs.forward(sender, clock::now()))
        .flatten()
    else {
        return;
    };
    if let Some(dispatch) = dispatch.filter(|_| forwarded.by_token) {
        dispatch.news().kept().await;
    }
    envelope.sender = Sender::Address(forwarded.address);
}

/// What rewrites the sender, where he is not one of ours.
fn rewrites<'a>(setup: &'a Setup, envelope: &'a Envelope) -> Option<(&'a Srs, &'a Address)> {
    match (&setup.srs, &envelope.sender) {
        (Some(srs), Sender::Address(sender)) if setup.router.class(sender).is_none() => {
            Some((srs, sender))
        }
        _ => None,
    }
}

/// Whether an alias leads it to somebody else's domain.
fn leaves(setup: &Setup, recipient: &Recipient) -> bool {
    recipient.replaced().is_some() && setup.router.class(&recipient.address).is_none()
}
