//! Messages at which the relayhost falls silent, while it takes others.

use mail::outcome::{Blame, Outcome, Stage};

use super::*;
use crate::Patience;

fn silence() -> Outcome {
    let status = EnhancedStatus::new(4, 4, 2);
    let text = "Connection timed out";
    let failure = Failure::new(Blame::Network, Stage::Recipient, status, text);
    Failure {
        named: true,
        ..failure
    }
    .outcome()
}

fn silent(queue: &mut Queue, delivery: &Delivery, now: Timestamp) -> Vec<Action> {
    let (ticket, outcomes) = (delivery.ticket, vec![silence()]);
    tell(queue, Event::Finished { ticket, outcomes }, now)
}

fn stalls(queue: &mut Queue, delivery: &Delivery, now: Timestamp) -> Vec<Delivery> {
    let ticket = delivery.ticket;
    deliveries(&tell(queue, Event::Stalls { ticket }, now))
}

fn is_suspended(actions: &[Action]) -> bool {
    let suspends = |it: &Action| matches!(it, Action::Suspended { .. });
    actions.iter().any(suspends)
}

/// The next of what is due.
fn due(queue: &mut Queue) -> (Vec<Delivery>, Timestamp) {
    let now = queue.deadline().unwrap();
    let loads = tell(queue, Event::TimedOut, now);
    let mut begun = deliveries(&loads);
    for action in loads {
        if let Action::Load { id, recipients } = action {
            let routed = recipients.iter().map(|recipient| Routed {
                recipient: *recipient,
                destination: Ok(destination("relay")),
                lifetime: None,
            });
            let event = Event::Loaded {
                id,
                origin: ORIGIN,
                recipients: routed.collect(),
            };
            begun.extend(deliveries(&tell(queue, event, now)));
        }
    }
    (begun, now)
}

/// Six of them, and four connections: each gives its place away, and has none when it is tried
/// again.
#[test]
fn messages_at_which_the_relayhost_falls_silent_hold_up_no_other() {
    let mut queue = agent(4);
    let mut now = START;
    let mut mute = Vec::new();
    for number in 1..=6 {
        let begun = arrive(&mut queue, 1000, number, now);
        assert_eq!(ids(&begun), [id(number)], "at once");
        assert_eq!(stalls(&mut queue, &begun[0], now), []);
        mute.extend(begun);
    }
    let takes = |queue: &mut Queue, number, now| {
        let begun = arrive(queue, 1000, number, now);
        assert_eq!(ids(&begun), [id(number)], "it waits for nobody");
        delivered(queue, &begun[0], now);
    };
    takes(&mut queue, 10, now);
    now = at(300);
    for delivery in &mute {
        let actions = silent(&mut queue, delivery, now);
        assert!(!is_suspended(&actions), "it took others meanwhile");
        assert_eq!(reasons(&actions).len(), 1, "deferred alone");
        takes(&mut queue, 20 + delivery.ticket, now);
    }
    // At the most as many at once as there are places, and beside them.
    let mut again = Vec::new();
    for number in 100..120 {
        let (begun, then) = due(&mut queue);
        now = then;
        again.extend(begun);
        takes(&mut queue, number, now);
        if again.len() == 4 && queue.deadline().is_none() {
            break;
        }
    }
    assert_eq!(again.len(), 4);
    assert!(ids(&again).iter().all(|it| ids(&mute).contains(it)));
    // The end of one is the turn of the next; what is answered is like others.
    let next = delivered(&mut queue, &again[0], now);
    assert_eq!(next.len(), 1);
    assert!(ids(&mute).contains(&next[0].id) && !ids(&again).contains(&next[0].id));
    takes(&mut queue, 200, now);
}

/// Twelve may be waited for beside the four connections. Whoever comes then is given little time,
/// and has no place the next time: others get in after that time at the latest.
#[test]
fn however_many_messages_meet_silence_at_once_others_get_in_after_seconds() {
    let mut queue = agent(4);
    let mut mute = Vec::new();
    for number in 1..=16 {
        let begun = arrive(&mut queue, 1000, number, START);
        assert_eq!(ids(&begun), [id(number)]);
        assert_eq!(stalls(&mut queue, &begun[0], START), []);
        mute.extend(begun);
    }
    let hurried = |it: &Delivery| it.patience == Patience::Short;
    assert!(!mute[..12].iter().any(hurried), "nobody waits for them");
    assert!(mute[12..].iter().all(hurried), "they keep the four places");
    for number in 17..=20 {
        assert_eq!(arrive(&mut queue, 1000, number, START), []);
    }
    let mut begun = deliveries(&silent(&mut queue, &mute[12], at(10)));
    for number in 17..=20 {
        assert_eq!(ids(&begun), [id(number)]);
        begun = delivered(&mut queue, &begun[0], at(10));
    }
    for delivery in &mute[13..] {
        assert!(!is_suspended(&silent(&mut queue, delivery, at(10))));
    }
    let again = arrive(&mut queue, 1000, 21, at(11));
    assert_eq!(ids(&again), [id(21)], "at once");
}

#[test]
fn silence_at_one_message_is_its_own_and_at_different_ones_the_relayhosts() {
    let mut queue = agent(4);
    let first = arrive(&mut queue, 1000, 1, START).remove(0);
    assert!(!is_suspended(&silent(&mut queue, &first, at(300))));
    // Once more the same one.
    let (again, now) = due(&mut queue);
    assert_eq!(ids(&again), [id(1)]);
    let now = now.after(Duration::from_mins(5));
    assert!(!is_suspended(&silent(&mut queue, &again[0], now)));
    let other = arrive(&mut queue, 1000, 2, now).remove(0);
    let now = now.after(Duration::from_mins(5));
    assert!(is_suspended(&silent(&mut queue, &other, now)));
    // An answer to anybody, and it begins anew.
    let (begun, now) = due(&mut queue);
    assert!(!begun.is_empty());
    delivered(&mut queue, &begun[0], now);
    let third = arrive(&mut queue, 1000, 3, now).remove(0);
    let now = now.after(Duration::from_mins(5));
    assert!(!is_suspended(&silent(&mut queue, &third, now)));
}
