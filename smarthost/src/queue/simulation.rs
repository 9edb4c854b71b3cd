//! A world under a virtual clock: destinations that work, are dead for a while, refuse, or take only so many connections; random
//! orders of an administrator; loads and bounces that fail. What must hold whatever happens is asserted at each action.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use mail::{
    clock::Timestamp,
    nexthop::Nexthop,
    outcome::{Blame, Delivery as Delivered, Failure, Handover, Outcome, Stage},
    status::{EnhancedStatus, ReplyCode},
};
use proptest::prelude::*;
use queue::retry::Schedule;
use spool::{Event as Recorded, QueueId, Settlement};

use super::{Action, Delivery, Event, Queue, Routed, Settings, Waiting, random::Random};
use crate::destination::Destination;

pub(super) fn id(number: u64) -> QueueId {
    serde_json::from_str(&number.to_string()).unwrap()
}

pub(super) fn destination(name: &str) -> Arc<Destination> {
    let nexthop = Nexthop {
        host: name.to_owned(),
        port: None,
        mx: true,
    };
    Arc::new(Destination::Smtp {
        nexthop,
        relayhost: false,
        named: false,
    })
}

pub(super) fn sent() -> Outcome {
    Outcome::Delivered(Delivered {
        relay: "mx".into(),
        reply: "250 2.0.0 Ok".into(),
        handover: Handover::Promised,
    })
}

pub(super) fn unreachable() -> Outcome {
    let status = EnhancedStatus::new(4, 4, 1);
    Failure::new(Blame::Network, Stage::Connect, status, "Connection refused")
        .at("mx[192.0.2.1]:25")
        .outcome()
}

pub(super) fn replied(stage: Stage, code: u16) -> Outcome {
    Failure::replied(
        stage,
        ReplyCode::new(code).unwrap(),
        None,
        &format!("{code} text"),
    )
    .outcome()
}

const START: Timestamp = Timestamp::from_secs(1_000_000);
const LIFETIME: Duration = Duration::from_hours(24);
const WARNING: Duration = Duration::from_hours(4);

fn settings() -> Settings {
    let schedule = Schedule {
        lifetime: LIFETIME,
        ..Schedule::default()
    };
    Settings {
        schedule,
        warning: Some(WARNING),
        destination_concurrency: 4,
        deliveries: 10,
    }
}

/// Where a recipient has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Delivered,
    Bounced,
    Removed,
}

#[derive(Default, Debug)]
struct Message {
    arrival: Timestamp,
    destinations: Vec<usize>,
    ends: BTreeMap<u32, End>,
    flying: BTreeSet<u32>,
    /// What the last delivery said of it.
    last: HashMap<u32, Outcome>,
    bounced: BTreeSet<u32>,
    warned: bool,
    ended: bool,
}

