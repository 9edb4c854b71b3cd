//! A world under a virtual clock: destinations that work, are dead for a while, refuse, or take
//! only so many connections; random orders of an administrator; loads and bounces that fail. What
//! must hold whatever happens is asserted at each action.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use mail::{
    clock::Timestamp,
    outcome::{Blame, Delivery as Delivered, Failure, Handover, Outcome, Stage},
    status::{EnhancedStatus, ReplyCode},
};
use spool::{Event as Recorded, QueueId, Settlement};

use crate::{
    BackOff, Origin, Recovered, Routed, Settings, Slots, Waiting, random::Random, retry::Schedule,
};

mod crowd;
mod lives;

pub(crate) type Queue = crate::Queue<String, u32>;
pub(crate) type Event = crate::Event<String, u32>;
pub(crate) type Action = crate::Action<String>;
pub(crate) type Delivery = crate::Delivery<String>;

/// Mail of somebody.
pub(crate) const ORIGIN: Origin<u32> = Origin {
    owner: 7,
    unreturnable: false,
    sender: 1,
};

pub(crate) fn id(number: u64) -> QueueId {
    serde_json::from_str(&number.to_string()).unwrap()
}

pub(crate) fn destination(name: &str) -> Arc<String> {
    Arc::new(name.to_owned())
}

pub(crate) fn sent() -> Outcome {
    Outcome::Delivered(Delivered {
        relay: "mx".into(),
        reply: "250 2.0.0 Ok".into(),
        handover: Handover::Promised,
    })
}

pub(crate) fn unreachable() -> Outcome {
    let status = EnhancedStatus::new(4, 4, 1);
    Failure::new(Blame::Network, Stage::Connect, status, "Connection refused")
        .at("mx[192.0.2.1]:25")
        .outcome()
}

pub(crate) fn replied(stage: Stage, code: u16) -> Outcome {
    let (code, text) = (ReplyCode::new(code).unwrap(), format!("{code} text"));
    Failure::replied(stage, code, None, &text).outcome()
}

const START: Timestamp = Timestamp::from_secs(1_000_000_000);
const LIFETIME: Duration = Duration::from_hours(24);
const WARNING: Duration = Duration::from_hours(4);

fn settings(mode: Mode) -> Settings<u32> {
    let schedule = Schedule {
        lifetime: LIFETIME,
        ..Schedule::default()
    };
    Settings {
        schedule,
        back_off: match mode {
            Mode::Many => BackOff::of_many(&schedule),
            Mode::One => BackOff::of_one(&schedule),
        },
        warning: Some(WARNING),
        slots: match mode {
            Mode::Many => Slots::of_many(10, 4),
            Mode::One => Slots::of_one(4, 4),
        },
        first: Some(0),
    }
}

/// Whose queue it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// A smarthost's: many destinations.
    Many,
    /// An agent's: one relayhost that takes all mail.
    One,
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
    origin: Option<Origin<u32>>,
    destinations: Vec<usize>,
    ends: BTreeMap<u32, End>,
    flying: BTreeSet<u32>,
    /// What the last delivery said of it.
    last: HashMap<u32, Outcome>,
    bounced: BTreeSet<u32>,
    warned: bool,
    held: bool,
    ended: bool,
}

