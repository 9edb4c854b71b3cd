//! Which block lists can be believed: one that refuses us, or lists everybody, is switched off
//! before it refuses all mail.
//!
//! Contract: pure. A list is tested when it is first used and then every hour, one that is off
//! every ten minutes; it comes back by itself with a test that it passes.
//! RFC 5782 §5: 127.0.0.2 (`test` among names) is always listed, 127.0.0.1 (`invalid`) never.

use std::{collections::BTreeMap, time::Duration};

use mail::clock::Timestamp;

use super::{
    Found, Listing,
    dnsbl::{List, Meaning},
};

const TEST: Duration = Duration::from_hours(1);
const TEST_OF_OFF: Duration = Duration::from_mins(10);

/// What is said of a list of which nothing is known but that.
pub const NO_TEST_ENTRY: &str = "has no entry for tests (RFC 5782 section 5); does it exist?";

/// What is known of the lists, by name.
#[derive(Debug, Default)]
pub struct Health(BTreeMap<String, State>);

#[derive(Debug, Default)]
struct State {
    /// Why it is off, and since when.
    off: Option<(String, Timestamp)>,
    tested: Option<Timestamp>,
    /// Answers that were no answers of a list.
    faults: u64,
    /// Questions that nobody answered.
    troubles: u64,
    /// It was told that the entry for tests is missing.
    warned: bool,
}

/// What administrators have to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// It is switched off, and why.
    Off {
        list: String,
        why: String,
    },
    On {
        list: String,
    },
    /// Its entry for tests is missing: it may be dead.
    NoTestEntry {
        list: String,
    },
}

impl Health {
    /// Whether it is not asked now.
    pub fn is_off(&self, list: &List) -> bool {
        self.0
            .get(&list.name())
            .is_some_and(|state| state.off.is_some())
    }

    /// What an answer means for the client.
    pub fn judge(&mut self, list: &List, found: Found, now: Timestamp) -> (Listing, Option<News>) {
        match found {
            Found::Nothing => (Listing::NotListed, None),
            Found::Trouble(_) => {
                let state = self.0.entry(list.name()).or_default();
                state.troubles = state.troubles.saturating_add(1);
                (Listing::Unknown, None)
            }
            Found::Codes(codes, why) => match list.meaning(&codes) {
                Meaning::Listed => (Listing::Listed(why), None),
                Meaning::NotListed => (Listing::NotListed, None),
                Meaning::Fault => {
                    let codes: Vec<_> = codes.iter().map(ToString::to_string).collect();
                    let what = format!("it answers {}, which is no listing", codes.join(", "));
                    (Listing::Unknown, self.switch_off(list, what, now))
                }
            },
        }
    }

    fn switch_off(&mut self, list: &List, why: String, now: Timestamp) -> Option<News> {
        let state = self.0.entry(list.name()).or_default();
        state.faults = state.faults.saturating_add(1);
        state.tested = Some(now);
        let news = state.off.is_none().then(|| News::Off {
            list: list.name(),
            why: why.clone(),
        });
        state.off.get_or_insert((why, now));
        news
    }

    /// Whether it is to be tested now.
    pub fn is_due(&self, list: &List, now: Timestamp) -> bool {
        let state = self.0.get(&list.name());
        let wait = match state {
            Some(State { off: Some(_), .. }) => TEST_OF_OFF,
            _ => TEST,
        };
        let tested = state.and_then(|state| state.tested);
        // One by a clock that was ahead is none.
        tested.is_none_or(|tested| tested > now || now.since(tested) >= wait)
    }

    /// What a test came to: the entry that must be there, and the one that must not.
    pub fn tested(
        &mut self,
        list: &List,
        (must, must_not): (&Found, &Found),
        now: Timestamp,
    ) -> Option<News> {
        let fault = [must, must_not].into_iter().find_map(|found| match found {
            Found::Codes(codes, _) if list.meaning(codes) == Meaning::Fault => codes.first(),
            _ => None,
        });
        if let Some(code) = fault {
            return self.switch_off(list, format!("it answers {code}, which is no listing"), now);
        }
        if matches!(must_not, Found::Codes(..)) {
            let why = "it lists what is never listed (RFC 5782 section 5)".to_owned();
            return self.switch_off(list, why, now);
        }
        let state = self.0.entry(list.name()).or_default();
        state.tested = Some(now);
        match (must, must_not) {
            (Found::Trouble(_), _) | (_, Found::Trouble(_)) => None,
            (Found::Codes(..), _) => {
                state.warned = false;
                state.off.take().map(|_| News::On { list: list.name() })
            }
            // One that is off for good reasons stays so until it shows that it works.
            (Found::Nothing, _) if state.off.is_some() => None,
            (Found::Nothing, _) => {
                let news = News::NoTestEntry { list: list.name() };
                (!std::mem::replace(&mut state.warned, true)).then_some(news)
            }
        }
    }

