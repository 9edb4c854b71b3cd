//! What transports need: programs, folders and sockets, seen with the eyes of the daemon's user.

use std::{collections::HashSet, fs, io, path::Path, time::Duration};

use control::findings::Findings;
use mail::{
    maps::{Problem, Table, Target as Named},
    nexthop::Nexthop,
};
use relay::net::{Connection, Target};
use rustix::fs::Access;
use settings::provision;
use smtp::client::{Protocol, Security, Settings, Timeouts};
use system::{read, within};

use crate::{
    config::{Config, Pipe, Route, TableFiles, Type},
    destination::{Destination, Kind, LmtpTarget},
    transport::pipe::words,
};

/// How long a unit may take to greet.
const PATIENCE: Duration = Duration::from_secs(10);
/// Next hops of each kind that are looked at: a table may have thousands.
const MOST: usize = 100;

/// The tables of `transport`, and what is wrong in them; what cannot be read at all is told with
/// the configuration.
pub(super) type Read = Option<(TableFiles, Vec<Problem>)>;

/// Where routes and tables of transports lead, with the name of what leads there.
pub(super) fn routed(config: &Config, read: &Read) -> Vec<(String, Kind)> {
    let files = read.iter().map(|(files, _)| files);
    let tables: Vec<_> = files.flat_map(TableFiles::tables).collect();
    let read = tables.iter().flat_map(|(_, table)| table.entries());
    let read = read.map(|(key, written, _)| (key.to_owned(), written.to_owned()));
    let written = config.routes.iter().chain(&config.default_routes);
    let written = written.map(|(key, written)| (key.clone(), written.clone()));
    let all = written.chain(read);
    all.filter_map(|(key, written)| Some((key, destination(config, &written)?.kind)))
        .collect()
}

/// A host to which something leads.
pub(super) struct Hop {
    /// The setting that leads there, and its key; that of a table is none of the configuration's.
    pub(super) setting: &'static str,
    pub(super) key: String,
    pub(super) nexthop: Nexthop,
    pub(super) port: u16,
    pub(super) is_lmtp: bool,
}

impl Hop {
    fn of(setting: &'static str, key: &str, kind: &Kind) -> Option<Self> {
        let (nexthop, usual, is_lmtp) = match kind {
            Kind::Smtp { nexthop, .. } => (nexthop, 25, false),
            Kind::Lmtp(LmtpTarget::Tcp(nexthop)) => (nexthop, 24, true),
            _ => return None,
        };
        Some(Self {
            setting,
            key: key.to_owned(),
            nexthop: nexthop.clone(),
            port: nexthop.port.unwrap_or(usual),
            is_lmtp,
        })
    }

    /// Where it stands in the configuration, and its key.
    pub(super) fn place(&self, config: &Config) -> String {
        let own = [self.setting, &self.key];
        let default = ["default_routes", &self.key];
        let own = if self.key == self.setting {
            &own[..1]
        } else {
            &own[..]
        };
        let place = config.place_of(own, None);
        let place = place.or_else(|| config.place_of(&default, None));
        place.map_or_else(
            || self.key.clone(),
            |place| format!("{place}: {}", self.key),
        )
    }
}

/// Hosts to which routes, transports and `lmtp` lead, each once.
pub(super) fn nexthops(config: &Config, routed: &[(String, Kind)]) -> Vec<Hop> {
    let local = config.local.iter();
    let local = local.filter_map(|local| Hop::of("lmtp", "lmtp", &local.kind));
    let led = routed.iter();
    let led = led.filter_map(|(key, kind)| Hop::of("routes", key, kind));
    let named = config.transports.iter().filter_map(|(name, transport)| {
        let kind = match &transport.kind {
            Type::Smtp(kind) => kind.clone()?,
            Type::Lmtp(target) => Kind::Lmtp(target.clone()?),
            Type::Maildir(_) | Type::Pipe(_) => return None,
        };
        Hop::of("transports", name, &kind)
    });
    let mut seen = HashSet::new();
    let all = local.chain(led).chain(named);
    all.filter(|hop| seen.insert((hop.nexthop.to_string(), hop.port)))
        .take(MOST)
        .collect()
}

