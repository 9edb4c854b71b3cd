//! `sendmail-shim check`: everything between a program and the relayhost, tried one by one. Sends
//! no mail. A running agent is asked for the settings that it has: where the files say something
//! else, that is told, and both ways are tried.
//!
//! | part | what |
//! |---|---|
//! | `machine` | this machine: configuration, name, alias files, agent, queue, spool, other MTAs |
//! | `relayhost` | the way there: addresses, TCP, TLS, key, certificate, EHLO, sender and recipient |
//!
//! Exit status, for monitoring: 0 all good, 1 works but wants attention, 2 does not work, 78 the
//! configuration cannot be read.

mod machine;
mod relayhost;

use control::findings::{Findings, Level};
use system::sysexits::Exit;

use crate::{
    admin::running,
    config::settings::Settings,
    terminal::{CommandError, say},
};

/// Tries everything and tells.
pub fn run(settings: &Settings, json: bool) -> Result<Exit, CommandError> {
    let mut findings = Findings::default();
    let running = machine::check(settings, &mut findings);
    relayhost::check(running.as_ref().unwrap_or(settings), &mut findings);
    if running.is_some_and(|running| leads_elsewhere(&running, settings)) {
        let mut later = Findings::default();
        relayhost::check(settings, &mut later);
        for finding in &mut later.0 {
            finding.text.insert_str(0, "after a restart: ");
        }
        findings.0.append(&mut later.0);
    }
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

/// The way to the relayhost alone.
pub fn way(settings: &Settings, findings: &mut Findings) {
    relayhost::check(settings, findings);
}

/// Whether mail takes another way with the one than with the other, or is shown to the relayhost in
/// another form.
fn leads_elsewhere(one: &Settings, other: &Settings) -> bool {
    const WAY: [&str; 13] = [
        "relayhost",
        "relay_order",
        "resolver",
        "domain",
        "hostname",
        "pins",
        "admin",
        "tls",
        "auth.user",
        "auth.password_file",
        "auth.token",
        "certificate",
        "key",
    ];
    let differing = running::differences(one, other);
    differing
        .iter()
        .any(|(key, ..)| WAY.contains(&key.as_str()))
}
