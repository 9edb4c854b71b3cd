//! The segments that are appended to: place, write, sync; and what is done when one of these fails.
//!
//! Contract: a record that has a place is on disk. A segment whose write or sync failed is never
//! written or synced again: its unsynced end is cut off (a segment without anything else goes at
//! once), and what was not promised goes to a new segment, once; if that fails too, the caller
//! hears it.
//!
//! Where the file system writes in place, what lies ahead of the records is written with zeros
//! before it is needed, so that a commit takes one flush of the disk (ahead.rs).
//! Failures: no space for a new segment is [`SpoolError::Full`]; the reserve is for vital records
//! only.

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex},
};

use super::{
    SpoolError,
    ahead::{self, Active, Next},
    disk::{self, Disk},
    error::is_full,
    holder::Own,
    index::{Index, Location, Segment},
    journal::{self, Level},
    layout::Layout,
    lock,
    place::{self, Root},
    record::Record,
    reserve::Spare,
    standing::Standing,
};
use mail::clock;

/// A record and, once it is durable, its place.
pub(super) struct Outgoing {
    pub(super) record: Record,
    /// May use the reserve: events, bounces, what compaction moves.
    pub(super) vital: bool,
    pub(super) placed: Option<Location>,
}

/// The end of the log. Whoever leads the commit holds it.
pub(super) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) layout: Layout,
    pub(super) root: Root,
    pub(super) segment_size: u64,
    pub(super) active: Option<Active>,
    /// Those that were taken away and hold what is to be written anew.
    pub(super) displaced: Vec<Active>,
    next: u64,
    pub(super) spare: Option<Spare>,
    in_place: bool,
    /// The segment after the active one, empty.
    pub(super) ready: Option<Active>,
    /// Why there is no spare segment; for those who must not wait for the log.
    lack: Arc<Mutex<Option<SpoolError>>>,
    /// The last commit failed, and that has been said.
    failing: bool,
    /// Whether what becomes of deliveries can be recorded; for those who must not wait.
    pub(super) standing: Arc<Mutex<Standing>>,
}

