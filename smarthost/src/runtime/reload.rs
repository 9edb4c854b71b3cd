//! SIGHUP: configuration, tables and certificate are read anew and take effect together.
//!
//! Contract: sessions and deliveries that have begun go on as they began; no counter is lost (row
//! C10). What only a restart can change is named in the log.
//! Failures: an error leaves everything as it was, and says so.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use mail::clock;
use settings::{last_good::Fault, rows::differences};
use system::log::{Level, line};

use crate::{
    config::{Config, rows::is_at_restart},
    dispatch::{self, Dispatch},
    expected::Expected,
    limits::Limits,
    setup::{Current, Setup},
};

/// What a reload works on.
pub(super) struct Reload {
    pub(super) path: PathBuf,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) current: Arc<Current>,
    pub(super) limits: Arc<Mutex<Limits>>,
    pub(super) expected: Arc<Mutex<Expected>>,
    /// What was in force at the start, and still is where only a restart changes it.
    pub(super) started: Config,
}

impl Reload {
    /// Reloads, and names the settings that take effect at the next restart; or keeps what is in
    /// force, and tells why.
    pub(super) fn run(&self) -> Result<Vec<String>, Fault> {
        let before = self.current.get();
        let setup = match Setup::load(&self.path, Some(&before)) {
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
        let restart = needs_restart(&self.started, &setup.config);
        for name in &restart {
            line(
                Level::Warning,
                &format_args!("`{name}` takes effect at the next restart"),
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
        Ok(restart)
    }

    /// Key and value of each setting that is in force.
    pub(super) fn in_force(&self) -> Vec<(String, String)> {
        let (new, started) = (self.current.get().config.set(), self.started.set());
        let new = new.into_iter().filter(|(key, _)| !is_at_restart(key));
        let started = started.into_iter().filter(|(key, _)| is_at_restart(key));
        new.chain(started).collect()
    }

    /// Whether the files that were wrong are right.
    pub(super) fn is_mended(&self) -> bool {
        Setup::is_right(&self.path)
    }
}

/// Settings that differ and are only read at start.
fn needs_restart(before: &Config, after: &Config) -> Vec<String> {
    let differing = differences(&before.set(), &after.set()).into_iter();
    let keys = differing.map(|(key, ..)| key);
    keys.filter(|key| is_at_restart(key)).collect()
}
