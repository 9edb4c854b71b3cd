//! Why the relayhost cannot be used, and since when: one small file for an outage, however much
//! mail waits for its end.
//! Another one tells of what it refuses for reasons of this machine.
//!
//! Contract: what is known survives a restart, so that `mailq` says why mail waits before the next
//! attempt is made. A file that cannot be read or written costs the knowledge, never mail.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mail::clock::Timestamp;
use queue::clock::Step;
use serde::{Deserialize, Serialize};

fn yes() -> bool {
    true
}

/// What an outage is known by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Outage {
    pub(crate) since: Timestamp,
    pub(crate) reason: String,
    /// Whether all mail waits for it, or that of some senders, which has its own reason.
    #[serde(default = "yes")]
    of_all: bool,
    /// Whether the administrator was written to.
    pub(crate) told: bool,
    /// When it was met last, as far as this process knows.
    #[serde(skip)]
    seen: Timestamp,
}

/// Longest file, bytes.
const MOST: u64 = 1024 * 1024;

/// The outage there is, if any.
#[derive(Debug)]
pub(crate) struct Outages {
    path: PathBuf,
    now: Mutex<Option<Outage>>,
}

impl Outages {
    /// With what the last agent knew, in a file of this name.
    pub(crate) fn open(spool: &Path, name: &str) -> Self {
        let path = spool.join(name);
        let _ = system::fs::clear_unfinished(&path);
        let known = system::read::bytes(&path, MOST)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            now: Mutex::new(known),
        }
    }

    /// Why the relayhost cannot be used now, for whatever mail.
    pub(crate) fn reason(&self) -> Option<String> {
        self.with(|outage| {
            let known = outage.as_ref().filter(|outage| outage.of_all)?;
            Some(known.reason.clone())
        })
    }

    /// Since when, and why.
    pub(crate) fn outage(&self) -> Option<(Timestamp, String)> {
        self.with(|outage| {
            let known = outage.as_ref()?;
            Some((known.since, known.reason.clone()))
        })
    }

    /// The relayhost was not reached, or refuses mail: all of it, as far as is known, or some.
    pub(crate) fn goes_on(&self, reason: &str, of_all: bool, now: Timestamp) -> io::Result<()> {
        self.with(|outage| match outage {
            Some(known) if known.reason == reason && known.of_all == of_all => {
                known.seen = now;
                Ok(())
            }
            _ => {
                let before = outage.take();
                let known = outage.insert(Outage {
                    since: before.as_ref().map_or(now, |before| before.since),
                    reason: reason.to_owned(),
                    of_all,
                    told: before.is_some_and(|before| before.told),
                    seen: now,
                });
                self.write(known)
            }
        })
    }

    /// The outage of which the administrator is to be told, once, because it lasts longer than
    /// `patience`.
    pub(crate) fn to_tell(&self, patience: Duration, now: Timestamp) -> Option<Outage> {
        self.with(|outage| {
            let known = outage.as_mut().filter(|known| !known.told)?;
            (known.since.age(now) >= patience).then(|| known.clone())
        })
    }

    /// The clock was set: an outage that began before lasts no longer for it.
    pub(crate) fn stepped(&self, step: Step, now: Timestamp) {
        self.with(|outage| {
            let before = |known: &&mut Outage| !step.is_over_at(known.since, now);
            if let Some(known) = outage.as_mut().filter(before) {
                known.since = step.shift(known.since);
                known.seen = step.shift(known.seen);
                // What the file says is wrong only for the next start.
                let _ = self.write(known);
            }
        });
    }

    /// The administrator was written to.
    pub(crate) fn told(&self) -> io::Result<()> {
        self.with(|outage| match outage {
            Some(known) => {
                known.told = true;
                self.write(known)
            }
            None => Ok(()),
        })
    }

    /// The relayhost was reached; what it refuses, or puts off, is not over yet.
    pub(crate) fn reached(&self) {
        if self.with(|outage| outage.as_ref().is_some_and(|known| known.of_all)) {
            self.ended();
        }
    }

    /// The relayhost takes mail.
    pub(crate) fn ended(&self) {
        self.with(|outage| {
            if outage.take().is_some() {
                // What stays is overwritten by the next outage, or wrong only until the first
                // attempt.
                let _ = fs::remove_file(&self.path);
            }
        });
    }

    /// The same, if it was not met for so long.
    pub(crate) fn ended_if_quiet(&self, quiet: Duration, now: Timestamp) {
        let last = self.with(|outage| {
            let known = outage.as_mut();
            known.map(|known| known.seen.noted(now).max(known.since.noted(now)))
        });
        if last.is_some_and(|last| now.since(last) >= quiet) {
            self.ended();
        }
    }

    fn write(&self, outage: &Outage) -> io::Result<()> {
        let bytes = serde_json::to_vec(outage)?;
        system::fs::replace(&self.path, &bytes, 0o600)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Option<Outage>) -> T) -> T {
        look(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn an_outage_lasts_no_longer_for_a_clock_that_is_set_forward() {
        let spool = tempfile::tempdir().unwrap();
        let (patience, day) = (Duration::from_secs(100), 86_400);
        let outages = Outages::open(spool.path(), "outage");
        outages.goes_on("refused", true, at(1000)).unwrap();
        let step = Step::Forward(Duration::from_secs(day));
        outages.stepped(step, at(day + 1010));
        assert_eq!(outages.to_tell(patience, at(day + 1099)), None);
        let outages = Outages::open(spool.path(), "outage");
        let told = outages.to_tell(patience, at(day + 1100)).unwrap();
        assert_eq!(told.since, at(day + 1000));
    }

    #[test]
    fn a_pipe_or_an_endless_file_in_place_of_what_is_known_holds_up_no_start() {
        let spool = tempfile::tempdir().unwrap();
        let file = spool.path().join("outage");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(Outages::open(spool.path(), "outage").reason(), None);
        fs::remove_file(&file).unwrap();
        let endless = fs::File::create(&file).unwrap();
        endless.set_len(100_000_000_000).unwrap();
        let outages = Outages::open(spool.path(), "outage");
        outages.goes_on("refused", true, at(1000)).unwrap();
        assert!(Outages::open(spool.path(), "outage").reason().is_some());
    }

    #[test]
    fn an_outage_is_known_after_a_restart_told_once_and_forgotten_when_it_ends() {
        let spool = tempfile::tempdir().unwrap();
        let patience = Duration::from_secs(100);
        let outages = Outages::open(spool.path(), "outage");
        assert_eq!(outages.reason(), None);
        outages.goes_on("refused", true, at(1000)).unwrap();
        outages.goes_on("timed out", true, at(1050)).unwrap();
        assert_eq!(outages.to_tell(patience, at(1099)), None);

        let outages = Outages::open(spool.path(), "outage");
        assert_eq!(outages.reason().as_deref(), Some("timed out"));
        let outage = outages.to_tell(patience, at(1100)).unwrap();
        assert_eq!(outage.since, at(1000), "it began with the first reason");
        outages.told().unwrap();
        outages.goes_on("refused", true, at(1200)).unwrap();
        assert_eq!(
            Outages::open(spool.path(), "outage").to_tell(patience, at(9999)),
            None
        );

        outages.ended_if_quiet(patience, at(1299));
        assert!(outages.reason().is_some());
        outages.ended_if_quiet(patience, at(1300));
        assert_eq!(Outages::open(spool.path(), "outage").reason(), None);
    }

    #[test]
    fn that_some_mail_is_refused_is_known_and_is_no_reason_why_other_mail_waits() {
        let spool = tempfile::tempdir().unwrap();
        let outages = Outages::open(spool.path(), "outage");
        outages.goes_on("not owned", false, at(1000)).unwrap();
        for outages in [outages, Outages::open(spool.path(), "outage")] {
            assert_eq!(outages.reason(), None);
            assert_eq!(outages.outage(), Some((at(1000), "not owned".to_owned())));
        }
        let outages = Outages::open(spool.path(), "outage");
        outages.reached();
        assert!(outages.outage().is_some(), "it is not over yet");
        outages.goes_on("timed out", true, at(1050)).unwrap();
        assert_eq!(outages.reason().as_deref(), Some("timed out"));
        outages.reached();
        assert_eq!(outages.outage(), None);
    }
}
