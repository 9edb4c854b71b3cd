//! The daemon from start to end.
//!
//! Contract: what was queued is recovered before anybody can connect; at SIGTERM or SIGINT sessions
//! end with 421, deliveries in flight may finish for a moment, then counters and queue are written
//! out. SIGHUP reloads. Tables are looked at each second; while they or the configuration are known
//! to be wrong all files are; the mended ones are reloaded, or, where mail was only queued until
//! then, the daemon starts anew with the same sockets; so it does when a part of the queue can be
//! read that the start could not.
//! Failures: whatever prevents the start is an error with its remedy; nothing half-started is left.

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use mail::clock;
use settings::last_good::{self, Fault};
use signal_hook::consts::{SIGALRM, SIGUSR1, SIGUSR2, SIGXFSZ};
use system::log::{self, Level, line};
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time,
};

use super::{
    control, page,
    reading::{Done, Reading},
    recovery::recover,
    reload::{Reload, Seen},
    supervision,
};
use crate::{
    config::{Config, LogFormat},
    delivery::{self, Deliveries},
    dispatch::{self, Dispatch},
    dns::Dnssec,
    server::{Server, listen, notify, test_lists},
    setup::{Current, Setup},
    state::{self, Keeper},
    trail::Trail,
};

/// Threads that drive sockets: the work is cheap, the disk decides.
const WORKERS: usize = 2;
/// How long sessions and deliveries may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// How long deliveries under way may keep the daemon from starting anew.
const UNDERWAY: Duration = Duration::from_mins(1);

/// How often files that are wrong are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is tried to make a control socket that could not be made.
const ANEW: Duration = Duration::from_secs(2);

/// How often it is looked which policies of MTA-STS end soon.
const REFRESH: Duration = Duration::from_hours(1);
/// How often it is looked whether the keys of session tickets are to be changed.
const TURN: Duration = Duration::from_mins(1);
/// How often DNSSEC is tested.
const TEST: Duration = Duration::from_mins(10);

/// Why the daemon ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Told,
    /// Files are right, or parts of the queue whole again, which are only read at a start.
    Mended,
}

/// Runs the daemon until it is told to end.
pub fn run(path: &Path) -> anyhow::Result<()> {
    log::init("smarthost");
    let _lines = log::write_apart();
    system::descriptors::raise();
    let handed = listen::inherited();
    let trail = Arc::default();
    loop {
        let kept = take_state(path)?;
        let there = handed.iter().filter_map(|it| it.local_addr().ok());
        let (setup, fault) = Setup::start(path, &there.collect::<Vec<_>>())?;
        if setup.config.log_format == LogFormat::Postfix {
            log::tag_as_postfix(&setup.config.hostname);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("smarthost")
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let ended = runtime.block_on(live(path, (setup, fault, kept), &handed, &trail));
        if matches!(ended, Ok(End::Told) | Err(_)) {
            system::program::stop();
        }
        // Name lookups may still hang in the system's resolver: nobody waits for them.
        runtime.shutdown_background();
        if ended? == End::Told {
            return Ok(());
        }
    }
}

/// The lock of a directory for what is kept.
type Kept = Option<(PathBuf, File)>;

/// Takes the place where something is kept before anything of it is touched: another daemon's is
/// left alone, however soon after each other they start.
fn take_state(path: &Path) -> anyhow::Result<Kept> {
    let Ok((config, _)) = Config::load_anyway(path) else {
        return Ok(None);
    };
    let state = config.state;
    state::wait_for(&state, |error| {
        let text = format_args!("state {}: {error}; the start waits for it", state.display());
        line(Level::Error, &text);
    });
    if !state::is_kept(&state) && !state::is_taken(&state) {
        return Ok(None);
    }
    let lock = state::lock(&state).map_err(anyhow::Error::msg)?;
    Ok(lock.map(|lock| (state, lock)))
}

/// Signals that mean nothing here, and are no end: a limit of file sizes (SIGXFSZ) is an error of
/// the write.
const IGNORED: [i32; 4] = [SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM];

/// SIGTERM, SIGINT, SIGHUP.
fn signals() -> io::Result<[Signal; 3]> {
    for ignored in IGNORED {
        signal_hook::flag::register(ignored, Arc::default())?;
    }
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let [end, interrupt, reload] = kinds.map(signal);
    Ok([end?, interrupt?, reload?])
}

/// What is wrong with the files, if anything is.
fn told(current: &Current, server: &Server) {
    if let Some(fault) = current.fault() {
        let consequence = fault.consequence();
        line(
            Level::Error,
            &format_args!("{consequence}: {}", fault.summary()),
        );
        tell(server, &fault);
    }
}

async fn live(
    path: &Path,
    (setup, fault, kept): (Setup, Option<Fault>, Kept),
    handed: &[StdListener],
    trail: &Arc<Trail>,
) -> anyhow::Result<End> {
    // Heard from the beginning: a reload that comes during the start must not end the daemon.
    let signals = signals()?;
    let started = clock::now();
    setup.enrolled.tend();
    let current = Arc::new(Current::new(setup, fault));
    let (dispatch, memory, keeper, _lock) = recover(path, &current, kept)?;
    let (probes, asked) = Dispatch::probes();
    let (end, ending) = watch::channel(false);
    let server = Server::new(&current, &dispatch, &memory, (&keeper, probes), &ending);
    let server = Arc::new(server);
    let config = current.get().config.clone();
    let (listeners, deaf) = listen::open(&config, handed)?;
    let addresses = listen::addresses(&listeners).into_iter();
    let addresses: Vec<String> = addresses.map(|it| it.to_string()).collect();
    let held = held(&config, &listeners);
    let reload = Arc::new(Reload::new(path, &server, config.clone(), held));
    let (page, web_fault) = page::listen(config.web.as_ref(), trail).await;
    let control = Arc::new(control::Control {
        next_hops: Arc::default(),
        server: Arc::clone(&server),
        reload: Arc::clone(&reload),
        started,
        listen: addresses.clone(),
        deaf: Arc::clone(&deaf),
        trail: Arc::clone(trail),
        web_fault: Mutex::new(web_fault),
        kept: Mutex::default(),
    });

    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(listener.serve(Arc::clone(&server)));
    }
    look_after(&mut tasks, &server);
    let known = Arc::clone(&control.next_hops);
    send(&mut tasks, &dispatch, (&current, known), asked, &ending);
    page::serve(&mut tasks, (page, config.web.clone()), &control, &ending);
    let socket = control_socket(&config).await;
    tasks.spawn(administer(socket, control, ending));
    tasks.spawn(Arc::clone(&deaf).retry(Arc::clone(&server)));
    announce(&current, &addresses);
    supervision::ready();
    tasks.spawn(supervision::watchdog(end.subscribe()));

    told(&current, &server);
    notify::of_no_listener(&server, &deaf.alarms());
    let ended = wait_for_end(signals, &reload, &server).await?;
    if ended == End::Told {
        // Where it starts anew, systemd would wait for an end, and then make one.
        supervision::stopping();
    }
    let text = "ending: sessions and deliveries in flight may finish";
    line(Level::Notice, &text);
    // Without receivers there is nobody to tell.
    let _ = end.send(true);
    finish(tasks).await;
    conclude(&keeper, &dispatch);
    Ok(ended)
}

