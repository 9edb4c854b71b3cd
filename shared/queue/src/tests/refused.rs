//! A next hop that refuses the mail of some senders, and takes that of others.

use std::collections::{BTreeMap, BTreeSet};

use mail::outcome::{Blame, Failure, Outcome};

use super::*;
use crate::{Origin, simulation::id};

/// A queue, what was queued, and a next hop that refuses some senders.
struct World {
    queue: Queue,
    now: Timestamp,
    /// Sender of each message.
    senders: BTreeMap<QueueId, u64>,
    refuses: fn(u64) -> bool,
    /// Who was refused last, and nobody taken since then, as a connection's memory has it.
    last: Option<(u64, bool)>,
    /// Seconds after the start, and whose.
    tries: Vec<(u64, u64)>,
    taken: BTreeMap<QueueId, Timestamp>,
}

impl World {
    fn new(one: bool, refuses: fn(u64) -> bool) -> Self {
        let mut settings = settings(Slots::of_many(20, 10));
        if one {
            settings.slots = Slots::of_one(2, 4);
            settings.back_off = BackOff::of_one(&settings.schedule);
        }
        Self {
            queue: Queue::new(settings, 7),
            now: START,
            senders: BTreeMap::new(),
            refuses,
            last: None,
            tries: Vec::new(),
            taken: BTreeMap::new(),
        }
    }

    fn arrives(&mut self, sender: u64) -> QueueId {
        let number = self.senders.len() as u64 + 1;
        let Event::Accepted { id, recipients, .. } = accepted(number, &["relay"]) else {
            panic!("not accepted")
        };
        self.senders.insert(id, sender);
        self.handle(Event::Accepted {
            id,
            arrival: self.now,
            origin: Origin { sender, ..ORIGIN },
            recipients,
        });
        id
    }

    fn handle(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in tell(&mut self.queue, event, self.now) {
                match action {
                    Action::Load { id, recipients } => events.push(self.loaded(id, recipients)),
                    Action::Deliver(delivery) => events.insert(0, self.delivered(&delivery)),
                    _ => {}
                }
            }
        }
    }

    fn loaded(&self, id: QueueId, recipients: Vec<u32>) -> Event {
        let to = |recipient| Routed {
            recipient,
            destination: Ok(destination("relay")),
            lifetime: None,
        };
        let sender = self.senders[&id];
        Event::Loaded {
            id,
            origin: Origin { sender, ..ORIGIN },
            recipients: recipients.into_iter().map(to).collect(),
        }
    }

    /// One refusal is that message's, another sender's in a row is this machine's.
    fn delivered(&mut self, delivery: &Delivery) -> Event {
        let (sender, ticket) = (self.senders[&delivery.id], delivery.ticket);
        self.tries.push((self.now.since(START).as_secs(), sender));
        if !(self.refuses)(sender) {
            self.last = None;
            self.taken.insert(delivery.id, self.now);
            return Event::Finished {
                ticket,
                outcomes: vec![sent()],
            };
        }
        let shared = match self.last {
            Some((first, shared)) => shared || first != sender,
            None => false,
        };
        self.last = Some((self.last.map_or(sender, |(first, _)| first), shared));
        let Outcome::Failed(failure) = replied(Stage::Mail, 553) else {
            panic!("553 is for good")
        };
        let blame = if shared { Blame::Us } else { failure.blame };
        let remedy = Some("ask its administrator");
        let failure = Failure {
            blame,
            remedy,
            ..failure.for_now()
        };
        if shared {
            return Event::Unreached { ticket, failure };
        }
        Event::Finished {
            ticket,
            outcomes: vec![failure.outcome()],
        }
    }

    /// Time passes.
    fn until(&mut self, seconds: u64) {
        let end = START.after(Duration::from_secs(seconds));
        while let Some(next) = self.queue.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.handle(Event::TimedOut);
        }
        self.now = end;
    }

    /// How many seconds after the start all of these had gone.
    fn gone(&self, all: &[QueueId]) -> Option<u64> {
        let at = |id: &QueueId| self.taken.get(id).map(|at| at.since(START).as_secs());
        all.iter()
            .map(at)
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
    }
}

fn is_one_of_three(sender: u64) -> bool {
    sender < 3
}

/// Three senders that are refused, and five messages of another one: they go after two short
/// pauses at most.
#[test]
fn refusals_of_some_senders_hold_up_nobody_else() {
    for (one, most) in [(true, 13), (false, 150)] {
        let mut world = World::new(one, is_one_of_three);
        for sender in 0..3 {
            world.arrives(sender);
        }
        world.until(1);
        let good: Vec<_> = (0..5).map(|_| world.arrives(9)).collect();
        world.until(200);
        let gone = world.gone(&good);
        assert!(
            gone.is_some_and(|gone| gone <= most),
            "{one}: {gone:?}, {:?}",
            world.tries
        );
        // Later mail of his waits for none of theirs, though they are tried for hours.
        for hour in 1..5 {
            world.until(hour * 3600);
            let sent = world.now.since(START).as_secs();
            let next = world.arrives(9);
            world.until(hour * 3600 + 200);
            let took = world.gone(&[next]).map(|gone| gone - sent);
            assert!(
                took.is_some_and(|took| took <= most),
                "{one}, hour {hour}: {took:?}"
            );
        }
        assert!(world.taken.len() == 9 && world.queue.len() == 3);
    }
}

/// A thousand refused messages were there first.
#[test]
fn mail_of_others_is_tried_before_a_backlog_of_what_was_refused() {
    for (one, most) in [(true, 15), (false, 240)] {
        let mut world = World::new(one, is_one_of_three);
        for number in 0..900 {
            world.arrives(number % 3);
        }
        let good: Vec<_> = (0..50)
            .map(|number| world.arrives(9 + number % 2))
            .collect();
        for number in 0..50 {
            world.arrives(number % 3);
        }
        world.until(3600);
        let gone = world.gone(&good);
        assert!(gone.is_some_and(|gone| gone <= most), "{one}: {gone:?}");
        assert_eq!(world.taken.len(), 50);
    }
}

/// Nobody knows yet that it is about all: the probes go round, and become rarer.
#[test]
fn a_relayhost_that_refuses_everybody_is_probed_with_one_message_of_each_in_turn() {
    let mut world = World::new(true, |_| true);
    for number in 0..40 {
        world.arrives(number % 20);
    }
    world.until(3600);
    let tried: BTreeSet<_> = world.tries.iter().map(|(_, sender)| sender).collect();
    assert!((15..=40).contains(&world.tries.len()), "{:?}", world.tries);
    assert!(tried.len() >= 15, "{:?}", world.tries);
    world.refuses = |_| false;
    world.until(3600 + 420);
    // Those that were refused alone wait for their own time.
    assert!(world.taken.len() >= 38, "{}", world.taken.len());
    world.until(3 * 3600);
    assert!(world.queue.is_empty());
}

/// Whose mail was refused once is not forgotten while others send without end.
#[test]
fn a_sender_who_was_refused_has_a_turn_while_others_send_without_end() {
    let mut world = World::new(true, |sender| sender == 0);
    world.arrives(0);
    world.refuses = |_| false;
    let late = world.arrives(0);
    let id = id(1);
    assert!(world.taken.contains_key(&late) && !world.taken.contains_key(&id));
    for second in 1..600 {
        for _ in 0..20 {
            world.arrives(5 + second % 7);
        }
        world.until(second);
    }
    assert!(world.taken.contains_key(&id), "{}", world.taken.len());
}
