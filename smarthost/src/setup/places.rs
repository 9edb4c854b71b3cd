//! Where the daemon keeps what it has and where it listens, as far as a configuration must be wrong
//! that says so: another one is then used, as for a file that does not parse.
//!
//! Contract: what may be otherwise in a moment (a socket that another process has, one of several
//! addresses) is no fault of the configuration at a start; a reload wants all of it.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use settings::ConfigError;
use system::{fs, socket, usable::closed};

use crate::{
    config::{Config, noted},
    state::is_kept,
};

/// What can never be made; makes nothing.
pub(super) fn examine(config: &Config) -> Result<(), ConfigError> {
    for (key, path) in [("spool", &config.spool), ("state", &config.state)] {
        if let Some(why) = fs::no_directory(path) {
            let what = format!("{key}: {why}; name a directory of the daemon's own");
            return Err(config.wrong(key, &what));
        }
    }
    left_behind(config, None)?;
    match socket::impossible(&config.control) {
        Some(why) => Err(config.wrong("control", &format!("control: {why}; name another path"))),
        None => Ok(()),
    }
}

/// What a daemon knows is not begun anew because its directory has another name: clients have
/// pinned its key.
fn left_behind(config: &Config, in_force: Option<&Path>) -> Result<(), ConfigError> {
    let in_force = in_force.filter(|it| !noted::is_same(it, &config.state));
    let before = in_force
        .map(Path::to_owned)
        .filter(|it| is_kept(it) && !is_kept(&config.state));
    let Some(before) = before.or_else(|| kept_elsewhere(config)) else {
        return Ok(());
    };
    let (before, state) = (before.display(), config.state.display());
    let what = format!(
        "state: the key that clients pin, machines, limits and expected mail of this server are in \
         {before}, and nothing of it is in {state}; stop smarthost, copy it there (cp -a {before}/. \
         {state}/) and start it; if all of it is to be forgotten, move {before} away"
    );
    Err(config.wrong("state", &what))
}

/// Where all of that is, if nothing of it is where this configuration wants it.
pub(super) fn kept_elsewhere(config: &Config) -> Option<PathBuf> {
    let before = config.state_before()?;
    (is_kept(&before) && !is_kept(&config.state)).then_some(before)
}

/// Addresses that are listened on, or were handed over.
pub(crate) type Held<'a> = &'a [SocketAddr];

/// All of it, for who goes on with this configuration.
/// `in_force`: the `state` of the daemon that is to go on with it.
pub(super) fn take(
    config: &Config,
    held: Held<'_>,
    in_force: Option<&Path>,
    all: bool,
) -> Result<(), ConfigError> {
    left_behind(config, in_force)?;
    make(config)?;
    listen(config, held, all)
}

/// The same for who starts with it: the directories are there afterwards.
fn make(config: &Config) -> Result<(), ConfigError> {
    examine(config)?;
    for (key, path) in [("spool", &config.spool), ("state", &config.state)] {
        let made = fs::create_directory(path, 0o700);
        made.map_err(|error| {
            let what = format!("{key}: cannot create {}: {error}", path.display());
            config.wrong(key, &what)
        })?;
        // What is only counted and learned is kept in memory where it cannot be written.
        if key == "spool"
            && let Some(found) = closed(path)
        {
            let what = format!("{key}: {}; {}", found.why, found.remedy);
            return Err(config.wrong(key, &what));
        }
    }
    Ok(())
}

/// Whether clients could be listened for: on each address, or, where there is none before, on one
/// at least. `held` are those that are listened on, or were handed over.
fn listen(config: &Config, held: Held<'_>, all: bool) -> Result<(), ConfigError> {
    if config.listen_is_default {
        return Ok(());
    }
    // What is held is not tried: who was handed a port below 1024 may have no right to bind it.
    let addresses = config.listen.iter().map(|it| it.address);
    let others =
        addresses.filter(|address| !held.iter().any(|own| socket::overlap(*own, *address)));
    let failed = others.filter_map(|address| Some((address, TcpListener::bind(address).err()?)));
    let failed: Vec<_> = failed.collect();
    let none = failed.len() == config.listen.len();
    match failed.first() {
        Some((address, error)) if all || none => {
            let what = format!("listen: {}", socket::not_bound(*address, error));
            Err(config.wrong("listen", &what))
        }
        _ => Ok(()),
    }
}