struct World {
    mode: Mode,
    queue: Queue,
    /// What the clock was set by, in all.
    began: Timestamp,
    /// When a delivery to each destination failed last.
    failed: HashMap<usize, Timestamp>,
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
    fn new(seed: u64, mode: Mode) -> Self {
        Self {
            mode,
            queue: Queue::new(settings(mode), seed),
            began: START,
            failed: HashMap::new(),
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

    /// 0 and 1 work, 2 is dead for 6 hours, 3 takes two connections, 4 refuses, 5 is dead.
    fn attempt(&mut self, to: usize) -> Outcome {
        match to {
            _ if self.mode == Mode::One => match self.now.since(self.began).as_secs() / 3600 {
                2..8 | 12..40 => unreachable(),
                _ if self.chance(10) => replied(Stage::Recipient, 450),
                _ if self.chance(5) => replied(Stage::Recipient, 550),
                _ => sent(),
            },
            2 if self.now.since(self.began) < Duration::from_hours(6) => unreachable(),
            3 if self.flying_to(3) > 2 => replied(Stage::Greeting, 421),
            4 => replied(Stage::Recipient, 550),
            5 => unreachable(),
            _ if self.chance(10) => replied(Stage::Recipient, 450),
            _ => sent(),
        }
    }

    fn flying_to(&self, to: usize) -> usize {
        let flights = self.flights.values();
        flights.filter(|flight| flight.0 == to).count()
    }

    fn index(&self, id: QueueId) -> u64 {
        *self
            .messages
            .keys()
            .find(|key| self::id(**key) == id)
            .expect("an action names a message that exists")
    }

    fn name(&self, to: usize) -> Arc<String> {
        match self.mode {
            Mode::Many => destination(&to.to_string()),
            Mode::One => destination("relay"),
        }
    }

    fn routed(&self, key: u64, recipients: &[u32]) -> Vec<Routed<String>> {
        let to = |recipient: &u32| Routed {
            recipient: *recipient,
            destination: Ok(self.name(self.messages[&key].destinations[*recipient as usize])),
            lifetime: None,
        };
        recipients.iter().map(to).collect()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Load { id, recipients } => {
                let key = self.index(id);
                let routed = self.routed(key, &recipients);
                let failure = Failure::ours("disk");
                let failed = self.chance(5);
                let event = if failed {
                    Event::LoadFailed {
                        id,
                        failure,
                        damaged: false,
                    }
                } else {
                    Event::Loaded {
                        id,
                        origin: self.messages[&key].origin.unwrap_or(ORIGIN),
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
            } => self.bounce(id, &failed, expired),
            Action::Suspended { until, .. } => assert!(until > self.now),
            Action::Resumed(_) | Action::Learned(_) | Action::TurnedAway { .. } => {}
            Action::Cut { .. } | Action::Ask { .. } => panic!("nobody is silent here, or asks"),
            Action::Dead { id, failed, .. } => {
                let key = self.index(id);
                let message = &self.messages[&key];
                assert!(message.held && message.origin.unwrap().unreturnable && !failed.is_empty());
            }
            Action::Warn { id, late, .. } => {
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

    fn bounce(&mut self, id: QueueId, failed: &[(u32, Failure)], expired: bool) {
        let now = self.now;
        let key = self.index(id);
        let message = self.messages.get_mut(&key).unwrap();
        assert!(
            !failed.is_empty() && message.bounced.is_empty(),
            "two bounces at once"
        );
        assert!(!message.origin.unwrap().unreturnable, "bounces twice");
        if expired {
            let old = |(recipient, _): &(u32, Failure)| {
                let to = message.destinations[*recipient as usize];
                let to = if self.mode == Mode::One { 0 } else { to };
                let failed = self.failed.get(&to).copied().unwrap_or_default();
                failed.since(message.arrival) >= LIFETIME
            };
            assert!(now.since(message.arrival) >= LIFETIME);
            assert!(failed.iter().any(old), "expired without an attempt");
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

    fn deliver(&mut self, delivery: Delivery) {
        self.attempts += 1;
        let key = self.index(delivery.id);
        let to = self.messages[&key].destinations[delivery.recipients[0] as usize];
        assert_eq!(delivery.destination, self.name(to));
        if self.mode == Mode::Many {
            let hosts = [Arc::from(format!("host{}", to / 2))];
            if !self.queue.admits(&delivery.destination, &hosts, self.now) {
                let ticket = delivery.ticket;
                self.later(50, Event::Withdrawn { ticket });
                self.flights.insert(ticket, (to, key, Vec::new()));
                return;
            }
        }
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
                let dead = message.origin.unwrap().unreturnable;
                assert!(!reason.is_empty() && (until > self.now || dead));
                assert!(until.since(self.now) <= settings(self.mode).schedule.maximal * 12 / 10);
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
            Recorded::Held => message.held = true,
            Recorded::Released | Recorded::Returned => message.held = false,
            Recorded::Repeated(_) | Recorded::Alone | Recorded::OverBudget | Recorded::Leaving => {
                panic!("the queue of a smarthost says nothing like that")
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if let Event::Finished { ticket, .. } | Event::Withdrawn { ticket } = &event {
            let (to, key, recipients) = self.flights.remove(ticket).unwrap();
            let message = self.messages.get_mut(&key).unwrap();
            message
                .flying
                .retain(|recipient| !recipients.contains(recipient));
            if let Event::Finished { outcomes, .. } = &event
                && !outcomes
                    .iter()
                    .all(|it| matches!(it, Outcome::Delivered(_)))
            {
                let to = if self.mode == Mode::One { 0 } else { to };
                self.failed.insert(to, self.now);
            }
        }
        self.queue.handle(event, self.now);
        while let Some(action) = self.queue.next_action() {
            self.act(action);
        }
    }

    fn submit(&mut self, destinations: Vec<usize>) {
        let key = u64::try_from(self.messages.len()).unwrap();
        let count = u32::try_from(destinations.len()).unwrap();
        let origin = Origin {
            owner: self.random.next() % 4,
            unreturnable: self.chance(15),
            sender: u64::from(self.random.next() % 6),
        };
        self.messages.insert(
            key,
            Message {
                arrival: self.now,
                origin: Some(origin),
                destinations,
                ..Message::default()
            },
        );
        let recipients: Vec<u32> = (0..count).collect();
        let event = if self.chance(50) {
            Event::Accepted {
                id: id(key),
                arrival: self.now,
                origin,
                recipients: self.routed(key, &recipients),
            }
        } else {
            let waiting = |recipient| Waiting {
                recipient,
                until: None,
            };
            let waiting = recipients.iter().copied().map(waiting).collect();
            Event::Recovered(Recovered {
                id: id(key),
                owner: ORIGIN.owner,
                arrival: self.now,
                held: false,
                returned: false,
                warned: false,
                kept: false,
                waiting,
            })
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
