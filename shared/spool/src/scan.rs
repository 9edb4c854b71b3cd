//! Reads a segment from its beginning, record by record, past whatever is damaged.
//!
//! Contract: total; one pass in large sequential reads. Every byte before the last one that is not
//! zero belongs either to a record that checks or to a damaged range. A block that the disk cannot
//! read counts as zeros.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{io, ops::Range};

use super::{
    record::{HEADER, Header, MAX_PAYLOAD},
    source::Readable,
};

/// Bytes of one read.
const WINDOW: usize = 1024 * 1024;
/// Bytes that are given up when they cannot be read.
const BLOCK: usize = 4096;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What a scan found beside the records.
#[derive(Default)]
pub(super) struct Scanned {
    /// Ranges that hold something, but no record that checks.
    pub(super) damaged: Vec<Range<u64>>,
    /// End of the last good record.
    pub(super) end: u64,
    /// Where the commit began that wrote the last good record.
    pub(super) last_commit: u64,
    /// Blocks that could not be read.
    pub(super) unreadable: u64,
    /// Whole records of a later version or an unknown kind; they count as damaged, too.
    pub(super) later: u64,
}

/// A record whose header checks.
pub(super) struct Seen<'a> {
    pub(super) offset: u64,
    pub(super) header: &'a Header,
    /// As far as the file goes.
    pub(super) payload: &'a [u8],
    /// It has the checksum it was written with; else it is damaged, whatever `visit` says.
    pub(super) is_whole: bool,
}

/// Hands every record to `visit`, which says whether it could make sense of it.
pub(super) fn scan(
    file: &dyn Readable,
    mark: u64,
    mut visit: impl FnMut(&Seen<'_>) -> bool,
) -> io::Result<Scanned> {
    let mut window = Window {
        file,
        size: file.length()?,
        buffer: Vec::new(),
        start: 0,
        unreadable: 0,
    };
    let mut scanned = Scanned::default();
    let mut at = 0;
    while at < window.size {
        let Some(header) = window
            .view(at, HEADER)
            .and_then(|bytes| Header::decode(bytes, mark))
        else {
            let (next, last) = search(&mut window, at, mark);
            let end = next.or(last).unwrap_or(at);
            if end > at {
                scanned.damaged.push(at..end);
            }
            let Some(next) = next else { break };
            at = next;
            continue;
        };
        let end = at.saturating_add(header.record_length());
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let payload = window
            .view_up_to(at.saturating_add(HEADER as u64), length.min(MAX_PAYLOAD))
            .unwrap_or_default();
        let is_whole = payload.len() == length && crc32c::crc32c(payload) == header.crc;
        if header.kind.is_none() && is_whole {
            scanned.later = scanned.later.saturating_add(1);
        }
        let seen = Seen {
            offset: at,
            header: &header,
            payload,
            is_whole,
        };
        let is_known = header.kind.is_some() && visit(&seen);
        if is_known && is_whole {
            scanned.end = end;
            scanned.last_commit = header.commit.into();
        } else {
            scanned.damaged.push(at..end.min(window.size));
        }
        at = end;
    }
    scanned.unreadable = window.unreadable;
    Ok(scanned)
}

/// Looks for the next record after `from`: its offset, and the end of what is not zero before it or
/// before the end of the file.
fn search(window: &mut Window<'_>, from: u64, mark: u64) -> (Option<u64>, Option<u64>) {
    let mark_bytes = mark.to_le_bytes();
    let (mut at, mut last) = (from, None);
    while at < window.size {
        let Some(chunk) = window.view_up_to(at, WINDOW) else {
            break;
        };
        let length = chunk.len();
        if let Some(nonzero) = last_nonzero(chunk) {
            last = Some(at.saturating_add(nonzero as u64).saturating_add(1));
            let places = chunk
                .windows(8)
                .enumerate()
                .filter(|(_, bytes)| *bytes == mark_bytes);
            let candidates: Vec<u64> = places
                .map(|(place, _)| at.saturating_add(place as u64))
                .collect();
            for candidate in candidates.into_iter().filter(|candidate| *candidate > from) {
                if window
                    .view(candidate, HEADER)
                    .is_some_and(|bytes| Header::decode(bytes, mark).is_some())
                {
                    return (Some(candidate), last);
                }
            }
        }
        // A mark may lie across the border of two chunks.
        let step = if length < WINDOW {
            length
        } else {
            length.saturating_sub(7)
        };
        at = at.saturating_add(step as u64);
    }
    (None, last)
}

/// Place of the last byte that is not zero; empty space is skipped in blocks.
fn last_nonzero(chunk: &[u8]) -> Option<usize> {
    let block = chunk
        .chunks(BLOCK)
        .rposition(|block| ZEROS.get(..block.len()) != Some(block))?;
    let start = block.saturating_mul(BLOCK);
    let place = chunk
        .get(start..)?
        .iter()
        .take(BLOCK)
        .rposition(|byte| *byte != 0)?;
    Some(start.saturating_add(place))
}

/// A piece of a file in memory.
struct Window<'a> {
    file: &'a dyn Readable,
    size: u64,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte.
    start: u64,
    unreadable: u64,
}

impl Window<'_> {
    /// Exactly these bytes; `None` behind the end of the file.
    fn view(&mut self, offset: u64, length: usize) -> Option<&[u8]> {
        let end = offset.checked_add(length as u64)?;
        if end > self.size {
            return None;
        }
        let loaded = self.start.saturating_add(self.buffer.len() as u64);
        if offset < self.start || end > loaded {
            self.load(offset, length.max(WINDOW));
        }
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer.get(from..from.checked_add(length)?)
    }

    /// These bytes as far as the file goes.
    fn view_up_to(&mut self, offset: u64, length: usize) -> Option<&[u8]> {
        let left = usize::try_from(self.size.checked_sub(offset)?).unwrap_or(usize::MAX);
        self.view(offset, length.min(left))
    }

    fn load(&mut self, offset: u64, length: usize) {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.start = offset;
        self.buffer.clear();
        self.buffer.resize(length.min(left), 0);
        self.unreadable = self.unreadable.saturating_add(read_what_can_be_read(
            self.file,
            offset,
            &mut self.buffer,
        ));
    }
}

/// Fills the buffer; blocks that cannot be read stay zero. Returns their number.
pub(super) fn read_what_can_be_read(file: &dyn Readable, offset: u64, buffer: &mut [u8]) -> u64 {
    if file.read_exact_at(buffer, offset).is_ok() {
        return 0;
    }
    let mut unreadable: u64 = 0;
    for (block, place) in buffer.chunks_mut(BLOCK).zip((offset..).step_by(BLOCK)) {
        if file.read_exact_at(block, place).is_err() {
            block.fill(0);
            unreadable = unreadable.saturating_add(1);
        }
    }
    unreadable
}
