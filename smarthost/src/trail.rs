//! What happened to the last messages: the lines of the log that begin with a queue id. Pure.
//!
//! Contract: what is told here is what the log tells, so that page and log never differ. Bounded:
//! [`MOST`] bytes, the oldest lines go first;
//! [`Trail::since`] says from when on nothing is missing. It begins anew with the daemon.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use mail::clock::Timestamp;
use spool::QueueId;

/// Bytes that are kept, and what a line takes beside its text.
const MOST: usize = 8 * 1024 * 1024;
const LINE: usize = 64;
/// Longest line, bytes.
const LONGEST: usize = 2000;

/// The lines.
#[derive(Debug, Default)]
pub struct Trail(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    all: VecDeque<Line>,
    bytes: usize,
    since: Timestamp,
}

#[derive(Debug)]
struct Line {
    at: Timestamp,
    id: QueueId,
    text: Box<str>,
}

impl Trail {
    /// From now on nothing is missing.
    pub fn begin(&self, now: Timestamp) {
        let mut lines = self.lines();
        if lines.since == Timestamp::default() {
            lines.since = now;
        }
    }

    /// A line of the log; what is about no message is not kept.
    pub fn hear(&self, text: &str, now: Timestamp) {
        let Some((id, text)) = text.split_once(": ") else {
            return;
        };
        let Some(id) = QueueId::parse(id) else {
            return;
        };
        let (text, _) = text.split_at(text.floor_char_boundary(LONGEST));
        let line = Line {
            at: now,
            id,
            text: text.into(),
        };
        let mut lines = self.lines();
        lines.bytes += LINE + line.text.len();
        lines.all.push_back(line);
        while lines.bytes > MOST
            && let Some(old) = lines.all.pop_front()
        {
            lines.bytes -= LINE + old.text.len();
            lines.since = old.at;
        }
    }

    /// Since when nothing is missing.
    pub fn since(&self) -> Timestamp {
        self.lines().since
    }

    /// The newest messages that a line with these words is about, newest first.
    pub fn search(&self, words: &str, most: usize) -> Vec<QueueId> {
        let words = words.to_ascii_lowercase();
        let mut seen = BTreeSet::new();
        let lines = self.lines();
        let mut found = Vec::new();
        for line in lines.all.iter().rev() {
            if found.len() >= most {
                break;
            }
            if !seen.contains(&line.id) && line.text.to_ascii_lowercase().contains(&words) {
                seen.insert(line.id);
                found.push(line.id);
            }
        }
        found
    }

    /// What happened to a message, oldest first.
    pub fn of(&self, id: QueueId) -> Vec<(Timestamp, String)> {
        let lines = self.lines();
        let own = lines.all.iter().filter(|line| line.id == id);
        own.map(|line| (line.at, line.text.to_string())).collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_by_what_its_lines_say_and_its_story_is_told_in_order() {
        let trail = Trail::default();
        let now = Timestamp::from_secs(100);
        trail.begin(now);
        let [one, two] = ["0000000000001", "0000000000002"];
        for (at, line) in [
            (1, format!("{one}: client=vm1[10.0.0.7]")),
            (2, format!("{one}: message-id=<Weekly.7@vm1.example>")),
            (3, format!("{two}: client=vm2[10.0.0.8]")),
            (
                4,
                format!("{one}: to=<bob@far.example>, relay=none, status=deferred (x)"),
            ),
            (
                5,
                "NOQUEUE: reject: RCPT from vm1[10.0.0.7]: 550".to_owned(),
            ),
            (6, "connect from vm1[10.0.0.7]".to_owned()),
        ] {
            trail.hear(&line, Timestamp::from_secs(100 + at));
        }
        let id = |text| QueueId::parse(text).unwrap();
        assert_eq!(trail.search("<weekly.7@VM1.example>", 9), [id(one)]);
        assert_eq!(trail.search("client=", 9), [id(two), id(one)]);
        assert_eq!(trail.search("client=", 1), [id(two)]);
        assert!(trail.search("NOQUEUE", 9).is_empty());
        let story = trail.of(id(one));
        assert_eq!(story.len(), 3);
        assert!(story[2].1.starts_with("to=<bob@far.example>"), "{story:?}");
        assert_eq!(trail.since(), now);
    }

    #[test]
    fn a_flood_of_lines_takes_bounded_room_and_says_what_is_missing() {
        let trail = Trail::default();
        for number in 0..20_000 {
            let text = format!("0000000000001: {number} {}", "ä".repeat(2000));
            trail.hear(&text, Timestamp::from_secs(number));
        }
        let lines = trail.lines();
        let held: usize = lines.all.iter().map(|line| line.text.len() + LINE).sum();
        assert!(held == lines.bytes && held <= MOST);
        assert!(lines.since > Timestamp::from_secs(10_000));
    }
}