/// What may have been meant by a word in a route that no host has as its name.
pub(super) fn known(config: &Config, word: &str) -> String {
    let names = config.transports.keys().map(|name| &**name);
    let all: Vec<&str> = names
        .chain(["smtp", "lmtp", "maildir", "error", "retry"])
        .collect();
    format!(
        "for a host write its whole name or \"[ADDRESS]\"; if {word} is to be a transport, those are: {}",
        all.join(", ")
    )
}

/// Sockets of LMTP servers on this machine: whether somebody takes mail there.
pub(super) fn sockets(config: &Config, routed: &[(String, Kind)], findings: &mut Findings) {
    let local = config.local.as_ref();
    let local = local.map(|local| ("lmtp", &local.kind));
    let routed = routed.iter().map(|(key, kind)| (key.as_str(), kind));
    let mut seen = HashSet::new();
    for (key, kind) in local.into_iter().chain(routed) {
        let Kind::Lmtp(LmtpTarget::Unix(path)) = kind else {
            continue;
        };
        if !seen.insert(path) || seen.len() > MOST {
            continue;
        }
        let shown = path.display();
        match greeted(path) {
            Ok(()) => findings.ok("lmtp", format!("{key}: {shown} answers")),
            Err(why) => findings.fail(
                "lmtp",
                format!("{key}: {shown}: {why}"),
                "mail waits until it answers: does the mailbox server run, is the path right, and may the daemon's user connect?",
            ),
        }
    }
}

/// Whether an LMTP server greets there.
fn greeted(socket: &Path) -> Result<(), String> {
    let settings = Settings {
        helo: "localhost".to_owned(),
        protocol: Protocol::Lmtp,
        security: Security::None,
        timeouts: Timeouts {
            opening: PATIENCE,
            ..Timeouts::default()
        },
        known: None,
        credentials: None,
        enroll: None,
    };
    let opened = Connection::open(&Target::unix(socket), &settings, PATIENCE);
    opened
        .map(Connection::quit)
        .map_err(|failure| failure.log_text())
}

/// Where a route leads, if it leads to one place.
fn destination(config: &Config, written: &str) -> Option<Destination> {
    match Route::parse(written, &config.transports) {
        Ok(Route::To(destination)) => Some(destination),
        _ => None,
    }
}

/// Where local mail ends, and other mail that a route gives to a folder.
pub(super) fn maildir(config: &Config, findings: &mut Findings) {
    let written = config.routes.iter().map(|route| ("routes", route));
    let defaults = config.default_routes.iter();
    let written = written.chain(defaults.map(|route| ("default_routes", route)));
    let routed =
        written.filter_map(|(key, (_, written))| Some((key, destination(config, written)?)));
    let local = config.local.clone().map(|local| ("maildir", local));
    let mut seen = HashSet::new();
    for (key, destination) in local.into_iter().chain(routed) {
        let Kind::Maildir(path) = destination.kind else {
            continue;
        };
        if !seen.insert(path.clone()) {
            continue;
        }
        match not_written(&path) {
            None => findings.ok("maildir", path.display().to_string()),
            Some(why) => {
                let what = format!("{} cannot be made or written: {why}", path.display());
                let error = config.wrong(key, &what);
                findings.fail("maildir", error.text, "give it to the daemon's user");
            }
        }
    }
}

