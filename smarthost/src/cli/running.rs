//! What `check` finds of the daemon: whether it runs, what it says of itself, and what it has in
//! force.

use std::{io, path::Path};

use control::{
    findings::{self, Finding, Findings, Level},
    status::{Service, Status},
    troubles::What,
};

use super::silent;
use crate::{
    admin::{Answer, Request},
    config::Config,
    expected,
};

/// What the daemon calls what it counts.
const COUNTERS: &str = "counters";
const CERTIFICATE: &str = "certificate";
/// Where the name servers are set.
pub(super) const SEE_RESOLVER: &str = "see resolver, and /etc/resolv.conf";

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
    control::ask(
        &silent::socket(config),
        &Request::Status,
        &mut |answer: Answer| {
            if let Answer::Status(status) = answer {
                found = Some(*status);
            }
        },
    )?;
    let other = || io::Error::other("it tells no status: it is of another version");
    found.ok_or_else(other)
}

/// What is wrong with it, but for [`services`]. The file may be newer than what it has read.
fn said(status: &Status, findings: &mut Findings) {
    if status.fault.is_none() {
        findings.ok("daemon", format!("runs, process {}", status.pid));
    }
    for trouble in status.troubles() {
        let text = &trouble.text;
        match trouble.what {
            What::Configuration => {
                findings.fail("daemon", text, "it takes the mended file by itself");
            }
            What::Refuses => {
                let remedy = "wait for its end, or smarthost drain --stop: mail is accepted again";
                findings.fail("drain", text, remedy);
            }
            What::Spool => {
                let remedy = "until then no mail is taken: clients are told to come again";
                findings.fail("spool", text, remedy);
            }
            What::Certificate => {
                let remedy = "clients that verify it keep their mail; those with a pin go on";
                findings.fail(CERTIFICATE, text, remedy);
            }
            What::Alarm => {
                // What has a line of its own here (surroundings.rs) is not told twice.
                if !text.starts_with(expected::MISSING) {
                    findings.warn("daemon", text, "smarthost status, and its log");
                }
            }
            // Before their directory is looked at, which may look well.
            What::Service(service) if service.kind == COUNTERS => {
                findings.fail(COUNTERS, &service.text, named(COUNTERS).1);
            }
            What::Service(_) => {}
        }
    }
}

/// What the daemon says of all those whom it asks, where the look of this command at the same has
/// found nothing.
pub(super) fn services(status: &Status, findings: &mut Findings) {
    let looked = findings.0.len();
    for trouble in status.troubles() {
        let What::Service(service) = trouble.what else {
            continue;
        };
        let (subject, remedy) = named(&service.kind);
        let known = |it: &Finding| {
            it.subject == subject && it.level > Level::Ok && is_about(&it.text, service)
        };
        if findings.0.iter().take(looked).any(known) {
            continue;
        }
        let level = if trouble.stops || subject == "budget" {
            Level::Critical
        } else {
            Level::Warning
        };
        let text = format!("{}: {}", service.name, service.text);
        findings.add(level, subject, text, Some(remedy.to_owned()));
    }
}

/// Whether that was found of this very one: of some there is but one.
fn is_about(text: &str, service: &Service) -> bool {
    let begins = |name: &str| {
        let text = text.replace(['[', ']'], "");
        let name = name.replace(['[', ']'], "");
        let rest = text.strip_prefix(&name);
        rest.is_some_and(|rest| rest.starts_with(": "))
    };
    let usual = service.name.strip_suffix(":25");
    matches!(service.kind.as_str(), COUNTERS | "budget" | "resolver")
        || begins(&service.name)
        || usual.is_some_and(begins)
}

/// What is looked at under the name of a service, and what is to be done where it fails.
fn named(kind: &str) -> (&'static str, &'static str) {
    match kind {
        COUNTERS => (
            COUNTERS,
            "until then limits are held from memory, and forgotten if the daemon ends",
        ),
        "budget" => (
            "budget",
            "budget.node is another one on each smarthost, budget.nodes their number, their limits and \
             budget.on_outage the same; see budget.store, and smarthost status on each",
        ),
        "resolver" => ("resolver", SEE_RESOLVER),
        "block list" => ("block list", "until it answers, its rules decide nothing"),
        "policy server" => ("policy server", "start it: until then mail is deferred"),
        "milter" => ("milter", "start it: until then its on_failure applies"),
        "verification" => ("verification", "smarthost status, and its log"),
        "relayhost" => ("relayhost", "mail waits in the queue until it takes some"),
        "next hop" => (
            "next hop",
            "mail for it waits in the queue until it takes some",
        ),
        _ => ("daemon", "smarthost status, and its log"),
    }
}

/// Key and value of each setting that the daemon of this configuration has in force.
pub(super) fn in_force(config: &Config) -> io::Result<Vec<(String, String)>> {
    let mut rows = Vec::new();
    control::ask(
        &silent::socket(config),
        &Request::Settings,
        &mut |answer: Answer| {
            if let Answer::Settings(settings) = answer {
                rows = settings;
            }
        },
    )?;
    Ok(rows)
}

/// What the daemon has in force, where the files say something else.
fn settings(config: &Config, findings: &mut Findings) {
    let rows = in_force(config).unwrap_or_default();
    if rows.is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_tells_each_service_that_fails_and_once_what_it_has_seen_itself() {
        let fails = |kind: &str, name: &str| Service::new(kind, name, false, "greets with 421");
        let status = Status {
            services: vec![
                fails("next hop", "10.0.0.1:25"),
                fails("next hop", "10.0.0.2:25"),
                fails("next hop", "10.0.0.3:2525"),
                fails("relayhost", "10.0.0.4:25"),
                fails("relayhost", "10.0.0.4:2525"),
                fails("relayhost", "mx.example:25"),
                fails("milter", "10.0.0.5:1"),
                fails("milter", "10.0.0.5:11"),
                fails("budget", "redis://10.0.0.6"),
                Service::new("milter", "10.0.0.7:1", true, "answers"),
            ],
            ..Status::default()
        };
        let mut findings = Findings::default();
        findings.fail("relayhost", "[10.0.0.4]:2525: refused", "start it");
        findings.fail("relayhost", "mx.example: refused", "start it");
        findings.fail("milter", "10.0.0.5:11: refused", "start it");
        findings.fail("budget", "the store redis://10.0.0.6 is away", "start it");
        let looked = findings.0.len();
        services(&status, &mut findings);
        let told = findings.0.iter().skip(looked);
        let told: Vec<_> = told.map(|it| (it.subject, it.text.as_str())).collect();
        assert_eq!(
            told,
            [
                ("next hop", "10.0.0.1:25: greets with 421"),
                ("next hop", "10.0.0.2:25: greets with 421"),
                ("next hop", "10.0.0.3:2525: greets with 421"),
                ("relayhost", "10.0.0.4:25: greets with 421"),
                ("milter", "10.0.0.5:1: greets with 421"),
            ]
        );
    }
}
