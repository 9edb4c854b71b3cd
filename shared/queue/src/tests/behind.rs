//! Mail that waits for a destination that is suspended.

use super::*;

const MESSAGES: u64 = 500;

/// Plays the driver until a time; `well`: the destination works. Loads and deliveries.
fn play(queue: &mut Queue, from: Timestamp, to: Timestamp, well: bool) -> (u64, u64) {
    let (mut loads, mut flights, mut now) = (0, 0, from);
    let mut actions = tell(queue, Event::TimedOut, now);
    loop {
        let more = match actions.pop() {
            Some(Action::Load { id, recipients }) => {
                loads += 1;
                let recipients = recipients.iter().map(|&recipient| Routed {
                    recipient,
                    destination: Ok(destination("dead")),
                    lifetime: None,
                });
                Event::Loaded {
                    id,
                    origin: ORIGIN,
                    recipients: recipients.collect(),
                }
            }
            Some(Action::Deliver(delivery)) => {
                flights += 1;
                let outcome = if well { sent() } else { unreachable() };
                Event::Finished {
                    ticket: delivery.ticket,
                    outcomes: vec![outcome; delivery.recipients.len()],
                }
            }
            Some(Action::Warn { id, .. }) => Event::Warned { id },
            Some(Action::Bounce { id, .. }) => Event::Bounced { id },
            Some(_) => continue,
            None => {
                let Some(next) = queue.deadline().filter(|next| *next <= to) else {
                    return (loads, flights);
                };
                now = now.max(next);
                Event::TimedOut
            }
        };
        actions.extend(tell(queue, more, now));
    }
}

fn waiting() -> Queue {
    let mut queue = queue();
    let flight = deliveries(&tell(&mut queue, accepted(0, &["dead"]), START)).remove(0);
    let ended = Event::Finished {
        ticket: flight.ticket,
        outcomes: vec![unreachable()],
    };
    tell(&mut queue, ended, START);
    for number in 1..MESSAGES {
        tell(&mut queue, accepted(number, &["dead"]), START);
    }
    queue
}

fn minutes(minutes: u64) -> Timestamp {
    START.after(Duration::from_mins(minutes))
}

#[test]
fn mail_is_not_read_each_time_only_to_be_put_off_again_and_all_of_it_arrives() {
    let mut queue = waiting();
    // It is due after 1, 3, 7, 15 and 31 minutes.
    let (loads, flights) = play(&mut queue, START, minutes(30), false);
    assert!(flights >= 4, "{flights} probes");
    assert!(
        loads < MESSAGES / 10,
        "{loads} of {MESSAGES} messages were read"
    );
    let (loads, flights) = play(&mut queue, minutes(30), minutes(600), true);
    assert!(queue.is_empty());
    assert!(flights >= MESSAGES && loads >= MESSAGES);
}

#[test]
fn what_has_waited_for_some_rounds_is_read_once_more_because_its_way_may_be_another_one() {
    let mut queue = waiting();
    let (loads, _) = play(&mut queue, START, minutes(12 * 60), false);
    // About fifteen rounds.
    assert!((2 * MESSAGES..5 * MESSAGES).contains(&loads), "{loads}");
}

#[test]
fn late_mail_is_read_in_time_for_the_warning_and_at_its_end() {
    let mut queue = waiting();
    play(&mut queue, START, minutes(4 * 60 + 80), false);
    let warned = |id: &QueueId| queue.messages.get(id).is_some_and(|it| it.warned);
    assert!(queue.ids().iter().all(warned));
    play(
        &mut queue,
        minutes(4 * 60 + 80),
        minutes(6 * 24 * 60),
        false,
    );
    assert!(queue.is_empty(), "five days are over");
}
