//! One relayhost takes all mail: how a machine's agent runs its queue.

use std::time::Duration;

use mail::{clock::Timestamp, outcome::Failure, status::EnhancedStatus};
use spool::QueueId;

use super::{START, accepted, deliveries, reasons, recovered, settings, tell};
use crate::{
    BackOff, Origin, Routed, Settings, Slots, Waiting,
    retry::Schedule,
    simulation::{Action, Delivery, Event, ORIGIN, Queue, destination, id, sent, unreachable},
};

mod mute;

const RETRY: Schedule = Schedule {
    minimal: Duration::from_mins(1),
    maximal: Duration::from_hours(1),
    lifetime: Duration::from_hours(120),
};

fn agent(connections: usize) -> Queue {
    with_slots(Slots::of_one(connections, 4))
}

fn with_slots(slots: Slots) -> Queue {
    let settings = Settings {
        schedule: RETRY,
        back_off: BackOff::of_one(&RETRY),
        first: Some(0),
        ..settings(slots)
    };
    Queue::new(settings, 7)
}

fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

/// The deliveries that begin when this message comes.
fn arrive(queue: &mut Queue, owner: u32, number: u64, now: Timestamp) -> Vec<Delivery> {
    let Event::Accepted { id, recipients, .. } = accepted(number, &["relay"]) else {
        panic!("not accepted")
    };
    let event = Event::Accepted {
        id,
        arrival: now,
        origin: Origin { owner, ..ORIGIN },
        recipients,
    };
    deliveries(&tell(queue, event, now))
}

fn with_mail(count: u64) -> (Queue, Vec<Delivery>) {
    let mut queue = agent(4);
    let begun = (1..=count).flat_map(|number| arrive(&mut queue, 1000, number, START));
    let begun = begun.collect();
    (queue, begun)
}

fn delivered(queue: &mut Queue, delivery: &Delivery, now: Timestamp) -> Vec<Delivery> {
    let outcomes = vec![sent(); delivery.recipients.len()];
    let ticket = delivery.ticket;
    deliveries(&tell(queue, Event::Finished { ticket, outcomes }, now))
}

/// What no session came about for stays as it is; whatever else there is to do.
fn unreached(queue: &mut Queue, delivery: &Delivery, now: Timestamp) -> Vec<Action> {
    let failure = Failure::local(EnhancedStatus::new(4, 3, 5), "no relayhost is set");
    let ticket = delivery.ticket;
    tell(queue, Event::Unreached { ticket, failure }, now)
}

fn ids(deliveries: &[Delivery]) -> Vec<QueueId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

#[test]
fn one_connection_serves_a_few_messages() {
    let (mut queue, begun) = with_mail(3);
    assert_eq!(ids(&begun), [id(1)]);
    let next = delivered(&mut queue, &begun[0], START);
    assert_eq!(ids(&next), [id(2)]);
}

#[test]
fn more_connections_are_used_while_many_messages_wait_but_never_more_than_the_limit() {
    let (queue, begun) = with_mail(1000);
    assert_eq!((begun.len(), queue.in_flight()), (4, 4));
    assert_eq!(with_mail(6).1.len(), 2);
}

/// Row C7: back off, keep the mail.
#[test]
fn a_relayhost_that_is_down_is_probed_with_one_message_less_and_less_often_and_new_mail_asks_soon()
{
    let (mut queue, mut begun) = with_mail(100);
    let (mut now, mut pauses) = (START, Vec::new());
    for _ in 0..10 {
        for probe in std::mem::take(&mut begun) {
            let actions = unreached(&mut queue, &probe, now);
            assert!(reasons(&actions).is_empty() && deliveries(&actions).is_empty());
        }
        let next = queue.deadline().unwrap();
        pauses.push(next.since(now).as_secs_f64());
        now = next;
        begun = deliveries(&tell(&mut queue, Event::TimedOut, now));
        assert_eq!(begun.len(), 1, "one probe");
    }
    for (pause, expected) in pauses
        .iter()
        .zip([5, 10, 20, 40, 80, 160, 300, 300, 300, 300])
    {
        let expected = f64::from(expected);
        assert!((pause / expected - 1.0).abs() <= 0.2, "{pauses:?}");
    }
    unreached(&mut queue, &begun[0], now);
    assert_eq!(ids(&arrive(&mut queue, 1000, 101, now)), []);
    let soon = queue.deadline().unwrap();
    assert!(soon.since(now).as_secs() <= 5, "{soon:?}");
    let probe = deliveries(&tell(&mut queue, Event::TimedOut, soon));
    let all = delivered(&mut queue, &probe[0], soon);
    assert!(!all.is_empty(), "one success opens the way for all");
}

