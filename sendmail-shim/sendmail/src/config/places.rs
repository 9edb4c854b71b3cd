//! Which configuration file is read.
//!
//! | order | file |
//! |---|---|
//! | 1 | `--config FILE` (the administrator's commands only) |
//! | 2 | `SENDMAIL_SHIM_CONFIG=FILE`: the only environment variable that is read; harmless, for nothing here is privileged |
//! | 3 | /etc/sendmail-shim/config.toml; what it leaves open, credential.toml beside it decides, then debconf.toml ([`settings::layers`]) |
//! | 4 | ~/.config/sendmail-shim/config.toml, for people without root |
//! | 5 | none: defaults |
//!
//! What lines of smarthosts have set lies in the spool that they name ([`super::enrolled`]).
//!
//! Failures: a file that is named (1, 2) must be there; one that is there must be readable and
//! valid. Who must go on all the same ([`load_anyway`], [`for_agent`]) gets what can be used, and
//! the fault.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use settings::{
    ConfigError,
    last_good::{self, Fault},
    layers::{self, LAYERS, Layer},
    provision,
};

use system::{fs::no_directory, read, socket, usable::closed};

use super::{
    enrolled::FILE,
    settings::{SPOOL, Settings},
};

/// The machine's configuration.
pub const SYSTEM: &str = "/etc/sendmail-shim/config.toml";
/// Where it is, and what is written for the administrator.
pub const DIRECTORY: &str = "/etc/sendmail-shim";
/// So many times files are read that change while they are read.
const READINGS: usize = 3;
/// The environment variable that names another one.
pub const VARIABLE: &str = "SENDMAIL_SHIM_CONFIG";

/// The file that the environment names.
pub fn named() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads it"
    )]
    std::env::var_os(VARIABLE)
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
}

/// Finds and reads the configuration; `given` is `--config`.
pub fn load(given: Option<&Path>) -> Result<Settings, ConfigError> {
    let (_, found) = find(given);
    Settings::enrolled(found?)
}

/// The same without what lines of smarthosts have set.
pub fn load_without_lines(given: Option<&Path>) -> Result<Settings, ConfigError> {
    Settings::layered(&find(given).1?)
}

/// The same as [`load`] for who only has to find the agent: of files that are wrong, what the agent
/// goes on with, as far as whoever asks may read it, and what is wrong.
pub fn load_anyway(given: Option<&Path>) -> Result<(Settings, Option<ConfigError>), ConfigError> {
    let (of, found) = find(given);
    match usable(found) {
        Ok((_, settings)) => {
            // The agent does not go by a place that it cannot have.
            let copy = impossible(&settings).and_then(|_| copy(&settings, &of));
            Ok((copy.unwrap_or(settings), None))
        }
        Err((layers, error)) => {
            let salvaged = Settings::salvaged(&layers, &of, refuge_of(&of))?;
            let copy = copy(&salvaged, &of);
            Ok((copy.unwrap_or(salvaged), Some(error)))
        }
    }
}

/// What was kept of these files when they were good.
fn copy(salvaged: &Settings, of: &Path) -> Option<Settings> {
    recalled(salvaged, of, |settings| {
        settings.client_tls().is_ok() && impossible(settings).is_none()
    })
}

fn recalled(salvaged: &Settings, of: &Path, fits: impl Fn(&Settings) -> bool) -> Option<Settings> {
    let refuge = refuge_of(of);
    let copies = [salvaged.spool.as_path(), Path::new(SPOOL), &refuge];
    copies.into_iter().find_map(|spool| {
        let settings = Settings::enrolled(last_good::recall(spool, of)?).ok()?;
        fits(&settings).then_some(settings)
    })
}

/// The settings that an agent had before: what was kept of these files when they were good.
pub fn last_good(given: Option<&Path>) -> Option<Settings> {
    let (of, found) = find(given);
    let settings = Settings::enrolled(found.ok()?).ok()?;
    recalled(&settings, &of, |_| true)
}

/// The same for the agent, which goes on with the last good settings, or else queues and does not
/// send.
pub fn for_agent(given: Option<&Path>) -> Result<Settings, ConfigError> {
    let (of, found) = find(given);
    let (layers, error) = match ready(found) {
        Ok((layers, settings)) => {
            last_good::remember(&settings.spool, &refuge_of(&of), &of, &layers);
            return Ok(settings);
        }
        Err(wrong) => wrong,
    };
    let refuge = refuge_of(&of);
    let mut salvaged = Settings::salvaged(&layers, &of, refuge.clone())?;
    if no_directory(&salvaged.spool).is_some() || closed(&salvaged.spool).is_some() {
        salvaged.spool = refuge;
    }
    let copy = copy(&salvaged, &of).filter(|it| closed(&it.spool).is_none());
    let remembered = copy.is_some();
    let mut settings = copy.unwrap_or(salvaged);
    settings.fault = Some(Fault {
        text: error.text,
        remembered,
    });
    Ok(settings)
}

/// Whether the agent could start with the files as they are now.
pub fn is_right(given: Option<&Path>) -> bool {
    ready(find(given).1).is_ok()
}

/// What is wrong with the files as they are now, if anything is.
pub fn wrong(given: Option<&Path>) -> Option<String> {
    ready(find(given).1).err().map(|(_, error)| error.text)
}

/// What files are known by.
#[derive(PartialEq, Eq, Debug)]
pub struct State(Vec<Option<(u64, i64, i64, u64)>>);

impl State {
    /// As they are now.
    pub fn of<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Self {
        let seen = files.map(|path| {
            let of = read::metadata(path).ok()?;
            Some((of.ino(), of.mtime(), of.mtime_nsec(), of.len()))
        });
        Self(seen.collect())
    }
}

