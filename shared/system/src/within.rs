//! Work on files that may not answer: on a disk that is away, behind a network that is gone.
//!
//! Contract: nobody waits for longer than [`PATIENCE`], and less the more files are silent. Whoever
//! asks for a file for which somebody waited in vain hears so at once, and since when. Now and then
//! it is asked again, by a bounded number of threads, for it may lie elsewhere by now; the first
//! answer to any of them ends that. In a program that is to end whatever is silent, a [`scout`]
//! looks first.
//! Failures: those of the work, or `TimedOut`.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use mail::clock::{self, Timestamp};

use crate::{
    scout::{self, Errand},
    workers,
};

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The same while a file does not answer; with each further one half of that, but not less than
/// the other.
const IMPATIENCE: Duration = Duration::from_secs(2);
const LEAST: Duration = Duration::from_millis(500);
/// Pauses between questions for a file that does not answer: each is twice the one before.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(10);
/// Threads that wait for one file at most, and for all.
const THREADS: usize = 16;
const ALL: usize = 128;

/// Files for which somebody waits, or waited in vain.
static SILENT: Mutex<BTreeMap<PathBuf, Silent>> = Mutex::new(BTreeMap::new());

/// One of them.
#[derive(Debug)]
struct Silent {
    since: Timestamp,
    /// Threads that still wait for it.
    threads: usize,
    /// When it may be asked again; `None`: it has answered somebody since.
    again: Option<Instant>,
    /// The next pause, and when the last one began.
    pause: Duration,
    began: Instant,
}

/// Works on a file, on another thread, and waits for that for a while.
pub fn ask<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    sent(Errand::Look, path, work)
}

/// The same where no answer and nothing found are one.
pub fn found<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Option<T> + Send + 'static,
) -> Option<T> {
    ask(path, |path| Ok(work(path))).ok().flatten()
}

/// The same as [`ask`] for work that writes to the disk of a directory.
pub fn ask_disk<T: Send + 'static>(
    directory: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    sent(Errand::Flush, directory, work)
}

fn sent<T: Send + 'static>(
    errand: Errand,
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let patience = seen(errand, path)?;
    wait(path, patience, work)
}

/// For work that waits for a path alone, and by itself: whether that answers a scout, if one is
/// wanted.
pub(crate) fn answers_scout(path: &Path) -> io::Result<()> {
    if scout::is_wanted() {
        seen(Errand::Look, path)?;
    }
    Ok(())
}

/// How long an answer is waited for, once a scout is back.
fn seen(errand: Errand, path: &Path) -> io::Result<Duration> {
    let patience = patience(&mut silent(), path, Instant::now())?;
    if !scout::answers(errand, path, patience) {
        return Err(no_answer(note(&mut silent(), path, Instant::now())));
    }
    Ok(patience)
}

fn silent() -> MutexGuard<'static, BTreeMap<PathBuf, Silent>> {
    SILENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long an answer is waited for; or that there is none.
fn patience(
    silent: &mut BTreeMap<PathBuf, Silent>,
    path: &Path,
    now: Instant,
) -> io::Result<Duration> {
    let threads: usize = silent.values().map(|it| it.threads).sum();
    let mute = silent.values().filter(|it| it.again.is_some()).count();
    let halvings = u32::try_from(mute.saturating_sub(1)).unwrap_or(u32::MAX);
    let half = IMPATIENCE.checked_div(2_u32.saturating_pow(halvings));
    let impatience = half.unwrap_or_default().max(LEAST);
    let Some(known) = silent.get_mut(path) else {
        return Ok(if mute == 0 { PATIENCE } else { impatience });
    };
    let waits = known.again.is_some_and(|again| now < again);
    if waits || known.threads >= THREADS || threads >= ALL {
        return Err(no_answer(known.since));
    }
    if known.again.is_some() {
        known.rest(now);
    }
    Ok(impatience)
}

impl Silent {
    /// Nobody else asks for a while.
    fn rest(&mut self, now: Instant) {
        (self.again, self.began) = (Some(now + self.pause), now);
        self.pause = self.pause.saturating_mul(2).min(LONGEST);
    }
}

fn wait<T: Send + 'static>(
    path: &Path,
    patience: Duration,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, answer) = mpsc::channel();
    let work = Arc::new(Mutex::new(Some(work)));
    let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (file, mine) = (path.to_owned(), Arc::clone(&work));
    let begun = workers::begin(Box::new(move || {
        let found = take(&mine).map(|work| work(&file));
        Box::new(move || {
            let mut silent = silent();
            if found.is_some_and(|found| done.send(found).is_err()) {
                came_late(&mut silent, &file);
            }
        })
    }));
    if !begun && let Some(work) = take(&work) {
        return work(path);
    }
    match answer.recv_timeout(patience) {
        Ok(found) => {
            if let Some(known) = silent().get_mut(path) {
                known.again = None;
            }
            found
        }
        Err(RecvTimeoutError::Timeout) => give_up(path, answer),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("reading it broke off")),
    }
}

/// An answer for which nobody waits any more: the file can be asked again.
fn came_late(silent: &mut BTreeMap<PathBuf, Silent>, path: &Path) {
    if let Some(known) = silent.get_mut(path) {
        known.again = None;
        known.threads = known.threads.saturating_sub(1);
        if known.threads == 0 {
            silent.remove(path);
        }
    }
}

