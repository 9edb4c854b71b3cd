//! A `smarthost` with a configuration from the test.
//!
//! Contract: everything it writes lies in its own [`Installation`]. `spool`, `state`, `control`,
//! `hostname`, `listen` and `resolver` are filled in where the test does not set them: no name
//! server of the machine decides anything.

use std::{
    fs,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use crate::{
    binaries::binaries,
    daemon::Daemon,
    identity::write,
    installation::{Installation, MACHINE_ALIASES, hermetic},
    maildir,
    resolver::Resolver,
    sink::nexthop,
    wait::{free_address, until},
};

/// A smarthost, running or not.
#[derive(Debug)]
pub struct Smarthost {
    installation: Installation,
    address: SocketAddr,
    /// Words before the command that starts it.
    within: Vec<String>,
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
            installation: Installation::new(),
            address: free_address(),
            within: Vec::new(),
        };
        smarthost.configure(config);
        smarthost
    }

    /// Another configuration, for the next start.
    pub fn configure(&self, config: &str) {
        let settings = [
            ("spool", "\"$DIR/spool\""),
            ("state", "\"$DIR/state\""),
            ("control", "\"$DIR/control.sock\""),
            ("hostname", "\"mail.example.test\""),
            ("listen", &format!("[\"{}\"]", self.address)),
            ("aliases", "[\"$DIR/machine.aliases\"]"),
            ("resolver", &names()),
        ];
        self.file("machine.aliases", MACHINE_ALIASES);
        self.write_config(&settings, config);
    }

    /// Runs it, from the next start on, in a mount namespace of its own, where this shell script
    /// has mounted something (root only). Name servers are those of the `resolv.conf` there.
    pub fn in_mount_namespace(&mut self, script: &str) {
        let filled_in = format!("resolver = {}\n", names());
        let config = fs::read_to_string(self.config()).unwrap();
        write(&self.config(), config.replace(&filled_in, ""));
        let script = format!("{} && exec \"$@\"", self.placed(script));
        self.run_within(["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned));
    }

    /// Puts these words before the command that starts it, from the next start on.
    pub fn run_within(&mut self, words: impl IntoIterator<Item = String>) {
        self.within = words.into_iter().collect();
    }

    /// Starts it (again) and waits until it takes connections at all its addresses.
    pub fn run(&mut self) {
        let daemon = Daemon::start("smarthost", &mut self.start_command());
        self.started(daemon, |daemon| daemon.log().contains(" listens on "));
    }

    fn start_command(&self) -> Command {
        let mut plain = self.command();
        plain.arg("run");
        let Some((first, rest)) = self.within.split_first() else {
            return plain;
        };
        let mut command = hermetic(first);
        command.args(rest);
        command.arg(plain.get_program()).args(plain.get_args());
        command
    }

    pub fn command(&self) -> Command {
        let mut command = hermetic(&binaries().smarthost);
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

    /// First (or only) listening address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first listening address as a next hop.
    pub fn nexthop(&self) -> String {
        nexthop(self.address)
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
        maildir::messages(&self.directory().join(name))
    }
}

/// The name server of those that set none, as a value: it knows `localhost` alone.
fn names() -> String {
    static NAMES: OnceLock<SocketAddr> = OnceLock::new();
    format!("\"{}\"", NAMES.get_or_init(Resolver::of_localhost))
}

impl Deref for Smarthost {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        &self.installation
    }
}

impl DerefMut for Smarthost {
    fn deref_mut(&mut self) -> &mut Installation {
        &mut self.installation
    }
}
