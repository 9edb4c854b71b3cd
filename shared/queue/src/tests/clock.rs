//! What the age of mail means after the clock was set.

use super::*;

/// A recipient to whom no attempt was made.
pub(super) fn untried() -> Vec<Waiting> {
    vec![Waiting {
        recipient: 0,
        until: None,
    }]
}

/// An attempt is made that is put off; what follows.
pub(super) fn tried(queue: &mut Queue, id: QueueId, now: Timestamp) -> Vec<Action> {
    tell(queue, Event::Flush { id }, now);
    let loaded = Event::Loaded {
        id,
        origin: ORIGIN,
        recipients: vec![Routed {
            recipient: 0,
            destination: Ok(destination("dead")),
            lifetime: None,
        }],
    };
    let flight = deliveries(&tell(queue, loaded, now)).remove(0);
    let finished = Event::Finished {
        ticket: flight.ticket,
        outcomes: vec![replied(Stage::Recipient, 450)],
    };
    tell(queue, finished, now)
}

fn warned(actions: &[Action]) -> Option<Timestamp> {
    actions.iter().find_map(|action| match action {
        Action::Warn { arrival, .. } => Some(*arrival),
        _ => None,
    })
}

#[test]
fn mail_is_not_among_what_waits_for_hours_and_no_sender_is_warned_when_the_clock_is_set_forward() {
    let (days, hours) = (Duration::from_hours(72), Duration::from_hours(3));
    let mut queue = queue();
    tell(&mut queue, recovered(id(1), false, false, untried()), START);
    let now = START.after(days + Duration::from_mins(30));
    tell(&mut queue, Event::Stepped(Step::Forward(days)), now);
    assert_eq!(queue.older(now.before(hours), 10), []);
    assert_eq!(warned(&tried(&mut queue, id(1), now)), None);
    // It becomes as old as it really is.
    let later = now.after(Duration::from_hours(4));
    let came = START.after(days);
    assert_eq!(queue.older(later.before(hours), 10), [(id(1), came)]);
    assert_eq!(warned(&tried(&mut queue, id(1), later)), Some(came));
}
