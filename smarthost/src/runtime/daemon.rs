//! The daemon from start to end.
//!
//! Contract: what was queued is recovered before anybody can connect; at SIGTERM or SIGINT sessions end with 421, deliveries in flight may finish
//! for a moment, then counters and queue are written out. SIGHUP reloads.
//! Failures: whatever prevents the start is an error with its remedy; nothing half-started is left.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use mail::clock;
use spool::{self, Hold, Spool};
use system::{
    fs,
    log::{self, Level, line},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time,
};

use super::{control, reload, supervision};
use crate::{
    delivery::{self, Carrier},
    dispatch::Dispatch,
    limits::Limits,
    queue::{self, Queue},
    server::{Gate, Reception, listen},
    setup::{Current, Setup},
    state::{Keeper, Store},
};

/// Threads that drive sockets: the work is cheap, the disk decides.
const WORKERS: usize = 2;
/// How long sessions and deliveries may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the daemon until it is told to end.
pub fn run(path: &Path) -> anyhow::Result<()> {
    log::init("smarthost");
    let setup = Setup::load(path, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("smarthost")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(live(path, setup));
    // Name lookups may still hang in the system's resolver: nobody waits for them.
    runtime.shutdown_background();
    ended
}

async fn live(path: &Path, setup: Setup) -> anyhow::Result<()> {
    let started = clock::now();
    let (dispatch, limits, keeper) = recover(&setup)?;
    let (end, ending) = watch::channel(false);
    let current = Arc::new(Current::new(setup));
    let reception = Arc::new(Reception {
        current: Arc::clone(&current),
        dispatch: Arc::clone(&dispatch),
        limits: Arc::clone(&limits),
        state: keeper.clone(),
        gate: Arc::new(Gate::default()),
        ending: ending.clone(),
    });
    let doors = listen::open(&current.get().config)?;
    let addresses: Vec<String> = doors.iter().map(|door| door.address.to_string()).collect();
    let desk = control::Desk {
        reception: Arc::clone(&reception),
        started,
        listen: addresses.clone(),
    };
    let socket = control::bind(&current.get().config.control)?;

    let mut tasks = JoinSet::new();
    for door in doors {
        tasks.spawn(door.serve(Arc::clone(&reception)));
    }
    tasks.spawn(delivery::run(
        Arc::new(Carrier::new(Arc::clone(&dispatch), Arc::clone(&current))),
        ending.clone(),
    ));
    tasks.spawn(control::serve(socket, Arc::new(desk), ending));
    announce(&current, &addresses);
    supervision::ready();
    tasks.spawn(supervision::watchdog(end.subscribe()));

    wait_for_end(path, &current, &limits).await?;
    supervision::stopping();
    line(
        Level::Notice,
        &"ending: sessions and deliveries in flight may finish",
    );
    // Without receivers there is nobody to tell.
    let _ = end.send(true);
    let finished = time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tasks.shutdown().await;
    }
    keeper.flush();
    dispatch.spool().close();
    // The socket may be gone already.
    let _ = std::fs::remove_file(&current.get().config.control);
    line(Level::Notice, &"ended");
    Ok(())
}

/// Opens spool and state, and takes back what is in them.
fn recover(setup: &Setup) -> anyhow::Result<(Arc<Dispatch>, Arc<Mutex<Limits>>, Keeper)> {
    let config = &setup.config;
    for directory in [&config.spool, &config.state] {
        fs::create_directory(directory, 0o700)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let (spool, recovery) = Spool::open(&config.spool, spool::Options::default())?;
    if recovery.quarantined > 0 {
        let place = config.spool.join("quarantine");
        let text = format_args!(
            "{} damaged parts of the queue were moved to {}; look at them",
            recovery.quarantined,
            place.display()
        );
        line(Level::Error, &text);
    }
    let (store, restored) = Store::open(&config.state)?;
    if let Some(path) = restored.quarantined {
        line(
            Level::Error,
            &format_args!(
                "the counters were damaged and start anew; the old ones are in {}",
                path.display()
            ),
        );
    }
    let now = clock::now();
    let mut limits = Limits::new(config.limits.clone());
    for (client, record) in restored.limits {
        if !limits.restore(client, &record, now) {
            line(
                Level::Warning,
                &format_args!("the counter of {client} cannot be read and starts anew"),
            );
        }
    }
    let limits = Arc::new(Mutex::new(limits));
    let keeper = store.keep(Arc::clone(&limits));
    let mut queue = Queue::new(queue_settings(setup), getrandom::u64()?);
    for entry in spool.entries() {
        let waiting = entry.waiting.iter().map(|waiting| queue::Waiting {
            recipient: waiting.recipient,
            until: waiting.until,
        });
        let found = queue::Event::Recovered {
            id: entry.id,
            arrival: entry.arrival,
            held: entry.hold != Hold::No,
            warned: entry.warned,
            waiting: waiting.collect(),
        };
        queue.handle(found, now);
    }
    line(
        Level::Info,
        &format_args!(
            "queue: {} messages, {} bytes of a torn write cut",
            recovery.messages, recovery.cut
        ),
    );
    Ok((Arc::new(Dispatch::new(spool, queue)), limits, keeper))
}

fn queue_settings(setup: &Setup) -> queue::Settings {
    let config = &setup.config;
    queue::Settings {
        schedule: config.retry.schedule,
        warning: config.retry.warning,
        destination_concurrency: config.concurrency.destination,
        deliveries: config.concurrency.deliveries,
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

/// Reloads at each SIGHUP; returns at SIGTERM or SIGINT.
async fn wait_for_end(
    path: &Path,
    current: &Current,
    limits: &Mutex<Limits>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => {
                supervision::reloading();
                reload::reload(path, current, limits);
                supervision::ready();
            }
        }
    }
}
