//! What changes under way: hosts that fall silent, ways after a reload, the clock.

use super::*;

/// A client's message each to sixty hosts that take it and never answer the final dot; nothing is
/// known of any host, as after a restart.
#[test]
fn hosts_that_take_a_message_and_are_silent_for_minutes_hold_up_no_other_for_long() {
    let mut queue = hundred();
    let mut flights = Vec::new();
    for number in 0..45 {
        let name = format!("mute{number}");
        flights.extend(deliveries(&tell(
            &mut queue,
            accepted(number, &[&name]),
            START,
        )));
    }
    assert!(flights.len() < 45, "{}", flights.len());
    let mut now = START;
    let good = accepted(1000, &["good"]);
    flights.extend(deliveries(&tell(&mut queue, good, now)));
    while !flights.iter().any(|it| *it.destination == "good") {
        now = queue.deadline().unwrap();
        assert!(now <= later(60), "after {:?}", now.since(START));
        flights.extend(deliveries(&tell(&mut queue, Event::TimedOut, now)));
    }
    let mute = flights.len() - 1;
    assert!(mute <= 75, "there is room for those that work: {mute}");
}

/// A relayhost that hangs; the administrator names another one and reloads.
#[test]
fn what_waits_in_memory_takes_the_new_way_after_a_reload() {
    let mut queue = hundred();
    let mut flights = Vec::new();
    for number in 0..50 {
        let old = accepted(number, &["old"]);
        flights.extend(deliveries(&tell(&mut queue, old, START)));
    }
    assert_eq!(flights.len(), Transport::INITIAL);
    let unnamed = Arc::new(Transport::unnamed(&Slots::of_many(100, 20)));
    let transports = Transports::new(move |_| Arc::clone(&unnamed));
    queue.set_transports(transports, START);
    let mut new = Vec::new();
    let mut withdrawn = flights.pop();
    loop {
        let actions: Vec<_> = std::iter::from_fn(|| queue.next_action()).collect();
        if actions.is_empty() {
            match withdrawn.take() {
                Some(flight) => {
                    let ticket = flight.ticket;
                    queue.handle(Event::Withdrawn { ticket }, START);
                    continue;
                }
                None => break,
            }
        }
        for action in actions {
            match action {
                Action::Load { id, recipients } => {
                    let route = |recipient| Routed {
                        recipient,
                        destination: Ok(destination("new")),
                        lifetime: None,
                    };
                    let recipients = recipients.into_iter().map(route).collect();
                    let origin = ORIGIN;
                    let loaded = Event::Loaded {
                        id,
                        origin,
                        recipients,
                    };
                    queue.handle(loaded, START);
                }
                Action::Deliver(flight) => {
                    queue.handle(finished(&flight, sent()), START);
                    new.push(flight);
                }
                _ => {}
            }
        }
    }
    assert!(new.iter().all(|it| *it.destination == "new"));
    let under_way = flights.len();
    assert_eq!(
        new.len() + under_way,
        50,
        "all but those that are under way"
    );
}

/// Before the driver looks at the clock again, a message comes.
#[test]
fn mail_that_comes_right_after_the_clock_was_set_is_as_young_as_any_other() {
    for (was, step) in [
        (later(0), Step::Back(10 * DAY)),
        (later(0), Step::Forward(10 * DAY)),
    ] {
        let now = match step {
            Step::Back(by) => {
                Timestamp::from_millis(was.as_millis() - u64::try_from(by.as_millis()).unwrap())
            }
            Step::Forward(by) => was.after(by),
        };
        let mut queue = hundred();
        let new = accepted(1, &["host"]);
        let Event::Accepted {
            id,
            origin,
            recipients,
            ..
        } = new
        else {
            panic!("not accepted")
        };
        queue.handle(
            Event::Accepted {
                id,
                arrival: now,
                origin,
                recipients,
            },
            now,
        );
        let flights = deliveries(&tell(&mut queue, Event::Stepped(step), now));
        let actions = tell(
            &mut queue,
            finished(&flights[0], replied(Stage::Recipient, 450)),
            now.after(Duration::from_secs(1)),
        );
        let given_up =
            |action: &Action| matches!(action, Action::Bounce { .. } | Action::Warn { .. });
        assert!(!actions.iter().any(given_up), "{step}: {actions:?}");
    }
}
