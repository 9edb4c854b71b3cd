//! The agent from start to end: spool, sockets, threads, signals.
//!
//! Contract: the sockets answer only when the spool is open. SIGTERM and SIGINT: no new connections, what is being committed is
//! committed and answered, deliveries under way get a few seconds, the rest waits in the spool. An agent that systemd started
//! for a connection ends after [`IDLE`] without connections and with an empty queue. One whose configuration is wrong looks at the
//! files again and again, and starts anew with the mended ones.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use settings::last_good;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use spool::{Options, Recovery, Spool};
use system::log::{self, Level, line};

use super::{
    Agent,
    accept::{self, Listener, Serve},
    budget, control,
    delivery::{Delivery, Signal},
    door::Doors,
    letters, maillog, session,
    state::Connection,
    supervision,
};
use crate::config::{places, settings::Settings};

/// How long an idle agent stays, if systemd starts it again.
const IDLE: Duration = Duration::from_secs(30);
/// How long deliveries under way are waited for at the end.
const FINISH: Duration = Duration::from_secs(5);
/// How often files that are wrong are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long programs that are connected may keep an agent from starting anew.
const POLITE: Duration = Duration::from_secs(10);
/// Size of a spool segment, bytes: a machine's own mail is little, and two segments are reserved on its disk.
const SEGMENT: u64 = 4 * 1024 * 1024;

/// Runs until told to stop, or until idle; the error is for the administrator. `config` is the file that was named, if one was.
pub fn run(config: Option<&Path>) -> Result<(), String> {
    log::init("sendmail-shim");
    system::descriptors::raise();
    let settings = places::for_agent(config).map_err(|error| error.to_string())?;
    match serve(settings, config)? {
        End::Told => Ok(()),
        End::Mended { sockets } => Err(system::again::start(sockets)),
    }
}

/// Why the agent ends.
enum End {
    /// By a signal, or because there is nothing to do.
    Told,
    /// The files are right again; so many sockets are systemd's.
    Mended { sockets: usize },
}

fn serve(settings: Settings, config: Option<&Path>) -> Result<End, String> {
    settings
        .warnings()
        .iter()
        .for_each(|warning| maillog::warning(warning));
    let tls = match &settings.fault {
        Some(fault) if !fault.remembered => None,
        _ => settings
            .client_tls()
            .map_err(|error| format!("tls: {error}"))?,
    };
    system::fs::create_directory(&settings.spool, 0o700)
        .map_err(|error| format!("{}: {error}", settings.spool.display()))?;
    let options = Options {
        segment: SEGMENT,
        minimum_free: settings.minimum_free,
        ..Options::default()
    };
    let (spool, recovery) =
        Spool::open(&settings.spool, options).map_err(|error| error.to_string())?;
    told(&recovery, &settings.spool);
    let doors = Doors::open(&settings)?;
    let sockets = doors.handed;
    let (agent, signals) = Agent::new(settings, spool);
    let agent = Arc::new(agent);
    let (stop, stopped) = mpsc::channel();
    watch_signals(stop)?;
    let delivery = Delivery::new(Arc::clone(&agent), tls, signals);
    thread::spawn(|| delivery.run());
    if agent.budget.is_some() {
        let agent = Arc::clone(&agent);
        thread::spawn(move || budget::keeping::run(&agent));
    }
    let serve = |listener, serve: Serve| {
        accept::begin(&agent, listener, serve)
            .map_err(|error| format!("cannot start a thread: {error}"))
    };
    for listener in doors.submit {
        serve(Listener::Unix(listener), submission)?;
    }
    for listener in doors.control {
        serve(Listener::Unix(listener), administration)?;
    }
    for listener in doors.loopback {
        serve(Listener::Loopback(listener), submission)?;
    }
    supervision::ready();
    line(
        Level::Info,
        &format_args!("listening on {}", agent.settings.socket.display()),
    );
    tell(&agent);
    let mended = || places::is_right(config);
    let ended = wait(&agent, &stopped, sockets, &mended);
    end(&agent);
    Ok(ended)
}

/// Tells log and administrators, once, that the configuration is wrong.
fn tell(agent: &Agent) {
    let Some(fault) = &agent.settings.fault else {
        return;
    };
    let consequence = fault.consequence();
    line(Level::Error, &format_args!("{consequence}: {}", fault.text));
    if !last_good::is_news(&agent.settings.spool, fault) {
        return;
    }
    if let Err(why) = letters::fault(agent, fault) {
        maillog::warning(&format!("the administrator cannot be written to: {why}"));
    }
}

fn told(recovery: &Recovery, spool: &Path) {
    for alarm in recovery.alarms(spool) {
        line(Level::Error, &alarm);
    }
    if recovery.cut > 0 {
        maillog::warning(&format!(
            "spool: {} bytes of an unfinished write cut off",
            recovery.cut
        ));
    }
    line(
        Level::Info,
        &format_args!("{} messages in the queue", recovery.messages),
    );
}

/// SIGTERM and SIGINT become a message.
fn watch_signals(stop: Sender<()>) -> Result<(), String> {
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|error| format!("signals: {error}"))?;
    thread::spawn(move || {
        for _ in signals.forever() {
            if stop.send(()).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn wait(agent: &Agent, stopped: &Receiver<()>, sockets: usize, mended: &dyn Fn() -> bool) -> End {
    let supervised = supervision::interval();
    let faulty = agent.settings.fault.is_some();
    let most = if faulty { LOOK } else { IDLE };
    let look = supervised.map_or(most, |interval| interval.min(most));
    let mut right = None;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(look) {
        if sockets > 0 && agent.idle() >= IDLE && agent.spool.is_empty() {
            return End::Told;
        }
        if faulty && mended() {
            let since = right.get_or_insert_with(Instant::now);
            if !agent.idle().is_zero() || since.elapsed() >= POLITE {
                line(Level::Notice, &"the configuration is mended: starting anew");
                return End::Mended { sockets };
            }
        }
        log::tell_repeats();
        if supervised.is_some() {
            supervision::beat(agent);
        }
    }
    End::Told
}

fn end(agent: &Agent) {
    supervision::stopping();
    let (done, finished) = mpsc::channel();
    agent.signal(Signal::Stop(done));
    // Either they finish or they are tried again at the next start.
    let _ = finished.recv_timeout(FINISH);
    agent.spool.close();
    agent.wait_for_commits(FINISH);
    line(
        Level::Info,
        &format_args!("stopped, {} messages in the queue", agent.spool.len()),
    );
}

fn submission(connection: &Connection) {
    lost(connection.uid, session::serve(connection));
}

fn administration(connection: &Connection) {
    let Connection {
        agent, stream, uid, ..
    } = connection;
    lost(*uid, control::serve(agent, stream, *uid));
}

/// A client that does not wait for the answer to QUIT is in order.
fn lost(uid: u32, served: io::Result<()>) {
    if let Err(error) = served
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        line(
            Level::Info,
            &format_args!("lost connection from uid {uid}: {error}"),
        );
    }
}
