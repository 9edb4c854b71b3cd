//! The bytes of the disk, and what of them a power cut leaves.
//!
//! Contract: a read sees all that was written; what was written before a flush began is there after
//! any cut. Of the rest each sector of 512 bytes is as it was before one of the writes or as this
//! write left it: some keep their order up to the cut and tear the last one, some are lost from the
//! middle, as by a disk that sorts what its cache holds. Which is drawn from a seed. At most
//! [`CACHE`] bytes wait for a flush, the oldest go first. Pure.

use std::collections::VecDeque;

/// Bytes that are written as one or not at all.
pub(crate) const SECTOR: usize = 512;

/// Bytes that wait for a flush at most.
const CACHE: usize = 64 * 1024 * 1024;

/// A disk.
pub(crate) struct Platter {
    /// What is there after a cut.
    stable: Vec<u8>,
    /// What is read: the same with all that waits.
    seen: Vec<u8>,
    waiting: VecDeque<Written>,
    held: usize,
    next: u64,
}

struct Written {
    number: u64,
    offset: usize,
    bytes: Vec<u8>,
}

/// Everything that was written until then, for [`Platter::flush`].
#[derive(Clone, Copy)]
pub(crate) struct Mark(u64);

/// What a cut did to the sectors that waited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cut {
    pub(crate) kept: u64,
    pub(crate) lost: u64,
}

impl Platter {
    /// One full of zeros.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            stable: vec![0; size],
            seen: vec![0; size],
            waiting: VecDeque::new(),
            held: 0,
            next: 0,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.seen.len() as u64
    }

    /// What lies there; less than asked for at the end.
    pub(crate) fn read(&self, offset: u64, length: usize) -> &[u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let start = start.min(self.seen.len());
        let end = start.saturating_add(length).min(self.seen.len());
        self.seen.get(start..end).unwrap_or_default()
    }

    /// Writes; `None` where no room is.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Option<()> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(bytes.len())?;
        self.seen.get_mut(offset..end)?.copy_from_slice(bytes);
        self.held += bytes.len();
        self.waiting.push_back(Written {
            number: self.next,
            offset,
            bytes: bytes.to_vec(),
        });
        self.next += 1;
        while self.held > CACHE {
            self.settle_oldest();
        }
        Some(())
    }

    /// What a flush that begins now makes stable when it ends.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.next)
    }

    /// A flush ends.
    pub(crate) fn flush(&mut self, mark: Mark) {
        while self.waiting.front().is_some_and(|it| it.number < mark.0) {
            self.settle_oldest();
        }
    }

    fn settle_oldest(&mut self) {
        if let Some(written) = self.waiting.pop_front() {
            self.held -= written.bytes.len();
            put(&mut self.stable, written.offset, &written.bytes);
        }
    }

    /// The power fails, and comes back.
    pub(crate) fn cut(&mut self, seed: u64) -> Cut {
        let mut draw = Draw(seed);
        let mut cut = Cut::default();
        // In a half of all cuts up to some write as they came, otherwise in any order.
        let whole = if draw.below(2) == 0 {
            draw.below(self.waiting.len() as u64 + 1)
        } else {
            0
        };
        let in_order = whole > 0;
        let quarters = draw.below(5);
        let mut touched = Vec::new();
        for (nth, written) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let nth = nth as u64;
            for (piece, bytes) in pieces(written.offset, &written.bytes) {
                let kept = match in_order {
                    true if nth + 1 < whole => true,
                    true if nth + 1 > whole => false,
                    _ => draw.below(4) < quarters,
                };
                if kept {
                    cut.kept += 1;
                    put(&mut self.stable, piece, bytes);
                } else {
                    cut.lost += 1;
                }
                touched.push(piece..piece + bytes.len());
            }
        }
        for place in touched {
            if let (Some(seen), Some(stable)) =
                (self.seen.get_mut(place.clone()), self.stable.get(place))
            {
                seen.copy_from_slice(stable);
            }
        }
        self.held = 0;
        cut
    }
}

fn put(into: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = into.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// The parts of a write that lie in one sector each, with their places.
fn pieces(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR - offset % SECTOR).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let mut at = offset;
    std::iter::once(head)
        .chain(rest.chunks(SECTOR))
        .map(move |piece| {
            let place = at;
            at += piece.len();
            (place, piece)
        })
}

/// `SplitMix64`: good enough to draw what is lost, and the same everywhere.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

#[cfg(test)]
mod tests;
