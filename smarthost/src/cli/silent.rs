//! What `check` makes of a daemon that does not answer: one that stands still, one that has lost
//! its socket, one that is dead though it should run, and one that has never run here, which is no
//! fault.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use console::unit;
use control::findings::Findings;
use system::{read, socket::is_of_nobody, within};

use crate::{
    config::{Config, Noted, Web},
    state,
};

/// A daemon that is there takes a connection sooner.
const PATIENCE: Duration = Duration::from_secs(1);
/// How it is started.
const START: &str = "systemctl start smarthost, or smarthost run; its log says why it ended (journalctl -u smarthost)";

/// What there is to say of it; `error`: what came of asking it.
pub(super) fn check(path: &Path, config: &Config, error: &io::Error, findings: &mut Findings) {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let remedy = "ask as root or as the daemon's user: whether it works is not known";
            findings.warn("daemon", error.to_string(), remedy);
        }
        _ if !is_of_nobody(error) => {
            findings.fail("daemon", error.to_string(), "systemctl restart smarthost");
        }
        _ => {
            if let Some(pid) = alone(config) {
                let remedy = "systemctl restart smarthost";
                return findings.fail("daemon", gone(config, pid), remedy);
            }
            let of_machine = path == Path::new(Config::PATH);
            dead(of_machine, config, findings);
            state_of_another(config, findings);
            if !of_machine || !unit::is_active("smarthost.socket") {
                taken(config, findings);
            }
        }
    }
}

/// The process of a daemon whose socket is not there.
pub(super) fn alone(config: &Config) -> Option<u32> {
    let holder = || within::found(&config.spool, |spool| spool::holder(spool, "smarthost"));
    is_absent(&socket(config)).then(holder)?
}

/// Where the daemon of this configuration answers: it may have been started with another `control`
/// or `state`, and has noted that.
pub(super) fn socket(config: &Config) -> PathBuf {
    let own = &config.control;
    let noted = Noted::read(&config.spool).map(|noted| noted.control);
    let noted = noted.filter(|noted| noted != own && is_absent(own));
    let holder = |spool: &Path| spool::holder(spool, "smarthost");
    let runs = || within::found(&config.spool, holder).is_some();
    noted.filter(|_| runs()).unwrap_or_else(|| own.clone())
}

/// Whether nobody listens there.
fn is_absent(socket: &Path) -> bool {
    let connected = system::socket::connect(socket, PATIENCE);
    connected.is_err_and(|error| is_of_nobody(&error))
}

/// What is said of it.
pub(super) fn gone(config: &Config, pid: u32) -> String {
    let socket = socket(config);
    let socket = socket.display();
    let still = i32::try_from(pid).is_ok_and(control::is_stopped);
    let still = if still { ", and it stands still" } else { "" };
    format!(
        "process {pid} runs, but its control socket {socket} is gone: it takes no orders{still}; it is ending, or \
         cannot make its socket again"
    )
}

/// No process has the spool: whether one should.
fn dead(of_machine: bool, config: &Config, findings: &mut Findings) {
    let socket = within::ask(&config.control, |socket| fs::symlink_metadata(socket));
    let is_left = socket.is_ok_and(|it| it.file_type().is_socket());
    let waiting = within::ask(&config.spool, spool::queued);
    let unknown = waiting.as_ref().err();
    let unknown = unknown.filter(|error| error.kind() == io::ErrorKind::TimedOut);
    let unknown = unknown.map(ToString::to_string);
    let waiting = waiting.unwrap_or_default();
    let why = if let Some(unknown) = unknown {
        format!(
            "what waits is not known: {}: {unknown}",
            config.spool.display()
        )
    } else if waiting > 0 {
        format!("{waiting} messages wait in {}", config.spool.display())
    } else if is_left {
        let socket = config.control.display();
        format!("the last one was killed or crashed: its control socket {socket} is still there")
    } else if of_machine && unit::is_enabled("smarthost.service") {
        "its unit is enabled".to_owned()
    } else {
        if read::is_there(&config.spool.join("lock")) {
            findings.warn("daemon", "does not run", START);
        }
        return;
    };
    findings.fail("daemon", format!("does not run, and {why}"), START);
}

/// Another daemon keeps there what it knows: this one would not start.
fn state_of_another(config: &Config, findings: &mut Findings) {
    if let Some(pid) = state::holder(&config.state) {
        let remedy = "the process is told by ps; name a directory of this server's own";
        findings.fail("state", state::in_use(&config.state, Some(pid)), remedy);
    }
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
