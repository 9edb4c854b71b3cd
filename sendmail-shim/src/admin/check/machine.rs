//! This machine: configuration, name, alias files, agent, queue, spool, and whose
//! /usr/sbin/sendmail is.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use console::{room, unit};
use control::{
    self,
    findings::{self, Findings, Untold},
    listing::Row,
    order::{Answer, Request, Selection},
    status::Status,
};
use mail::clock::{self, Timestamp};
use relay::net::{Connection, Target};
use settings::{layers, provision};
use smtp::client::{Protocol, Security, Settings as Smtp, Timeouts};
use system::{
    read,
    socket::{connect, is_of_nobody, not_bound},
    within,
};

use crate::{
    admin::{aliases, running},
    config::{
        places::{self, DIRECTORY},
        settings::Settings,
    },
};

/// An agent that is alive answers in milliseconds; one that systemd starts needs a moment.
const ANSWER: Duration = Duration::from_secs(5);
/// Mail that waits longer deserves a look.
const OLD: Duration = Duration::from_hours(4);
/// Where programs look for sendmail.
const SENDMAIL: &str = "/usr/sbin/sendmail";
/// How the agent gets the settings of the files.
const RESTART: &str = "systemctl try-restart sendmail-shim";
/// How there comes to be one.
const START: &str = "systemctl start sendmail-shim.socket; then: journalctl -u sendmail-shim";

/// Looks at all of it; the settings of the running agent, where they are not those of the files.
pub(super) fn check(settings: &Settings, findings: &mut Findings) -> Option<Settings> {
    configuration(settings, findings);
    aliases(settings, findings);
    let (running, alarms) = agent(settings, findings);
    spool(running.as_ref().unwrap_or(settings), findings);
    let left = spool::left(&places::notes_of_spools(settings), &settings.spool);
    room::left(left, &settings.spool, &alarms, findings);
    let own = std::env::current_exe().map(|own| own.with_file_name("sendmail"));
    sendmail(Path::new(SENDMAIL), &own.unwrap_or_default(), findings);
    running
}

fn configuration(settings: &Settings, findings: &mut Findings) {
    if let Some((key, why)) = places::impossible(settings) {
        findings.fail(
            key,
            why,
            "name another path; the agent goes on with the last good one",
        );
    }
    for file in &settings.files {
        findings.ok("configuration", file.display().to_string());
    }
    if settings.files.is_empty() {
        findings.ok("configuration", "no file: defaults");
    }
    for file in settings
        .files
        .iter()
        .filter(|file| file.starts_with(DIRECTORY))
    {
        let Ok(text) = read::text(file, provision::MOST) else {
            continue;
        };
        let layers = [(file.clone(), text)];
        for (key, hidden) in layers::hidden(&layers) {
            let what = format!("the agent cannot see {hidden}");
            let error = layers::wrong_at(&layers, &key, None, &what);
            findings.warn("sandbox", error.text, layers::HIDDEN);
        }
    }
    for warning in settings.warnings() {
        let (what, remedy) = warning.split_once(": ").unwrap_or((&warning, ""));
        findings.warn("configuration", what, remedy);
    }
    let name = format!("{}, bare names get @{}", settings.hostname, settings.domain);
    if settings.hostname.is_nowhere() {
        findings.warn(
            "name",
            format!("{name}: each machine calls itself so"),
            "relays refuse it, and nobody can tell whose mail it is: set hostname = \"NAME.example.org\", or the name in /etc/hosts",
        );
    } else if settings.hostname.contains('.') {
        findings.ok("name", name);
    } else {
        findings.warn(
            "name",
            name,
            "relays refuse a name without a domain: set hostname = \"NAME.example.org\", or the name in /etc/hosts",
        );
    }
}

fn aliases(settings: &Settings, findings: &mut Findings) {
    let checked = aliases::look(settings);
    findings.ok("aliases", checked.files.join(", "));
    for name in checked.unnamed {
        let to = format!(
            "nobody is named for {name}: its mail goes to {name}@{}",
            settings.domain
        );
        let remedy =
            "set admin = \"NAME@example.org\", or write `root: NAME@example.org` in aliases";
        findings.warn("aliases", to, remedy);
    }
    for what in checked.unended {
        let remedy = "see whether it is whole, and end it with a line end";
        findings.warn("aliases", what, remedy);
    }
    for fault in checked.faults {
        findings.warn(
            "aliases",
            fault,
            "correct it; until then, others of a list are served, or what was read before counts",
        );
    }
}

