//! Whether this server is being emptied into another, as everybody who takes or sends mail needs
//! it; kept in a file, so that a start goes on with it.
//!
//! Contract: what is begun or stopped is on disk before it is in force. One order at a time asks
//! another server whether it would have the mail ([`Claim`]); a stop ends it. Counts are written by
//! [`Draining::keep`] after they have changed, up to the stop: during a drain hardly any mail comes
//! or ends here. Nothing is written or removed under the queue's lock or that of the state: the
//! disk may take its time, or not answer.
//! Failures: a file that cannot be read is told, and set aside as one that says nothing: the mail
//! is delivered from here, but for what had left already.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use control::order::Order;
use mail::{
    clock::{self, Timestamp},
    nexthop::Nexthop,
};
use spool::{Entry, Hold, QueueId};
use system::log::{Level, line};
use tokio::sync::{Notify, watch};

use crate::drain::{Drain, Moves, Progress};

mod orders;

/// Its name in `state`.
const FILE: &str = "drain";
/// Longest one, bytes.
const MOST: u64 = 1024 * 1024;

/// Of an order that a stop ended before it had begun.
pub(crate) const ENDED: &str =
    "smarthost drain --stop has ended this before it began: mail is accepted and delivered";

/// Of an order that gave way to another server's.
const GAVE_WAY: &str = "the server at the other end asked at the same moment whether its mail may \
     come here, and it may: nothing is emptied from here; see there how far it is";

/// What a stop has ended.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// How far the drain came, with so many messages left; `None`: there was none.
    pub(crate) progress: Option<Progress>,
    /// The server that was still asked; nothing had begun.
    pub(crate) asked: Option<String>,
}

/// Why no other server's queue may come: this one is emptied into that, or asks to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Closed {
    Emptied(String),
    Asks(String),
}

/// What there is to know, and to wait for.
#[derive(Debug)]
pub(crate) struct Draining {
    path: PathBuf,
    state: Mutex<State>,
    /// Held by who writes; taken before the queue and the state.
    writing: Mutex<()>,
    /// One more for each client that is inside a message.
    inside: Arc<()>,
    /// What nobody else is called, until the next start.
    name: String,
    changed: Notify,
    /// A stop has been ordered.
    asked: watch::Sender<()>,
}

/// A client is inside a message, which may still be accepted.
#[derive(Debug)]
pub(crate) struct Inside {
    _counted: Arc<()>,
}

/// Whoever asks another server whether it would have the mail; nobody else does meanwhile.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    draining: &'a Draining,
    number: u64,
}

impl Claim<'_> {
    /// Returns why when a stop, or another server, has ended it.
    pub(crate) async fn ended(&self) -> &'static str {
        let mut asked = self.draining.asked.subscribe();
        // The sender lives as long as what this is borrowed from.
        let _ = asked
            .wait_for(|()| !self.holds(&self.draining.state()))
            .await;
        self.why(&self.draining.state())
    }

    /// Why it holds no more.
    fn why(&self, state: &State) -> &'static str {
        let gave_way = state.gave_way == Some(self.number);
        if gave_way { GAVE_WAY } else { ENDED }
    }

    fn holds(&self, state: &State) -> bool {
        let asking = state.asking.as_ref();
        asking.is_some_and(|(number, _)| *number == self.number)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.draining.state();
        if self.holds(&state) {
            state.asking = None;
        }
    }
}

#[derive(Debug, Default)]
struct State {
    drain: Option<Drain>,
    /// The claim that holds, by its number, and which server is asked.
    asking: Option<(u64, String)>,
    /// The claim that holds is being written: it gives way to nobody.
    beginning: bool,
    /// Claims until now.
    claims: u64,
    /// The last claim that gave way to another server's.
    gave_way: Option<u64>,
    moves: Moves,
    trouble: Option<String>,
    /// Counts have changed since they were written.
    unwritten: bool,
}

impl State {
    fn to(&self) -> Option<&str> {
        let drain = self.drain.as_ref().filter(|drain| !drain.stopped);
        drain.map(|drain| drain.to.as_str())
    }

    fn progress(&self, left: usize, inside: usize) -> Option<Progress> {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let drain = self.drain.as_ref()?;
        Some(Progress {
            underway: count(self.moves.underway()),
            inside: if drain.stopped { 0 } else { count(inside) },
            trouble: self.trouble.clone(),
            refused: self.moves.reasons(),
            ..drain.progress(left)
        })
    }
}

