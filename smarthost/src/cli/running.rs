//! What `check` finds of the daemon: whether it runs, what it says of itself, and what it has in
//! force.

use std::{io, path::Path};

use control::{
    findings::{self, Findings},
    status::Status,
};

use super::silent;
use crate::{
    admin::{Answer, Request},
    config::Config,
    expected,
};

/// What the daemon calls what it counts.
const COUNTERS: &str = "counters";

/// Asks it; where it does not answer, tells what is known of it. What it says of itself.
pub(super) fn check(path: &Path, config: &Config, findings: &mut Findings) -> Option<Status> {
    match asked(config) {
        Ok(status) => {
            said(&status, findings);
            settings(config, findings);
            Some(status)
        }
        Err(error) => {
            silent::check(path, config, &error, findings);
            None
        }
    }
}

/// What the daemon says of itself, if it runs and answers this user.
pub(super) fn status(path: &Path) -> Option<Status> {
    let (config, _) = Config::load_anyway(path).ok()?;
    asked(&config).ok()
}

/// The same of the daemon of this configuration; the error: why it tells nothing.
pub(super) fn asked(config: &Config) -> io::Result<Status> {
    let mut found = None;
    control::ask(&config.control, &Request::Status, &mut |answer: Answer| {
        if let Answer::Status(status) = answer {
            found = Some(*status);
        }
    })?;
    let other = || io::Error::other("it tells no status: it is of another version");
    found.ok_or_else(other)
}

/// The file may be newer than what the daemon has read.
fn said(status: &Status, findings: &mut Findings) {
    if let Some(fault) = &status.fault {
        return findings.fail("daemon", fault, "it takes the mended file by itself");
    }
    findings.ok("daemon", format!("runs, process {}", status.pid));
    let unwritten = status
        .services
        .iter()
        .find(|it| it.kind == COUNTERS && !it.works);
    // What has a line of its own here (surroundings.rs) is not told twice.
    let is_told = |alarm: &str| {
        alarm.starts_with(expected::MISSING)
            || unwritten.is_some_and(|it| alarm.starts_with(COUNTERS) && alarm.contains(&it.text))
    };
    for alarm in status.alarms.iter().filter(|alarm| !is_told(alarm)) {
        findings.warn("daemon", alarm, "smarthost status, and its log");
    }
    if let Some(counters) = unwritten {
        let remedy = "until then limits are held from memory, and forgotten if the daemon ends";
        findings.fail(COUNTERS, &counters.text, remedy);
    }
    if let Some(fault) = &status.spool.fault {
        let remedy = "until then no mail is taken: clients are told to come again";
        findings.fail("spool", fault, remedy);
    }
}

/// What the daemon has in force, where the files say something else.
fn settings(config: &Config, findings: &mut Findings) {
    let mut rows = Vec::new();
    let asked = control::ask(
        &config.control,
        &Request::Settings,
        &mut |answer: Answer| {
            if let Answer::Settings(settings) = answer {
                rows = settings;
            }
        },
    );
    if asked.is_err() || rows.is_empty() {
        let text = "those of the daemon are unknown: it is of another version";
        return findings.warn("settings", text, "systemctl restart smarthost");
    }
    let differing = settings::rows::differences(&rows, &config.set());
    if !differing.is_empty() {
        let text = format!(
            "the daemon has older ones: {}",
            findings::differing(&differing)
        );
        findings.warn(
            "settings",
            text,
            "smarthost reload, which names what wants a restart",
        );
    }
}
