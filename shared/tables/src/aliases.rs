//! Alias files, with the lists that `:include:` names in the place of their names.
//!
//! Contract: of two entries for a name, that of the earlier file counts. A list is followed if its
//! file belongs to root or to the user who follows it, and not everybody may write to it; it may
//! name others; one that includes itself is followed once. Where somebody else decides which file
//! is read (he may write the alias file, a list on the way, or a directory), it must be one that
//! everybody can read, or that the alias file's owner owns: nobody reads with our rights what he
//! could not (local(8)). What a list holds is never part of a [`Problem`].
//! Failures: a [`Problem`] with file and line. A list that cannot be read keeps what was read
//! before, over a restart too where copies are kept; one that never could stays
//! [`Target::Include`], at which nobody can be mailed.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::{
    address::LocalPart,
    clock::Timestamp,
    maps::{Entry, NOBODY, Problem, Table, Target, tried},
};

use system::{read, within};

use crate::{
    copies,
    trust::{replaced_by_others, written_by_others},
    watched::{Looked, Missing, Origin, Rules, Taken, Watched},
};

/// Why a program is not run.
const INCLUDED: &str = "what an included list names is not run";
/// Why a file is not written.
const FILES: &str = "delivery to files is not supported";
/// Most names and addresses that are looked at to tell what is wrong with a table.
const STEPS: usize = 3_000_000;
/// Longest chain of lists.
const DEPTH: usize = 10;

type Grammar = fn(PathBuf, &str) -> (Table, Vec<Problem>);

/// The files, and the table that they make.
#[derive(Clone, Debug)]
pub struct Aliases {
    grammar: Grammar,
    files: Vec<Watched<Table>>,
    lists: BTreeMap<PathBuf, Watched<Vec<Target>>>,
    table: Arc<Table>,
    faults: Vec<Problem>,
    /// Copies were read, and are not in the table yet.
    recalled: bool,
    /// Where copies of the lists are.
    copies: Option<PathBuf>,
    /// A list is followed only where it is as it is for everybody.
    doubts: bool,
}

impl Aliases {
    /// With nothing read yet: [`Self::refresh`] does.
    pub fn new(files: &[PathBuf], missing: Missing, grammar: Grammar) -> Self {
        let rules = Rules {
            missing,
            trusted: false,
            lenient: false,
        };
        let watched = |path: &PathBuf| Watched::new(path.clone(), rules);
        Self {
            grammar,
            files: files.iter().map(watched).collect(),
            lists: BTreeMap::new(),
            table: Arc::default(),
            faults: Vec::new(),
            recalled: false,
            copies: None,
            doubts: false,
        }
    }

    /// Follows no list that may be another one for who knows what was read before
    /// ([`Watched::doubt`]).
    pub fn doubt(&mut self) {
        self.doubts = true;
    }

    /// Goes on with copies of the files in this directory, as if they had been read before.
    pub fn recall(&mut self, directory: &Path) {
        let grammar = self.grammar;
        self.recalled = true;
        for file in &mut self.files {
            file.recall(directory, |path, text| grammar(path.to_owned(), text));
        }
    }

    /// Each list that is named from now on, and cannot be read, is as its copy in this directory
    /// says.
    pub fn recall_lists(&mut self, directory: PathBuf) {
        self.copies = Some(directory);
    }

    /// Keeps copies of the lists that were read since this was called last, and forgets those that
    /// are not named any more. Of a list of somebody else there is none: who may be followed is
    /// told by its owner, and that of a copy is always ours.
    pub fn keep_lists(&mut self) -> Result<(), (PathBuf, io::Error)> {
        let Some(directory) = &self.copies else {
            return Ok(());
        };
        let own = rustix::process::geteuid().as_raw();
        for list in self.lists.values_mut() {
            let ours = list
                .origin
                .is_some_and(|it| it.owner == 0 || it.owner == own);
            let copy = match list.taken() {
                Some(Taken::Text(text)) if ours => {
                    copies::write(directory, &list.path, text.as_bytes())
                        .map(Some)
                        .map_err(|error| (list.path.clone(), error))?
                }
                Some(_) => None,
                None => continue,
            };
            copies::forget_all_but(directory, &list.path, copy.as_deref());
        }
        let named = |name: &OsString| self.lists.keys().any(|path| copies::is_of(path, name));
        copies::forget_others(directory, named);
        Ok(())
    }

    /// What was taken from each file since this was asked last, if copies are kept.
    pub fn taken(&mut self) -> impl Iterator<Item = (&Path, Taken)> {
        let files = self.files.iter_mut();
        files.filter_map(|file| {
            let taken = file.taken()?;
            Some((file.path.as_path(), taken))
        })
    }

    /// What is in force.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The files that could never be read.
    pub fn unread(&self) -> impl Iterator<Item = &Path> {
        let unread = self.files.iter().filter(|file| file.value.is_none());
        unread.map(|file| file.path.as_path())
    }

