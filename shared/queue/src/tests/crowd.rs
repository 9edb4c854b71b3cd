//! What a next hop says to mail of too many connections: it may mean one sender or one mailbox
//! (row C7).

use std::time::Duration;

use mail::outcome::{Failure, Outcome};

use super::*;
use crate::Origin;

const BUSY: u64 = 1_000_000;

/// A next hop with ten connections, of which some are under way, and a clock.
struct Hop {
    queue: Queue,
    now: Timestamp,
    count: u64,
    flying: Vec<Delivery>,
}

impl Hop {
    fn new() -> Self {
        let slots = Slots::of_many(200, 10);
        Self {
            queue: Queue::new(settings(slots), 7),
            now: START,
            count: 0,
            flying: Vec::new(),
        }
    }

    fn after(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    /// Mail of a sender begins, if it does not wait.
    fn arrives(&mut self, sender: u64) -> Option<Delivery> {
        self.after(5);
        self.count += 1;
        let Event::Accepted { id, recipients, .. } = accepted(self.count, &["hop"]) else {
            panic!("not accepted")
        };
        let event = Event::Accepted {
            id,
            arrival: self.now,
            origin: Origin { sender, ..ORIGIN },
            recipients,
        };
        let flight = deliveries(&tell(&mut self.queue, event, self.now)).pop()?;
        let hosts = ["mx.example:25".into()];
        assert!(
            self.queue
                .shares(flight.ticket, &flight.destination, &hosts, self.now)
        );
        Some(flight)
    }

    /// So many others are under way.
    fn fly(&mut self, count: usize) {
        while self.flying.len() < count {
            let sender = 100 + self.count;
            let flight = self.arrives(sender);
            self.flying.push(flight.expect("it waits for nobody"));
        }
    }

    /// What is learned when mail of a sender is turned away, for so much as the hop knows.
    fn refuses(&mut self, sender: u64, recipient: u64, stage: Stage) -> Option<usize> {
        let flight = self.arrives(sender)?;
        self.after(5);
        let crowded = Event::Crowded {
            ticket: flight.ticket,
            recipients: vec![recipient],
        };
        tell(&mut self.queue, crowded, self.now);
        let Outcome::Deferred(failure) = replied(stage, 451) else {
            panic!("451 is for now")
        };
        let text = "451 4.3.0 Too many concurrent connections".to_owned();
        self.ends(&flight, Failure { text, ..failure }.outcome())
    }

    /// One of those under way is taken; what is learned.
    fn takes(&mut self) -> Option<usize> {
        let flight = self.flying.remove(0);
        self.after(5);
        self.ends(&flight, sent())
    }

    fn ends(&mut self, flight: &Delivery, outcome: Outcome) -> Option<usize> {
        let outcomes = vec![outcome];
        let ticket = flight.ticket;
        let event = Event::Finished { ticket, outcomes };
        let actions = tell(&mut self.queue, event, self.now);
        assert_eq!(deliveries(&actions), [], "none waits");
        actions.iter().find_map(|action| match action {
            Action::Learned(lesson) => Some(lesson.connections),
            _ => None,
        })
    }

    /// How many deliveries go at once when there is much mail.
    fn at_once(&mut self) -> usize {
        while !self.flying.is_empty() {
            self.takes();
        }
        let mut begun = Vec::new();
        for number in 0..30 {
            let event = accepted(BUSY + number, &["hop"]);
            begun.extend(deliveries(&tell(&mut self.queue, event, self.now)));
        }
        let mut most = begun.len();
        while let Some(flight) = begun.pop() {
            let (ticket, outcomes) = (flight.ticket, vec![sent()]);
            let event = Event::Finished { ticket, outcomes };
            begun.extend(deliveries(&tell(&mut self.queue, event, self.now)));
            most = most.max(begun.len());
        }
        most
    }
}

const STAGES: [Stage; 4] = [Stage::Mail, Stage::Recipient, Stage::Data, Stage::Message];

#[test]
fn a_busy_mailbox_or_a_sender_who_has_too_many_connections_leaves_others_all_of_theirs() {
    for (stage, same_sender) in STAGES.into_iter().flat_map(|it| [(it, true), (it, false)]) {
        if stage == Stage::Mail && !same_sender {
            continue;
        }
        let mut hop = Hop::new();
        for round in 0..5 {
            hop.fly(3);
            for number in 0..4 {
                let other = 10 * round + number;
                let whose = if same_sender { (1, other) } else { (other, 1) };
                assert_eq!(hop.refuses(whose.0, whose.1, stage), None);
            }
            assert_eq!(hop.takes(), None, "{stage:?}");
        }
        assert_eq!(hop.queue.lessons(hop.now), []);
        assert_eq!(hop.at_once(), 10, "{stage:?}, {same_sender}");
    }
}

#[test]
fn senders_and_mailboxes_that_hear_it_while_mail_of_others_goes_leave_these_all_of_theirs() {
    for stage in STAGES {
        let mut hop = Hop::new();
        for number in 0..30 {
            hop.fly(3);
            assert_eq!(hop.refuses(number, number, stage), None);
            if number % 2 == 1 {
                assert_eq!(hop.takes(), None, "{stage:?}");
            }
        }
        assert_eq!(hop.at_once(), 10, "{stage:?}");
    }
}

/// Three at night, with nobody's mail beside them that is taken.
#[test]
fn what_nobody_is_taken_beside_is_no_number_of_connections() {
    let mut hop = Hop::new();
    for number in 0..6 {
        assert_eq!(hop.refuses(number, number, Stage::Recipient), None);
    }
    hop.after(10);
    hop.fly(1);
    assert_eq!(hop.takes(), None);
    hop.fly(1);
    for number in 10..13 {
        hop.after(30_000);
        assert_eq!(hop.refuses(number, number, Stage::Recipient), None);
    }
    assert_eq!(hop.takes(), None, "not within a minute");
}

/// Row C7.
#[test]
fn different_senders_and_mailboxes_that_hear_it_in_a_row_teach_the_number_that_works() {
    for stage in STAGES {
        let mut hop = Hop::new();
        hop.fly(3);
        for number in 0..3 {
            assert_eq!(hop.refuses(number, number, stage), None);
        }
        assert_eq!(hop.takes(), Some(3), "{stage:?}");
        assert_eq!(hop.at_once(), 3, "{stage:?}");
    }
}

#[test]
fn a_mailbox_is_the_same_in_capitals_and_with_an_extension() {
    let number =
        |address: &str| crate::recipient(&mail::address::Address::parse(address).unwrap().into());
    assert_eq!(number("busy@x.example"), number("Busy+1@X.example"));
    assert_ne!(number("busy@x.example"), number("other@x.example"));
    assert_ne!(number("busy@x.example"), number("busy@y.example"));
}
