//! What was taken since the start, by user and unit. Pure.
//!
//! Contract: bounded. Of one user at most [`UNITS`] units are told apart, and [`MOST`] rows in all;
//! what is beyond counts as of others, so that the sums are right.

use std::collections::BTreeMap;

use control::status::Taken;

/// Rows of one user: sessions and transient units have names without end.
const UNITS: usize = 20;
/// Rows in all.
const MOST: usize = 1000;
/// The unit of what is not told apart, and the user.
const OTHERS: &str = "others";

/// Counted messages. Of whom: the user's number, `None` for all that are not told apart, and the
/// unit.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<(Option<u32>, String), Taken>);

impl Counts {
    /// A message was answered 250.
    pub(super) fn add(&mut self, (uid, user): (u32, &str), unit: &str, bytes: u64) {
        let (key, user) = self.place(uid, user, unit);
        let row = self.0.entry(key).or_insert_with_key(|(_, unit)| Taken {
            user: user.to_owned(),
            unit: unit.clone(),
            messages: 0,
            bytes: 0,
        });
        row.messages = row.messages.saturating_add(1);
        row.bytes = row.bytes.saturating_add(bytes);
    }

    fn place<'a>(&self, uid: u32, user: &'a str, unit: &str) -> ((Option<u32>, String), &'a str) {
        let of_user = |unit: &str| (Some(uid), unit.to_owned());
        let is_free = |key: &_| self.0.contains_key(key) || self.0.len() < MOST;
        let own = self
            .0
            .range(of_user("")..(Some(uid.saturating_add(1)), String::new()));
        let exact = of_user(unit);
        if self.0.contains_key(&exact) || own.count() < UNITS && is_free(&exact) {
            return (exact, user);
        }
        let others = of_user(OTHERS);
        if is_free(&others) {
            (others, user)
        } else {
            ((None, OTHERS.to_owned()), OTHERS)
        }
    }

    /// Those who sent most first, at most so many: of one user alone, if one is named.
    pub(super) fn largest(&self, of: Option<u32>, most: usize) -> Vec<Taken> {
        let rows = self.0.iter();
        let rows = rows.filter(|((uid, _), _)| of.is_none() || *uid == of);
        let mut rows: Vec<_> = rows.map(|(_, taken)| taken.clone()).collect();
        rows.sort_by_key(|taken| std::cmp::Reverse(taken.messages));
        rows.truncate(most);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_units_without_end_fills_no_table_and_hides_nobody() {
        let mut counts = Counts::default();
        for number in 0..5000 {
            let unit = format!("session-{number}.scope");
            counts.add((1000, "mallory"), &unit, 1);
        }
        counts.add((33, "www-data"), "php.service", 10);
        counts.add((33, "www-data"), "php.service", 10);
        counts.add((0, "root"), "", 5);
        assert_eq!(counts.0.len(), UNITS + 1 + 2);
        let all = counts.largest(None, usize::MAX);
        assert_eq!(all.iter().map(|it| it.messages).sum::<u64>(), 5003);
        assert_eq!(
            (all[0].user.as_str(), all[0].unit.as_str()),
            ("mallory", OTHERS)
        );
        assert_eq!(all[0].messages, 4980);
        let own = counts.largest(Some(33), usize::MAX);
        assert_eq!((own.len(), own[0].messages, own[0].bytes), (1, 2, 20));
        assert_eq!(counts.largest(Some(7), usize::MAX), []);
    }

    #[test]
    fn so_many_users_as_there_may_be_have_an_end_too() {
        let mut counts = Counts::default();
        for uid in 0..3000 {
            counts.add((uid, "u"), "cron.service", 1);
        }
        counts.add((u32::MAX, "last"), "cron.service", 1);
        assert_eq!(counts.0.len(), MOST + 1);
        let all = counts.largest(None, 2);
        assert_eq!((all[0].user.as_str(), all[0].messages), (OTHERS, 2001));
    }
}
