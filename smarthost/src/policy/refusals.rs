//! What was refused to whom, by which rule, and whether they came again: for administrators who
//! look for mail that never came.
//!
//! Contract: pure and bounded: [`MOST`] rows of bounded texts, for [`KEPT`]. The same refusal again
//! is the same row with a higher count. Beyond the bound the rows that were not seen longest go.
//! See also: `state`, which keeps it over a restart; `cli::report`, which shows it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    time::Duration,
};

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::network::Network;

/// Rows that are kept, and how long one is kept that was not seen again.
const MOST: usize = 5000;
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Rules that are counted; those of a configuration, and of those before it.
const RULES: usize = 200;
/// Longest text, in characters.
const LONGEST: usize = 320;
/// A reply's code and enhanced status, bytes.
const CODES: usize = 9;
/// How often old rows are looked for.
const SWEEP: Duration = Duration::from_hours(1);
/// The rule that asks clients to come again.
pub const GREYLIST: &str = "greylist";

/// The same client, sender, recipient and rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// `name[address]`, as in the log.
    pub client: String,
    pub helo: Option<String>,
    /// Empty for the null sender; `None`: none was understood.
    pub sender: Option<String>,
    pub recipient: Option<String>,
    /// `MAIL`, `RCPT`, `END-OF-MESSAGE` …
    pub stage: String,
    /// As it stands in `restrictions`; `None`: the protocol's own.
    pub rule: Option<String>,
    /// Who had no more left of a limit: an address, a network or the name of a login or key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<String>,
    /// The newest.
    pub reply: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
    /// When the same mail was taken after all; only of temporary refusals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Timestamp>,
}

impl Refusal {
    /// Adds what was counted before all that is counted here.
    fn absorb(&mut self, earlier: Self) {
        self.first = earlier.first;
        self.last = self.last.max(earlier.last);
        self.count = self.count.saturating_add(earlier.count);
        self.accepted = self.accepted.or(earlier.accepted);
    }

    /// It was told to come again, and may be taken then.
    pub fn is_temporary(&self) -> bool {
        self.reply.starts_with('4')
    }
}

/// All rows, by what they have in common.
#[derive(Debug, Default)]
pub struct Refusals {
    rows: HashMap<String, Refusal>,
    dirty: HashSet<String>,
    swept: Timestamp,
    /// How many since the start, by rule.
    counts: BTreeMap<String, u64>,
}

impl Refusals {
    /// One more. `count`, `first`, `last` and `accepted` of the new row are filled in here.
    pub fn add(&mut self, address: IpAddr, new: Refusal, now: Timestamp) {
        self.sweep(now);
        let rule = new.rule.clone().map(cut);
        let rule = rule.unwrap_or_else(|| format!("protocol ({})", new.stage));
        if self.counts.len() < RULES || self.counts.contains_key(&rule) {
            let count = self.counts.entry(rule).or_default();
            *count = count.saturating_add(1);
        }
        // Of several logins from one address each is counted for itself.
        let counted = new.counted.as_ref().map(|who| format!(" {who}"));
        let key = key(
            address,
            (new.sender.as_deref(), new.recipient.as_deref()),
            new.rule.as_deref(),
            &new.stage,
        ) + &cut(counted.unwrap_or_default());
        // The protocol refuses for many reasons; each has its code.
        let key = match new.rule {
            Some(_) => key,
            None => key + new.reply.get(..CODES).unwrap_or_default(),
        };
        let known = self.rows.get(&key);
        let row = Refusal {
            client: cut(new.client),
            helo: new.helo.map(cut),
            sender: new.sender.map(cut),
            recipient: new.recipient.map(cut),
            rule: new.rule.map(cut),
            counted: new.counted.map(cut),
            reply: cut(new.reply),
            first: known.map_or(now, |known| known.first),
            last: now,
            count: known.map_or(0, |known| known.count).saturating_add(1),
            accepted: known.and_then(|known| known.accepted),
            stage: new.stage,
        };
        self.rows.insert(key.clone(), row);
        self.dirty.insert(key);
    }

    /// A recipient is accepted; whether it had been asked to come again before, and that was not
    /// known yet.
    pub fn accepted(
        &mut self,
        address: IpAddr,
        (sender, recipient): (&str, &str),
        now: Timestamp,
    ) -> bool {
        let key = key(
            address,
            (Some(sender), Some(recipient)),
            Some(GREYLIST),
            "RCPT",
        );
        match self.rows.get_mut(&key) {
            Some(row) if row.accepted.is_none_or(|at| at < row.last) => {
                row.accepted = Some(now);
                self.dirty.insert(key);
                true
            }
            _ => false,
        }
    }

    /// What was refused since the start, by rule, most first.
    pub fn by_rule(&self) -> Vec<(String, u64)> {
        let mut rules: Vec<_> = self.counts.clone().into_iter().collect();
        rules.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        rules
    }

