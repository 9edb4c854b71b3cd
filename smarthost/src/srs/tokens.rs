//! Senders whose rewritten form would be longer than a local part may be: a token stands for each.
//! Pure.
//!
//! Contract: bounded: [`MOST`] senders, of which those go first that were used longest ago. One is
//! remembered for as long as addresses with its token are taken. A token never comes to stand for
//! somebody else.
//! See also: `state`, which keeps them over a restart.

use std::collections::{HashMap, HashSet};

use mail::{address::Address, clock::Timestamp};

use crate::oldest;

/// How long an address leads back, days.
pub(super) const LIFETIME: u64 = 21;
pub(super) const DAY: u64 = 24 * 60 * 60;
/// Senders that are known.
const MOST: usize = 100_000;

/// The senders, by token.
#[derive(Debug, Default)]
pub struct Tokens {
    /// And the day when it was used last.
    rows: HashMap<String, (Address, u64)>,
    dirty: HashSet<String>,
}

impl Tokens {
    /// From now on the token stands for the sender; not if it stands for somebody else.
    pub(super) fn note(&mut self, token: &str, sender: &Address, now: Timestamp) -> bool {
        let today = now.as_secs() / DAY;
        match self.rows.get(token) {
            Some((known, _)) if known != sender => return false,
            Some((_, day)) if *day >= today => return true,
            Some(_) => {}
            None => self.make_room(),
        }
        self.rows.insert(token.to_owned(), (sender.clone(), today));
        self.dirty.insert(token.to_owned());
        true
    }

    pub(super) fn sender(&self, token: &str) -> Option<&Address> {
        self.rows.get(token).map(|(sender, _)| sender)
    }

    /// Those go that were used longest ago.
    fn make_room(&mut self) {
        if self.rows.len() < MOST {
            return;
        }
        let days = self.rows.iter().map(|(token, (_, day))| (*day, token));
        for token in oldest::tenth(MOST, days) {
            self.rows.remove(&token);
            self.dirty.insert(token);
        }
    }

    /// Rows that changed, for the next start.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty);
        let record = |token: &String| {
            let (sender, day) = self.rows.get(token)?;
            Some(format!("{day} {sender}"))
        };
        let rows = dirty.into_iter();
        rows.map(|token| (token.clone(), record(&token))).collect()
    }

    /// All of them are to be written.
    pub fn all_changed(&mut self) {
        self.dirty.extend(self.rows.keys().cloned());
    }

    /// Takes back a row, unless a newer one is there; whether it is one.
    pub fn restore(&mut self, token: String, record: &str) -> bool {
        let row = record.split_once(' ').and_then(|(day, sender)| {
            Some((Address::parse(sender).ok()?, day.parse::<u64>().ok()?))
        });
        match row {
            Some(row) if self.rows.len() < MOST => {
                self.rows.entry(token).or_insert(row);
                true
            }
            row => row.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u64) -> Timestamp {
        Timestamp::from_secs(day * DAY)
    }

    fn sender(number: usize) -> Address {
        Address::new(&format!("user{number}"), "ham.example").unwrap()
    }

    #[test]
    fn a_token_stands_for_one_sender_and_is_written_once_a_day() {
        let mut tokens = Tokens::default();
        assert!(tokens.note("T", &sender(1), day(9)));
        assert!(tokens.note("T", &sender(1), day(9)));
        assert!(!tokens.note("T", &sender(2), day(9)));
        let row = ("T".to_owned(), Some("9 user1@ham.example".to_owned()));
        assert_eq!(tokens.changes(), [row]);
        assert_eq!(tokens.changes(), []);
        assert!(tokens.note("T", &sender(1), day(10)));
        let (token, record) = tokens.changes().pop().unwrap();
        let mut restored = Tokens::default();
        assert!(restored.restore(token, &record.unwrap()));
        assert_eq!(restored.sender("T"), Some(&sender(1)));
        for wrong in ["", "9", "x user1@ham.example", "9 nobody"] {
            assert!(!restored.restore("U".to_owned(), wrong), "{wrong}");
        }
    }

    #[test]
    fn many_senders_make_room_for_new_ones_and_the_newest_stay() {
        let mut tokens = Tokens::default();
        for number in 0..MOST + MOST / 5 {
            let at = day(20 + u64::try_from(number / 10_000).unwrap());
            tokens.note(&number.to_string(), &sender(number), at);
            assert!(tokens.rows.len() <= MOST);
        }
        assert!(tokens.rows.len() >= MOST * 8 / 10, "{}", tokens.rows.len());
        let newest = MOST + MOST / 5 - 1;
        assert_eq!(tokens.sender(&newest.to_string()), Some(&sender(newest)));
        assert_eq!(tokens.sender("0"), None);
        let gone = tokens
            .changes()
            .into_iter()
            .filter(|(_, row)| row.is_none());
        assert!(gone.count() >= MOST / 5, "what went is deleted on disk");
        // All of one day.
        let mut flood = Tokens::default();
        for number in 0..MOST + 5 {
            flood.note(&number.to_string(), &sender(number), day(20));
        }
        assert!(flood.rows.len() <= MOST && flood.rows.len() > MOST / 2);
    }
}
