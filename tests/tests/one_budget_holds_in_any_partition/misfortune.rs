//! What happens to the site, step by step.

use std::{fmt::Write as _, time::Duration};

use rustix::process::Signal;
use spool::simulation::Random;
use tests::store::Passing;

use crate::site::{NODES, Site};

/// A day of the store's clock, seconds.
const DAY: i64 = 86_400;
/// How far a server's clock is from the truth, at most. A server that restarts knows by its own
/// clock and the store's how long it was away: set by a window, its clock would forget a window.
const HOURS: i64 = 10 * 3600;

fn below(dice: &mut Random, end: usize) -> usize {
    usize::try_from(dice.next() % end as u64).unwrap()
}

/// From -`most` to `most`.
fn around(dice: &mut Random, most: i64) -> i64 {
    i64::try_from(dice.next() % (2 * most.unsigned_abs() + 1)).unwrap() - most
}

impl Site {
    pub(super) fn step(&mut self, dice: &mut Random) {
        let node = below(dice, NODES);
        let told = match below(dice, 24) {
            0..=9 => {
                let count = 1 + below(dice, 5);
                self.brings(node, count)
            }
            10 => self.passes(node, Passing::Nothing),
            11 => self.passes(node, Passing::Refused),
            12 => self.passes(node, Passing::Questions),
            13 => {
                let time = Duration::from_millis(5 + dice.next() % 60);
                self.passes(node, Passing::Late(time))
            }
            14 | 15 => self.passes(node, Passing::All),
            16 => {
                self.nodes[node].smarthost.kill();
                self.nodes[node].smarthost.run();
                format!("mx{node} is killed and started")
            }
            17 => {
                assert!(self.nodes[node].smarthost.daemon().stop().success());
                let other = self.others(node, dice);
                self.nodes[node].smarthost.run();
                format!("mx{node} ends and starts; meanwhile {other}")
            }
            18 => {
                self.store.say("FLUSHALL");
                "the store forgets all".to_owned()
            }
            19 => self.store_stands_still(node, dice),
            20 => self.store_dies(node, dice),
            21 => {
                self.nodes[node].smarthost.daemon().signal(Signal::STOP);
                let other = self.others(node, dice);
                self.nodes[node].smarthost.daemon().signal(Signal::CONT);
                format!("mx{node} stands still; meanwhile {other}")
            }
            22 => {
                let ahead = around(dice, 2 * DAY);
                self.store_clock.set(ahead);
                format!("the clock of the store is set to {ahead:+} s")
            }
            _ => {
                let ahead = around(dice, HOURS);
                self.nodes[node].clock.set(ahead);
                format!("the clock of mx{node} is set to {ahead:+} s")
            }
        };
        writeln!(self.story, "  {told}").unwrap();
    }

    fn brings(&mut self, node: usize, count: usize) -> String {
        let taken = self.bring(node, count);
        format!("mx{node} takes {taken} of {count}")
    }

    /// What another server takes, while this one is away.
    fn others(&mut self, node: usize, dice: &mut Random) -> String {
        let other = (node + 1 + below(dice, NODES - 1)) % NODES;
        let count = 1 + below(dice, 3);
        self.brings(other, count)
    }

    fn passes(&mut self, node: usize, passing: Passing) -> String {
        self.nodes[node].line.let_pass(passing);
        format!("the line of mx{node} passes {passing:?}")
    }

    fn store_stands_still(&mut self, node: usize, dice: &mut Random) -> String {
        let count = 1 + below(dice, 3);
        self.store.signal(Signal::STOP);
        let taken = self.brings(node, count);
        self.store.signal(Signal::CONT);
        format!("the store stands still; meanwhile {taken}")
    }

    fn store_dies(&mut self, node: usize, dice: &mut Random) -> String {
        let count = 1 + below(dice, 3);
        self.store.kill();
        let taken = self.brings(node, count);
        self.store.run();
        format!("the store is killed and started; meanwhile {taken}")
    }

    /// All lines pass, and all know of each other again.
    pub(super) fn end_all_misfortune(&mut self) {
        for node in &self.nodes {
            node.line.let_pass(Passing::All);
        }
        self.wait_for_all();
    }
}