/// Each transport of the settings, and the files of `transport` and `tls_policy`.
/// `installed`: the daemon of the package is meant; `judged`: who looks sees folders as it does.
pub(super) fn all(
    config: &Config,
    read: &Read,
    (installed, judged): (bool, bool),
    findings: &mut Findings,
) {
    let own = config.transports.iter().filter(|(_, it)| !it.shipped);
    for (name, transport) in own {
        match &transport.kind {
            Type::Pipe(pipe) => self::pipe(name, pipe, installed, findings),
            Type::Maildir(Some(path)) if judged => match not_written(path) {
                None => findings.ok("transports", format!("{name}: {}", path.display())),
                Some(why) => findings.fail(
                    "transports",
                    format!(
                        "{name}: {} cannot be made or written: {why}",
                        path.display()
                    ),
                    "give it to the daemon's user",
                ),
            },
            Type::Smtp(_) | Type::Lmtp(_) | Type::Maildir(_) => {}
        }
    }
    let Some((_, problems)) = read else {
        return;
    };
    files("transport", problems, config.transport.len(), findings);
    if let Ok((_, problems)) = config.read_tls_policy() {
        files("tls_policy", &problems, config.tls_policy.len(), findings);
    }
}

/// The tables of a setting, so many.
fn files(key: &'static str, problems: &[Problem], count: usize, findings: &mut Findings) {
    for problem in problems {
        findings.fail(key, problem.to_string(), "correct the line");
    }
    if problems.is_empty() && count > 0 {
        findings.ok(key, format!("{count} files"));
    }
}

/// The programs that alias files name, and whether they are run.
pub(super) fn programs(config: &Config, aliases: &Table, findings: &mut Findings) -> bool {
    let runners = config.runners();
    let mut fine = true;
    for (name, entry) in aliases.all() {
        let commands = entry.targets.iter().filter_map(|target| match target {
            Named::Program(command) => Some(command),
            _ => None,
        });
        for command in commands {
            let why = match runners.get(&*entry.path) {
                Some(Err(why)) => Some(format!("it is not run, for {why}")),
                Some(Ok(transport)) => {
                    let elsewhere = transport.as_ref().and_then(|name| config.pipe(name));
                    let elsewhere = elsewhere.is_some_and(|pipe| pipe.socket.is_some());
                    cannot_run(command).filter(|_| !elsewhere)
                }
                None => None,
            };
            if let Some(why) = why {
                fine = false;
                let place = format!("{entry}: {name}: |{command}: {why}");
                findings.fail(
                    "aliases",
                    place,
                    "correct the line, or the file's owner and mode",
                );
            }
        }
    }
    fine
}

fn cannot_run(command: &str) -> Option<String> {
    match words::split(command) {
        Err(why) => Some(why),
        Ok(words) => {
            let program = words.first().map_or("", String::as_str);
            let error = read::access(Path::new(program), Access::EXEC_OK).err()?;
            Some(format!("{program} cannot be run: {error}"))
        }
    }
}

/// `installed`: the daemon of the package is meant.
fn pipe(name: &str, pipe: &Pipe, installed: bool, findings: &mut Findings) {
    if let Some(socket) = &pipe.socket {
        return unit(name, socket, findings);
    }
    let found = read::metadata(&pipe.directory);
    if let Err(error) = &found
        && error.kind() == io::ErrorKind::TimedOut
    {
        findings.fail(
            "transports",
            format!("{name}: {}: {error}", pipe.directory.display()),
            "no program is started there until it answers; or name another with directory",
        );
    } else if !found.is_ok_and(|found| found.is_dir()) {
        findings.fail(
            "transports",
            format!("{name}: {} is not a directory", pipe.directory.display()),
            "create it, or name another with directory",
        );
    } else if let Err(error) = read::access(&pipe.directory, Access::EXEC_OK) {
        findings.fail(
            "transports",
            format!("{name}: {} cannot be entered: {error}", pipe.directory.display()),
            "the program is started there by the daemon's user, which must be able to enter it: chmod o+x, or name another with directory",
        );
    }
    let Some(program) = pipe.command.first() else {
        return;
    };
    let path = Path::new(program.as_str());
    match read::access(path, Access::EXEC_OK) {
        Ok(()) if read::metadata(path).is_ok_and(|it| it.is_file()) => {
            findings.ok("transports", format!("{name}: {program}"));
            if installed && let Some(program) = confined(path) {
                findings.warn(
                    "transports",
                    format!("{name}: the AppArmor profile of the daemon does not name {program}"),
                    &format!(
                        "write \"{program} ix,\" and what it reads and writes into /etc/apparmor.d/local/smarthost, then: \
                         apparmor_parser -r /etc/apparmor.d/smarthost; or give it a unit of its own (socket)"
                    ),
                );
            }
        }
        Ok(()) => findings.fail(
            "transports",
            format!("{name}: {program} is not a program"),
            "write the program's whole path",
        ),
        Err(error) => findings.fail(
            "transports",
            format!("{name}: {program} cannot be run: {error}"),
            "install it, or correct its path; it must be a program that the daemon's user may run",
        ),
    }
}