    /// A line for each list that is off.
    pub fn alarms(&self) -> Vec<String> {
        let off = self.0.iter().filter_map(|(name, state)| {
            let (why, since) = state.off.as_ref()?;
            let (since, faults) = (since.mailq(), state.faults);
            Some(format!(
                "block list {name} is off since {since}: {why} ({faults} such answers)"
            ))
        });
        off.collect()
    }

    /// How a list does: whether it is believed, and in words.
    pub fn of(&self, list: &List) -> (bool, String) {
        let state = self.0.get(&list.name());
        let (faults, troubles) = self.counts(list);
        match state.and_then(|state| state.off.as_ref()) {
            Some((why, since)) => (false, format!("off since {}: {why}", since.mailq())),
            None if faults + troubles == 0 => (true, "no question without an answer".to_owned()),
            None => (
                true,
                format!("{troubles} questions without an answer, {faults} that were none"),
            ),
        }
    }

    /// Questions to a list that came to nothing: faults, and silence.
    pub fn counts(&self, list: &List) -> (u64, u64) {
        let state = self.0.get(&list.name());
        state.map_or((0, 0), |state| (state.faults, state.troubles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    fn codes(code: &str) -> Found {
        Found::Codes(vec![code.parse().unwrap()], Some("reason".to_owned()))
    }

    #[test]
    fn a_list_that_refuses_us_is_off_with_one_alarm_until_it_passes_its_test() {
        let list = List::parse("zen.example=127.0.0.[2..11]", false).unwrap();
        let mut health = Health::default();
        let listed = health.judge(&list, codes("127.0.0.4"), at(0));
        assert_eq!(listed, (Listing::Listed(Some("reason".to_owned())), None));
        let (listing, news) = health.judge(&list, codes("127.255.255.254"), at(1));
        assert_eq!(listing, Listing::Unknown);
        assert!(matches!(news, Some(News::Off { .. })) && health.is_off(&list));
        let (_, again) = health.judge(&list, codes("127.255.255.254"), at(2));
        assert_eq!((again, health.counts(&list)), (None, (2, 0)));
        assert!(
            health.alarms()[0].contains("127.255.255.254"),
            "{:?}",
            health.alarms()
        );
        assert!(!health.is_due(&list, at(500)) && health.is_due(&list, at(700)));
        let refused = codes("127.255.255.254");
        assert_eq!(
            health.tested(&list, (&refused, &Found::Nothing), at(700)),
            None
        );
        assert_eq!(
            health.tested(&list, (&Found::Nothing, &Found::Nothing), at(1400)),
            None
        );
        assert!(health.is_off(&list), "nothing shows that it works");
        let back = health.tested(&list, (&codes("127.0.0.2"), &Found::Nothing), at(2100));
        assert!(matches!(back, Some(News::On { .. })) && !health.is_off(&list));
        assert!(health.alarms().is_empty());
    }

    #[test]
    fn a_list_that_lists_everybody_is_off_and_one_without_a_test_entry_only_warns_once() {
        let list = List::parse("dead.example", false).unwrap();
        let mut health = Health::default();
        assert!(health.is_due(&list, at(0)));
        let warned = health.tested(&list, (&Found::Nothing, &Found::Nothing), at(0));
        assert!(matches!(warned, Some(News::NoTestEntry { .. })) && !health.is_off(&list));
        assert_eq!(
            health.tested(&list, (&Found::Nothing, &Found::Nothing), at(3600)),
            None
        );
        let all = codes("127.0.0.2");
        let off = health.tested(&list, (&all, &all), at(7200));
        assert!(matches!(off, Some(News::Off { .. })) && health.is_off(&list));
        let parked = codes("198.51.100.7");
        let mut other = Health::default();
        let off = other.tested(&list, (&parked, &parked), at(0));
        assert!(matches!(off, Some(News::Off { .. })), "{off:?}");
    }

    #[test]
    fn a_list_that_does_not_answer_refuses_nobody_and_is_counted() {
        let list = List::parse("slow.example", false).unwrap();
        let mut health = Health::default();
        let silent = Found::Trouble("no answer in time".to_owned());
        assert_eq!(
            health.judge(&list, silent.clone(), at(0)),
            (Listing::Unknown, None)
        );
        assert_eq!(health.tested(&list, (&silent, &silent), at(0)), None);
        assert!(!health.is_off(&list) && !health.is_due(&list, at(60)));
        assert_eq!(health.counts(&list), (0, 1));
    }
}
