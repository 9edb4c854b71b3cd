//! Who gets a place: silent destinations, one message to many, one client, one host; and clocks
//! that are wrong.

mod changes;
mod fresh;
mod programs;
mod silent;
mod trust;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mail::{
    clock::Timestamp,
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use spool::Event as Recorded;

use super::{START, accepted, deliveries, queue, reasons, recovered, settings, tell};
use crate::{
    BackOff, Origin, Patience, Routed, Slots, Transport, Transports, Waiting,
    clock::Step,
    retry::Schedule,
    simulation::{
        Action, Delivery, Event, ORIGIN, Queue, destination, id, replied, sent, unreachable,
    },
};

const DAY: Duration = Duration::from_hours(24);

fn later(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

fn silence() -> Outcome {
    let status = EnhancedStatus::new(4, 4, 2);
    Failure::new(
        Blame::Network,
        Stage::Greeting,
        status,
        "Connection timed out",
    )
    .outcome()
}

fn finished(flight: &Delivery, outcome: Outcome) -> Event {
    Event::Finished {
        ticket: flight.ticket,
        outcomes: vec![outcome; flight.recipients.len()],
    }
}

fn of(owner: u32, event: Event) -> Event {
    let Event::Accepted {
        id,
        arrival,
        recipients,
        ..
    } = event
    else {
        panic!("not accepted")
    };
    let origin = Origin { owner, ..ORIGIN };
    Event::Accepted {
        id,
        arrival,
        origin,
        recipients,
    }
}

/// A daemon's queue with a hundred places.
fn hundred() -> Queue {
    Queue::new(settings(Slots::of_many(100, 20)), 7)
}

#[test]
fn silent_destinations_share_a_few_places_and_mail_to_others_goes_on() {
    let mut queue = hundred();
    let worked = deliveries(&tell(&mut queue, accepted(0, &["works"]), START)).remove(0);
    tell(&mut queue, finished(&worked, sent()), START);
    let mut silent = Vec::new();
    for number in 1..=600 {
        let name = format!("silent{}", number % 30);
        silent.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &[&name]),
            START,
        )));
    }
    assert!(silent.len() <= 25, "{} of 100 places", silent.len());
    assert!(
        silent.iter().any(|it| it.patience == Patience::Short),
        "some give their places back soon"
    );
    let mut there = 0;
    for number in 1000..1100 {
        there += deliveries(&tell(&mut queue, accepted(number, &["works"]), START)).len();
    }
    assert!(there >= 6, "a destination that works has room: {there}");
}

#[test]
fn a_destination_that_is_new_comes_soon_although_hundreds_of_silent_ones_wait() {
    let mut queue = hundred();
    let (mut flights, mut now) = (Vec::new(), START);
    for number in 0..600 {
        let name = format!("silent{number}");
        flights.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &[&name]),
            now,
        )));
    }
    flights.extend(deliveries(&tell(
        &mut queue,
        accepted(9999, &["healthy"]),
        now,
    )));
    let waits = |flights: &[Delivery]| !flights.iter().any(|it| *it.destination == "healthy");
    let mut rounds = 0;
    while waits(&flights) {
        rounds += 1;
        now = now.after(Duration::from_secs(10));
        let (short, rest): (Vec<_>, Vec<_>) = flights
            .into_iter()
            .partition(|it| it.patience == Patience::Short);
        flights = rest;
        for flight in short {
            flights.extend(deliveries(&tell(
                &mut queue,
                finished(&flight, silence()),
                now,
            )));
        }
    }
    assert!(rounds <= 1, "{rounds} times ten seconds");
}

