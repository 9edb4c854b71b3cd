//! Segments that the start could not read, and when they are looked at again.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{disk::Disk, lock, source::Readable as _};

/// Pause before the first look, and the longest: each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(10));
/// Bytes that are read at a time.
const PIECE: usize = 1024 * 1024;

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unread {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) why: String,
    /// It can be opened, but some blocks of it cannot be read.
    pub(super) in_part: bool,
}

impl Unread {
    fn is_mended(&self, disk: &dyn Disk) -> io::Result<()> {
        let file = disk.open(&self.path)?;
        let mut left = file.length()?;
        let (mut piece, mut at) = (vec![0; PIECE], 0);
        while self.in_part && left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            file.read_exact_at(piece.get_mut(..length).unwrap_or_default(), at)?;
            at = at.saturating_add(length as u64);
            left = left.saturating_sub(length as u64);
        }
        Ok(())
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Waiting {
    segments: Vec<Unread>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When to look next, and the pause that ends then.
    next: Option<(Instant, Duration)>,
    looks: bool,
    mended: bool,
}

impl Waiting {
    pub(super) fn new(segments: Vec<Unread>) -> Arc<Self> {
        Arc::new(Self {
            segments,
            state: Mutex::default(),
        })
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let (first, longest) = PAUSES;
        let mut state = lock(&self.state);
        if state.looks || state.mended {
            return false;
        }
        let (due, pause) = *state.next.get_or_insert((now + first, first));
        if now < due {
            return false;
        }
        let pause = pause.saturating_mul(2).min(longest);
        // From the end of the look on, if that takes long.
        state.next = Some((now + pause, pause));
        state.looks = true;
        true
    }

    pub(super) fn look(&self, disk: &dyn Disk) {
        let mended = self.segments.iter().any(|it| it.is_mended(disk).is_ok());
        let mut state = lock(&self.state);
        state.looks = false;
        state.mended = mended;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn is_mended(&self) -> bool {
        lock(&self.state).mended
    }

    /// The look that was due was not made.
    pub(super) fn not_looked(&self) {
        lock(&self.state).looks = false;
    }

    /// A look is due now.
    pub(super) fn hurry(&self, now: Instant) {
        lock(&self.state).next = Some((now, Duration::ZERO));
    }

    /// The first segment behind this one that cannot be opened.
    pub(super) fn doubt(&self, segment: u64) -> Option<&Unread> {
        let mut unopened = self.segments.iter().filter(|it| !it.in_part);
        unopened.find(|it| segment < it.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_between_looks_grow_and_an_order_ends_one() {
        let (waiting, mut now) = (Waiting::new(Vec::new()), Instant::now());
        let (first, longest) = PAUSES;
        assert!(!waiting.is_due(now));
        let (mut pause, mut looks) = (first, 0);
        while pause < longest {
            assert!(!waiting.is_due(now + pause / 2));
            now += pause;
            assert!(waiting.is_due(now), "{pause:?}");
            assert!(!waiting.is_due(now + longest), "one look at a time");
            lock(&waiting.state).looks = false;
            pause = pause.saturating_mul(2);
            looks += 1;
        }
        assert!(looks > 5);
        for _ in 0..2 {
            now += longest;
            assert!(waiting.is_due(now));
            lock(&waiting.state).looks = false;
        }
        waiting.hurry(now);
        assert!(waiting.is_due(now));
    }
}
