//! One world: both programs' own cores, from the client's first byte to the last bounce, in one
//! deterministic simulation from one seed.
//!
//! What is real: session machine, client machine and conversation, delivery core, queue with its
//! notifications, spool (on a disk that remembers what a crash leaves), policy, limits, routes and
//! the order of mail exchangers, the agent's rewriting and completion. What is not: threads, tokio
//! and sockets. The lines that only move things between the cores are written again in `program`,
//! `sending`, `receiving`, `agent` and `relay`, whose headers say what they stand for; TLS,
//! Maildirs, LMTP, programs, storms and budgets are not here.
//!
//! | part | what |
//! |---|---|
//! | `scenario` `striking` | mail, faults and orders, drawn from a seed; what they do |
//! | `world` | one clock; who does something next |
//! | `network` | connections that are cut, slow, half closed, or come in pieces |
//! | `names` `peer` `client` | name servers, other people's servers, whoever submits |
//! | `program` `trouble` `receiving` `sending` `talk` `carrying` | a program of ours around its cores |
//! | `agent` `relay` | what is different in the two |
//! | `model` | the oracle |
//! | `story` `shrink` | what is told of a life that went wrong, and how little of it is enough |
//!
//! `WORLD_SEEDS=100000 cargo test --release -p tests --test one_world -- --nocapture` lives so many
//! lives, beginning at `WORLD_FIRST`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::similar_names,
    reason = "a test fails by panicking, and tells its story"
)]

mod agent;
mod carrying;
mod client;
mod dice;
mod model;
mod names;
mod network;
mod peer;
mod program;
mod receiving;
mod relay;
mod scenario;
mod sending;
mod shrink;
mod story;
mod striking;
mod talk;
mod trouble;
mod world;

use std::time::Instant;

use scenario::Scenario;
use tests::luck::number;
use world::{Life, World};

/// Lives of a test that is not told otherwise.
const SEEDS: u64 = 60;

fn live(scenario: &Scenario, told: bool) -> Life {
    World::new(scenario.clone(), told).live()
}

#[test]
fn nothing_is_lost_or_sent_twice_in_a_world_where_everything_goes_wrong() {
    let (first, count) = (number("WORLD_FIRST", 1), number("WORLD_SEEDS", SEEDS));
    let began = Instant::now();
    let (mut steps, mut promises, mut lived) = (0, 0, 0);
    let mut failed = None;
    for seed in first..first + count {
        let scenario = Scenario::of(seed);
        match shrink::attempt(&scenario) {
            Ok(life) => {
                steps += life.steps;
                promises += life.promises;
                lived += life.lived / 1_000_000;
            }
            Err(wrong) => {
                println!("seed {seed}: {}", wrong.join("; "));
                failed = Some((scenario, wrong));
                break;
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    let years = |seconds: u64| f64::from(u32::try_from(seconds / 3600).unwrap()) / 24.0 / 365.25;
    println!(
        "{count} seeds from {first}: {promises} messages promised, {steps} steps, {:.1} seeds a second, {:.0} simulated years an hour",
        f64::from(u32::try_from(count).unwrap()) / took,
        years(lived) / took * 3600.0
    );
    if let Some((scenario, wrong)) = &failed {
        assert!(number("WORLD_TERSE", 0) == 0, "{wrong:?}");
        shrink::tell(scenario, wrong);
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in [3, 14, 159, 2653, 58979] {
        let scenario = Scenario::of(seed);
        let (one, other) = (live(&scenario, false), live(&scenario, false));
        assert_eq!(one.fingerprint, other.fingerprint, "seed {seed}");
        assert_eq!(one.steps, other.steps, "seed {seed}");
    }
}
