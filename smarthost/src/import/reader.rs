//! What is read, and the one way into the result: through our own settings, which say whether they
//! understand it.

use std::{char::REPLACEMENT_CHARACTER, cmp::Ordering, collections::BTreeMap, path::Path};

use mail::{
    maps::{LogicalLine, logical_lines},
    masked::{MASK, free_text, names_secret},
};
use postfix::{Service, Settings, expand::level, members, services};
use settings::{ConfigError, rows::quote};

use super::report::{Import, NewFile, Note, Value, Verdict};
use crate::config::Config;

/// Finds a file by its path: its text, or why there is none.
pub type Files<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Lines about one parameter that say what was lost.
const MOST: usize = 20;
/// Longest text of a note, in characters: values are hostile.
const TEXT: usize = 600;

/// Where a configuration of Postfix's lies.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub directory: &'a str,
    /// As it is called on the machine whose it is.
    pub named: &'a str,
    /// Where the other files of that machine lie; empty: they are not looked for elsewhere.
    pub root: &'a str,
}

impl<'a> Place<'a> {
    /// This machine's own.
    pub fn own(directory: &'a str) -> Self {
        Self {
            directory,
            named: directory,
            root: "",
        }
    }
}

pub(super) struct Reader<'a> {
    pub(super) files: &'a Files<'a>,
    /// Where the files of another machine lie; empty: it is this one.
    pub(super) root: &'a str,
    pub(super) directory: &'a str,
    /// As it is called on the machine whose it is.
    pub(super) named: &'a str,
    machine: &'a str,
    pub(super) main: Settings,
    pub(super) services: Vec<Service>,
    /// `compatibility_level`
    pub(super) level: [u32; 3],
    pub(super) import: Import,
    /// Parameters of which something was said, and how often.
    told: BTreeMap<String, usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(
        Place {
            directory,
            named,
            root,
        }: Place<'a>,
        machine: &'a str,
        files: &'a Files<'a>,
    ) -> Result<Self, String> {
        let text = files(&format!("{directory}/main.cf"))?;
        let mut main = Settings::read(&text, machine);
        main.assume("config_directory", directory);
        let mut reader = Self {
            files,
            root,
            directory,
            named,
            machine,
            level: level(&main.value("compatibility_level")),
            main,
            services: Vec::new(),
            import: Import::default(),
            told: BTreeMap::new(),
        };
        for fault in reader.main.faults.clone() {
            let place = format!("{directory}/main.cf:{}", fault.line);
            reader.say(Verdict::Ignored, place, &fault.key, fault.text);
        }
        reader.of_another_machine();
        let master = format!("{directory}/master.cf");
        match files(&master) {
            Ok(text) => {
                let (services, faults) = services::read(&text);
                reader.services = services;
                for fault in faults {
                    let place = format!("{master}:{}", fault.line);
                    reader.say(Verdict::Ignored, place, &fault.key, fault.text);
                }
            }
            Err(why) => {
                let text = format!("{why}; compare `listen` with what it said");
                reader.say(Verdict::NotSupported, master, "master.cf", text);
            }
        }
        Ok(reader)
    }

    /// What nobody can read in a copy.
    fn of_another_machine(&mut self) {
        if self.root.is_empty() {
            return;
        }
        let root = self.root;
        let text = format!(
            "a copy of another machine's files: tables are looked up below {root} and copied; keys, certificates, programs and files that \
             tables name are looked for on this machine, by the same paths"
        );
        self.say(
            Verdict::Decide,
            format!("{}/main.cf", self.directory),
            "main.cf",
            text,
        );
        if !self.is_set("myhostname") && (self.files)("/etc/hostname").is_err() {
            let text = "is not set, and /etc/hostname is not in the copy: hostname would be this machine's name; write the other one's";
            self.note(Verdict::Decide, "myhostname", text);
        }
    }

    /// Its notes in the order of the files.
    pub(super) fn result(mut self) -> Import {
        self.import.notes.sort_by_cached_key(|note| {
            let (path, line) = note.place.rsplit_once(':').unwrap_or((&note.place, ""));
            (path.to_owned(), line.parse::<u32>().unwrap_or(0))
        });
        self.import
    }

    /// A value with all names in it replaced.
    pub(super) fn value(&self, name: &str) -> String {
        self.main.value(name)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.main.is_set(name)
    }

    pub(super) fn is_yes(&self, name: &str) -> bool {
        self.main.is_yes(name)
    }

    /// The members of a list, up to what looks like a comment: for Postfix that is part of the
    /// value, and nobody meant it.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let value = self.value(name);
        let mut all = members(&value).into_iter().map(str::to_owned);
        let mut list = Vec::new();
        for member in all.by_ref() {
            if member.starts_with('#') {
                let rest: Vec<_> = std::iter::once(member).chain(all).collect();
                let text = format!(
                    "`{}`: # does not start a comment here, so that Postfix takes it as part of the value; it is not taken over",
                    rest.join(" ")
                );
                self.note(Verdict::Decide, name, text);
                break;
            }
            list.push(member);
        }
        list
    }

    /// Whether something was said of a parameter.
    pub(super) fn is_told(&self, name: &str) -> bool {
        self.told.contains_key(name)
    }

    /// Says what became of a parameter.
    pub(super) fn note(&mut self, verdict: Verdict, name: &str, text: impl AsRef<str>) {
        let said = self.told.entry(name.to_owned()).or_default();
        *said = said.saturating_add(1);
        let lost = matches!(verdict, Verdict::NotSupported | Verdict::Ignored);
        let text = match (*said).cmp(&MOST) {
            Ordering::Greater if lost => return,
            Ordering::Equal if lost => "and more like these",
            _ => text.as_ref(),
        };
        let place = match self.main.line(name) {
            Some(line) => format!("{}/main.cf:{line}", self.directory),
            None => format!("{}/main.cf", self.directory),
        };
        let key = match self.main.line(name) {
            Some(_) => name.to_owned(),
            None => format!("{name} (not set)"),
        };
        self.say(verdict, place, &key, text);
    }

    /// Takes back that a parameter was mapped.
    pub(super) fn unmap(&mut self, name: &str) {
        let notes = &mut self.import.notes;
        notes.retain(|note| note.verdict != Verdict::Mapped || note.key != name);
    }

    /// A setting of the result.
    pub(super) fn setting(&self, key: &str) -> Option<&Value> {
        let mut settings = self.import.settings.iter();
        let found = settings.find(|(known, _)| known == key);
        found.map(|(_, value)| value)
    }

    /// Whether the result has it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.setting(key).is_some()
    }

    /// Whether the result has one that begins so.
    pub(super) fn has_any(&self, prefix: &str) -> bool {
        let mut settings = self.import.settings.iter();
        settings.any(|(known, _)| known.starts_with(prefix))
    }

    /// Its members, where it is a list.
    pub(super) fn texts(&self, key: &str) -> &[String] {
        match self.setting(key) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// The same only where it is written.
    pub(super) fn note_if_set(&mut self, verdict: Verdict, name: &str, text: impl AsRef<str>) {
        if self.is_set(name) {
            self.note(verdict, name, text);
        }
    }

    pub(super) fn say(
        &mut self,
        verdict: Verdict,
        place: impl AsRef<str>,
        key: &str,
        text: impl AsRef<str>,
    ) {
        let plain = |text: &str, most| {
            let text = free_text(&without_secrets(text, names_secret(key)));
            let plain = text.chars().map(|c| if c.is_control() { '?' } else { c });
            plain.take(most).collect::<String>()
        };
        self.import.notes.push(Note {
            verdict,
            place: plain(place.as_ref(), TEXT),
            key: plain(key, 120),
            text: plain(text.as_ref(), TEXT),
        });
    }

    /// The result so far, as the daemon understands it.
    pub(super) fn parsed(&self) -> Result<Config, ConfigError> {
        let config = self.import.config();
        Config::parse(Path::new("config.toml"), &config, self.machine)
    }

    /// Puts a setting into the result, if our settings are right with it; else says what is wrong.
    pub(super) fn put(&mut self, key: &str, value: Value) -> Result<(), String> {
        // It stands for bytes that are no UTF-8: written, they would be others.
        if value.to_string().contains(REPLACEMENT_CHARACTER) {
            return Err("has bytes that are no UTF-8".to_owned());
        }
        let before = self.import.settings.clone();
        let settings = &mut self.import.settings;
        settings.retain(|(known, _)| known != key);
        settings.push((key.to_owned(), value));
        self.parsed().map(drop).map_err(|error| {
            self.import.settings = before;
            let first = error.text.lines().next().unwrap_or_default();
            let what = first.split_once(": ").map_or(first, |(_, what)| what);
            what.to_owned()
        })
    }

    /// A parameter that is this setting, as a TOML value.
    pub(super) fn map(&mut self, name: &str, key: &str, value: String) -> bool {
        match self.put(key, Value::Plain(value.clone())) {
            Ok(()) => {
                self.note(Verdict::Mapped, name, format!("{key} = {value}"));
                true
            }
            Err(why) => {
                self.note(
                    Verdict::NotSupported,
                    name,
                    format!("{why}; set {key} by hand"),
                );
                false
            }
        }
    }

    /// The same with a text.
    pub(super) fn map_text(&mut self, name: &str, key: &str, value: &str) -> bool {
        self.map(name, key, quote(value))
    }

    /// More members of a list, those of them that our settings understand; and why they do not
    /// understand the others.
    pub(super) fn extend(&mut self, key: &str, more: Vec<String>) -> Vec<(String, String)> {
        let mut list = self.texts(key).to_vec();
        let mut new: Vec<String> = Vec::new();
        for member in more {
            if !list.contains(&member) && !new.contains(&member) {
                new.push(member);
            }
        }
        let all = list.iter().chain(&new).cloned().collect();
        if new.is_empty() || self.put(key, Value::Texts(all)).is_ok() {
            return Vec::new();
        }
        let mut refused = Vec::new();
        for (nth, member) in new.into_iter().enumerate() {
            if nth >= ONE_BY_ONE {
                refused.push((member, "there are too many".to_owned()));
                continue;
            }
            list.push(member.clone());
            if let Err(why) = self.put(key, Value::Texts(list.clone())) {
                list.pop();
                refused.push((member, why));
            }
        }
        refused
    }

    /// A parameter whose members are those of a list of ours.
    pub(super) fn map_list(&mut self, name: &str, key: &str, members: Vec<String>) {
        if members.is_empty() {
            return self.note(Verdict::Default, name, "names nothing");
        }
        let refused = self.extend(key, members.clone());
        for (member, why) in &refused {
            self.note(Verdict::NotSupported, name, format!("`{member}`: {why}"));
        }
        if refused.len() < members.len() && self.has(key) {
            self.note(Verdict::Mapped, name, key);
        }
    }

    /// A file that is written beside `config.toml`.
    pub(super) fn file(&mut self, name: &str, content: String, secret: bool, from: &str) {
        let of_other_bytes = |line: LogicalLine<'_>| line.text.contains(REPLACEMENT_CHARACTER);
        if logical_lines(&content).any(of_other_bytes) {
            let text = format!(
                "has bytes that are no UTF-8: the copy {name} has {REPLACEMENT_CHARACTER} there, write these lines by hand"
            );
            self.say(Verdict::Decide, from, name, text);
        }
        self.import.files.push(NewFile {
            name: name.to_owned(),
            content,
            secret,
            from: from.to_owned(),
        });
    }

    /// The whole path of a socket that the first service of this kind names.
    pub(super) fn socket(&self, path: &str, is_kind: impl Fn(&Service) -> bool) -> String {
        let service = self.services.iter().find(|it| is_kind(it));
        let chroot = service.is_some_and(|it| self.is_chrooted(it));
        if path.starts_with('/') && !chroot {
            return path.to_owned();
        }
        let queue = self.value("queue_directory");
        format!("{queue}/{}", path.trim_start_matches('/'))
    }

    /// Whether a service sees `queue_directory` as its root.
    fn is_chrooted(&self, service: &Service) -> bool {
        service.chroot.unwrap_or(self.level < level("1"))
    }
}

