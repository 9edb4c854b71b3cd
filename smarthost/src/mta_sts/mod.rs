//! MTA-STS: policies that domains announce in DNS and serve over HTTPS, remembered for as long as
//! they say. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`record`] | the TXT record that announces a policy, with its id |
//! | [`policy`] | the policy: mode, hosts, how long it lasts |
//!
//! Contract: a policy that is known binds until it ends, whatever DNS says and whether a newer one
//! can be fetched. A new id, or half of its time, is when a newer one is wanted; after a failure
//! not before [`PAUSE`]. What cannot be found out for the first time is no policy, as the RFC has
//! it.
//! RFC 8461.

pub mod policy;
pub mod record;

use std::{fmt, time::Duration};

use mail::clock::Timestamp;

pub use policy::{Mode, Policy};

/// How long after a failed attempt a policy is not fetched again (RFC 8461 §3.3).
pub const PAUSE: Duration = Duration::from_mins(5);
/// A policy older than this is fetched anew, even if half of its time is longer.
const DAILY: Duration = Duration::from_hours(24);

/// A policy, and since when it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    pub id: String,
    pub fetched: Timestamp,
    /// As it was served.
    text: String,
    pub policy: Policy,
}

/// What DNS says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Announced {
    Id(String),
    /// None, or nobody could say.
    Nothing,
}

impl Known {
    /// Of the text that was served under an id.
    pub fn new(id: &str, text: &str, now: Timestamp) -> Result<Self, String> {
        Ok(Self {
            id: id.to_owned(),
            fetched: now,
            text: text.to_owned(),
            policy: Policy::parse(text)?,
        })
    }

    /// As it is kept in a file.
    pub fn to_file(&self) -> String {
        format!(
            "id: {}\nfetched: {}\n{}",
            self.id,
            self.fetched.rfc3339(),
            self.text
        )
    }

    /// Out of that file.
    pub fn of_file(kept: &str) -> Option<Self> {
        let mut parts = kept.splitn(3, '\n');
        let id = parts.next()?.strip_prefix("id: ")?;
        let fetched = parts.next()?.strip_prefix("fetched: ")?;
        Self::new(id, parts.next()?, Timestamp::parse(fetched)?).ok()
    }

    /// Whether it still binds. One from the future was fetched by a clock that was wrong, and
    /// counts as just fetched.
    pub fn binds(&self, now: Timestamp) -> bool {
        now.since(self.fetched) < self.policy.max_age
    }

    /// Whether a newer one is wanted before it ends; of one from the future, too.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.fetched > now || now.since(self.fetched) >= (self.policy.max_age / 2).min(DAILY)
    }

    /// Whether deliveries are kept to it.
    pub fn is_enforced(&self) -> bool {
        self.policy.mode == Mode::Enforce
    }

    /// For reasons and the log: `MTA-STS policy 20260101 of example.org, 3h old`.
    pub fn told(&self, domain: &str, now: Timestamp) -> String {
        let age = now.since(self.fetched).as_secs();
        let age = settings::Span(Duration::from_secs(age - age % 60));
        format!("MTA-STS policy {} of {domain}, {age} old", self.id)
    }
}

/// Mode, hosts and id, for an administrator who asks.
impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.policy.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let mx: Vec<String> = self.policy.mx.iter().map(ToString::to_string).collect();
        write!(f, "MTA-STS {mode}: {} (id {})", mx.join(" or "), self.id)
    }
}

/// Which policy is to be fetched now, by its id. `failed`: when that was tried in vain.
pub fn wanted<'a>(
    known: Option<&Known>,
    announced: &'a Announced,
    failed: Option<Timestamp>,
    now: Timestamp,
) -> Option<&'a str> {
    let Announced::Id(id) = announced else {
        return None;
    };
    let up_to_date = known.is_some_and(|known| known.id == *id && !known.is_old(now));
    let too_early = failed.is_some_and(|then| then <= now && now.since(then) < PAUSE);
    (!up_to_date && !too_early).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version: STSv1\nmode: enforce\nmx: old.example.net\nmax_age: 604800\n";

    fn at(hours: u64) -> Timestamp {
        Timestamp::parse("2026-01-01T00:00:00Z")
            .unwrap()
            .after(Duration::from_hours(hours))
    }

    #[test]
    fn a_new_id_is_fetched_at_once_and_the_same_one_before_it_ends() {
        let known = Known::new("1", TEXT, at(0)).unwrap();
        let announced = |id: &str| Announced::Id(id.to_owned());
        for (hours, id, failed, fetched) in [
            (1, Some("1"), None, false),
            (1, Some("2"), None, true),
            (1, Some("2"), Some(at(1)), false),
            (1, Some("2"), Some(at(0)), true),
            (1, None, None, false),
            (25, Some("1"), None, true),
            (200, Some("1"), None, true),
            (1, Some("2"), Some(at(9000)), true),
            (200, None, None, false),
        ] {
            let told = id.map_or(Announced::Nothing, announced);
            let wanted = wanted(Some(&known), &told, failed, at(hours));
            assert_eq!(wanted, id.filter(|_| fetched), "{hours} {id:?} {failed:?}");
        }
        let ahead = Known::new("1", TEXT, at(9000)).unwrap();
        assert!(ahead.binds(at(0)) && wanted(Some(&ahead), &announced("1"), None, at(0)).is_some());
        assert_eq!(wanted(None, &announced("1"), None, at(0)), Some("1"));
        assert_eq!(wanted(None, &Announced::Nothing, None, at(0)), None);
    }

    #[test]
    fn a_policy_binds_until_it_ends_and_survives_on_disk() {
        let known = Known::new("20260101", TEXT, at(0)).unwrap();
        assert!(known.binds(at(167)));
        assert!(!known.binds(at(168)));
        assert!(
            known
                .told("example.net", at(3))
                .contains("20260101 of example.net, 3h old")
        );
        assert_eq!(Known::of_file(&known.to_file()), Some(known.clone()));
        let kept = known.to_file();
        for damaged in [
            "",
            "id: 1\n",
            &kept[..40],
            &kept.replace("STSv1", "x"),
            &kept.replace("fetched: 2", "fetched: x"),
        ] {
            assert_eq!(Known::of_file(damaged), None, "{damaged}");
        }
    }
}
