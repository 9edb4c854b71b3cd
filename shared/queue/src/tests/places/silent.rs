//! What mail that waits costs mail that goes.

use std::{
    cell::Cell,
    collections::VecDeque,
    hash::{Hash, Hasher},
    sync::Arc,
};

use mail::outcome::Outcome;
use queue::{Action, Delivery, Event, Queue};

use super::{START, sent, settings, silence};
use crate::{
    self as queue, Routed, Slots,
    simulation::{ORIGIN, id},
};

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// A destination that counts how often one is looked up.
#[derive(PartialEq, Eq, Debug)]
struct Counted(u64);

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        LOOKS.set(LOOKS.get() + 1);
        self.0.hash(state);
    }
}

type Started = Delivery<Counted>;

fn tell(queue: &mut Queue<Counted, u32>, event: Event<Counted, u32>) -> Vec<Started> {
    queue.handle(event, START);
    let actions = std::iter::from_fn(|| queue.next_action());
    let started = actions.filter_map(|action| match action {
        Action::Deliver(delivery) => Some(delivery),
        _ => None,
    });
    started.collect()
}

fn accepted(number: u64, destination: u64) -> Event<Counted, u32> {
    Event::Accepted {
        id: id(number),
        arrival: START,
        origin: ORIGIN,
        recipients: vec![Routed {
            recipient: 0,
            destination: Ok(Arc::new(Counted(destination))),
            lifetime: None,
        }],
    }
}

fn finished(started: &Started, outcome: Outcome) -> Event<Counted, u32> {
    Event::Finished {
        ticket: started.ticket,
        outcomes: vec![outcome],
    }
}

/// Look-ups for a hundred messages to a destination that works, while mail for so many silent ones
/// waits.
fn looks_beside(silent: u64) -> usize {
    let mut queue = Queue::new(settings(Slots::of_many(100, 20)), 7);
    let worked = tell(&mut queue, accepted(0, 0)).remove(0);
    tell(&mut queue, finished(&worked, sent()));
    let mut waits = Vec::new();
    for number in 1..=silent {
        waits.extend(tell(&mut queue, accepted(number, number)));
    }
    let before = LOOKS.get();
    for number in 1000..1100 {
        let started = tell(&mut queue, accepted(number, 0)).remove(0);
        tell(&mut queue, finished(&started, sent()));
    }
    let looks = LOOKS.get() - before;
    let next = tell(&mut queue, finished(&waits[0], silence()));
    assert_eq!(next.len(), 1, "the place of a silent one is the next one's");
    looks
}

#[test]
fn mail_that_goes_does_not_pay_for_hundreds_of_silent_destinations() {
    let (few, many) = (looks_beside(50), looks_beside(300));
    assert!(
        many <= few * 2,
        "{few} look-ups beside 50, {many} beside 300"
    );
}

/// Look-ups for a hundred deliveries of an owner who has all places that one may have, while mail
/// of his for so many more destinations waits, all of which worked a moment ago.
fn looks_of_one_owner(waiting: u64) -> usize {
    let mut queue = Queue::new(settings(Slots::of_many(100, 20)), 7);
    let mut flights = Vec::new();
    for destination in 0..waiting + 90 {
        flights.extend(tell(&mut queue, accepted(destination, destination)));
        while let Some(flight) = flights.pop() {
            flights.extend(tell(&mut queue, finished(&flight, sent())));
        }
    }
    let mut underway = VecDeque::new();
    for destination in 0..waiting + 90 {
        let mail = accepted(10_000 + destination, destination);
        underway.extend(tell(&mut queue, mail));
    }
    assert_eq!(underway.len(), 90);
    let before = LOOKS.get();
    for _ in 0..100 {
        let flight = underway.pop_front().unwrap();
        underway.extend(tell(&mut queue, finished(&flight, sent())));
    }
    assert_eq!(underway.len(), 90, "the next begins where one has ended");
    let looks = LOOKS.get() - before;
    let mut left = queue.len();
    while let Some(flight) = underway.pop_front() {
        underway.extend(tell(&mut queue, finished(&flight, sent())));
        left -= 1;
    }
    assert_eq!(left, 0, "all of it goes");
    looks
}

#[test]
fn one_clients_mail_does_not_pay_for_hundreds_of_destinations_that_it_waits_for() {
    let (few, many) = (looks_of_one_owner(100), looks_of_one_owner(600));
    assert!(many <= few * 2, "{few} look-ups with 100, {many} with 600");
}
