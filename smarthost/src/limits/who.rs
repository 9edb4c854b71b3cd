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
    /// Messages that were counted, and those of them that said who wrote them.
    #[serde(default)]
    all: u32,
    #[serde(default)]
    said: u32,
    halved: Timestamp,
}

impl Who {
    fn fade(&mut self, now: Timestamp) {
        if now.since(self.halved) >= HALF || now < self.halved {
            self.halved = now;
            self.names.iter_mut().for_each(|(_, count)| *count /= 2);
            self.names.retain(|(_, count)| *count > 0);
            self.all /= 2;
            self.said /= 2;
        }
    }

    /// One more message is counted, whether it says who wrote it or not.
    pub(super) fn counted(&mut self, now: Timestamp) {
        self.fade(now);
        self.all = self.all.saturating_add(1);
    }

    /// It says this.
    pub(super) fn wrote(&mut self, name: &str, now: Timestamp) {
        self.fade(now);
        self.said = self.said.saturating_add(1);
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

    /// `Written by: user www-data, unit php8.4-fpm.service, /srv/x.php (97 %)`, most first, and of
    /// how many messages that is known, where it is not of all.
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
        let told = told.map(|(name, count)| format!("Written by: {name} ({} %)", part(*count)));
        let (all, said) = (self.all, self.said);
        let some = said > 0 && said < all;
        let note = some.then(|| format!("            of {all} messages {said} said who wrote it"));
        told.chain(note).collect()
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
            told[0].starts_with("Written by: loop (9") && told.len() == 3,
            "{told:?}"
        );
        for hours in 1..20 {
            who.wrote("other", at(hours * 12));
        }
        assert_eq!(who.told(), ["Written by: other (100 %)"]);
    }

    #[test]
    fn administrators_read_of_how_many_messages_it_is_known_who_wrote_them() {
        let mut who = Who::default();
        let now = Timestamp::from_secs(1_795_333_912);
        who.counted(now);
        assert_eq!(who.told(), [""; 0]);
        who.wrote("user root", now);
        for _ in 0..7 {
            who.counted(now);
        }
        let told = who.told();
        let note = "            of 8 messages 1 said who wrote it";
        assert_eq!(told, ["Written by: user root (100 %)", note]);
    }
}
