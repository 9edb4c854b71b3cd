//! A machine with `sendmail` and its agent, with a configuration from the test.
//!
//! Contract: everything lies in its own temporary directory. In the configuration, `$DIR` is that directory; `spool`, `socket`, `control` and, unless
//! the test sets it, `hostname` are filled in.

use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{binaries::install_names, daemon::Daemon, identity::write, wait::until};

/// What Debian's cron pipes into `sendmail -i -FCronDaemon -B8BITMIME -oem root`.
pub const CRON: &str = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@vm1> test -x /usr/sbin/backup\n\
MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\
X-Cron-Env: <SHELL=/bin/sh>\nX-Cron-Env: <LOGNAME=root>\n\nbackup: nothing to do\n.\nstill the same message\n";
/// The arguments that Debian's cron gives.
pub const CRON_ARGUMENTS: [&str; 5] = ["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"];

/// A machine, with its agent running or not.
#[derive(Debug)]
pub struct Agent {
    directory: TempDir,
    bin: PathBuf,
    pid_namespace: bool,
    daemon: Option<Daemon>,
}

impl Agent {
    /// Starts one and waits until it takes connections.
    pub fn start(config: &str) -> Self {
        let mut agent = Self::prepare(config);
        agent.run();
        agent
    }

    /// A machine whose agent does not run.
    pub fn prepare(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bin = install_names(directory.path());
        let agent = Self {
            directory,
            bin,
            pid_namespace: false,
            daemon: None,
        };
        agent.configure(config);
        agent
    }

    /// Another configuration, for the next start.
    pub fn configure(&self, config: &str) {
        let mut text = String::from(
            "spool = \"$DIR/spool\"\nsocket = \"$DIR/submit.sock\"\ncontrol = \"$DIR/control.sock\"\n",
        );
        if !config.lines().any(|line| line.starts_with("hostname")) {
            text.push_str("hostname = \"vm1.example.test\"\n");
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

    /// Runs the agent, from the next start on, in a pid namespace of its own, as in a container (root only).
    pub fn in_pid_namespace(&mut self) {
        self.pid_namespace = true;
    }

    /// Starts the agent (again) and waits until it takes connections.
    pub fn run(&mut self) {
        let mut daemon = Daemon::start("agent", &mut self.start_command());
        until("the agent takes connections", || {
            assert!(
                daemon.ended().is_none(),
                "the agent ended at once:\n{}",
                daemon.log()
            );
            ["submit.sock", "control.sock"]
                .iter()
                .all(|name| UnixStream::connect(self.directory().join(name)).is_ok())
                .then_some(())
        });
        self.daemon = Some(daemon);
    }

    fn start_command(&self) -> Command {
        let mut plain = self.admin_command();
        plain.arg("agent");
        if !self.pid_namespace {
            return plain;
        }
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]);
        command.arg(plain.get_program()).args(plain.get_args());
        command
    }

    fn admin_command(&self) -> Command {
        let mut command = Command::new(self.bin.join("sendmail-shim"));
        command.arg("--config").arg(self.config());
        command
    }

    /// A program of this machine: `sendmail`, `mailq`, `newaliases`.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env("SENDMAIL_SHIM_CONFIG", self.config());
        command
    }

    /// Pipes a message into `sendmail`.
    pub fn sendmail(&self, arguments: &[&str], message: impl AsRef<[u8]>) -> Output {
        let mut command = self.program("sendmail");
        pipe(command.args(arguments), message.as_ref())
    }

    /// Pipes a message into `sendmail`, which must take it.
    pub fn send(&self, arguments: &[&str], message: impl AsRef<[u8]>) {
        let output = self.sendmail(arguments, message);
        assert_eq!(
            output.status.code(),
            Some(0),
            "sendmail: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs a command of the administrator (`check`, `queue list` …).
    pub fn admin(&self, arguments: &[&str]) -> Output {
        self.admin_command()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What `mailq` prints.
    pub fn mailq(&self) -> String {
        let output = self.program("mailq").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "mailq: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until `mailq` prints something like that.
    pub fn wait_for_mailq(&self, what: &str, like: impl Fn(&str) -> bool) -> String {
        until(&format!("mailq shows {what}"), || {
            Some(self.mailq()).filter(|listing| like(listing))
        })
    }

    /// The agent's process.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the agent runs")
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

/// Runs a command with this on its standard input.
pub fn pipe(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that has enough may close its input early.
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}