impl Log {
    /// A log that goes on with segment `next`; its file is made when the first record comes.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        layout: Layout,
        root: Root,
        segment_size: u64,
        next: u64,
    ) -> Self {
        Self {
            in_place: disk.writes_in_place(&layout.segments),
            disk,
            layout,
            root,
            segment_size,
            active: None,
            displaced: Vec::new(),
            next,
            spare: None,
            ready: None,
            lack: Arc::default(),
            failing: false,
            standing: Arc::default(),
        }
    }

    /// Makes the spare segment if there is none; says so when that fails for the first time.
    pub(super) fn keep_reserve(&mut self) {
        if self.spare.is_some() {
            return;
        }
        let made = Spare::make(self.disk.as_ref(), &self.layout, self.segment_size);
        self.reserve(made);
    }

    /// The same after a start: what is there is used on.
    pub(super) fn keep_reserve_over_restarts(&mut self) {
        if self.spare.is_some() {
            return;
        }
        let (size, least) = (self.segment_size, self.wanted_room().saturating_mul(2));
        let kept = Spare::keep(self.disk.as_ref(), &self.layout, size, least);
        self.reserve(kept);
    }

    /// The same, and leaves it to the next start.
    pub(super) fn leave_reserve(&mut self) {
        self.keep_reserve_over_restarts();
        self.spare = None;
    }

    fn reserve(&mut self, made: Result<Spare, SpoolError>) {
        let lack = match made {
            Ok(spare) => {
                self.spare = Some(spare);
                None
            }
            Err(error) => Some(error),
        };
        let before = std::mem::replace(&mut *lock(&self.lack), lack);
        if let (None, Some(lack)) = (before, &*lock(&self.lack)) {
            let text = format_args!("spool: no reserve, so no new mail is taken: {lack}");
            journal::line(Level::Warning, &text);
        }
    }

    /// Why there is no spare segment.
    pub(super) fn lack(&self) -> Arc<Mutex<Option<SpoolError>>> {
        Arc::clone(&self.lack)
    }

    /// Whether what becomes of deliveries can be recorded.
    pub(super) fn standing(&self) -> Arc<Mutex<Standing>> {
        Arc::clone(&self.standing)
    }

    fn has_reserve(&self) -> bool {
        self.spare.is_some()
    }

    /// Whether it is time to make the segment ready that comes after the active one.
    pub(super) fn wants_next(&self) -> bool {
        let is_due = |active: &Active| !active.followed && active.end >= active.size / 4;
        self.in_place && self.has_reserve() && self.active.as_ref().is_some_and(is_due)
    }

    /// What the next segment is to be, if it is wanted; asked once for each.
    pub(super) fn plan_next(&mut self) -> Option<Next> {
        if !self.wants_next() {
            return None;
        }
        let active = self.active.as_mut()?;
        active.followed = true;
        let next = Next {
            number: self.next,
            mark: random_mark().ok()?,
            size: self.segment_size,
        };
        // Should another be needed before this one is ready, it comes behind it.
        self.next = self.next.saturating_add(1);
        Some(next)
    }

    /// It is ready; too late if another one had to be made.
    pub(super) fn take_next(&mut self, made: Active) {
        if self.ready.is_none() && made.number.saturating_add(1) == self.next {
            self.ready = Some(made);
        } else {
            self.remove(&made);
        }
    }

    /// Removes a segment that nothing was written to; if that fails, the next start does.
    pub(super) fn remove(&self, empty: &Active) {
        let _ = self.disk.remove(&empty.path);
    }

    /// Writes and syncs records, in order, with one sync for each segment they touch. Those that
    /// have a place afterwards are durable even if an error is returned. Vital records must come
    /// first.
    pub(super) fn append(
        &mut self,
        index: &Mutex<Index>,
        records: &mut [Outgoing],
    ) -> Result<(), SpoolError> {
        let result = self.append_groups(index, records);
        // Said once, and once more when it works again: a disk that fails would fill the log too.
        match &result {
            Err(error) if !self.failing => {
                journal::line(Level::Error, &format_args!("spool: commit failed: {error}"));
            }
            Ok(()) if self.failing => {
                journal::line(Level::Notice, &format_args!("spool: commits work again"));
            }
            _ => {}
        }
        self.failing = result.is_err();
        let unplaced = |it: &Outgoing| it.vital && it.placed.is_none();
        let mut standing = lock(&self.standing);
        match &result {
            Ok(()) => standing.works(self.has_room()),
            // A full disk may only be too full for more mail.
            Err(SpoolError::Full { .. }) if !records.iter().any(unplaced) => {}
            Err(why) => standing.fails(why),
        }
        drop(standing);
        result
    }

    fn append_groups(
        &mut self,
        index: &Mutex<Index>,
        records: &mut [Outgoing],
    ) -> Result<(), SpoolError> {
        let mut rest = records;
        while let Some(first) = rest.first() {
            self.keep_place(index)?;
            let (vital, length) = (first.vital, first.record.len());
            if !vital {
                self.keep_reserve();
                if let Some(lack) = &*lock(&self.lack) {
                    return Err(lack.again());
                }
            }
            if !self.fits(length) {
                self.rotate(index, length, vital)?;
            }
            let (group, later) = self.split(rest);
            self.write_twice(index, group, vital)?;
            rest = later;
        }
        Ok(())
    }

    /// Writes to the active segment, and if that fails, once more to a new one.
    fn write_twice(
        &mut self,
        index: &Mutex<Index>,
        group: &mut [Outgoing],
        vital: bool,
    ) -> Result<(), SpoolError> {
        let fresh = self.active.as_ref().is_some_and(|active| active.end == 0);
        let abandoned = self.active.as_ref().map_or(0, |active| active.number);
        let Err(error) = self.write(group) else {
            return Ok(());
        };
        self.abandon(index, &error);
        if fresh {
            return Err(SpoolError::io("cannot write to", &self.layout.segments)(
                error,
            ));
        }
        let length = group.iter().map(|outgoing| outgoing.record.len()).sum();
        self.rotate(index, length, vital)?;
        if let Err(error) = self.write(group) {
            self.abandon(index, &error);
            return Err(SpoolError::io("cannot write to", &self.layout.segments)(
                error,
            ));
        }
        let mut index = lock(index);
        for at in group.iter().filter_map(|outgoing| outgoing.placed) {
            index.pin(at.segment, abandoned);
        }
        Ok(())
    }

    fn fits(&self, length: u64) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| active.end.saturating_add(length) <= active.size)
    }

    /// The records that fit in the active segment (at least one), and the others.
    fn split<'a>(&self, records: &'a mut [Outgoing]) -> (&'a mut [Outgoing], &'a mut [Outgoing]) {
        let mut left = self
            .active
            .as_ref()
            .map_or(0, |active| active.size.saturating_sub(active.end));
        let reserve = self.has_reserve();
        let fitting = records.iter().take_while(|outgoing| {
            let length = outgoing.record.len();
            let fits = length <= left && (outgoing.vital || reserve);
            left = left.saturating_sub(length);
            fits
        });
        let count = fitting.count().max(1);
        records.split_at_mut(count)
    }

    fn write(&mut self, group: &mut [Outgoing]) -> io::Result<()> {
        let active = self.active.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let commit = u32::try_from(active.end).map_err(io::Error::other)?;
        for outgoing in group.iter_mut() {
            outgoing.record.seal(active.mark, commit);
        }
        let length = group.iter().map(|outgoing| outgoing.record.len()).sum();
        let zeros = if self.in_place {
            active.fill_behind(length)
        } else {
            0
        };
        let mut pieces: Vec<IoSlice<'_>> = group
            .iter()
            .flat_map(|outgoing| outgoing.record.pieces())
            .chain(ahead::zeros(zeros))
            .collect();
        disk::write_all(self.disk.as_ref(), &active.file, active.end, &mut pieces)?;
        self.disk.sync(&active.file)?;
        if !place::is_at(&active.file, &active.path)? {
            return Err(place::gone());
        }
        for outgoing in group {
            let (Ok(offset), Ok(length)) = (
                u32::try_from(active.end),
                u32::try_from(outgoing.record.len()),
            ) else {
                return Err(io::ErrorKind::FileTooLarge.into());
            };
            outgoing.placed = Some(Location {
                segment: active.number,
                offset,
                length,
            });
            active.end = active.end.saturating_add(outgoing.record.len());
        }
        Ok(())
    }

    /// Ends the active segment and begins one that has room for `length` bytes.
    pub(super) fn rotate(
        &mut self,
        index: &Mutex<Index>,
        length: u64,
        vital: bool,
    ) -> Result<(), SpoolError> {
        match self.ready.take() {
            Some(ready) if length <= ready.size => {
                self.begin(index, ready);
                return Ok(());
            }
            Some(small) => self.remove(&small),
            None => {}
        }
        let number = self.next;
        let mark = random_mark()?;
        let path = self.layout.segment(number, mark);
        let size = self.segment_size.max(length);
        let (file, size) = match self.disk.create(&path, size) {
            Ok(file) => (Own::new(file), size),
            Err(error) if is_full(&error) && vital => {
                let Some(spare) = self.spare.take_if(|spare| length <= spare.size) else {
                    return Err(SpoolError::full(&self.layout.root));
                };
                *lock(&self.lack) = Some(SpoolError::full(&self.layout.root));
                journal::line(
                    Level::Error,
                    &format_args!(
                        "spool {}: disk full, using the reserve",
                        self.layout.root.display()
                    ),
                );
                self.disk
                    .rename(&self.layout.spare, &path)
                    .map_err(SpoolError::io("cannot use the reserve as", &path))?;
                (spare.file, spare.size)
            }
            Err(error) => return Err(SpoolError::io("cannot create segment", &path)(error)),
        };
        self.next = number.saturating_add(1);
        self.begin(index, Active::new(number, mark, path, file, size));
        let synced = self.disk.sync_directory(&self.layout.segments);
        if let Err(error) = synced {
            self.abandon(index, &error);
            return Err(SpoolError::io(
                "cannot sync directory",
                &self.layout.segments,
            )(error));
        }
        Ok(())
    }

    /// Ends the active segment, and goes on with this one.
    fn begin(&mut self, index: &Mutex<Index>, new: Active) {
        self.seal(index);
        let segment = Segment {
            path: new.path.clone(),
            mark: new.mark,
            ..Segment::default()
        };
        lock(index).segments.insert(new.number, segment);
        self.active = Some(new);
    }

    /// Ends the active segment for good, and says in it that this was no crash.
    pub(super) fn close(&mut self, index: &Mutex<Index>) {
        if let Some(ready) = self.ready.take() {
            self.remove(&ready);
        }
        let number = self.active.as_ref().map(|active| active.number);
        if let Some(record) = number.and_then(|number| Record::end(number, clock::now())) {
            let mut end = [Outgoing {
                record,
                vital: true,
                placed: None,
            }];
            // Without it, the next start takes a damaged end for one that a crash may have torn.
            if let Err(error) = self.write(&mut end) {
                return self.abandon(index, &error);
            }
        }
        self.seal(index);
    }

    /// Ends the active segment; the space behind its last record is given back.
    fn seal(&mut self, index: &Mutex<Index>) {
        let Some(active) = self.active.take() else {
            return;
        };
        if active.end < active.size
            && let Err(error) = self.disk.truncate(&active.path, active.end)
        {
            journal::line(
                Level::Warning,
                &format_args!(
                    "spool: cannot cut the end of segment {:016x}: {error}",
                    active.number
                ),
            );
        }
        if let Some(segment) = lock(index).segments.get_mut(&active.number) {
            segment.end = active.end;
            segment.sealed = true;
        }
    }

    /// Never touches the active segment's data again, after a write or sync that failed.
    pub(super) fn abandon(&mut self, index: &Mutex<Index>, error: &io::Error) {
        if self.is_displaced() {
            return self.displace(index);
        }
        let number = self.active.as_ref().map_or(0, |active| active.number);
        if !self.failing {
            let text =
                format_args!("spool: segment {number:016x}: write failed, given up: {error}");
            journal::line(Level::Error, &text);
        }
        let empty = self.active.take_if(|active| active.end == 0);
        if let Some(empty) = empty {
            let removed = self.disk.remove(&empty.path).is_ok();
            let mut index = lock(index);
            if removed {
                index.segments.remove(&empty.number);
            } else if let Some(segment) = index.segments.get_mut(&empty.number) {
                // It goes later.
                segment.sealed = true;
            }
        }
        self.seal(index);
    }
}

fn random_mark() -> Result<u64, SpoolError> {
    // Never zero: unwritten space must not look like a mark.
    let random = getrandom::u64().map_err(|error| SpoolError::Io {
        doing: "cannot read random numbers from",
        path: "getrandom(2)".into(),
        error: io::Error::other(error),
    })?;
    Ok(random | 1)
}
