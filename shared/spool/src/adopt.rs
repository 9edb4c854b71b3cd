//! Mail of another spool becomes this one's: of the place where it was queued while nothing said
//! where, or by an earlier configuration; and of another server, a message at a time.
//!
//! Contract: a message keeps its id, arrival and state, and is on disk here before it leaves there.
//! While this goes on nobody delivers, here or there: after a crash in between the message is found
//! in both, and is still one.
//! Failures: told in the log, and an alarm. What cannot be read, or cannot leave, stays there, and
//! is not delivered from here.

use std::{path::Path, sync::mpsc};

use super::{
    Draft, Entry, Event, Hold, Options, QueueId, Spool, SpoolError, Waiting,
    journal::{self, Level},
    layout::Layout,
    lock, queued,
    record::{State, What},
    recovered::names,
};
use mail::clock::Timestamp;

/// Messages that are copied together.
const BATCH: usize = 64;

impl Spool {
    /// Begins a message that was queued on another server, under its id and as old as it is there;
    /// `arriving`: [`Hold::Arriving`]. How its recipients wait: [`Entry::waiting`], all of them.
    pub fn draft_moved(
        &self,
        id: QueueId,
        arrival: Timestamp,
        hold: Hold,
        warned: bool,
        waiting: Vec<Waiting>,
        giver: &str,
    ) -> Draft {
        self.open.ids.known(id);
        let mut draft = self.draft_as(id);
        draft.came(arrival);
        draft.hold(hold);
        draft.known(warned, waiting, Some(giver.into()));
        draft
    }

    /// Takes over what is queued in another directory, if a spool is there; before anything is
    /// delivered.
    pub fn adopt(&self, directory: &Path) {
        let own = &self.open.committer.layout.root;
        let real = |path: &Path| path.canonicalize().ok();
        if real(directory).is_some_and(|theirs| real(own) != Some(theirs)) {
            let whose = "where it was queued while no configuration said where";
            self.take_all(directory, false, whose);
        }
    }

    /// The same of a place that is not this one; whether nothing is left there. What is left is
    /// told; `whose`: why mail was there. `sparing`: none is taken where new mail would have no
    /// room then.
    pub(super) fn take_all(&self, place: &Path, sparing: bool, whose: &str) -> bool {
        let why = self.adopted(place, sparing).err();
        let left = queued(place);
        let is_done = why.is_none() && matches!(left, Ok(0));
        if !is_done {
            self.left_behind(place, left.ok(), whose, why.as_deref());
        }
        is_done
    }

    /// Tells of mail that nobody delivers from there.
    fn left_behind(&self, place: &Path, count: Option<u64>, whose: &str, why: Option<&str>) {
        let place = place.display();
        let count = count.map_or_else(
            || "mail may".to_owned(),
            |count| format!("{count} messages"),
        );
        let is_told = why.is_some();
        let why = why.unwrap_or("damaged, or not readable");
        let text = format!(
            "spool: {count} wait in {place}, {whose}, and cannot be taken over: {why}; mend that \
             (from a copy, if its files are damaged) and restart, which moves them here (systemd \
             wants ReadWritePaths={place} for it), or serve them there, where they can be \
             returned: spool = \"{place}\""
        );
        if !is_told {
            journal::line(Level::Error, &text);
        }
        lock(&self.open.committer.found).push(text);
    }

    /// The error: why mail waits there that is not taken over.
    fn adopted(&self, directory: &Path, sparing: bool) -> Result<(), String> {
        if !has_mail(directory) {
            return Ok(());
        }
        let shown = directory.display();
        match self.adopt_all(directory, sparing) {
            Ok(0) => {}
            Ok(taken) => {
                let text = format_args!(
                    "spool: {taken} messages that were queued in {shown} are taken over"
                );
                journal::line(Level::Notice, &text);
            }
            Err(error) => {
                let text = format_args!(
                    "spool: mail that is queued in {shown} is not taken over, and waits there: {error}"
                );
                journal::line(Level::Error, &text);
                return Err(error.to_string());
            }
        }
        Ok(())
    }

