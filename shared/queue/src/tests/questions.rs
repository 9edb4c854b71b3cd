//! Questions whether recipients would be taken (rows A6, A7): their share of the connections of a
//! next hop, and whose turn it is.

use std::{sync::Arc, time::Duration};

use mail::{
    clock::Timestamp,
    outcome::{Failure, Outcome, Stage},
    status::ReplyCode,
};

use super::{START, accepted, deliveries, settings, tell};
use crate::{
    Silence, Slots, Transport, Transports,
    simulation::{Action, Delivery, Event, Queue, destination, replied, sent, unreachable},
};

/// Every destination has so many connections.
fn limited(connections: usize) -> Queue {
    let slots = Slots::of_many(100, 20);
    let mut queue = Queue::new(settings(slots), 7);
    let few = Arc::new(Transport {
        name: Some("few".into()),
        connections,
        open: connections,
        ..Transport::unnamed(&slots)
    });
    queue.set_transports(Transports::new(move |_: &String| Arc::clone(&few)), START);
    queue
}

fn actions(queue: &mut Queue) -> Vec<Action> {
    std::iter::from_fn(|| queue.next_action()).collect()
}

fn asked(actions: &[Action]) -> Vec<u64> {
    let ticket = |action: &Action| match action {
        Action::Ask { ticket } => Some(*ticket),
        _ => None,
    };
    actions.iter().filter_map(ticket).collect()
}

/// A stranger asks: his ticket, and whether he may at once.
fn asks(queue: &mut Queue, to: &str) -> Option<(u64, bool)> {
    let ticket = queue.ask(&destination(to), false, START)?;
    Some((ticket, asked(&actions(queue)).contains(&ticket)))
}

fn waits(queue: &mut Queue, to: &str) -> u64 {
    let (ticket, goes) = asks(queue, to).unwrap();
    assert!(!goes, "there is no place");
    ticket
}

fn goes(queue: &mut Queue, to: &str) -> u64 {
    let (ticket, goes) = asks(queue, to).unwrap();
    assert!(goes, "there is a place");
    ticket
}

fn mail(queue: &mut Queue, number: u64, to: &str) -> Vec<Delivery> {
    deliveries(&tell(queue, accepted(number, &[to]), START))
}

fn ends(queue: &mut Queue, flight: &Delivery) -> Vec<Action> {
    let outcomes = vec![sent(); flight.recipients.len()];
    let ticket = flight.ticket;
    tell(queue, Event::Finished { ticket, outcomes }, START)
}

fn nobody() -> Outcome {
    replied(Stage::Recipient, 550)
}

fn too_many() -> Outcome {
    let text = "421 4.7.0 Too many connections";
    Failure::replied(Stage::Greeting, ReplyCode::new(421).unwrap(), None, text).outcome()
}

#[test]
fn questions_have_half_of_the_connections_of_a_next_hop_and_never_one_beyond_them() {
    for (connections, share) in [(1, 1), (2, 1), (3, 1), (5, 2)] {
        let mut queue = limited(connections);
        for _ in 0..share {
            goes(&mut queue, "a");
        }
        waits(&mut queue, "a");
        let mut flights = 0;
        for number in 0..10 {
            flights += mail(&mut queue, number, "a").len();
        }
        assert_eq!(flights, connections - share, "of {connections}");
    }
}

/// A silent delivery keeps its connection.
#[test]
fn beside_a_silent_delivery_a_question_leaves_no_connection_of_two() {
    let mut queue = limited(2);
    let silent = mail(&mut queue, 1, "a").remove(0);
    let (ticket, silence) = (
        silent.ticket,
        Silence {
            in_doubt: true,
            named: true,
        },
    );
    tell(&mut queue, Event::Silent { ticket, silence }, START);
    let question = goes(&mut queue, "a");
    assert_eq!(mail(&mut queue, 2, "a"), []);
    queue.answered(question, Some(&nobody()), START);
    assert_eq!(deliveries(&actions(&mut queue)).len(), 1);
    waits(&mut queue, "a");
}

#[test]
fn where_a_next_hop_takes_one_connection_questions_and_deliveries_take_turns() {
    let mut queue = limited(1);
    let mut flight = mail(&mut queue, 1, "a").remove(0);
    for number in 2..6 {
        assert_eq!(mail(&mut queue, number, "a"), []);
    }
    for _ in 0..3 {
        waits(&mut queue, "a");
    }
    for _ in 0..3 {
        let next = ends(&mut queue, &flight);
        let [question] = asked(&next)[..] else {
            panic!("a question: {next:?}");
        };
        assert_eq!(deliveries(&next), []);
        assert!(queue.answered(question, Some(&nobody()), START));
        let next = actions(&mut queue);
        assert!(asked(&next).is_empty());
        flight = deliveries(&next).remove(0);
    }
}

