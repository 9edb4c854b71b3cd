//! What a day brought: what was refused, returned, kept as dead, or late; worst first, with the
//! command to look further.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    kind::Kind,
    news::Notice,
    words::{counted, cut},
};

/// Mail that waits longer than this is told of.
pub const HOURS: Duration = Duration::from_hours(3);
/// Rows of one table that are counted, and that are told.
const ROWS: usize = 50;
const TOLD: usize = 10;
/// Longest texts of others, characters.
const NAME: usize = 100;
const REASON: usize = 200;
/// Other lines.
const LINES: usize = 30;

/// Something that belongs into the digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Passed {
    /// By a rule, with this reply.
    Refused { rule: String, reply: String },
    /// A recipient was given up; where it should have gone, and why.
    Returned { to: String, reason: String },
    /// A message that can neither be delivered nor returned.
    Dead { reason: String },
    /// The same that a stranger caused: it has ended.
    NotKept { reason: String },
    /// A recipient was reached after hours.
    Late { to: String },
}

/// Recipients that wait for hours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub to: String,
    pub count: u64,
    pub oldest: Timestamp,
    pub reason: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Table {
    rows: BTreeMap<String, (u64, String)>,
    /// In no row.
    others: u64,
}

/// Since the last digest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Day {
    refused: Table,
    returned: Table,
    dead: Table,
    #[serde(default)]
    not_kept: Table,
    late: Table,
}

impl Table {
    fn add(&mut self, name: &str, reason: &str) {
        let name = cut(name, NAME);
        if self.rows.len() >= ROWS && !self.rows.contains_key(&name) {
            self.others = self.others.saturating_add(1);
            return;
        }
        let (count, last) = self.rows.entry(name).or_default();
        *count = count.saturating_add(1);
        *last = cut(reason, REASON);
    }

    fn total(&self) -> u64 {
        let rows = self.rows.values().map(|(count, _)| count);
        rows.fold(self.others, |sum, count| sum.saturating_add(*count))
    }

    fn tell(&self, text: &mut String, title: &str, look: &str) {
        if self.total() == 0 {
            return;
        }
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(name, (count, _))| (std::cmp::Reverse(*count), *name));
        let named: u64 = rows.iter().take(TOLD).map(|(_, (count, _))| count).sum();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{title}: {}", self.total());
        for (name, (count, reason)) in rows.into_iter().take(TOLD) {
            let _ = match reason.as_str() {
                "" => writeln!(text, "{count:8}  {name}"),
                reason => writeln!(text, "{count:8}  {name}: {reason}"),
            };
        }
        if self.total() > named {
            let _ = writeln!(text, "{:8}  others", self.total().saturating_sub(named));
        }
        let _ = writeln!(text, "To look further: {look}\n");
    }
}

impl Day {
    pub(super) fn add(&mut self, passed: &Passed) {
        match passed {
            Passed::Refused { rule, reply } => self.refused.add(rule, reply),
            Passed::Returned { to, reason } => self.returned.add(to, reason),
            Passed::Dead { reason } => self.dead.add(reason, ""),
            Passed::NotKept { reason } => self.not_kept.add(reason, ""),
            Passed::Late { to } => self.late.add(to, ""),
        }
    }

    /// The digest; `None`: there is nothing to say.
    pub(super) fn digest(
        &self,
        host: &str,
        mut waiting: Vec<Waiting>,
        more: &[String],
    ) -> Option<Notice> {
        waiting.sort_by_key(|row| (std::cmp::Reverse(row.count), row.oldest));
        let waits = waiting
            .iter()
            .fold(0u64, |sum, row| sum.saturating_add(row.count));
        let parts = [
            (self.dead.total(), "dead"),
            (self.not_kept.total(), "not kept"),
            (self.returned.total(), "returned"),
            (waits, "waiting for hours"),
            (self.late.total(), "late"),
            (self.refused.total(), "refused"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<_> = parts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if !more.is_empty() {
            parts.push(counted(more.len() as u64, "line") + " on what is expected");
        }
        if parts.is_empty() {
            return None;
        }
        let mut text = String::new();
        self.dead.tell(
            &mut text,
            "Messages that can neither be delivered nor returned",
            "smarthost queue list --held",
        );
        self.not_kept.tell(
            &mut text,
            "Strangers' mail (mostly bounces) that can neither be delivered nor returned, and is \
             not kept",
            "journalctl -u smarthost --since yesterday | grep 'not kept'",
        );
        self.returned.tell(
            &mut text,
            "Recipients given up; a report to their senders, who may want none or take none",
            "journalctl -u smarthost --since yesterday | grep -E 'status=(bounced|expired)'",
        );
        tell_waiting(&mut text, &waiting, waits);
        self.late.tell(
            &mut text,
            "Recipients reached after more than three hours",
            "journalctl -u smarthost --since yesterday | grep status=sent",
        );
        self.refused.tell(
            &mut text,
            "Refused, by rule with the newest reply",
            "smarthost report rejected --since 1d",
        );
        if !more.is_empty() {
            text.push_str("Mail that is expected\n");
            for line in more.iter().take(LINES) {
                let _ = writeln!(text, "  {}", cut(line, REASON));
            }
            text.push_str("To look further: smarthost expected list\n");
        }
        Some(Notice {
            kind: Kind::Day,
            subject: format!("{host}: {}", parts.join(", ")),
            text: format!("{}\n", text.trim_end()),
        })
    }
}

fn tell_waiting(text: &mut String, waiting: &[Waiting], total: u64) {
    if waiting.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "Recipients that wait for more than three hours: {total}"
    );
    for row in waiting.iter().take(TOLD) {
        let (to, reason) = (cut(&row.to, NAME), cut(&row.reason, REASON));
        let oldest = row.oldest.rfc3339();
        let _ = writeln!(
            text,
            "{:8}  {to}, the oldest since {oldest}: {reason}",
            row.count
        );
    }
    if waiting.len() > TOLD {
        let _ = writeln!(
            text,
            "          and {} more destinations",
            waiting.len() - TOLD
        );
    }
    text.push_str("To look further: smarthost queue summary\n\n");
}
