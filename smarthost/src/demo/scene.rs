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

/// The directory and the programs.
pub(super) struct Scene {
    pub(super) directory: PathBuf,
}

impl Scene {
    /// A fresh directory with the names that the client's program is called by.
    pub(super) fn new() -> anyhow::Result<Self> {
        let binary = client_binary()?;
        let directory = std::env::temp_dir().join(format!("smarthost-demo-{}", std::process::id()));
        create_directory(&directory.join("bin"), 0o700)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        for name in ["sendmail", "mailq", "sendmail-shim"] {
            symlink(&binary, directory.join("bin").join(name))?;
        }
        Ok(Self { directory })
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
        let own = std::env::current_exe().context("cannot find this program")?;
        Program::start(
            "smarthost",
            Command::new(own).arg("run").arg("--config").arg(config),
            &self.path("smarthost.log"),
        )
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

/// The client's binary beside our own; under cargo it is built first.
fn client_binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let directory = own.parent().context("this program has no directory")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo says in this way that it runs us; without it nothing is built"
    )]
    let cargo = std::env::var_os("CARGO").zip(std::env::var_os("CARGO_MANIFEST_DIR"));
    if let Some((cargo, package)) = cargo {
        build(
            Path::new(&cargo),
            &Path::new(&package).join("../Cargo.toml"),
            directory.file_name().is_some_and(|name| name == "release"),
        )?;
    }
    let binary = directory.join("sendmail");
    if !binary.is_file() {
        bail!(
            "{} is not there: install sendmail-shim beside smarthost, or run `cargo demo` in the source tree",
            binary.display()
        );
    }
    Ok(binary)
}

/// The source tree is what cargo says now: a path that was compiled in would make each place's binary another one.
fn build(cargo: &Path, manifest: &Path, release: bool) -> anyhow::Result<()> {
    let mut command = Command::new(cargo);
    command
        .args(["build", "-p", "sendmail-shim", "--manifest-path"])
        .arg(manifest);
    if release {
        command.arg("--release");
    }
    if !command.status().context("cannot run cargo")?.success() {
        bail!("sendmail-shim cannot be built; see above");
    }
    Ok(())
}
