//! The configuration as the program uses it: valid by construction, all defaults filled in.
//!
//! Failures: [`ConfigError`] with file, line and remedy. An empty configuration is valid: the agent
//! then queues, and says that no relayhost is set.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use mail::address::{Address, Domain};
use queue::{rate::Window, retry::Schedule};
use relay::{
    relayhost::{ORDER, Order, Relayhost, relayhosts},
    tls::{ClientTls, TlsError, Trust},
    token::Source,
    trust::Pin,
};
use settings::{
    ConfigError, LONGEST, Span,
    faults::{self, Wrong},
    form::{MESSAGE_SIZE, small_messages},
    last_good::{Fault, salvage},
    layers::Layer,
};
use smtp::client::Security;
use system::secret::exposed;

use super::{
    enrolled,
    file::{Auth, File},
    forms::{
        ALIASES, CONNECTIONS, FROM_OVERRIDE, LIFETIME, MAXIMAL, MINIMAL, MINIMUM_FREE, REVALIASES,
        SHARE_RECIPIENTS, SHARE_SIZE, TLS, WARNING, WINDOW,
    },
    machine,
    unchanged::Unchanged,
};

/// Where the agent listens unless the configuration says otherwise.
pub const SOCKET: &str = "/run/sendmail-shim/submit.sock";

/// Where the queue is unless the configuration says otherwise.
pub const SPOOL: &str = "/var/spool/sendmail-shim";

/// Settings that are used while the files are wrong, if they are right by themselves.
const SALVAGED: [&str; 13] = [
    "spool",
    "socket",
    "control",
    "smarthost_control",
    "hostname",
    "domain",
    "admin",
    "aliases",
    "revaliases",
    "listen",
    "message_size",
    "minimum_free",
    "share",
];

/// All settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The files they come from, the one that decides first.
    pub files: Vec<PathBuf>,
    /// The files are wrong: these are the last good settings, or what is right by itself and no
    /// relayhost.
    pub fault: Option<Fault>,
    pub relayhost: Vec<Relayhost>,
    pub relay_order: Order,
    /// For what DNS names; `None`: those of /etc/resolv.conf.
    pub resolver: Option<SocketAddr>,
    pub domain: Domain,
    pub hostname: Domain,
    pub pins: Vec<Pin>,
    pub admin: Option<Address>,
    pub security: Security,
    pub auth: Option<Auth>,
    /// Certificate and key that this machine shows.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub revaliases: PathBuf,
    pub aliases: PathBuf,
    pub spool: PathBuf,
    pub socket: PathBuf,
    pub control: PathBuf,
    /// Where a smarthost on this machine answers.
    pub smarthost_control: PathBuf,
    pub from_override: bool,
    /// Bytes.
    pub message_size: u64,
    /// At least 1.
    pub connections: usize,
    /// That was set: silent ones count.
    pub limits_connections: bool,
    pub retry: Schedule,
    /// When to tell of mail that is late, and of a relayhost that is away.
    pub warning: Option<Duration>,
    /// Bytes.
    pub minimum_free: u64,
    /// Loopback addresses for programs that speak SMTP.
    pub listen: Vec<SocketAddr>,
    /// How long the same automatic mail is counted before its digest; `None`: each is sent.
    pub collapse: Option<Duration>,
    /// How much automatic mail goes; `None`: all.
    pub budget: Option<Window>,
    /// Whose reports wait for a digest when they say the same as the last one; `None`: nobody's.
    pub unchanged: Option<Unchanged>,
    /// What one user may have in the queue.
    pub share: Share,
}

/// What one user other than root may have in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Bytes; without it, a part of what is free.
    pub size: Option<u64>,
    /// Recipients that wait: a message to ten counts ten.
    pub recipients: u64,
}

impl Settings {
    /// From TOML text; `path` is for messages, and relative paths in the text start from its
    /// directory.
    pub fn parse(path: Option<&Path>, text: &str) -> Result<Self, ConfigError> {
        let files: Vec<_> = path.map(Path::to_owned).into_iter().collect();
        let name = path.unwrap_or(Path::new("(defaults)")).to_owned();
        Self::read(&[(name, text.to_owned())], &files)
    }

    /// From several files of one directory: what an earlier one leaves open, a later one decides.
    pub fn layered(layers: &[Layer]) -> Result<Self, ConfigError> {
        let files: Vec<_> = layers.iter().map(|(path, _)| path.clone()).collect();
        Self::read(layers, &files)
    }

