//! Work on files that may not answer: on a disk that is away, behind a network that is gone.
//!
//! Contract: nobody waits for longer than [`PATIENCE`]. Whoever asks for a file for which somebody
//! waited in vain hears so at once, and since when. Now and then it is asked again, by a bounded
//! number of threads, for it may lie elsewhere by now; the first answer to any of them ends that.
//! Failures: those of the work, or `TimedOut`.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use mail::clock::{self, Timestamp};

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The same while another file, or this one, does not answer.
const IMPATIENCE: Duration = Duration::from_secs(2);
/// Pauses between questions for a file that does not answer: each is twice the one before.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(10);
/// Threads that wait for one file at most, and for all.
const THREADS: usize = 16;
const ALL: usize = 128;

/// Files that do not answer.
static SILENT: Mutex<BTreeMap<PathBuf, Silent>> = Mutex::new(BTreeMap::new());

/// One of them.
#[derive(Debug)]
struct Silent {
    since: Timestamp,
    threads: usize,
    /// When it may be asked again.
    again: Instant,
    pause: Duration,
}

/// Works on a file, on a thread of its own, and waits for that for a while.
pub fn ask<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let patience = patience(&mut silent(), path, Instant::now())?;
    wait(path, patience, work)
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
    let is_quiet = silent.is_empty();
    match silent.get_mut(path) {
        None if is_quiet => Ok(PATIENCE),
        None => Ok(IMPATIENCE),
        Some(known) if now < known.again || known.threads >= THREADS || threads >= ALL => {
            Err(no_answer(known.since))
        }
        Some(known) => {
            known.again = now + known.pause;
            known.pause = known.pause.saturating_mul(2).min(LONGEST);
            Ok(IMPATIENCE)
        }
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
    let thread = thread::Builder::new().name("file".to_owned());
    let spawned = thread.spawn(move || {
        let Some(work) = take(&mine) else { return };
        let found = work(&file);
        let mut silent = silent();
        if done.send(found).is_err() {
            silent.remove(&file);
        }
    });
    if spawned.is_err()
        && let Some(work) = take(&work)
    {
        return work(path);
    }
    match answer.recv_timeout(patience) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => give_up(path, answer),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("reading it broke off")),
    }
}

/// Nobody waits any more, unless the answer has just come.
fn give_up<T>(path: &Path, answer: Receiver<io::Result<T>>) -> io::Result<T> {
    let mut silent = silent();
    if let Ok(found) = answer.try_recv() {
        return found;
    }
    let known = silent.entry(path.to_owned()).or_insert_with(|| Silent {
        since: clock::now(),
        threads: 0,
        again: Instant::now() + PAUSE,
        pause: PAUSE * 2,
    });
    known.threads = known.threads.saturating_add(1);
    let since = known.since;
    // Locked, so that the thread hears of it before it looks.
    drop(answer);
    drop(silent);
    Err(no_answer(since))
}

fn no_answer(since: Timestamp) -> io::Error {
    let text = format!(
        "it does not answer since {} (is its disk or network there?)",
        since.rfc3339()
    );
    io::Error::new(io::ErrorKind::TimedOut, text)
}

#[cfg(test)]
mod tests {
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

        answer.send(()).unwrap();
        while !silent().is_empty() {
            thread::yield_now();
        }
        assert_eq!(ask(path, |_| Ok("there")).unwrap(), "there");
    }
}
