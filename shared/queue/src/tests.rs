//! Single behaviours, step by step; what must hold in all circumstances is in
//! [`super::simulation`].

mod behind;
mod clock;
mod crowd;
mod interrupted;
mod orders;
mod places;
mod questions;
mod refused;
mod relayhost;
mod transports;
mod unread;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mail::{clock::Timestamp, outcome::Stage};
use spool::{Event as Recorded, QueueId, Settlement};

use crate::{
    BackOff, Recovered, Routed, Settings, Slots, Waiting,
    clock::Step,
    retry::Schedule,
    simulation::{
        Action, Delivery, Event, ORIGIN, Queue, destination, id, replied, sent, unreachable,
    },
};

const START: Timestamp = Timestamp::from_secs(1_000_000);

fn queue() -> Queue {
    Queue::new(settings(Slots::of_many(20, 10)), 7)
}

fn settings(slots: Slots) -> Settings<u32> {
    let schedule = Schedule::default();
    Settings {
        schedule,
        back_off: BackOff::of_many(&schedule),
        warning: Some(Duration::from_hours(4)),
        slots,
        first: None,
    }
}

fn recovered(id: QueueId, held: bool, warned: bool, waiting: Vec<Waiting>) -> Event {
    Event::Recovered(Recovered {
        id,
        owner: ORIGIN.owner,
        arrival: START,
        held,
        returned: false,
        warned,
        kept: false,
        waiting,
    })
}

#[test]
fn a_digest_that_was_due_by_a_clock_ahead_is_due_after_its_window_once_the_clock_is_right() {
    let (ahead, window) = (
        START.after(Duration::from_hours(9600)),
        Duration::from_hours(20),
    );
    let waiting = vec![Waiting {
        recipient: 0,
        until: Some(ahead.after(window)),
    }];
    for restart in [false, true] {
        let mut queue = queue();
        let mut found = recovered(id(1), false, false, waiting.clone());
        if let Event::Recovered(found) = &mut found {
            (found.kept, found.arrival) = (true, ahead);
        }
        if restart {
            tell(&mut queue, found, START);
        } else {
            tell(&mut queue, found, ahead);
            assert_eq!(queue.deadline(), Some(ahead.after(window)), "its own time");
            let step = Step::Back(Duration::from_hours(9600));
            tell(&mut queue, Event::Stepped(step), START);
        }
        assert_eq!(queue.deadline(), Some(START.after(window)));
    }
}

/// It is due, as all that was not tried is.
#[test]
fn what_came_by_a_clock_that_was_ahead_and_was_not_tried_is_tried_at_once() {
    for ahead in [10, 3600, 4000 * 86400] {
        let waiting = vec![Waiting {
            recipient: 0,
            until: None,
        }];
        let mut found = recovered(id(1), false, false, waiting);
        if let Event::Recovered(found) = &mut found {
            found.arrival = START.after(Duration::from_secs(ahead));
        }
        let actions = tell(&mut queue(), found, START);
        let loads = matches!(actions[..], [Action::Load { .. }]);
        assert!(loads, "{ahead} s ahead: {actions:?}");
    }
}

fn tell(queue: &mut Queue, event: Event, now: Timestamp) -> Vec<Action> {
    queue.handle(event, now);
    std::iter::from_fn(|| queue.next_action()).collect()
}

fn accepted(number: u64, destinations: &[&str]) -> Event {
    let routed = |(recipient, name): (u32, &&str)| Routed {
        recipient,
        destination: Ok(destination(name)),
        lifetime: None,
    };
    Event::Accepted {
        id: id(number),
        arrival: START,
        origin: ORIGIN,
        recipients: (0..).zip(destinations).map(routed).collect(),
    }
}

fn deliveries(actions: &[Action]) -> Vec<Delivery> {
    let delivery = |action: &Action| match action {
        Action::Deliver(delivery) => Some(delivery.clone()),
        _ => None,
    };
    actions.iter().filter_map(delivery).collect()
}

fn reasons(actions: &[Action]) -> Vec<String> {
    let reason = |action: &Action| match action {
        Action::Record {
            event: Recorded::Deferred { reason, .. },
            ..
        } => Some(reason.to_string()),
        _ => None,
    };
    actions.iter().filter_map(reason).collect()
}

#[test]
fn recipients_of_one_message_at_one_destination_travel_together_and_end_one_by_one() {
    let mut queue = queue();
    let actions = tell(&mut queue, accepted(1, &["a", "b", "a"]), START);
    let flights = deliveries(&actions);
    assert_eq!(
        flights
            .iter()
            .map(|f| f.recipients.clone())
            .collect::<Vec<_>>(),
        [vec![0, 2], vec![1]]
    );
    let outcomes = vec![sent(), replied(Stage::Recipient, 450)];
    let actions = tell(
        &mut queue,
        Event::Finished {
            ticket: flights[0].ticket,
            outcomes,
        },
        START,
    );
    let settled = Recorded::Settled {
        recipient: 0,
        settlement: Settlement::Delivered,
    };
    assert!(actions.contains(&Action::Record {
        id: id(1),
        event: settled
    }));
    assert_eq!(
        reasons(&actions),
        ["450 text (in reply to RCPT TO command)"]
    );
    tell(
        &mut queue,
        Event::Finished {
            ticket: flights[1].ticket,
            outcomes: vec![sent()],
        },
        START,
    );
    assert!(!queue.is_empty() && !queue.is_active(id(1)));
    let due = queue.deadline().unwrap();
    assert!(
        (300..=360).contains(&due.since(START).as_secs()),
        "five minutes with jitter"
    );
    let actions = tell(&mut queue, Event::TimedOut, due);
    assert_eq!(
        actions,
        [Action::Load {
            id: id(1),
            recipients: vec![2]
        }]
    );
}

