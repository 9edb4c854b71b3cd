//! Alias files, with the lists that `:include:` names in the place of their names.
//!
//! Contract: of two entries for a name, that of the earlier file counts. A list is followed if its file belongs to root or to the user
//! who follows it, and not everybody may write to it; it may name others; one that includes itself is followed once.
//! Failures: a [`Problem`] with file and line. A list that cannot be read keeps what was read before; one that never could stays
//! [`Target::Include`], at which nobody can be mailed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::{
    address::LocalPart,
    clock::Timestamp,
    maps::{Entry, Problem, Table, Target, expand},
};

use crate::watched::{Looked, Missing, Rules, Watched};

/// Why a program is not run.
const INCLUDED: &str = "what an included list names is not run";
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
}

impl Aliases {
    /// With nothing read yet: [`Self::refresh`] does.
    pub fn new(files: &[PathBuf], missing: Missing, grammar: Grammar) -> Self {
        let rules = Rules {
            missing,
            trusted: false,
        };
        let watched = |path: &PathBuf| Watched::new(path.clone(), rules);
        Self {
            grammar,
            files: files.iter().map(watched).collect(),
            lists: BTreeMap::new(),
            table: Arc::default(),
        }
    }

    /// What is in force.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The first file that could never be read.
    pub fn unread(&self) -> Option<&Path> {
        let unread = self.files.iter().find(|file| file.value.is_none());
        unread.map(|file| file.path.as_path())
    }

    /// Reads what has changed.
    pub fn refresh(&mut self, now: Timestamp) -> Looked {
        let mut looked = Looked::default();
        for file in &mut self.files {
            let grammar = self.grammar;
            let read = |path: &Path, text: &str| grammar(path.to_owned(), text);
            looked.and(file.look(now, read, Table::is_empty));
        }
        for list in self.lists.values_mut() {
            looked.and(look_at_list(list, now));
        }
        if looked.changed {
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
        for entry in table.entries_mut() {
            let includes = |target: &Target| matches!(target, Target::Include(_));
            if entry.targets.iter().any(includes) {
                let mut follower = Follower {
                    known: &mut self.lists,
                    used: &mut used,
                    problems,
                    now,
                    entry,
                };
                let written = follower.entry.targets.clone();
                let mut targets = Vec::new();
                follower.replace(&written, &mut targets, &mut Vec::new());
                entry.targets = targets;
            }
        }
        self.lists = used;
        self.table = Arc::new(table);
    }
}

fn look_at_list(list: &mut Watched<Vec<Target>>, now: Timestamp) -> Looked {
    let read = |path: &Path, text: &str| Table::list(path.to_owned(), text);
    list.look(now, read, Vec::is_empty)
}

/// Follows the lists of one entry.
struct Follower<'a> {
    /// Lists of before.
    known: &'a mut BTreeMap<PathBuf, Watched<Vec<Target>>>,
    /// Lists that are still named.
    used: &'a mut BTreeMap<PathBuf, Watched<Vec<Target>>>,
    problems: &'a mut Vec<Problem>,
    now: Timestamp,
    entry: &'a Entry,
}

impl Follower<'_> {
    fn replace(&mut self, written: &[Target], targets: &mut Vec<Target>, trail: &mut Vec<PathBuf>) {
        for target in written {
            let Target::Include(path) = target else {
                targets.push(match target {
                    Target::Program(_) if !trail.is_empty() => {
                        Target::Unusable(target.to_string(), INCLUDED.to_owned())
                    }
                    target => target.clone(),
                });
                continue;
            };
            if trail.contains(path) {
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
            match self.list(path) {
                Some(list) => {
                    trail.push(path.clone());
                    self.replace(&list, targets, trail);
                    trail.pop();
                }
                None => targets.push(target.clone()),
            }
        }
    }

    /// What a list holds.
    fn list(&mut self, path: &Path) -> Option<Vec<Target>> {
        if !self.used.contains_key(path) {
            let rules = Rules {
                missing: Missing::Fault,
                trusted: true,
            };
            let known = self.known.remove(path);
            let mut list = known.unwrap_or_else(|| Watched::new(path.to_owned(), rules));
            let looked = look_at_list(&mut list, self.now);
            for problem in looked.problems {
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
        self.used.get(path)?.value.clone()
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

/// What a table says that cannot be done: chains that come back to themselves, lists that are too long, and targets at which nobody
/// can be mailed. For `check`; what could not be read was told when it was. `runs`: programs are not among these.
pub fn unusable(table: &Table, runs: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, entry) in table.all() {
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
            if let Some(what) = target.not_mailable().filter(|_| !is_run) {
                tell(format!("delivery to {what} is not supported: {target}"));
            }
            if let Target::Unusable(written, why) = target
                && why == INCLUDED
            {
                let why = if runs {
                    why
                } else {
                    "delivery to programs is not supported"
                };
                tell(format!("{why}: {written}"));
            }
        }
        let name = LocalPart::new(name.trim_end_matches('*'));
        if let Some(error) = name.ok().and_then(|name| expand(table, &name).err()) {
            tell(error.to_string());
        }
    }
    problems.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    problems
}

#[cfg(test)]
mod tests;
