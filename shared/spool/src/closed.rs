//! What lay in the directory when the program ended: without it, a segment that has lost its end,
//! or is gone, would look like one that never had more.
//!
//! ```text
//! messages 3                                   queued
//! 0000000000000001-9f17aaf58f3b1158 1234       each segment, and where its last record ends
//! crc32c 89d26c33                              of all bytes above this line
//! ```
//!
//! Contract: `segments/closed` is written last, at a clean end, and is gone, durably, before the
//! next start writes or removes a segment. So a crash leaves none, and nothing is concluded then.
//! One that is older than a segment (a program that does not know it has run since) says nothing.
//! Segments are known by their marks: they may get other numbers. Parsing is total.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::BTreeMap, fmt::Write as _, io, ops::Range};

use super::{
    disk::{self, Disk},
    index::Index,
    journal::{self, Level},
    layout::{self, Layout},
    recovered::Recovered,
    source::Readable as _,
};

/// Largest list that is read, bytes: of more segments than fit in an index.
const MOST: u64 = 16 * 1024 * 1024;

/// What lay there.
#[derive(Default)]
pub(super) struct Closed {
    messages: u64,
    /// Number, and end of the last record, by mark.
    segments: BTreeMap<u64, (u64, u64)>,
}

impl Closed {
    /// Reads the list, if it is of these segments (number and mark).
    pub(super) fn read(
        disk: &dyn Disk,
        layout: &Layout,
        there: impl Iterator<Item = (u64, u64)>,
    ) -> Option<Self> {
        let text = match text(disk, layout) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return ill(layout, &error),
        };
        let Some(closed) = Self::parse(&text) else {
            return ill(layout, &"it is damaged");
        };
        let highest = closed.segments.values().map(|(number, _)| *number).max();
        let newer = |(number, mark): (u64, u64)| {
            Some(number) > highest && !closed.segments.contains_key(&mark)
        };
        let stale = there.into_iter().any(newer);
        (!stale).then_some(closed)
    }

    fn parse(text: &str) -> Option<Self> {
        let (above, crc) = text.split_at_checked(text.rfind("crc32c ")?)?;
        let crc = crc.strip_prefix("crc32c ")?.strip_suffix('\n')?;
        if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(above.as_bytes())) {
            return None;
        }
        let mut closed = Self::default();
        for line in above.lines() {
            let (name, count) = line.split_once(' ')?;
            let count = count.parse().ok()?;
            if name == "messages" {
                closed.messages = count;
            } else {
                let (number, mark) = layout::parse_segment(name)?;
                closed.segments.insert(mark, (number, count));
            }
        }
        Some(closed)
    }

    /// Where the last record ended of the segment with this mark.
    pub(super) fn end(&self, mark: u64) -> Option<u64> {
        self.segments.get(&mark).map(|(_, end)| *end)
    }

    /// Segments that are gone, as ranges that are lost; `there`: the marks of those that are not.
    pub(super) fn gone(&self, there: impl Iterator<Item = u64>) -> Vec<(u64, Range<u64>)> {
        let mut segments = self.segments.clone();
        for mark in there {
            segments.remove(&mark);
        }
        let gone = segments.into_values().filter(|(_, end)| *end > 0);
        gone.map(|(number, end)| (number, 0..end)).collect()
    }

    /// How many of the messages that were queued are not.
    pub(super) fn missing(&self, queued: u64) -> u64 {
        self.messages.saturating_sub(queued)
    }
}

fn ill(layout: &Layout, why: &dyn std::fmt::Display) -> Option<Closed> {
    let path = layout.closed.display();
    let text =
        format_args!("spool: {path}: {why}; whether a segment has lost its end is not known");
    journal::line(Level::Warning, &text);
    None
}

fn text(disk: &dyn Disk, layout: &Layout) -> io::Result<String> {
    let file = disk.open(&layout.closed)?;
    let length = file.length()?.min(MOST);
    let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut text, 0)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// Writes the list, if there is a segment: the last thing that is done in the directory.
pub(super) fn write(disk: &dyn Disk, layout: &Layout, index: &Index) {
    // One may be removed, which is not yet known to last.
    let known = index
        .segments
        .iter()
        .filter(|(_, it)| !it.stays && !it.displaced && it.path.exists());
    let mut text = format!("messages {}\n", index.len());
    let mut any = false;
    for (number, segment) in known {
        any = true;
        let (mark, end) = (segment.mark, segment.end);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {end}", layout::segment_name(*number, mark));
    }
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "crc32c {crc:08x}");
    if any && let Err(error) = disk.save(&layout.closed, text.as_bytes()) {
        // The next start then believes what it finds, as after a crash.
        let path = layout.closed.display();
        let text = format_args!("spool: cannot write {path}: {error}");
        journal::line(Level::Warning, &text);
    }
}

/// Removes the list: from now on segments change.
pub(super) fn withdraw(disk: &dyn Disk, layout: &Layout) {
    let removed = match disk.remove(&layout.closed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        removed => removed.and_then(|()| disk.sync_directory(&layout.segments)),
    };
    if let Err(error) = removed {
        let path = layout.closed.display();
        let text = format_args!("spool: cannot remove {path}: {error}");
        journal::line(Level::Warning, &text);
    }
}

/// Tells that a part of a segment is gone, and notes it in `quarantine/`, where it stays.
pub(super) fn tell(
    disk: &dyn Disk,
    layout: &Layout,
    number: u64,
    lost: &Range<u64>,
    recovered: &mut Recovered,
) {
    let text = format!(
        "segment {number:016x} had {} bytes when the program ended, and has {}: what was queued \
         in the rest is lost",
        lost.end, lost.start
    );
    journal::line(Level::Error, &format_args!("spool: {text}"));
    let note = format!("{text}\n").into_bytes();
    // A start that was interrupted has noted it already.
    let noted = |path: &_| matches!(disk::holds(path, &note), Ok(Some(true)));
    for path in layout.quarantined_end(number, lost.start) {
        if noted(&path) {
            break;
        }
        if path.symlink_metadata().is_err() {
            if let Err(error) = disk.save(&path, &note) {
                let path = path.display();
                let text = format_args!("spool: cannot note that in {path}: {error}");
                journal::line(Level::Error, &text);
            }
            break;
        }
    }
    let recovery = &mut recovered.recovery;
    recovery.lost = recovery.lost.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_any_other_text_is_none() {
        let above = "messages 3\n0000000000000001-00000000000000ff 1234\n";
        let whole = format!("{above}crc32c {:08x}\n", crc32c::crc32c(above.as_bytes()));
        let closed = Closed::parse(&whole).unwrap();
        assert_eq!((closed.missing(1), closed.missing(9)), (2, 0));
        assert_eq!((closed.end(0xff), closed.end(1)), (Some(1234), None));
        assert_eq!(closed.gone(std::iter::empty()), [(1, 0..1234)]);
        assert!(closed.gone(std::iter::once(0xff)).is_empty());
        for cut in 0..whole.len() {
            assert!(Closed::parse(&whole[..cut]).is_none(), "{cut}");
        }
        for other in [
            whole.replace("1234", "1235"),
            "\n".repeat(40),
            "crc32c 00000000\n".replace("0000\n", "000é\n"),
        ] {
            assert!(Closed::parse(&other).is_none(), "{other}");
        }
    }
}
