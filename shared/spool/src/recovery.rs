//! Start-up: from what lies in the directory to the index.
//!
//! Contract: never deletes what may be mail, never refuses to start because of damage. Running it twice gives the same.
//! Damage is copied to `quarantine/SEGMENT-OFFSET` once; while that copy is there, the same range is not reported again.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File, OpenOptions},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    QueueId, SpoolError, Waiting,
    disk::Disk,
    index::{Index, Location, Message, Segment},
    journal::{self, Level},
    layout::{self, Layout},
    record::{self, Head, Header, Kind},
    scan::{self, Scanned},
};

/// What start-up found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of a torn tail (a commit that a crash interrupted, never promised) that were cut.
    pub cut: u64,
    /// Damaged ranges, and bodies whose record is lost, that are new in `quarantine/`.
    pub quarantined: u64,
}

/// What recovery gives the running spool.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) next_segment: u64,
    pub(super) highest_id: u64,
    pub(super) recovery: Recovery,
}

/// A segment while it is recovered.
struct Found {
    number: u64,
    file: Arc<File>,
    size: u64,
    scanned: Scanned,
}

/// Reads all segments, in order.
pub(super) fn recover(disk: &dyn Disk, layout: &Layout) -> Result<Recovered, SpoolError> {
    let mut recovered = Recovered {
        index: Index::default(),
        next_segment: 1,
        highest_id: 0,
        recovery: Recovery::default(),
    };
    let mut found = Vec::new();
    for (number, mark, path) in segments(layout)? {
        recovered.next_segment = number.saturating_add(1);
        match open_and_scan(&mut recovered, number, mark, &path) {
            Ok(segment) => found.push(segment),
            Err(error) => {
                // It stays where it is: a person can mend what made it unreadable, and start again.
                journal::line(
                    Level::Error,
                    &format_args!("spool: cannot read segment {}: {error}", path.display()),
                );
                recovered.recovery.quarantined = recovered.recovery.quarantined.saturating_add(1);
            }
        }
    }
    let intact = quarantine_damage(disk, layout, &found, &mut recovered.recovery);
    recovered.highest_id = recovered.highest_id.max(recovered.index.highest());
    let settled: HashSet<QueueId> = recovered.index.all_gone().into_iter().collect();
    for id in &settled {
        recovered.index.bury(*id);
    }
    check_bodies(disk, layout, &mut recovered, &found, &settled, intact)?;
    recovered.recovery.messages = recovered.index.len() as u64;
    Ok(recovered)
}