#[test]
fn mail_that_came_while_the_relayhost_was_away_leaves_in_its_order() {
    let (mut queue, begun) = with_mail(9);
    assert_eq!(ids(&begun), [id(1), id(2)]);
    unreached(&mut queue, &begun[0], START);
    unreached(&mut queue, &begun[1], START);
    let now = queue.deadline().unwrap();
    let mut begun = deliveries(&tell(&mut queue, Event::TimedOut, now));
    let mut order = Vec::new();
    while let Some(delivery) = (!begun.is_empty()).then(|| begun.remove(0)) {
        order.push(delivery.id);
        begun.extend(delivered(&mut queue, &delivery, now));
    }
    assert_eq!(order, (1..=9).map(id).collect::<Vec<_>>());
}

#[test]
fn new_mail_of_a_user_waits_behind_what_he_has_in_the_spool_and_not_behind_that_of_others() {
    let mut queue = agent(1);
    let waiting = Waiting {
        recipient: 0,
        until: None,
    };
    let mut actions = Vec::new();
    for number in 1..=40 {
        let found = recovered(id(number), false, false, vec![waiting]);
        actions.extend(tell(&mut queue, found, START));
    }
    assert_eq!(arrive(&mut queue, ORIGIN.owner, 100, START), []);
    let other = arrive(&mut queue, 33, 101, START);
    assert_eq!(ids(&other), [id(101)]);
    let mut order = Vec::new();
    let mut begun = other;
    loop {
        let Some(action) = (!actions.is_empty()).then(|| actions.remove(0)) else {
            let Some(delivery) = begun.pop() else { break };
            order.push(delivery.id);
            let outcomes = vec![sent()];
            let ticket = delivery.ticket;
            actions = tell(&mut queue, Event::Finished { ticket, outcomes }, START);
            continue;
        };
        match action {
            Action::Load { id, recipients } => {
                let to = |recipient| Routed {
                    recipient,
                    destination: Ok(destination("relay")),
                    lifetime: None,
                };
                let event = Event::Loaded {
                    id,
                    origin: ORIGIN,
                    recipients: recipients.into_iter().map(to).collect(),
                };
                actions.extend(tell(&mut queue, event, START));
            }
            Action::Deliver(delivery) => begun.push(delivery),
            _ => {}
        }
    }
    let expected = [101].into_iter().chain(1..=40).chain([100]);
    assert_eq!(order, expected.map(id).collect::<Vec<_>>());
}

#[test]
fn flush_of_everything_or_of_one_message_asks_the_relayhost_at_once() {
    for event in [Event::FlushAll, Event::Flush { id: id(2) }] {
        let (mut queue, begun) = with_mail(2);
        unreached(&mut queue, &begun[0], START);
        assert_eq!(deliveries(&tell(&mut queue, Event::TimedOut, at(1))), []);
        assert_eq!(deliveries(&tell(&mut queue, event, at(1))).len(), 1);
    }
}

/// Expiry only follows a failed attempt.
#[test]
fn mail_is_returned_at_the_attempt_that_fails_after_its_lifetime_and_not_before() {
    let (mut queue, begun) = with_mail(1);
    unreached(&mut queue, &begun[0], START);
    let over = START.after(RETRY.lifetime);
    let probe = deliveries(&tell(&mut queue, Event::TimedOut, over));
    assert_eq!(ids(&probe), [id(1)]);
    let actions = unreached(&mut queue, &probe[0], over);
    let bounce = actions.iter().find_map(|action| match action {
        Action::Bounce {
            failed, expired, ..
        } => Some((failed, expired)),
        _ => None,
    });
    let (failed, expired) = bounce.unwrap();
    assert!(*expired && failed[0].1.text.contains("no relayhost is set"));
}

