//! SIGHUP: configuration, tables and certificate are read anew and take effect together.
//!
//! Contract: sessions and deliveries that have begun go on as they began; no counter is lost (row
//! C10). What changed is told setting by setting, and what of it only a restart can change. A table
//! that breaks under the daemon is a fault as one that a reload finds.
//! Failures: an error leaves everything as it was, and says so.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mail::{clock, maps::Problem};
use settings::{
    ConfigError,
    last_good::{self, Fault},
    rows::{self, differences},
};
use system::log::{Level, line};
use tables::secret::{Kept, Looked};

use crate::{
    config::{Config, rows::is_at_restart},
    dispatch::{self, Dispatch, Event},
    expected::Expected,
    limits::Limits,
    server::Server,
    setup::{Current, Setup},
};

/// What a look at the files has found.
pub(super) enum Seen {
    Nothing,
    /// Tables broke; what was read before stays in force.
    Wrong(Fault),
    /// What was wrong is right.
    Mended,
}

/// What a reload has done.
pub(super) struct Reloaded {
    /// Settings with both values.
    pub(super) changed: Vec<String>,
    /// Names of those that take effect at the next restart.
    pub(super) restart: Vec<String>,
}

/// What a reload works on.
pub(super) struct Reload {
    path: PathBuf,
    dispatch: Arc<Dispatch>,
    pub(super) current: Arc<Current>,
    limits: Arc<Mutex<Limits>>,
    expected: Arc<Mutex<Expected>>,
    /// What was in force at the start, and still is where only a restart changes it.
    started: Config,
    /// Why tables were not taken when they were looked at last.
    refused: Mutex<Vec<Problem>>,
    /// What was wrong with the files when they were looked at last.
    left: Mutex<String>,
    /// The relayhost's password, if it is in a file.
    password: Mutex<Option<Kept>>,
    /// Addresses that the daemon listens on, or that were handed to it.
    held: Vec<SocketAddr>,
}