#[test]
fn while_mail_waits_for_two_connections_one_question_at_a_time_goes_between() {
    let mut queue = limited(2);
    let first = [mail(&mut queue, 1, "a"), mail(&mut queue, 2, "a")].concat();
    for number in 3..9 {
        assert_eq!(mail(&mut queue, number, "a"), []);
    }
    for _ in 0..3 {
        waits(&mut queue, "a");
    }
    assert_eq!(asked(&ends(&mut queue, &first[0])).len(), 1);
    // The other place stays one of deliveries.
    let next = ends(&mut queue, &first[1]);
    assert_eq!((asked(&next).len(), deliveries(&next).len()), (0, 1));
}

/// Row C7. What a question is told of connections is what a delivery would be told.
#[test]
fn a_question_that_is_one_connection_too_many_teaches_that_and_stops_questions_but_no_mail() {
    let mut queue = limited(10);
    let flight = mail(&mut queue, 1, "a").remove(0);
    let hosts = ["mx.example:25".into()];
    assert!(queue.shares(flight.ticket, &flight.destination, &hosts, START));
    let question = goes(&mut queue, "a");
    assert!(
        !queue.answered(question, Some(&too_many()), START),
        "no outage"
    );
    let learned = actions(&mut queue);
    let learned = learned.iter().find_map(|action| match action {
        Action::Learned(lesson) => Some(lesson.connections),
        _ => None,
    });
    assert_eq!(learned, Some(1));
    assert_eq!(asks(&mut queue, "a"), None, "questions wait");
    assert_eq!(mail(&mut queue, 2, "a"), [], "it takes one");
    let next = deliveries(&ends(&mut queue, &flight));
    assert_eq!(next.len(), 1, "mail goes on");
    assert_eq!(queue.suspended(&destination("a"), START), None);
    let later = START.after(Duration::from_secs(11));
    assert!(queue.ask(&destination("a"), false, later).is_some());
}

/// It may refuse the null sender, or a recipient who is asked for often.
#[test]
fn what_is_said_to_a_question_about_too_many_connections_once_mail_was_named_stops_questions_alone()
{
    for stage in [Stage::Mail, Stage::Recipient] {
        for code in [421, 451] {
            let mut queue = limited(10);
            let flight = mail(&mut queue, 1, "a").remove(0);
            let hosts = ["mx.example:25".into()];
            assert!(queue.shares(flight.ticket, &flight.destination, &hosts, START));
            let question = goes(&mut queue, "a");
            let text = format!("{code} 4.7.0 Too many connections");
            let code = ReplyCode::new(code).unwrap();
            let said = Failure::replied(stage, code, None, &text).outcome();
            assert!(!queue.answered(question, Some(&said), START), "no outage");
            assert_eq!(actions(&mut queue), [], "nothing is learned");
            assert_eq!(asks(&mut queue, "a"), None, "questions wait");
            let next = (2..5).flat_map(|number| mail(&mut queue, number, "a"));
            assert_eq!(next.count(), 3, "mail goes on");
            assert_eq!(queue.lessons(START), []);
        }
    }
}

#[test]
fn a_next_hop_that_takes_no_connection_at_all_for_a_question_suspends_no_mail() {
    let mut queue = limited(2);
    let question = goes(&mut queue, "a");
    assert!(
        queue.answered(question, Some(&unreachable()), START),
        "an outage"
    );
    assert_eq!(queue.suspended(&destination("a"), START), None);
    let question = goes(&mut queue, "a");
    assert!(!queue.answered(question, Some(&too_many()), START));
    assert_eq!(queue.suspended(&destination("a"), START), None);
    assert_eq!(mail(&mut queue, 1, "a").len(), 1);
}

#[test]
fn a_few_questions_find_a_place_though_mail_has_all_and_count_among_these() {
    let slots = Slots::of_many(4, 4);
    let mut queue = Queue::new(settings(Slots { owner: 4, ..slots }), 7);
    let works = mail(&mut queue, 0, "works").remove(0);
    ends(&mut queue, &works);
    let mut flights: Vec<_> = (1..9).flat_map(|n| mail(&mut queue, n, "works")).collect();
    assert_eq!(flights.len(), 4, "all places");
    let asking = [goes(&mut queue, "b"), goes(&mut queue, "c")];
    let third = waits(&mut queue, "d");
    for _ in 0..2 {
        let next = ends(&mut queue, &flights.remove(0));
        assert_eq!(deliveries(&next), [], "four in all");
    }
    queue.answered(asking[0], Some(&nobody()), START);
    assert_eq!(actions(&mut queue), [Action::Ask { ticket: third }]);
    queue.answered(asking[1], Some(&nobody()), START);
    assert_eq!(deliveries(&actions(&mut queue)).len(), 1);
}

#[test]
fn a_client_of_ours_is_asked_for_before_strangers_of_whom_only_so_many_wait() {
    let mut queue = limited(1);
    let first = goes(&mut queue, "a");
    while asks(&mut queue, "a").is_some() {}
    let own = queue.ask(&destination("a"), true, START).unwrap();
    assert!(asks(&mut queue, "elsewhere").is_some());
    queue.answered(first, Some(&nobody()), START);
    assert_eq!(asked(&actions(&mut queue)), [own]);
}