/// Row C7: `421 too many connections` backs off, keeps the mail, and shows the reason.
#[test]
fn a_provider_that_says_too_many_connections_gets_fewer_and_then_a_pause_and_the_reason_is_shown() {
    let mut queue = queue();
    let mut flights = Vec::new();
    for number in 0..8 {
        flights.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &["isp"]),
            START,
        )));
    }
    assert_eq!(
        flights.len(),
        5,
        "an unknown destination gets five connections at first"
    );
    let refused = |flight: &Delivery| Event::Finished {
        ticket: flight.ticket,
        outcomes: vec![replied(Stage::Greeting, 421)],
    };
    let actions = tell(&mut queue, refused(&flights[0]), START);
    assert!(deliveries(&actions).is_empty(), "four work: no fifth");
    let actions = tell(
        &mut queue,
        Event::Finished {
            ticket: flights[1].ticket,
            outcomes: vec![sent()],
        },
        START,
    );
    assert_eq!(
        deliveries(&actions).len(),
        2,
        "one has ended well: its place, and one more is tried"
    );
    flights.extend(deliveries(&actions));
    let mut last = Vec::new();
    for flight in &flights[2..] {
        last = tell(&mut queue, refused(flight), START);
    }
    let Some(Action::Suspended { until, reason, .. }) =
        last.iter().find(|a| matches!(a, Action::Suspended { .. }))
    else {
        panic!("not suspended: {last:?}")
    };
    assert_eq!(
        (until.since(START).as_secs(), &**reason),
        (
            60,
            "421 text (in reply to receiving the initial server greeting)"
        )
    );
    assert!(reasons(&last).iter().any(|r| r == "delivery temporarily suspended: 421 text (in reply to receiving the initial server greeting)"));
    let actions = tell(&mut queue, accepted(100, &["isp"]), START);
    assert!(
        deliveries(&actions).is_empty() && reasons(&actions).len() == 1,
        "new mail waits with the same reason"
    );
    assert_eq!(
        queue.len(),
        8,
        "seven of eight and the new one: nothing is lost"
    );
}

#[test]
fn a_dead_destination_is_probed_by_one_delivery_after_growing_pauses_and_recovers_at_once() {
    let mut queue = queue();
    let mut now = START;
    let mut flight = deliveries(&tell(&mut queue, accepted(0, &["dead"]), now)).remove(0);
    for expected in [60, 120, 240, 480, 960, 1920, 3840, 4000, 4000] {
        let actions = tell(
            &mut queue,
            Event::Finished {
                ticket: flight.ticket,
                outcomes: vec![unreachable()],
            },
            now,
        );
        let Some(Action::Suspended { until, .. }) = actions
            .iter()
            .find(|a| matches!(a, Action::Suspended { .. }))
        else {
            panic!("{actions:?}")
        };
        assert_eq!(until.since(now).as_secs(), expected);
        now = *until;
        flight = deliveries(&tell(&mut queue, accepted(now.as_secs(), &["dead"]), now)).remove(0);
        let second = tell(&mut queue, accepted(now.as_secs() + 1, &["dead"]), now);
        assert!(deliveries(&second).is_empty(), "one probe at a time");
    }
    let actions = tell(
        &mut queue,
        Event::Finished {
            ticket: flight.ticket,
            outcomes: vec![sent()],
        },
        now,
    );
    assert!(
        !deliveries(&actions).is_empty(),
        "it works again: the next one follows"
    );
}

#[test]
fn a_slow_destination_does_not_hold_up_another() {
    let mut queue = queue();
    for number in 0..5000 {
        tell(&mut queue, accepted(number, &["slow"]), START);
    }
    let actions = tell(&mut queue, accepted(9999, &["quick"]), START);
    assert_eq!(deliveries(&actions)[0].destination, destination("quick"));
}

#[test]
fn destinations_take_turns_when_all_places_are_taken() {
    let mut queue = Queue::new(settings(Slots::of_many(4, 10)), 7);
    let mut flying = Vec::new();
    for number in 0..300 {
        let name = ["a", "b", "c"][usize::try_from(number % 3).unwrap()];
        flying.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &[name]),
            START,
        )));
    }
    let mut turns: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..90 {
        let flight = flying.remove(0);
        *turns.entry(flight.destination.to_string()).or_default() += 1;
        let event = Event::Finished {
            ticket: flight.ticket,
            outcomes: vec![sent()],
        };
        flying.extend(deliveries(&tell(&mut queue, event, START)));
        assert_eq!(flying.len(), 4);
    }
    assert!(
        turns.values().all(|turns| (28..=32).contains(turns)),
        "{turns:?}"
    );
}

