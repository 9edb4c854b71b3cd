//! What hosts have taught of the number of connections that they take, kept over a restart. Pure.
//!
//! Contract: bounded: [`MOST`] groups of hosts, of which those go first that taught longest ago.
//! How long a lesson is believed the queue decides ([`queue::Lesson`]); what it believes no more is
//! forgotten here, too.
//! See also: `state`, which keeps them.

use std::collections::{HashMap, HashSet};

use mail::clock::Timestamp;
use queue::Lesson;
use serde::{Deserialize, Serialize};

use crate::oldest;

/// Groups of hosts that are known.
const MOST: usize = 10_000;

/// All of them, by transport and hosts.
#[derive(Debug, Default)]
pub struct Lessons {
    rows: HashMap<String, Lesson>,
    dirty: HashSet<String>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Record {
    transport: Option<String>,
    hosts: Vec<String>,
    connections: usize,
    learned: Timestamp,
}

impl Lessons {
    /// Hosts have said that there were too many.
    pub fn learn(&mut self, lesson: Lesson) {
        let row = row(&lesson);
        if !self.rows.contains_key(&row) {
            self.make_room();
        }
        self.rows.insert(row.clone(), lesson);
        self.dirty.insert(row);
    }

    /// For [`queue::Queue::teach`].
    pub fn all(&self) -> impl Iterator<Item = &Lesson> {
        self.rows.values()
    }

    /// Those go that were learned longest ago.
    fn make_room(&mut self) {
        if self.rows.len() < MOST {
            return;
        }
        let ages = self.rows.iter().map(|(row, it)| (it.learned, row));
        for row in oldest::tenth(MOST, ages) {
            self.rows.remove(&row);
            self.dirty.insert(row);
        }
    }

    /// Rows that changed, for the next start.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |row: &String| {
            let lesson = self.rows.get(row)?;
            let record = Record {
                transport: lesson.transport.as_deref().map(str::to_owned),
                hosts: lesson.hosts.iter().map(ToString::to_string).collect(),
                connections: lesson.connections,
                learned: lesson.learned,
            };
            serde_json::to_string(&record).ok()
        };
        let rows = dirty.into_iter();
        rows.map(|row| (row.clone(), record(&row))).collect()
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.rows.keys().cloned());
    }

    /// Takes back a row; whether it is one. One that the queue would not believe any more goes.
    pub fn restore(&mut self, row: String, record: &str, now: Timestamp) -> bool {
        let Ok(mut record) = serde_json::from_str::<Record>(record) else {
            return false;
        };
        let lesson = Lesson {
            transport: record.transport.map(Into::into),
            hosts: record.hosts.into_iter().map(Into::into).collect(),
            connections: record.connections,
            learned: record.learned.noted(now),
        };
        if lesson.is_believed(now) && self.rows.len() < MOST {
            self.rows.insert(row, lesson);
        } else {
            self.dirty.insert(row);
        }
        true
    }
}

/// `slow mx1.example:25 mx2.example:25`
fn row(lesson: &Lesson) -> String {
    let transport = lesson.transport.as_deref().unwrap_or("-");
    let hosts: Vec<&str> = lesson.hosts.iter().map(|host| &**host).collect();
    format!("{transport} {}", hosts.join(" "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_333_912);

    fn lesson(host: &str, learned: Timestamp) -> Lesson {
        Lesson {
            transport: Some("slow".into()),
            hosts: [host.into()].into(),
            connections: 2,
            learned,
        }
    }

    #[test]
    fn what_a_host_taught_is_known_after_a_restart_for_a_day() {
        let mut lessons = Lessons::default();
        lessons.learn(lesson("mx.example:25", NOW));
        let (row, record) = lessons.changes().pop().unwrap();
        assert_eq!(row, "slow mx.example:25");
        let record = record.unwrap();
        let hour = NOW.after(Duration::from_hours(1));
        let mut again = Lessons::default();
        assert!(again.restore(row.clone(), &record, hour));
        assert_eq!(
            again.all().collect::<Vec<_>>(),
            [&lesson("mx.example:25", NOW)]
        );
        assert_eq!(again.changes(), []);
        let mut later = Lessons::default();
        let day = NOW.after(Duration::from_hours(24));
        assert!(later.restore(row.clone(), &record, day));
        assert_eq!(later.all().count(), 0);
        assert_eq!(later.changes(), [(row.clone(), None)]);
        // A clock that was ahead when it was noted.
        let before = NOW.before(Duration::from_hours(72));
        let mut ahead = Lessons::default();
        assert!(ahead.restore(row.clone(), &record, before));
        assert!(ahead.all().all(|it| it.learned <= before));
        assert!(!later.restore(row, "{}", NOW));
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered_and_the_newest_stays() {
        let mut lessons = Lessons::default();
        for number in 0..MOST + 50 {
            let at = NOW.after(Duration::from_secs(u64::try_from(number).unwrap()));
            lessons.learn(lesson(&format!("mx{number}.example:25"), at));
        }
        assert!(lessons.rows.len() <= MOST);
        assert!(lessons.rows.len() > MOST / 2, "{}", lessons.rows.len());
        let newest = format!("slow mx{}.example:25", MOST + 49);
        assert!(lessons.rows.contains_key(&newest));
        let gone = lessons.changes().into_iter();
        assert!(gone.filter(|(_, record)| record.is_none()).count() >= 50);
    }
}
