//! What administrators ordered, in a file of its own beside the database: a damaged one takes
//! counts with it, but no order.
//!
//! Contract: an order is in the file when the write that brought it is through; what mail has
//! changed in it since (when it came last) within a minute. The file is read where the database was
//! damaged, or is new after it could not be read, and never else.
//! Failures: a file that cannot be written or read is told; the database goes on without it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use system::log::{Level, line};

use super::shelves::{Key, Restored, Shelf, name};
use crate::limits::{ClientId, Kept};

/// Its name in `state`.
const FILE: &str = "ordered.json";
/// Largest file that is read, bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// How often it is written where no order came or went.
const PAUSE: Duration = Duration::from_mins(1);

/// A row: its table, its name there, its record.
type Row = (String, String, String);

/// What is in the file, or will be.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    path: PathBuf,
    rows: BTreeMap<(&'static str, String), String>,
    changed: bool,
    /// When it was written last.
    written: Option<Instant>,
    /// The database has nothing of it yet.
    is_from_copy: bool,
}

impl Ordered {
    /// As the database says.
    pub(super) fn of(directory: &Path, found: &Restored) -> Self {
        let limits = found.limits.iter();
        let limits = limits.filter(|((kept, _), _)| *kept == Kept::Orders);
        let limits = limits.map(|((kept, client), record)| {
            let key = (name(Shelf::Limit(*kept)), client.to_string());
            (key, record.clone())
        });
        let expected = found.expected.iter();
        let expected = expected.map(|(row, record)| {
            let key = (name(Shelf::Expected), row.clone());
            (key, record.clone())
        });
        let path = directory.join(FILE);
        let rows: BTreeMap<_, _> = limits.chain(expected).collect();
        Self {
            // An older version has made none, and what the database forgot on purpose is gone.
            changed: !rows.is_empty() || path.exists(),
            path,
            rows,
            written: None,
            is_from_copy: found.copied > 0,
        }
    }

    /// Whether all of it has to be written into the database.
    pub(super) fn is_from_copy(&self) -> bool {
        self.is_from_copy
    }

    /// Takes over a change of the database.
    pub(super) fn change(&mut self, (table, row): &Key, record: Option<&String>) {
        if !matches!(table, Shelf::Limit(Kept::Orders) | Shelf::Expected) {
            return;
        }
        let key = (name(*table), row.clone());
        let before = match record {
            Some(record) => self.rows.insert(key, record.clone()),
            None => self.rows.remove(&key),
        };
        self.changed |= before.as_ref() != record;
        if before.is_some() != record.is_some() {
            self.written = None;
        }
    }

    /// Writes it where that is due; `last`: nothing comes any more.
    pub(super) fn keep(&mut self, last: bool) {
        let is_due = self.written.is_none_or(|at| at.elapsed() >= PAUSE);
        if !self.changed || !(is_due || last) {
            return;
        }
        let rows = self.rows.iter();
        let rows: Vec<_> = rows.map(|((table, row), it)| (table, row, it)).collect();
        let text = serde_json::to_vec(&rows).map_err(io::Error::from);
        let written = text.and_then(|text| system::fs::replace(&self.path, &text, 0o600));
        self.written = Some(Instant::now());
        match written {
            Ok(()) => self.changed = false,
            // The database is told of in any case.
            Err(error) => line(
                Level::Warning,
                &format_args!(
                    "no copy of what was ordered: {}: {error}",
                    self.path.display()
                ),
            ),
        }
    }
}

/// Adds what the file has to what a damaged database has lost; how many rows.
pub(super) fn take_back(directory: &Path, found: &mut Restored) -> usize {
    let path = directory.join(FILE);
    let bytes = match system::read::bytes(&path, MOST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return 0,
        read => read,
    };
    let rows: Result<Vec<Row>, _> =
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
    let rows = rows.unwrap_or_else(|error| {
        let text = format_args!("{}: {error}: no order comes back", path.display());
        line(Level::Error, &text);
        Vec::new()
    });
    let mut taken = 0usize;
    for (table, row, record) in rows {
        if table == name(Shelf::Expected) {
            found.expected.push((row, record));
        } else if table == name(Shelf::Limit(Kept::Orders))
            && let Ok(client) = ClientId::parse(&row)
        {
            found.limits.push(((Kept::Orders, client), record));
        } else {
            continue;
        }
        taken = taken.saturating_add(1);
    }
    taken
}
