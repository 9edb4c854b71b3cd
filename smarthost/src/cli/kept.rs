//! What the daemon keeps in `state`, for commands that read it there.
//!
//! Contract: it is the daemon's own state, though the file may name another one by now, which only
//! a restart takes. Where nothing is kept, that is said, and not that there is nothing to tell.

use std::path::{Path, PathBuf};

use system::within;

use super::{failed::Failed, running};
use crate::{
    config::{Config, Noted},
    state::{Restored, Store, is_kept},
};

/// Where it is.
pub(super) fn state(config: &Config) -> PathBuf {
    let own = || config.state.clone();
    // Of the daemon that has the spool, or had it last: one that begins with an empty directory
    // does not start, as long as something is here.
    if let Some(before) = config.state_before() {
        let runs = |spool: &Path| spool::holder(spool, "smarthost");
        let goes_on = within::found(&config.spool, runs).is_some() || !is_kept(&config.state);
        return if goes_on { before } else { own() };
    }
    if Noted::read(&config.spool).is_some() {
        return own();
    }
    // The spool is another one, too.
    let told = running::in_force(config).unwrap_or_default();
    let told = told.into_iter().find(|(key, _)| key == "state");
    told.and_then(|(_, text)| as_path(&text))
        .unwrap_or_else(own)
}

/// A path as a setting is told: text as TOML has it, or as it is.
fn as_path(text: &str) -> Option<PathBuf> {
    // A string of TOML on one line, as settings are told, is one of JSON.
    let plain = serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    let path = PathBuf::from(plain);
    path.is_absolute().then_some(path)
}

/// Its database, and where it is; `what`: what is read, as the start of a sentence.
pub(super) fn database(config: &Config, what: &str) -> Result<(PathBuf, Restored), Failed> {
    let state = state(config);
    let kept = Store::peek(&state).map_err(|error| {
        let remedy = "run this as root or as the daemon's user";
        Failed::new(format!("{what} cannot be read: {error}; {remedy}"))
    })?;
    if !Store::is_in(&state) {
        return Err(Failed::new(format!(
            "{what} cannot be read: no smarthost has kept anything in {}; is that its state, and \
             has it run? smarthost check",
            state.display()
        )));
    }
    Ok((state, kept))
}
