//! A virtual clock: the relayhost is away for six days, and queue and outage do what
//! deliveries let them do.

use std::{collections::HashMap, time::Duration};

use mail::{
    address::Address,
    clock::Timestamp,
    envelope::Envelope,
    outcome::{Blame, Delivery as Delivered, Failure, Handover, Outcome, Stage},
    status::EnhancedStatus,
};
use queue::{BackOff, Origin, Slots, retry::Schedule};
use spool::QueueId;

use super::{
    dispatch::{Action, Delivery, Event, Queue, routed},
    outage::Outages,
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

/// That of a user's message.
pub(super) fn envelope(uid: u32, recipients: &[&str]) -> Envelope {
    let recipients = recipients.iter().map(|text| Address::parse(text).unwrap());
    Envelope {
        uid: Some(uid),
        recipients: recipients.map(Into::into).collect(),
        ..Envelope::default()
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000_000 + seconds)
}

/// A message that somebody has sent.
struct Mail {
    number: u64,
    null_sender: bool,
}

struct Simulation {
    queue: Queue,
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

impl Simulation {
    fn arrive(&mut self, null_sender: bool) {
        let number = self.mails.len() as u64 + 1;
        let id = serde_json::from_value(number.into()).unwrap();
        let mail = Mail {
            number,
            null_sender,
        };
        self.mails.insert(id, mail);
        self.tell(Event::Accepted {
            id,
            arrival: at(self.now),
            origin: Origin {
                owner: u32::try_from(number % USERS).unwrap(),
                unreturnable: null_sender,
                sender: number % 5,
            },
            recipients: vec![routed(0)],
        });
    }

    fn tell(&mut self, event: Event) {
        self.queue.handle(event, at(self.now));
        while let Some(action) = self.queue.next_action() {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(delivery) => self.attempt(&delivery),
            Action::Bounce {
                id,
                failed,
                expired,
            } => {
                let mail = &self.mails[&id];
                assert!(expired && !mail.null_sender);
                assert!(failed[0].1.text.contains("refused"), "{failed:?}");
                self.bounced.push(mail.number);
                self.arrive(true);
                self.tell(Event::Bounced { id });
            }
            Action::Dead { .. } => self.dead += 1,
            Action::Record { .. }
            | Action::Ended { .. }
            | Action::Suspended { .. }
            | Action::TurnedAway { .. }
            | Action::Resumed(_)
            | Action::Learned(_) => {}
            Action::Load { .. } | Action::Warn { .. } | Action::Cut { .. } | Action::Ask { .. } => {
                panic!("{action:?}")
            }
        }
    }

    fn attempt(&mut self, delivery: &Delivery) {
        let ticket = delivery.ticket;
        if self.now >= BACK {
            self.outages.ended();
            self.sent.push(self.mails[&delivery.id].number);
            let sent = Outcome::Delivered(Delivered {
                relay: "r".into(),
                reply: "250 Ok".into(),
                handover: Handover::Promised,
            });
            let outcomes = vec![sent];
            return self.tell(Event::Finished { ticket, outcomes });
        }
        self.probes += 1;
        self.outages.goes_on("refused", true, at(self.now)).unwrap();
        if self.outages.to_tell(PATIENCE, at(self.now)).is_some() {
            self.outages.told().unwrap();
            self.warnings.push(self.now);
        }
        let status = EnhancedStatus::new(4, 4, 1);
        let failure = Failure::new(Blame::Network, Stage::Connect, status, "refused");
        self.tell(Event::Unreached { ticket, failure });
    }
}

/// A message comes every hour. Few probes, one warning, each message is returned at its age; what
/// is left, the bounces too, goes when the relayhost is back, root's first.
#[test]
fn in_a_week_without_relayhost_it_is_probed_sparingly_root_is_told_once_and_each_message_is_sent_or_returned_once()
 {
    let spool = tempfile::tempdir().unwrap();
    let settings = queue::Settings {
        schedule: RETRY,
        back_off: BackOff::of_one(&RETRY),
        warning: Some(PATIENCE),
        slots: Slots::of_one(4, 4),
        first: Some(0),
    };
    let mut simulation = Simulation {
        queue: Queue::new(settings, 7),
        outages: Outages::open(spool.path(), "outage"),
        now: 0,
        mails: HashMap::new(),
        probes: 0,
        warnings: Vec::new(),
        sent: Vec::new(),
        bounced: Vec::new(),
        dead: 0,
    };
    let (mut came, mut arrivals) = (0, Vec::new());
    while simulation.now < END {
        while simulation.now >= came * HOUR {
            arrivals.push(simulation.mails.len() as u64 + 1);
            simulation.arrive(false);
            came += 1;
        }
        simulation.tell(Event::TimedOut);
        let deadline = simulation.queue.deadline();
        let wake = deadline.map_or(u64::MAX, |due| due.as_millis().div_ceil(1000));
        let wake = wake.saturating_sub(1_000_000_000);
        simulation.now = wake.max(simulation.now + 1).min(came * HOUR);
    }

    assert!(
        (1700..3600).contains(&simulation.probes),
        "{} probes",
        simulation.probes
    );
    assert_eq!(simulation.warnings.len(), 1, "{:?}", simulation.warnings);
    assert!((4 * HOUR..5 * HOUR).contains(&simulation.warnings[0]));
    // Those that were more than five days old when the relayhost was back, in their order; their
    // bounces were young enough.
    assert_eq!(simulation.bounced, arrivals[..24]);
    assert_eq!(simulation.dead, 0);
    let mut sent = simulation.sent.clone();
    sent.sort_unstable();
    let expected =
        (1..=simulation.mails.len() as u64).filter(|number| !simulation.bounced.contains(number));
    assert_eq!(sent, expected.collect::<Vec<_>>(), "each once");
    assert_eq!(simulation.sent[0] % USERS, 0, "root's is the first");
    assert_eq!(simulation.outages.reason(), None, "the outage is over");
}