/// Its settings, where they are not those of the files, and its alarms.
fn agent(settings: &Settings, findings: &mut Findings) -> (Option<Settings>, Vec<String>) {
    let smtp = Smtp {
        helo: settings.hostname.to_string(),
        protocol: Protocol::Smtp,
        security: Security::None,
        timeouts: Timeouts {
            opening: ANSWER,
            reply: ANSWER,
            ..Timeouts::default()
        },
        known: None,
        credentials: None,
        enroll: None,
    };
    match Connection::open(&Target::unix(&settings.socket), &smtp, ANSWER) {
        Ok(connection) => {
            findings.ok("agent", format!("answers on {}", connection.relay()));
            connection.quit();
            let alarms = match running::status(settings) {
                Ok(status) => said(status, settings, findings),
                // One of another version is told of below.
                Err(error) if error.kind() == io::ErrorKind::Other => Vec::new(),
                Err(error) => {
                    silent(&error, findings);
                    return (None, Vec::new());
                }
            };
            let running = in_force(settings, findings);
            waiting_mail(settings, findings);
            (running, alarms)
        }
        Err(failure) => {
            let (what, remedy) = match standing(settings) {
                Some(what) => (what, RESTART),
                None => (failure.log_text(), START),
            };
            findings.fail("agent", what, remedy);
            if is_free(settings) {
                unsent(settings, findings);
                taken(settings, findings);
            }
            (None, Vec::new())
        }
    }
}

/// Whether nobody listens for the agent's callers: neither it nor, for the one of this machine,
/// systemd.
fn is_free(settings: &Settings) -> bool {
    let connected = connect(&settings.socket, ANSWER);
    let of_machine = settings.files.iter().any(|it| it.starts_with(DIRECTORY));
    connected.is_err_and(|error| is_of_nobody(&error))
        && !(of_machine && unit::is_active("sendmail-shim.socket"))
}

/// What waits though nobody sends it; who may not look says nothing.
fn unsent(settings: &Settings, findings: &mut Findings) {
    let waiting = within::ask(&settings.spool, spool::queued);
    if let Err(error) = &waiting
        && error.kind() == io::ErrorKind::TimedOut
    {
        let text = format!(
            "what waits is not known: {}: {error}",
            settings.spool.display()
        );
        findings.fail("queue", text, START);
    }
    let waiting = waiting.unwrap_or_default();
    if waiting > 0 {
        let spool = settings.spool.display();
        let text = format!("{waiting} messages wait in {spool}, and no agent runs that sends them");
        findings.fail("queue", text, START);
    }
}

/// The process that has the spool, though nobody answers for it.
fn standing(settings: &Settings) -> Option<String> {
    let pid = within::found(&settings.spool, |spool| {
        spool::holder(spool, "sendmail-shim")
    })?;
    let stopped = i32::try_from(pid)
        .ok()
        .filter(|pid| control::is_stopped(*pid));
    let socket = settings.socket.display();
    Some(stopped.map_or_else(
        || format!("process {pid} runs, and does not answer on {socket}"),
        control::standing_still,
    ))
}

/// It takes mail, and tells nothing.
fn silent(error: &io::Error, findings: &mut Findings) {
    if error.kind() == io::ErrorKind::PermissionDenied {
        findings.warn(
            "agent",
            error.to_string(),
            "ask as root: how it does is not known",
        );
    } else {
        findings.fail(
            "agent",
            format!("takes mail, and no orders: {error}"),
            RESTART,
        );
    }
}

/// What it says of itself; its alarms.
fn said(status: Status, settings: &Settings, findings: &mut Findings) -> Vec<String> {
    if let Some(fault) = &status.fault {
        findings.fail("agent", fault, "mend it; the agent takes it up by itself");
    }
    if let Some(fault) = &status.spool.fault {
        findings.fail("spool", fault, "until then no mail is taken");
    }
    let is_set = !settings.relayhost.is_empty();
    let relayhosts = status.services.first().filter(|_| is_set);
    if let Some(service) = relayhosts.filter(|service| !service.works) {
        let text = format!("{} {}: {}", service.kind, service.name, service.text);
        let remedy = "mailq shows what waits; sendmail-shim queue flush tries it at once";
        findings.warn("agent", text, remedy);
    }
    for alarm in &status.alarms {
        findings.warn("agent", alarm, "sendmail-shim status, and its log");
    }
    status.alarms
}

/// Addresses where no agent could listen that starts now.
fn taken(settings: &Settings, findings: &mut Findings) {
    for address in &settings.listen {
        let error = TcpListener::bind(address).err();
        // Who looks may have fewer rights than the agent.
        let error = error.filter(|error| error.kind() != io::ErrorKind::PermissionDenied);
        if let Some(error) = error {
            let what = not_bound(*address, &error);
            findings.fail("listen", what, "stop that program, or name another address");
        }
    }
}

