//! A week with a virtual clock: the relayhost is away for six days, and scheduler, settlement and outage do what delivery and worker let them do.

use std::{collections::HashMap, time::Duration};

use mail::{
    address::{Address, Sender},
    clock::Timestamp,
    envelope::Envelope,
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use queue::retry::Schedule;
use spool::QueueId;

use super::{
    outage::Outages,
    schedule::{Action, Attempt, Event, Scheduler},
    settle::{Tried, settle},
};

const RETRY: Schedule = Schedule {
    minimal: Duration::from_mins(1),
    maximal: Duration::from_hours(1),
    lifetime: Duration::from_hours(120),
};
const PATIENCE: Duration = Duration::from_hours(4);
const HOUR: u64 = 3600;
const BACK: u64 = 6 * 24 * HOUR;
const END: u64 = 7 * 24 * HOUR;
/// Users, root among them.
const USERS: u64 = 3;
/// Jitter of exactly nothing.
const NO_JITTER: u32 = 2000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000_000 + seconds)
}

/// A message that somebody has sent.
struct Mail {
    number: u64,
    arrival: u64,
    sender: Sender,
}

struct Week {
    scheduler: Scheduler,
    outages: Outages,
    now: u64,
    mails: HashMap<QueueId, Mail>,
    probes: u32,
    /// When root was told of the outage.
    warnings: Vec<u64>,
    /// Numbers in the order in which they left.
    sent: Vec<u64>,
    /// Whose bounce is in the queue.
    bounced: Vec<u64>,
    /// Bounces that could not be delivered in time.
    dead: u32,
}

impl Week {
    fn arrive(&mut self, sender: Sender) {
        let number = self.mails.len() as u64 + 1;
        let id = serde_json::from_value(number.into()).unwrap();
        let mail = Mail {
            number,
            arrival: self.now,
            sender,
        };
        self.mails.insert(id, mail);
        let event = Event::Arrived {
            id,
            user: u32::try_from(number % USERS).unwrap(),
            arrival: at(self.now),
            due: at(self.now),
            held: false,
        };
        self.scheduler.handle(event, at(self.now), NO_JITTER);
    }

    fn act(&mut self, action: Action) {
        let (id, attempt) = match action {
            Action::Deliver(id) if self.now < BACK => (id, self.unreached()),
            Action::Deliver(id) => {
                self.outages.ended();
                self.sent.push(self.mails[&id].number);
                (id, Attempt::Done)
            }
            Action::Expire(id) => (id, self.expire(id)),
            Action::Bounce(_) => panic!("no administrator is there"),
        };
        let event = Event::Finished { id, attempt };
        self.scheduler.handle(event, at(self.now), NO_JITTER);
    }

    fn unreached(&mut self) -> Attempt {
        self.probes += 1;
        self.outages.goes_on("refused", at(self.now)).unwrap();
        if self.outages.to_tell(PATIENCE, at(self.now)).is_some() {
            self.outages.told().unwrap();
            self.warnings.push(self.now);
        }
        Attempt::Unreached
    }

    fn expire(&mut self, id: QueueId) -> Attempt {
        let mail = &self.mails[&id];
        let (number, arrival) = (mail.number, mail.arrival);
        let envelope = Envelope {
            sender: mail.sender.clone(),
            recipients: vec![Address::parse("b@example.org").unwrap().into()],
            ..Envelope::default()
        };
        let failure = Failure::new(
            Blame::Network,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 1),
            "refused",
        );
        let tried = Tried {
            envelope: &envelope,
            arrival: at(arrival),
            recipients: &[0],
            outcomes: &[Outcome::Deferred(failure)],
            late: false,
        };
        let settlement = settle(&tried, &RETRY, at(self.now), NO_JITTER);
        assert!(settlement.expired, "{settlement:?}");
        if envelope.sender == Sender::Null {
            assert_eq!(
                (settlement.attempt, settlement.failed.len()),
                (Attempt::Held, 0)
            );
            self.dead += 1;
        } else {
            assert_eq!(
                (settlement.attempt, settlement.failed.len()),
                (Attempt::Done, 1)
            );
            self.bounced.push(number);
            self.arrive(Sender::Null);
        }
        settlement.attempt
    }
}

/// A message comes every hour. Few probes, one warning, each message is returned at its age; what is left, the bounces too, goes when the relayhost
/// is back, root's first.
#[test]
fn in_a_week_without_relayhost_it_is_probed_sparingly_root_is_told_once_and_each_message_is_sent_or_returned_once()
 {
    let spool = tempfile::tempdir().unwrap();
    let mut week = Week {
        scheduler: Scheduler::new(RETRY, 4),
        outages: Outages::open(spool.path()),
        now: 0,
        mails: HashMap::new(),
        probes: 0,
        warnings: Vec::new(),
        sent: Vec::new(),
        bounced: Vec::new(),
        dead: 0,
    };
    let (mut came, mut arrivals) = (0, Vec::new());
    while week.now < END {
        while week.now >= came * HOUR {
            let somebody = Address::parse("a@example.org").unwrap();
            arrivals.push(week.mails.len() as u64 + 1);
            week.arrive(Sender::Address(somebody));
            came += 1;
        }
        while let Some(action) = week.scheduler.next_action(at(week.now)) {
            week.act(action);
        }
        let deadline = week.scheduler.deadline();
        let wake = deadline.map_or(u64::MAX, |due| due.as_secs() - 1_000_000_000);
        week.now = wake.max(week.now + 1).min(came * HOUR);
    }

    assert!(
        (1700..3600).contains(&week.probes),
        "{} probes",
        week.probes
    );
    assert_eq!(week.warnings.len(), 1, "{:?}", week.warnings);
    assert!((4 * HOUR..5 * HOUR).contains(&week.warnings[0]));
    // Those that were more than five days old when the relayhost was back, in their order; their bounces were young enough.
    assert_eq!(week.bounced, arrivals[..24]);
    assert_eq!(week.dead, 0);
    let mut sent = week.sent.clone();
    sent.sort_unstable();
    let expected = (1..=week.mails.len() as u64).filter(|number| !week.bounced.contains(number));
    assert_eq!(sent, expected.collect::<Vec<_>>(), "each once");
    assert_eq!(week.sent[0] % USERS, 0, "root's is the first");
    assert_eq!(week.outages.reason(), None, "the outage is over");
}