fn segments(layout: &Layout) -> Result<Vec<(u64, u64, PathBuf)>, SpoolError> {
    let mut segments = Vec::new();
    for name in names(&layout.segments)? {
        match layout::parse_segment(&name) {
            Some((number, mark)) => segments.push((number, mark, layout.segments.join(name))),
            None if layout.segments.join(&name) == layout.spare => {}
            None => {
                let path = layout.segments.join(&name);
                journal::line(
                    Level::Warning,
                    &format_args!("spool: {} is not ours, left alone", path.display()),
                );
            }
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

fn names(directory: &Path) -> Result<Vec<String>, SpoolError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    };
    read().map_err(SpoolError::io("cannot list", directory))
}

fn open_and_scan(
    recovered: &mut Recovered,
    number: u64,
    mark: u64,
    path: &Path,
) -> io::Result<Found> {
    let file = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
    let size = file.metadata()?.len();
    let (live, pins, sealed) = (0, BTreeSet::new(), true);
    let segment = Segment {
        file: Arc::clone(&file),
        path: path.to_owned(),
        mark,
        end: size,
        live,
        pins,
        sealed,
    };
    recovered.index.segments.insert(number, segment);
    let (index, highest) = (&mut recovered.index, &mut recovered.highest_id);
    let scanned = scan::scan(&file, mark, |offset, header, payload| {
        *highest = header.id.number().max(*highest);
        apply(index, number, offset, header, payload).is_some()
    })?;
    if scanned.unreadable > 0 {
        let text = format_args!(
            "spool: {}: {} blocks cannot be read",
            path.display(),
            scanned.unreadable
        );
        journal::line(Level::Error, &text);
    }
    Ok(Found {
        number,
        file,
        size,
        scanned,
    })
}

/// What one record does to the index; `None` if it makes no sense.
fn apply(
    index: &mut Index,
    segment: u64,
    offset: u64,
    header: &Header,
    payload: &[u8],
) -> Option<()> {
    match header.kind? {
        Kind::Message => {
            let (head, _) = record::read_head(payload)?;
            let length = u32::try_from(header.record_length()).ok()?;
            let at = Location {
                segment,
                offset: u32::try_from(offset).ok()?,
                length,
            };
            index.place(header.id, message(at, header, &head, payload)?);
        }
        Kind::Change => {
            let change = record::read_change(payload)?;
            index.pin(segment, change.segment);
            index.apply(header.id, &change.what);
        }
    }
    Some(())
}

fn message(at: Location, header: &Header, head: &Head, payload: &[u8]) -> Option<Message> {
    // Every recipient has bytes of its own in the envelope; a number above that is nonsense.
    if usize::try_from(head.recipients).ok()? > payload.len() {
        return None;
    }
    let size = super::message::message_size(usize::try_from(head.header).ok()?, head.body.len());
    let everybody = || Waiting::new(head.recipients);
    let waiting = head
        .state
        .as_ref()
        .map_or_else(everybody, record::State::waiting);
    let mut message = Message::new(at, header.time, size, head.body, waiting);
    message.uid = record::read_envelope(payload).and_then(|envelope| envelope.uid);
    let hold = head.state.as_ref().map(|state| state.hold);
    message.hold = hold.unwrap_or_default();
    message.warned = head.state.as_ref().is_some_and(|state| state.warned);
    let repeats = head.state.as_ref().and_then(|state| state.repeats);
    message.repeats = repeats.map(Box::new);
    Some(message)
}

/// Copies damaged ranges away and cuts the torn tail. Whether there was no damage beyond that.
fn quarantine_damage(
    disk: &dyn Disk,
    layout: &Layout,
    found: &[Found],
    recovery: &mut Recovery,
) -> bool {
    let newest = found
        .iter()
        .rposition(|segment| segment.scanned.end > 0 || !segment.scanned.damaged.is_empty());
    let mut intact = true;
    for (place, segment) in found.iter().enumerate() {
        let scanned = &segment.scanned;
        let mut may_cut = true;
        for range in &scanned.damaged {
            let torn = Some(place) == newest && range.start >= scanned.last_commit;
            let saved = save(layout, segment, range);
            may_cut &= torn && saved.is_ok() || range.end <= scanned.end;
            if torn {
                recovery.cut = recovery
                    .cut
                    .saturating_add(range.end.saturating_sub(range.start));
                journal::line(
                    Level::Notice,
                    &format_args!(
                        "spool: segment {:016x}: torn tail {range:?} cut",
                        segment.number
                    ),
                );
                continue;
            }
            intact = false;
            report(layout, segment.number, range, &saved);
            recovery.quarantined = recovery
                .quarantined
                .saturating_add(u64::from(saved.unwrap_or(true)));
        }
        if may_cut && scanned.unreadable == 0 && scanned.end < segment.size {
            // Space only; if it fails, the next start tries again.
            let _ = disk.truncate(&segment.file, scanned.end);
        }
    }
    intact
}

/// Copies a range to `quarantine/`; false if it is there already.
fn save(layout: &Layout, segment: &Found, range: &Range<u64>) -> io::Result<bool> {
    let path = layout.quarantined(segment.number, range.start);
    if path.exists() {
        return Ok(false);
    }
    let length =
        usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    scan::read_what_can_be_read(&segment.file, range.start, &mut bytes);
    system::fs::replace(&path, &bytes, 0o600)?;
    Ok(true)
}

fn report(layout: &Layout, number: u64, range: &Range<u64>, saved: &io::Result<bool>) {
    let path = layout.quarantined(number, range.start);
    let length = range.end.saturating_sub(range.start);
    match saved {
        Ok(true) => {
            let text = format_args!(
                "spool: segment {number:016x} is damaged: {length} bytes copied to {}",
                path.display()
            );
            journal::line(Level::Error, &text);
        }
        Ok(false) => {}
        Err(error) => {
            let text = format_args!(
                "spool: segment {number:016x} is damaged and {} cannot be written: {error}",
                path.display()
            );
            journal::line(Level::Error, &text);
        }
    }
}

/// Bodies without a message, and messages without their body.
fn check_bodies(
    disk: &dyn Disk,
    layout: &Layout,
    recovered: &mut Recovered,
    found: &[Found],
    settled: &HashSet<QueueId>,
    intact: bool,
) -> Result<(), SpoolError> {
    let mut expected = recovered.index.blobs();
    for name in names(&layout.bodies)? {
        let path = layout.bodies.join(&name);
        let id = QueueId::parse(&name);
        if id.is_some_and(|id| expected.remove(&id).is_some()) {
            continue;
        }
        let finished = id.is_some_and(|id| settled.contains(&id));
        let moved = if finished || intact && id.is_some() {
            // Settled, or linked by a commit that never was.
            disk.remove(&path)
        } else {
            journal::line(
                Level::Error,
                &format_args!(
                    "spool: {} has no record, moved to quarantine",
                    path.display()
                ),
            );
            recovered.recovery.quarantined = recovered.recovery.quarantined.saturating_add(1);
            disk.rename(&path, &layout.quarantine.join(&name))
        };
        if let Err(error) = moved {
            journal::line(
                Level::Warning,
                &format_args!("spool: cannot clear {}: {error}", path.display()),
            );
        }
    }
    for (id, at) in expected {
        let path = layout.body(id);
        journal::line(
            Level::Error,
            &format_args!("spool: {id}: its body {} is missing", path.display()),
        );
        recovered.index.forget(id);
        let range = u64::from(at.offset)..u64::from(at.offset).saturating_add(at.length.into());
        if let Some(segment) = found.iter().find(|segment| segment.number == at.segment) {
            let saved = save(layout, segment, &range);
            recovered.recovery.quarantined = recovered
                .recovery
                .quarantined
                .saturating_add(u64::from(saved.unwrap_or(true)));
        }
    }
    Ok(())
}
