//! What `check` finds of the daemon: whether it runs, what it says of itself, what it has in force,
//! and, where it does not answer, what keeps a start from its places.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use console::unit;
use control::{
    findings::{self, Findings},
    status::Status,
};
use system::socket::is_of_nobody;

use crate::{
    admin::{Answer, Request},
    config::{Config, Web},
};

/// A daemon that is there takes a connection sooner.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks it, or looks whether one that starts would find its addresses free.
pub(super) fn check(path: &Path, config: &Config, findings: &mut Findings) {
    if let Some(status) = status(path) {
        said(&status, findings);
        settings(config, findings);
    } else if let Some(pid) = alone(config) {
        findings.fail("daemon", gone(config, pid), "systemctl restart smarthost");
    } else if is_absent(config)
        && (path != Path::new(Config::PATH) || !unit::is_active("smarthost.socket"))
    {
        taken(config, findings);
    }
}

/// Whether nobody listens where it is asked.
fn is_absent(config: &Config) -> bool {
    let connected = system::socket::connect(&config.control, PATIENCE);
    connected.is_err_and(|error| is_of_nobody(&error))
}

/// The process of a daemon whose socket is not there.
pub(super) fn alone(config: &Config) -> Option<u32> {
    is_absent(config).then(|| spool::holder(&config.spool, "smarthost"))?
}

/// What is said of it.
pub(super) fn gone(config: &Config, pid: u32) -> String {
    let socket = config.control.display();
    format!("process {pid} runs, but its control socket {socket} is gone: it takes no orders")
}

/// Addresses that another program has.
fn taken(config: &Config, findings: &mut Findings) {
    let clients = config.listen.iter().map(|it| ("listen", it.address));
    let clients = clients.filter(|_| !config.listen_is_default);
    let page = config.web.iter().filter_map(|web| match web {
        Web::Tcp(address) => Some(("web", *address)),
        Web::Unix(_) => None,
    });
    for (key, address) in clients.chain(page).filter(|(_, it)| is_taken(*it)) {
        let error = config.wrong(key, &format!("{address}: another process has it"));
        let remedy = format!("ss -ltnp 'sport = :{}' shows which", address.port());
        findings.fail(key, error.text, &remedy);
    }
}

fn is_taken(address: SocketAddr) -> bool {
    // As the daemon binds: connections that have just ended are in nobody's way.
    TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// What the daemon says of itself, if it runs and answers this user.
pub(super) fn status(path: &Path) -> Option<Status> {
    let (config, _) = Config::load_anyway(path).ok()?;
    let mut found = None;
    let asked = control::ask(&config.control, &Request::Status, &mut |answer: Answer| {
        if let Answer::Status(status) = answer {
            found = Some(*status);
        }
    });
    asked.ok().and(found)
}

/// The file may be newer than what the daemon has read.
fn said(status: &Status, findings: &mut Findings) {
    if let Some(fault) = &status.fault {
        return findings.fail("daemon", fault, "it takes the mended file by itself");
    }
    findings.ok("daemon", format!("runs, process {}", status.pid));
    for alarm in &status.alarms {
        findings.warn("daemon", alarm, "smarthost status, and its log");
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