    /// Why files and lists are not taken as they are now.
    pub fn refused(&self) -> impl Iterator<Item = &Problem> {
        let files = self.files.iter().flat_map(Watched::refused);
        files.chain(self.lists.values().flat_map(Watched::refused))
    }

    /// Why the files may say something else to who knows what was read before.
    pub fn doubtful(&self) -> Option<Problem> {
        self.files
            .iter()
            .find_map(|file| file.doubt(Table::is_empty))
    }

    /// Lines of the files that could not be read when they were last looked at.
    pub fn faults(&self) -> &[Problem] {
        &self.faults
    }

    /// Each file, and whether it holds anything.
    pub fn held(&self) -> impl Iterator<Item = (&Path, bool)> {
        let files = self.files.iter();
        files.map(|file| (file.path.as_path(), file.holds(Table::is_empty)))
    }

    /// Reads what has changed.
    pub fn refresh(&mut self, now: Timestamp) -> Looked {
        let mut looked = Looked::default();
        for file in &mut self.files {
            let grammar = self.grammar;
            let read = |path: &Path, text: &str| grammar(path.to_owned(), text);
            looked.and(file.look(now, read, Table::is_empty));
        }
        let faults = looked.problems.iter().filter(|problem| problem.fault);
        self.faults = faults.cloned().collect();
        for list in self.lists.values_mut() {
            looked.and(look_at_list(list, now));
        }
        if std::mem::take(&mut self.recalled) || looked.changed {
            self.build(now, &mut looked.problems);
        }
        looked
    }

    /// One table of all files, with the lists in it.
    fn build(&mut self, now: Timestamp, problems: &mut Vec<Problem>) {
        let mut table = Table::default();
        for file in &self.files {
            table.extend(file.value.clone().unwrap_or_default());
        }
        let mut used = BTreeMap::new();
        let mut writers = BTreeMap::new();
        for entry in table.entries_mut() {
            let includes = |target: &Target| matches!(target, Target::Include(_));
            if entry.targets.iter().any(includes) {
                let mut follower = Follower {
                    copies: self.copies.as_deref(),
                    doubts: self.doubts,
                    known: &mut self.lists,
                    used: &mut used,
                    writers: &mut writers,
                    problems,
                    now,
                    entry,
                };
                let written = follower.entry.targets.clone();
                let mut targets = Vec::new();
                follower.replace(&written, &mut targets, &mut Vec::new());
                if targets.is_empty() {
                    follower.problem(format!("{NOBODY}; mail for it is put off"));
                }
                entry.targets = targets;
            }
        }
        self.lists = used;
        self.table = Arc::new(table);
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path| within::ask(path, Path::canonicalize).ok();
    one == other || real(one).is_some_and(|path| Some(path) == real(other))
}

/// A line of a list, which is not repeated.
fn not_followed(list: &Path, why: &str) -> Target {
    Target::Unusable(format!("a line of {}", list.display()), why.to_owned())
}

fn look_at_list(list: &mut Watched<Vec<Target>>, now: Timestamp) -> Looked {
    let read = |path: &Path, text: &str| Table::list(path.to_owned(), text);
    list.look(now, read, Vec::is_empty)
}

/// Follows the lists of one entry.
struct Follower<'a> {
    copies: Option<&'a Path>,
    doubts: bool,
    /// Lists of before.
    known: &'a mut BTreeMap<PathBuf, Watched<Vec<Target>>>,
    /// Lists that are still named.
    used: &'a mut BTreeMap<PathBuf, Watched<Vec<Target>>>,
    /// Files that were looked at, and who else writes them.
    writers: &'a mut BTreeMap<PathBuf, Option<String>>,
    problems: &'a mut Vec<Problem>,
    now: Timestamp,
    entry: &'a Entry,
}

