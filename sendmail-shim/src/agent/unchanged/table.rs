//! What each job's last report said, and which reports wait for a digest.
//!
//! Contract: pure; bounded, for one user too. What does not fit, and what is not known, is sent.
//! A report that waits is in the table from before it is accepted until a digest that tells of it
//! is on disk. No clock that is set keeps one for longer than twice the digest's time.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};
use spool::QueueId;

use super::report::{Hash, Line, Report, Said};

/// Age of the last full copy at which a report is sent again.
pub(crate) const REPEAT: Duration = Duration::from_hours(35 * 24);
/// Jobs that are known.
const JOBS: usize = 512;
/// Reports that wait, in all and of one user.
const MOST: usize = 4000;
const OF_ONE: usize = 2000;
/// Lines and bytes that a digest shows of one report; one of which more differ is sent.
const LINES: usize = 20;
const BYTES: usize = 2048;

/// What is known.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    jobs: Vec<Last>,
    waiting: Vec<Waiting>,
}

/// What was sent last of a job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Last {
    job: Hash,
    /// Whose it is.
    user: u32,
    content: Hash,
    numbers: Vec<u128>,
    sent: Timestamp,
    /// The full copy, as long as it is on its way.
    #[serde(default)]
    full: Option<QueueId>,
}

/// What becomes of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judged {
    /// It waits: it says the same as on that day.
    Waits(Timestamp),
    /// It says something new, as far as is known: sent, and the new last one. Say
    /// [`Table::forget`] before, and [`Table::remember`] after it is in the queue.
    New,
    /// It says the same as one that is still on its way, or there is no room for it: sent, and the
    /// last one stays what it is. Else a stream of them that is faster than the relay would never
    /// have one that has arrived.
    Again,
}

/// A report that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) id: QueueId,
    user: u32,
    group: u128,
    /// When what it says was sent.
    pub(crate) as_on: Timestamp,
    /// Which of its lines with numbers are not as they were then.
    pub(crate) differing: Vec<u16>,
    /// `None`: it is not in the queue yet.
    #[serde(skip)]
    pub(crate) arrival: Option<Timestamp>,
}

impl Table {
    /// Decides about a report that is about to be taken.
    pub(crate) fn judge(
        &mut self,
        (id, user, group): (QueueId, u32, u128),
        report: &Report,
        now: Timestamp,
    ) -> Judged {
        let mut known = self.jobs.iter_mut();
        let last = known.find(|last| last.job == report.job);
        let Some((last, said)) = last.zip(report.said.as_ref()) else {
            return Judged::New;
        };
        if last.content != said.content || last.sent.age(now) > REPEAT {
            return Judged::New;
        }
        let (as_on, on_its_way) = (last.sent, last.full.is_some());
        let Some(differing) = differing(&last.numbers, &said.numbers) else {
            return Judged::New;
        };
        let of_one = self.waiting.iter().filter(|it| it.user == user).count();
        // Whoever reads "as on" must have the full copy.
        if on_its_way || of_one >= OF_ONE || self.waiting.len() >= MOST {
            return Judged::Again;
        }
        self.waiting.push(Waiting {
            id,
            user,
            group,
            as_on,
            differing,
            arrival: None,
        });
        Judged::Waits(as_on)
    }

    /// The report is in the queue, and waits.
    pub(crate) fn arrived(&mut self, id: QueueId, arrival: Timestamp) {
        let waiting = self.waiting.iter_mut().find(|it| it.id == id);
        if let Some(waiting) = waiting {
            waiting.arrival = Some(arrival);
        }
    }

    /// These wait no more: a digest tells of them, or they have gone otherwise.
    pub(crate) fn ended(&mut self, ids: &[QueueId]) {
        self.waiting.retain(|it| !ids.contains(&it.id));
    }

    /// Nothing is known of this job any more; whether anything was.
    pub(crate) fn forget(&mut self, job: &Hash) -> bool {
        let before = self.jobs.len();
        self.jobs.retain(|last| last.job != *job);
        self.jobs.len() < before
    }

    /// Nothing is known of any job.
    pub(crate) fn forget_all(&mut self) {
        self.jobs.clear();
    }

