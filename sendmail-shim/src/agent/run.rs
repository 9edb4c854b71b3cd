//! The agent from start to end: spool, sockets, threads, signals.
//!
//! Contract: the sockets answer only when the spool is open. SIGTERM and SIGINT: no new
//! connections, sessions are told 421 between two messages, what is coming and what is being
//! delivered gets a few seconds, what is being committed is committed and answered, the rest waits
//! in the spool. An agent that systemd started for a connection ends after a time without
//! connections and with an empty queue: it stops accepting, looks again, and goes on if anybody was
//! accepted or anything queued meanwhile; who connects then is systemd's, which starts the next
//! one. An agent whose configuration is wrong, or with mail that waits, looks at the files again
//! and again, and starts anew with those that were mended or changed, if they are right; and when a
//! part of the queue can be read that the start could not. SIGHUP: the same, whatever waits. While
//! it starts anew its sockets stay open, and who connects is served by the next one; messages that
//! are coming are waited for, for a minute at most.

use std::{
    io, mem,
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use settings::last_good;
use spool::{Options, Recovery, Spool};
use system::log::{self, Level, line};

use super::{
    control,
    delivery::driver::Driver,
    digests,
    dispatch::Signal,
    ending::{Ending, Heard, Told, start_anew},
    listener::{Listeners, Serve, Socket},
    maillog, notices,
    owners::Owners,
    presence::Connection,
    release, session,
    sockets::{Own, Sockets},
    state::Agent,
    supervision,
};
use crate::config::{places, rows, settings::Settings};

/// How often is looked whether there is anything to do, at least.
const ROUND: Duration = Duration::from_secs(10);
/// The least, however short a time without work is enough.
const SHORTEST: Duration = Duration::from_millis(10);
/// How long sessions, then deliveries under way, are waited for at the end.
const FINISH: Duration = Duration::from_secs(5);
/// How often files are looked at that are wrong, or while mail waits.
const LOOK: Duration = Duration::from_secs(1);
/// How long programs that are connected may keep an agent from starting anew.
const POLITE: Duration = Duration::from_secs(10);
/// The same for deliveries under way, and for programs that are in the middle of a message.
const UNDERWAY: Duration = Duration::from_mins(1);
/// How long those who connect meanwhile wait for sessions to end, at a time. Whoever hands over a
/// message waits two seconds for an agent.
const BRIEF: Duration = Duration::from_secs(1);
/// Size of a spool segment, bytes: a machine's own mail is little, and two segments are reserved on
/// its disk.
const SEGMENT: u64 = 4 * 1024 * 1024;

/// Runs until told to stop, or, where systemd starts it again, until it was idle for so long; the
/// error is for the administrator.
/// `config` is the file that was named, if one was.
pub fn run(config: Option<&Path>, idle: Duration) -> Result<(), String> {
    log::init("sendmail-shim");
    let lines = log::write_apart();
    let ending = Ending::watch()?;
    system::descriptors::raise();
    // Files that change after that were not read.
    ending.reads_anew();
    let before = places::last_good(config);
    let read = places::for_agent_known(config).map_err(|error| error.to_string())?;
    if let Some(before) = before.filter(|_| read.0.fault.is_none()) {
        tell_changes(&before, &read.0);
    }
    let end = serve(read, config, idle, &ending)?;
    drop(lines);
    match end {
        End::Mended { handed, own } if !ending.was_wanted() => Err(start_anew(handed, &own)),
        End::Mended { .. } | End::Told => Ok(()),
    }
}

/// What is set otherwise than in the configuration that was in force before.
fn tell_changes(before: &Settings, now: &Settings) {
    for setting in settings::rows::told(&rows::differences(before, now)) {
        line(Level::Notice, &format_args!("changed: {setting}"));
    }
}

/// Why the agent ends.
enum End {
    /// By a signal, or because there is nothing to do.
    Told,
    /// Files or queue are right again; so many sockets are systemd's, and the others our own.
    Mended { handed: usize, own: Own },
}

fn serve(
    (settings, known): (Settings, places::State),
    config: Option<&Path>,
    idle: Duration,
    ending: &Ending,
) -> Result<End, String> {
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
    spool.adopt(&places::refuge(config));
    spool.adopt_earlier(
        &places::notes_of_spools(&settings),
        settings.fault.is_none(),
    );
    line(
        Level::Info,
        &format_args!("{} messages in the queue", spool.len()),
    );
    let mut sockets = Sockets::open(&settings)?;
    let (handed, deaf) = (sockets.handed, mem::take(&mut sockets.deaf));
    let mut own = mem::take(&mut sockets.own);
    let (agent, signals) = Agent::new(settings, spool, deaf);
    let agent = Arc::new(agent);
    let heard = ending.serving();
    let driver = Driver::new(Arc::clone(&agent), tls, signals);
    thread::spawn(|| driver.run());
    let serves = |is_wanted: bool, run: fn(&Agent)| {
        let agent = Arc::clone(&agent);
        if is_wanted {
            thread::spawn(move || run(&agent));
        }
    };
    serves(agent.budget.is_some(), release::run);
    serves(agent.reports.is_some(), digests::run);
    let mut listeners =
        listen(&agent, sockets).map_err(|error| format!("cannot serve the sockets: {error}"))?;
    supervision::ready();
    line(
        Level::Info,
        &format_args!("listening on {}", agent.settings.socket.display()),
    );
    tell(&agent);
    let idle = (handed > 0).then_some(idle);
    let state = || places::state(config, &agent.settings);
    let files = Files {
        right: &|| places::is_right(config),
        wrong: &|| places::wrong(config),
        state: &state,
    };
    let open = (&mut listeners, &mut own);
    let ended = match wait(&agent, open, heard, idle, (&files, known)) {
        Why::Told | Why::Idle => {
            // Not where it starts anew: systemd would wait for an end, and then make one.
            supervision::stopping();
            End::Told
        }
        Why::Mended => End::Mended { handed, own },
    };
    end(&agent, &listeners);
    system::program::stop();
    Ok(ended)
}

/// Begins to serve the sockets.
fn listen(agent: &Arc<Agent>, sockets: Sockets) -> io::Result<Listeners> {
    let mut listeners = Listeners::new(Arc::clone(&agent.presence))?;
    let submission = served(agent, session::serve);
    let administration = served(agent, administration);
    for listener in sockets.submit {
        listeners.serve(Socket::Unix(listener), &submission)?;
    }
    for listener in sockets.control {
        listeners.serve(Socket::Unix(listener), &administration)?;
    }
    for listener in sockets.loopback {
        listeners.serve(Socket::Loopback(listener), &submission)?;
    }
    Ok(listeners)
}

fn served(agent: &Arc<Agent>, serve: fn(&Agent, &Connection) -> io::Result<()>) -> Serve {
    let agent = Arc::clone(agent);
    Arc::new(move |connection| {
        let served = serve(&agent, connection);
        lost(&agent.presence.owners, connection.uid, served);
    })
}

/// Listens on addresses that have become free.
fn listen_late(agent: &Arc<Agent>, listeners: &mut Listeners, own: &mut Own) {
    for listener in agent.deaf.opened() {
        own.keep(&listener);
        let served = served(agent, session::serve);
        if let Err(error) = listeners.serve(Socket::Loopback(listener), &served) {
            maillog::warning(&format!("listen: {error}"));
        }
    }
}

fn administration(agent: &Agent, connection: &Connection) -> io::Result<()> {
    connection.may_be_cut_off();
    control::serve(agent, &connection.stream, connection.uid)
}

/// What of alias files root was told of last.
const TOLD: &str = "tables.told";

/// Tells root, once, of alias files that are wrong; `known`: what was found the last time.
fn look_at_tables(agent: &Agent, known: &mut Option<String>) {
    let refused = agent.refused_tables();
    if known.as_ref() == Some(&refused) {
        return;
    }
    let spool = &agent.settings.spool;
    if refused.is_empty() {
        last_good::is_over(spool, TOLD);
    } else if last_good::is_news_of(spool, TOLD, &refused) {
        notices::tables(agent, &refused);
    }
    *known = Some(refused);
}

/// What of the password root was told of last.
const TOLD_PASSWORD: &str = "password.told";

/// Tells log and root, once, of a password that cannot be read.
fn look_at_password(agent: &Agent, known: &mut Option<String>) {
    let wrong = agent.refused_password();
    if *known == wrong {
        return;
    }
    let spool = &agent.settings.spool;
    match &wrong {
        None => last_good::is_over(spool, TOLD_PASSWORD),
        Some(wrong) => {
            line(Level::Error, wrong);
            if last_good::is_news_of(spool, TOLD_PASSWORD, wrong) {
                notices::password(agent, wrong);
            }
        }
    }
    *known = wrong;
}

/// Tells log and administrators, once, that the configuration is wrong.
fn tell(agent: &Agent) {
    let Some(fault) = &agent.fault() else {
        return;
    };
    let consequence = fault.consequence();
    line(
        Level::Error,
        &format_args!("{consequence}: {}", fault.summary()),
    );
    if !last_good::is_news(&agent.settings.spool, fault) {
        return;
    }
    notices::fault(agent, fault);
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
}

/// Why it is time to end.
enum Why {
    Told,
    Idle,
    Mended,
}

/// The files that the agent works by.
struct Files<'a, S> {
    /// Whether an agent could send with them.
    right: &'a dyn Fn() -> bool,
    /// What is wrong with them, if anything is.
    wrong: &'a dyn Fn() -> Option<String>,
    /// What they are known by.
    state: &'a dyn Fn() -> S,
}