impl Draining {
    /// As the directory for what is kept says.
    pub(crate) fn open(state: &Path) -> Self {
        let path = state.join(FILE);
        let drain = match system::read::bytes(&path, MOST) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(io::Error::from)
                .map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let drain = drain.unwrap_or_else(|error| {
            let text = format_args!("{}: {error}: no drain goes on", path.display());
            line(Level::Error, &text);
            None
        });
        Self {
            path,
            state: Mutex::new(State {
                drain,
                ..State::default()
            }),
            writing: Mutex::default(),
            inside: Arc::default(),
            name: name(),
            changed: Notify::new(),
            asked: watch::Sender::default(),
        }
    }

    fn write_alone(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this server is called, and no other.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether that is this very server.
    pub(crate) fn is(&self, server: &str) -> bool {
        self.name == server
    }

    /// The drain, also one that is stopped while its last messages change hands.
    pub(crate) fn drain(&self) -> Option<Drain> {
        self.state().drain.clone()
    }

    /// Whether new mail is refused and queued mail rests: where it goes.
    pub(crate) fn to(&self) -> Option<String> {
        self.state().to().map(str::to_owned)
    }

    /// A client begins a message; `Err`: none may begin, mail goes there. A drain that begins later
    /// knows of it.
    pub(crate) fn enter(&self) -> Result<Inside, String> {
        let state = self.state();
        match state.to() {
            Some(to) => Err(to.to_owned()),
            None => Ok(Inside {
                _counted: Arc::clone(&self.inside),
            }),
        }
    }

    /// Who may ask that server, where this one can be emptied into it; `None`: that goes on
    /// already.
    /// Failures: the mail goes, or may go, to another one.
    pub(crate) fn claim(
        &self,
        to: &str,
        nexthop: &Nexthop,
        pin: &str,
    ) -> Result<Option<Claim<'_>>, String> {
        let mut state = self.state();
        if let Some((_, to)) = &state.asking {
            return Err(format!(
                "another drain is asking {to} at this moment whether it accepts the mail: wait \
                 for the answer, or stop it (smarthost drain --stop)"
            ));
        }
        if let Some(drain) = &state.drain {
            let there = &drain.to;
            match Nexthop::parse(there).is_ok_and(|it| it == *nexthop) {
                true if !drain.stopped && drain.pin == pin => return Ok(None),
                true => {}
                false if drain.stopped => {
                    return Err(format!(
                        "{there} has messages that were given up here, and must be told that \
                         first: smarthost queue list --held"
                    ));
                }
                false => {
                    return Err(format!(
                        "this server is being emptied into {there}; to change that: \
                         smarthost drain --stop, then the new one"
                    ));
                }
            }
        }
        state.claims = state.claims.wrapping_add(1);
        let number = state.claims;
        state.asking = Some((number, to.to_owned()));
        drop(state);
        Ok(Some(Claim {
            draining: self,
            number,
        }))
    }

    /// Whether the queue of another server of this name may come here. Where both ask each other at
    /// one moment, the smaller name has its way, so that one of them begins and not both.
    /// Failures: where the mail of this one goes, or who is asked.
    pub(crate) fn admit(&self, server: &str) -> Result<(), Closed> {
        let mut state = self.state();
        if let Some(to) = state.to() {
            return Err(Closed::Emptied(to.to_owned()));
        }
        if let Some((number, to)) = state.asking.clone() {
            if state.beginning || server >= self.name.as_str() {
                return Err(Closed::Asks(to));
            }
            (state.asking, state.gave_way) = (None, Some(number));
            drop(state);
            self.asked.send_replace(());
        }
        Ok(())
    }

    /// Another message is in the queue, which is locked meanwhile; whether it rests there.
    pub(crate) fn came(&self) -> bool {
        let rests = self.count(|drain| drain.came = drain.came.saturating_add(1));
        if rests {
            self.changed.notify_one();
        }
        rests
    }

    /// One has ended here: how many recipients were deleted, and whether a bounce went.
    pub(crate) fn ended(&self, deleted: usize, bounced: bool) {
        self.count(|drain| drain.ended(deleted, bounced));
    }

