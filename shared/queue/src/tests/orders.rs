//! What the administrator orders: flush, hold, release, remove.

use std::time::Duration;

use mail::outcome::{Failure, Outcome, Stage};
use spool::Event as Recorded;

use super::{START, accepted, deliveries, queue, reasons, recovered, tell};
use crate::{
    Routed, Waiting,
    simulation::{
        Action, Delivery, Event, ORIGIN, Queue, destination, id, replied, sent, unreachable,
    },
};

fn finish(queue: &mut Queue, flight: &Delivery, outcomes: Vec<Outcome>) -> Vec<Action> {
    let ticket = flight.ticket;
    tell(queue, Event::Finished { ticket, outcomes }, START)
}

/// Answers a load: all recipients go to one destination.
fn load(queue: &mut Queue, actions: &[Action], name: &str) -> Vec<Action> {
    let Some(Action::Load { id, recipients }) = actions.first() else {
        panic!("no load: {actions:?}")
    };
    let recipients = recipients.iter().map(|&recipient| Routed {
        recipient,
        destination: Ok(destination(name)),
        lifetime: None,
    });
    let recipients = recipients.collect();
    tell(
        queue,
        Event::Loaded {
            id: *id,
            origin: ORIGIN,
            recipients,
        },
        START,
    )
}

#[test]
fn held_mail_stays_until_released_and_removed_mail_is_gone_for_good() {
    let mut queue = queue();
    let far = START.after(Duration::from_hours(720));
    let waiting = vec![Waiting {
        recipient: 0,
        until: Some(START.after(Duration::from_mins(1))),
    }];
    tell(&mut queue, recovered(id(1), true, false, waiting), START);
    assert!(tell(&mut queue, Event::TimedOut, far).is_empty());
    assert!(
        tell(&mut queue, Event::FlushAll, far).is_empty(),
        "not even a flush delivers it"
    );
    let actions = tell(&mut queue, Event::Release { id: id(1) }, far);
    assert_eq!(
        actions[0],
        Action::Record {
            id: id(1),
            event: Recorded::Released
        }
    );
    assert!(matches!(actions[1], Action::Load { .. }));
    let actions = tell(&mut queue, Event::Remove { id: id(1) }, far);
    assert_eq!(
        actions,
        [
            Action::Record {
                id: id(1),
                event: Recorded::Removed
            },
            Action::Ended {
                id: id(1),
                deleted: 1,
                bounced: false,
                overtaken: false,
            }
        ]
    );
    let late = Routed {
        recipient: 0,
        destination: Ok(destination("a")),
        lifetime: None,
    };
    assert!(
        tell(
            &mut queue,
            Event::Loaded {
                id: id(1),
                origin: ORIGIN,
                recipients: vec![late]
            },
            far
        )
        .is_empty()
    );
    assert!(queue.is_empty());
}

/// Row C6.
#[test]
fn one_message_can_be_tried_where_its_destination_is_suspended_and_the_others_go_on_waiting() {
    let mut queue = queue();
    let first = deliveries(&tell(&mut queue, accepted(1, &["dead"]), START)).remove(0);
    let suspended = finish(&mut queue, &first, vec![unreachable()]);
    let until = |actions: &[Action]| {
        let until = |action: &Action| match action {
            Action::Suspended { until, .. } => Some(*until),
            _ => None,
        };
        actions.iter().find_map(until)
    };
    assert!(deliveries(&tell(&mut queue, accepted(2, &["dead"]), START)).is_empty());
    let loads = tell(&mut queue, Event::Flush { id: id(2) }, START);
    let flights = deliveries(&load(&mut queue, &loads, "dead"));
    assert_eq!(flights.len(), 1, "one attempt, of this message alone");
    let actions = finish(&mut queue, &flights[0], vec![unreachable()]);
    assert_eq!(
        until(&actions),
        until(&suspended),
        "nobody else waits longer for it"
    );
    assert!(deliveries(&tell(&mut queue, accepted(3, &["dead"]), START)).is_empty());
    let loads = tell(&mut queue, Event::Flush { id: id(2) }, START);
    let flights = deliveries(&load(&mut queue, &loads, "dead"));
    finish(&mut queue, &flights[0], vec![sent()]);
    assert!(!queue.contains(id(2)) && !queue.is_active(id(1)));
    assert_eq!(
        deliveries(&tell(&mut queue, accepted(4, &["dead"]), START)).len(),
        1,
        "it works again: new mail goes at once"
    );
}

