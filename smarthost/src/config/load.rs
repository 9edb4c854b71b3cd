//! Reads configuration and tables from files: the only part of this module with I/O.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::{
    address::domain,
    clock,
    maps::{Problem, Table},
};
use settings::{ConfigError, last_good, layers::Layer, provision};
use system::read::NotUtf8;
use tables::{Aliases, Missing, copies::LISTS, secret, trust::written_by_others};

use crate::{
    config::{Config, DkimKey, STATE, SrsDomain},
    dkim::{Key, Signer, SigningKey},
    lookup::TableName,
    policy::{
        dnsbl::{self, Keys},
        rule::Rule,
    },
    srs::Srs,
};

/// Fewest characters of a secret that signs rewritten senders.
const SRS_SECRET: usize = 8;

impl Config {
    /// Reads and checks a file; where it is [`Config::PATH`], also what is written beside it for
    /// the administrator, and none need be there.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::of_files(&Self::files(path)?)
    }

    /// The files of a configuration.
    pub fn files(path: &Path) -> Result<Vec<Layer>, ConfigError> {
        match path.parent() {
            Some(directory) if path == Path::new(Self::PATH) => {
                last_good::present(Path::new(STATE), path, provision::read(directory)?)
            }
            _ => {
                // What it says of places holds wherever the daemon runs.
                let of = path;
                let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                let remedy = "create it, or name another with --config FILE";
                let text = system::read::piped(&path, provision::MOST)
                    .map_err(|error| unreadable(&path, &error, remedy))?;
                last_good::present(&Self::refuge_of_state(of), of, vec![(path, text)])
            }
        }
    }

    /// For who only has to find the daemon or the queue: of files that are wrong, what the daemon
    /// goes on with, and what is wrong.
    pub fn load_anyway(path: &Path) -> Result<(Self, Option<ConfigError>), ConfigError> {
        let (salvaged, error) = Self::load_or_salvage(path)?;
        let Some(error) = error else {
            return Ok((salvaged, None));
        };
        let copy = salvaged.copies(path).next();
        Ok((copy.unwrap_or(salvaged), Some(error)))
    }

    /// What can be used of wrong files by itself, and what is wrong.
    pub(crate) fn load_or_salvage(path: &Path) -> Result<(Self, Option<ConfigError>), ConfigError> {
        let (layers, error) = match Self::files(path) {
            Ok(layers) => match Self::of_files(&layers) {
                Ok(config) => return Ok((config, None)),
                Err(error) => (layers, error),
            },
            Err(error) => (Vec::new(), error),
        };
        Ok((Self::salvaged(&layers, path, &machine_name())?, Some(error)))
    }

    /// What was kept of these files when they were good, where a daemon looks for it.
    pub(crate) fn copies(&self, path: &Path) -> impl Iterator<Item = Self> {
        let refuge = Self::refuge_of_state(path);
        let places = [self.state.clone(), PathBuf::from(STATE), refuge].into_iter();
        let places = self.state_before().into_iter().chain(places);
        places.filter_map(|state| Self::of_files(&last_good::recall(&state, path)?).ok())
    }

    /// From files that were read before.
    pub fn of_files(layers: &[Layer]) -> Result<Self, ConfigError> {
        Self::layered(layers, &machine_name())
    }

    /// Whether files can be this machine's configuration.
    pub fn usable(layers: Vec<Layer>) -> Result<(), ConfigError> {
        Self::of_files(&layers).map(drop)
    }

    /// What an empty file would mean on this machine.
    pub fn machine_default() -> Result<Self, ConfigError> {
        Self::parse(Path::new(Self::PATH), "", &machine_name())
    }

    /// The file of the relayhost's password, and where a copy of it is kept.
    pub(crate) fn password_file(&self) -> Option<(&Path, PathBuf)> {
        let auth = self.relay_auth.as_ref()?;
        let file = auth.password_file.as_deref()?;
        let place = secret::place(&self.passwords(), &auth.user, &self.relayhost);
        Some((file, place))
    }

    /// Where copies of passwords are kept.
    pub(crate) fn passwords(&self) -> PathBuf {
        self.state.join("passwords.last-good")
    }

    /// Reads the keys of block lists; each that a list names must be there.
    pub fn read_keys(&self) -> Result<Keys, ConfigError> {
        let wrong = |why: &str| self.wrong("dnsbl.keys", why);
        let keys = match &self.dnsbl.keys {
            Some(file) => {
                let text = system::secret::text(file).map_err(|why| wrong(&why))?;
                let keys = dnsbl::keys(&text);
                keys.map_err(|why| wrong(&format!("{}:{why}", file.display())))?
            }
            None => Keys::default(),
        };
        let written = self.restrictions.iter().enumerate();
        let asked = written.filter_map(|(at, rule)| Some(("restrictions", at, rule.list()?)));
        let scored = self.dnsbl.scores.lists.iter().enumerate();
        let scored = scored.map(|(at, list)| ("dnsbl.lists", at, list));
        for (key, at, list) in asked.chain(scored) {
            let Some(name) = list.keys().find(|name| !keys.contains_key(*name)) else {
                continue;
            };
            let line = format!("{list} wants the key {name}: write a line \"{name} = …\" into");
            return Err(if self.dnsbl.keys.is_some() {
                wrong(&format!("{line} it"))
            } else {
                let what = format!("{line} a file, and name that in `dnsbl.keys`");
                self.wrong_item(key, at, &what)
            });
        }
        Ok(keys)
    }

    /// Reads the keys that sign mail.
    pub fn read_dkim(&self) -> Result<Signer, ConfigError> {
        let (mut keys, mut wrong) = (Vec::new(), Vec::new());
        for (index, entry) in self.dkim.iter().enumerate() {
            match Self::read_dkim_key(entry) {
                Ok(key) => keys.push(SigningKey {
                    domain: entry.domain.0.clone(),
                    selector: entry.selector.0.clone(),
                    key,
                }),
                Err(why) => wrong.push(self.wrong_item("dkim", index, &why)),
            }
        }
        match ConfigError::together(wrong) {
            None => Ok(Signer(keys)),
            Some(error) => Err(error),
        }
    }

    /// Reads one of them.
    pub(crate) fn read_dkim_key(entry: &DkimKey) -> Result<Key, String> {
        let text = system::secret::text(&entry.key)?;
        Key::read(&text).map_err(|why| format!("{}: {why}", entry.key.display()))
    }

    /// The file of the secrets of rewritten senders.
    pub fn srs_secrets(&self, srs: &SrsDomain) -> PathBuf {
        let own = || self.state.join("srs.secrets");
        srs.secrets.clone().unwrap_or_else(own)
    }

    /// Reads the secrets of rewritten senders; our own file need not be there yet.
    pub fn read_srs(&self) -> Result<Option<Srs>, ConfigError> {
        let Some(srs) = &self.srs else {
            return Ok(None);
        };
        let file = self.srs_secrets(srs);
        if srs.secrets.is_none() && !system::read::is_there(&file) {
            return Ok(Some(Srs::new(srs.domain.0.clone(), &[])));
        }
        let wrong = |why: &str| self.wrong("srs.secrets", why);
        let text = system::secret::text(&file).map_err(|why| wrong(&why))?;
        let said = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let secrets = text.lines().map(str::trim).filter(said);
        let secrets: Vec<_> = secrets.map(str::to_owned).collect();
        let weak = |secret: &String| secret.len() < SRS_SECRET || secret.contains(char::is_control);
        if secrets.iter().any(weak) {
            let why = format!(
                "{}: a secret must have at least {SRS_SECRET} characters, and no control \
                 characters",
                file.display()
            );
            return Err(wrong(&why));
        }
        if secrets.is_empty() {
            let why = format!("{}: there is no secret in it", file.display());
            return Err(wrong(&why));
        }
        Ok(Some(Srs::new(srs.domain.0.clone(), &secrets)))
    }

    /// Reads the alias tables. What is wrong in a line is a problem to be logged; what cannot be
    /// read at all is an error.
    pub fn read_aliases(&self) -> Result<(Aliases, Vec<Problem>), ConfigError> {
        let missing = if self.aliases_is_default {
            Missing::EmptyAtFirst
        } else {
            Missing::Fault
        };
        let paths: Vec<_> = self.aliases.iter().map(|it| it.path.clone()).collect();
        let mut aliases = Aliases::new(&paths, missing, Table::aliases);
        aliases.recall_lists(self.state.join(LISTS));
        let looked = aliases.refresh(clock::now());
        let unread = aliases.unread();
        let unread = unread.map(|path| self.unread("aliases", path, &looked.problems));
        match ConfigError::together(unread) {
            None => Ok((aliases, looked.problems)),
            Some(error) => Err(error),
        }
    }

    /// A table that a setting names and that cannot be read.
    pub(super) fn unread(&self, key: &str, path: &Path, problems: &[Problem]) -> ConfigError {
        let index = self.item_of(key, path).unwrap_or_default();
        let looked = system::read::metadata(path);
        if let Err(error) = looked
            && error.kind() != io::ErrorKind::TimedOut
        {
            let remedy = format!("create it, or take it out of `{key}` in the configuration");
            return self.wrong_item(key, index, &unreadable(path, &error, &remedy).text);
        }
        let why = problems.iter().find(|problem| problem.path == path);
        let why = why.map_or("", |problem| &problem.text);
        let remedy = "it must be a file that the daemon's user can read";
        self.wrong_item(key, index, &format!("{}: {why}; {remedy}", path.display()))
    }

    /// Which item of a list of tables names this file.
    fn item_of(&self, key: &str, path: &Path) -> Option<usize> {
        let among = |names: &[TableName]| names.iter().position(|name| name.path == path);
        let mut rules = self.restrictions.iter().map(Rule::table);
        match key {
            "aliases" => self.aliases.iter().position(|file| file.path == path),
            "virtual" => among(&self.virtual_aliases),
            "relay_recipients" => among(&self.relay_recipients),
            "transport" => among(&self.transport),
            "tls_policy" => among(&self.tls_policy),
            "restrictions" => rules.position(|it| it.is_some_and(|(_, name)| name.path == path)),
            _ => None,
        }
    }
}

