//! What begins a drain, stops it, and forgets it.
//!
//! Contract: an order is on disk before it is in force. It is written under no lock but that of who
//! writes, and comes into force under those of the queue and of the state, which wait for no disk.

use std::{fs, io, sync::MutexGuard};

use mail::clock;

use super::{Claim, Draining, State, Stopped};
use crate::drain::Drain;

/// A drain that is on disk, and comes into force with [`Beginning::done`].
#[derive(Debug)]
pub(crate) struct Beginning<'a> {
    draining: &'a Draining,
    _alone: MutexGuard<'a, ()>,
    drain: Drain,
}

impl Beginning<'_> {
    /// It is in force, with so many messages in the queue, which is locked meanwhile.
    pub(crate) fn done(self, queued: usize) {
        let drain = Drain::new(&self.drain.to, &self.drain.pin, queued, clock::now());
        let mut state = self.draining.state();
        // What has come or gone since it was written.
        state.unwritten = true;
        state.drain = Some(drain);
        state.trouble = None;
        state.moves.again();
        drop(state);
        self.draining.changed.notify_one();
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        self.draining.state().beginning = false;
    }
}

/// A stop that is on disk, and comes into force with [`Stopping::done`].
#[derive(Debug)]
pub(crate) struct Stopping<'a> {
    draining: &'a Draining,
    _alone: MutexGuard<'a, ()>,
    asked: Option<String>,
}

impl Stopping<'_> {
    /// Mail is taken and delivered again; so many messages are in the queue, which is locked
    /// meanwhile.
    pub(crate) fn done(self, left: usize) -> Stopped {
        let mut state = self.draining.state();
        if let Some(drain) = &mut state.drain {
            drain.stopped = true;
        }
        // Said here: with its last message it is forgotten.
        let progress = state.progress(left, self.draining.inside());
        drop(state);
        self.draining.changed.notify_one();
        Stopped {
            progress,
            asked: self.asked,
        }
    }
}

impl Draining {
    /// Writes that it begins with so many messages. Failures: a text.
    pub(crate) fn begin(
        &self,
        claim: &Claim<'_>,
        to: &str,
        pin: &str,
        queued: usize,
    ) -> Result<Beginning<'_>, String> {
        let alone = self.write_alone();
        let mut state = self.state();
        if !claim.holds(&state) {
            return Err(claim.why(&state).to_owned());
        }
        state.beginning = true;
        drop(state);
        let beginning = Beginning {
            draining: self,
            _alone: alone,
            drain: Drain::new(to, pin, queued, clock::now()),
        };
        let written = self.write(&beginning.drain);
        written.map_err(|error| format!("not on disk: {error}"))?;
        Ok(beginning)
    }

    /// Writes that it ends.
    pub(crate) fn stop(&self) -> io::Result<Stopping<'_>> {
        let alone = self.write_alone();
        let mut state = self.state();
        // First, so that it begins nothing behind a stop that fails.
        let asked = state.asking.take().map(|(_, to)| to);
        self.asked.send_replace(());
        let unwritten = std::mem::take(&mut state.unwritten);
        let drain = state.drain.clone();
        drop(state);
        if let Some(drain) = drain {
            let stopped = Drain {
                stopped: true,
                ..drain
            };
            if let Err(error) = self.write(&stopped) {
                self.state().unwritten |= unwritten;
                return Err(error);
            }
        }
        Ok(Stopping {
            draining: self,
            _alone: alone,
            asked,
        })
    }

    /// It was stopped, and the other server knows all that has left.
    pub(crate) fn forget(&self) {
        let _alone = self.write_alone();
        let mut state = self.state();
        if state.drain.as_ref().is_none_or(|drain| !drain.stopped) {
            return;
        }
        *state = State {
            asking: state.asking.take(),
            claims: state.claims,
            gave_way: state.gave_way,
            ..State::default()
        };
        drop(state);
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.unwritten(&error),
            _ => {}
        }
    }
}