    fn adopt_all(&self, directory: &Path, sparing: bool) -> Result<usize, SpoolError> {
        let options = Options {
            segment: self.open.committer.segment_size,
            ..Options::default()
        };
        let (other, recovery) = Self::open(directory, options)?;
        for alarm in recovery.alarms(directory) {
            journal::line(Level::Error, &alarm);
        }
        let taken = self.take_over(&other, sparing);
        other.close();
        taken
    }

    pub(super) fn take_over(&self, other: &Self, sparing: bool) -> Result<usize, SpoolError> {
        let mut taken = Vec::new();
        let mut room = Ok(());
        for batch in other.entries().chunks(BATCH) {
            if sparing {
                room = self.has_room(batch.iter().map(|entry| entry.size).sum());
                if room.is_err() {
                    break;
                }
            }
            let (told, done) = mpsc::channel();
            for entry in batch {
                let told = told.clone();
                self.copy(other, entry, move |copied| {
                    // The receiver below outlives every sender.
                    let _ = told.send(copied);
                });
            }
            drop(told);
            let mut here = Vec::new();
            for copied in done {
                match copied {
                    Ok(id) => here.push(id),
                    Err(error) => journal::line(Level::Error, &format_args!("spool: {error}")),
                }
            }
            for entry in batch.iter().filter(|entry| here.contains(&entry.id)) {
                self.inherit(entry);
            }
            taken.append(&mut here);
        }
        let moved = self.commit().and_then(|()| other.forget(&taken));
        if let Err(error) = moved {
            // Sent from here, it would come back from there.
            self.forget(&taken)?;
            return Err(error);
        }
        room.map(|()| taken.len())
    }

    fn forget(&self, ids: &[QueueId]) -> Result<(), SpoolError> {
        for id in ids {
            self.record(*id, Event::Removed);
        }
        self.commit()
    }

    /// The message itself, unless a crash has left it in both.
    fn copy(
        &self,
        other: &Self,
        entry: &Entry,
        done: impl FnOnce(Result<QueueId, SpoolError>) + Send + 'static,
    ) {
        if self.entry(entry.id).is_some() {
            return done(Ok(entry.id));
        }
        self.open.ids.known(entry.id);
        let drafted = other.load(entry.id).and_then(|stored| {
            let Some(stored) = stored else {
                return Ok(None);
            };
            let mut draft = self.draft_as(entry.id);
            draft.came(entry.arrival);
            draft.hold(entry.hold);
            draft.copy(&stored)?;
            Ok(Some((draft, stored)))
        });
        match drafted {
            Ok(Some((draft, stored))) => {
                self.accept_then(draft, &stored.envelope, &stored.header, done);
            }
            Ok(None) => {}
            Err(error) => done(Err(error)),
        }
    }

    /// What became of it there; whoever has it in either spool does not get it again.
    fn inherit(&self, there: &Entry) {
        let Some(here) = self.entry(there.id) else {
            return;
        };
        let waits = |it: &&Waiting| here.waiting.iter().any(|own| own.recipient == it.recipient);
        let waiting: Vec<Waiting> = there.waiting.iter().filter(waits).cloned().collect();
        let warned = here.warned || there.warned;
        let repeats = there.repeats.or(here.repeats);
        let state = State::of(here.hold, warned, repeats, &waiting);
        let state = state.with_giver(there.giver.as_ref().or(here.giver.as_ref()));
        let committer = &self.open.committer;
        committer.record(there.id, What::State(state));
    }
}

/// Whether there are segments: an empty one in reserve is none.
fn has_mail(directory: &Path) -> bool {
    let layout = Layout::new(directory);
    names(&layout.segments).is_ok_and(|names| {
        names
            .iter()
            .any(|name| layout.segments.join(name) != layout.spare)
    })
}