#[test]
fn a_question_that_keeps_mail_waiting_for_long_is_cut_and_the_next_ones_pause() {
    let mut queue = limited(1);
    let question = goes(&mut queue, "a");
    let slow = queue.deadline().unwrap();
    let later = |seconds| START.after(Duration::from_secs(seconds));
    let quiet = tell(&mut queue, Event::TimedOut, slow);
    assert_eq!(quiet, [], "nobody waits");
    assert_eq!(queue.deadline(), None);
    let cut = tell(&mut queue, accepted(1, &["a"]), later(20));
    assert_eq!(cut, [Action::Cut { ticket: question }]);
    let cut = Failure::ours("no answer in time").outcome();
    assert!(
        !queue.answered(question, Some(&cut), later(20)),
        "no outage"
    );
    assert_eq!(deliveries(&actions(&mut queue)).len(), 1);
    assert_eq!(queue.ask(&destination("a"), false, later(20)), None);
}

#[test]
fn whoever_gives_up_waiting_leaves_his_turn_to_others() {
    let mut queue = limited(1);
    let first = goes(&mut queue, "a");
    let (second, third) = (waits(&mut queue, "a"), waits(&mut queue, "a"));
    assert!(!queue.answered(second, None, START));
    queue.answered(first, Some(&nobody()), START);
    assert_eq!(asked(&actions(&mut queue)), [third]);
}

/// Domains of one provider are asked for over the connections that it may have.
#[test]
fn domains_with_the_same_hosts_share_the_connections_of_questions_too() {
    let mut queue = limited(2);
    let hosts = ["mx.example:25".into()];
    let [one, other] = [goes(&mut queue, "a"), goes(&mut queue, "b")];
    assert!(queue.shares(one, &destination("a"), &hosts, START));
    assert!(!queue.shares(other, &destination("b"), &hosts, START));
    let back = tell(&mut queue, Event::Withdrawn { ticket: other }, START);
    assert!(asked(&back).is_empty(), "it waits");
    queue.answered(one, Some(&nobody()), START);
    assert_eq!(asked(&actions(&mut queue)), [other]);
}

/// Row B14. Where there is a pause after each delivery, there is one after a question.
#[test]
fn a_pause_between_deliveries_holds_for_questions() {
    let slots = Slots::of_many(100, 20);
    let mut queue = Queue::new(settings(slots), 7);
    let paced = Arc::new(Transport {
        delay: Duration::from_secs(2),
        ..Transport::unnamed(&slots)
    });
    queue.set_transports(Transports::new(move |_: &String| Arc::clone(&paced)), START);
    let first = goes(&mut queue, "a");
    let second = waits(&mut queue, "a");
    let end: Timestamp = START.after(Duration::from_secs(1));
    queue.answered(first, Some(&nobody()), end);
    assert_eq!(actions(&mut queue), []);
    let due = end.after(Duration::from_secs(2));
    assert_eq!(queue.deadline(), Some(due));
    assert_eq!(asked(&tell(&mut queue, Event::TimedOut, due)), [second]);
}

/// Every destination but one is silent.
#[test]
fn strangers_who_ask_at_silent_next_hops_keep_no_questions_from_those_that_answer() {
    let mut queue = Queue::new(settings(Slots::of_many(100, 20)), 7);
    let hop = |number: usize| format!("silent{number}");
    let known = goes(&mut queue, "known");
    queue.answered(known, Some(&nobody()), START);
    let mut under_way = 0;
    for number in 0..30 {
        let (_, goes) = asks(&mut queue, &hop(number)).unwrap();
        under_way += usize::from(goes);
    }
    assert_eq!(under_way, 6, "two of eight are for hosts that answer");
    goes(&mut queue, "known");
    // One that is not known yet has its turn before most of them, as soon as one is cut.
    let new = waits(&mut queue, "new");
    let mut cuts = 0;
    loop {
        let now = queue.deadline().unwrap();
        assert!(
            now <= START.after(Duration::from_secs(9)),
            "nobody waits longer"
        );
        let mut next = tell(&mut queue, Event::TimedOut, now);
        while let Some(Action::Cut { ticket }) =
            next.iter().find(|it| matches!(it, Action::Cut { .. }))
        {
            cuts += 1;
            let silent = Failure::ours("no answer in time").outcome();
            assert!(!queue.answered(*ticket, Some(&silent), now), "no outage");
            next = actions(&mut queue);
            if asked(&next).contains(&new) {
                assert!(cuts <= 2, "the newest and the oldest alternate");
                return;
            }
        }
    }
}

#[test]
fn one_silent_next_hop_has_two_questions_of_strangers_at_most_until_it_answers() {
    let mut queue = limited(20);
    let first = goes(&mut queue, "a");
    goes(&mut queue, "a");
    let third = waits(&mut queue, "a");
    queue.answered(first, Some(&nobody()), START);
    assert_eq!(asked(&actions(&mut queue)), [third]);
}
