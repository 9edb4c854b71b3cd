//! Queued mail counted by destination, sender, client or age, in the columns of Postfix's qshape.
//! Pure.
//!
//! Contract: recipients count by destination, messages otherwise. Of many groups the [`MOST`]
//! largest are told; what is left out is in the total. qshape(1).

use std::{borrow::Cow, cmp::Reverse, collections::HashMap, fmt::Write as _};

use mail::{clock::Timestamp, text::printable};
use serde::{Deserialize, Serialize};

use crate::listing::Row;

/// Where the columns of ages end, in minutes; what is older has a column of its own.
const ENDS: [u64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];
/// Groups that are told.
pub const MOST: usize = 1000;
/// Longest name in a table, characters.
const WIDTH: usize = 60;

/// What the rows have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The domain of recipients.
    #[default]
    Destination,
    Sender,
    /// The client of a smarthost, the user of a machine.
    Client,
    Age,
}

impl By {
    pub const ALL: [Self; 4] = [Self::Destination, Self::Sender, Self::Client, Self::Age];

    /// As it is typed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Sender => "sender",
            Self::Client => "client",
            Self::Age => "age",
        }
    }
}

/// Mail that has something in common.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub count: u64,
    /// Of these, by age: up to 5, 10, 20, … 1280 minutes, and older.
    pub ages: [u64; 10],
    /// Of the messages.
    pub bytes: u64,
    /// On hold.
    pub held: u64,
    pub oldest: Timestamp,
    /// The first that is due, if all are deferred.
    pub next_attempt: Option<Timestamp>,
    /// Why the one waits that was tried last, as far as that is known; empty: not tried yet.
    pub reason: String,
    /// When it is tried next, by which the reason is the newest.
    #[serde(skip)]
    tried: Option<Timestamp>,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    pub by: By,
    pub total: Group,
    /// Most first; of ages, youngest first.
    pub groups: Vec<Group>,
    /// Groups that are left out.
    pub more: u64,
}

impl Summary {
    /// The largest groups, so many at most, and how many others there are.
    pub fn largest(&self, most: usize) -> (&[Group], u64) {
        let groups = self.groups.get(..most).unwrap_or(&self.groups);
        let left = self.groups.len().saturating_sub(groups.len());
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        (groups, self.more.saturating_add(left))
    }
}

/// A message as it is counted.
#[derive(Debug)]
pub struct Item<'a> {
    pub arrival: Timestamp,
    pub size: u64,
    pub held: bool,
    pub deferred: bool,
    /// When it is tried next.
    pub next_attempt: Option<Timestamp>,
    /// Empty: the null sender.
    pub sender: &'a str,
    /// Empty: this program.
    pub origin: &'a str,
    /// Domains of recipients that wait, in lower case, and why they do.
    pub recipients: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> From<&'a Row> for Item<'a> {
    fn from(row: &'a Row) -> Self {
        let recipients = row.recipients.iter().map(|recipient| {
            let (_, domain) = recipient.address.rsplit_once('@').unwrap_or_default();
            let reason = recipient.delay_reason.as_str();
            (Cow::Owned(domain.to_lowercase()), reason)
        });
        Self {
            arrival: row.arrival,
            size: row.size,
            held: row.queue_name == "hold",
            deferred: row.queue_name == "deferred",
            next_attempt: row.next_attempt,
            sender: &row.sender,
            origin: &row.origin,
            recipients: recipients.collect(),
        }
    }
}

/// Counts one message after the other.
#[derive(Debug)]
pub struct Counter {
    by: By,
    now: Timestamp,
    total: Group,
    groups: HashMap<String, Group>,
}

impl Counter {
    pub fn new(by: By, now: Timestamp) -> Self {
        let (total, groups) = (Group::default(), HashMap::new());
        Self {
            by,
            now,
            total,
            groups,
        }
    }

    pub fn add(&mut self, item: &Item<'_>) {
        let age = column(item.arrival, self.now);
        let reason = item.recipients.first().map_or("", |(_, reason)| *reason);
        let name = match self.by {
            By::Destination => return self.add_recipients(item, age),
            By::Sender if item.sender.is_empty() => "MAILER-DAEMON",
            By::Sender => item.sender,
            By::Client if item.origin.is_empty() => "(this program)",
            By::Client => item.origin,
            By::Age => NAMES.get(age).copied().unwrap_or_default(),
        };
        self.total.add(item, age, 1, "");
        self.add_to(name, item, age, 1, reason);
    }