/// Row C6.
#[test]
fn a_flush_of_everything_tries_all_destinations_again() {
    let mut queue = queue();
    let flight = deliveries(&tell(&mut queue, accepted(1, &["dead"]), START)).remove(0);
    finish(&mut queue, &flight, vec![unreachable()]);
    tell(&mut queue, accepted(2, &["dead"]), START);
    let loads = tell(&mut queue, Event::FlushAll, START);
    assert_eq!(loads.len(), 2);
    let probes: Vec<Delivery> = loads
        .chunks(1)
        .flat_map(|one| deliveries(&load(&mut queue, one, "dead")))
        .collect();
    assert_eq!(probes.len(), 1, "one shows whether it works again");
    let actions = finish(&mut queue, &probes[0], vec![sent()]);
    assert_eq!(deliveries(&actions).len(), 1);
}

#[test]
fn a_message_removed_while_it_is_delivered_leaves_at_once_and_the_log_counts_who_did_not_get_it() {
    let removed = |queue: &mut Queue| {
        let actions = tell(queue, accepted(1, &["a", "a", "b"]), START);
        let flights = deliveries(&actions);
        let actions = tell(queue, Event::Hold { id: id(1) }, START);
        assert_eq!(actions.len(), 1);
        let actions = tell(queue, Event::Remove { id: id(1) }, START);
        let record = Action::Record {
            id: id(1),
            event: Recorded::Removed,
        };
        assert_eq!(actions, [record], "recorded before the flights end");
        assert!(tell(queue, Event::Remove { id: id(1) }, START).is_empty());
        flights
    };
    let mut queue = queue();
    let flights = removed(&mut queue);
    let refused = vec![sent(), replied(Stage::Recipient, 550)];
    assert!(
        finish(&mut queue, &flights[0], refused).is_empty(),
        "nothing is recorded of it any more, and nobody is told"
    );
    let actions = finish(&mut queue, &flights[1], vec![unreachable()]);
    assert!(reasons(&actions).is_empty());
    assert_eq!(
        actions.last(),
        Some(&Action::Ended {
            id: id(1),
            deleted: 2,
            bounced: false,
            overtaken: false,
        })
    );
    assert!(queue.is_empty());
}

#[test]
fn a_message_removed_while_its_bounce_is_made_ends_once() {
    for bounced in [true, false] {
        let mut queue = queue();
        let flight = deliveries(&tell(&mut queue, accepted(1, &["a"]), START)).remove(0);
        finish(&mut queue, &flight, vec![replied(Stage::Recipient, 550)]);
        tell(&mut queue, Event::Remove { id: id(1) }, START);
        let event = if bounced {
            Event::Bounced { id: id(1) }
        } else {
            Event::BounceFailed { id: id(1) }
        };
        let actions = tell(&mut queue, event, START);
        let deleted = usize::from(!bounced);
        let (id, bounced) = (id(1), false);
        let ended = Action::Ended {
            id,
            deleted,
            bounced,
            overtaken: false,
        };
        assert_eq!(actions, [ended]);
    }
}

#[test]
fn an_order_that_comes_while_the_delivery_is_under_way_and_succeeds_is_told_to_be_too_late() {
    let by_order = || Failure::by_order(None);
    for (order, ordered) in [
        ("none", None),
        ("hold", Some(Event::Hold { id: id(1) })),
        ("delete", Some(Event::Remove { id: id(1) })),
        (
            "bounce",
            Some(Event::Return {
                id: id(1),
                failure: by_order(),
                null_sender: false,
            }),
        ),
    ] {
        let mut queue = queue();
        let flight = deliveries(&tell(&mut queue, accepted(1, &["a"]), START)).remove(0);
        let is_ordered = ordered.is_some();
        if let Some(event) = ordered {
            tell(&mut queue, event, START);
        }
        assert!(queue.is_under_way(id(1)), "{order}");
        let actions = finish(&mut queue, &flight, vec![sent()]);
        let ended = Action::Ended {
            id: id(1),
            deleted: 0,
            bounced: false,
            overtaken: is_ordered,
        };
        assert_eq!(actions.last(), Some(&ended), "{order}");
        assert!(!queue.is_under_way(id(1)));
    }
}

