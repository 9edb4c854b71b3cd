//! Days of a busy relay: thousands of destinations, some with hosts in common, of which some are
//! dead for hours or for good, slow, refuse, or take few connections; one client floods, others
//! send little, strangers ask for recipients. What must hold for every seed: what peers see at
//! once, whose turn it is, how long mail is tried, and that all of it is accounted for.
//!
//! `QUEUE_SEEDS=5000` lives more days than CI does, `QUEUE_FIRST=123456` other ones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use mail::{
    clock::Timestamp,
    outcome::{Failure, Outcome, Stage},
    status::ReplyCode,
};
use spool::{Event as Recorded, QueueId, Settlement};

mod oracle;
mod providers;
mod questions;
mod silent;

use self::{
    providers::{Kind, Provider, providers},
    questions::{Asking, Questions},
    silent::Silences,
};
use super::{Action, Delivery, Event, Queue, id, replied, sent, unreachable};
use crate::{
    BackOff, Origin, Routed, Settings, Slots, Transports, random::Random, retry::Schedule,
    settings::BESIDE,
};

const START: Timestamp = Timestamp::from_secs(1_000_000_000);
/// Of the seeds each takes one.
const TURNS: u64 = 4;
const TOTAL: usize = 40;
/// Deliveries at once to one destination.
const EACH: usize = 8;
const LIFETIME: Duration = Duration::from_hours(24);
/// Of mail for domains that we keep longer.
const KEPT: Duration = Duration::from_hours(48);
/// Of mail that comes within the first hours.
const COMES: u32 = 6 * 60 * 60;
/// The client that floods.
const FLOOD: u32 = 1;
/// What somebody else's mail to a destination that works may have to wait for its first attempt.
const TURN: Duration = Duration::from_secs(45);
/// The same, where hosts fall silent at other messages.
const SILENT_TURN: Duration = Duration::from_mins(2);

#[derive(Debug)]
struct Message {
    owner: u32,
    arrival: Timestamp,
    /// The provider of each recipient.
    recipients: Vec<usize>,
    /// Whether each was delivered.
    ends: Vec<Option<bool>>,
    began: bool,
}

struct Flight {
    provider: usize,
    recipients: usize,
    connected: bool,
}

enum Coming {
    Mail(usize),
    News(Event),
    Question(Asking),
}

struct Day {
    queue: Queue,
    now: Timestamp,
    random: Random,
    providers: Vec<Provider>,
    /// The provider of each destination.
    destinations: Arc<Vec<usize>>,
    messages: Vec<Message>,
    flights: HashMap<u64, Flight>,
    silences: Silences,
    questions: Questions,
    coming: BTreeMap<(Timestamp, u64), Coming>,
    serial: u64,
}

fn schedule() -> Schedule {
    Schedule {
        minimal: Duration::from_mins(10),
        maximal: Duration::from_hours(4),
        lifetime: LIFETIME,
    }
}

fn number(id: QueueId) -> usize {
    serde_json::to_string(&id).unwrap().parse().unwrap()
}

