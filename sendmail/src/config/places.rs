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
//! Failures: a file that is named (1, 2) must be there; one that is there must be readable and valid.

use std::{
    fs,
    path::{Path, PathBuf},
};

use settings::{ConfigError, provision};

use super::settings::Settings;

/// The machine's configuration.
pub const SYSTEM: &str = "/etc/sendmail-shim/config.toml";
/// Where it is, and what is written for the administrator.
pub const DIRECTORY: &str = "/etc/sendmail-shim";
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
    if let Some(path) = given.map(Path::to_owned).or_else(named) {
        return match fs::read_to_string(&path) {
            Ok(text) => Settings::parse(Some(&path), &text),
            Err(error) => Err(provision::unreadable(&path, &error)),
        };
    }
    let system = provision::read(Path::new(DIRECTORY))?;
    if !system.is_empty() {
        return Settings::layered(system);
    }
    let own = directories::ProjectDirs::from("", "", "sendmail-shim")
        .map(|dirs| dirs.config_dir().join("config.toml"));
    match own.as_deref().map(|path| (path, fs::read_to_string(path))) {
        Some((path, Ok(text))) => Settings::parse(Some(path), &text),
        // A home that cannot be read is one without a configuration.
        _ => Settings::parse(None, ""),
    }
}
