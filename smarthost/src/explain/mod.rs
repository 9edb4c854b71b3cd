//! What the daemon would decide, and where mail for an address would go: for an administrator who asks why. Sends nothing.
//!
//! | part | what |
//! |---|---|
//! | [`decision`] | a session up to RCPT, rule by rule |
//! | [`way`] | an address through aliases and routes to its hosts |
//! | [`told`] | questions, answers and opinions in words |
//!
//! Contract: the chain, the questions to the world and the session machine are the daemon's own. Nothing is counted, remembered or
//! sent: counters, greylist and known recipients are read from the daemon's database into a memory of this process. DNS, block
//! lists and policy servers are asked as for a real client, milters not at all; a next hop is asked for a recipient only where that is wished.
//! Failures: a configuration that cannot be used is an error; what else is missing is told with the answer.

mod decision;
mod told;
mod way;

use std::path::Path;

use mail::maps::Problem;
use tokio::runtime::Runtime;

pub use decision::{Client, Decision, Filter, Recipient, Rule, Stage};
pub use told::{Entry, Exchange, Place};
pub use way::{End, Host, Step, Way};

use crate::{config::Config, setup::Setup};

/// What would be decided.
pub fn decide(config: &Path, client: &Client) -> anyhow::Result<Decision> {
    let (setup, problems) = look(config)?;
    with_runtime(decision::decide(setup, client, problems))
}

/// Where mail for an address would go.
pub fn way(config: &Path, address: &str) -> anyhow::Result<Way> {
    let (setup, problems) = look(config)?;
    with_runtime(way::find(&setup, address, problems))?
}

fn look(path: &Path) -> anyhow::Result<(Setup, Vec<String>)> {
    let (setup, problems) = Setup::look(Config::load(path)?)?;
    let faults = problems.iter().filter(|problem| problem.fault);
    Ok((setup, faults.map(Problem::to_string).collect()))
}

fn with_runtime<T>(asking: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = Runtime::new()?;
    let answer = runtime.block_on(asking);
    // Name lookups may still hang in the system's resolver: nobody waits for them.
    runtime.shutdown_background();
    Ok(answer)
}
