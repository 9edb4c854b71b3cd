//! What start-up finds, and what of it the administrator has to look at.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    QueueId,
    index::{Index, Message},
    journal::{self, Level},
    scan::Scanned,
    source::Source,
    unread::Unread,
};

/// Segments that an alarm names.
const NAMED: usize = 3;

/// What start-up found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of a torn tail (a commit that a crash interrupted, never promised) that were cut.
    pub cut: u64,
    /// Damaged ranges, and bodies whose record is lost, that are new in `quarantine/`.
    pub quarantined: u64,
    /// Segments that were there at a clean end and have lost their end, or are gone.
    pub lost: u64,
    /// Messages that were queued then and are not.
    pub missing: u64,
    /// Bodies moved to `quarantine/` beside a torn tail: their record may have been in it.
    pub doubtful: u64,
    /// Segments that cannot be opened.
    pub unopened: u64,
    /// Damaged parts of which no copy could be made; they stay where they are.
    pub unsaved: u64,
    /// Messages whose record is damaged, or whose body is gone or not as long as it was; they stay
    /// queued and are not delivered.
    pub spoiled: u64,
    /// Segments that cannot be read, in whole or in part.
    pub(super) unread: Vec<Unread>,
}

impl Recovery {
    /// What an administrator has to look at, a sentence each. `spool`: the directory.
    pub fn alarms(&self, spool: &Path) -> Vec<String> {
        let (spool, quarantine) = (spool.display(), spool.join("quarantine"));
        let quarantine = quarantine.display();
        let sentences = [
            (
                self.quarantined,
                format!("damaged parts of the queue are now in {quarantine}; look at them"),
            ),
            (
                self.lost,
                format!(
                    "segments of the queue have lost what they held when the program ended, and \
                     {} messages are missing; {quarantine} says which; put them back from a copy \
                     if there is one",
                    self.missing
                ),
            ),
            (
                self.doubtful,
                format!(
                    "large messages were being written when the program ended, and it is not \
                     certain that they were not accepted; they are in {quarantine}"
                ),
            ),
            (
                self.unopened,
                format!(
                    "segments of the queue cannot be opened ({}): their mail, and older mail, of \
                     which they may say that it was delivered, waits until you have mended that \
                     (owner, mount, disk); they are looked at again, at least every ten minutes, \
                     and at once with a reload; if they are lost, move them out of \
                     {spool}/segments and restart the program: older mail may go again then",
                    self.named()
                ),
            ),
            (
                self.unsaved,
                format!(
                    "damaged parts of the queue cannot be copied to {quarantine} and stay where \
                     they are; see to it that it can be written"
                ),
            ),
            (
                self.spoiled,
                "messages are damaged, or have no body any more; they are in the queue, and not \
                 delivered"
                    .to_owned(),
            ),
        ];
        let told = sentences.into_iter().filter(|(count, _)| *count > 0);
        told.map(|(count, text)| format!("spool: {count} {text}"))
            .collect()
    }

    /// The first segments that cannot be opened, and why.
    fn named(&self) -> String {
        let unopened = self.unread.iter().filter(|it| !it.in_part);
        let told = unopened.map(|it| format!("{}: {}", it.path.display(), it.why));
        let mut told: Vec<_> = told.take(NAMED.saturating_add(1)).collect();
        if told.len() > NAMED {
            told.truncate(NAMED);
            told.push("…".to_owned());
        }
        told.join("; ")
    }

    /// Those of them that the quarantine does not tell of.
    pub(super) fn lasting(&self, spool: &Path) -> Vec<String> {
        let lasting = Self {
            unopened: self.unopened,
            unsaved: self.unsaved,
            unread: self.unread.clone(),
            ..Self::default()
        };
        lasting.alarms(spool)
    }
}

/// What an administrator has to look at in `quarantine/` of a spool, for as long as it lies there.
pub fn quarantined(spool: &Path) -> Option<String> {
    let quarantine = spool.join("quarantine");
    let count = names(&quarantine).map_or(0, |names| names.len());
    (count > 0).then(|| {
        format!(
            "{count} files in {}: damaged or lost parts of the queue",
            quarantine.display()
        )
    })
}

/// What recovery gives the running spool.
#[derive(Default)]
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) next_segment: u64,
    pub(super) highest_id: u64,
    pub(super) recovery: Recovery,
    /// Bytes of each body that is a file.
    pub(super) bodies: HashMap<QueueId, u64>,
    /// Messages whose record or body is gone, or is not what was written.
    pub(super) spoiled: BTreeSet<QueueId>,
    /// Settled, as the log says.
    pub(super) settled: HashSet<QueueId>,
}

impl Recovered {
    /// The message whose damaged record begins there.
    pub(super) fn damaged_at(&self, segment: u64, offset: u64) -> Option<QueueId> {
        let is_there = |id: &&QueueId| {
            let at = self.index.message(**id).map(Message::location);
            at.is_some_and(|at| at.segment == segment && u64::from(at.offset) == offset)
        };
        self.spoiled.iter().find(is_there).copied()
    }

    /// What was never promised is no message.
    pub(super) fn forget_damaged(&mut self, id: QueueId) {
        self.spoiled.remove(&id);
        self.index.forget(id);
    }

    /// Those whose record is damaged, when it is known what became of them.
    pub(super) fn count_spoiled(&mut self) {
        self.spoiled.retain(|id| self.index.message(*id).is_some());
        for id in &self.spoiled {
            let text = format_args!("spool: record of {id} is damaged; not delivered, it stays");
            journal::line(Level::Error, &text);
        }
        self.recovery.spoiled = self.spoiled.len() as u64;
    }
}

/// A segment that was read.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Source,
    pub(super) size: u64,
    pub(super) scanned: Scanned,
    /// Its last record says that it was closed cleanly.
    pub(super) ended: bool,
    /// Where its last record ended when it was closed cleanly.
    pub(super) promised: Option<u64>,
}

impl Found {
    /// Whether this damage is what a crash leaves of a commit that was never promised. `newest`: no
    /// later segment holds anything.
    pub(super) fn is_torn(&self, range: &Range<u64>, newest: bool) -> bool {
        let was_closed = self.ended || self.promised.is_some();
        newest && !was_closed && range.start >= self.scanned.last_commit
    }

    /// What was there when it was closed cleanly, and is not.
    pub(super) fn lost(&self) -> Option<Range<u64>> {
        let damaged = self.scanned.damaged.last().map_or(0, |range| range.end);
        let end = self.scanned.end.max(damaged);
        let promised = self.promised.filter(|promised| *promised > end)?;
        Some(end..promised)
    }
}

/// The names in a directory.
pub(super) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