impl Reload {
    /// Of a daemon that was started with this configuration.
    pub(super) fn new(
        path: &Path,
        server: &Server,
        started: Config,
        held: Vec<SocketAddr>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            dispatch: Arc::clone(&server.dispatch),
            current: Arc::clone(&server.current),
            limits: Arc::clone(&server.limits),
            expected: Arc::clone(&server.expected),
            started,
            refused: Mutex::default(),
            left: Mutex::default(),
            password: Mutex::default(),
            held,
        }
    }

    /// Reloads, and tells what changed; or keeps what is in force, and tells why.
    pub(super) fn run(&self) -> Result<Reloaded, Fault> {
        self.dispatch.spool().look_again();
        let before = self.current.get();
        if self.current.only_queues() {
            return self.wait_for_start(&before);
        }
        let setup = match Setup::load(&self.path, Some(&before), &self.held) {
            Ok(setup) => setup,
            Err(error) => {
                let fault = Fault {
                    text: format!("{error:#}"),
                    remembered: true,
                };
                line(
                    Level::Error,
                    &format_args!(
                        "reload failed, the old configuration stays in force: {}",
                        fault.summary()
                    ),
                );
                self.current.set_fault(Some(fault.clone()));
                return Err(fault);
            }
        };
        let changed = rows::told(&differences(&before.config.set(), &setup.config.set()));
        for setting in &changed {
            line(Level::Notice, &format_args!("reload: {setting}"));
        }
        let restart = needs_restart(&self.started, &setup.config);
        for name in &restart {
            line(
                Level::Warning,
                &format_args!("`{name}` takes effect at the next restart"),
            );
        }
        for limit in setup.config.limits.from_zero(&before.config.limits) {
            line(
                Level::Warning,
                &format_args!(
                    "{limit} counts from zero: what was sent before was not counted over this time"
                ),
            );
        }
        self.limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set_rules(setup.config.limits.clone());
        self.expected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set_settings(&setup.config.expected, clock::now());
        let transports = dispatch::transports(&setup.config);
        // What waits is asked for its way again, which must be the new one.
        self.current.set(setup);
        self.dispatch
            .lock()
            .set_transports(transports, clock::now());
        self.dispatch.wake();
        line(
            Level::Notice,
            &format_args!("reloaded {}", self.path.display()),
        );
        Ok(Reloaded { changed, restart })
    }

    /// Where mail is queued and not sent, a start anew takes the mended files, with the next look.
    fn wait_for_start(&self, setup: &Setup) -> Result<Reloaded, Fault> {
        let Some(error) = setup.wrong_now(&self.path, &self.held, true) else {
            return Ok(Reloaded {
                changed: Vec::new(),
                restart: Vec::new(),
            });
        };
        let fault = Fault {
            text: error.text,
            remembered: false,
        };
        let (consequence, summary) = (fault.consequence(), fault.summary());
        line(
            Level::Error,
            &format_args!("reload failed, {consequence}: {summary}"),
        );
        self.current.set_fault(Some(fault.clone()));
        Err(fault)
    }

    /// Key and value of each setting that is in force.
    pub(super) fn in_force(&self) -> Vec<(String, String)> {
        let (new, started) = (self.current.get().config.set(), self.started.set());
        let new = new.into_iter().filter(|(key, _)| !is_at_restart(key));
        let started = started.into_iter().filter(|(key, _)| is_at_restart(key));
        new.chain(started).collect()
    }

    /// Looks at the tables, at the file of machines, and at files that were wrong; takes what has
    /// changed.
    pub(super) fn look(&self) -> Seen {
        self.current.refresh();
        let setup = self.current.get();
        setup.enrolled.tend();
        let fault = self.current.fault();
        let mut refused = setup.refused();
        refused.extend(self.look_at_password(&setup.config));
        let mut known = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let anew = self.current.only_queues();
        let changed = *known != refused && !anew;
        known.clone_from(&refused);
        drop(known);
        if let Some(fault) = &fault {
            match setup.wrong_now(&self.path, &self.held, anew) {
                None if anew || refused.is_empty() => return Seen::Mended,
                // A list that a table includes: a reload would begin it anew.
                None => {}
                Some(left) => {
                    if let Some(other) = self.differs(fault, left.text) {
                        return Seen::Wrong(other);
                    }
                }
            }
        }
        if !changed || refused.is_empty() && fault.is_none() {
            return Seen::Nothing;
        }
        let fault = self.broken(&setup, &refused, fault.is_some());
        self.current.set_fault(Some(fault.clone()));
        Seen::Wrong(fault)
    }

    /// What is wrong with the relayhost's password; mail that waited for it goes when it is there.
    fn look_at_password(&self, config: &Config) -> Option<Problem> {
        let (file, copies) = config.password_file()?;
        let mut known = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match &mut *known {
            Some(known) if known.is_of(file, &copies) => known,
            other => other.insert(Kept::new(file, &copies)),
        };
        if known.look(clock::now()) == Looked::Mended && self.dispatch.draining().to().is_none() {
            let text = "the password of the relayhost is there: what waits is tried at once";
            line(Level::Notice, &text);
            self.dispatch.lock().handle(Event::FlushAll, clock::now());
            self.dispatch.wake();
        }
        known.wrong()
    }

    /// What is wrong with the files by now, if that is something else and settled; where some of it
    /// is mended, and nothing came, that is no news.
    fn differs(&self, fault: &Fault, left: String) -> Option<Fault> {
        let mut before = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = *before == left;
        before.clone_from(&left);
        drop(before);
        let news = last_good::has_news(&fault.text, &left);
        if left == fault.text || (news && !settled) {
            return None;
        }
        let other = Fault {
            text: left,
            ..fault.clone()
        };
        self.current.set_fault(Some(other.clone()));
        if news {
            let consequence = other.consequence();
            line(
                Level::Error,
                &format_args!("{consequence}: {}", other.summary()),
            );
        }
        Some(other).filter(|_| news)
    }

    /// Tables broke under the daemon: that and whatever else is wrong.
    fn broken(&self, setup: &Setup, refused: &[Problem], faulty: bool) -> Fault {
        let (mut wrong, mut config) = (Vec::new(), None);
        // What nobody has asked to be read yet is nobody's mistake yet.
        if faulty {
            match Config::load(&self.path) {
                Ok(new) => config = Some(new),
                Err(error) => wrong.push(error),
            }
        }
        let config = config.as_ref().unwrap_or(&setup.config);
        wrong.extend(Setup::wrong(config, Some(setup)));
        // A list that a table includes.
        let text = ConfigError::together(wrong).map_or_else(
            || {
                refused
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            },
            |error| error.text,
        );
        Fault {
            text,
            remembered: true,
        }
    }
}

/// Settings that differ and are only read at start.
fn needs_restart(before: &Config, after: &Config) -> Vec<String> {
    let differing = differences(&before.set(), &after.set()).into_iter();
    let keys = differing.map(|(key, ..)| key);
    keys.filter(|key| is_at_restart(key)).collect()
}