struct World {
    queue: Queue,
    now: Timestamp,
    random: Random,
    messages: BTreeMap<u64, Message>,
    /// What the world will say, and when.
    coming: BTreeMap<(Timestamp, u64), Event>,
    serial: u64,
    /// Destination, message and recipients of each delivery on its way.
    flights: HashMap<u64, (usize, u64, Vec<u32>)>,
    attempts: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            queue: Queue::new(settings(), seed),
            now: START,
            random: Random::new(seed ^ 0xdead_beef),
            messages: BTreeMap::new(),
            coming: BTreeMap::new(),
            serial: 0,
            flights: HashMap::new(),
            attempts: 0,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.next() % 100 < percent
    }

    fn later(&mut self, most: u32, event: Event) {
        self.serial += 1;
        let at = self
            .now
            .after(Duration::from_millis(u64::from(self.random.next() % most)));
        self.coming.insert((at, self.serial), event);
    }

    /// Destinations 0 and 1 work, 2 is dead for the first 6 hours, 3 takes two connections, 4 refuses, 5 is always dead.
    fn attempt(&mut self, to: usize) -> Outcome {
        match to {
            2 if self.now.since(START) < Duration::from_hours(6) => unreachable(),
            3 if self.flying_to(3) > 2 => replied(Stage::Greeting, 421),
            4 => replied(Stage::Recipient, 550),
            5 => unreachable(),
            _ if self.chance(10) => replied(Stage::Recipient, 450),
            _ => sent(),
        }
    }

    fn flying_to(&self, to: usize) -> usize {
        self.flights
            .values()
            .filter(|flight| flight.0 == to)
            .count()
    }

    fn index(&self, id: QueueId) -> u64 {
        *self
            .messages
            .keys()
            .find(|key| self::id(**key) == id)
            .expect("an action names a message that exists")
    }

    fn routed(&self, key: u64, recipients: &[u32]) -> Vec<Routed> {
        let to = |recipient: &u32| Routed {
            recipient: *recipient,
            destination: Ok(destination(
                &self.messages[&key].destinations[*recipient as usize].to_string(),
            )),
        };
        recipients.iter().map(to).collect()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Load { id, recipients } => {
                let key = self.index(id);
                let routed = self.routed(key, &recipients);
                let failure = Failure::local(EnhancedStatus::new(4, 3, 0), "disk");
                let failed = self.chance(5);
                let event = if failed {
                    Event::LoadFailed { id, failure }
                } else {
                    Event::Loaded {
                        id,
                        recipients: routed,
                    }
                };
                self.later(50, event);
            }
            Action::Deliver(delivery) => self.deliver(delivery),
            Action::Record { id, event } => self.record(id, event),
            Action::Bounce {
                id,
                failed,
                expired,
            } => {
                let now = self.now;
                let key = self.index(id);
                let message = self.messages.get_mut(&key).unwrap();
                assert!(
                    !failed.is_empty() && message.bounced.is_empty(),
                    "two bounces at once"
                );
                if expired {
                    assert!(now.since(message.arrival) >= LIFETIME);
                }
                let failing = self.chance(20);
                if failing {
                    self.later(50, Event::BounceFailed { id });
                } else {
                    let message = self.messages.get_mut(&key).unwrap();
                    message
                        .bounced
                        .extend(failed.iter().map(|(recipient, _)| *recipient));
                    self.later(50, Event::Bounced { id });
                }
            }
            Action::Suspended { until, .. } => assert!(until > self.now),
            Action::Drained(_) => {}
            Action::Warn { id, late } => {
                let key = self.index(id);
                let message = &self.messages[&key];
                assert!(!late.is_empty() && !message.warned, "warned twice");
                assert!(self.now.since(message.arrival) >= WARNING);
                let event = if self.chance(20) {
                    Event::WarnFailed { id }
                } else {
                    Event::Warned { id }
                };
                self.later(50, event);
            }
            Action::Ended { id, .. } => {
                let key = self.index(id);
                let message = self.messages.get_mut(&key).unwrap();
                assert!(!message.ended && message.flying.is_empty());
                assert_eq!(
                    message.ends.len(),
                    message.destinations.len(),
                    "a recipient was lost"
                );
                message.ended = true;
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.attempts += 1;
        let key = self.index(delivery.id);
        let to = self.messages[&key].destinations[delivery.recipients[0] as usize];
        assert_eq!(delivery.destination, destination(&to.to_string()));
        let flight = (to, key, delivery.recipients.clone());
        self.flights.insert(delivery.ticket, flight);
        assert!(self.flights.len() <= 10, "too many deliveries");
        assert!(self.flying_to(to) <= 4, "too many for one destination");
        let mut outcomes = Vec::new();
        for recipient in &delivery.recipients {
            let message = self.messages.get_mut(&key).unwrap();
            assert!(
                !message.ends.contains_key(recipient),
                "tried again after its end"
            );
            assert!(
                message.flying.insert(*recipient),
                "in two deliveries at once"
            );
            assert!(
                !matches!(message.last.get(recipient), Some(Outcome::Delivered(_))),
                "delivered twice"
            );
            let outcome = self.attempt(to);
            self.messages
                .get_mut(&key)
                .unwrap()
                .last
                .insert(*recipient, outcome.clone());
            outcomes.push(outcome);
        }
        self.later(
            20_000,
            Event::Finished {
                ticket: delivery.ticket,
                outcomes,
            },
        );
    }

    fn record(&mut self, id: QueueId, event: Recorded) {
        let key = self.index(id);
        let message = self.messages.get_mut(&key).unwrap();
        match event {
            Recorded::Settled {
                recipient,
                settlement,
            } => {
                let end = match settlement {
                    Settlement::Delivered => {
                        assert!(matches!(message.last[&recipient], Outcome::Delivered(_)));
                        End::Delivered
                    }
                    Settlement::Bounced => {
                        assert!(
                            message.bounced.remove(&recipient),
                            "settled before the bounce was kept"
                        );
                        End::Bounced
                    }
                };
                assert_eq!(message.ends.insert(recipient, end), None, "two ends");
            }
            Recorded::Deferred {
                recipients,
                until,
                reason,
            } => {
                assert!(!reason.is_empty() && until > self.now);
                assert!(
                    recipients
                        .iter()
                        .all(|recipient| !message.ends.contains_key(recipient))
                );
            }
            Recorded::Removed => {
                for recipient in 0..u32::try_from(message.destinations.len()).unwrap() {
                    message.ends.entry(recipient).or_insert(End::Removed);
                }
            }
            Recorded::Warned => {
                assert!(!message.warned, "warned twice");
                message.warned = true;
            }
            Recorded::Held | Recorded::Released => {}
            Recorded::Repeated(_) | Recorded::Alone | Recorded::OverBudget => {
                panic!("the smarthost counts no storms and has no such budget")
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if let Event::Finished { ticket, .. } = &event {
            let (_, key, recipients) = self.flights.remove(ticket).unwrap();
            let message = self.messages.get_mut(&key).unwrap();
            message
                .flying
                .retain(|recipient| !recipients.contains(recipient));
        }
        self.queue.handle(event, self.now);
        while let Some(action) = self.queue.next_action() {
            self.act(action);
        }
    }

    fn submit(&mut self, destinations: Vec<usize>) {
        let key = u64::try_from(self.messages.len()).unwrap();
        let count = u32::try_from(destinations.len()).unwrap();
        let arrival = self.now;
        self.messages.insert(
            key,
            Message {
                arrival,
                destinations,
                ..Message::default()
            },
        );
        let recipients: Vec<u32> = (0..count).collect();
        let event = if self.chance(50) {
            Event::Accepted {
                id: id(key),
                arrival,
                recipients: self.routed(key, &recipients),
            }
        } else {
            let waiting = recipients
                .iter()
                .map(|&recipient| Waiting {
                    recipient,
                    until: None,
                })
                .collect();
            Event::Recovered {
                id: id(key),
                arrival,
                held: false,
                warned: false,
                waiting,
            }
        };
        self.tell(event);
    }

    fn order(&mut self) {
        let key = id(u64::from(self.random.next()) % self.messages.len() as u64);
        let event = match self.random.next() % 6 {
            0 => Event::FlushAll,
            1 => Event::Flush { id: key },
            2 => Event::Hold { id: key },
            3 | 4 => Event::Release { id: key },
            _ => Event::Remove { id: key },
        };
        self.tell(event);
    }

    /// Goes to the next thing that happens; `false`: nothing will.
    fn step(&mut self) -> bool {
        let coming = self.coming.keys().next().map(|(at, _)| *at);
        let due = self.queue.deadline().map(|due| due.max(self.now));
        let Some(next) = [coming, due].into_iter().flatten().min() else {
            return false;
        };
        self.now = next;
        if coming == Some(next) {
            let (_, event) = self.coming.pop_first().unwrap();
            self.tell(event);
        } else {
            self.tell(Event::TimedOut);
            assert!(
                self.queue.deadline().is_none_or(|due| due > self.now),
                "the clock would stand still"
            );
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_recipient_ends_exactly_once_and_none_starves(
        seed in any::<u64>(),
        messages in proptest::collection::vec(proptest::collection::vec(0usize..6, 1..6), 1..40),
        orders in 0u32..40,
    ) {
        let mut world = World::new(seed);
        for destinations in messages {
            world.submit(destinations);
            for _ in 0..world.random.next() % 20 {
                world.step();
            }
            if orders > 0 && world.chance(orders) {
                world.order();
            }
        }
        for key in 0..world.messages.len() as u64 {
            world.tell(Event::Release { id: id(key) });
        }
        // Age is looked at after an attempt: the last may be an interval late, and so may each bounce that finds no room.
        let latest = world.now.after(LIFETIME + 4 * settings().schedule.maximal);
        let mut steps = 0u32;
        while world.step() {
            steps += 1;
            prop_assert!(steps < 200_000, "it never ends");
            prop_assert!(world.now < latest, "mail outlives its lifetime");
        }
        prop_assert!(world.queue.is_empty() && world.queue.in_flight() == 0);
        for message in world.messages.values() {
            prop_assert!(message.ended, "{message:?}");
            for (recipient, end) in &message.ends {
                let to = message.destinations[*recipient as usize];
                prop_assert!(*end != End::Delivered || to < 4);
                prop_assert!(*end != End::Bounced || to >= 2, "working destination {to} bounced");
            }
        }
    }
}
