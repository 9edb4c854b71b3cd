//! `sendmail-shim check`: everything between a program and the relayhost, tried one by one. Sends no mail.
//!
//! | part | what |
//! |---|---|
//! | `machine` | this machine: configuration, name, alias files, agent, queue, spool, other MTAs |
//! | `relayhost` | the way there: addresses, TCP, TLS, key, certificate, EHLO, sender and recipient |
//!
//! Exit status, for monitoring: 0 all good, 1 works but wants attention, 2 does not work, 78 the configuration cannot be read.

mod machine;
mod relayhost;

use control::findings::{Findings, Level};
use system::sysexits::Exit;

use crate::{
    config::settings::Settings,
    terminal::{Trouble, say},
};

/// Tries everything and tells.
pub fn run(settings: &Settings, json: bool) -> Result<Exit, Trouble> {
    let mut findings = Findings::default();
    machine::check(settings, &mut findings);
    relayhost::check(settings, &mut findings);
    if json {
        say(findings.json());
    } else {
        say(findings.table());
    }
    Ok(match findings.level() {
        Level::Ok => Exit::Ok,
        Level::Warning => Exit::WARNING,
        Level::Critical => Exit::CRITICAL,
    })
}
