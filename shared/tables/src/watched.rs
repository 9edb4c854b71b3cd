//! One file and what was read from it.
//!
//! Contract: the file is a regular one and bounded; a FIFO keeps nobody waiting, and a disk that
//! does not answer nobody for long ([`system::within`]).
//! Failures: a [`Problem`] each, told once; what was read before stays, and why can be asked for as
//! long as it does ([`Watched::refused`]).

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use mail::{clock::Timestamp, maps::Problem};
use system::{read, within};

use crate::{
    copies::{self, Kept},
    trust::is_public,
    watch::{Look, SETTLED, Watch},
};

/// Largest file, bytes.
pub const MAX: u64 = 16 * 1024 * 1024;

/// What a file means that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// It is empty if it was never there; one that disappears is a fault.
    EmptyAtFirst,
    /// A fault.
    Fault,
}

/// What may be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    pub missing: Missing,
    /// Not everybody may write to it; its path is whole.
    pub trusted: bool,
    /// A faulty line costs itself alone: what was taken out of the file must not stay in force.
    pub lenient: bool,
}

/// Whose a file was when it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Its owner, a uid.
    pub owner: u32,
    /// Everybody could read it.
    pub public: bool,
}

/// A file, and what it held when it was last good.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    pub path: PathBuf,
    rules: Rules,
    watch: Watch,
    /// `None`: nothing could be read yet.
    pub value: Option<T>,
    /// Of that value; `None` if the file was not there.
    pub origin: Option<Origin>,
    /// It says that it is empty.
    is_meant: bool,
    /// What is wrong with the file as it is now, while what was read before stays.
    refused: Vec<Problem>,
    /// What is wrong with a line of what was taken.
    faulty: Option<Problem>,
    /// There may be a copy, and it may not be looked at.
    is_blind: bool,
    /// The text of a copy that stands for what was read before.
    recalled: Option<String>,
    /// What was taken last, for a copy, if one is kept.
    taken: Option<Taken>,
    keeps: bool,
}

/// What a file held when it was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken {
    Text(String),
    /// It was not there.
    Nothing,
}

/// The line with which a file says that it holds nothing, and should.
pub const EMPTY: &str = "# empty";

fn is_meant(text: &str) -> bool {
    text.lines().any(|line| line.trim() == EMPTY)
}

/// What has come of a look.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// There is another value now.
    pub changed: bool,
    /// What is wrong with it, or with what was refused.
    pub problems: Vec<Problem>,
}

impl Looked {
    /// This one and another.
    pub fn and(&mut self, other: Self) {
        self.changed |= other.changed;
        self.problems.extend(other.problems);
    }
}

impl<T: Default> Watched<T> {
    pub fn new(path: PathBuf, rules: Rules) -> Self {
        Self {
            path,
            rules,
            watch: Watch::default(),
            value: None,
            origin: None,
            is_meant: false,
            refused: Vec::new(),
            faulty: None,
            is_blind: false,
            recalled: None,
            taken: None,
            keeps: false,
        }
    }

    /// Goes on with a copy of the file in this directory, as if that had been read before; what is
    /// taken from now on is to be kept ([`Self::taken`]).
    pub fn recall(&mut self, directory: &Path, read: impl Fn(&Path, &str) -> (T, Vec<Problem>)) {
        self.keeps = true;
        self.is_blind = !copies::are_seen(directory);
        let Kept::Copy(_, held) = copies::kept(directory, &self.path, MAX) else {
            return;
        };
        let text = String::from_utf8_lossy(&held).into_owned();
        self.value = Some(read(&self.path, &text).0);
        self.is_meant = is_meant(&text);
        self.origin = Some(Origin {
            owner: rustix::process::geteuid().as_raw(),
            public: false,
        });
        self.recalled = Some(text);
    }

    /// What was taken since this was asked last, if a copy is kept.
    pub fn taken(&mut self) -> Option<Taken> {
        self.taken.take()
    }

    /// Why the file is not taken as it is now; nothing, where it is.
    pub fn refused(&self) -> &[Problem] {
        &self.refused
    }

    /// Why what was read may not be what is in force where it was read before: it could not be
    /// read, or who reads it cannot look at the copy that would stay in its place.
    pub fn doubt(&self, is_empty: impl Fn(&T) -> bool) -> Option<Problem> {
        if self.value.is_none() {
            return self.refused.first().cloned();
        }
        if !self.is_blind {
            return None;
        }
        let emptied = || Problem {
            path: self.path.clone(),
            line: 0,
            text: format!("holds nothing; if it should, write the line `{EMPTY}`"),
            fault: true,
        };
        let is_emptied = self.origin.is_some() && !self.holds(is_empty);
        self.faulty.clone().or_else(|| is_emptied.then(emptied))
    }

    /// Whether it holds anything, or says that it does not.
    pub fn holds(&self, is_empty: impl Fn(&T) -> bool) -> bool {
        self.is_meant || self.value.as_ref().is_some_and(|value| !is_empty(value))
    }