/// Until it is time to end; `idle`: how long after there is nothing to do, if ever.
fn wait<S: PartialEq>(
    agent: &Arc<Agent>,
    (listeners, own): (&mut Listeners, &mut Own),
    signals: &Heard,
    idle: Option<Duration>,
    (files, mut known): (&Files<'_, S>, S),
) -> Why {
    let supervised = supervision::interval();
    let faulty = agent.settings.fault.is_some();
    let look = |waits: bool| {
        let most = if waits { LOOK } else { ROUND };
        let most = idle.map_or(most, |idle| most.min(idle));
        supervised
            .map_or(most, |interval| interval.min(most))
            .max(SHORTEST)
    };
    let (mut changed, mut looked) = (false, true);
    let mut right = None;
    let (mut tables, mut password) = (None, None);
    look_at_tables(agent, &mut tables);
    look_at_password(agent, &mut password);
    let spool = &agent.dispatch.spool;
    let waits = || faulty || !spool.is_empty() || spool.waits_for_segments();
    let is_short =
        |password: &Option<String>| waits() || password.is_some() || !agent.deaf.is_empty();
    let mut asked = false;
    loop {
        match signals.next(look(asked || is_short(&password))) {
            Some(Told::ReadAnew) => asked = read_anew(files, asked),
            Some(Told::End) => return Why::Told,
            None => {}
        }
        if idle.is_some_and(|idle| agent.presence.idle() >= idle) && is_over(agent, listeners) {
            return Why::Idle;
        }
        look_at_tables(agent, &mut tables);
        look_at_password(agent, &mut password);
        listen_late(agent, listeners, own);
        let now = waits().then(|| (files.state)());
        if let Some(now) = now.filter(|now| *now != known) {
            // Wrong ones are looked at again when they have changed again.
            (known, changed, right, looked) = (now, (files.right)(), None, false);
        } else if faulty && !mem::replace(&mut looked, true) {
            // They were left alone since.
            let wrong = (files.wrong)();
            if wrong.is_some_and(|wrong| agent.is_wrong_otherwise(&wrong)) {
                tell(agent);
            }
        }
        let whole = spool.is_mended();
        if (faulty && (files.right)()) || (changed && waits()) || asked || whole {
            let waited = right.get_or_insert_with(Instant::now).elapsed();
            let nobody = !agent.presence.idle().is_zero() || waited >= POLITE;
            // What is cut off at its last dot may arrive twice.
            let nothing = agent.dispatch.in_flight() == 0 || waited >= UNDERWAY;
            if nobody && nothing && are_gone(agent, listeners, waited) {
                let what = match (faulty, changed) {
                    _ if whole => "a part of the queue can be read again",
                    (true, _) => "the configuration is mended",
                    (_, true) => "the configuration is changed",
                    _ => "the configuration is read anew",
                };
                line(Level::Notice, &format_args!("{what}: starting anew"));
                return Why::Mended;
            }
        }
        log::tell_repeats();
        if supervised.is_some() {
            supervision::beat(agent);
        }
    }
}

/// Whether the agent is to start anew with its files, as somebody wants it, or wanted it before;
/// wrong ones change nothing.
fn read_anew<S>(files: &Files<'_, S>, before: bool) -> bool {
    if (files.right)() {
        if !before {
            let text = "SIGHUP: starting anew with the files as they are";
            line(Level::Notice, &text);
        }
        return true;
    }
    let wrong = (files.wrong)().unwrap_or_else(|| "not known what".to_owned());
    let text = format_args!("SIGHUP: the configuration is wrong, all stays as it was: {wrong}");
    line(Level::Error, &text);
    false
}

/// Whether no session is left. Then nothing more is accepted; else all goes on, unless they were
/// waited for long enough.
fn are_gone(agent: &Agent, listeners: &Listeners, waited: Duration) -> bool {
    listeners.pause();
    // Who has just come is not sent away.
    let gone = if waited < POLITE {
        agent.presence.is_empty()
    } else {
        agent.presence.dismiss_idle(BRIEF) || waited >= UNDERWAY
    };
    if !gone {
        agent.presence.keep();
        listeners.resume();
    }
    gone
}

/// Whether there is nothing to do. Then nothing more is accepted, so that it remains so.
fn is_over(agent: &Agent, listeners: &Listeners) -> bool {
    let spool = &agent.dispatch.spool;
    // Nobody else would see that a part of the queue can be read again.
    let is_empty = || agent.presence.is_empty() && spool.is_empty() && !spool.waits_for_segments();
    if !is_empty() {
        return false;
    }
    listeners.pause();
    // Somebody may have come before that.
    let over = is_empty();
    if !over {
        listeners.resume();
    }
    over
}

fn end(agent: &Agent, listeners: &Listeners) {
    listeners.pause();
    if !agent.presence.dismiss_idle(FINISH) {
        agent.presence.dismiss_all(BRIEF);
    }
    let (done, finished) = mpsc::channel();
    agent.dispatch.signal(Signal::Stop(done));
    // Either they finish or they are tried again at the next start.
    let _ = finished.recv_timeout(FINISH);
    log::tell_last_repeats();
    agent.dispatch.spool.close();
    agent.presence.wait_for_commits(FINISH);
    line(
        Level::Info,
        &format_args!(
            "stopped, {} messages in the queue",
            agent.dispatch.spool.len()
        ),
    );
}

/// A client that does not wait for the answer to QUIT is in order.
fn lost(owners: &Owners, uid: u32, served: io::Result<()>) {
    if let Err(error) = served
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        maillog::lost(owners, uid, &error);
    }
}
