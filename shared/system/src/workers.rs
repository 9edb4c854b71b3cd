//! Threads for what a disk may never answer: nobody else waits for them.
//!
//! Contract: a thread that has its answer takes the next question, too, and ends when none comes
//! for a while. How many are asked at once is bounded by whoever asks.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long a thread stays for the next question.
const IDLE: Duration = Duration::from_secs(10);

/// Questions, and threads that have none.
struct Workers {
    asked: VecDeque<Work>,
    idle: usize,
}

/// Its work, from which comes the telling of its answer.
pub(crate) type Work = Box<dyn FnOnce() -> Answer + Send>;
pub(crate) type Answer = Box<dyn FnOnce() + Send>;

static WORKERS: Mutex<Workers> = Mutex::new(Workers {
    asked: VecDeque::new(),
    idle: 0,
});
static ASKED: Condvar = Condvar::new();

fn workers() -> MutexGuard<'static, Workers> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a question to a thread that has none, or to a new one; whether there is one.
pub(crate) fn begin(work: Work) -> bool {
    let mut all = workers();
    if let Some(rest) = all.idle.checked_sub(1) {
        // It is this one's, though it may still be about to wake.
        all.idle = rest;
        all.asked.push_back(work);
        ASKED.notify_one();
        return true;
    }
    drop(all);
    let thread = thread::Builder::new().name("file".to_owned());
    thread.spawn(move || answer_one_by_one(work)).is_ok()
}

fn answer_one_by_one(mut work: Work) {
    loop {
        let tell = work();
        let mut all = workers();
        all.idle = all.idle.saturating_add(1);
        // Idle before it tells: whoever hears it may ask the next at once.
        drop(all);
        tell();
        let waited = ASKED.wait_timeout_while(workers(), IDLE, |all| all.asked.is_empty());
        let (mut all, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(next) = all.asked.pop_front() else {
            all.idle = all.idle.saturating_sub(1);
            return;
        };
        work = next;
    }
}

/// Does work that tells of its end by itself. The work comes back where there is no thread for it.
pub fn run<F: FnOnce() + Send + 'static>(work: F) -> Result<(), F> {
    let kept = Arc::new(Mutex::new(Some(work)));
    let take = |kept: &Mutex<Option<F>>| kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mine = Arc::clone(&kept);
    let begun = begin(Box::new(move || {
        if let Some(work) = take(&mine) {
            work();
        }
        Box::new(|| ())
    }));
    let back = (!begun).then(|| take(&kept)).flatten();
    back.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, path::Path};

    use super::*;
    use crate::within::ask;

    #[test]
    fn a_thread_that_has_its_answer_takes_the_next_question() {
        let asked = (0..100).map(|_| ask(Path::new("/any"), |_| Ok(thread::current().id())));
        let threads: HashSet<_> = asked.map(Result::unwrap).collect();
        // Other tests ask, too.
        assert!(threads.len() < 50, "{}", threads.len());
    }
}
