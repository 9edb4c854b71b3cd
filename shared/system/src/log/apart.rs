//! Lines on their way out, written by a thread of their own: whoever reads them may stop, or their
//! disk may hang, and mail goes on.
//!
//! Contract: lines keep their order. [`LINES`] of them wait at most; what comes beyond is counted,
//! and told once there is room. Whoever ends waits for what is still under way as long as some of
//! it is read, but not longer than [`LONGEST`] ([`Apart::finish`]); what is left out then is told.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Lines that wait for their reader at most: a second of a busy relay, a megabyte.
const LINES: usize = 4096;
/// Longest wait at the end for a reader who reads nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same for one who reads slowly: a unit gives its program half a minute to end in all.
const LONGEST: Duration = Duration::from_secs(10);

/// What the thread is to write.
#[derive(Debug)]
pub(super) enum Sent<T> {
    Line(T),
    /// So many lines are missing here.
    Missing(u64),
}

impl<T> Sent<T> {
    const fn lines(&self) -> u64 {
        match self {
            Self::Line(_) => 1,
            Self::Missing(count) => *count,
        }
    }
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Apart<T> {
    lines: SyncSender<Sent<T>>,
    waiting: Arc<Waiting>,
    /// Lines that were thrown away since the last that had room.
    missed: AtomicU64,
}

/// What is not written yet, and who waits for its end.
#[derive(Debug, Default)]
struct Waiting {
    under_way: Mutex<UnderWay>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct UnderWay {
    /// What was sent and is not done, and the lines that it stands for.
    sent: usize,
    lines: u64,
    /// How often something was done.
    done: u64,
    /// The program ends, and no line is written any more: they are told of together.
    is_last: bool,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        let under_way = self.under_way.lock();
        under_way.unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done about what comes next.
    fn next<T>(&self, sent: Sent<T>) -> Option<Sent<T>> {
        let under_way = self.lock();
        if !under_way.is_last {
            return Some(sent);
        }
        (under_way.sent == 1).then_some(Sent::Missing(under_way.lines))
    }

    /// It is done, and so many lines are written or told of.
    fn ends(&self, lines: u64) {
        let mut under_way = self.lock();
        under_way.sent = under_way.sent.saturating_sub(1);
        under_way.lines = under_way.lines.saturating_sub(lines);
        under_way.done = under_way.done.saturating_add(1);
        self.moved.notify_all();
    }

    /// Waits so long for all of it; whether it is over.
    fn is_over_within(&self, patience: Duration) -> bool {
        let goes_on = |it: &mut UnderWay| it.sent > 0;
        let waited = self
            .moved
            .wait_timeout_while(self.lock(), patience, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).0.sent == 0
    }

    /// The same for as long as some of it is done; whether some was to the last.
    fn moves_to_the_end(&self) -> bool {
        let end = Instant::now() + LONGEST;
        loop {
            let done = self.lock().done;
            let left = end.saturating_duration_since(Instant::now());
            if self.is_over_within(left.min(PATIENCE)) || left.is_zero() {
                return true;
            }
            if self.lock().done == done && left >= PATIENCE {
                return false;
            }
        }
    }
}

impl<T: Send + 'static> Apart<T> {
    /// Starts the thread, which does with `write` what it is sent; so many lines are missing
    /// already.
    pub(super) fn start(
        missed: u64,
        mut write: impl FnMut(Sent<T>) + Send + 'static,
    ) -> io::Result<Self> {
        let (lines, given) = sync_channel(LINES);
        let waiting = Arc::<Waiting>::default();
        let left = Arc::clone(&waiting);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                for sent in given {
                    let sent = left.next(sent);
                    let lines = sent.as_ref().map_or(0, Sent::lines);
                    sent.map(&mut write);
                    left.ends(lines);
                }
            })?;
        Ok(Self {
            lines,
            waiting,
            missed: AtomicU64::new(missed),
        })
    }

    /// Hands a line over, and before it the number of those that were thrown away.
    pub(super) fn hand(&self, line: T) {
        self.hand_missed();
        if !self.has_room_for(Sent::Line(line)) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn hand_missed(&self) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 && !self.has_room_for(Sent::Missing(missed)) {
            self.missed.fetch_add(missed, Ordering::Relaxed);
        }
    }

    fn has_room_for(&self, sent: Sent<T>) -> bool {
        // Locked until it is counted, so that it is not done before.
        let mut under_way = self.waiting.lock();
        let lines = sent.lines();
        let taken = self.lines.try_send(sent).is_ok();
        if taken {
            under_way.sent = under_way.sent.saturating_add(1);
            under_way.lines = under_way.lines.saturating_add(lines);
        }
        taken
    }

    /// Waits until all is written, though not for a reader who has stopped; how many lines are not,
    /// and could not be told of.
    pub(super) fn finish(&self) -> u64 {
        self.hand_missed();
        let moves = self.waiting.moves_to_the_end();
        {
            let mut under_way = self.waiting.lock();
            if under_way.sent > 0 {
                let missed = self.missed.swap(0, Ordering::Relaxed);
                under_way.lines = under_way.lines.saturating_add(missed);
                under_way.is_last = true;
            }
        }
        self.hand_missed();
        if moves {
            self.waiting.is_over_within(PATIENCE);
        }
        let left = self.waiting.lock().lines;
        left.saturating_add(self.missed.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader who reads one line for each word to go on, and all once there are no more words.
    fn read_by(missed: u64) -> (Apart<String>, Sender<()>, Receiver<String>) {
        let (go_on, gate) = channel::<()>();
        let (written, read) = channel();
        let write = move |sent| {
            let _ = gate.recv();
            let _ = written.send(match sent {
                Sent::Line(line) => line,
                Sent::Missing(count) => format!("{count} are missing"),
            });
        };
        (Apart::start(missed, write).unwrap(), go_on, read)
    }

    #[test]
    fn a_reader_who_stops_holds_up_nobody_and_hears_later_how_much_is_missing() {
        let (apart, go_on, read) = read_by(0);
        // One is with the thread, or soon will be; the others wait.
        let given = LINES + 10;
        for number in 0..given {
            apart.hand(number.to_string());
        }
        let missed = apart.missed.load(Ordering::Relaxed);
        assert!((9..=10).contains(&missed), "{missed}");

        drop(go_on);
        assert!(apart.waiting.is_over_within(Duration::from_mins(1)));
        apart.hand("the end".to_owned());
        assert_eq!(apart.finish(), 0);
        let read: Vec<_> = read.try_iter().collect();
        let (told, kept) = (read.len() - 2, given - usize::try_from(missed).unwrap());
        assert_eq!(told, kept);
        // Which ones are missing depends on when the thread took the first.
        let numbers = read
            .iter()
            .take(told)
            .map(|it| it.parse::<usize>().unwrap());
        assert!(numbers.is_sorted_by(|one, next| one < next));
        let end = [format!("{missed} are missing"), "the end".to_owned()];
        assert_eq!(read[told..], end);
    }

    #[test]
    fn what_a_reader_who_has_stopped_did_not_get_is_counted_at_the_end() {
        let (apart, go_on, read) = read_by(3);
        let given = LINES + 10;
        for number in 0..given {
            apart.hand(number.to_string());
        }
        let left = u64::try_from(given).unwrap() + 3;
        assert_eq!(apart.finish(), left);
        // If it reads on after all, the rest is told of in one line.
        drop(go_on);
        assert!(apart.waiting.is_over_within(Duration::from_mins(1)));
        let read: Vec<_> = read.try_iter().collect();
        let [first, rest] = read.as_slice() else {
            panic!("{} lines", read.len());
        };
        assert_eq!(first, "3 are missing");
        assert_eq!(*rest, format!("{given} are missing"));
        assert_eq!(apart.finish(), 0);
    }

    #[test]
    fn whoever_ends_waits_for_a_reader_who_is_slow() {
        let (apart, go_on, read) = read_by(0);
        for number in 0..100 {
            apart.hand(number.to_string());
        }
        // Nothing is read between two looks, and all in the end.
        let reader = thread::spawn(move || while go_on.send(()).is_ok() && read.recv().is_ok() {});
        assert_eq!(apart.finish(), 0);
        drop(apart);
        reader.join().unwrap();
    }
}