    fn add_recipients(&mut self, item: &Item<'_>, age: usize) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.total.add(item, age, count(item.recipients.len()), "");
        if let [(domain, reason)] = item.recipients.as_slice() {
            return self.add_to(domain, item, age, 1, reason);
        }
        let mut domains: HashMap<&str, (u64, &str)> = HashMap::new();
        for (domain, reason) in &item.recipients {
            let there = domains.entry(domain).or_default();
            *there = (there.0.saturating_add(1), reason);
        }
        for (domain, (count, reason)) in domains {
            self.add_to(domain, item, age, count, reason);
        }
    }

    fn add_to(&mut self, name: &str, item: &Item<'_>, age: usize, count: u64, reason: &str) {
        // Hardly any name is new: a group that is known is found without a copy of its name.
        if !self.groups.contains_key(name) {
            self.groups.insert(name.to_owned(), Group::default());
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.add(item, age, count, reason);
        }
    }

    /// The largest `most` groups.
    pub fn finish(self, most: usize) -> Summary {
        let named = self.groups.into_iter();
        let mut groups: Vec<_> = named.map(|(name, it)| Group { name, ..it }).collect();
        let place = |group: &Group| NAMES.iter().position(|name| *name == group.name);
        match self.by {
            By::Age => groups.sort_by_key(place),
            _ => {
                groups
                    .sort_by(|a, b| (Reverse(a.count), &a.name).cmp(&(Reverse(b.count), &b.name)));
            }
        }
        let more = groups.len().saturating_sub(most);
        groups.truncate(most);
        Summary {
            by: self.by,
            total: self.total,
            groups,
            more: u64::try_from(more).unwrap_or(u64::MAX),
        }
    }
}

impl Group {
    fn add(&mut self, item: &Item<'_>, age: usize, count: u64, reason: &str) {
        let first = self.count == 0;
        self.count = self.count.saturating_add(count);
        self.bytes = self.bytes.saturating_add(item.size);
        if let Some(there) = self.ages.get_mut(age) {
            *there = there.saturating_add(count);
        }
        if item.held {
            self.held = self.held.saturating_add(count);
        }
        self.oldest = if first {
            item.arrival
        } else {
            self.oldest.min(item.arrival)
        };
        let next = item.next_attempt.filter(|_| item.deferred);
        self.next_attempt = match (first, self.next_attempt) {
            (true, _) => next,
            (false, None) => None,
            (false, before) => before.min(next),
        };
        // Whose turn is last was tried last.
        if !reason.is_empty() && (self.reason.is_empty() || self.tried < item.next_attempt) {
            reason.clone_into(&mut self.reason);
            self.tried = item.next_attempt;
        }
    }
}

const NAMES: [&str; 10] = [
    "up to 5m",
    "up to 10m",
    "up to 20m",
    "up to 40m",
    "up to 80m",
    "up to 160m",
    "up to 320m",
    "up to 640m",
    "up to 1280m",
    "older",
];

fn column(arrival: Timestamp, now: Timestamp) -> usize {
    let minutes = now.since(arrival).as_secs() / 60;
    let column = ENDS.iter().position(|end| minutes < *end);
    column.unwrap_or(ENDS.len())
}

/// The table of qshape; of ages, a line each.
pub fn table(summary: &Summary) -> String {
    if summary.total.count == 0 {
        return "Mail queue is empty".to_owned();
    }
    if summary.by == By::Age {
        return ages(summary);
    }
    let shown = |group: &Group| shown(&group.name);
    let names = summary
        .groups
        .iter()
        .map(|group| shown(group).chars().count());
    let width = names.max().unwrap_or_default().max("TOTAL".len());
    let mut out = format!("{:width$}", "");
    let _ = write!(out, " {:>7}", "T");
    for end in ENDS {
        let _ = write!(out, " {end:>6}");
    }
    let _ = writeln!(out, " {:>6}", "1280+");
    let mut line = |name: &str, group: &Group| {
        let _ = write!(out, "{name:>width$} {:>7}", group.count);
        for count in group.ages {
            let _ = write!(out, " {count:>6}");
        }
        out.push('\n');
    };
    line("TOTAL", &summary.total);
    for group in &summary.groups {
        line(&shown(group), group);
    }
    if summary.more > 0 {
        let _ = writeln!(out, "and {} more", summary.more);
    }
    out.truncate(out.trim_end().len());
    out
}