impl Day {
    fn new(seed: u64, destinations: usize) -> Self {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xdead_beef);
        let slots = Slots::of_many(TOTAL, EACH);
        let slots = if seed.is_multiple_of(2) {
            slots.strict()
        } else {
            slots
        };
        let (providers, of) = providers(&mut random, destinations, &slots);
        let mut queue = Queue::new(
            Settings {
                schedule: schedule(),
                back_off: BackOff::of_many(&schedule()),
                warning: None,
                slots,
                first: None,
            },
            seed,
        );
        let of = Arc::new(of);
        let (places, by) = (Arc::clone(&of), providers.iter());
        let by: Vec<_> = by.map(|it| Arc::clone(&it.transport)).collect();
        let rule = move |name: &String| {
            let at: usize = name.parse().unwrap();
            Arc::clone(&by[places[at]])
        };
        queue.set_transports(Transports::new(rule), START);
        Self {
            queue,
            now: START,
            random,
            providers,
            destinations: of,
            messages: Vec::new(),
            flights: HashMap::new(),
            silences: Silences::default(),
            questions: Questions::default(),
            coming: BTreeMap::new(),
            serial: 0,
        }
    }

    fn below(&mut self, most: usize) -> usize {
        self.random.next() as usize % most
    }

    fn later(&mut self, after: Duration, coming: Coming) {
        self.serial += 1;
        let at = self.now.after(after);
        self.coming.insert((at, self.serial), coming);
    }

    fn expect(&mut self, count: usize) {
        for message in 0..count {
            let at = match message % 3 {
                // The flood comes at once, and meanwhile some mail of others.
                0 | 1 => self.random.next() % 10,
                _ if message % 10 == 2 => self.random.next() % 100,
                _ => self.random.next() % COMES,
            };
            self.later(Duration::from_secs(at.into()), Coming::Mail(message));
            let owner = match message % 3 {
                0 | 1 => FLOOD,
                _ => FLOOD + 1 + self.random.next() % 20,
            };
            let recipients = if owner == FLOOD { 1 + self.below(3) } else { 1 };
            let all = self.destinations.len();
            let recipients: Vec<_> = (0..recipients).map(|_| self.below(all)).collect();
            self.messages.push(Message {
                owner,
                arrival: START,
                ends: vec![None; recipients.len()],
                recipients,
                began: false,
            });
        }
    }

    fn routed(&self, message: usize, recipients: impl Iterator<Item = u32>) -> Vec<Routed<String>> {
        let to = |recipient: u32| {
            let at = self.messages[message].recipients[recipient as usize];
            let kept = self.providers[self.destinations[at]].kept;
            Routed {
                recipient,
                destination: Ok(Arc::new(at.to_string())),
                lifetime: kept.then_some(KEPT),
            }
        };
        recipients.map(to).collect()
    }

    fn origin(&self, message: usize) -> Origin<u32> {
        Origin {
            owner: self.messages[message].owner,
            unreturnable: false,
            sender: u64::try_from(message % 7).unwrap(),
        }
    }

    fn mail(&mut self, message: usize) {
        self.messages[message].arrival = self.now;
        let count = u32::try_from(self.messages[message].recipients.len()).unwrap();
        self.tell(Event::Accepted {
            id: id(message as u64),
            arrival: self.now,
            origin: self.origin(message),
            recipients: self.routed(message, 0..count),
        });
    }

    fn tell(&mut self, event: Event) {
        if !self.takes_note(&event) {
            return;
        }
        if let Event::Finished { ticket, .. } | Event::Withdrawn { ticket } = &event {
            let flight = self.flights.remove(ticket).unwrap();
            let provider = &mut self.providers[flight.provider];
            if flight.connected {
                provider.open -= 1;
                provider.ended = Some(self.now);
            }
        }
        self.queue.handle(event, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.queue.next_action() {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(delivery) => self.deliver(delivery),
            Action::Load { id, recipients } => {
                let message = number(id);
                let loaded = Event::Loaded {
                    id,
                    origin: self.origin(message),
                    recipients: self.routed(message, recipients.into_iter()),
                };
                self.later(Duration::from_millis(5), Coming::News(loaded));
            }
            Action::Record { id, event } => self.record(number(id), &event),
            Action::Bounce {
                id,
                failed,
                expired,
            } => {
                self.bounce(number(id), &failed, expired);
                self.later(
                    Duration::from_millis(5),
                    Coming::News(Event::Bounced { id }),
                );
            }
            Action::Ended { id, .. } => {
                let message = &self.messages[number(id)];
                assert!(message.ends.iter().all(Option::is_some), "{message:?}");
            }
            Action::Learned(lesson) => {
                let hosts = self.providers.iter();
                let taught = hosts.filter(|it| it.hosts[..] == lesson.hosts[..]);
                assert!(taught.clone().all(|it| matches!(it.kind, Kind::Takes(_))));
                assert_eq!(taught.count(), 1);
            }
            Action::Suspended {
                destination, until, ..
            } => {
                assert!(until > self.now);
                let at: usize = destination.parse().unwrap();
                self.providers[self.destinations[at]].suspended = true;
            }
            Action::Resumed(_) | Action::TurnedAway { .. } => {}
            Action::Cut { ticket } => self.cut(ticket),
            Action::Ask { ticket } => self.may_ask(ticket),
            Action::Dead { .. } | Action::Warn { .. } => panic!("nothing of that kind is due"),
        }
    }

    fn record(&mut self, message: usize, event: &Recorded) {
        let now = self.now;
        let message = &mut self.messages[message];
        if let Recorded::Settled {
            recipient,
            settlement,
        } = event
        {
            let end = &mut message.ends[*recipient as usize];
            assert_eq!(*end, None, "ends twice");
            *end = Some(*settlement == Settlement::Delivered);
        }
        if let Recorded::Deferred { until, .. } = event {
            assert!(*until > now && until.since(now) <= schedule().maximal * 12 / 10);
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let message = number(delivery.id);
        let at: usize = delivery.destination.parse().unwrap();
        let number = self.destinations[at];
        let provider = &self.providers[number];
        assert!(delivery.recipients.len() <= provider.transport.recipients);
        let hosts = provider.hosts.clone();
        let goes = self
            .queue
            .shares(delivery.ticket, &delivery.destination, &hosts, self.now)
            && self.queue.admits(&delivery.destination, &hosts, self.now);
        let ticket = delivery.ticket;
        self.flights.insert(
            ticket,
            Flight {
                provider: number,
                recipients: delivery.recipients.len(),
                connected: goes,
            },
        );
        // Those whose peer is silent keep no place among all.
        let silent = self.silences.aside.len();
        assert!(self.flights.len() - silent <= TOTAL, "too many deliveries");
        assert!(silent <= BESIDE * TOTAL, "too many silent ones");
        if !goes {
            let back = Coming::News(Event::Withdrawn { ticket });
            return self.later(Duration::from_millis(1), back);
        }
        self.sees(number);
        self.has_its_turn(message);
        let (took, outcome) = match self.met(number, message) {
            Some(met) => {
                let named = self.providers[number].named;
                self.falls_silent(&delivery, &met, named)
            }
            None => self.answer(number),
        };
        let outcomes = vec![outcome; delivery.recipients.len()];
        self.later(took, Coming::News(Event::Finished { ticket, outcomes }));
    }

    /// How long the hosts take, and what they say then.
    fn answer(&mut self, number: usize) -> (Duration, Outcome) {
        let soon = Duration::from_millis(50 + u64::from(self.random.next() % 2000));
        let since = self.now.since(START);
        let provider = &mut self.providers[number];
        match provider.kind {
            Kind::Slow => (Duration::from_secs(30), sent()),
            Kind::Away(until) if since >= until => (soon, sent()),
            Kind::Away(_) | Kind::Dead => (Duration::from_secs(10), unreachable()),
            Kind::Refuses => (soon, replied(Stage::Recipient, 550)),
            Kind::Takes(most) if provider.open > most => {
                provider.too_many += 1;
                let code = ReplyCode::new(421).unwrap();
                let text = "421 4.7.0 Too many connections";
                let failure = Failure::replied(Stage::Greeting, code, None, text);
                (Duration::from_millis(50), failure.outcome())
            }
            Kind::Works | Kind::Takes(_) => (soon, sent()),
        }
    }

    /// Goes to the next thing that happens; `false`: nothing will.
    fn step(&mut self) -> bool {
        let coming = self.coming.keys().next().map(|(at, _)| *at);
        let due = self.queue.deadline().map(|due| due.max(self.now));
        let Some(next) = [coming, due].into_iter().flatten().min() else {
            return false;
        };
        self.now = next;
        if coming != Some(next) {
            self.tell(Event::TimedOut);
            let due = self.queue.deadline();
            assert!(due.is_none_or(|due| due > self.now), "the clock stands");
        } else if let Some((_, coming)) = self.coming.pop_first() {
            match coming {
                Coming::Mail(message) => self.mail(message),
                Coming::News(event) => self.tell(event),
                Coming::Question(asking) => self.question(asking),
            }
        }
        true
    }
}

fn live(seed: u64) {
    let (destinations, messages) = match seed % 100 {
        0 => (3000, 1000),
        _ => (300, 120),
    };
    let mut day = Day::new(seed, destinations);
    day.expect(messages);
    day.expect_questions(messages);
    let mut steps = 0u32;
    while day.step() {
        steps += 1;
        assert!(steps < 100_000, "it never ends");
    }
    day.balance();
}

/// Those of the seeds whose turn it is.
#[expect(
    clippy::disallowed_methods,
    reason = "how many, and which, is for who runs it to say"
)]
fn live_each(turn: u64) {
    let number = |name: &str, default| {
        let set = std::env::var(name).ok();
        set.map_or(default, |text| text.parse().unwrap())
    };
    let (first, seeds) = (number("QUEUE_FIRST", 0), number("QUEUE_SEEDS", 200));
    for seed in (first..first + seeds).filter(|seed| seed % TURNS == turn) {
        let lived = std::panic::catch_unwind(|| live(seed));
        lived.unwrap_or_else(|_| panic!("seed {seed}"));
    }
}

/// Several tests, for several processors.
mod thousands_of_destinations_get_their_mail_in_turn_in_time_and_never_over_too_many_connections {
    #[test]
    fn by_strict_limits() {
        super::live_each(0);
    }

    #[test]
    fn by_limits_that_others_give_back() {
        super::live_each(1);
    }

    #[test]
    fn by_strict_limits_in_other_worlds() {
        super::live_each(2);
    }

    #[test]
    fn by_limits_that_others_give_back_in_other_worlds() {
        super::live_each(3);
    }
}