#[test]
fn what_waits_for_hosts_that_one_delivery_shows_to_work_goes_as_soon_as_that_has_ended() {
    // Nobody is trusted for so long.
    const HOURS: u64 = 8 * 3600;
    for turns in 0..4 {
        let mut queue = Queue::new(settings(Slots::of_many(8, 2)), 7);
        let hosts = [Arc::from("mx:25")];
        let before = deliveries(&tell(&mut queue, accepted(0, &["b"]), START)).remove(0);
        assert!(queue.shares(before.ticket, &before.destination, &hosts, START));
        tell(&mut queue, finished(&before, sent()), START);
        for _ in 0..turns {
            tell(&mut queue, Event::TimedOut, later(HOURS - 600));
        }
        // A message has one place where nothing is known to work.
        let mut flights = deliveries(&tell(&mut queue, accepted(1, &["b", "c"]), later(HOURS)));
        let first = flights.remove(0);
        assert!(
            flights.is_empty()
                && queue.shares(first.ticket, &first.destination, &hosts, later(HOURS))
        );
        let next = deliveries(&tell(
            &mut queue,
            finished(&first, sent()),
            later(HOURS + 1),
        ));
        assert_eq!(next.len(), 1, "after {turns} turns");
    }
}

#[test]
fn one_message_to_hundreds_of_silent_hosts_leaves_places_to_other_mail() {
    let mut queue = hundred();
    let names: Vec<String> = (0..600)
        .map(|number| format!("sub{number}.tarpit"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let flights = deliveries(&tell(&mut queue, accepted(1, &names), START));
    assert!((1..=10).contains(&flights.len()), "{}", flights.len());
    let other = deliveries(&tell(&mut queue, accepted(2, &["healthy"]), START));
    assert_eq!(other.len(), 1);
    let ended = tell(&mut queue, finished(&flights[0], silence()), later(10));
    assert_eq!(deliveries(&ended).len(), 1, "the next of them follows");
}

#[test]
fn one_clients_mail_to_silent_hosts_leaves_places_to_other_clients() {
    let mut queue = hundred();
    for number in 0..600 {
        tell(
            &mut queue,
            of(1, accepted(number, &[&format!("silent{number}")])),
            START,
        );
    }
    for number in 1000..1003 {
        let own = tell(
            &mut queue,
            of(2, accepted(number, &[&format!("new{number}")])),
            START,
        );
        assert_eq!(deliveries(&own).len(), 1);
    }
}

#[test]
fn one_host_behind_many_domains_is_asked_by_a_few_at_once() {
    let mut queue = hundred();
    let host: Vec<Arc<str>> = vec![Arc::from("192.0.2.1")];
    let (mut admitted, mut withdrawn) = (Vec::new(), 0);
    for number in 0..40 {
        let name = format!("domain{number}");
        let mut open = deliveries(&tell(&mut queue, accepted(number, &[&name]), START));
        while let Some(flight) = open.pop() {
            if queue.admits(&flight.destination, &host, START) {
                admitted.push(flight);
            } else {
                withdrawn += 1;
                let ticket = flight.ticket;
                open.extend(deliveries(&tell(
                    &mut queue,
                    Event::Withdrawn { ticket },
                    START,
                )));
            }
        }
    }
    assert_eq!((admitted.len(), withdrawn), (5, 35));
    let actions = tell(&mut queue, finished(&admitted[0], silence()), later(300));
    let next = deliveries(&actions);
    assert_eq!(next.len(), 1, "one has ended: one more");
    assert!(queue.admits(&next[0].destination, &host, later(300)));
    let actions = tell(&mut queue, finished(&next[0], sent()), later(301));
    assert!(deliveries(&actions).len() <= 1);
    assert_eq!(queue.len(), 39, "nothing is lost");
}

#[test]
fn a_destination_whose_host_is_named_twice_is_asked_by_as_many_as_any_other() {
    let mut queue = hundred();
    let host: Vec<Arc<str>> = vec![Arc::from("127.0.0.1"), Arc::from("127.0.0.1")];
    let mut flights = Vec::new();
    for number in 0..8 {
        flights.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &["relay"]),
            START,
        )));
    }
    assert_eq!(flights.len(), 5);
    for flight in &flights {
        assert!(queue.admits(&flight.destination, &host, START));
    }
}

