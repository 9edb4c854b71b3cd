//! Transports of their own, destinations with the same hosts, and what hosts teach (rows B14, C7).

use std::{sync::Arc, time::Duration};

use mail::{clock::Timestamp, outcome::Outcome, outcome::Stage};

use super::{START, accepted, deliveries, queue, settings, tell};
use crate::{
    Slots, Transport, Transports,
    simulation::{Delivery, Event, Queue, destination, replied, sent},
};

fn later(millis: u64) -> Timestamp {
    START.after(Duration::from_millis(millis))
}

fn finished(flight: &Delivery, outcome: &Outcome) -> Event {
    Event::Finished {
        ticket: flight.ticket,
        outcomes: vec![outcome.clone(); flight.recipients.len()],
    }
}

/// Row B14: `slow` and `yahoo` as the deployment writes them; everything else has ten connections.
fn deployment() -> Queue {
    let slots = Slots::of_many(200, 10);
    let mut queue = Queue::new(settings(slots), 7);
    let transport = |name: &str, connections, initial, recipients, seconds| {
        Arc::new(Transport {
            name: Some(name.into()),
            connections,
            initial,
            open: connections,
            recipients,
            delay: Duration::from_secs(seconds),
            processes: 5,
        })
    };
    let slow = transport("slow", 2, 5, 20, 2);
    let yahoo = transport("yahoo", 4, 1, 2, 1);
    let other = Arc::new(Transport::unnamed(&slots));
    let rule = move |to: &String| match to.split(':').next() {
        Some("slow") => Arc::clone(&slow),
        Some("yahoo") => Arc::clone(&yahoo),
        _ => Arc::clone(&other),
    };
    queue.set_transports(Transports::new(rule), START);
    queue
}

#[test]
fn a_slow_transport_takes_its_recipients_a_message_and_its_pause_after_each() {
    let mut queue = deployment();
    let begun = deliveries(&tell(&mut queue, accepted(1, &["slow:a"; 50]), START));
    assert_eq!(begun.len(), 1, "one at a time where there is a pause");
    let mut sizes = vec![begun[0].recipients.len()];
    let mut flight = begun[0].clone();
    let mut now = 300;
    while sizes.len() < 3 {
        assert_eq!(
            deliveries(&tell(&mut queue, finished(&flight, &sent()), later(now))),
            []
        );
        let due = queue.deadline().unwrap();
        assert_eq!(due, later(now + 2000), "two seconds after its end");
        let early = tell(&mut queue, Event::TimedOut, later(now + 1999));
        assert_eq!(deliveries(&early), []);
        flight = deliveries(&tell(&mut queue, Event::TimedOut, due)).remove(0);
        sizes.push(flight.recipients.len());
        now += 2300;
    }
    assert_eq!(sizes, [20, 20, 10]);
}

#[test]
fn all_destinations_of_a_transport_share_its_processes() {
    let mut queue = deployment();
    let mut begun = Vec::new();
    for number in 0..40 {
        let to = format!("yahoo:{number}");
        begun.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &[&to]),
            START,
        )));
        let other = format!("other:{number}");
        tell(&mut queue, accepted(100 + number, &[&other]), START);
    }
    let of_yahoo = |begun: &[Delivery]| {
        let mine = begun
            .iter()
            .filter(|it| it.destination.starts_with("yahoo"));
        mine.count()
    };
    assert_eq!(of_yahoo(&begun), 5, "at most five processes");
    let mut seen = 5;
    let mut now = START;
    while let Some(flight) = begun.pop() {
        let more = deliveries(&tell(&mut queue, finished(&flight, &sent()), now));
        seen += of_yahoo(&more);
        begun.extend(more);
        assert!(of_yahoo(&begun) <= 5);
        if begun.is_empty()
            && let Some(due) = queue.deadline()
        {
            now = now.max(due);
            begun.extend(deliveries(&tell(&mut queue, Event::TimedOut, now)));
        }
    }
    assert_eq!(seen, 40, "each has had its turn");
}

#[test]
fn a_transport_begins_with_its_initial_connections_and_grows_to_its_most() {
    let slots = Slots::of_many(200, 10);
    let mut queue = Queue::new(settings(slots), 7);
    let transport = Arc::new(Transport {
        name: Some("yahoo".into()),
        connections: 4,
        initial: 1,
        ..Transport::unnamed(&slots)
    });
    queue.set_transports(Transports::new(move |_| Arc::clone(&transport)), START);
    let mut flying = Vec::new();
    for number in 0..60 {
        flying.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &["y"]),
            START,
        )));
    }
    assert_eq!(flying.len(), 1);
    let mut most = 1;
    while let Some(flight) = flying.pop() {
        flying.extend(deliveries(&tell(
            &mut queue,
            finished(&flight, &sent()),
            START,
        )));
        most = most.max(flying.len());
    }
    assert_eq!(most, 4);
    assert!(queue.is_empty());
}