/// The order is on disk before it is answered; what follows from it may come after a crash.
#[test]
fn what_an_administrator_returns_goes_back_to_its_sender_also_after_a_crash() {
    let mut queue = queue();
    let flight = deliveries(&tell(&mut queue, accepted(1, &["a"]), START)).remove(0);
    finish(&mut queue, &flight, vec![replied(Stage::Recipient, 450)]);
    let known = spool::Known {
        envelope: mail::envelope::Envelope {
            sender: mail::address::Sender::Address("a@example.org".to_owned().try_into().unwrap()),
            ..mail::envelope::Envelope::default()
        },
        unread: None,
    };
    let actions = tell(
        &mut queue,
        Event::returned(id(1), Some(&known), None),
        START,
    );
    let recorded = Action::Record {
        id: id(1),
        event: Recorded::Returned,
    };
    assert_eq!(actions[0], recorded);
    let Action::Bounce { failed, .. } = &actions[1] else {
        panic!("{actions:?}")
    };

    let mut after = super::queue();
    let later = vec![Waiting {
        recipient: 0,
        until: Some(START.after(Duration::from_hours(1))),
    }];
    let mut found = recovered(id(1), false, false, later);
    if let Event::Recovered(found) = &mut found {
        found.returned = true;
    }
    let actions = tell(&mut after, found, START);
    let actions = load(&mut after, &actions, "a");
    let again = Action::Bounce {
        id: id(1),
        failed: failed.clone(),
        expired: false,
    };
    assert_eq!(actions, [again]);
}

#[test]
fn a_message_that_has_moved_leaves_nothing_behind_and_nobody_is_told() {
    let mut queue = queue();
    let flights = deliveries(&tell(&mut queue, accepted(1, &["a", "b"]), START));
    tell(&mut queue, Event::Parked { id: id(1) }, START);
    for flight in flights {
        assert!(!queue.rests(id(1)), "it is on its way");
        finish(&mut queue, &flight, vec![replied(Stage::Recipient, 450)]);
    }
    assert!(queue.rests(id(1)));
    let actions = tell(&mut queue, Event::Moved { id: id(1) }, START);
    let event = spool::Event::Removed;
    assert_eq!(actions, [Action::Record { id: id(1), event }]);
    assert!(queue.is_empty() && queue.deadline().is_none());
}

#[test]
fn no_delivery_begins_while_its_end_cannot_be_recorded_and_all_go_when_it_can_be() {
    let mut queue = queue();
    queue.refrain(true, START);
    let actions = tell(&mut queue, accepted(1, &["a", "b"]), START);
    assert!(deliveries(&actions).is_empty(), "{actions:?}");
    assert_eq!(queue.deadline(), None, "nothing to look for meanwhile");
    let actions = tell(&mut queue, Event::FlushAll, START);
    assert!(deliveries(&actions).is_empty(), "nor by an order");
    queue.refrain(false, START);
    let begun: Vec<_> = std::iter::from_fn(|| queue.next_action()).collect();
    let begun = deliveries(&begun);
    assert_eq!(begun.len(), 2);
    // One that was told and could not begin has its turn again, with nothing recorded.
    queue.refrain(true, START);
    let ticket = begun[0].ticket;
    let actions = tell(&mut queue, Event::Withdrawn { ticket }, START);
    assert!(actions.is_empty(), "{actions:?}");
    queue.refrain(false, START);
    let again: Vec<_> = std::iter::from_fn(|| queue.next_action()).collect();
    assert_eq!(deliveries(&again)[0].id, begun[0].id);
}