    /// Newest first.
    pub fn list(&self) -> Vec<&Refusal> {
        let mut rows: Vec<_> = self.rows.values().collect();
        rows.sort_by(|a, b| (b.last, &a.client).cmp(&(a.last, &b.client)));
        rows
    }

    fn sweep(&mut self, now: Timestamp) {
        if now.since(self.swept) < SWEEP && now >= self.swept && self.rows.len() < MOST {
            return;
        }
        self.swept = now;
        let mut ages: Vec<_> = self
            .rows
            .iter()
            .map(|(key, row)| (row.last, key.clone()))
            .collect();
        let excess = if self.rows.len() >= MOST {
            MOST / 10
        } else {
            0
        };
        ages.sort_unstable();
        let old = |(at, (last, _)): &(usize, (Timestamp, String))| {
            *at < excess || now.since(*last) >= KEPT
        };
        for (_, (_, key)) in ages.into_iter().enumerate().take_while(old) {
            self.rows.remove(&key);
            self.dirty.insert(key);
        }
    }

    /// Rows that changed, for the next start.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |key: &String| serde_json::to_string(self.rows.get(key)?).ok();
        dirty
            .into_iter()
            .map(|key| (key.clone(), record(&key)))
            .collect()
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.rows.keys().cloned());
    }

    /// Takes back a row, beside what has come since; whether it is one.
    pub fn restore(&mut self, key: String, record: &str) -> bool {
        let Ok(row) = serde_json::from_str::<Refusal>(record) else {
            return false;
        };
        if let Some(known) = self.rows.get_mut(&key) {
            known.absorb(row);
        } else if self.rows.len() < MOST {
            self.rows.insert(key, row);
        }
        true
    }
}

/// Who greylisting waits for is a network.
fn key(
    address: IpAddr,
    (sender, recipient): (Option<&str>, Option<&str>),
    rule: Option<&str>,
    stage: &str,
) -> String {
    let client = match rule {
        Some(GREYLIST) => Network::of(address, 24, 64),
        _ => Network::of(address, 32, 128),
    };
    let text = |text: Option<&str>| cut(text.unwrap_or("-").to_lowercase());
    let (sender, recipient) = (text(sender), text(recipient));
    format!("{client} <{sender}> <{recipient}> {stage} {}", text(rule))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    fn refusal(sender: &str, rule: &str, reply: &str) -> Refusal {
        Refusal {
            client: "unknown[192.0.2.7]".to_owned(),
            helo: None,
            sender: Some(sender.to_owned()),
            recipient: Some("b@example.org".to_owned()),
            stage: "RCPT".to_owned(),
            rule: Some(rule.to_owned()),
            counted: None,
            reply: reply.to_owned(),
            first: at(0),
            last: at(0),
            count: 0,
            accepted: None,
        }
    }

    #[test]
    fn the_same_refusal_is_one_row_and_greylisting_shows_whether_they_came_again() {
        let mut refusals = Refusals::default();
        let (client, neighbour) = ("192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap());
        let grey = refusal("a@example.com", GREYLIST, "450 4.2.0 Greylisted");
        refusals.add(client, grey.clone(), at(0));
        refusals.add(neighbour, grey, at(10));
        refusals.add(
            client,
            refusal("a@example.com", "reject_rbl_client x", "554 no"),
            at(20),
        );
        let rows = refusals.list();
        assert_eq!((rows.len(), rows[1].count, rows[1].first), (2, 2, at(0)));
        let envelope = ("A@example.com", "b@example.org");
        assert!(refusals.accepted(neighbour, envelope, at(400)));
        assert!(
            !refusals.accepted(neighbour, envelope, at(500)),
            "told once"
        );
        assert_eq!(refusals.list()[1].accepted, Some(at(400)));
        let kept: Vec<_> = refusals.changes();
        let mut again = Refusals::default();
        for (key, record) in kept {
            assert!(again.restore(key, &record.unwrap()));
        }
        assert_eq!(again.list(), refusals.list());
        assert!(!again.restore("x".to_owned(), "no JSON"));
    }

    #[test]
    fn a_flood_of_refusals_takes_bounded_room_and_old_ones_are_forgotten() {
        let mut refusals = Refusals::default();
        for number in 0..3 * u32::try_from(MOST).unwrap() {
            let long = format!("{number}{}@example.com", "ä".repeat(1000));
            let address = IpAddr::from(number.to_be_bytes());
            refusals.add(address, refusal(&long, &long, &long), at(number.into()));
            refusals.changes();
        }
        assert!(refusals.rows.len() <= MOST);
        let longest = refusals
            .rows
            .iter()
            .map(|(key, row)| key.chars().count().max(row.reply.chars().count()));
        assert!(longest.max().unwrap() < 3 * LONGEST + 100);
        let later = at(40 * 24 * 3600);
        refusals.add(
            "192.0.2.9".parse().unwrap(),
            refusal("x", "y", "450 z"),
            later,
        );
        assert_eq!(refusals.list().len(), 1);
    }
}