    fn read(layers: &[Layer], files: &[PathBuf]) -> Result<Self, ConfigError> {
        faults::read(layers, &[], |file| Self::of(files.to_vec(), file))
    }

    /// The same with what lines of smarthosts have set, if any have.
    pub fn enrolled(layers: Vec<Layer>) -> Result<Self, ConfigError> {
        let settings = Self::layered(&layers)?;
        match enrolled::among(layers, &settings.spool)? {
            None => Ok(settings),
            Some(all) => Self::layered(&all),
        }
    }

    /// What can be used of files that are wrong: enough to find the agent and to queue, nothing to
    /// send with.
    pub fn salvaged(layers: &[Layer], path: &Path, refuge: PathBuf) -> Result<Self, ConfigError> {
        let of = |mut file: File| {
            file.spool.get_or_insert_with(|| refuge.clone());
            Self::of(vec![path.to_owned()], file)
        };
        let mut settings = salvage(layers, &SALVAGED, of).map_err(|wrong| {
            let text = format!("{}: {wrong}", path.display());
            ConfigError { text }
        })?;
        // Nothing is given up before an administrator has had a say.
        settings.retry.lifetime = LONGEST;
        settings.warning = None;
        Ok(settings)
    }

    fn of(files: Vec<PathBuf>, file: File) -> Result<Self, Wrong> {
        let own = files.iter().find(|path| !enrolled::is_it(path));
        let path = own.or(files.first());
        let name = |text: &str| Domain::name(text).ok();
        let given = match file.domain {
            Some(domain) => Some(domain.0),
            None => machine::mailname().as_deref().and_then(name),
        };
        let hostname = match file.hostname {
            Some(hostname) => Some(hostname.0),
            None => name(&machine::hostname(given.as_deref())),
        };
        let hostname = hostname.unwrap_or_else(Domain::localhost);
        let from = |setting: Option<PathBuf>, default: &str| {
            let setting = setting.unwrap_or_else(|| default.into());
            path.and_then(|path| path.parent())
                .map_or_else(|| setting.clone(), |directory| directory.join(&setting))
        };
        let placed = |path| from(Some(path), "");
        let socket = from(file.socket, SOCKET);
        if file.certificate.is_none() && file.key.is_some() {
            let what = "this key has no certificate; set certificate, or remove the key";
            return Err(Wrong::of(&["key"], what).value());
        }
        let retry = schedule(&file.retry)?;
        let unchanged = Unchanged::of(file.unchanged)?;
        let settings = Self {
            relayhost: relayhosts(file.relayhost)?,
            relay_order: ORDER.read(file.relay_order)?,
            resolver: file.resolver.map(|server| server.0),
            domain: given.unwrap_or_else(|| hostname.clone()),
            hostname,
            pins: file.pins.0,
            admin: file.admin,
            security: TLS.read(file.tls)?.into(),
            auth: file.auth.map(|auth| located(auth, &placed)),
            identity: file.certificate.map(|certificate| {
                let key = file.key.unwrap_or_else(|| certificate.clone());
                (placed(certificate), placed(key))
            }),
            revaliases: from(file.revaliases, REVALIASES),
            aliases: from(file.aliases, ALIASES),
            spool: from(file.spool, SPOOL),
            control: file
                .control
                .map_or_else(|| socket.with_file_name("control.sock"), &placed),
            smarthost_control: from(file.smarthost_control, control::SMARTHOST),
            socket,
            from_override: FROM_OVERRIDE.read(file.from_override)?,
            message_size: MESSAGE_SIZE.read(file.message_size)?.0,
            limits_connections: file.connections.is_some(),
            connections: CONNECTIONS.read(file.connections)?.0,
            retry,
            warning: unless_zero(WARNING.read(file.retry.warning)?),
            listen: file.listen.0.iter().map(|loopback| loopback.0).collect(),
            collapse: unless_zero(WINDOW.read(file.collapse.window)?),
            budget: file.budget.map(|budget| budget.0),
            unchanged,
            share: share(&file.share)?,
            minimum_free: MINIMUM_FREE.read(file.minimum_free)?.0,
            files,
            fault: None,
        };
        match settings.contradiction() {
            Some(wrong) => Err(wrong),
            None => Ok(settings),
        }
    }

    /// The relayhost's port where it names none.
    pub fn default_port(&self) -> u16 {
        if self.security == Security::Wrapped {
            465
        } else {
            25
        }
    }

