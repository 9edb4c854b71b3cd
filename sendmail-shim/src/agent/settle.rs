//! From the outcomes of an attempt to what the queue records, what is returned to the sender, and when to try again.
//!
//! Contract: pure. Every recipient is settled, deferred or reported in [`Settlement::failed`]; a message whose sender is null is
//! never bounced but kept on hold.
//! RFC 5321 §4.5.4.1, §6.1; RFC 3464 §2.3.3 (expiry is 4.4.7 or 5.4.7).

use std::{collections::BTreeMap, sync::Arc};

use mail::{
    address::Sender,
    clock::Timestamp,
    envelope::{Envelope, Notify},
    outcome::{Failure, Outcome},
};
use queue::retry::Schedule;
use spool::{Event, Settlement as Settled};

use super::schedule::Attempt;

/// A message under delivery.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'a> {
    pub envelope: &'a Envelope,
    pub arrival: Timestamp,
    /// Index in the envelope of each recipient that was tried.
    pub recipients: &'a [u32],
    /// In the same order.
    pub outcomes: &'a [Outcome],
    /// Old enough for a warning, and none was sent.
    pub late: bool,
}

/// What follows from an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// To be recorded at once.
    pub events: Vec<Event>,
    /// To be returned to the sender; recorded as bounced when the bounce is in the queue.
    pub failed: Vec<(u32, Failure)>,
    /// Failed too, but the sender does not want to know (NOTIFY without FAILURE).
    pub silent: Vec<u32>,
    /// Of whom the sender is to be warned that they still wait.
    pub late: Vec<(u32, Failure)>,
    pub attempt: Attempt,
    /// Whether age was the reason.
    pub expired: bool,
}