/// Nobody waits any more, unless the answer has just come.
fn give_up<T>(path: &Path, answer: Receiver<io::Result<T>>) -> io::Result<T> {
    let mut silent = silent();
    if let Ok(found) = answer.try_recv() {
        return found;
    }
    let since = note(&mut silent, path, Instant::now());
    // Locked, so that the thread hears of it before it looks.
    drop(answer);
    drop(silent);
    Err(no_answer(since))
}

/// Somebody has waited in vain, and a thread or a scout still does; since when the file is silent.
fn note(silent: &mut BTreeMap<PathBuf, Silent>, path: &Path, now: Instant) -> Timestamp {
    let known = silent.entry(path.to_owned()).or_insert_with(|| Silent {
        since: clock::now(),
        threads: 0,
        again: None,
        pause: PAUSE,
        began: now,
    });
    known.threads = known.threads.saturating_add(1);
    if known.again.is_none() {
        if now.saturating_duration_since(known.began) > LONGEST.saturating_mul(2) {
            (known.since, known.pause) = (clock::now(), PAUSE);
        }
        known.rest(now);
    }
    known.since
}

fn no_answer(since: Timestamp) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, NoAnswer(since))
}

/// Since when a file does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoAnswer(pub Timestamp);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.rfc3339();
        write!(
            f,
            "it {} {since} (is its disk or network there?)",
            Self::WORDS
        )
    }
}

impl std::error::Error for NoAnswer {}

impl NoAnswer {
    /// What its text says, whatever the file is called, and nothing else does.
    pub const WORDS: &str = "does not answer since";

    /// Since when, if that is why a file could not be read.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn a_file_that_does_not_answer_is_waited_for_once_and_known_again_when_it_does() {
        let path = Path::new("/on/a/disk/that/is/away");
        let (answer, answered) = mpsc::channel::<()>();
        let hung = move |_: &Path| {
            answered.recv().map_err(io::Error::other)?;
            Ok("late")
        };
        let error = wait(path, SHORT, hung).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            error.to_string().contains("does not answer since"),
            "{error}"
        );
        let again = ask(path, |_| Ok("never asked")).unwrap_err();
        assert_eq!(again.to_string(), error.to_string());
        assert_eq!(
            ask(Path::new("/another"), |_| Ok("there")).unwrap(),
            "there"
        );

        // After a pause it is asked once more, and not by any number of threads.
        let later = Instant::now() + PAUSE * 2;
        assert!(patience(&mut silent(), path, later).is_ok());
        assert!(patience(&mut silent(), path, later).is_err());
        let mut asked = 0;
        for hour in 1..100 {
            let later = later + Duration::from_hours(hour);
            if patience(&mut silent(), path, later).is_ok() {
                asked += 1;
                silent().get_mut(path).unwrap().threads += 1;
            }
        }
        assert_eq!(asked, THREADS - 1);

        silent().get_mut(path).unwrap().threads = 1;
        answer.send(()).unwrap();
        while !silent().is_empty() {
            thread::yield_now();
        }
        assert_eq!(ask(path, |_| Ok("there")).unwrap(), "there");
    }

    #[test]
    fn many_silent_files_cost_little_more_than_one_and_one_that_answers_is_asked_again_at_once() {
        let (mut silent, mut now) = (BTreeMap::new(), Instant::now());
        let path = |number: usize| PathBuf::from(format!("/silent/{number}"));
        let mut waited = Duration::ZERO;
        for number in 0..100 {
            waited += patience(&mut silent, &path(number), now).unwrap();
            note(&mut silent, &path(number), now);
        }
        assert!(waited < Duration::from_mins(2), "{waited:?}");
        let first = &path(0);
        let pause = |silent: &BTreeMap<PathBuf, Silent>, now| {
            silent[first].again.unwrap().saturating_duration_since(now)
        };
        assert_eq!(pause(&silent, now), PAUSE);
        now += PAUSE;
        assert_eq!(patience(&mut silent, first, now).unwrap(), LEAST);
        assert!(
            patience(&mut silent, first, now).is_err(),
            "by somebody else"
        );
        // Its look answers, its content does not: the pauses grow.
        silent.get_mut(first).unwrap().again = None;
        assert!(patience(&mut silent, first, now).is_ok());
        note(&mut silent, first, now);
        assert_eq!(pause(&silent, now), PAUSE * 4);
        assert_eq!(silent[first].threads, 2);
        for _ in 0..2 {
            came_late(&mut silent, first);
        }
        assert!(!silent.contains_key(first));
    }

    /// `cargo test -p system --lib what_a_look_costs -- --ignored --nocapture`
    #[test]
    #[ignore = "it measures"]
    fn what_a_look_costs() {
        const TIMES: u32 = 20_000;
        let path = Path::new("/etc/hostname");
        let measure = |what: &str, look: &dyn Fn()| {
            let begun = Instant::now();
            (0..TIMES).for_each(|_| look());
            println!("{what}: {:?}", begun.elapsed() / TIMES);
        };
        measure("by itself", &|| drop(std::fs::metadata(path)));
        measure("within bounds", &|| drop(crate::read::metadata(path)));
        measure("on a thread of its own", &|| {
            let look = move || std::fs::metadata(path);
            drop(thread::spawn(look).join());
        });
    }
}