    /// Reads it if it is time. `read` makes a value of its text; `is_empty` tells whether that
    /// holds anything.
    pub fn look(
        &mut self,
        now: Timestamp,
        read: impl Fn(&Path, &str) -> (T, Vec<Problem>),
        is_empty: impl Fn(&T) -> bool,
    ) -> Looked {
        if !self.watch.is_due(now) || !self.watch.handle(&look(&self.path), now) {
            return Looked::default();
        }
        let had = self.value.as_ref().is_some_and(|value| !is_empty(value));
        let rules = self.rules;
        let text = match within::ask(&self.path, move |path| text(path, rules)) {
            Ok(text) => text,
            Err(error) => return self.keep(&format!("cannot be read: {error}"), Vec::new()),
        };
        let Some((text, origin)) = text else {
            return match self.rules.missing {
                Missing::EmptyAtFirst if !had => {
                    self.is_meant = false;
                    self.faulty = None;
                    self.note(Taken::Nothing);
                    self.take(T::default(), None)
                }
                _ => self.keep("is not there", Vec::new()),
            };
        };
        let (value, mut problems) = read(&self.path, &text);
        if !problems.is_empty() {
            Problem::discreet(&mut problems, &text);
        }
        let is_meant = is_meant(&text);
        // It is as it was when it was last good, whatever that was.
        let had = had && self.recalled.as_ref() != Some(&text);
        if had && is_empty(&value) && !is_meant {
            return self.keep("is suddenly empty", problems);
        }
        if had && !self.rules.lenient && problems.iter().any(|problem| problem.fault) {
            return self.keep("is faulty", problems);
        }
        self.is_meant = is_meant;
        self.faulty = problems.iter().find(|problem| problem.fault).cloned();
        self.note(Taken::Text(text));
        Looked {
            problems,
            ..self.take(value, Some(origin))
        }
    }

    fn note(&mut self, taken: Taken) {
        self.recalled = None;
        self.taken = self.keeps.then_some(taken);
    }

    fn take(&mut self, value: T, origin: Option<Origin>) -> Looked {
        self.value = Some(value);
        self.origin = origin;
        self.refused.clear();
        Looked {
            changed: true,
            problems: Vec::new(),
        }
    }

    fn keep(&mut self, why: &str, mut problems: Vec<Problem>) -> Looked {
        let kept = match self.value {
            Some(_) => "; what was read before stays in force",
            None => "",
        };
        problems.insert(
            0,
            Problem {
                path: self.path.clone(),
                line: 0,
                text: format!("{why}{kept}"),
                fault: true,
            },
        );
        self.refused.clone_from(&problems);
        Looked {
            changed: false,
            problems,
        }
    }
}

/// What a file holds; `None` if it is not there.
fn text(path: &Path, rules: Rules) -> io::Result<Option<(String, Origin)>> {
    let refused = |why: &str| Err(io::Error::other(why.to_owned()));
    if rules.trusted && !path.is_absolute() {
        return refused("write its whole path, from / on");
    }
    let mut file = match system::open::at_once(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match rules.missing {
                Missing::Fault => Err(error),
                Missing::EmptyAtFirst => Ok(None),
            };
        }
        opened => opened?,
    };
    let metadata = file.metadata()?;
    match &metadata {
        m if !m.is_file() => return refused("it is not a regular file"),
        m if rules.trusted && m.mode() & 0o002 != 0 => {
            return refused("everybody may write to it; chmod o-w");
        }
        m if m.len() > MAX => return refused("it is larger than 16 MiB"),
        _ => {}
    }
    let mut bytes = Vec::new();
    (&mut file).take(MAX).read_to_end(&mut bytes)?;
    if rules.trusted && metadata.len() == 0 && !bytes.is_empty() {
        return refused("the kernel makes up what it holds, or it is just being written");
    }
    let origin = Origin {
        owner: metadata.uid(),
        public: rules.trusted && is_public(&file, &metadata),
    };
    Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), origin)))
}

/// Whether a file, or a link that leads to it, has changed so lately that it is not taken yet.
pub fn is_fresh(path: &Path, now: Timestamp) -> bool {
    let link = shown(within::ask(path, |path| fs::symlink_metadata(path)));
    [look(path), link].into_iter().any(|look| match look {
        Look::File(_, changed, _) => changed <= now && now.since(changed) < SETTLED,
        Look::Missing | Look::Hidden(_) => false,
    })
}

/// How a file looks now.
pub fn look(path: &Path) -> Look {
    shown(read::metadata(path))
}

fn shown(found: io::Result<fs::Metadata>) -> Look {
    match found {
        Ok(m) => {
            let seconds = u64::try_from(m.ctime()).unwrap_or_default();
            Look::File(
                [m.dev(), m.ino(), m.len()],
                Timestamp::from_secs(seconds),
                m.ctime_nsec(),
            )
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Missing,
        Err(error) => Look::Hidden(error.to_string()),
    }
}
