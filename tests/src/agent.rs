//! A machine with `sendmail` and its agent, with a configuration from the test.
//!
//! Contract: everything lies in its own [`Installation`]. `spool`, `socket`, `control` and
//! `hostname` are filled in where the test does not set them, and so is what would be looked for on
//! the machine otherwise: `domain`, `aliases`, `revaliases` and another program's queue.

use std::{
    fs,
    io::Write as _,
    ops::{Deref, DerefMut},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

use crate::{
    binaries::{binaries, copy_program, install_names},
    daemon::Daemon,
    installation::{Installation, MACHINE_ALIASES, hermetic},
    wait::until,
};

/// What Debian's cron pipes into `sendmail -i -FCronDaemon -B8BITMIME -oem root`.
pub const CRON: &str = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@vm1> test -x /usr/sbin/backup\n\
MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\
X-Cron-Env: <SHELL=/bin/sh>\nX-Cron-Env: <LOGNAME=root>\n\nbackup: nothing to do\n.\nstill the same message\n";
/// The arguments that Debian's cron gives.
pub const CRON_ARGUMENTS: [&str; 5] = ["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"];

/// The configuration of a machine that gives its mail to this relayhost; `more` settings follow.
pub fn config(relayhost: &str, more: &str) -> String {
    format!(
        "relayhost = {relayhost:?}\ndomain = \"example.org\"\nadmin = \"admins@example.org\"\ntls = \"none\"\n{more}"
    )
}

/// A machine, with its agent running or not.
#[derive(Debug)]
pub struct Agent {
    installation: Installation,
    bin: PathBuf,
    within: Vec<String>,
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
        let installation = Installation::new();
        let agent = Self {
            bin: install_names(installation.directory()),
            installation,
            within: Vec::new(),
        };
        agent.configure(config);
        agent
    }

    /// Another configuration, for the next start.
    pub fn configure(&self, config: &str) {
        let settings = [
            ("spool", "\"$DIR/spool\""),
            ("socket", "\"$DIR/submit.sock\""),
            ("control", "\"$DIR/control.sock\""),
            ("hostname", "\"vm1.example.test\""),
            ("domain", "\"vm1.example.test\""),
            ("smarthost_control", "\"$DIR/smarthost.sock\""),
            ("aliases", "\"$DIR/machine.aliases\""),
            ("revaliases", "\"$DIR/machine.revaliases\""),
        ];
        self.file("machine.aliases", MACHINE_ALIASES);
        self.file("machine.revaliases", "");
        self.write_config(&settings, config);
    }

    /// Runs the agent, from the next start on, in a pid namespace of its own, as in a container
    /// (root only).
    pub fn in_pid_namespace(&mut self) {
        self.run_within(["unshare", "--pid", "--fork", "--kill-child"].map(str::to_owned));
    }

    /// Puts these words before the command that starts the agent, from the next start on.
    pub fn run_within(&mut self, words: impl IntoIterator<Item = String>) {
        self.within = words.into_iter().collect();
    }

    /// Starts the agent (again) and waits until it takes connections.
    pub fn run(&mut self) {
        let daemon = Daemon::start("agent", &mut self.start_command());
        let sockets = ["submit.sock", "control.sock"].map(|name| self.directory().join(name));
        self.started(daemon, |_| {
            sockets.iter().all(|path| UnixStream::connect(path).is_ok())
        });
    }

    fn start_command(&self) -> Command {
        let mut plain = self.admin_command();
        plain.arg("agent");
        let Some((first, rest)) = self.within.split_first() else {
            return plain;
        };
        let mut command = hermetic(first);
        command.args(rest);
        command.arg(plain.get_program()).args(plain.get_args());
        command
    }

    /// The agent with its sockets as systemd hands them over; they are the standard input and
    /// output of the command.
    pub(crate) fn started_by_shell(&self, arguments: &[&str]) -> Command {
        let agent = self.admin_command();
        let mut command = hermetic("/bin/sh");
        command
            .args(["-c", "exec \"$@\" 3<&0 4<&1 0</dev/null 1>&2", "sh"])
            .arg(agent.get_program())
            .args(agent.get_args())
            .arg("agent")
            .args(arguments)
            .env("LISTEN_FDS", "2");
        command
    }

    /// A listener in the agent's place that accepts nothing, and as many connections as it holds
    /// without.
    pub fn stands_still(&self) -> (OwnedFd, Vec<OwnedFd>) {
        let made =
            |flags| socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let listener = made(SocketFlags::CLOEXEC);
        let address = SocketAddrUnix::new(self.directory().join("submit.sock")).unwrap();
        bind(&listener, &address).unwrap();
        listen(&listener, 1).unwrap();
        let connect = || {
            let client = made(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
            rustix::net::connect(&client, &address).map(|()| client)
        };
        let held = std::iter::repeat_with(connect)
            .map_while(Result::ok)
            .collect();
        (listener, held)
    }

    /// A command of the administrator, to be given its arguments.
    pub fn admin_command(&self) -> Command {
        let mut command = hermetic(self.bin.join("sendmail-shim"));
        command.arg("--config").arg(self.config());
        command
    }

    /// A program of this machine: `sendmail`, `mailq`, `newaliases`.
    pub fn program(&self, name: &str) -> Command {
        let mut command = hermetic(self.bin.join(name));
        command.env("SENDMAIL_SHIM_CONFIG", self.config());
        command
    }

    /// Lets other users reach sockets and configuration.
    pub fn open_to_all(&self) {
        fs::set_permissions(self.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A program of this machine where every user can run it, wherever the tests were built.
    pub fn public(&self, name: &str) -> Command {
        let program = self.directory().join("public").join(name);
        if !program.exists() {
            fs::create_dir_all(program.parent().unwrap()).unwrap();
            let built = match name {
                "sendmail-shim" => &binaries().sendmail_shim,
                _ => &binaries().sendmail,
            };
            copy_program(built, &program);
        }
        let mut command = hermetic(program);
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
}

impl Deref for Agent {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        &self.installation
    }
}

impl DerefMut for Agent {
    fn deref_mut(&mut self) -> &mut Installation {
        &mut self.installation
    }
}

/// A program as another user runs it (root only, by `setpriv`).
pub fn as_user(user: &str, program: &Command) -> Command {
    let mut command = hermetic("setpriv");
    command.args([
        &format!("--reuid={user}"),
        &format!("--regid={user}"),
        "--clear-groups",
    ]);
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
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