/// What goes on beside mail.
fn look_after(tasks: &mut JoinSet<()>, server: &Arc<Server>) {
    let (current, ending) = (&server.current, &server.ending);
    tasks.spawn(notify::run(Arc::clone(server)));
    let budget = Arc::clone(&server.budget);
    tasks.spawn(budget.run(server.state.clone(), ending.clone()));
    tasks.spawn(test_lists(Arc::clone(server)));
    tasks.spawn(test_dnssec(Arc::clone(server)));
    tasks.spawn(turn_ticket_keys(Arc::clone(current), ending.clone()));
    tasks.spawn(refresh_policies(Arc::clone(current), ending.clone()));
}

/// What brings mail away, with what it has learned of next hops.
fn send(
    tasks: &mut JoinSet<()>,
    dispatch: &Arc<Dispatch>,
    (current, known): (&Arc<Current>, Arc<Mutex<relay::delivery::Memory>>),
    asked: mpsc::Receiver<dispatch::Probe>,
    ending: &watch::Receiver<bool>,
) {
    let (queue, setup) = (Arc::clone(dispatch), Arc::clone(current));
    tasks.spawn(delivery::moving::run(queue, setup, ending.clone()));
    let (queue, setup) = (Arc::clone(dispatch), Arc::clone(current));
    let deliveries = Arc::new(Deliveries::new(queue, setup, known));
    tasks.spawn(delivery::run(Arc::clone(&deliveries), ending.clone()));
    tasks.spawn(delivery::probe::run(deliveries, asked, ending.clone()));
}

/// Sessions and deliveries in flight may finish.
async fn finish(mut tasks: JoinSet<()>) {
    let finished = time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tasks.shutdown().await;
    }
}

/// Everything is written, and nobody is answered any more.
fn conclude(keeper: &Keeper, dispatch: &Dispatch) {
    keeper.finish();
    log::tell_last_repeats();
    dispatch.spool().close();
    line(Level::Notice, &"ended");
}

/// Addresses that are listened on, now or as soon as that works.
fn held(config: &Config, listeners: &[listen::Listener]) -> Vec<SocketAddr> {
    let mut held = listen::addresses(listeners);
    held.extend(config.listen.iter().map(|it| it.address));
    held
}

/// Where administrators ask. Mail does not wait for them: without it the daemon goes on.
async fn control_socket(config: &Config) -> Option<UnixListener> {
    let bound = control::bind(&config.control, control::MODE).await;
    let told = |error: &anyhow::Error| {
        let text = format_args!("no control socket, so no orders are taken: {error:#}");
        line(Level::Error, &text);
    };
    bound.inspect_err(told).ok()
}

