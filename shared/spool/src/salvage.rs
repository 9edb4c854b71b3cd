//! Damage in segments: copied to `quarantine/`, and the torn end of the log cut off.
//!
//! Contract: a segment whose damage could not be copied, or not be read, stays where it is. The
//! last commit of the newest segment may be torn, which a crash explains, unless the segment was
//! closed cleanly; what is torn is copied, too, and said aloud, because damage can look the same.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    closed,
    disk::{self, Disk},
    index::Location,
    journal::{self, Level},
    layout::Layout,
    recovered::{Found, Recovered},
    scan,
    source::Readable,
    unread::Unread,
};

/// How much of the log is not known.
#[derive(Clone, Copy, Default)]
pub(super) struct Damage {
    /// A range that was promised is damaged.
    pub(super) damaged: bool,
    /// The end of the log is torn.
    pub(super) torn: bool,
    /// There is something that may be read one day: by a mended disk, or by a later version.
    pub(super) waits: bool,
}

/// Sees to the damage of one segment. `newest`: no later one holds anything.
pub(super) fn segment(
    disk: &dyn Disk,
    layout: &Layout,
    found: &Found,
    newest: bool,
    recovered: &mut Recovered,
    damage: &mut Damage,
) {
    let (scanned, number) = (&found.scanned, found.number);
    if let Some(lost) = found.lost() {
        damage.damaged = true;
        closed::tell(disk, layout, number, &lost, recovered);
    }
    let (mut saved, mut unsaved) = (Vec::new(), 0u64);
    let mut end = scanned.end;
    for range in &scanned.damaged {
        let torn = found.is_torn(range, newest);
        match recovered.damaged_at(number, range.start) {
            Some(id) if torn => recovered.forget_damaged(id),
            Some(_) => end = end.max(range.end),
            None => {}
        }
        let recovery = &mut recovered.recovery;
        damage.torn |= torn;
        damage.damaged |= !torn;
        let length = range.end.saturating_sub(range.start);
        let copied = copy(disk, layout, found, range);
        tell(number, length, torn, &copied);
        match copied {
            Ok(copied) => {
                saved.push(range.clone());
                if torn {
                    recovery.cut = recovery.cut.saturating_add(length);
                } else {
                    let new = u64::from(copied.is_some());
                    recovery.quarantined = recovery.quarantined.saturating_add(new);
                }
            }
            Err(_) => unsaved = unsaved.saturating_add(1),
        }
    }
    if scanned.unreadable > 0 {
        let (path, blocks) = (found.path.display(), scanned.unreadable);
        let text = format_args!("spool: {path}: {blocks} blocks cannot be read; it stays");
        journal::line(Level::Error, &text);
        unsaved = unsaved.saturating_add(1);
        recovered.recovery.unread.push(Unread {
            number,
            path: found.path.clone(),
            why: format!("{blocks} blocks cannot be read"),
            in_part: true,
        });
    }
    let recovery = &mut recovered.recovery;
    recovery.unsaved = recovery.unsaved.saturating_add(unsaved);
    let stays = unsaved > 0 || scanned.later > 0;
    damage.waits |= stays;
    if stays {
        recovered.index.stay(number);
    } else if end < found.size {
        // If it fails, the next start tries again. Synced: a torn end that came back behind later
        // segments would be taken for damage.
        let _ = disk
            .truncate(&found.path, end)
            .and_then(|()| disk.sync(found.file.file()));
    }
    if let Some(segment) = recovered.index.segments.get_mut(&number) {
        segment.saved = saved;
        segment.end = end;
    }
}

/// Copies a range to `quarantine/`: the new file, or `None` if there is such a copy.
fn copy(
    disk: &dyn Disk,
    layout: &Layout,
    found: &Found,
    range: &Range<u64>,
) -> io::Result<Option<PathBuf>> {
    copy_range(disk, layout, &found.file, found.number, range)
}

/// The same of a record that is whole, of a message that cannot be delivered.
pub(super) fn copy_record(
    disk: &dyn Disk,
    layout: &Layout,
    path: &Path,
    at: Location,
) -> io::Result<Option<PathBuf>> {
    let start = u64::from(at.offset);
    let range = start..start.saturating_add(at.length.into());
    copy_range(disk, layout, &disk.open(path)?, at.segment, &range)
}

fn copy_range(
    disk: &dyn Disk,
    layout: &Layout,
    file: &dyn Readable,
    segment: u64,
    range: &Range<u64>,
) -> io::Result<Option<PathBuf>> {
    let length = range.end.saturating_sub(range.start);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    scan::read_what_can_be_read(file, range.start, &mut bytes);
    for path in layout.quarantined(segment, range.start) {
        match disk::holds(&path, &bytes)? {
            Some(true) => return Ok(None),
            // Of a segment that had this number before.
            Some(false) => {}
            None => {
                disk.save(&path, &bytes)?;
                return Ok(Some(path));
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn tell(number: u64, length: u64, torn: bool, copied: &io::Result<Option<PathBuf>>) {
    let what = if torn {
        "its end is torn, as a crash leaves it, or damaged"
    } else {
        "it is damaged"
    };
    match copied {
        Ok(Some(path)) => {
            let path = path.display();
            let text = format_args!(
                "spool: segment {number:016x}: {what}: {length} bytes copied to {path}"
            );
            journal::line(Level::Error, &text);
        }
        Ok(None) => {}
        Err(error) => {
            let text = format_args!(
                "spool: segment {number:016x}: {what}, and {length} bytes of it cannot be copied \
                 to quarantine, so it stays: {error}"
            );
            journal::line(Level::Error, &text);
        }
    }
}