    /// The report is sent in full, as this message. It counts once that has [arrived](Table::left).
    pub(crate) fn remember(
        &mut self,
        (id, user): (QueueId, u32),
        job: Hash,
        said: &Said,
        now: Timestamp,
    ) {
        self.forget(&job);
        while self.jobs.len() >= JOBS {
            self.make_room();
        }
        self.jobs.push(Last {
            job,
            user,
            content: said.content,
            numbers: said.numbers.iter().map(|line| line.hash).collect(),
            sent: now,
            full: Some(id),
        });
    }

    /// The full copy goes on under another id.
    pub(crate) fn goes_on_as(&mut self, id: QueueId, new: QueueId) {
        let full = self.jobs.iter_mut().find(|last| last.full == Some(id));
        if let Some(last) = full {
            last.full = Some(new);
        }
    }

    /// A message has left the queue, delivered to all its recipients or otherwise; whether it was
    /// the full copy of a report.
    pub(crate) fn left(&mut self, id: QueueId, delivered: bool) -> bool {
        let Some(place) = self.jobs.iter().position(|last| last.full == Some(id)) else {
            return false;
        };
        match self.jobs.get_mut(place) {
            Some(last) if delivered => last.full = None,
            _ => drop(self.jobs.remove(place)),
        }
        true
    }

    /// Forgets the oldest of whoever has most.
    fn make_room(&mut self) {
        let mut has: HashMap<u32, usize> = HashMap::new();
        for last in &self.jobs {
            let count = has.entry(last.user).or_default();
            *count = count.saturating_add(1);
        }
        let places = self.jobs.iter().enumerate();
        let worst = places.max_by_key(|(_, last)| (has.get(&last.user), Reverse(last.sent)));
        if let Some((place, _)) = worst {
            self.jobs.remove(place);
        }
    }

    /// Takes what the queue holds as it was found: those of its reports of which nothing is known.
    /// What became of full copies that were on their way is not known either.
    pub(crate) fn found(&mut self, queued: &[(QueueId, Timestamp)]) -> Vec<QueueId> {
        self.jobs.retain(|last| last.full.is_none());
        let arrived = |id| queued.iter().find(|(queued, _)| *queued == id);
        self.waiting.retain_mut(|it| {
            it.arrival = arrived(it.id).map(|(_, arrival)| *arrival);
            it.arrival.is_some()
        });
        let is_known = |id: &QueueId| self.waiting.iter().any(|it| it.id == *id);
        let ids = queued.iter().map(|(id, _)| *id);
        ids.filter(|id| !is_known(id)).collect()
    }

    /// A user's reports to the same recipients of which the first is due; the first first.
    pub(crate) fn due(&self, digest: Duration, now: Timestamp) -> Option<Vec<Waiting>> {
        let (at, first) = self.first(digest, now)?;
        if at > now {
            return None;
        }
        let group = self.waiting.iter();
        let group = group.filter(|it| it.group == first.group && it.arrival.is_some());
        let mut group: Vec<_> = group.cloned().collect();
        group.sort_by_key(|it| (it.arrival, it.id));
        Some(group)
    }

    /// When a digest is due.
    pub(crate) fn deadline(&self, digest: Duration, now: Timestamp) -> Option<Timestamp> {
        self.first(digest, now).map(|(at, _)| at)
    }

    /// When the digest that tells of this one is due.
    pub(crate) fn due_at(
        &self,
        id: QueueId,
        digest: Duration,
        now: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        let one = self.waiting.iter().find(|it| it.id == id)?;
        let group = self.waiting.iter().filter(|it| it.group == one.group);
        let at = group.filter_map(|it| due(it, digest, now)).min();
        Some((one.as_on, at?))
    }

    fn first(&self, digest: Duration, now: Timestamp) -> Option<(Timestamp, &Waiting)> {
        let waiting = self.waiting.iter();
        let waiting = waiting.filter_map(|it| Some((due(it, digest, now)?, it)));
        waiting.min_by_key(|(at, it)| (*at, it.id))
    }
}

/// What a clock that was far ahead has noted is due now.
fn due(waiting: &Waiting, digest: Duration, now: Timestamp) -> Option<Timestamp> {
    let arrival = waiting.arrival?;
    let is_ahead = arrival > now.after(digest);
    Some(if is_ahead { now } else { arrival.after(digest) })
}

