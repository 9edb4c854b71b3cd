//! Reports that say nothing new, with spool and file.
//!
//! Contract: why a report waits is on disk before it is accepted, and it is held from the record on
//! that promises it. What was kept is known again after a restart.
//! Failures: a file that cannot be written or read, or is damaged, costs the knowledge: then
//! everything is sent, and the log says so.

use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::{
    clock::{self, Timestamp},
    envelope::Envelope,
    message::Header,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use spool::{Entry, Event, Hold, QueueId, Spool};

use super::{
    report::{self, Report},
    table::{Judged, Table, Waiting},
};
use crate::{
    agent::{duplicates::likeness, maillog},
    config::unchanged::Unchanged,
};

/// Longest wait without looking at the clock: a machine that slept has a new time.
const LOOK: Duration = Duration::from_mins(1);
/// Most of the file that is read; a full table is smaller.
const MOST: u64 = 16 * 1024 * 1024;

/// The reports of this machine.
pub(in crate::agent) struct Reports {
    settings: Unchanged,
    path: PathBuf,
    table: Mutex<Table>,
    changed: Condvar,
}

/// What becomes of a message.
#[derive(Clone, Default)]
pub(in crate::agent) enum Verdict {
    /// None of our business.
    #[default]
    Free,
    /// It waits: it says the same as on that day.
    Wait { as_on: Timestamp },
    /// It says the same as one that is on its way, or there is no room for it to wait: sent.
    Again,
    /// It says something new, and is sent at once; say [`Reports::sent`].
    Send { user: u32, report: Box<Report> },
}

/// The file: a table, and whose reports it is about.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    senders: Vec<String>,
    table: Cow<'a, Table>,
}

impl Reports {
    /// With what the last agent kept.
    pub(in crate::agent) fn open(
        settings: Option<Unchanged>,
        directory: &Path,
        spool: &Spool,
    ) -> Option<Self> {
        let queued = spool.entries().into_iter();
        let queued: Vec<_> = queued
            .filter(|entry| entry.hold == Hold::Unchanged)
            .map(|entry| (entry.id, entry.arrival))
            .collect();
        let path = directory.join("unchanged");
        let _ = system::fs::clear_unfinished(&path);
        let release = |id: &QueueId| spool.record(*id, Event::Released);
        let Some(settings) = settings else {
            // What comes meanwhile would not be known.
            let _ = fs::remove_file(&path);
            for (id, _) in &queued {
                release(id);
            }
            return None;
        };
        let kept = read(&path).unwrap_or_else(|error| {
            let path = path.display();
            maillog::warning(&format!("{path}: {error}; each report is sent once more"));
            None
        });
        let mut table = Table::default();
        if let Some(kept) = kept {
            table = kept.table.into_owned();
            if kept.senders != names(&settings) {
                table.forget_all();
            }
        }
        table.found(&queued).iter().for_each(release);
        Some(Self {
            settings,
            path,
            table: Mutex::new(table),
            changed: Condvar::new(),
        })
    }

    /// Decides about a message that is about to be taken under this id. `body`: if it is small.
    pub(in crate::agent) fn judge(
        &self,
        id: QueueId,
        (user, party): (&str, u32),
        envelope: &Envelope,
        header: &Header,
        body: Option<&[u8]>,
    ) -> Verdict {
        if !likeness::is_automatic(header) || !self.settings.covers(user, &envelope.sender) {
            return Verdict::Free;
        }
        let report = report::report(envelope, header, body);
        let mut table = self.lock();
        let group = report::group(envelope);
        match table.judge((id, party, group), &report, clock::now()) {
            Judged::Waits(as_on) => {
                if self.keep(&table) {
                    return Verdict::Wait { as_on };
                }
                table.ended(&[id]);
            }
            Judged::Again => return Verdict::Again,
            Judged::New => {}
        }
        if table.forget(&report.job) {
            self.keep(&table);
        }
        Verdict::Send {
            user: party,
            report: Box::new(report),
        }
    }

    /// A message that waits is in the queue.
    pub(in crate::agent) fn arrived(&self, entry: &Entry) {
        self.lock().arrived(entry.id, entry.arrival);
        self.changed.notify_one();
    }

    /// The message is in the queue, and is sent. That counts on disk once it has arrived.
    pub(in crate::agent) fn sent(&self, id: QueueId, user: u32, report: &Report) {
        if let Some(said) = &report.said {
            let now = clock::now();
            self.lock().remember((id, user), report.job, said, now);
        }
    }

    /// A message goes on under another id.
    pub(in crate::agent) fn goes_on_as(&self, id: QueueId, new: QueueId) {
        self.lock().goes_on_as(id, new);
    }

    /// A message has left the queue; `delivered`: to all its recipients.
    pub(in crate::agent) fn left(&self, id: QueueId, delivered: bool) {
        let mut table = self.lock();
        if table.left(id, delivered) && delivered {
            self.keep(&table);
        }
    }

    /// The message was refused after all.
    pub(in crate::agent) fn take_back(&self, id: QueueId, verdict: &Verdict) {
        if let Verdict::Wait { .. } = verdict {
            self.ended(&[id]);
        }
    }

