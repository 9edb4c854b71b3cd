//! What happens to a world: mail, faults and orders, all drawn from one seed and written down, so
//! that less of it can be tried again.

use std::collections::BTreeMap;

use spool::simulation::Luck;

use crate::{
    client::Submission,
    dice::Dice,
    model::HOUR,
    network::{ConnId, Micros, Owner, SECOND, Side, Weather},
    peer::{MOODS, Mood},
    trouble::{Ill, Trouble},
};

/// Machines with an agent.
pub(crate) const MACHINES: usize = 2;
/// Nothing goes wrong any more from then on.
pub(crate) const PEACE: Micros = 48 * HOUR;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Hold,
    Release,
    Flush,
    FlushAll,
    Return,
    Remove,
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// At once, or (`unheard`) when the next step is done and what it sends has not left.
    Crash {
        who: Owner,
        luck: Luck,
        unheard: bool,
        down: Micros,
    },
    Stop {
        who: Owner,
        down: Micros,
    },
    Disk {
        who: Owner,
        trouble: Trouble,
    },
    /// By so many milliseconds.
    Clock {
        who: Owner,
        by: i64,
    },
    Peer {
        peer: usize,
        mood: Mood,
        long: Micros,
    },
    Names {
        long: Micros,
    },
    Order {
        who: Owner,
        order: Order,
        pick: usize,
    },
    Reload {
        limit: u32,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) submissions: Vec<Submission>,
    pub(crate) faults: Vec<(Micros, Fault)>,
    pub(crate) weather: BTreeMap<ConnId, Weather>,
}

impl Scenario {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9) ^ 0x5eed);
        let count = 1 + dice.below(12);
        let burst = dice.below(30 * HOUR);
        let submissions =
            (1..=count).map(|token| submission(u32::try_from(token).unwrap(), burst, &mut dice));
        let submissions: Vec<_> = submissions.collect();
        let mut faults = Vec::new();
        for _ in 0..dice.below(14) {
            let (at, fault) = (at(burst, &mut dice), fault(&mut dice));
            if let Fault::Crash { who, down, .. } | Fault::Stop { who, down } = fault
                && dice.chance(40)
            {
                // The disk that took the program down is not well yet when it is back.
                let trouble = failing(&mut dice);
                faults.push((at + down + SECOND, Fault::Disk { who, trouble }));
            }
            if let Fault::Disk { who, .. } = fault
                && dice.chance(40)
            {
                // What was not written then must be known to the next start all the same.
                let (later, down) = (at + dice.below(HOUR), SECOND);
                faults.push((later, Fault::Stop { who, down }));
            }
            faults.push((at, fault));
        }
        faults.sort_by_key(|(at, _)| *at);
        let weather = (0..dice.below(12)).map(|_| weather(&mut dice)).collect();
        Self {
            seed,
            submissions,
            faults,
            weather,
        }
    }
}

/// About the time of the burst, or any.
fn at(burst: Micros, dice: &mut Dice) -> Micros {
    if dice.chance(60) {
        let span = dice.pick(&[SECOND / 5, SECOND, 60 * SECOND, HOUR, 8 * HOUR]);
        burst + dice.below(span)
    } else {
        dice.below(PEACE)
    }
}

fn submission(token: u32, burst: Micros, dice: &mut Dice) -> Submission {
    let machine = dice.index(MACHINES + 2);
    let (to, from, home) = if machine < MACHINES {
        (
            Owner::Agent(machine),
            [127, 0, 0, 1],
            format!("m{machine}.example"),
        )
    } else {
        (
            Owner::Relay,
            [10, 0, 2, u8::try_from(machine).unwrap()],
            "home.example".to_owned(),
        )
    };
    let recipients = (0..=dice.below(3)).map(|number| {
        let kind = dice.pick(&["ok", "ok", "ok", "ok", "later", "no"]);
        let domain = dice.pick(&["a", "a", "b", "b", "c", "c", "dead", "none"]);
        format!("{kind}-t{token}-{number}@{domain}.example")
    });
    let recipients = recipients.collect();
    let mut body = Vec::new();
    let lines = dice.pick(&[0, 1, 3, 10, 60]);
    for _ in 0..lines {
        let line = dice.pick(&[
            "",
            ".",
            "..",
            ".hidden",
            "From me",
            "plain text",
            "=?x?=",
            "\t tab ",
            "x.",
            "-- ",
        ]);
        body.extend_from_slice(line.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("body of {token}\r\n").as_bytes());
    if dice.chance(3) {
        // Larger than what is kept in a record.
        let line = [b"x".repeat(900), b"\r\n".to_vec()].concat();
        body.splice(0..0, line.repeat(300));
    }
    Submission {
        token,
        at: at(burst, dice).min(40 * HOUR),
        to,
        from: from.into(),
        sender: if dice.chance(8) {
            String::new()
        } else {
            format!("sender-t{token}@{home}")
        },
        recipients,
        body,
    }
}

fn fault(dice: &mut Dice) -> Fault {
    let who = match dice.index(MACHINES + 2) {
        machine if machine < MACHINES => Owner::Agent(machine),
        _ => Owner::Relay,
    };
    let down = dice.pick(&[SECOND, 30 * SECOND, HOUR, 10 * HOUR]);
    let long = dice.pick(&[60 * SECOND, HOUR, 5 * HOUR, 30 * HOUR]);
    match dice.below(12) {
        0 | 1 => Fault::Crash {
            who,
            luck: match dice.below(3) {
                0 => Luck::Everything,
                1 => Luck::Nothing,
                _ => Luck::Some(dice.number()),
            },
            unheard: dice.chance(50),
            down,
        },
        2 => Fault::Disk {
            who,
            trouble: Trouble {
                cut: Some(dice.index(40)),
                ..Trouble::default()
            },
        },
        3 => Fault::Disk {
            who,
            trouble: failing(dice),
        },
        4 => {
            let by = i64::try_from(dice.below(4_000_000_000)).unwrap();
            let by = if dice.chance(50) { by } else { -by };
            Fault::Clock { who, by }
        }
        5..=7 => Fault::Peer {
            peer: dice.index(4),
            mood: dice.pick(&MOODS),
            long,
        },
        8 => Fault::Names { long },
        9 | 10 => Fault::Order {
            who,
            order: dice.pick(&[
                Order::Hold,
                Order::Release,
                Order::Flush,
                Order::FlushAll,
                Order::Return,
                Order::Remove,
            ]),
            pick: dice.index(100),
        },
        _ => match dice.below(2) {
            0 => Fault::Reload {
                limit: 3 + u32::try_from(dice.below(10)).unwrap(),
            },
            _ => Fault::Stop { who, down },
        },
    }
}

fn failing(dice: &mut Dice) -> Trouble {
    Trouble {
        failing: 1 + dice.index(12),
        how: dice.pick(&[
            Ill::Broken,
            Ill::Full,
            Ill::Unsynced,
            Ill::Unsynced,
            Ill::Short,
        ]),
        ..Trouble::default()
    }
}

fn weather(dice: &mut Dice) -> (ConnId, Weather) {
    let by = dice.pick(&[Side::Dialler, Side::Listener]);
    let after = dice.below(1500);
    let weather = match dice.below(5) {
        0 | 1 => Weather::Cut {
            by,
            after,
            silent: dice.chance(50),
        },
        2 => Weather::Half { by, after },
        3 => Weather::Slow(dice.pick(&[SECOND, 20 * SECOND, 100 * SECOND])),
        _ => Weather::Pieces(1 + dice.index(50)),
    };
    (1 + u32::try_from(dice.below(40)).unwrap(), weather)
}