/// The same as [`for_agent`], with what the files were known by that it was read from: one that was
/// written meanwhile is another one from then on, and is never missed.
pub fn for_agent_known(given: Option<&Path>) -> Result<(Settings, State), ConfigError> {
    let mut settings = for_agent(given)?;
    for _ in 0..READINGS {
        let known = state(given, &settings);
        settings = for_agent(given)?;
        if known == state(given, &settings) {
            return Ok((settings, known));
        }
    }
    // They change all the time: it looks again at once.
    Ok((settings, State(Vec::new())))
}

/// What the files that an agent works by are known by: the configuration, and the password that it
/// names for the way to the relayhost. It is another one when one of them was written, made or
/// removed. The key that is shown there is not among them: the agent takes another one by itself.
pub fn state(given: Option<&Path>, settings: &Settings) -> State {
    let files = match given.map(Path::to_owned).or_else(named) {
        Some(path) => vec![path],
        None => LAYERS.map(|name| Path::new(DIRECTORY).join(name)).to_vec(),
    };
    let auth = settings.auth.as_ref();
    let password = auth.and_then(|auth| auth.password_file.as_ref());
    let files = files.iter().chain(&settings.files);
    let enrolled = settings.spool.join(FILE);
    State::of(files.chain(password).chain([&enrolled]))
}

/// What is known of files that are read: they and the settings, or what is wrong.
type Usable = Result<(Vec<Layer>, Settings), (Vec<Layer>, ConfigError)>;

/// The same as [`usable`] for the agent, whose spool is there afterwards.
fn ready(found: Result<Vec<Layer>, ConfigError>) -> Usable {
    let (layers, settings) = usable(found)?;
    if let Some((key, why)) = impossible(&settings) {
        let error = layers::wrong_at(
            &layers,
            key,
            None,
            &format!("{key}: {why}; name another path"),
        );
        return Err((layers, error));
    }
    let why = match system::fs::create_directory(&settings.spool, 0o700) {
        Ok(()) => closed(&settings.spool).map(|it| format!("{}; {}", it.why, it.remedy)),
        Err(error) => Some(format!(
            "cannot create {}: {error}",
            settings.spool.display()
        )),
    };
    match why {
        None => Ok((layers, settings)),
        Some(why) => {
            let error = layers::wrong_at(&layers, "spool", None, &format!("spool: {why}"));
            Err((layers, error))
        }
    }
}

/// The setting of a place that can never be made, and why.
pub fn impossible(settings: &Settings) -> Option<(&'static str, String)> {
    let spool = no_directory(&settings.spool).map(|why| ("spool", why));
    let sockets = [("socket", &settings.socket), ("control", &settings.control)];
    let mut sockets = sockets.into_iter();
    spool.or_else(|| sockets.find_map(|(key, path)| Some((key, socket::impossible(path)?))))
}

/// Settings with which mail can be sent; otherwise the files and what is wrong.
fn usable(found: Result<Vec<Layer>, ConfigError>) -> Usable {
    let layers = found.map_err(|error| (Vec::new(), error))?;
    let settings = Settings::enrolled(layers.clone()).and_then(|settings| {
        settings.client_tls().map_err(|error| {
            let file = settings.files.first();
            let file = file.map_or(Path::new(SYSTEM), PathBuf::as_path).display();
            let text = format!("{file}: {error}");
            ConfigError { text }
        })?;
        Ok(settings)
    });
    match settings {
        Ok(settings) => Ok((layers, settings)),
        Err(error) => Err((layers, error)),
    }
}

/// Where mail may have been queued while nothing said where.
pub fn refuge(given: Option<&Path>) -> PathBuf {
    refuge_of(&find(given).0)
}

/// Where it is noted in which directories the queue has been: of the settings that an agent has.
pub fn notes_of_spools(settings: &Settings) -> [PathBuf; 2] {
    let file = settings.files.first().map(PathBuf::as_path);
    let of = file.filter(|file| !file.starts_with(DIRECTORY));
    [
        settings.spool.clone(),
        refuge_of(of.unwrap_or(Path::new(SYSTEM))),
    ]
}

fn refuge_of(of: &Path) -> PathBuf {
    last_good::refuge(of, Path::new(SYSTEM), Path::new(SPOOL), "spool")
}

/// What the configuration is known by (the administrator's file, be it there or not), and its
/// files.
fn find(given: Option<&Path>) -> (PathBuf, Result<Vec<Layer>, ConfigError>) {
    if let Some(path) = given.map(Path::to_owned).or_else(named) {
        // What it says of places is told to programs that run elsewhere.
        let path = std::path::absolute(&path).unwrap_or(path);
        let text = read::piped(&path, provision::MOST)
            .map_err(|error| provision::unreadable(&path, &error));
        let layers = text.map(|text| vec![(path.clone(), text)]);
        let layers = layers.and_then(|it| last_good::present(&refuge_of(&path), &path, it));
        return (path, layers);
    }
    let system = PathBuf::from(SYSTEM);
    match provision::read(Path::new(DIRECTORY)) {
        Ok(layers) if layers.is_empty() => {}
        read => {
            let read = read.and_then(|it| last_good::present(Path::new(SPOOL), &system, it));
            return (system, read);
        }
    }
    let none = || last_good::present(Path::new(SPOOL), Path::new(SYSTEM), Vec::new());
    let own = directories::ProjectDirs::from("", "", "sendmail-shim")
        .map(|dirs| dirs.config_dir().join("config.toml"));
    match own.map(|path| (read::text(&path, provision::MOST), path)) {
        Some((Ok(text), path)) => (path.clone(), Ok(vec![(path, text)])),
        // A home that cannot be read is one without a configuration.
        _ => (system, none()),
    }
}