#[test]
fn silence_after_the_greeting_at_different_messages_is_silence_too() {
    let mut queue = queue();
    let (first, second) = (accepted(1, &["tarpit"]), accepted(2, &["tarpit"]));
    let mut flights = deliveries(&tell(&mut queue, first, START));
    flights.extend(deliveries(&tell(&mut queue, second, START)));
    let suspends = |it: &Action| matches!(it, Action::Suspended { .. });
    let suspended = flights.iter().map(|flight| {
        let status = EnhancedStatus::new(4, 4, 2);
        let failure = Failure::new(Blame::Network, Stage::Mail, status, "Connection timed out");
        let actions = tell(&mut queue, finished(flight, failure.outcome()), later(300));
        actions.iter().any(suspends)
    });
    assert_eq!(suspended.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn mail_that_is_too_old_when_the_daemon_starts_is_tried_and_not_returned_unseen() {
    let mut queue = queue();
    let now = START.after(6 * DAY);
    let waiting = vec![Waiting {
        recipient: 0,
        until: Some(later(600)),
    }];
    let load = tell(&mut queue, recovered(id(1), false, true, waiting), now);
    assert!(matches!(load[..], [Action::Load { .. }]));
    let flight = loaded(&mut queue, 1, "relay", now);
    let actions = tell(&mut queue, finished(&flight, unreachable()), now);
    assert_eq!(bounces(&actions), 0, "it may be back in a moment");
    let much_later = now.after(Duration::from_hours(2));
    tell(&mut queue, Event::TimedOut, much_later);
    let flight = loaded(&mut queue, 1, "relay", much_later);
    let actions = tell(&mut queue, finished(&flight, unreachable()), much_later);
    assert_eq!(bounces(&actions), 1);
}

fn loaded(queue: &mut Queue, number: u64, name: &str, now: Timestamp) -> Delivery {
    let routed = Routed {
        recipient: 0,
        destination: Ok(destination(name)),
        lifetime: None,
    };
    let event = Event::Loaded {
        id: id(number),
        origin: ORIGIN,
        recipients: vec![routed],
    };
    deliveries(&tell(queue, event, now)).remove(0)
}

fn bounces(actions: &[Action]) -> usize {
    actions
        .iter()
        .filter(|it| matches!(it, Action::Bounce { .. }))
        .count()
}

#[test]
fn a_clock_that_is_set_forward_expires_nothing() {
    for (number, days) in [(1, 6), (2, 20_000)] {
        let mut queue = queue();
        let flight = deliveries(&tell(&mut queue, accepted(number, &["relay"]), START)).remove(0);
        let now = later(60).after(days * DAY);
        tell(&mut queue, Event::Stepped(Step::Forward(days * DAY)), now);
        let actions = tell(&mut queue, finished(&flight, unreachable()), now);
        assert_eq!(
            (bounces(&actions), reasons(&actions).len()),
            (0, 1),
            "{days}"
        );
        assert!(!actions.iter().any(|it| matches!(it, Action::Warn { .. })));
    }
}

#[test]
fn a_clock_that_was_ahead_lets_no_mail_wait_longer_than_the_longest_step() {
    let ahead = START.after(400 * DAY);
    let longest = Schedule::default().maximal * 12 / 10;
    // Before a restart.
    let mut queue = queue();
    let waiting = vec![Waiting {
        recipient: 0,
        until: Some(ahead),
    }];
    tell(&mut queue, recovered(id(1), false, false, waiting), START);
    assert!(queue.deadline().unwrap() <= START.after(longest));
    // Under a daemon that runs on.
    let mut queue = super::queue();
    let flight = deliveries(&tell(&mut queue, accepted(1, &["mx"]), START)).remove(0);
    tell(&mut queue, Event::Stepped(Step::Forward(400 * DAY)), ahead);
    tell(
        &mut queue,
        finished(&flight, replied(Stage::Recipient, 450)),
        ahead,
    );
    tell(&mut queue, Event::Stepped(Step::Back(400 * DAY)), later(1));
    assert!(queue.deadline().unwrap() <= later(1).after(longest));
}

#[test]
fn a_bounce_that_is_refused_is_kept_on_hold_with_its_reason_and_told_once() {
    let mut queue = queue();
    let mut told = 0;
    for number in 0..3 {
        let event = match accepted(number, &["relay"]) {
            Event::Accepted {
                id,
                arrival,
                recipients,
                ..
            } => Event::Accepted {
                id,
                arrival,
                origin: Origin {
                    unreturnable: true,
                    ..ORIGIN
                },
                recipients,
            },
            other => other,
        };
        let flight = deliveries(&tell(&mut queue, event, START)).remove(0);
        let actions = tell(
            &mut queue,
            finished(&flight, replied(Stage::Mail, 554)),
            START,
        );
        assert!(actions.contains(&Action::Record {
            id: id(number),
            event: Recorded::Held
        }));
        assert_eq!(
            reasons(&actions),
            ["554 text (in reply to MAIL FROM command)"]
        );
        assert!(
            !actions
                .iter()
                .any(|it| matches!(it, Action::Ended { .. } | Action::Bounce { .. }))
        );
        told += actions
            .iter()
            .filter(|it| matches!(it, Action::Dead { tell: true, .. }))
            .count();
    }
    assert_eq!((queue.len(), told), (3, 1));
}

#[test]
fn without_its_only_relayhost_mail_stays_as_it_is_and_all_of_it_goes_when_that_is_back() {
    let schedule = Schedule::default();
    let settings = crate::Settings {
        back_off: BackOff::of_one(&schedule),
        slots: Slots::of_one(4, 4),
        first: Some(0),
        ..settings(Slots::of_one(4, 4))
    };
    let mut queue = Queue::new(settings, 7);
    let mut probes = Vec::new();
    for number in 0..10 {
        let owner = u32::from(number < 9);
        let actions = tell(&mut queue, of(owner, accepted(number, &["relay"])), START);
        probes.extend(deliveries(&actions));
    }
    let last = probes.pop().unwrap();
    for probe in &probes {
        let actions = tell(&mut queue, finished(probe, unreachable()), later(1));
        assert!(reasons(&actions).is_empty() && deliveries(&actions).is_empty());
    }
    let actions = tell(&mut queue, finished(&last, unreachable()), later(1));
    let until = actions.iter().find_map(|it| match it {
        Action::Suspended { until, .. } => Some(*until),
        _ => None,
    });
    assert!(reasons(&actions).is_empty() && deliveries(&actions).is_empty());
    let mut now = until.unwrap();
    assert!((4..=6).contains(&now.since(later(1)).as_secs()));
    assert_eq!(queue.deadline(), Some(now));
    let mut sent_ids = Vec::new();
    let mut flights = deliveries(&tell(&mut queue, Event::TimedOut, now));
    assert_eq!(flights.len(), 1, "one probe");
    while let Some(flight) = flights.pop() {
        sent_ids.push(flight.id);
        now = now.after(Duration::from_secs(1));
        let actions = tell(&mut queue, finished(&flight, sent()), now);
        assert_eq!(
            actions.iter().any(|it| matches!(it, Action::Resumed(_))),
            sent_ids.len() == 1
        );
        flights.extend(deliveries(&actions));
    }
    assert_eq!(
        (sent_ids.len(), sent_ids[0]),
        (10, id(9)),
        "root's goes first"
    );
    assert!(queue.is_empty());
}

/// What it costs grows with the list, not with its square: this test would never end.
#[test]
fn one_message_to_fifty_thousand_goes_in_slices_and_reaches_each_of_them_once() {
    const MEMBERS: u32 = 50_000;
    let mut queue = queue();
    let routed = |recipient| Routed {
        recipient,
        destination: Ok(destination(
            ["big", "other"][usize::from(recipient % 2 == 0)],
        )),
        lifetime: None,
    };
    let event = Event::Accepted {
        id: id(1),
        arrival: START,
        origin: ORIGIN,
        recipients: (0..MEMBERS).map(routed).collect(),
    };
    let mut actions = tell(&mut queue, event, START);
    let mut reached = BTreeMap::<u32, usize>::new();
    while let Some(action) = actions.pop() {
        let Action::Deliver(delivery) = action else {
            continue;
        };
        for &recipient in &delivery.recipients {
            *reached.entry(recipient).or_default() += 1;
        }
        let outcomes = vec![sent(); delivery.recipients.len()];
        let ticket = delivery.ticket;
        actions.extend(tell(
            &mut queue,
            Event::Finished { ticket, outcomes },
            START,
        ));
    }
    assert!(reached.into_iter().eq((0..MEMBERS).map(|it| (it, 1))));
    assert!(queue.is_empty());
}