/// What the agent has, if the files say something else.
fn in_force(settings: &Settings, findings: &mut Findings) -> Option<Settings> {
    let running = match running::settings(settings) {
        Ok(running) => running,
        Err(why) => {
            findings.warn(
                "settings",
                format!("those of the agent are unknown: {why}"),
                RESTART,
            );
            return None;
        }
    };
    let differing = running::differences(&running, settings);
    if differing.is_empty() {
        findings.ok("settings", "the agent has those of the files");
        return None;
    }
    let text = findings::differing(&differing);
    findings.warn(
        "settings",
        format!("the agent has older ones: {text}"),
        RESTART,
    );
    Some(running)
}

fn waiting_mail(settings: &Settings, findings: &mut Findings) {
    let mut rows = Vec::new();
    let everything = Request::List(Selection::default());
    let asked = control::ask(&settings.control, &everything, &mut |answer| {
        if let Answer::Row(row) = answer {
            rows.push(row);
        }
    });
    match asked {
        Ok(()) => {
            waiting(&rows, clock::now(), findings);
            let mut untold = Untold::default();
            for row in &rows {
                untold.see(row);
            }
            untold.tell("sendmail-shim", findings);
        }
        Err(error) => findings.warn(
            "queue",
            error.to_string(),
            "only root and the agent's user may see it all",
        ),
    }
}

fn waiting(rows: &[Row], now: Timestamp, findings: &mut Findings) {
    let Some(oldest) = rows.iter().min_by_key(|row| row.arrival) else {
        return findings.ok("queue", "empty");
    };
    let text = format!(
        "{} messages wait, the oldest since {}",
        rows.len(),
        oldest.arrival.mailq()
    );
    if now.since(oldest.arrival) < OLD {
        return findings.ok("queue", text);
    }
    let reason = oldest.recipients.first();
    let reason = reason.map_or("", |recipient| recipient.delay_reason.as_str());
    findings.warn(
        "queue",
        text,
        &format!("sendmail-shim queue show {}: {reason}", oldest.queue_id),
    );
}

fn spool(settings: &Settings, findings: &mut Findings) {
    let path = &settings.spool;
    let owner = match read::metadata(path) {
        Ok(metadata) => metadata.uid(),
        Err(error) => {
            return findings.warn(
                "spool",
                format!("{}: {error}", path.display()),
                "the agent makes it when it starts",
            );
        }
    };
    if let Some(lies) = within::found(path, spool::quarantined) {
        let remedy = "the log says what they are; look at them, then move them away";
        findings.warn("spool", lies, remedy);
    }
    let own = rustix::process::geteuid();
    let judged = own.is_root() || own.as_raw() == owner;
    room::look("spool", path, (settings.minimum_free, judged), findings);
}

/// Whether programs that call sendmail get ours, which lies beside this program.
fn sendmail(path: &Path, own: &Path, findings: &mut Findings) {
    let number = |path| read::metadata(path).map(|file| (file.dev(), file.ino()));
    let shown = path.display();
    let real = within::ask(path, |path| fs::canonicalize(path));
    match (real, number(own), number(path)) {
        (Ok(_), Ok(own), Ok(found)) if own == found => {
            findings.ok("sendmail", format!("{shown} is ours"));
        }
        (Ok(target), ..) => findings.warn(
            "sendmail",
            format!("{shown} is another program{}", other(path, &target)),
            "what programs send goes through that one: remove the other MTA's package, or link it to sendmail-shim",
        ),
        (Err(error), ..) => findings.warn(
            "sendmail",
            format!("{shown}: {error}"),
            "programs that call it get nothing: link it to sendmail-shim",
        ),
    }
}

fn other(path: &Path, target: &PathBuf) -> String {
    if target == path {
        String::new()
    } else {
        format!(": {}", target.display())
    }
}

#[cfg(test)]
mod tests {
    use control::findings::Level;

    use super::*;

    #[test]
    fn another_mta_behind_usr_sbin_sendmail_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (other, link) = (directory.path().join("exim4"), directory.path().join("s"));
        system::fs::replace(&other, b"#!/bin/sh\n", 0o755).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let own = Path::new("/proc/self/exe");
        let mut findings = Findings::default();
        sendmail(&link, own, &mut findings);
        let text = &findings.0.first().unwrap().text;
        assert!(text.ends_with("exim4"), "{text}");
        assert_eq!(findings.level(), Level::Warning);

        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(own, &link).unwrap();
        let mut findings = Findings::default();
        sendmail(&link, own, &mut findings);
        assert_eq!(findings.level(), Level::Ok);
    }
}
