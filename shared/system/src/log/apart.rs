//! Lines on their way out, written by a thread of their own: whoever reads them may stop, or their
//! disk may hang, and mail goes on.
//!
//! Contract: lines keep their order. [`LINES`] of them wait at most; what comes beyond is counted,
//! and told in a line of its own once there is room. Whoever ends waits [`PATIENCE`] at most for
//! what is still under way ([`Apart::finish`]).

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// Lines that wait for their reader at most: a second of a busy relay, a megabyte.
const LINES: usize = 4096;
/// Longest wait at the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Apart<T> {
    lines: SyncSender<T>,
    waiting: Arc<Waiting>,
    /// Lines that were thrown away since the last that had room.
    missed: AtomicU64,
}

/// Lines that are not written yet, and who waits for their end.
#[derive(Debug, Default)]
struct Waiting {
    lines: Mutex<usize>,
    none: Condvar,
}

impl Waiting {
    fn begins(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        *lines = lines.saturating_add(1);
    }

    fn ends(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        *lines = lines.saturating_sub(1);
        if *lines == 0 {
            self.none.notify_all();
        }
    }
}

impl<T: Send + 'static> Apart<T> {
    /// Starts the thread, which writes each line with `write`.
    pub(super) fn start(mut write: impl FnMut(T) + Send + 'static) -> io::Result<Self> {
        let (lines, given) = sync_channel(LINES);
        let waiting = Arc::<Waiting>::default();
        let left = Arc::clone(&waiting);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                for line in given {
                    write(line);
                    left.ends();
                }
            })?;
        Ok(Self {
            lines,
            waiting,
            missed: AtomicU64::new(0),
        })
    }

    /// Hands a line over, and before it, where some were thrown away, the one that `tell` makes of
    /// their number.
    pub(super) fn hand(&self, line: T, tell: impl FnOnce(u64) -> T) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 && !self.has_room_for(tell(missed)) {
            self.missed.fetch_add(missed, Ordering::Relaxed);
        }
        if !self.has_room_for(line) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn has_room_for(&self, line: T) -> bool {
        self.waiting.begins();
        let taken = self.lines.try_send(line).is_ok();
        if !taken {
            self.waiting.ends();
        }
        taken
    }

    /// Waits until all is written, though not for a reader who has stopped.
    pub(super) fn finish(&self) {
        let lines = self.waiting.lines.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        // Either all is written, or the time is over: nothing differs then.
        let _ = (self.waiting.none).wait_timeout_while(lines, PATIENCE, |lines| *lines > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_reader_who_stops_holds_up_nobody_and_hears_later_how_much_is_missing() {
        let (go_on, gate) = channel::<()>();
        let (written, read) = channel();
        let apart = Apart::start(move |line: String| {
            let _ = gate.recv();
            let _ = written.send(line);
        })
        .unwrap();
        let tell = |missed| format!("{missed} are missing");
        // One is with the thread, or soon will be; the others wait.
        let given = LINES + 10;
        for number in 0..given {
            apart.hand(number.to_string(), tell);
        }
        apart.finish();
        let missed = apart.missed.load(Ordering::Relaxed);
        assert!((9..=10).contains(&missed), "{missed}");

        drop(go_on);
        apart.finish();
        apart.hand("the end".to_owned(), tell);
        apart.finish();
        let read: Vec<_> = read.try_iter().collect();
        let (told, kept) = (read.len() - 2, given - usize::try_from(missed).unwrap());
        assert_eq!(told, kept);
        // Which ones are missing depends on when the thread took the first.
        let numbers = read
            .iter()
            .take(told)
            .map(|it| it.parse::<usize>().unwrap());
        assert!(numbers.is_sorted_by(|one, next| one < next));
        assert_eq!(read[told..], [tell(missed), "the end".to_owned()]);
    }
}
