//! What the agent promises of reports, with a table, a file and a queue that are simulated:
//! whatever comes is sent, or told in one digest, and nothing is told before it is durable.

use std::{collections::BTreeMap, time::Duration};

use mail::clock::Timestamp;
use proptest::prelude::*;
use spool::QueueId;

use super::{
    report::{Line, Report, Said},
    table::{Judged, Table},
};

const DAY: Duration = Duration::from_hours(24);

fn id(number: u64) -> QueueId {
    serde_json::from_value(number.into()).unwrap()
}

fn report(job: u8, text: u8, line: u128) -> Report {
    let said = Said {
        content: [text; 32],
        numbers: vec![Line {
            hash: line,
            length: 10,
        }],
    };
    Report {
        job: [job; 32],
        said: Some(said),
    }
}

/// When the agent dies that takes a report.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Crash {
    Never,
    Before,
    After,
}

#[derive(Clone, Debug)]
enum Step {
    Report {
        job: u8,
        text: u8,
        line: u128,
        crash: Crash,
    },
    /// The relay takes all that is on its way.
    Arrive,
    Digest {
        crash: bool,
    },
    Pass(u64),
    SetBack(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let crash =
        prop_oneof![8 => Just(Crash::Never), 1 => Just(Crash::Before), 1 => Just(Crash::After)];
    let step = prop_oneof![
        6 => (0u8..3, 0u8..2, 0u128..3, crash)
            .prop_map(|(job, text, line, crash)| Step::Report { job, text, line, crash }),
        5 => Just(Step::Arrive),
        2 => prop::bool::weighted(0.2).prop_map(|crash| Step::Digest { crash }),
        2 => (1u64..200_000).prop_map(Step::Pass),
        1 => (1u64..50_000_000).prop_map(Step::SetBack),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

/// The queue on disk, the table's file, and the recipient.
#[derive(Default)]
struct World {
    table: Table,
    file: Vec<u8>,
    held: BTreeMap<QueueId, Timestamp>,
    sent: Vec<QueueId>,
    told: Vec<QueueId>,
    /// Full copies that the relay has not taken yet.
    on_its_way: Vec<QueueId>,
}

impl World {
    fn write(&mut self) {
        self.file = serde_json::to_vec(&self.table).unwrap();
    }

    fn restart(&mut self) {
        self.table = serde_json::from_slice(&self.file).unwrap_or_default();
        let held: Vec<_> = self.held.iter().map(|(id, at)| (*id, *at)).collect();
        for unknown in self.table.found(&held) {
            self.held.remove(&unknown);
            self.sent.push(unknown);
        }
    }

    /// Whether it was promised.
    fn report(&mut self, id: QueueId, report: &Report, now: Timestamp, crash: Crash) -> bool {
        let whose = (id, 0, report.job[0].into());
        let judged = self.table.judge(whose, report, now);
        let waits = matches!(judged, Judged::Waits(_));
        if judged == Judged::New {
            self.table.forget(&report.job);
        }
        self.write();
        if crash == Crash::Before {
            self.restart();
            return false;
        }
        // Another thread looks meanwhile.
        self.digest(now, false);
        if waits {
            self.held.insert(id, now);
        } else {
            self.sent.push(id);
        }
        if crash == Crash::After {
            self.restart();
        } else if waits {
            self.table.arrived(id, now);
        } else if judged == Judged::New {
            let said = report.said.as_ref().unwrap();
            self.table.remember((id, 0), report.job, said, now);
            self.write();
            self.on_its_way.push(id);
        }
        true
    }

    fn digest(&mut self, now: Timestamp, crash: bool) {
        while let Some(due) = self.table.due(DAY, now) {
            let ids: Vec<_> = due.iter().map(|it| it.id).collect();
            assert!(
                ids.iter().all(|id| self.held.contains_key(id)),
                "told before it is durable"
            );
            self.told.extend(&ids);
            if crash {
                return self.restart();
            }
            self.held.retain(|id, _| !ids.contains(id));
            self.table.ended(&ids);
            self.write();
        }
    }
}

proptest! {
    /// Whatever comes is sent or told; twice only where the agent died in between.
    #[test]
    fn whatever_comes_is_sent_or_told_in_one_digest_whatever_crashes_and_whatever_the_clock_does(steps in steps()) {
        let mut world = World::default();
        let mut now = Timestamp::from_secs(150_000_000);
        let (mut taken, mut crashes) = (Vec::new(), 0);
        for (number, step) in (1u64..).zip(&steps) {
            match *step {
                Step::Report { job, text, line, crash } => {
                    let report = report(job, text, line);
                    if world.report(id(number), &report, now, crash) {
                        taken.push(id(number));
                    }
                }
                Step::Arrive => {
                    for id in std::mem::take(&mut world.on_its_way) {
                        world.table.left(id, true);
                        world.write();
                    }
                }
                Step::Digest { crash } => {
                    crashes += usize::from(crash);
                    world.digest(now, crash);
                }
                Step::Pass(seconds) => now = now.after(Duration::from_secs(seconds)),
                Step::SetBack(seconds) => now = now.before(Duration::from_secs(seconds)),
                Step::Restart => world.restart(),
            }
        }
        // However the clock was set, two more days end it.
        world.digest(now, false);
        world.digest(now.after(DAY * 2), false);
        prop_assert!(world.held.is_empty());
        for id in taken {
            let sent = world.sent.iter().filter(|it| **it == id).count();
            let told = world.told.iter().filter(|it| **it == id).count();
            prop_assert!(sent + told >= 1, "{id} is lost");
            prop_assert!(sent <= 1 && sent + told <= 1 + crashes, "{id}: {sent} {told}");
        }
    }
}