    /// Whether new mail is refused.
    fn count(&self, change: impl FnOnce(&mut Drain)) -> bool {
        let mut state = self.state();
        let Some(drain) = &mut state.drain else {
            return false;
        };
        change(drain);
        let goes_on = !drain.stopped;
        state.unwritten |= goes_on;
        goes_on
    }

    /// Writes counts that have changed.
    pub(crate) fn keep(&self) {
        if !self.state().unwritten {
            return;
        }
        let _alone = self.write_alone();
        let mut state = self.state();
        let changed = std::mem::take(&mut state.unwritten);
        let drain = state.drain.clone().filter(|_| changed);
        drop(state);
        if let Some(Err(error)) = drain.map(|drain| self.write(&drain)) {
            self.unwritten(&error);
        }
    }

    /// How far it is, with so many messages left in the queue, which is locked meanwhile.
    pub(crate) fn progress(&self, left: usize) -> Option<Progress> {
        self.state().progress(left, self.inside())
    }

    /// Clients that are inside a message.
    fn inside(&self) -> usize {
        Arc::strong_count(&self.inside).saturating_sub(1)
    }

    /// What stays has its turn at once.
    pub(crate) fn again(&self) {
        self.moves(Moves::again);
        self.look();
    }

    /// Something may move by now.
    pub(crate) fn look(&self) {
        self.changed.notify_one();
    }

    /// Why there is no connection, or that there is one again; whether that is new.
    pub(crate) fn trouble(&self, why: Option<&str>) -> bool {
        let mut state = self.state();
        let is_new = state.trouble.as_deref() != why;
        state.trouble = why.map(str::to_owned);
        is_new
    }

    /// The moves, under the lock of the queue if both are needed.
    pub(crate) fn moves<T>(&self, act: impl FnOnce(&mut Moves) -> T) -> T {
        act(&mut self.state().moves)
    }

    /// A message waits in the queue, and may go later; whether the reason is new.
    pub(crate) fn refused(&self, id: QueueId, why: &str, now: Timestamp) -> bool {
        self.moves(|moves| moves.refused(id, why, now))
    }

    /// Why an order about this message cannot be carried out now.
    pub(crate) fn forbids(&self, order: Order, entry: &Entry) -> Option<String> {
        if order == Order::Bounce && matches!(entry.hold, Hold::Arriving { .. }) {
            return Some("the server that it comes from may still deliver it".to_owned());
        }
        if entry.hold == Hold::Leaving {
            return self.told(entry);
        }
        let state = self.state();
        let drain = state.drain.as_ref()?;
        let to = &drain.to;
        if state.moves.has(entry.id) {
            return Some(format!("it is on its way to {to}: ask again in a moment"));
        }
        let ends_it = matches!(order, Order::Delete | Order::Bounce);
        (!drain.stopped && !ends_it).then(|| format!("it rests, to move to {to}"))
    }

    /// What listings say of a message that moves.
    pub(crate) fn told(&self, entry: &Entry) -> Option<String> {
        match entry.hold {
            Hold::Arriving { .. } => Some(comes(entry)),
            Hold::Leaving => {
                let to = self.drain().map(|drain| drain.to);
                let to = to.unwrap_or_else(|| "another server".to_owned());
                Some(format!(
                    "it is on {to}, and goes from here once that is known there"
                ))
            }
            _ => None,
        }
    }

    /// Returns when there may be something to move.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn write(&self, drain: &Drain) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(drain)?;
        system::fs::replace(&self.path, &text, 0o600)
    }

    fn unwritten(&self, error: &io::Error) {
        line(
            Level::Error,
            &format_args!("{}: {error}", self.path.display()),
        );
    }
}

/// Of a copy that waits for the other server's word.
pub(crate) fn comes(entry: &Entry) -> String {
    let giver = entry.giver.as_deref().unwrap_or("another server");
    format!(
        "it comes from {giver}, and is delivered once {giver} has given it up; if that never \
         happens: smarthost queue release ID, or delete ID if it was delivered there"
    )
}

/// Drawn at the start.
fn name() -> String {
    // Without random numbers the time tells one start from another.
    let drawn = getrandom::u64().unwrap_or_default();
    format!("{drawn:016x}{:016x}", clock::now().as_millis())
}

#[cfg(test)]
mod tests;