    /// Where a copy of the password for the relayhost is kept.
    pub fn passwords(&self) -> PathBuf {
        self.spool.join("passwords.last-good")
    }

    /// Where that of the login in force lies.
    pub fn password_place(&self) -> PathBuf {
        let user = self.auth.as_ref().map_or("", |auth| auth.user.as_str());
        tables::secret::place(&self.passwords(), user, &self.relayhost)
    }

    /// TLS towards the relayhost, if any.
    pub fn client_tls(&self) -> Result<Option<ClientTls>, TlsError> {
        let trust = match (self.security, self.pins.is_empty()) {
            (Security::None, _) => return Ok(None),
            (_, true) => Trust::WebRoots,
            (_, false) => Trust::Pins(self.pins.clone()),
        };
        let identity = self.identity.as_ref();
        let identity = identity.map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let tls = ClientTls::with_identity(&trust, identity).map(Some);
        tls.map_err(|error| {
            let own = self.spool.join(enrolled::KEY);
            let is_own = identity.is_some_and(|(certificate, _)| certificate == own);
            if is_own {
                enrolled::unfit(&error)
            } else {
                error
            }
        })
    }

    /// What is allowed but deserves a word.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.relayhost.is_empty() && self.fault.is_none() {
            warnings.push("no relayhost is set: mail is queued and not sent; set relayhost = \"mail.example.org\"".to_owned());
        }
        let key = self.identity.as_ref().map(|(_, key)| key);
        let exposed = key.and_then(|key| exposed(key));
        warnings.extend(exposed.map(|(what, remedy)| format!("{what}: {remedy}")));
        for pin in self.pins.iter().filter(|pin| pin.is_weak()) {
            warnings.push(format!(
                "{pin} is a SHA-1 pin: replace it by what `sendmail-shim pin HOST` prints"
            ));
        }
        warnings.extend(small_messages(self.message_size));
        if self.security == Security::None && self.auth.is_some() {
            warnings.push(
                "auth is set but tls = \"none\": without TLS no password is sent, so no \
                 mail can be sent; set tls = \"starttls\" or \"wrapped\""
                    .to_owned(),
            );
        }
        warnings
    }
}

fn schedule(retry: &super::file::Retry) -> Result<Schedule, Wrong> {
    let schedule = Schedule {
        minimal: MINIMAL.read(retry.minimal)?.0,
        maximal: MAXIMAL.read(retry.maximal)?.0,
        lifetime: LIFETIME.read(retry.lifetime)?.0,
    };
    if schedule.minimal > schedule.maximal {
        let key = if retry.minimal.is_some() {
            "minimal"
        } else {
            "maximal"
        };
        let what = "retry.minimal is longer than retry.maximal; swap them";
        return Err(Wrong::of(&["retry", key], what).with(&["retry"]));
    }
    Ok(schedule)
}

/// The same with files that are found from anywhere.
fn located(auth: Auth, placed: &impl Fn(PathBuf) -> PathBuf) -> Auth {
    Auth {
        password_file: auth.password_file.map(placed),
        token: auth.token.map(|token| match token {
            Source::File(path) => Source::File(placed(path)),
            command @ Source::Command(_) => command,
        }),
        ..auth
    }
}

fn share(written: &super::file::Share) -> Result<Share, Wrong> {
    let size = written.size.map(|size| SHARE_SIZE.read(Some(size)));
    Ok(Share {
        size: size.transpose()?.map(|size| size.0),
        recipients: SHARE_RECIPIENTS.read(written.recipients)?.0 as u64,
    })
}

