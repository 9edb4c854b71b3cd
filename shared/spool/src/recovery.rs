//! Start-up: from what lies in the directory to the index.
//!
//! Contract: never deletes what may be mail, never refuses to start because of damage. Running it
//! twice gives the same. Damage is copied to `quarantine/` once; while that copy is there, the same
//! range is not reported again (salvage.rs, bodies.rs). A message whose record is damaged stays in
//! the queue as long as the record's header says which it is.
//!
//! What cannot be read today may be readable tomorrow: a segment that cannot be opened, or damage
//! that cannot be saved, stays where it is, and with it every other segment that was found: they
//! hold what happened to each other's messages. Segments with the same number (some were taken
//! away, new ones came, and then the old ones were put back) get numbers of their own, in the order
//! in which they were. What a clean end has listed must still be there (closed.rs).

use std::{io, path::PathBuf};

use super::{
    SpoolError, Waiting, bodies,
    closed::{self, Closed},
    disk::Disk,
    holder,
    index::{Location, Message, Segment},
    journal::{self, Level},
    layout::{self, Layout},
    listed,
    parties::Parties,
    record::{self, Head, Header, Kind, Place, What},
    recovered::{Found, Recovered, names},
    salvage,
    scan::{self, Seen},
    source::Readable as _,
    unread::Unread,
};

/// Reads all segments, in order.
pub(super) fn recover(disk: &dyn Disk, layout: &Layout) -> Result<Recovered, SpoolError> {
    let mut recovered = Recovered {
        next_segment: 1,
        ..Recovered::default()
    };
    let (mut newest, mut damage) = (None, salvage::Damage::default());
    let segments = segments(disk, layout)?;
    let there = || segments.iter().map(|(number, mark, _)| (*number, *mark));
    let closed = Closed::read(disk, layout, there());
    let gone = closed
        .as_ref()
        .map(|it| it.gone(there().map(|(_, mark)| mark)));
    for (number, lost) in gone.into_iter().flatten() {
        damage.damaged = true;
        closed::tell(disk, layout, number, &lost, &mut recovered);
    }
    for (number, mark, path) in segments {
        recovered.next_segment = number.saturating_add(1);
        let segment = Segment {
            path: path.clone(),
            mark,
            sealed: true,
            ..Segment::default()
        };
        recovered.index.segments.insert(number, segment);
        let promised = closed.as_ref().and_then(|closed| closed.end(mark));
        let found = read_segment(disk, &mut recovered, number, mark, path.clone());
        match found.map(|found| Found { promised, ..found }) {
            // Hard links to what another process writes.
            Ok(found) if holder::is_held(found.file.file()) => {
                return Err(SpoolError::Locked(layout.root.clone(), found.path));
            }
            Ok(found) if found.scanned.end == 0 && found.scanned.damaged.is_empty() => {
                salvage::segment(disk, layout, &found, false, &mut recovered, &mut damage);
            }
            // Whether its end may be torn is known when no later one holds anything.
            Ok(found) => {
                if let Some(before) = newest.replace(found) {
                    salvage::segment(disk, layout, &before, false, &mut recovered, &mut damage);
                }
            }
            Err(error) => {
                // A person can mend what made it unreadable.
                journal::line(
                    Level::Error,
                    &format_args!("spool: cannot open segment {}: {error}", path.display()),
                );
                recovered.recovery.unopened = recovered.recovery.unopened.saturating_add(1);
                recovered.index.stay(number);
                recovered.recovery.unread.push(Unread {
                    number,
                    path,
                    why: error.to_string(),
                    in_part: false,
                });
            }
        }
    }
    if let Some(newest) = newest {
        salvage::segment(disk, layout, &newest, true, &mut recovered, &mut damage);
    }
    recovered.highest_id = recovered.highest_id.max(recovered.index.highest());
    recovered.settled = recovered.index.all_gone().into_iter().collect();
    for id in &recovered.settled {
        recovered.index.bury(*id);
    }
    recovered.count_spoiled();
    bodies::check(disk, layout, &mut recovered, damage);
    recovered.index.stay_together();
    recovered.recovery.messages = recovered.index.len() as u64;
    if let Some(closed) = closed.filter(|_| recovered.recovery.lost > 0) {
        recovered.recovery.missing = closed.missing(recovered.recovery.messages);
    }
    closed::withdraw(disk, layout);
    Ok(recovered)
}

