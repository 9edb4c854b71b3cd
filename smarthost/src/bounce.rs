//! What to bounce, and to whom; composing is [`shared::notice`]. Pure.
//!
//! Contract: never a bounce for a bounce (null sender), never against NOTIFY=NEVER. The original is returned whole only where the
//! sender asked for it. RFC 5321 §4.5.5, §6.1; RFC 3461 §4.1, §4.3.

use shared::{
    address::Address,
    envelope::{Envelope, Recipient, Ret},
    outcome::Failure,
};

/// A bounce that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub to: Address,
    /// Recipients whose sender wants to hear of it, as the sender wrote them.
    pub failed: Vec<(Recipient, Failure)>,
    /// The body is returned too (RET=FULL).
    pub whole: bool,
}

/// Decides; `failed` as in [`crate::queue::Action::Bounce`]. `None`: nobody is to be told.
pub fn plan(envelope: &Envelope, failed: &[(u32, Failure)]) -> Option<Plan> {
    let to = envelope.sender.address()?.clone();
    let failed: Vec<(Recipient, Failure)> = failed
        .iter()
        .filter_map(|(index, failure)| {
            let recipient = envelope.recipients.get(usize::try_from(*index).ok()?)?;
            recipient
                .notify
                .failure
                .then(|| (recipient.clone(), failure.clone()))
        })
        .collect();
    let whole = envelope.ret == Some(Ret::Full);
    (!failed.is_empty()).then_some(Plan { to, failed, whole })
}

#[cfg(test)]
mod tests {
    use shared::{
        address::Sender,
        envelope::Notify,
        outcome::{Blame, Stage},
        status::EnhancedStatus,
    };

    use super::*;

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
        let plan = plan(&envelope, &failed(&[0, 1, 7])).unwrap();
        assert_eq!((plan.to, plan.whole), (sender, false));
        let told: Vec<_> = plan
            .failed
            .iter()
            .map(|(recipient, _)| recipient.address.as_str())
            .collect();
        assert_eq!(told, ["a@example.net"]);
        assert_eq!(super::plan(&envelope, &failed(&[1])), None);
    }

    #[test]
    fn a_bounce_never_bounces() {
        assert_eq!(plan(&envelope(Sender::Null), &failed(&[0, 2])), None);
    }

    #[test]
    fn the_body_is_returned_only_when_the_sender_asked_for_it() {
        let mut envelope = envelope(Sender::Address(Address::parse("s@example.org").unwrap()));
        envelope.ret = Some(Ret::Full);
        assert!(plan(&envelope, &failed(&[0])).unwrap().whole);
    }
}