/// A time, of which none means never.
fn unless_zero(Span(time): Span) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Settings, ConfigError> {
        Settings::parse(Some(Path::new("/etc/sendmail-shim/config.toml")), text)
    }

    #[test]
    fn the_smallest_useful_configuration_is_four_lines() {
        let settings = parsed(&format!(
            "relayhost = \"mail.example.org\"\ndomain = \"example.org\"\npins = [\"sha256:{}\"]\nadmin = \"admins@example.org\"\n",
            "9f".repeat(32)
        ))
        .unwrap();
        assert_eq!(settings.relayhost.len(), 1);
        assert_eq!(
            (settings.domain.as_str(), settings.security),
            ("example.org", Security::StartTls)
        );
        assert_eq!(
            settings.control,
            Path::new("/run/sendmail-shim/control.sock")
        );
        assert_eq!(settings.warnings(), Vec::<String>::new());
    }

    #[test]
    fn an_empty_configuration_is_valid_and_says_that_a_relayhost_is_missing() {
        let settings = parsed("").unwrap();
        assert!(!settings.hostname.is_empty() && !settings.domain.is_empty());
        assert!(
            settings.warnings().iter().any(|w| w.contains("relayhost")),
            "{:?}",
            settings.warnings()
        );
    }

    #[test]
    fn relative_paths_start_from_the_configuration_and_the_control_socket_lies_beside_the_other() {
        let settings = parsed("socket = \"run/submit.sock\"\nspool = \"/srv/spool\"").unwrap();
        assert_eq!(
            settings.socket,
            Path::new("/etc/sendmail-shim/run/submit.sock")
        );
        assert_eq!(
            settings.control,
            Path::new("/etc/sendmail-shim/run/control.sock")
        );
        assert_eq!(settings.spool, Path::new("/srv/spool"));
    }

    /// Row D3: what the package asked is in force until the administrator writes something else.
    #[test]
    fn the_administrators_file_decides_over_the_answers_to_the_packages_questions() {
        let layer =
            |name: &str, text: &str| (Path::new("/etc/sendmail-shim").join(name), text.to_owned());
        let answers = "relayhost = ['asked.example']\ndomain = 'asked.example'\nadmin = 'admins@asked.example'\n";
        let own = "relayhost = \"own.example\"\nspool = \"spool\"\n[retry]\nlifetime = \"1d\"";
        let settings =
            Settings::layered(&[layer("config.toml", own), layer("debconf.toml", answers)])
                .unwrap();
        assert_eq!(
            settings.relayhost,
            [Relayhost::parse("own.example").unwrap()]
        );
        assert_eq!(settings.domain.as_str(), "asked.example");
        assert_eq!(settings.admin.unwrap().to_string(), "admins@asked.example");
        assert_eq!(settings.spool, Path::new("/etc/sendmail-shim/spool"));
        assert_eq!(settings.retry.lifetime, Duration::from_hours(24));
        let error = Settings::layered(&[
            layer("config.toml", own),
            layer("debconf.toml", "domain = 'a b'"),
        ]);
        assert!(
            error
                .unwrap_err()
                .text
                .starts_with("/etc/sendmail-shim/debconf.toml:")
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_a_remedy() {
        for (text, told) in [
            ("relayhsot = \"x\"", "relayhost"),
            ("relayhost = []", "take the line away"),
            ("relayhost = [\"a.example\", \"A.example\"]", ":1:27: "),
            (
                "message_size = \"99999999999999999999GiB\"",
                "more than any disk",
            ),
            (
                "retry = { lifetime = \"99999999999999999999d\" }",
                "longer than 100 years",
            ),
            ("retry = { lifetime = \"40000d\" }", "longer than 100 years"),
            ("tls = \"ssl\"", "starttls"),
            ("domain = \"exa mple\"", "write one such as"),
            ("hostname = \"192.0.2.1\"", "is an address"),
            ("retry = [\"5m\"]", "a table"),
            ("collapse = [\"5m\"]", "a table"),
            ("share = []", "a table"),
            ("unchanged = [\"root\"]", "a table"),
            ("unchanged = { senders = \"\" }", "such as"),
            (
                "unchanged = { senders = \"root\", digest = \"0s\" }",
                "from \"1s\" to \"31d\"",
            ),
            (
                "unchanged = { senders = \"root\", digest = \"1y\" }",
                "its unit",
            ),
            ("auth = [\"user\", \"file\"]", "a table"),
            ("budget = \"0/day\"", "lets nothing through"),
            ("pins = [\"abc\"]", "sha256:"),
            ("listen = \"0.0.0.0:25\"", "loopback"),
            (
                "listen = [\"127.0.0.1:25\", \"[2001:db8::1]:25\"]",
                "this machine only",
            ),
            ("[retry]\nminimal = \"2h\"\nmaximal = \"1h\"", "swap"),
        ] {
            let error = parsed(text).unwrap_err().text;
            assert!(
                error.starts_with("/etc/sendmail-shim/config.toml:") && error.contains(told),
                "{text}: {error}"
            );
        }
    }

    /// Row B15: a SHA-1 pin of the public key is taken over from Postfix, with a warning.
    #[test]
    fn a_sha1_pin_is_accepted_with_a_warning() {
        let settings = parsed(&format!(
            "relayhost = \"x\"\npins = \"sha1:{}\"",
            "ab".repeat(20)
        ))
        .unwrap();
        assert!(settings.warnings().iter().any(|w| w.contains("SHA-1")));
    }
}
