//! Where the demonstration takes place: a directory, three configurations, and the two programs.

use std::{
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use system::fs::{create_directory, replace};

use super::program::Program;
use crate::binaries::Binaries;

/// The directory and the programs.
pub(super) struct Scene<'a> {
    pub(super) directory: &'a Path,
    programs: &'a Binaries,
}

impl<'a> Scene<'a> {
    /// Prepares a directory with the names that the client's programs are called by.
    pub(super) fn new(directory: &'a Path, programs: &'a Binaries) -> anyhow::Result<Self> {
        for (name, program) in programs.names() {
            if !program.is_file() {
                bail!("{} is not there", program.display());
            }
            create_directory(&directory.join("bin"), 0o700)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            symlink(program, directory.join("bin").join(name))?;
        }
        Ok(Self {
            directory,
            programs,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        replace(&path, text.as_bytes(), 0o600)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Starts the smarthost with a fresh key, on a free port.
    pub(super) fn smarthost(&self) -> anyhow::Result<Program> {
        let t = self.directory.display();
        let aliases = self.write("aliases", "postmaster: root\nroot: admins@demo.example\n")?;
        let text = format!(
            r#"hostname = "mail.demo.example"
listen = ["127.0.0.1:0"]
networks = ["127.0.0.0/8"]
limits = {{ per_client = ["100/day"], exempt = ["127.0.0.3"] }}
domains = {{ local = ["demo.example"] }}
aliases = ["{}"]
spool = "{t}/smarthost-spool"
state = "{t}/smarthost-state"
control = "{t}/smarthost.sock"
maildir = "{t}/Maildir"
"#,
            aliases.display()
        );
        let config = self.write("smarthost.toml", &text)?;
        Program::start(
            "smarthost",
            Command::new(&self.programs.smarthost)
                .arg("run")
                .arg("--config")
                .arg(config),
            &self.path("smarthost.log"),
        )
    }

    /// What the smarthost's administrator types.
    pub(super) fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.programs.smarthost)
            .arg("--config")
            .arg(self.path("smarthost.toml"))
            .args(words)
            .output()?;
        if !output.status.success() {
            bail!(
                "smarthost {words:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts an agent that trusts `pin` alone. Names its files.
    pub(super) fn agent(
        &self,
        name: &'static str,
        relay: SocketAddr,
        pin: &str,
    ) -> anyhow::Result<Program> {
        let t = self.directory.display();
        let text = format!(
            r#"relayhost = "[{}]:{}"
hostname = "vm1.demo.example"
domain = "demo.example"
admin = "admins@demo.example"
pins = ["{pin}"]
spool = "{t}/{name}-spool"
socket = "{t}/{name}.sock"
control = "{t}/{name}-control.sock"
aliases = "{t}/aliases"
revaliases = "{t}/revaliases"
"#,
            relay.ip(),
            relay.port()
        );
        self.write("revaliases", "root: admins@demo.example\n")?;
        let config = self.write(&format!("{name}.toml"), &text)?;
        let mut command = Command::new(self.path("bin/sendmail-shim"));
        command.arg("agent").arg("--config").arg(config);
        Program::start(name, &mut command, &self.path(&format!("{name}.log")))
    }

    /// One of the client's programs, as a user calls it, with an agent's configuration.
    pub(super) fn command(&self, program: &str, agent: &str) -> Command {
        let mut command = Command::new(self.path("bin").join(program));
        command
            .env("SENDMAIL_SHIM_CONFIG", self.path(&format!("{agent}.toml")))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}