/// The unit behind a socket: whether it is started, lets us in, and speaks LMTP.
fn unit(name: &str, socket: &Path, findings: &mut Findings) {
    let shown = socket.display();
    let what = |why: String| format!("{name}: {shown}: {why}");
    if let Err(error) = read::access(socket, Access::WRITE_OK) {
        let remedy = if error.kind() == io::ErrorKind::NotFound {
            format!(
                "make smarthost-{name}.socket with ListenStream={shown} and Accept=yes, and smarthost-{name}@.service, which runs \
                 `smarthost pipe {name}` (PROGRAMS in smarthost.toml(5)); then: systemctl enable --now smarthost-{name}.socket"
            )
        } else {
            "the socket unit lacks SocketUser= with the daemon's user".to_owned()
        };
        return findings.fail("transports", what(error.to_string()), &remedy);
    }
    match greeted(socket) {
        Ok(()) => findings.ok("transports", format!("{name}: {shown} answers")),
        Err(why) => {
            let remedy = format!(
                "its unit ends before it greets: does it run `smarthost pipe {name}` with StandardInput=socket, and may its User= \
                 read the settings? journalctl -u 'smarthost-{name}@*'"
            );
            findings.fail("transports", what(why), &remedy);
        }
    }
}

/// What an `AppArmor` profile of ours does not let a program do that the daemon runs; `None`:
/// nothing is known of one.
fn confined(program: &Path) -> Option<String> {
    let text = |path: &str| read::text(Path::new(path), provision::MOST);
    let profile = text("/etc/apparmor.d/smarthost").ok()?;
    let local = text("/etc/apparmor.d/local/smarthost").unwrap_or_default();
    let enabled = text("/sys/module/apparmor/parameters/enabled").ok()?;
    let shown = program.display().to_string();
    let named = [profile, local].iter().any(|it| it.contains(&shown));
    (enabled.trim() == "Y" && !named).then_some(shown)
}

/// Why mail cannot be written into a Maildir, which is made with the first; `None`: it can.
fn not_written(maildir: &Path) -> Option<String> {
    let mut parts = ["tmp", "new", "cur"]
        .map(|part| maildir.join(part))
        .into_iter();
    parts.find_map(|part| {
        let looked = within::ask(&part, |part| Ok(not_made(part)));
        looked.unwrap_or_else(|error| Some(format!("{}: {error}", part.display())))
    })
}

/// Why nothing can be written in a folder that is there or has yet to be made. A folder is made and
/// taken away to know it: permission alone does not tell of quotas, read-only disks, and file
/// systems that have no folders of ours.
fn not_made(folder: &Path) -> Option<String> {
    let mut nearest = Path::new(".");
    for ancestor in folder.ancestors().filter(|it| !it.as_os_str().is_empty()) {
        match ancestor.symlink_metadata() {
            Ok(_) => {
                nearest = ancestor;
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Some(format!("{}: {error}", ancestor.display())),
        }
    }
    if !nearest.is_dir() {
        return Some(format!("{} is no folder", nearest.display()));
    }
    let probe = nearest.join(format!(".smarthost-check-{}", std::process::id()));
    let why = fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe));
    why.err().map(|why| format!("{}: {why}", nearest.display()))
}