/// Which lines are not as they were, if a digest can show them all.
fn differing(before: &[u128], lines: &[Line]) -> Option<Vec<u16>> {
    if before.len() != lines.len() {
        return None;
    }
    let pairs = before.iter().zip(lines).enumerate();
    let pairs = pairs.filter(|(_, (before, line))| **before != line.hash);
    let mut bytes = 0usize;
    let mut places = Vec::new();
    for (place, (_, line)) in pairs {
        bytes = bytes.saturating_add(line.length);
        places.push(u16::try_from(place).ok()?);
        if bytes > BYTES || places.len() > LINES {
            return None;
        }
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn id(number: u64) -> QueueId {
        serde_json::from_value(number.into()).unwrap()
    }
    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(100_000_000 + seconds)
    }
    fn report(job: u8, text: u8, lines: &[u128]) -> Report {
        let numbers = lines.iter().map(|&hash| Line { hash, length: 10 });
        let said = Said {
            content: [text; 32],
            numbers: numbers.collect(),
        };
        Report {
            job: [job; 32],
            said: Some(said),
        }
    }

    /// What the agent does with a report; whether it waits.
    fn take(table: &mut Table, number: u64, user: u32, report: &Report, now: Timestamp) -> bool {
        match table.judge((id(number), user, user.into()), report, now) {
            Judged::Waits(_) => {
                table.arrived(id(number), now);
                return true;
            }
            Judged::New => {
                table.forget(&report.job);
                if let Some(said) = &report.said {
                    table.remember((id(number), user), report.job, said, now);
                    assert!(table.left(id(number), true));
                }
            }
            Judged::Again => {}
        }
        false
    }

    #[test]
    fn the_same_waits_a_change_is_sent_and_is_the_new_last_one() {
        let mut table = Table::default();
        let (well, ill) = (report(1, 1, &[1, 2]), report(1, 2, &[1, 2]));
        assert!(!take(&mut table, 1, 0, &well, at(0)), "the first");
        assert!(take(&mut table, 2, 0, &report(1, 1, &[1, 3]), at(10)));
        assert!(!take(&mut table, 3, 0, &ill, at(20)));
        assert!(!take(&mut table, 4, 0, &well, at(30)), "well again");
        assert!(
            !take(&mut table, 5, 0, &report(2, 1, &[]), at(30)),
            "another job"
        );
        assert!(take(&mut table, 6, 0, &well, at(40)));
        assert_eq!(table.due(DAY, at(86_409)), None);
        let due = table.due(DAY, at(86_410)).unwrap();
        let told: Vec<_> = due
            .iter()
            .map(|it| (it.id, it.as_on, &it.differing[..]))
            .collect();
        assert_eq!(told, [(id(2), at(0), &[1][..]), (id(6), at(30), &[])]);
        let of_last = table.due_at(id(6), DAY, at(50)).unwrap();
        assert_eq!(of_last, (at(30), at(86_410)));
    }

    #[test]
    fn a_report_that_never_arrived_in_full_keeps_no_other_back() {
        let mut table = Table::default();
        let one = report(1, 1, &[]);
        let said = one.said.as_ref().unwrap();
        table.remember((id(1), 0), one.job, said, at(0));
        let judged = table.judge((id(2), 0, 0), &one, at(1));
        assert_eq!(judged, Judged::Again, "on its way");
        assert!(!table.left(id(2), true), "the first one counts");
        assert!(table.left(id(1), false), "deleted, bounced");
        assert_eq!(table.judge((id(3), 0, 0), &one, at(2)), Judged::New);
        table.remember((id(9), 0), one.job, said, at(2));
        table.goes_on_as(id(9), id(3));
        assert!(
            !table.left(id(9), true),
            "it was queued anew, and nobody has it"
        );
        let mut again = table.clone();
        again.found(&[]);
        let judged = again.judge((id(4), 0, 0), &one, at(3));
        assert_eq!(judged, Judged::New, "a restart");
        assert!(table.left(id(3), true));
        let judged = table.judge((id(4), 0, 0), &one, at(3));
        assert_eq!(judged, Judged::Waits(at(2)));
    }

    #[test]
    fn of_a_stream_that_is_faster_than_the_relay_the_first_that_arrives_lets_the_others_wait() {
        let mut table = Table::default();
        let one = |line| report(1, 1, &[line]);
        let said = one(0).said.unwrap();
        table.remember((id(1), 0), one(0).job, &said, at(0));
        for number in 2..5 {
            let judged = table.judge((id(number), 0, 0), &one(number.into()), at(number));
            assert_eq!(judged, Judged::Again);
        }
        assert!(table.left(id(1), true));
        for number in 5..8 {
            let judged = table.judge((id(number), 0, 0), &one(number.into()), at(number));
            assert_eq!(judged, Judged::Waits(at(0)));
        }
        // What is new while another one is on its way is new.
        table.remember((id(8), 0), one(0).job, &said, at(8));
        let ill = report(1, 2, &[0]);
        assert_eq!(table.judge((id(9), 0, 0), &ill, at(9)), Judged::New);
        let many: Vec<u128> = (0..100).collect();
        let judged = table.judge((id(9), 0, 0), &report(1, 1, &many), at(9));
        assert_eq!(judged, Judged::New, "more than a digest shows");
    }

    #[test]
    fn what_a_digest_could_not_show_is_sent_and_so_is_what_was_sent_long_ago() {
        let mut table = Table::default();
        let lines = |first: u128, count: u128| (first..first + count).collect::<Vec<_>>();
        let count = LINES as u128;
        take(&mut table, 1, 0, &report(1, 1, &lines(0, count + 1)), at(0));
        let mut some = lines(0, count + 1);
        some[1] = 999;
        assert!(take(&mut table, 2, 0, &report(1, 1, &some), at(1)));
        assert!(!take(
            &mut table,
            3,
            0,
            &report(1, 1, &lines(500, count + 1)),
            at(2)
        ));
        let mut long = report(2, 1, &[1]);
        take(&mut table, 4, 0, &long, at(3));
        long.said.as_mut().unwrap().numbers[0] = Line {
            hash: 2,
            length: BYTES + 1,
        };
        assert!(!take(&mut table, 5, 0, &long, at(4)));
        let later = at(4).after(REPEAT);
        assert!(take(&mut table, 6, 0, &long, later));
        assert!(!take(
            &mut table,
            7,
            0,
            &long,
            later.after(Duration::from_secs(1))
        ));
        let unknown = Report {
            said: None,
            ..long.clone()
        };
        assert!(!take(&mut table, 8, 0, &unknown, later.after(DAY)));
        assert!(
            !take(&mut table, 9, 0, &long, later.after(DAY)),
            "and nothing is known then"
        );
    }

    #[test]
    fn a_user_with_many_jobs_or_reports_takes_no_place_of_another() {
        let mut table = Table::default();
        let other = report(0, 1, &[]);
        take(&mut table, 1, 7, &other, at(0));
        for number in 0..2 * JOBS as u64 {
            let mut many = report(0, 1, &[]);
            many.job[..8].copy_from_slice(&(number + 1).to_be_bytes());
            take(&mut table, 2, 8, &many, at(1));
        }
        assert_eq!(table.jobs.len(), JOBS);
        let one = report(255, 1, &[]);
        take(&mut table, 3, 8, &one, at(2));
        let of_one = OF_ONE as u64;
        let waits = (0..of_one + 5).map(|n| table.judge((id(10 + n), 8, 1), &one, at(3)));
        let waits: Vec<_> = waits.filter(|it| *it != Judged::Again).collect();
        assert_eq!(waits, vec![Judged::Waits(at(2)); OF_ONE]);
        assert!(take(&mut table, 9, 7, &other, at(4)));
    }

    #[test]
    fn after_a_restart_what_is_not_in_the_queue_is_forgotten_and_what_is_not_known_is_named() {
        let mut table = Table::default();
        let one = report(1, 1, &[]);
        take(&mut table, 1, 0, &one, at(0));
        for number in [2, 3] {
            assert!(take(&mut table, number, 0, &one, at(1)));
        }
        let bytes = serde_json::to_vec(&table).unwrap();
        let mut table: Table = serde_json::from_slice(&bytes).unwrap();
        let unknown = table.found(&[(id(3), at(1)), (id(4), at(1))]);
        assert_eq!(unknown, [id(4)]);
        let due = table.due(DAY, at(1).after(DAY)).unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].id, id(3));
    }
}
