//! Where a program has kept its queue before: a configuration that names another directory must not
//! leave mail behind that nobody knows of.
//!
//! ```text
//! /var/spool/smarthost           in DIRECTORY/spools: the place in use, and each other one in
//! /srv/old/spool                 which mail may still lie, a line each
//! ```
//!
//! Contract: a place stays in the list until nothing is queued there. The list is kept in several
//! directories, for the next configuration may name another one of them, too.
//! Failures: what cannot be taken over waits where it is, and is an alarm. A list that cannot be
//! read or written is none.

use std::{
    collections::BTreeSet,
    path::{self, Path, PathBuf},
};

use system::within;

use super::{
    Spool,
    journal::{self, Level},
    queued,
};

/// The list's name.
const NAME: &str = "spools";
/// Largest list, bytes.
const MOST: u64 = 64 * 1024;

/// Other places than this one in which mail lies, as the lists in these directories say, and how
/// many messages; nothing is opened to be written.
pub fn left(lists: &[PathBuf], own: &Path) -> Vec<(PathBuf, u64)> {
    let places = earlier(lists, own).into_iter();
    let counted = places.filter_map(|place| Some((within::ask(&place, queued).ok()?, place)));
    let left = counted.filter(|(count, _)| *count > 0);
    left.map(|(count, place)| (place, count)).collect()
}

/// These places, whether mail lies there or not.
pub fn earlier(lists: &[PathBuf], own: &Path) -> Vec<PathBuf> {
    let own = real(own);
    let texts = lists.iter().filter_map(|directory| {
        let text = system::read::text(&directory.join(NAME), MOST);
        text.ok()
    });
    let known: BTreeSet<PathBuf> = texts
        .flat_map(|text| text.lines().map(PathBuf::from).collect::<Vec<_>>())
        .filter(|place| place.is_absolute())
        .collect();
    let others = known.into_iter().filter(|place| real(place) != own);
    others.collect()
}

fn real(place: &Path) -> PathBuf {
    let absolute = || path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let real = within::ask(place, Path::canonicalize);
    real.unwrap_or_else(|_| absolute())
}

impl Spool {
    /// Takes over what is queued where an earlier configuration kept it, before anything is
    /// delivered, and notes where the queue is now. `takes`: not where the configuration in force
    /// is one of need, which is soon another one again.
    pub fn adopt_earlier(&self, lists: &[PathBuf], takes: bool) {
        let own = &self.open.committer.layout.root;
        let others = earlier(lists, own);
        let places = |others: &[PathBuf]| [&[real(own)], others].concat();
        // Whatever ends this start: what is here by then is known to the next one.
        note(lists, &places(&others));
        if !takes {
            return;
        }
        let whose = "where an earlier configuration kept the queue";
        let stays: Vec<_> = others
            .into_iter()
            .filter(|place| !self.take_all(place, true, whose))
            .collect();
        note(lists, &places(&stays));
    }
}

/// Writes the list into each of the directories that is there.
fn note(lists: &[PathBuf], places: &[PathBuf]) {
    let lines = places.iter().filter_map(|place| place.to_str());
    let lines = lines.filter(|line| !line.contains('\n'));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    for directory in lists.iter().filter(|it| it.is_dir()) {
        let list = directory.join(NAME);
        if system::read::text(&list, MOST).is_ok_and(|known| known == text) {
            continue;
        }
        if let Err(error) = system::fs::replace(&list, text.as_bytes(), 0o600) {
            let list = list.display();
            let text = format_args!("spool: {list}: where the queue lies cannot be noted: {error}");
            journal::line(Level::Warning, &text);
        }
    }
}