#[test]
fn a_restart_with_50_000_messages_loads_only_a_window_of_them_at_a_time() {
    let mut queue = queue();
    let (mut loads, mut most) = (Vec::new(), 0);
    for number in 0..50_000 {
        let waiting = vec![Waiting {
            recipient: 0,
            until: None,
        }];
        let event = recovered(id(number), false, false, waiting);
        loads.extend(tell(&mut queue, event, START));
    }
    assert_eq!((queue.len(), loads.len()), (50_000, 32));
    let to: Arc<_> = destination("slow");
    let mut open = loads;
    while let Some(Action::Load { id, recipients }) = open.pop() {
        most += 1;
        let recipients = recipients.iter().map(|&recipient| Routed {
            recipient,
            destination: Ok(Arc::clone(&to)),
            lifetime: None,
        });
        let event = Event::Loaded {
            id,
            origin: ORIGIN,
            recipients: recipients.collect(),
        };
        open.extend(
            tell(&mut queue, event, START)
                .into_iter()
                .filter(|a| matches!(a, Action::Load { .. })),
        );
    }
    assert!((1000..=1100).contains(&most), "{most} envelopes in memory");
    assert_eq!(
        queue.deadline(),
        None,
        "the driver does not spin while the window is full"
    );
}

#[test]
fn mail_that_is_too_old_is_bounced_once_with_the_last_reason_after_the_bounce_is_kept() {
    let mut queue = queue();
    let flight = deliveries(&tell(&mut queue, accepted(1, &["dead"]), START)).remove(0);
    let old = START.after(Duration::from_hours(120));
    let actions = tell(
        &mut queue,
        Event::Finished {
            ticket: flight.ticket,
            outcomes: vec![unreachable()],
        },
        old,
    );
    let Some(Action::Bounce {
        failed,
        expired: true,
        ..
    }) = actions.last()
    else {
        panic!("{actions:?}")
    };
    assert_eq!(
        (failed[0].1.status.to_string(), failed[0].1.log_text()),
        (
            "5.4.7".to_owned(),
            "delivery time expired; last: connect to mx[192.0.2.1]:25: Connection refused"
                .to_owned()
        )
    );
    assert!(
        !actions.iter().any(|a| matches!(a, Action::Record { .. })),
        "nothing is settled yet"
    );
    let actions = tell(&mut queue, Event::Bounced { id: id(1) }, old);
    let settled = Recorded::Settled {
        recipient: 0,
        settlement: Settlement::Bounced,
    };
    assert_eq!(
        actions,
        [
            Action::Record {
                id: id(1),
                event: settled
            },
            Action::Ended {
                id: id(1),
                deleted: 0,
                bounced: true,
                overtaken: false,
            }
        ]
    );
}

#[test]
fn the_sender_is_warned_once_of_mail_that_is_late_and_not_again_after_a_restart() {
    let mut queue = queue();
    let late = START.after(Duration::from_hours(4));
    let attempt = |queue: &mut Queue, number: u64, now| {
        let flight = deliveries(&tell(queue, accepted(number, &["dead"]), START)).remove(0);
        let outcomes = vec![replied(Stage::Recipient, 450)];
        let ticket = flight.ticket;
        tell(queue, Event::Finished { ticket, outcomes }, now)
    };
    let warns = |actions: &[Action]| {
        let warns = actions.iter().filter(|a| matches!(a, Action::Warn { .. }));
        warns.count()
    };
    let early = attempt(&mut queue, 1, START.after(Duration::from_hours(3)));
    assert_eq!(warns(&early), 0);
    let actions = attempt(&mut queue, 2, late);
    let told: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Warn { id, late, .. } => Some((*id, late.len(), late[0].0)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(id(2), 1, 0)]);
    let recorded = tell(&mut queue, Event::Warned { id: id(2) }, late);
    let warned = Action::Record {
        id: id(2),
        event: Recorded::Warned,
    };
    assert!(recorded.contains(&warned));
    for (warned, expected) in [(true, 0), (false, 1)] {
        let mut queue = self::queue();
        let recovered = recovered(id(2), false, warned, clock::untried());
        tell(&mut queue, recovered, late);
        assert_eq!(warns(&clock::tried(&mut queue, id(2), late)), 0);
        let later = late.after(Schedule::default().minimal * 5);
        assert_eq!(warns(&clock::tried(&mut queue, id(2), later)), expected);
    }
    // Nor does he hear again where another message has taken its place.
    let flight = deliveries(&tell(&mut queue, accepted(3, &["dead"]), START)).remove(0);
    tell(&mut queue, Event::Warned { id: id(3) }, START);
    let (ticket, outcomes) = (flight.ticket, vec![replied(Stage::Recipient, 450)]);
    let finished = Event::Finished { ticket, outcomes };
    assert_eq!(warns(&tell(&mut queue, finished, late)), 0);
}
