//! Copies of the files that the configuration names, as they were when they were last good: what a
//! start goes on with where one of them is wrong or gone.
//!
//! Contract: made in `state`, for the daemon's user alone, when a configuration is taken as a whole
//! and when a table changes; a file that no setting names any more has none. Only a file that
//! cannot be used is replaced by its copy, and a table in which a line that was right became wrong
//! or that holds nothing any more. An alias file that others can write has none: its
//! programs would be run as those of a file of ours. A key that signs mail and has none is done
//! without. A copy that is not what was written is none, and then the file's word is not enough: a
//! table that is empty or faulty counts as broken.

use std::{
    cell::LazyCell,
    collections::HashSet,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use settings::ConfigError;
use system::{
    fs::{create_directory, replace},
    log::{Level, line},
    read::{self, is_there},
};
use tables::{
    Aliases,
    copies::{self, DIRECTORY, Kept, is_of, names},
    secret,
    trust::written_by_others,
    watched::{EMPTY, MAX},
};

use super::{Setup, Tables};
use crate::{
    config::{Config, read_logins},
    enrolling,
    policy::rule::Rule,
};

type Works = fn(&Config) -> bool;
type Paths = fn(&mut Config) -> Vec<&mut PathBuf>;

/// Files that are right or wrong together.
const TOGETHER: [(Works, Paths); 6] = [
    (
        |it| it.read_srs().is_ok(),
        |it| it.srs.iter_mut().flat_map(|srs| &mut srs.secrets).collect(),
    ),
    (
        |it| it.read_dkim().is_ok(),
        |it| it.dkim.iter_mut().map(|key| &mut key.key).collect(),
    ),
    (
        |it| it.read_keys().is_ok(),
        |it| it.dnsbl.keys.iter_mut().collect(),
    ),
    (
        |it| Setup::of_relay(it).is_ok(),
        |it| {
            let identity = it.relay_tls.identity.iter_mut();
            identity.flat_map(|(shown, key)| [shown, key]).collect()
        },
    ),
    (
        |it| Setup::of_world(it).is_ok(),
        |it| it.tls_out.ca_file.iter_mut().collect(),
    ),
    (
        |it| super::examine_identity(it).is_ok(),
        |it| vec![&mut it.tls.certificate, &mut it.tls.key],
    ),
];

/// Tables but for aliases: each by itself.
fn tables(config: &mut Config) -> Vec<&mut PathBuf> {
    let aliases = config.aliases.len();
    all_tables(config).split_off(aliases)
}

/// The alias files, then the other tables.
fn all_tables(config: &mut Config) -> Vec<&mut PathBuf> {
    let named = config.virtual_aliases.iter_mut();
    let named = named.chain(&mut config.relay_recipients);
    let named = named
        .chain(&mut config.transport)
        .chain(&mut config.tls_policy);
    let named = named.map(|name| &mut name.path);
    let access = config.restrictions.iter_mut().filter_map(Rule::path_mut);
    let named = named.chain(access).chain(&mut config.auth);
    let aliases = config.aliases.iter_mut().map(|file| &mut file.path);
    aliases.chain(named).collect()
}

/// The file of our own secret, if there is one, as if it were named.
fn with_own_secret(mut config: Config) -> Config {
    let own = config.srs.as_ref().map(|srs| config.srs_secrets(srs));
    if let (Some(srs), Some(own)) = (&mut config.srs, own.filter(|own| is_there(own))) {
        srs.secrets = Some(own);
    }
    config
}

impl Setup {
    /// Copies what has changed, and forgets what is not named any more.
    pub(super) fn keep_copies(config: &Config) {
        let directory = config.state.join(DIRECTORY);
        let mut config = with_own_secret(config.clone());
        let mut named = HashSet::new();
        let mut copy = |path: &Path, is_right: bool| {
            let made = if is_right {
                Some(content(path).and_then(|held| copies::write(&directory, path, &held)))
            } else {
                None
            };
            match made {
                Some(Ok(copy)) => named.extend(copy.file_name().map(OsStr::to_owned)),
                Some(Err(error)) => {
                    named.extend(names(&directory, path));
                    let (path, directory) = (path.display(), directory.display());
                    let text = format_args!("no copy of {path} is kept in {directory}: {error}");
                    line(Level::Warning, &text);
                }
                None => named.extend(names(&directory, path)),
            }
        };
        let broken = Self::broken(&config);
        let is_whole = |path: &Path| broken.iter().all(|(file, _)| file != path);
        for path in tables(&mut config) {
            copy(path, is_there(path) && is_whole(path));
        }
        for alias in &config.aliases {
            if written_by_others(&alias.path).is_none() {
                copy(&alias.path, is_whole(&alias.path));
            } else if !is_there(&alias.path) || content(&alias.path).is_err() {
                copy(&alias.path, false);
            }
        }
        for (works, paths) in TOGETHER {
            let is_right = works(&config);
            for path in paths(&mut config) {
                copy(path, is_right && is_there(path));
            }
        }
        // Those of this one are kept beside each change of it.
        let enrolled = enrolling::file(&config.state);
        copies::forget_others(&directory, |name| {
            named.contains(name) || is_of(&enrolled, name)
        });
        let place = config.password_file().map(|(_, place)| place);
        secret::forget_others(&config.passwords(), place.as_deref());
    }

    /// Copies the lists that aliases include, as they are now.
    pub(super) fn keep_lists(aliases: &mut Aliases) {
        if let Err((list, error)) = aliases.keep_lists() {
            let text = format_args!("no copy of {} is kept: {error}", list.display());
            line(Level::Warning, &text);
        }
    }

    /// The configuration with copies where files cannot be used; `None`: there is none that would
    /// help.
    pub(super) fn instead(config: Config) -> Option<Config> {
        let directory = config.state.join(DIRECTORY);
        let mut config = with_own_secret(config);
        let mut replaced = false;
        let mut use_copy = |path: &mut PathBuf| {
            if let Kept::Copy(copy, _) = kept(&directory, path) {
                *path = copy;
                replaced = true;
            }
        };
        let broken = Self::broken(&config);
        let wrong = |path: &&mut PathBuf| {
            content(path).is_err() || broken.iter().any(|(file, _)| file == *path)
        };
        let tables = all_tables(&mut config).into_iter();
        tables.filter(wrong).for_each(&mut use_copy);
        for (works, paths) in TOGETHER {
            if !works(&config) {
                paths(&mut config).into_iter().for_each(&mut use_copy);
            }
        }
        let keys = config.dkim.len();
        config.dkim.retain(|key| Config::read_dkim_key(key).is_ok());
        (replaced || config.dkim.len() < keys).then_some(config)
    }

    /// Tables that have become faulty or empty since they were copied, and what is wrong with each.
    /// One that cannot be read at all hides nothing of the others.
    pub(super) fn broken(config: &Config) -> Vec<(PathBuf, String)> {
        let directory = config.state.join(DIRECTORY);
        let mut readable = config.clone();
        for path in all_tables(&mut readable) {
            if content(path).is_err()
                && let Kept::Copy(copy, _) = kept(&directory, path)
            {
                *path = copy;
            }
        }
        let tables = LazyCell::new(|| Tables::read(&readable).ok());
        let broken = |nth| {
            let mut copied = readable.clone();
            let path = all_tables(&mut copied).into_iter().nth(nth)?;
            let file = path.clone();
            let why = match kept(&directory, &file) {
                Kept::Nothing => return None,
                Kept::Damaged => tables.as_ref()?.0.doubtful(&file)?,
                Kept::Copy(copy, held) => {
                    if content(&file).ok()? == held {
                        return None;
                    }
                    path.clone_from(&copy);
                    let (then, _) = Tables::read(&copied).ok()?;
                    tables.as_ref()?.0.broken(&file, &then, &copy)?
                }
            };
            Some((file, why))
        };
        let count = all_tables(&mut config.clone()).len();
        (0..count).filter_map(broken).collect()
    }

    /// The default alias file and that of logins may be missing, but not disappear.
    pub(super) fn examine_present(config: &Config) -> Result<(), ConfigError> {
        let directory = config.state.join(DIRECTORY);
        let gone = |path: &PathBuf| {
            let held = match kept(&directory, path) {
                Kept::Copy(_, held) => !held.is_empty(),
                Kept::Damaged => true,
                Kept::Nothing => false,
            };
            !is_there(path) && held
        };
        let aliases = config.aliases.iter().map(|file| ("aliases", &file.path));
        let aliases = aliases.filter(|_| config.aliases_is_default);
        let mut paths = aliases.chain(config.auth.iter().map(|file| ("auth.users", file)));
        match paths.find(|(_, path)| gone(path)) {
            Some((key, path)) => {
                let why = format!(
                    "{} is gone; write it again; if nobody is to be in it, write only the line \
                     `{EMPTY}`",
                    path.display()
                );
                Err(config.wrong(key, &why))
            }
            None => Ok(()),
        }
    }

    /// How many logins the copy of their file has, which stay in force where that is gone or empty.
    pub(crate) fn kept_logins(config: &Config) -> usize {
        let Some(file) = &config.auth else {
            return 0;
        };
        match kept(&config.state.join(DIRECTORY), file) {
            Kept::Copy(_, held) => read_logins(file, &String::from_utf8_lossy(&held)).0.len(),
            Kept::Damaged | Kept::Nothing => 0,
        }
    }

    /// The secret of rewritten senders, unless the administrator has one.
    pub(super) fn make_secret(config: &Config) -> anyhow::Result<()> {
        let Some(srs) = config.srs.as_ref().filter(|srs| srs.secrets.is_none()) else {
            return Ok(());
        };
        let file = config.srs_secrets(srs);
        if is_there(&file) {
            return Ok(());
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let secret = BASE64.encode(random);
        create_directory(&config.state, 0o700)
            .and_then(|()| replace(&file, format!("{secret}\n").as_bytes(), 0o600))
            .with_context(|| format!("cannot write {}", file.display()))?;
        line(
            Level::Notice,
            &format_args!(
                "made a secret for rewritten senders: {}; what comes back to senders of an older one is refused",
                file.display()
            ),
        );
        Ok(())
    }
}

/// The copy of a table, or of another file that is named.
fn kept(directory: &Path, path: &Path) -> Kept {
    copies::kept(directory, path, MAX)
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    read::bytes(path, MAX)
}
