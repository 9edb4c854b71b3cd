//! Messages at which the relayhost falls silent, while it takes others.

use mail::outcome::{Blame, Outcome, Stage};

use super::*;
use crate::Silence;

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

/// The relayhost says nothing any more: what begins then.
pub(super) fn falls_silent(
    queue: &mut Queue,
    delivery: &Delivery,
    in_doubt: bool,
    now: Timestamp,
) -> Vec<Delivery> {
    deliveries(&is_told(queue, delivery, in_doubt, now))
}

fn is_told(queue: &mut Queue, delivery: &Delivery, in_doubt: bool, now: Timestamp) -> Vec<Action> {
    let (ticket, named) = (delivery.ticket, true);
    let silence = Silence { in_doubt, named };
    tell(queue, Event::Silent { ticket, silence }, now)
}

/// Those to be cut.
fn cuts(actions: &[Action]) -> Vec<u64> {
    let cuts = actions.iter().filter_map(|it| match it {
        Action::Cut { ticket } => Some(*ticket),
        _ => None,
    });
    cuts.collect()
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

/// Six of them, and four connections, a number that nobody has set: each gives its place away, and
/// has half of them at most when it is tried again.
#[test]
fn messages_at_which_the_relayhost_falls_silent_hold_up_no_other() {
    let mut queue = agent(4);
    let mut now = START;
    let mut mute = Vec::new();
    for number in 1..=6 {
        let begun = arrive(&mut queue, 1000, number, now);
        assert_eq!(ids(&begun), [id(number)], "at once");
        assert_eq!(falls_silent(&mut queue, &begun[0], false, now), []);
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
    // At the most half as many at once as there are places.
    let mut again = Vec::new();
    for number in 100..120 {
        let (begun, then) = due(&mut queue);
        now = then;
        again.extend(begun);
        takes(&mut queue, number, now);
        if again.len() == 2 && queue.deadline().is_none() {
            break;
        }
    }
    assert_eq!(again.len(), 2);
    assert!(ids(&again).iter().all(|it| ids(&mute).contains(it)));
    // The end of one is the turn of the next; what is answered is like others.
    let next = delivered(&mut queue, &again[0], now);
    assert_eq!(next.len(), 1);
    assert!(ids(&mute).contains(&next[0].id) && !ids(&again).contains(&next[0].id));
    takes(&mut queue, 200, now);
}

/// Twelve are waited for beside the four connections, a number that nobody has set. Those that keep
/// these are cut for whoever waits, the one that has been silent for longest first.
#[test]
fn however_many_messages_meet_silence_at_once_others_get_in_after_seconds() {
    let mut queue = agent(4);
    let mut mute = Vec::new();
    for number in 1..=16 {
        let begun = arrive(&mut queue, 1000, number, START);
        assert_eq!(ids(&begun), [id(number)]);
        assert_eq!(is_told(&mut queue, &begun[0], false, START), []);
        mute.extend(begun);
    }
    assert_eq!(arrive(&mut queue, 1000, 17, START), []);
    assert_eq!(queue.deadline(), Some(at(3)));
    let cut = cuts(&tell(&mut queue, Event::TimedOut, at(3)));
    assert_eq!(cut, [mute[12].ticket], "one waits, and that has a place");
    assert!(cuts(&tell(&mut queue, Event::TimedOut, at(4))).is_empty());
    let ended = silent(&mut queue, &mute[12], at(4));
    assert!(!is_suspended(&ended));
    let begun = deliveries(&ended);
    assert_eq!(ids(&begun), [id(17)]);
    assert_eq!(delivered(&mut queue, &begun[0], at(5)), []);
    let again = arrive(&mut queue, 1000, 18, at(6));
    assert_eq!(ids(&again), [id(18)], "at once");
}

/// A number of connections that was set is one for silent ones, too.
#[test]
fn no_more_connections_than_were_set_are_open_and_good_mail_passes_silent_mail_all_the_same() {
    for (connections, silent_ones, most) in [(2, 10, 60), (4, 40, 100), (1, 5, 60)] {
        let mut queue = with_slots(Slots::of_one(connections, 4).strict());
        let mut open = Vec::new();
        for number in 1..=silent_ones + 5 {
            open.extend(arrive(&mut queue, 1000, number, START));
        }
        let (mut good, mut now) = (0, START);
        while good < 5 {
            assert!(open.len() <= connections, "{} are open", open.len());
            let is_good = |it: &Delivery| it.id > id(silent_ones);
            if let Some(at) = open.iter().position(is_good) {
                good += 1;
                let next = open.remove(at);
                open.extend(delivered(&mut queue, &next, now));
                continue;
            }
            let told = now.after(Duration::from_secs(5));
            let mut actions = Vec::new();
            for flight in &open {
                actions.extend(is_told(&mut queue, flight, false, told));
            }
            now = told.after(Duration::from_secs(3));
            assert!(queue.deadline().is_some_and(|then| then <= now));
            actions.extend(tell(&mut queue, Event::TimedOut, now));
            let cut = cuts(&actions);
            assert!(
                !cut.is_empty(),
                "others wait: {connections} {good} {open:?}"
            );
            for ticket in cut {
                let at = open.iter().position(|it| it.ticket == ticket).unwrap();
                let flight = open.remove(at);
                open.extend(deliveries(&silent(&mut queue, &flight, now)));
            }
        }
        assert!(now <= at(most), "{connections}: {:?}", now.since(START));
    }
}

/// Whoever has it may have taken it.
#[test]
fn a_message_that_is_out_and_a_peer_that_speaks_again_are_never_cut() {
    let mut queue = with_slots(Slots::of_one(1, 4).strict());
    let first = arrive(&mut queue, 1000, 1, START).remove(0);
    assert_eq!(arrive(&mut queue, 1000, 2, START), []);
    assert_eq!(is_told(&mut queue, &first, false, START), []);
    let ticket = first.ticket;
    tell(&mut queue, Event::Speaks { ticket }, at(2));
    assert_eq!(tell(&mut queue, Event::TimedOut, at(100)), []);
    assert_eq!(is_told(&mut queue, &first, true, at(100)), []);
    assert_eq!(tell(&mut queue, Event::TimedOut, at(600)), []);
    assert_eq!(ids(&delivered(&mut queue, &first, at(601))), [id(2)]);
}

/// At five messages the relayhost fell silent, and does so again: those that are tried then.
fn again_silent(queue: &mut Queue) -> (Vec<Delivery>, Timestamp) {
    for number in 1..=5 {
        let begun = arrive(queue, 1000, number, at(8 * (number - 1)));
        silent(queue, &begun[0], at(8 * number));
    }
    let (mut again, mut now) = (Vec::new(), at(40));
    let soon = at(3600);
    while queue.deadline().is_some_and(|then| then < soon) {
        let (begun, then) = due(queue);
        for flight in &begun {
            assert_eq!(is_told(queue, flight, true, then), []);
        }
        again.extend(begun);
        now = then;
    }
    (again, now)
}

#[test]
fn messages_that_met_silence_before_leave_half_of_the_places_to_those_that_never_did() {
    for connections in [2, 3, 4] {
        let mut queue = with_slots(Slots::of_one(connections, 4).strict());
        let (again, now) = again_silent(&mut queue);
        assert_eq!(again.len(), connections / 2);
        for number in 100..110 {
            let begun = arrive(&mut queue, 1000, number, now);
            assert_eq!(ids(&begun), [id(number)], "at once");
            delivered(&mut queue, &begun[0], now);
        }
    }
}

#[test]
fn where_there_is_one_connection_they_have_it_only_after_some_that_never_did() {
    let mut queue = with_slots(Slots::of_one(1, 4).strict());
    let (again, mut now) = again_silent(&mut queue);
    assert_eq!(again.len(), 1);
    for number in 100..110 {
        assert_eq!(arrive(&mut queue, 1000, number, now), []);
    }
    now = now.after(Duration::from_mins(10));
    let mut begun = delivered(&mut queue, &again[0], now);
    for number in 100..104 {
        assert_eq!(ids(&begun), [id(number)]);
        begun = delivered(&mut queue, &begun[0], now);
    }
    assert!(begun[0].id < id(100) && begun[0].id != again[0].id);
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
