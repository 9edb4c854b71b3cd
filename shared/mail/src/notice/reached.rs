//! Of which deliveries the sender is told (RFC 3461 §5.2).

use crate::{
    address::{Address, Sender},
    envelope::Recipient,
    outcome::{Delivery, Handover, Outcome},
};

/// Whom to tell of which deliveries, as NOTIFY=SUCCESS asks; what the next hop reports itself is
/// not told twice.
pub fn reached(
    sender: &Sender,
    recipients: &[Recipient],
    outcomes: &[Outcome],
) -> Option<(Address, Vec<(Recipient, Delivery)>)> {
    let to = sender.address()?.clone();
    let told: Vec<_> = recipients
        .iter()
        .zip(outcomes)
        .filter_map(|(recipient, outcome)| match outcome {
            Outcome::Delivered(delivery) if recipient.notify.success => match delivery.handover {
                Handover::Promised | Handover::Replaced => None,
                Handover::Relayed | Handover::Final => Some((recipient.clone(), delivery.clone())),
            },
            _ => None,
        })
        .collect();
    (!told.is_empty()).then_some((to, told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::Notify,
        outcome::{Blame, Failure, Stage},
        status::EnhancedStatus,
    };

    /// RFC 3461 §5.2.
    #[test]
    fn success_is_told_to_who_asked_unless_the_next_hop_tells_it() {
        let asking = Notify {
            explicit: true,
            success: true,
            failure: true,
            delay: false,
        };
        let recipient = |text: &str, notify| Recipient {
            notify,
            ..Recipient::from(Address::parse(text).unwrap())
        };
        let recipients = [
            recipient("final@example.net", asking),
            recipient("relayed@example.net", asking),
            recipient("promised@example.net", asking),
            recipient("late@example.net", asking),
            recipient("silent@example.net", Notify::default()),
        ];
        let delivered = |handover| {
            Outcome::Delivered(Delivery {
                relay: "mx[192.0.2.1]:25".to_owned(),
                reply: "250 Ok".to_owned(),
                handover,
            })
        };
        let status = EnhancedStatus::new(4, 2, 0);
        let outcomes = [
            delivered(Handover::Final),
            delivered(Handover::Relayed),
            delivered(Handover::Promised),
            Failure::new(Blame::Peer, Stage::Recipient, status, "later").outcome(),
            delivered(Handover::Final),
        ];
        let sender = Address::parse("s@example.org").unwrap();
        let asker = Sender::Address(sender.clone());
        let (to, told) = reached(&asker, &recipients, &outcomes).unwrap();
        assert_eq!(to, sender);
        let told: Vec<_> = told.iter().map(|(r, _)| r.address.as_str()).collect();
        assert_eq!(told, ["final@example.net", "relayed@example.net"]);
        assert_eq!(reached(&Sender::Null, &recipients, &outcomes), None);
    }
}