/// Members of a list that are tried one by one.
const ONE_BY_ONE: usize = 300;

/// Types of tables whose parameters, passwords among them, may stand in `main.cf` itself.
const REMOTE: [&str; 6] = [
    "ldap:",
    "memcache:",
    "mongodb:",
    "mysql:",
    "pgsql:",
    "sqlite:",
];

/// What stands in braces behind these is nobody's business.
fn without_secrets(text: &str, is_of_secrets: bool) -> String {
    let mut text = text.to_owned();
    // Such a table is its answer.
    if is_of_secrets && let Some(at) = text.find("static:") {
        let at = at.saturating_add("static:".len());
        text.truncate(at);
        text.push_str(MASK);
    }
    let own = ["inline:"].into_iter().filter(|_| is_of_secrets);
    for kind in REMOTE.into_iter().chain(own) {
        let mut from = 0;
        while let Some((at, rest)) = text.get(from..).and_then(|rest| {
            let at = from
                .saturating_add(rest.find(kind)?)
                .saturating_add(kind.len());
            Some((at, text.get(at..)?))
        }) {
            from = at;
            if rest.trim_start().starts_with('{') {
                let behind = postfix::enclosed(rest, '{', '}').map_or("", |(_, behind)| behind);
                text = [text.get(..at).unwrap_or_default(), "{…}", behind].concat();
            }
        }
    }
    text
}
