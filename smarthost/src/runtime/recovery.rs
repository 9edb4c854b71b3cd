//! What a start takes back: the queue from the spool, counters and memory from the state.
//!
//! Contract: nothing is lost that was accepted; what is damaged is told, and put aside.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use anyhow::Context as _;
use mail::{address::Sender, clock};
use spool::{self, Recovery, Spool};
use system::{
    fs,
    log::{Level, line},
};

use crate::{
    config::{Config, Noted},
    dispatch::{self, Dispatch, Event, Queue},
    draining::Draining,
    news::Teller,
    server::notify,
    setup::{Current, Setup},
    state::{self, Keeper, Memory, Store},
};

/// Opens spool and state, and takes back what is in them; with the state's lock. `kept`: one that
/// is held already.
pub(super) fn recover(
    path: &Path,
    current: &Current,
    kept: Option<(PathBuf, File)>,
) -> anyhow::Result<(Arc<Dispatch>, Memory, Keeper, Option<File>)> {
    let setup = current.get();
    let config = &setup.config;
    for directory in [&config.spool, &config.state] {
        fs::create_directory(directory, 0o700)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let lock = match kept.filter(|(state, _)| *state == config.state) {
        Some((_, lock)) => Some(lock),
        None => state::lock(&config.state).map_err(anyhow::Error::msg)?,
    };
    let (spool, recovery) = spool_of(path, config, current.fault().is_none())?;
    note(config, current.only_queues());
    setup.tickets.turn(clock::now());
    let (memory, keeper, lost) = remembered(&setup);
    let draining = Draining::open(&config.state);
    let mut queue = Queue::new(
        dispatch::queue_settings(config, current.only_queues()),
        getrandom::u64()?,
    );
    queue.set_transports(dispatch::transports(config), clock::now());
    refill(&mut queue, &spool, &memory, draining.to().is_some());
    line(
        Level::Info,
        &format_args!(
            "queue: {} messages, {} bytes of a torn write cut",
            spool.len(),
            recovery.cut
        ),
    );
    let activity = Arc::clone(&memory.activity);
    let news = Teller::new(Arc::clone(&memory.notices), keeper.clone());
    let lessons = Arc::clone(&memory.lessons);
    let dispatch = Dispatch::new(spool, queue, (activity, lessons), news, draining);
    note_dead(&dispatch);
    if let Some(lost) = lost {
        let told = notify::of_damaged_counters(&config.hostname, &lost);
        dispatch.news().tell(told);
    }
    Ok((Arc::new(dispatch), memory, keeper, lock))
}

/// Notes where this daemon is found, whatever the files say next. `needs`: the configuration is one
/// of need, so that what is kept stays where it was.
fn note(config: &Config, needs: bool) {
    let before = Noted::read(&config.spool).filter(|_| needs);
    let noted = Noted {
        state: before.map_or_else(|| config.state.clone(), |before| before.state),
        control: config.control.clone(),
    };
    if let Err(error) = noted.write(&config.spool) {
        let spool = config.spool.display();
        let text = format_args!("{spool}: where state and control are cannot be noted: {error}");
        line(Level::Warning, &text);
    }
}

/// The spool, with what was queued while nothing said where it is,
/// or by an earlier configuration; `right`: this one is what the files say.
fn spool_of(path: &Path, config: &Config, right: bool) -> anyhow::Result<(Spool, Recovery)> {
    let opened = Spool::open(&config.spool, spool::Options::default());
    // It tells its own cause.
    let (spool, recovery) = opened.map_err(|error| anyhow::Error::msg(error.to_string()))?;
    for alarm in recovery.alarms(&config.spool) {
        line(Level::Error, &alarm);
    }
    spool.adopt(&Config::refuge(path));
    spool.adopt_earlier(&config.notes_of_spools(path), right);
    Ok((spool, recovery))
}

/// What was counted and learned before; and what of it is gone, if anything is.
fn remembered(setup: &Setup) -> (Memory, Keeper, Option<String>) {
    let config = &setup.config;
    let (store, restored) = Store::begin(&config.state);
    let lost = restored.quarantined.as_ref().map(|path| {
        let back = match restored.copied {
            0 => "limits that were raised and mail that is expected are gone, too".to_owned(),
            rows => format!(
                "{rows} rows of raised limits and of mail that is expected came back from their copy"
            ),
        };
        format!(
            "the counters were damaged and start anew; the old ones are in {}. Gone is what clients have sent today, who brings mail, the greylist, and what was refused; {back}",
            path.display()
        )
    });
    if let Some(lost) = &lost {
        line(Level::Error, lost);
    }
    let now = clock::now();
    let tokens = Arc::clone(&setup.tokens);
    let (memory, unread) = Memory::of(config.limits.clone(), restored, tokens, now);
    for text in unread {
        line(Level::Warning, &text);
    }
    memory
        .expected
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .set_settings(&config.expected, now);
    let keeper = store.keep(memory.clone());
    (memory, keeper, lost)
}

/// Gives the queue what lies in the spool, and what is known of next hops; `drains`: it rests, to
/// move.
fn refill(queue: &mut Queue, spool: &Spool, memory: &Memory, drains: bool) {
    let lessons = memory.lessons.lock();
    for lesson in lessons.unwrap_or_else(PoisonError::into_inner).all() {
        queue.teach(lesson.clone());
    }
    let now = clock::now();
    for entry in spool.walk_entries() {
        let mut found = queue::Recovered::of(&entry, None);
        found.held |= drains;
        queue.handle(Event::Recovered(found), now);
    }
}

/// Tells of bounces that nobody took and that wait for an administrator.
fn note_dead(dispatch: &Dispatch) {
    let all = dispatch.spool().walk();
    let is_dead = |entry: &spool::Entry, parties: &spool::Parties| {
        entry.hold.is_held() && parties.sender.is_empty()
    };
    for (entry, _) in all.filter(|(entry, parties)| is_dead(entry, parties)) {
        // What cannot be read is told when it is looked at.
        if let Ok(Some(stored)) = dispatch.spool().load(entry.id)
            && stored.envelope.sender == Sender::Null
        {
            dispatch.note_dead(&stored);
        }
    }
}