/// The hosts of all of them are the same; how many deliveries went on at once at most, and how many
/// there were.
fn provider(
    queue: &mut Queue,
    domains: u64,
    messages: u64,
    answer: impl Fn(usize) -> Outcome,
) -> (usize, usize) {
    let hosts: Vec<Arc<str>> = vec!["mx.prov.example:25".into()];
    let mut waiting = Vec::new();
    for number in 0..messages {
        let to = format!("other:d{}", number % domains);
        waiting.extend(deliveries(&tell(queue, accepted(number, &[&to]), START)));
    }
    let (mut open, mut most, mut all, mut now) = (Vec::new(), 0, 0, START);
    for _ in 0..100_000 {
        if let Some(flight) = waiting.pop() {
            if queue.shares(flight.ticket, &flight.destination, &hosts, now) {
                let outcome = answer(open.len());
                open.push((flight, outcome));
                most = most.max(open.len());
                all += 1;
            } else {
                let ticket = flight.ticket;
                waiting.extend(deliveries(&tell(queue, Event::Withdrawn { ticket }, now)));
            }
        } else if !open.is_empty() {
            let (flight, outcome) = open.remove(0);
            waiting.extend(deliveries(&tell(queue, finished(&flight, &outcome), now)));
        } else if let Some(due) = queue.deadline() {
            now = now.max(due);
            for action in tell(queue, Event::TimedOut, now) {
                if let crate::Action::Load { id, recipients } = action {
                    let routed = |&recipient: &u32| crate::Routed {
                        recipient,
                        destination: Ok(destination("other:d0")),
                        lifetime: None,
                    };
                    let loaded = Event::Loaded {
                        id,
                        origin: crate::simulation::ORIGIN,
                        recipients: recipients.iter().map(routed).collect(),
                    };
                    waiting.extend(deliveries(&tell(queue, loaded, now)));
                }
            }
        } else {
            return (most, all);
        }
    }
    panic!("it never ends");
}

#[test]
fn a_provider_is_one_destination_however_many_domains_it_hosts() {
    let mut queue = Queue::new(settings(Slots::of_many(200, 4)), 7);
    let (most, all) = provider(&mut queue, 20, 200, |_| sent());
    assert_eq!((most, all), (4, 200));
    assert!(queue.is_empty());
}

/// Row C7.
#[test]
fn the_number_of_connections_that_a_provider_takes_is_learned_kept_and_tried_again_much_later() {
    let mut queue = Queue::new(settings(Slots::of_many(200, 10)), 7);
    let text = "421 4.7.0 Too many connections";
    let refused = || match replied(Stage::Greeting, 421) {
        Outcome::Deferred(failure) => Outcome::Deferred(mail::outcome::Failure {
            text: text.to_owned(),
            ..failure
        }),
        other => other,
    };
    let (_, all) = provider(&mut queue, 10, 200, |open| match open {
        0..3 => sent(),
        _ => refused(),
    });
    assert!(all >= 200 && queue.is_empty(), "none is lost: {all}");
    let lesson = queue
        .lessons(START.after(Duration::from_hours(1)))
        .remove(0);
    assert_eq!(&*lesson.hosts, [Arc::from("mx.prov.example:25")]);
    assert!((1..=3).contains(&lesson.connections), "{lesson:?}");

    // After a restart it is known at once.
    let mut queue = Queue::new(settings(Slots::of_many(200, 10)), 8);
    let taught = lesson.connections;
    queue.teach(crate::Lesson {
        learned: START,
        ..lesson
    });
    let (most, _) = provider(&mut queue, 10, 200, |_| sent());
    assert!(most <= taught, "{most} with {taught} known");
    assert_eq!(queue.lessons(START.after(Duration::from_hours(25))), []);
}