fn segments(disk: &dyn Disk, layout: &Layout) -> Result<Vec<(u64, u64, PathBuf)>, SpoolError> {
    let mut segments = Vec::new();
    for name in names(&layout.segments).map_err(SpoolError::io("cannot list", &layout.segments))? {
        match layout::parse_segment(&name) {
            Some((number, mark)) => segments.push((number, mark, layout.segments.join(name))),
            None if [&layout.spare, &layout.closed].contains(&&layout.segments.join(&name)) => {}
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
    renumber(disk, layout, &mut segments);
    Ok(segments)
}

/// Gives each segment a number above the one before it; one that cannot be renamed has its new
/// number in this run alone.
fn renumber(disk: &dyn Disk, layout: &Layout, segments: &mut [(u64, u64, PathBuf)]) {
    let mut next = 0;
    let mut renamed = Vec::new();
    for (number, mark, path) in segments.iter_mut() {
        if *number < next {
            *number = next;
            renamed.push((layout.segment(next, *mark), path));
        }
        next = number.saturating_add(1);
    }
    if renamed.is_empty() {
        return;
    }
    // From behind, so that the order stays what it is if we are interrupted.
    for (new, path) in renamed.into_iter().rev() {
        journal::line(
            Level::Warning,
            &format_args!(
                "spool: another segment has the number of {}; it becomes {}",
                path.display(),
                new.display()
            ),
        );
        if disk.rename(path, &new).is_ok() {
            *path = new;
        }
    }
    // If they are not durable, they are made again at the next start.
    let _ = disk.sync_directory(&layout.segments);
}

pub(super) fn read_segment(
    disk: &dyn Disk,
    recovered: &mut Recovered,
    number: u64,
    mark: u64,
    path: PathBuf,
) -> io::Result<Found> {
    let file = disk.open(&path)?;
    let size = file.length()?;
    if let Some(segment) = recovered.index.segments.get_mut(&number) {
        segment.end = size;
    }
    let mut ended = false;
    let scanned = scan::scan(&file, mark, |seen| {
        recovered.highest_id = seen.header.id.number().max(recovered.highest_id);
        if !seen.is_whole {
            keep_damaged(recovered, number, seen);
            return false;
        }
        ended = record::is_end(number, seen.header, seen.payload);
        apply(recovered, number, seen).is_some()
    })?;
    Ok(Found {
        number,
        path,
        file,
        size,
        scanned,
        ended,
        promised: None,
    })
}

/// What one record does to the index; `None` if it makes no sense.
fn apply(recovered: &mut Recovered, segment: u64, seen: &Seen<'_>) -> Option<()> {
    let Seen {
        header, payload, ..
    } = *seen;
    let index = &mut recovered.index;
    match header.kind? {
        Kind::Message => {
            let (head, _) = record::read_head(payload)?;
            let message = message(location(segment, seen)?, header, &head, payload)?;
            let remains = head.state.as_ref().filter(|state| state.is_of_remains());
            let is_whole = || index.segment_of(header.id).is_some();
            if let Some(state) = remains
                && is_whole()
                && !recovered.spoiled.contains(&header.id)
            {
                // Its own record was put back.
                if let Some(of) = index.apply(header.id, &What::State(state.clone())) {
                    index.pin(segment, of);
                }
                return Some(());
            }
            index.place(header.id, message);
            if remains.is_some() {
                recovered.spoiled.insert(header.id);
                return Some(());
            }
            recovered.spoiled.remove(&header.id);
            if let Place::File(length) = head.body {
                recovered.bodies.insert(header.id, length);
            }
        }
        Kind::Change => {
            let change = record::read_change(payload)?;
            index.pin(segment, change.segment);
            // Its segment may have another number by now.
            if let Some(of) = index.apply(header.id, &change.what) {
                index.pin(segment, of);
            }
        }
    }
    Some(())
}

/// A message whose record is damaged stays in the queue with what of it is known, unless another
/// copy of it is there.
fn keep_damaged(recovered: &mut Recovered, segment: u64, seen: &Seen<'_>) {
    let id = seen.header.id;
    let is_message = seen.header.kind == Some(Kind::Message);
    if !is_message || recovered.index.segment_of(id).is_some() {
        return;
    }
    if let Some(at) = location(segment, seen) {
        recovered.index.place(id, listed::listed(at, seen));
        recovered.spoiled.insert(id);
    }
}

fn location(segment: u64, seen: &Seen<'_>) -> Option<Location> {
    Some(Location {
        segment,
        offset: u32::try_from(seen.offset).ok()?,
        length: u32::try_from(seen.header.record_length()).ok()?,
    })
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
    if let Some(envelope) = record::read_envelope(payload) {
        message.uid = envelope.uid;
        message.parties = Parties::of(&envelope);
    }
    let hold = head.state.as_ref().map(|state| state.hold);
    message.hold = hold.unwrap_or_default();
    message.warned = head.state.as_ref().is_some_and(|state| state.warned);
    let repeats = head.state.as_ref().and_then(|state| state.repeats);
    message.repeats = repeats.map(Box::new);
    message.giver = head.state.as_ref().and_then(record::State::giver);
    Some(message)
}
