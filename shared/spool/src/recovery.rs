//! Start-up: from what lies in the directory to the index.
//!
//! Contract: never deletes what may be mail, never refuses to start because of damage. Running it
//! twice gives the same. Damage is copied to `quarantine/` once; while that copy is there, the same
//! range is not reported again (salvage.rs, bodies.rs).
//!
//! What cannot be read today may be readable tomorrow: a segment that cannot be opened, or damage
//! that cannot be saved, stays where it is, and with it every other segment that was found: they
//! hold what happened to each other's messages.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    QueueId, SpoolError, Waiting, bodies,
    disk::Disk,
    index::{Index, Location, Message, Segment},
    journal::{self, Level},
    layout::{self, Layout},
    record::{self, Head, Header, Kind, Place},
    salvage,
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
    /// Bodies moved to `quarantine/` beside a torn tail: their record may have been in it.
    pub doubtful: u64,
    /// Segments that cannot be opened.
    pub unopened: u64,
    /// Damaged parts of which no copy could be made; they stay where they are.
    pub unsaved: u64,
    /// Messages whose body is not as long as it was; they stay queued and are not delivered.
    pub spoiled: u64,
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
                self.doubtful,
                format!(
                    "large messages were being written when the program ended, and it is not \
                     certain that they were not accepted; they are in {quarantine}"
                ),
            ),
            (
                self.unopened,
                format!(
                    "segments of the queue in {spool}/segments cannot be opened; their mail waits \
                     there until you have mended that, and the program is started again"
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
                "messages have a damaged body; they are in the queue, and not delivered".to_owned(),
            ),
        ];
        let told = sentences.into_iter().filter(|(count, _)| *count > 0);
        told.map(|(count, text)| format!("spool: {count} {text}"))
            .collect()
    }
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
    /// Settled, as the log says.
    pub(super) settled: HashSet<QueueId>,
}

/// A segment that was read.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) scanned: Scanned,
    /// Its last record says that it was closed cleanly.
    pub(super) ended: bool,
}

/// Reads all segments, in order.
pub(super) fn recover(disk: &dyn Disk, layout: &Layout) -> Result<Recovered, SpoolError> {
    let mut recovered = Recovered {
        next_segment: 1,
        ..Recovered::default()
    };
    let (mut newest, mut damage) = (None, salvage::Damage::default());
    for (number, mark, path) in segments(layout)? {
        recovered.next_segment = number.saturating_add(1);
        let segment = Segment {
            path: path.clone(),
            mark,
            sealed: true,
            ..Segment::default()
        };
        recovered.index.segments.insert(number, segment);
        match read_segment(disk, &mut recovered, number, mark, path.clone()) {
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
                // A person can mend what made it unreadable, and start again.
                journal::line(
                    Level::Error,
                    &format_args!("spool: cannot open segment {}: {error}", path.display()),
                );
                recovered.recovery.unopened = recovered.recovery.unopened.saturating_add(1);
                recovered.index.stay(number);
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
    bodies::check(disk, layout, &mut recovered, damage);
    recovered.index.stay_together();
    recovered.recovery.messages = recovered.index.len() as u64;
    Ok(recovered)
}

fn segments(layout: &Layout) -> Result<Vec<(u64, u64, PathBuf)>, SpoolError> {
    let mut segments = Vec::new();
    for name in names(&layout.segments).map_err(SpoolError::io("cannot list", &layout.segments))? {
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

/// The names in a directory.
pub(super) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn read_segment(
    disk: &dyn Disk,
    recovered: &mut Recovered,
    number: u64,
    mark: u64,
    path: PathBuf,
) -> io::Result<Found> {
    let file = disk.open(&path)?;
    let size = file.metadata()?.len();
    if let Some(segment) = recovered.index.segments.get_mut(&number) {
        segment.end = size;
    }
    let mut ended = false;
    let scanned = scan::scan(&file, mark, |offset, header, payload| {
        recovered.highest_id = header.id.number().max(recovered.highest_id);
        ended = record::is_end(number, header, payload);
        apply(recovered, number, offset, header, payload).is_some()
    })?;
    Ok(Found {
        number,
        path,
        file,
        size,
        scanned,
        ended,
    })
}

/// What one record does to the index; `None` if it makes no sense.
fn apply(
    recovered: &mut Recovered,
    segment: u64,
    offset: u64,
    header: &Header,
    payload: &[u8],
) -> Option<()> {
    let index = &mut recovered.index;
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
            if let Place::File(length) = head.body {
                recovered.bodies.insert(header.id, length);
            }
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
