//! A `smarthost` with a configuration from the test.
//!
//! Contract: everything it writes lies in its own temporary directory, which outlives a restart and goes with the guard.
//! In the configuration, `$DIR` is that directory. `spool`, `state`, `control` and, unless the test sets them, `hostname` and `listen`
//! are filled in.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    binaries::binaries,
    daemon::Daemon,
    identity::write,
    sink::nexthop,
    wait::{free_address, until},
};

/// A smarthost, running or not.
#[derive(Debug)]
pub struct Smarthost {
    directory: TempDir,
    address: SocketAddr,
    mounts: Option<String>,
    daemon: Option<Daemon>,
}

impl Smarthost {
    /// Starts one and waits until it takes connections.
    pub fn start(config: &str) -> Self {
        let mut smarthost = Self::prepare(config);
        smarthost.run();
        smarthost
    }

    /// Writes the configuration, starts nothing yet.
    pub fn prepare(config: &str) -> Self {
        let smarthost = Self {
            directory: tempfile::tempdir().unwrap(),
            address: free_address(),
            mounts: None,
            daemon: None,
        };
        smarthost.configure(config);
        smarthost
    }

    /// Another configuration, for the next start.
    pub fn configure(&self, config: &str) {
        let mut text = String::from(
            "spool = \"$DIR/spool\"\nstate = \"$DIR/state\"\ncontrol = \"$DIR/control.sock\"\n",
        );
        if !sets(config, "hostname") {
            text.push_str("hostname = \"mail.example.test\"\n");
        }
        if !sets(config, "listen") {
            writeln!(text, "listen = [\"{}\"]", self.address).unwrap();
        }
        text.push_str(config);
        write(
            &self.config(),
            text.replace("$DIR", &self.directory().display().to_string()),
        );
    }

    /// Puts a file beside the configuration.
    pub fn file(&self, name: &str, content: &str) {
        write(&self.directory().join(name), content);
    }

    /// Runs it, from the next start on, in a mount namespace of its own, where this shell script has mounted something (root only).
    pub fn in_mount_namespace(&mut self, script: &str) {
        self.mounts = Some(script.replace("$DIR", &self.directory().display().to_string()));
    }

    /// Starts it (again) and waits until it takes connections at all its addresses.
    pub fn run(&mut self) {
        let mut daemon = Daemon::start("smarthost", &mut self.start_command());
        until("smarthost takes connections", || {
            assert!(
                daemon.ended().is_none(),
                "smarthost ended at once:\n{}",
                daemon.log()
            );
            daemon.log().contains(" listens on ").then_some(())
        });
        self.daemon = Some(daemon);
    }

    fn start_command(&self) -> Command {
        let mut plain = self.command();
        plain.arg("run");
        let Some(mounts) = &self.mounts else {
            return plain;
        };
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "sh",
            "-c",
            &format!("{mounts} && exec \"$@\""),
            "sh",
        ]);
        command.arg(plain.get_program()).args(plain.get_args());
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&binaries().smarthost);
        command.arg("--config").arg(self.config());
        command
    }

    /// Runs a command of the administrator (`queue list`, `limits show …`).
    pub fn admin(&self, arguments: &[&str]) -> Output {
        self.command()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The queue as the administrator sees it.
    pub fn mailq(&self) -> String {
        let output = self.admin(&["queue", "list"]);
        assert!(output.status.success(), "queue list: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the queue's listing is like that.
    pub fn wait_for_mailq(&self, what: &str, like: impl Fn(&str) -> bool) -> String {
        until(&format!("the queue shows {what}"), || {
            Some(self.mailq()).filter(|listing| like(listing))
        })
    }

    /// The process.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("smarthost runs")
    }

    /// kill -9, as by the kernel.
    pub fn kill(&mut self) {
        self.daemon().kill();
    }

    /// First (or only) listening address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first listening address as a next hop.
    pub fn nexthop(&self) -> String {
        nexthop(self.address)
    }

    /// Where all its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory().join("config.toml")
    }

    /// The pin of its key, as `smarthost pin` prints it.
    pub fn pin(&self) -> String {
        let output = self.admin(&["pin"]);
        assert!(output.status.success(), "pin: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_pin = |word: &&str| word.starts_with("sha256:");
        let found = text
            .split(['"', ' ', ',', '\n'])
            .find(is_pin)
            .map(str::to_owned);
        found.unwrap_or_else(|| panic!("no pin in: {text}"))
    }

    /// Messages of a Maildir in its directory, in no order.
    pub fn maildir(&self, name: &str) -> Vec<String> {
        let new = self.directory().join(name).join("new");
        let Ok(entries) = std::fs::read_dir(new) else {
            return Vec::new();
        };
        entries
            .map(|entry| {
                String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned()
            })
            .collect()
    }
}

/// Whether a configuration sets this key itself.
fn sets(config: &str, key: &str) -> bool {
    config.lines().any(|line| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}
