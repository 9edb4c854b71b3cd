//! Who on a client's machine wrote its mail lately, as its agent says: a few names with their
//! parts.

use std::time::Duration;

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Names that are counted, and told.
const MOST: usize = 16;
const TOLD: usize = 3;
/// What was counted is worth half after so long.
const HALF: Duration = Duration::from_hours(12);

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Who {
    names: Vec<(String, u32)>,
    halved: Timestamp,
}

impl Who {
    pub(super) fn wrote(&mut self, name: &str, now: Timestamp) {
        if now.since(self.halved) >= HALF || now < self.halved {
            self.halved = now;
            self.names.iter_mut().for_each(|(_, count)| *count /= 2);
            self.names.retain(|(_, count)| *count > 0);
        }
        if let Some((_, count)) = self.names.iter_mut().find(|(known, _)| known == name) {
            *count = count.saturating_add(1);
            return;
        }
        // Whoever writes much stays, however many names others make up.
        if self.names.len() >= MOST {
            let counts = self.names.iter().map(|(_, count)| *count).enumerate();
            if let Some((least, _)) = counts.min_by_key(|(_, count)| *count) {
                self.names.swap_remove(least);
            }
        }
        self.names.push((name.to_owned(), 1));
    }

    /// `user www-data, unit php8.4-fpm.service, /srv/x.php (97 %)`, most first.
    pub(super) fn told(&self) -> Vec<String> {
        let total: u64 = self.names.iter().map(|(_, count)| u64::from(*count)).sum();
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let part = |count: u32| {
            (u64::from(count) * 100)
                .checked_div(total)
                .unwrap_or_default()
        };
        let told = names.into_iter().take(TOLD);
        told.map(|(name, count)| format!("{name} ({} %)", part(*count)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_writes_most_is_told_first_and_yesterdays_writers_fade() {
        let mut who = Who::default();
        let at = |hours| Timestamp::from_secs(1_795_333_912).after(Duration::from_hours(hours));
        for number in 0..1000 {
            who.wrote("loop", at(0));
            if number % 10 == 0 {
                who.wrote(&format!("made up {number}"), at(0));
            }
        }
        let told = who.told();
        assert!(
            told[0].starts_with("loop (9") && told.len() == 3,
            "{told:?}"
        );
        for hours in 1..20 {
            who.wrote("other", at(hours * 12));
        }
        assert_eq!(who.told(), ["other (100 %)"]);
    }
}