/// DNS names other hosts while connections to those of before are open.
#[test]
fn connections_to_hosts_that_a_domain_had_before_count_there_until_they_end() {
    let slots = Slots::of_many(200, 2).strict();
    let mut queue = Queue::new(settings(slots), 7);
    let (old, new) = ([Arc::from("mx1:25")], [Arc::from("mx2:25")]);
    let begin = |queue: &mut Queue, number, to: &str, hosts: &[Arc<str>]| {
        let begun = deliveries(&tell(queue, accepted(number, &[to]), START));
        let goes =
            |flight: &Delivery| queue.shares(flight.ticket, &flight.destination, hosts, START);
        begun.iter().map(goes).collect::<Vec<_>>()
    };
    assert_eq!(begin(&mut queue, 1, "d", &old), [true]);
    assert_eq!(begin(&mut queue, 2, "d", &new), [true]);
    // One is open to the old hosts, and one to the new ones.
    for (number, to, hosts) in [(3, "e", &old), (5, "g", &new)] {
        assert_eq!(begin(&mut queue, number, to, hosts), [true]);
    }
    for (number, to, hosts) in [(4, "f", &old), (6, "h", &new)] {
        assert_eq!(begin(&mut queue, number, to, hosts), [false], "a third one");
    }
}

#[test]
fn a_domain_whose_name_cannot_be_found_says_nothing_about_the_others_of_its_provider() {
    let mut queue = queue();
    let hosts: Vec<Arc<str>> = vec!["mx.prov.example:25".into()];
    for (number, to) in [(1, "a"), (2, "b")] {
        let flight = deliveries(&tell(&mut queue, accepted(number, &[to]), START)).remove(0);
        assert!(queue.shares(flight.ticket, &flight.destination, &hosts, START));
        tell(&mut queue, finished(&flight, &sent()), START);
    }
    let flight = deliveries(&tell(&mut queue, accepted(3, &["a"]), START)).remove(0);
    let status = mail::status::EnhancedStatus::new(4, 4, 3);
    let lost = mail::outcome::Failure::new(
        mail::outcome::Blame::Network,
        Stage::Lookup,
        status,
        "SERVFAIL",
    );
    tell(&mut queue, finished(&flight, &lost.outcome()), START);
    assert_eq!(
        deliveries(&tell(&mut queue, accepted(4, &["a"]), START)),
        []
    );
    let other = deliveries(&tell(&mut queue, accepted(5, &["b"]), START));
    assert_eq!(other.len(), 1, "only the other name is suspended");
}

/// Row A5: what is passed on as a backup MX is kept for 30 days, everything else in the same
/// message for 5, and bounces for 2.
#[test]
fn mail_for_relayed_domains_is_kept_as_long_as_the_primary_may_be_down() {
    const DAY: Duration = Duration::from_hours(24);
    let mut queue = queue();
    let lifetimes = [None, Some(30 * DAY), Some(2 * DAY)];
    let routed = (0..3)
        .zip(lifetimes)
        .map(|(recipient, lifetime)| crate::Routed {
            recipient,
            destination: Ok(destination("primary")),
            lifetime,
        });
    let routed: Vec<_> = routed.collect();
    let accepted = Event::Accepted {
        id: crate::simulation::id(1),
        arrival: START,
        origin: crate::simulation::ORIGIN,
        recipients: routed.clone(),
    };
    let mut now = START;
    let mut coming = tell(&mut queue, accepted, now);
    let mut given_up = Vec::new();
    while !queue.is_empty() {
        let mut next = Vec::new();
        for action in coming {
            let event = match action {
                crate::Action::Deliver(flight) => {
                    now = now.after(Duration::from_secs(1));
                    finished(&flight, &crate::simulation::unreachable())
                }
                crate::Action::Load { id, recipients } => {
                    let mut due = routed.clone();
                    due.retain(|it| recipients.contains(&it.recipient));
                    Event::Loaded {
                        id,
                        origin: crate::simulation::ORIGIN,
                        recipients: due,
                    }
                }
                crate::Action::Bounce {
                    id,
                    failed,
                    expired,
                } => {
                    assert!(expired);
                    given_up.extend(failed.iter().map(|(recipient, _)| (*recipient, now)));
                    Event::Bounced { id }
                }
                crate::Action::Warn { id, .. } => Event::Warned { id },
                _ => continue,
            };
            next.extend(tell(&mut queue, event, now));
        }
        coming = next;
        if coming.is_empty()
            && let Some(due) = queue.deadline()
        {
            now = now.max(due);
            coming = tell(&mut queue, Event::TimedOut, now);
        }
    }
    let ages = given_up
        .iter()
        .map(|(recipient, at)| (*recipient, at.since(START)));
    let ages: Vec<_> = ages.collect();
    for (index, (recipient, days)) in [(2, 2), (0, 5), (1, 30)].into_iter().enumerate() {
        assert_eq!(ages[index].0, recipient, "{ages:?}");
        let late = ages[index]
            .1
            .checked_sub(days * DAY)
            .expect("not too early");
        assert!(late < Duration::from_hours(3), "{ages:?}");
    }
}
