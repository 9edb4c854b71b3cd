//! Segments that are removed, or replaced by a copy or a symbolic link, while the program runs:
//! what is written to them then would be gone with the program.
//!
//! Contract: a commit is confirmed only when the segment that it went to lies at its path
//! ([`Log::keep_place`] before, and a look after the sync). One that does not is left; mail goes on
//! in a new segment, and what is needed of the old one, which is still open, is written anew. Of
//! other segments that are gone the messages are told as damaged; they are whole again if their
//! files come back. Where the whole directory is another one, nothing is written there.
//! A copy that lies in place of a segment goes when what it holds has been written anew: it would
//! bring back what has been delivered.

use std::{io, sync::Mutex};

use super::{
    QueueId, SpoolError,
    committer::Committer,
    index::Index,
    journal::{self, Level},
    lock,
    log::Log,
    place,
};
use mail::clock;

impl Log {
    /// Leaves the active segment if it is not what lies at its path.
    pub(super) fn keep_place(&mut self, index: &Mutex<Index>) -> Result<(), SpoolError> {
        let Some(active) = &self.active else {
            return self.root.check();
        };
        let found = place::is_at(&active.file, &active.path);
        if !found.map_err(SpoolError::io("cannot look at", &active.path))? {
            self.root.check()?;
            self.displace(index);
        }
        Ok(())
    }

    /// Whether the active segment was taken away, and the directory was not.
    pub(super) fn is_displaced(&self) -> bool {
        let lies = |active| {
            let active: &super::ahead::Active = active;
            place::is_at(&active.file, &active.path)
        };
        let taken = self.active.as_ref().map(lies);
        matches!(taken, Some(Ok(false))) && self.root.check().is_ok()
    }

    /// Never writes to the active segment again; what it holds is saved later.
    pub(super) fn displace(&mut self, index: &Mutex<Index>) {
        let Some(active) = self.active.take() else {
            return;
        };
        let text = format_args!(
            "spool: {} was removed or replaced while the program runs; what it held is written \
             anew, and mail goes on in a new segment",
            active.path.display()
        );
        journal::line(Level::Error, &text);
        if let Some(segment) = lock(index).segments.get_mut(&active.number) {
            segment.end = active.end;
            segment.sealed = true;
            segment.displaced = true;
        }
        self.displaced.push(active);
        // These may lie elsewhere, too. What has the name of the next one holds nothing.
        if let Some(ready) = self.ready.take() {
            self.remove(&ready);
        }
        self.spare = None;
    }
}

impl Committer {
    /// Whether something was taken away that can be saved: then it has been.
    pub(super) fn put_right(&self) -> bool {
        // Who reads does not wait for who writes.
        let taken = self.log.try_lock().is_ok_and(|log| log.is_displaced());
        let waits = || {
            let log = self.log.try_lock();
            log.is_ok_and(|log| !log.displaced.is_empty())
        };
        if !taken && !waits() {
            return false;
        }
        let _alone = lock(&self.reclaim.running);
        self.save_displaced().is_ok()
    }

    /// Writes anew what is needed of segments that were taken away. Who calls this reclaims.
    pub(super) fn save_displaced(&self) -> Result<(), SpoolError> {
        lock(&self.log).keep_place(&self.index)?;
        let mut any = false;
        loop {
            let Some(taken) = lock(&self.log).displaced.pop() else {
                break;
            };
            any = true;
            if let Err(error) = self.copy_needed(taken.number, taken.mark, &*taken.file) {
                lock(&self.log).displaced.push(taken);
                return Err(error);
            }
            if let Some(segment) = lock(&self.index).segments.get_mut(&taken.number)
                && segment.live == 0
            {
                segment.pins.clear();
            }
        }
        if any {
            self.tell_displaced();
        }
        Ok(())
    }

    /// What is gone for good, as far as that is known.
    fn tell_displaced(&self) {
        let segments: Vec<_> = {
            let index = lock(&self.index);
            let sealed = index.segments.iter().filter(|(_, it)| it.sealed);
            sealed
                .map(|(number, it)| (*number, it.path.clone()))
                .collect()
        };
        let is_gone = |path: &std::path::Path| match path.symlink_metadata() {
            Ok(found) => !found.is_file(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let mut gone = segments;
        gone.retain(|(_, path)| is_gone(path));
        let lost: Vec<QueueId> = {
            let mut index = lock(&self.index);
            for (number, _) in &gone {
                if let Some(segment) = index.segments.get_mut(number) {
                    segment.displaced = true;
                }
            }
            let queued = index.queued();
            let lost =
                queued.filter(|(_, it)| gone.iter().any(|(number, _)| *number == it.segment));
            lost.map(|(id, _)| id).collect()
        };
        if !lost.is_empty() {
            let text = format_args!(
                "spool: {} messages were in other segments that are gone; they stay, and are not \
                 delivered",
                lost.len()
            );
            journal::line(Level::Error, &text);
            lock(&self.damaged).extend(lost);
        }
        let text = format!(
            "spool: files in {} were removed or replaced while the program ran, {}; what it had \
             open was written anew, and mail goes on; stop the program before you put back a copy",
            self.layout.segments.display(),
            clock::now().mailq()
        );
        let mut found = lock(&self.found);
        // One sentence, of the last time.
        found.retain(|it| !it.contains(REMOVED));
        found.push(text);
    }
}

/// What that sentence is known by.
const REMOVED: &str = " were removed or replaced while the program ran, ";
