//! What both daemons of a test have: a directory of their own with a configuration in it, and a
//! process.
//!
//! Contract: all files lie in the directory, which outlives a restart and goes with the guard. In
//! configurations, `$DIR` is the directory.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{daemon::Daemon, identity::write, wait::until};

/// What stands in /etc/aliases of a Debian machine. The file of the machine that the tests run on
/// decides nothing.
pub(crate) const MACHINE_ALIASES: &str = "postmaster: root\n";

/// A command that the machine's zone, language and home have no part in.
pub fn hermetic(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .env("HOME", "/nonexistent");
    command
}

/// A daemon's files, and the daemon if it runs.
#[derive(Debug)]
pub struct Installation {
    directory: TempDir,
    daemon: Option<Daemon>,
}

impl Installation {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            daemon: None,
        }
    }

    /// Writes the configuration: `settings`, of which the test sets some itself, then what the test
    /// says.
    pub(crate) fn write_config(&self, settings: &[(&str, &str)], config: &str) {
        let filled_in = settings.iter().filter(|(key, _)| !sets(config, key));
        let mut lines: Vec<_> = filled_in
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        lines.push(config.to_owned());
        let text = lines.join("\n");
        write(&self.config(), self.placed(&text));
    }

    /// A text with the directory in place of `$DIR`.
    pub(crate) fn placed(&self, text: &str) -> String {
        text.replace("$DIR", &self.directory().display().to_string())
    }

    /// The process that has just been started; `ready` when it takes connections.
    pub(crate) fn started(&mut self, mut daemon: Daemon, ready: impl Fn(&Daemon) -> bool) {
        until("the daemon takes connections", || {
            assert!(
                daemon.ended().is_none(),
                "it ended at once:\n{}",
                daemon.log()
            );
            ready(&daemon).then_some(())
        });
        self.daemon = Some(daemon);
    }

    /// Puts a file beside the configuration.
    pub fn file(&self, name: &str, content: &str) {
        write(&self.directory().join(name), content);
    }

    /// The process.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the daemon runs")
    }

    /// kill -9, as by the kernel.
    pub fn kill(&mut self) {
        self.daemon().kill();
    }

    /// Where all its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory().join("config.toml")
    }
}

/// Whether a configuration sets this key itself.
fn sets(config: &str, key: &str) -> bool {
    config.lines().any(|line| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}
