//! SIGHUP: configuration, tables and certificate are read anew and take effect together.
//!
//! Contract: sessions and deliveries that have begun go on as they began; no counter is lost (row C10). What only a restart can change is named in the log.
//! Failures: an error leaves everything as it was, and says so.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use mail::clock;
use system::log::{Level, line};

use crate::{
    config::Config,
    limits::Limits,
    setup::{Current, Setup},
};

/// Reloads, or keeps what is in force.
pub(super) fn reload(path: &Path, current: &Current, limits: &Mutex<Limits>) {
    let before = current.get();
    let setup = match Setup::load(path, Some(&before)) {
        Ok(setup) => setup,
        Err(error) => {
            line(
                Level::Error,
                &format_args!("reload failed, the old configuration stays in force: {error:#}"),
            );
            return;
        }
    };
    for name in needs_restart(&before.config, &setup.config) {
        line(
            Level::Warning,
            &format_args!("`{name}` takes effect at the next restart"),
        );
    }
    limits
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .set_rules(setup.config.limits.clone(), clock::now());
    current.set(setup);
    line(Level::Notice, &format_args!("reloaded {}", path.display()));
}

/// Settings that differ and are only read at start.
fn needs_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let changed = [
        ("listen", before.listen != after.listen),
        ("spool", before.spool != after.spool),
        ("state", before.state != after.state),
        ("control", before.control != after.control),
        ("retry", before.retry != after.retry),
    ];
    changed
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}
