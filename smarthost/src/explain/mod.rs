//! What the daemon would decide, and where mail for an address would go: for an administrator who
//! asks why. Sends nothing.
//!
//! | part | what |
//! |---|---|
//! | [`answer`] | what is asked about a client, and what is told |
//! | [`decision`] | what would be decided about it |
//! | [`rehearsal`] | its session up to RCPT, rule by rule |
//! | [`way`] | an address through aliases and routes to its hosts |
//! | [`told`] | questions, answers and opinions in words |
//! | [`print`] | all of it as text or JSON |
//!
//! Contract: the chain, the questions to the world and the session machine are the daemon's own,
//! and so are settings, tables and logins: it answers itself, where it runs, by what it holds.
//! Nothing is counted, remembered or sent: counters, greylist and known recipients are read from
//! the daemon's database into a memory of this process. DNS, block lists and policy servers are
//! asked as for a real client, milters not at all; a next hop is asked for a recipient only where
//! that is wished.
//! Failures: a configuration that cannot be used is an error; what else is missing is told with the
//! answer.

mod answer;
mod decision;
mod print;
mod rehearsal;
mod told;
mod way;

use std::path::Path;

use mail::maps::Problem;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

pub(crate) use answer::Known;
pub use answer::{Client, Decision, Filter, Recipient, Rule, Stage};
pub use print::shown;
pub use told::{Entry, Exchange, Place};
pub use way::{End, Host, Step, Way};

use crate::{config::Config, setup::Setup};

/// Said of files that nobody runs by.
const NO_DAEMON: &str = "smarthost is not running: this is what the files say now";

/// What somebody wants to know, and how it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub what: What,
    pub json: bool,
}

/// What is asked about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum What {
    /// What would be decided.
    Client(Client),
    /// Where mail for an address would go.
    Address(String),
}

impl What {
    /// Where failed logins would be counted against it.
    pub fn client(&self) -> Option<std::net::IpAddr> {
        match self {
            Self::Client(client) => Some(client.address),
            Self::Address(_) => None,
        }
    }
}

/// By the files, as they are now; that nobody runs by them is said.
pub fn of_files(config: &Path, asked: &Asked) -> anyhow::Result<String> {
    let (setup, problems) = Setup::look(Config::load(config)?)?;
    let faults = problems.iter().filter(|problem| problem.fault);
    let mut warnings: Vec<_> = faults.map(Problem::to_string).collect();
    if asked.json {
        warnings.push(NO_DAEMON.to_owned());
    } else {
        system::log::line(system::log::Level::Warning, &NO_DAEMON);
    }
    let runtime = Runtime::new()?;
    let answer = runtime.block_on(told(setup, Known::default(), asked, warnings));
    // Name lookups may still hang in the system's resolver: nobody waits for them.
    runtime.shutdown_background();
    answer
}

/// By what a daemon holds, on its own runtime: what is begun here and shared with it (the name
/// servers' client, connections) must not end with the answer.
pub(crate) async fn of_daemon(
    setup: &Setup,
    known: Known,
    asked: &Asked,
    warnings: Vec<String>,
) -> anyhow::Result<String> {
    told(setup.for_a_look(), known, asked, warnings).await
}

async fn told(
    setup: Setup,
    known: Known,
    asked: &Asked,
    warnings: Vec<String>,
) -> anyhow::Result<String> {
    match &asked.what {
        What::Client(client) => {
            decision::examine(&setup, client)?;
            let decision = decision::decide(setup, client, known, warnings).await;
            Ok(if asked.json {
                print::json(&decision)
            } else {
                print::of_decision(&decision)
            })
        }
        What::Address(address) => {
            let way = way::find(&setup, address, warnings).await?;
            Ok(if asked.json {
                print::json(&way)
            } else {
                print::of_way(&way)
            })
        }
    }
}