/// Answers administrators; a socket that could not be made at the start is made when it can be.
async fn administer(
    mut socket: Option<UnixListener>,
    control: Arc<control::Control>,
    mut ending: watch::Receiver<bool>,
) {
    let path = control.server.current.get().config.control.clone();
    while socket.is_none() {
        tokio::select! {
            () = time::sleep(ANEW) => {}
            _ = ending.wait_for(|ending| *ending) => return,
        }
        socket = control::bind(&path, control::MODE).await.ok();
        if socket.is_some() {
            let text = format_args!("made the control socket: {}", path.display());
            line(Level::Notice, &text);
        }
    }
    control::serve(socket, control, ending).await;
}

/// Tests DNSSEC where a setting wants it, now and then, and tells what has changed.
async fn test_dnssec(server: Arc<Server>) {
    let mut ending = server.ending.clone();
    loop {
        let setup = server.current.get();
        if let Some(found) = server.world.test_dnssec(&setup).await {
            let level = match found {
                Dnssec::Works => Level::Notice,
                Dnssec::Missing(_) => Level::Warning,
            };
            line(level, &found);
        }
        drop(setup);
        tokio::select! {
            () = time::sleep(TEST) => {}
            _ = ending.wait_for(|ending| *ending) => return,
        }
    }
}

/// Changes the keys of session tickets daily.
async fn turn_ticket_keys(current: Arc<Current>, mut ending: watch::Receiver<bool>) {
    let turning = async {
        loop {
            time::sleep(TURN).await;
            let tickets = Arc::clone(&current.get().tickets);
            // Without it the old ones are good for another day.
            let _ = spawn_blocking(move || tickets.turn(clock::now())).await;
        }
    };
    tokio::select! {
        () = turning => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
}

/// Fetches policies of MTA-STS anew before they end, also of domains that nobody writes to.
async fn refresh_policies(current: Arc<Current>, mut ending: watch::Receiver<bool>) {
    let refreshing = async {
        loop {
            let setup = current.get();
            if setup.config.mta_sts {
                let policies = Arc::clone(&setup.mta_sts);
                policies.refresh(&setup.resolver, &setup.trusts).await;
            }
            time::sleep(REFRESH).await;
        }
    };
    tokio::select! {
        () = refreshing => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
}

/// Tells the administrators, once, what is wrong with the configuration.
fn tell(server: &Server, fault: &Fault) {
    let setup = server.current.get();
    if last_good::is_news(&setup.config.state, fault) {
        notify::of_fault(server, fault);
    }
}

fn announce(current: &Current, addresses: &[String]) {
    let setup = current.get();
    let version = env!("CARGO_PKG_VERSION");
    line(
        Level::Notice,
        &format_args!(
            "smarthost {version} for {} listens on {}",
            setup.config.hostname,
            addresses.join(", ")
        ),
    );
    if let Some(identity) = &setup.identity {
        line(
            Level::Notice,
            &format_args!("clients pin this key: {}", identity.pin),
        );
    }
}

/// Whether the start anew is due that takes what can be read of the queue by now; `since`: when
/// that was seen. What is being delivered ends first, if it does soon.
fn is_whole_again(server: &Server, since: &mut Option<Instant>) -> bool {
    if !server.dispatch.spool().is_mended() {
        *since = None;
        return false;
    }
    let since = since.get_or_insert_with(Instant::now);
    server.dispatch.lock().in_flight() == 0 || since.elapsed() >= UNDERWAY
}

/// Reloads at each SIGHUP, and when wrong files are mended; returns at SIGTERM or SIGINT, or to
/// start anew.
async fn wait_for_end(
    mut signals: [Signal; 3],
    reload: &Arc<Reload>,
    server: &Server,
) -> anyhow::Result<End> {
    let [terminate, interrupt, hangup] = &mut signals;
    let mut look = time::interval(LOOK);
    let mut reading = Reading::new(reload);
    let (mut told, mut whole) = (false, None);
    loop {
        if is_whole_again(server, &mut whole) {
            line(
                Level::Notice,
                &"a part of the queue can be read again: starting anew",
            );
            return Ok(End::Mended);
        }
        let done = tokio::select! {
            _ = terminate.recv() => return Ok(End::Told),
            _ = interrupt.recv() => return Ok(End::Told),
            _ = hangup.recv() => {
                supervision::reloading();
                told = true;
                reading.reload();
                continue;
            }
            _ = look.tick() => {
                reading.look();
                continue;
            }
            done = reading.done() => done?,
        };
        match done {
            Done::Looked(Seen::Nothing) | Done::Reloaded(Ok(_)) => {}
            Done::Looked(Seen::Wrong(fault)) | Done::Reloaded(Err(fault)) => tell(server, &fault),
            Done::Looked(Seen::Mended) if reload.current.only_queues() => {
                line(Level::Notice, &"the configuration is mended: starting anew");
                return Ok(End::Mended);
            }
            Done::Looked(Seen::Mended) => reading.reload(),
        }
        if told && !reading.is_reloading() {
            told = false;
            supervision::ready();
        }
    }
}