    /// These wait no more.
    pub(in crate::agent) fn ended(&self, ids: &[QueueId]) {
        let mut table = self.lock();
        table.ended(ids);
        self.keep(&table);
    }

    /// Those that the next digest tells of, if it is due.
    pub(in crate::agent) fn due(&self) -> Option<Vec<Waiting>> {
        self.lock().due(self.settings.digest, clock::now())
    }

    /// Why a report waits.
    pub(in crate::agent) fn reason(&self, id: QueueId) -> String {
        let now = clock::now();
        match self.lock().due_at(id, self.settings.digest, now) {
            Some((as_on, due)) => format!(
                "says the same as on {}; its digest is due {}",
                as_on.mailq(),
                due.mailq()
            ),
            None => "says what was said before; its digest is due".to_owned(),
        }
    }

    /// Until there may be something to do; after a failure, for a while.
    pub(in crate::agent) fn rest(&self, failed: bool) {
        let table = self.lock();
        let now = clock::now();
        let deadline = table.deadline(self.settings.digest, now);
        let deadline = deadline.filter(|_| !failed);
        let wait = deadline.map_or(LOOK, |deadline| deadline.since(now).min(LOOK));
        if !wait.is_zero() {
            drop(self.changed.wait_timeout(table, wait));
        }
    }

    /// Whether it is on disk. What is there otherwise is no longer true, and goes.
    fn keep(&self, table: &Table) -> bool {
        let kept = Kept {
            senders: names(&self.settings),
            table: Cow::Borrowed(table),
        };
        let written = write(&self.path, &kept);
        if let Err(error) = &written {
            let _ = fs::remove_file(&self.path);
            let path = self.path.display();
            maillog::warning(&format!(
                "{path}: {error}; reports that say nothing new are sent all the same"
            ));
        }
        written.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(settings: &Unchanged) -> Vec<String> {
    settings.senders.iter().map(ToString::to_string).collect()
}

/// The table behind its SHA-256: a bit that flips on the disk must not hide a line.
fn write(path: &Path, kept: &Kept<'_>) -> io::Result<()> {
    let table = serde_json::to_vec(kept)?;
    let mut bytes = Sha256::digest(&table).to_vec();
    bytes.extend_from_slice(&table);
    system::fs::replace(path, &bytes, 0o600)
}

fn read(path: &Path) -> io::Result<Option<Kept<'static>>> {
    let bytes = match system::read::bytes(path, MOST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::other("the file is damaged");
    let (sum, table) = bytes.split_first_chunk::<32>().ok_or_else(damaged)?;
    if Sha256::digest(table).as_slice() != sum {
        return Err(damaged());
    }
    Ok(Some(serde_json::from_slice(table)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Unchanged {
        let text = "unchanged = { senders = \"root\" }";
        let settings = crate::config::settings::Settings::parse(None, text);
        settings.unwrap().unchanged.unwrap()
    }

    fn same(reports: &Reports, id: QueueId) -> bool {
        let header = Header::parse(b"Auto-Submitted: auto-generated\r\nSubject: job\r\n");
        let who = ("root", 0);
        match reports.judge(id, who, &Envelope::default(), &header, Some(b"7 files")) {
            Verdict::Wait { .. } => true,
            Verdict::Send { user, report } => {
                reports.sent(id, user, &report);
                reports.left(id, true);
                false
            }
            Verdict::Again => false,
            Verdict::Free => panic!("root is listed"),
        }
    }

    #[test]
    fn what_was_said_is_known_after_a_restart_unless_the_file_is_damaged_or_meant_others() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) =
            Spool::open(&directory.path().join("spool"), spool::Options::default()).unwrap();
        let id = spool.draft().unwrap().id();
        let open = |settings| Reports::open(Some(settings), directory.path(), &spool).unwrap();
        assert!(!same(&open(settings()), id));
        assert!(same(&open(settings()), id));
        let path = directory.path().join("unchanged");
        let whole = fs::read(&path).unwrap();
        for place in [0, 40, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            system::fs::replace(&path, &damaged, 0o600).unwrap();
            assert!(!same(&open(settings()), id), "{place}");
        }
        system::fs::replace(&path, &whole[..20], 0o600).unwrap();
        assert!(!same(&open(settings()), id));
        assert!(same(&open(settings()), id));
        let others = Unchanged {
            senders: vec!["r*".to_owned().try_into().unwrap()],
            ..settings()
        };
        assert!(!same(&open(others), id));
        assert!(Reports::open(None, directory.path(), &spool).is_none());
        assert!(!path.exists(), "what comes meanwhile is not known");
    }

    #[test]
    fn where_the_table_cannot_be_written_each_report_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let (spool, _) =
            Spool::open(&directory.path().join("spool"), spool::Options::default()).unwrap();
        let id = spool.draft().unwrap().id();
        let nowhere = directory.path().join("nowhere");
        let reports = Reports::open(Some(settings()), &nowhere, &spool).unwrap();
        assert!(!same(&reports, id) && !same(&reports, id));
        assert_eq!(reports.due().map(|due| due.len()), None);
    }
}
