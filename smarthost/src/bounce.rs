//! What to tell the sender: bounces and warnings of a delay; composing is [`mail::notice`]. Pure.
//!
//! Contract: never a notification of a notification (null sender), never against NOTIFY. The original is returned whole only where the
//! sender asked for it. RFC 5321 §4.5.5, §6.1; RFC 3461 §4.1, §4.3.

use mail::{
    address::Address,
    envelope::{Envelope, Notify, Recipient, Ret},
    outcome::Failure,
};

/// What the sender is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// Given up.
    Failed,
    /// Still tried.
    Late,
}

/// A notification that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub to: Address,
    /// Recipients of whom the sender wants to hear it, as the sender wrote them.
    pub told: Vec<(Recipient, Failure)>,
    /// The body is returned too (RET=FULL).
    pub whole: bool,
}

/// Decides; `recipients` by index, as in [`crate::queue::Action::Bounce`] and `Warn`. `None`: nobody is to be told.
pub fn plan(
    envelope: &Envelope,
    occasion: Occasion,
    recipients: &[(u32, Failure)],
) -> Option<Plan> {
    let to = envelope.sender.address()?.clone();
    let wanted = |notify: Notify| match occasion {
        Occasion::Failed => notify.failure,
        Occasion::Late => notify.delay,
    };
    let told: Vec<(Recipient, Failure)> = recipients
        .iter()
        .filter_map(|(index, failure)| {
            let recipient = envelope.recipients.get(usize::try_from(*index).ok()?)?;
            wanted(recipient.notify).then(|| (recipient.clone(), failure.clone()))
        })
        .collect();
    let whole = occasion == Occasion::Failed && envelope.ret == Some(Ret::Full);
    (!told.is_empty()).then_some(Plan { to, told, whole })
}

#[cfg(test)]
mod tests {
    use mail::{
        outcome::{Blame, Stage},
        status::EnhancedStatus,
    };

    use super::*;
    use mail::address::Sender;

    fn envelope(sender: Sender) -> Envelope {
        let recipient = |text: &str| Recipient::from(Address::parse(text).unwrap());
        let silent = Notify {
            explicit: true,
            success: false,
            failure: false,
            delay: false,
        };
        let recipients = vec![
            recipient("a@example.net"),
            Recipient {
                notify: silent,
                ..recipient("b@example.net")
            },
            recipient("c@example.net"),
        ];
        Envelope {
            sender,
            recipients,
            ..Envelope::default()
        }
    }

    fn failed(indexes: &[u32]) -> Vec<(u32, Failure)> {
        let failure = Failure::new(
            Blame::Peer,
            Stage::Recipient,
            EnhancedStatus::new(5, 1, 1),
            "unknown",
        );
        indexes
            .iter()
            .map(|index| (*index, failure.clone()))
            .collect()
    }

    #[test]
    fn the_sender_hears_of_each_failed_recipient_but_of_none_with_notify_never() {
        let sender = Address::parse("s@example.org").unwrap();
        let envelope = envelope(Sender::Address(sender.clone()));
        let plan = plan(&envelope, Occasion::Failed, &failed(&[0, 1, 7])).unwrap();
        assert_eq!((plan.to, plan.whole), (sender, false));
        let told: Vec<_> = plan
            .told
            .iter()
            .map(|(recipient, _)| recipient.address.as_str())
            .collect();
        assert_eq!(told, ["a@example.net"]);
        assert_eq!(
            super::plan(&envelope, Occasion::Failed, &failed(&[1])),
            None
        );
    }

    #[test]
    fn a_bounce_never_bounces() {
        for occasion in [Occasion::Failed, Occasion::Late] {
            assert_eq!(
                plan(&envelope(Sender::Null), occasion, &failed(&[0, 2])),
                None
            );
        }
    }

    #[test]
    fn the_body_is_returned_only_when_the_sender_asked_for_it() {
        let mut envelope = envelope(Sender::Address(Address::parse("s@example.org").unwrap()));
        envelope.ret = Some(Ret::Full);
        let whole = |occasion| plan(&envelope, occasion, &failed(&[0])).unwrap().whole;
        assert!(whole(Occasion::Failed) && !whole(Occasion::Late));
    }
}