impl Follower<'_> {
    fn replace(&mut self, written: &[Target], targets: &mut Vec<Target>, trail: &mut Vec<PathBuf>) {
        for target in written {
            let Target::Include(path) = target else {
                targets.push(match (target, trail.last()) {
                    (Target::Program(_), Some(list)) => not_followed(list, INCLUDED),
                    (Target::File(_), Some(list)) => not_followed(list, FILES),
                    (target, _) => target.clone(),
                });
                continue;
            };
            // Its lines are aliases, and no list.
            let is_own = is_same(path, &self.entry.path);
            if is_own || trail.contains(path) {
                self.problem(format!("{} includes itself", path.display()));
                continue;
            }
            if trail.len() >= DEPTH {
                let name = path.display();
                self.problem(format!(
                    "{name} is not followed: too many files include one another"
                ));
                targets.push(target.clone());
                continue;
            }
            match self.list(path, trail) {
                Some(list) => {
                    trail.push(path.clone());
                    self.replace(&list, targets, trail);
                    trail.pop();
                }
                None => targets.push(target.clone()),
            }
        }
    }

    /// What a list holds, if it may be followed here.
    fn list(&mut self, path: &Path, trail: &[PathBuf]) -> Option<Vec<Target>> {
        if !self.used.contains_key(path) {
            self.look(path);
        }
        let list = self.used.get(path)?;
        let (value, origin) = (list.value.clone()?, list.origin?);
        let doubt = list.doubt(Vec::is_empty).filter(|_| self.doubts);
        if let Some(doubt) = doubt {
            self.problem(format!(
                "{} is not followed: {}",
                path.display(),
                doubt.text
            ));
            return None;
        }
        if let Some(why) = self.hidden(path, origin, trail) {
            self.problem(format!("{} is not followed: {why}", path.display()));
            return None;
        }
        Some(value)
    }

    /// Reads a list if it has changed.
    fn look(&mut self, path: &Path) {
        let rules = Rules {
            missing: Missing::Fault,
            trusted: true,
            lenient: false,
        };
        let known = self.known.remove(path);
        let mut list = known.unwrap_or_else(|| {
            let mut list = Watched::new(path.to_owned(), rules);
            if let Some(copies) = self.copies {
                list.recall(copies, |path, text| Table::list(path.to_owned(), text));
            }
            list
        });
        for problem in look_at_list(&mut list, self.now).problems {
            // The line that names the list is where it is mended.
            if problem.line == 0 && list.value.is_none() {
                let text = problem.text.strip_prefix("cannot be read: ");
                let why = text.unwrap_or(&problem.text);
                self.problem(format!("{} is not followed: {why}", path.display()));
            } else {
                self.problems.push(problem);
            }
        }
        self.used.insert(path.to_owned(), list);
    }

    /// Why a list that we can read is none of those whose will it would be read by.
    fn hidden(&mut self, path: &Path, list: Origin, trail: &[PathBuf]) -> Option<String> {
        let alias = self.entry.path.to_path_buf();
        let mut naming = std::iter::once(&alias).chain(trail);
        let others = naming
            .find_map(|file| self.written_by_others(file))
            .or_else(|| replaced_by_others(path));
        // What he alone writes into the alias file, he could write out.
        let owner = read::metadata(&alias).ok();
        let owner = owner.filter(|alias| alias.mode() & 0o022 == 0);
        let owner = owner.map(|alias| alias.uid());
        let own = rustix::process::geteuid().as_raw();
        let ours = list.owner == 0 || list.owner == own;
        match others {
            Some(_) if !ours && owner == Some(list.owner) => None,
            _ if !ours => {
                Some("it belongs neither to root nor to the user who follows it".to_owned())
            }
            Some(_) if list.public => None,
            Some(others) => Some(format!("{others}, and not everybody can read it")),
            None => None,
        }
    }

    fn written_by_others(&mut self, file: &Path) -> Option<String> {
        let known = self.writers.entry(file.to_owned());
        known.or_insert_with(|| written_by_others(file)).clone()
    }

    fn problem(&mut self, text: String) {
        self.problems.push(Problem {
            path: self.entry.path.to_path_buf(),
            line: self.entry.line,
            text,
            fault: true,
        });
    }
}

/// What a table says that cannot be done: chains that come back to themselves, lists that are too
/// long, and targets at which nobody can be mailed. For `check`; what could not be read was told
/// when it was. `runs`: programs are not among these.
pub fn unusable(table: &Table, runs: bool) -> Vec<Problem> {
    unusable_within(table, runs, STEPS)
}

fn unusable_within(table: &Table, runs: bool, most: usize) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut steps, mut unfollowed, mut path) = (0usize, 0usize, None);
    for (name, entry) in table.all() {
        path.get_or_insert_with(|| Arc::clone(&entry.path));
        let mut tell = |text: String| {
            problems.push(Problem {
                path: entry.path.to_path_buf(),
                line: entry.line,
                text: format!("{}: {text}", name.escape_debug()),
                fault: true,
            });
        };
        for target in &entry.targets {
            let is_run = runs && matches!(target, Target::Program(_));
            // Why a list is not followed was told when it was looked at.
            let is_told = matches!(target, Target::Include(_));
            if let Some(why) = target.not_mailable().filter(|_| !is_run && !is_told) {
                tell(why);
            }
            if let Target::Unusable(written, why) = target
                && (why == INCLUDED || why == FILES)
            {
                let why = if runs || why == FILES {
                    why
                } else {
                    "delivery to programs is not supported"
                };
                tell(format!("{why}: {written}"));
            }
        }
        if entry.targets.is_empty() {
            // Was told when it was read.
            continue;
        }
        let name = LocalPart::new(name.trim_end_matches('*'));
        let Ok(name) = name else {
            continue;
        };
        if steps > most {
            unfollowed = unfollowed.saturating_add(1);
            continue;
        }
        let (tried, more) = tried(table, &name);
        steps = steps.saturating_add(more);
        if let Err(error) = tried {
            tell(error.to_string());
        }
    }
    if let Some(path) = path.filter(|_| unfollowed > 0) {
        problems.push(Problem {
            path: path.to_path_buf(),
            line: 0,
            text: format!("{unfollowed} names were not looked at: too many name one another"),
            fault: true,
        });
    }
    problems.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    problems
}

#[cfg(test)]
mod tests;