fn ages(summary: &Summary) -> String {
    let mut out = format!(
        "{:<12} {:>9} {:>9} {:>9}",
        "age", "messages", "on hold", "KiB"
    );
    let total = Group {
        name: "all".to_owned(),
        ..summary.total.clone()
    };
    for group in summary.groups.iter().chain([&total]) {
        let (kib, held) = (group.bytes.div_ceil(1024), group.held);
        let _ = write!(
            out,
            "\n{:<12} {:>9} {held:>9} {kib:>9}",
            group.name, group.count
        );
    }
    out
}

/// Text of others in a table.
pub fn shown(text: &str) -> String {
    let mut shown: String = printable(text).chars().take(WIDTH).collect();
    if text.chars().count() > WIDTH {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::RecipientRow;

    const NOW: u64 = 1_000_000;

    fn row(sender: &str, to: &[&str], minutes: u64, next: Option<u64>, reason: &str) -> Row {
        let recipient = |address: &&str| RecipientRow {
            address: (*address).to_owned(),
            orig_address: None,
            delay_reason: reason.to_owned(),
        };
        Row {
            queue_id: "A".into(),
            queue_name: if next.is_some() { "deferred" } else { "active" }.into(),
            arrival: Timestamp::from_secs(NOW - minutes * 60),
            size: 1000,
            sender: sender.into(),
            recipients: to.iter().map(recipient).collect(),
            next_attempt: next.map(Timestamp::from_secs),
            origin: "vm1[10.0.0.7]".into(),
        }
    }

    fn counted(by: By, most: usize) -> Summary {
        let mut counter = Counter::new(by, Timestamp::from_secs(NOW));
        for row in [
            row(
                "a@x.example",
                &["b@one.example", "c@ONE.example", "d@two.example"],
                3,
                None,
                "",
            ),
            row(
                "a@x.example",
                &["b@one.example"],
                7,
                Some(NOW + 60),
                "old words",
            ),
            row("", &["b@one.example"], 3000, Some(NOW + 90), "new words"),
        ] {
            counter.add(&Item::from(&row));
        }
        counter.finish(most)
    }

    #[test]
    fn recipients_are_counted_by_domain_and_age_with_the_newest_reason() {
        let summary = counted(By::Destination, 10);
        let [one, two] = summary.groups.as_slice() else {
            panic!("{summary:?}")
        };
        assert_eq!((one.name.as_str(), one.count), ("one.example", 4));
        assert_eq!((one.ages[0], one.ages[1], one.ages[9]), (2, 1, 1));
        assert_eq!((one.reason.as_str(), one.next_attempt), ("new words", None));
        assert_eq!(one.oldest, Timestamp::from_secs(NOW - 3000 * 60));
        assert_eq!((two.name.as_str(), two.count), ("two.example", 1));
        assert_eq!(summary.total.count, 5);
        let table = table(&summary);
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|it| it.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1],
            [
                "TOTAL", "5", "3", "1", "0", "0", "0", "0", "0", "0", "0", "1"
            ]
        );
        assert_eq!(lines[0].last(), Some(&"1280+"));
    }

    #[test]
    fn messages_are_counted_by_sender_client_and_age_and_what_is_left_out_is_said() {
        let summary = counted(By::Sender, 1);
        assert_eq!(
            (summary.groups[0].name.as_str(), summary.groups[0].count),
            ("a@x.example", 2)
        );
        assert_eq!((summary.more, summary.total.count), (1, 3));
        assert!(table(&summary).ends_with("and 1 more"));
        assert_eq!(counted(By::Client, 9).groups[0].count, 3);
        let ages = counted(By::Age, 10);
        let names: Vec<_> = ages.groups.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["up to 5m", "up to 10m", "older"]);
        assert!(
            table(&ages)
                .lines()
                .last()
                .is_some_and(|it| it.starts_with("all "))
        );
        assert_eq!(table(&Summary::default()), "Mail queue is empty");
        assert_eq!(shown("a\u{1b}[2J"), "a?[2J");
    }
}