/// By alias file: by which transport its programs are run (`None`: the one that needs no settings),
/// or why none is.
pub type Runners = BTreeMap<PathBuf, Result<Option<Arc<str>>, String>>;

impl Config {
    /// By what programs of each alias file are run, as its owners and modes are now.
    pub fn runners(&self) -> Runners {
        let files = self.aliases.iter().map(|table| {
            let runner = match &table.programs {
                Some(name) => Ok(Some(name.as_str().into())),
                None => written_by_others(&table.path).map_or(Ok(None), Err),
            };
            (table.path.clone(), runner)
        });
        files.collect()
    }
}

/// `missing`: what to do if it is not there.
fn unreadable(path: &Path, error: &io::Error, missing: &str) -> ConfigError {
    if NotUtf8::of(error).is_some() {
        return provision::unreadable(path, error);
    }
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => missing,
        io::ErrorKind::PermissionDenied => "the daemon's user must be able to read it",
        _ => "it must be a file that can be read",
    };
    ConfigError {
        text: format!("{}: cannot be read: {error}; {remedy}", path.display()),
    }
}

/// The machine's own name, completed from the hosts file where it has no domain.
fn machine_name() -> String {
    let uname = rustix::system::uname();
    let node = uname
        .nodename()
        .to_string_lossy()
        .trim_end_matches('.')
        .to_lowercase();
    if node.contains('.') && domain::is_name(&node) {
        return node;
    }
    let hosts = system::read::text(Path::new("/etc/hosts"), provision::MOST).unwrap_or_default();
    full_name(&node, &hosts).unwrap_or(if domain::is_name(&node) {
        node
    } else {
        "localhost".to_owned()
    })
}

/// The first name with a domain on a line of the hosts file that names `node` (hosts(5): address,
/// canonical name, aliases).
pub(super) fn full_name(node: &str, hosts: &str) -> Option<String> {
    hosts
        .lines()
        .map(|line| {
            line.split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .skip(1)
                .collect::<Vec<_>>()
        })
        .filter(|names| names.iter().any(|name| name.eq_ignore_ascii_case(node)))
        .flatten()
        .find(|name| name.contains('.') && domain::is_name(name))
        .map(str::to_lowercase)
}