/// Decides; `random` is any number, for jitter.
pub fn settle(tried: &Tried<'_>, retry: &Schedule, now: Timestamp, random: u32) -> Settlement {
    let expired = retry.expired(tried.arrival, now);
    let until = retry.next(tried.arrival, now, random);
    let mut settlement = Settlement {
        events: Vec::new(),
        failed: Vec::new(),
        silent: Vec::new(),
        late: Vec::new(),
        attempt: Attempt::Done,
        expired: false,
    };
    let wishes = |recipient: u32| {
        let index = usize::try_from(recipient).ok();
        let found = index.and_then(|index| tried.envelope.recipients.get(index));
        found.map_or_else(Notify::default, |recipient| recipient.notify)
    };
    let mut waiting: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (&recipient, outcome) in tried.recipients.iter().zip(tried.outcomes) {
        match outcome {
            Outcome::Delivered(_) => {
                settlement.events.push(Event::Settled {
                    recipient,
                    settlement: Settled::Delivered,
                });
            }
            Outcome::Deferred(failure) if expired => {
                settlement.expired = true;
                settlement.failed.push((recipient, failure.expired()));
            }
            Outcome::Deferred(failure) => {
                if tried.late && wishes(recipient).delay {
                    settlement.late.push((recipient, failure.clone()));
                }
                waiting
                    .entry(failure.log_text())
                    .or_default()
                    .push(recipient);
            }
            Outcome::Failed(failure) => settlement.failed.push((recipient, failure.clone())),
        }
    }
    if tried.envelope.sender == Sender::Null && !settlement.failed.is_empty() {
        for (recipient, failure) in std::mem::take(&mut settlement.failed) {
            waiting
                .entry(failure.log_text())
                .or_default()
                .push(recipient);
        }
        settlement.attempt = Attempt::Held;
    } else if !waiting.is_empty() {
        settlement.attempt = Attempt::Deferred { until };
    }
    let wanted = |recipient: u32| wishes(recipient).failure;
    settlement.silent = settlement
        .failed
        .iter()
        .map(|(recipient, _)| *recipient)
        .filter(|&r| !wanted(r))
        .collect();
    settlement
        .failed
        .retain(|(recipient, _)| wanted(*recipient));
    settlement.events.extend(
        waiting
            .into_iter()
            .map(|(reason, recipients)| Event::Deferred {
                recipients,
                until,
                reason: Arc::from(reason),
            }),
    );
    if settlement.attempt == Attempt::Held {
        settlement.events.push(Event::Held);
    }
    settlement
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mail::{
        address::Address,
        envelope::Recipient,
        outcome::{Blame, Delivery, Handover, Stage},
        status::EnhancedStatus,
    };

    use super::*;

    const DAY: u64 = 86_400;

    fn envelope(sender: Sender) -> Envelope {
        let recipients = ["a@x.example", "b@x.example", "c@x.example"];
        let recipients = recipients
            .map(|text| Recipient::from(Address::parse(text).unwrap()))
            .to_vec();
        Envelope {
            sender,
            recipients,
            ..Envelope::default()
        }
    }
    fn someone() -> Sender {
        Sender::Address(Address::parse("s@x.example").unwrap())
    }
    fn outcome(class: u8) -> Outcome {
        match class {
            2 => Outcome::Delivered(Delivery {
                relay: "r".into(),
                reply: "250 ok".into(),
                handover: Handover::Promised,
            }),
            _ => Failure::new(
                Blame::Peer,
                Stage::Recipient,
                EnhancedStatus::new(class, 1, 1),
                &format!("{class}50 no"),
            )
            .outcome(),
        }
    }
    fn settled(envelope: &Envelope, classes: [u8; 3], age: u64) -> Settlement {
        let arrival = Timestamp::from_secs(1_000_000);
        let retry = Schedule {
            lifetime: Duration::from_secs(5 * DAY),
            ..Schedule::default()
        };
        let outcomes = classes.map(outcome);
        let tried = Tried {
            envelope,
            arrival,
            recipients: &[0, 1, 2],
            outcomes: &outcomes,
            late: age >= 4 * 3600,
        };
        settle(&tried, &retry, arrival.after(Duration::from_secs(age)), 0)
    }

    #[test]
    fn each_recipient_has_its_own_fate_and_one_bad_address_does_not_stop_the_others() {
        let settlement = settled(&envelope(someone()), [2, 4, 5], 60);
        assert!(settlement.events.contains(&Event::Settled {
            recipient: 0,
            settlement: Settled::Delivered
        }));
        assert!(
            settlement
                .events
                .iter()
                .any(|e| matches!(e, Event::Deferred { recipients, .. } if recipients == &[1]))
        );
        assert_eq!(
            settlement
                .failed
                .iter()
                .map(|(recipient, _)| *recipient)
                .collect::<Vec<_>>(),
            [2]
        );
        assert!(matches!(settlement.attempt, Attempt::Deferred { .. }));
    }

    #[test]
    fn what_is_deferred_for_too_long_is_returned_with_the_last_reason() {
        let settlement = settled(&envelope(someone()), [2, 4, 4], 5 * DAY);
        assert_eq!(
            (
                settlement.failed.len(),
                settlement.attempt,
                settlement.expired
            ),
            (2, Attempt::Done, true)
        );
        let (_, failure) = &settlement.failed[0];
        assert_eq!(failure.status.to_string(), "5.4.7");
        assert!(failure.text.contains("450 no"), "{failure:?}");
    }

    #[test]
    fn a_bounce_that_cannot_be_delivered_is_kept_on_hold_with_its_reason() {
        for (classes, age) in [([5, 5, 5], 60), ([4, 4, 4], 6 * DAY), ([2, 4, 5], 60)] {
            let settlement = settled(&envelope(Sender::Null), classes, age);
            assert!(settlement.failed.is_empty());
            assert_eq!(
                (settlement.events.last(), settlement.attempt),
                (Some(&Event::Held), Attempt::Held),
                "{classes:?}"
            );
        }
    }

    #[test]
    fn a_sender_is_warned_of_recipients_that_still_wait_unless_he_does_not_want_to_know() {
        let mut envelope = envelope(someone());
        envelope.recipients[2].notify.delay = false;
        let late = |envelope: &Envelope, age| -> Vec<u32> {
            let settlement = settled(envelope, [5, 4, 4], age);
            settlement.late.iter().map(|(r, _)| *r).collect()
        };
        assert!(late(&envelope, 3 * 3600).is_empty());
        assert_eq!(late(&envelope, 5 * 3600), [1]);
        assert!(late(&envelope, 6 * DAY).is_empty(), "those are returned");
    }

    #[test]
    fn a_sender_who_does_not_want_to_know_is_not_told() {
        let mut envelope = envelope(someone());
        envelope.recipients[2].notify = Notify {
            explicit: true,
            success: false,
            failure: false,
            delay: false,
        };
        let settlement = settled(&envelope, [2, 5, 5], 60);
        assert_eq!(
            (settlement.failed.len(), settlement.silent.as_slice()),
            (1, &[2][..])
        );
    }
}
