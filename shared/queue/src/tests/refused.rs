//! A next hop that refuses the mail of some senders, and takes that of others.

mod turned_away;

use std::collections::{BTreeMap, BTreeSet};

use mail::outcome::{Blame, Failure, Outcome};

use proptest::prelude::*;
use spool::Event as Recorded;

use super::*;
use crate::{Origin, Waiting, simulation::id};

/// Whom nobody refuses.
const GOOD: u64 = 1_000_000;

/// A queue, what was queued, and a next hop that refuses some senders.
struct World {
    queue: Queue,
    now: Timestamp,
    /// Sender of each message.
    senders: BTreeMap<QueueId, u64>,
    refuses: fn(u64) -> bool,
    /// What it says then, instead of a refusal.
    says: Option<Failure>,
    /// Who was refused last, and nobody taken since then, as a connection's memory has it.
    last: Option<(u64, bool)>,
    /// Seconds after the start, and whose.
    tries: Vec<(u64, u64)>,
    /// Which messages these were.
    tried: Vec<QueueId>,
    /// What was recorded of messages that wait.
    told: Vec<(QueueId, String)>,
    taken: BTreeMap<QueueId, Timestamp>,
    /// Senders that were turned away, each time that this is told.
    turned_away: Vec<usize>,
    suspensions: usize,
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
            says: None,
            last: None,
            tries: Vec::new(),
            tried: Vec::new(),
            told: Vec::new(),
            taken: BTreeMap::new(),
            turned_away: Vec::new(),
            suspensions: 0,
        }
    }

    /// So many messages are found at a start.
    fn restart(&mut self, count: u64, sender: impl Fn(u64) -> u64) {
        let waiting = Waiting {
            recipient: 0,
            until: None,
        };
        for number in 0..count {
            self.senders.insert(id(number + 1), sender(number));
            self.handle(recovered(id(number + 1), false, false, vec![waiting]));
        }
    }

    fn arrives(&mut self, sender: u64) -> QueueId {
        self.arrives_of(ORIGIN.owner, sender)
    }

    fn arrives_of(&mut self, owner: u32, sender: u64) -> QueueId {
        let number = self.senders.len() as u64 + 1;
        let Event::Accepted { id, recipients, .. } = accepted(number, &["relay"]) else {
            panic!("not accepted")
        };
        self.senders.insert(id, sender);
        self.handle(Event::Accepted {
            id,
            arrival: self.now,
            origin: Origin {
                owner,
                sender,
                ..ORIGIN
            },
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
                    Action::Record {
                        id,
                        event: Recorded::Deferred { reason, .. },
                    } => self.told.push((id, reason.to_string())),
                    Action::TurnedAway { senders, .. } => self.turned_away.push(senders),
                    Action::Suspended { .. } => self.suspensions += 1,
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
        self.tried.push(delivery.id);
        if !(self.refuses)(sender) {
            self.last = None;
            self.taken.insert(delivery.id, self.now);
            return Event::Finished {
                ticket,
                outcomes: vec![sent()],
            };
        }
        if let Some(failure) = &self.says {
            let outcomes = vec![failure.clone().outcome()];
            return Event::Finished { ticket, outcomes };
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

/// Three senders that are refused, and five messages of another one: they go at once.
#[test]
fn refusals_of_some_senders_hold_up_nobody_else() {
    for (one, most) in [(true, 1), (false, 1)] {
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
    for (one, most) in [(true, 1), (false, 1)] {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However many senders were refused, whosever mail it is, at whatever time after that, and
    /// over a restart: whoever was not refused is asked at once, and those who were only as often
    /// as the pauses say.
    #[test]
    fn however_many_senders_are_refused_another_one_is_asked_at_once(
        one: bool, many in 1u64..300, same in 1u64..4, own: bool, restart: bool, after in 0u64..2000
    ) {
        let mut world = World::new(one, |sender| sender != GOOD);
        world.restart(if restart { many * same } else { 0 }, |number| number % many);
        for number in 0..if restart { 0 } else { many * same } {
            world.arrives(number % many);
        }
        let begun = world.tries.len() as u64;
        prop_assert!(begun >= many, "each of them was asked: {begun}");
        for late in [after, after + 60, after + 7200] {
            world.until(late);
            let tries = world.tries.len();
            let good = world.arrives_of(if own { ORIGIN.owner } else { 5 }, GOOD);
            let waited = world.gone(&[good]).map(|gone| gone - late);
            prop_assert_eq!(waited, Some(0), "{} tries", world.tries.len() - tries);
            prop_assert!(world.tries.len() <= tries + 4, "nobody is asked before him");
        }
        // Each message a few times an hour at most, as pauses and schedule say.
        let hours = 2 + after / 3600;
        prop_assert!(world.tries.len() as u64 <= many * same * (4 + 14 * hours) + 3);
        prop_assert_eq!(world.taken.len(), 3);
    }
}

/// More than are remembered, and than are in memory at once.
#[test]
fn two_thousand_refused_senders_hold_up_nobody_either() {
    for one in [true, false] {
        let mut world = World::new(one, |sender| sender != GOOD);
        world.restart(2000, |number| number);
        for at in [0, 5, 70] {
            world.until(at);
            let good = world.arrives(GOOD);
            assert_eq!(world.gone(&[good]), Some(at), "{one}");
        }
        // After 5, 10, 20 and 40 seconds whom it has forgotten.
        assert!(world.tries.len() <= 5 * 2000 + 3, "{}", world.tries.len());
    }
}

/// What waits for the end of a pause is told why, and what was not refused is not.
#[test]
fn mail_that_was_not_refused_is_not_said_to_be() {
    for one in [true, false] {
        let mut world = World::new(one, |sender| sender != GOOD);
        let refused: BTreeSet<_> = (0..40).map(|number| world.arrives(number % 20)).collect();
        world.arrives(GOOD);
        world.until(600);
        world.arrives(GOOD);
        let told: BTreeSet<_> = world.told.iter().map(|(id, _)| *id).collect();
        assert_eq!(told, refused, "{one}");
        assert!(world.told.iter().all(|(_, reason)| reason.contains("553")));
    }
}

/// A relayhost that also goes away: that is no reason to wait for those whom it refuses.
#[test]
fn new_mail_of_a_refused_sender_is_asked_for_soon_once_it_is_taken() {
    let mut world = World::new(true, |_| true);
    for number in 0..20 {
        world.arrives(number);
    }
    world.until(3600);
    world.refuses = |_| false;
    let new = world.arrives(3);
    world.until(3606);
    assert!(world.taken.contains_key(&new));
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