#[test]
fn a_user_who_sends_in_a_loop_delays_nobody_and_root_goes_first_but_not_alone() {
    let mut queue = agent(1);
    // Something is under way while all of them come.
    let mut begun = arrive(&mut queue, 7, 5000, START);
    for number in 1..=1000 {
        arrive(&mut queue, 33, number, START);
    }
    for (owner, number) in [(1000, 1001), (1000, 1002), (1001, 1003), (0, 1004)] {
        arrive(&mut queue, owner, number, START);
    }
    let mut order = |queue: &mut Queue, count| {
        let mut order = Vec::new();
        for _ in 0..count {
            begun = delivered(queue, &begun[0], at(1));
            order.push(begun[0].id);
        }
        order
    };
    let expected = [1004, 1, 1001, 1003, 2, 1002, 3].map(id);
    assert_eq!(order(&mut queue, 7), expected, "root, then turn by turn");
    for number in 1100..1120 {
        arrive(&mut queue, 0, number, at(1));
    }
    let expected = [1100, 1101, 1102, 1103, 4, 1104, 1105, 1106, 1107, 5].map(id);
    assert_eq!(order(&mut queue, 10), expected);
}

#[test]
fn with_a_single_reply_of_the_relayhost_the_outage_is_over() {
    let (mut queue, begun) = with_mail(2);
    unreached(&mut queue, &begun[0], START);
    let now = queue.deadline().unwrap();
    let probe = deliveries(&tell(&mut queue, Event::TimedOut, now));
    let ticket = probe[0].ticket;
    let refused = crate::simulation::replied(mail::outcome::Stage::Recipient, 450);
    let outcomes = vec![refused];
    let actions = tell(&mut queue, Event::Finished { ticket, outcomes }, now);
    assert!(actions.iter().any(|it| matches!(it, Action::Resumed(_))));
    assert_eq!(reasons(&actions).len(), 1, "that message alone waits");
    assert_eq!(ids(&deliveries(&actions)), [id(2)]);
}

#[test]
fn a_refusal_to_connect_is_no_deferral_of_the_message() {
    let (mut queue, begun) = with_mail(1);
    let outcomes = vec![unreachable()];
    let ticket = begun[0].ticket;
    let actions = tell(&mut queue, Event::Finished { ticket, outcomes }, START);
    assert!(reasons(&actions).is_empty());
    assert!(
        matches!(actions[..], [Action::Suspended { .. }]),
        "{actions:?}"
    );
}

/// The message in doubt waits for its answer; others may find another relayhost meanwhile.
#[test]
fn where_no_number_was_set_deliveries_whose_peer_is_silent_keep_no_places_but_only_so_many_of_them()
{
    let mut queue = agent(2);
    let begun: Vec<_> = (1..=40)
        .flat_map(|number| arrive(&mut queue, 1000, number, START))
        .collect();
    assert_eq!(begun.len(), 2);
    let mut silent = begun.clone();
    for number in 0..6 {
        let next = mute::falls_silent(&mut queue, &silent[number], true, at(10));
        assert_eq!(next.len(), 1);
        silent.extend(next);
        let once = mute::falls_silent(&mut queue, &silent[number], true, at(10));
        assert_eq!(once, []);
    }
    assert_eq!((queue.in_flight(), silent.len()), (8, 8));
    // No more than three times as many as there are places.
    assert_eq!(mute::falls_silent(&mut queue, &silent[6], true, at(10)), []);
    let next = delivered(&mut queue, &silent[6], at(11));
    assert_eq!((next.len(), queue.in_flight()), (1, 8));
    assert_eq!(
        delivered(&mut queue, &begun[0], at(12)),
        [],
        "it had no place"
    );
    assert_eq!(queue.in_flight(), 7);
    let more = mute::falls_silent(&mut queue, &next[0], true, at(12));
    assert_eq!(more.len(), 1);
}
