//! The limits in force for somebody, with what an administrator has ordered.

use std::time::Duration;

use mail::clock::Timestamp;
use queue::rate::Window;

use super::raised::Raised;
use crate::limits::{
    Limit,
    rules::{longest, ordered},
};

/// Attempts that came to nothing have a limit of their own: so many times the messages, but not
/// fewer than this.
const ATTEMPTS: u32 = 10;
const FEWEST_ATTEMPTS: u32 = 100;
/// One in so many messages more may be a test, which does not count.
const TESTS: u32 = 10;
/// The longest time in which they are counted: a client that was mended need not wait for a day.
const ATTEMPTS_SPAN: Duration = Duration::from_hours(1);
/// The time that an order of the administrator is about where no limit is configured.
const DAY: Duration = Duration::from_hours(24);

/// The limits in force for somebody.
#[derive(Clone, Debug)]
pub(in crate::limits) struct Terms {
    pub(in crate::limits) limits: Vec<Limit>,
    pub(in crate::limits) raised: Option<Raised>,
    /// The limit that an order has changed.
    pub(super) usual: Option<u32>,
}

impl Terms {
    /// An order changes the longest limit; where there is none it is about a day.
    pub(in crate::limits) fn new(mut limits: Vec<Limit>, raised: Option<Raised>) -> Self {
        let mut usual = None;
        if let Some(raised) = raised {
            match ordered(&limits).and_then(|index| limits.get_mut(index)) {
                Some(limit) => {
                    usual = Some(std::mem::replace(&mut limit.window.limit, raised.limit));
                }
                None => limits.push(Limit::from(Window {
                    limit: raised.limit,
                    span: DAY,
                })),
            }
        }
        Self {
            limits,
            raised,
            usual,
        }
    }

    /// When the order ends, and what is in force then.
    fn later(&self) -> Option<(Timestamp, Vec<Limit>)> {
        let until = self.raised?.until;
        let mut limits = self.limits.clone();
        let changed = ordered(&limits).and_then(|index| limits.get_mut(index));
        match (changed, self.usual) {
            (Some(limit), Some(usual)) => limit.window.limit = usual,
            _ => limits.clear(),
        }
        Some((until, limits))
    }

    /// When one more comes under a limit that is full until `free`: the order that has lowered it
    /// may end sooner. `under`: the same under what this limit is then.
    pub(in crate::limits) fn sooner(
        &self,
        free: Option<Timestamp>,
        under: impl Fn(&[Limit]) -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let Some((until, limits)) = self.later() else {
            return free;
        };
        let then = under(&limits).map_or(until, |free| free.max(until));
        Some(free.map_or(then, |free| free.min(then)))
    }

    pub(super) fn attempts(&self) -> Option<Window> {
        attempts(&self.limits)
    }

    /// Tests that are not counted: a tenth of the longest limit, but one, in the same time.
    pub(super) fn tests(&self) -> Option<Window> {
        let longest = self.limits.get(longest(&self.limits)?)?.window;
        Some(Window {
            limit: longest.limit.div_ceil(TESTS),
            ..longest
        })
    }
}

pub(super) fn attempts(limits: &[Limit]) -> Option<Window> {
    let longest = limits.get(longest(limits)?)?.window;
    Some(Window {
        limit: longest.limit.saturating_mul(ATTEMPTS).max(FEWEST_ATTEMPTS),
        span: longest.span.min(ATTEMPTS_SPAN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::{Decision, Limits, Peer, Rules},
        network::Networks,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_795_333_912);

    fn client() -> Peer {
        "10.0.0.7".parse::<std::net::IpAddr>().unwrap().into()
    }

    fn limits(written: &[&str]) -> Limits {
        let limits = written.iter().map(|text| Limit::parse(text).unwrap());
        Limits::new(Rules {
            networks: Networks(vec!["10.0.0.0/8".parse().unwrap()]),
            per_client: limits.collect(),
            ..Rules::default()
        })
    }

    /// So many messages to so many recipients each that are taken.
    fn take(limits: &mut Limits, messages: u32, recipients: u32) {
        for _ in 0..messages {
            assert!(!matches!(limits.begin(&client(), NOW), Decision::Over(_)));
            for _ in 0..recipients {
                let decision = limits.recipient(&client(), NOW);
                assert!(!matches!(decision, Decision::Over(_)), "{decision:?}");
            }
            limits.end(&client(), recipients, Some(recipients), NOW);
        }
    }

    fn next_slot(limits: &mut Limits) -> Option<Timestamp> {
        let shown = limits.show(&"10.0.0.7".parse().unwrap(), NOW).unwrap();
        match limits.begin(&client(), NOW) {
            Decision::Over(excess) => {
                assert_eq!(Some(excess.next_slot), shown.next_slot);
                Some(excess.next_slot)
            }
            _ => None,
        }
    }

    #[test]
    fn a_client_whose_limit_was_lowered_hears_when_that_ends_if_it_may_send_then() {
        let (short, long) = (Duration::from_mins(8), Duration::from_hours(48));
        for (taken, order, lasts, ends_it) in [
            (2, 2, short, true),
            (2, 0, short, true),
            (2, 2, long, false),
            // The usual limit is reached too.
            (9, 2, short, false),
        ] {
            let mut limits = limits(&["9/day"]);
            take(&mut limits, taken, 1);
            let until = NOW.after(lasts);
            let whom = "10.0.0.7".parse().unwrap();
            limits.raise(&whom, order, until, NOW).unwrap();
            let slot = next_slot(&mut limits).unwrap();
            assert_eq!(slot == until, ends_it, "{taken}, {order}: {slot:?}");
            assert!(slot < NOW.after(Duration::from_hours(25)));
        }
    }

    #[test]
    fn an_order_changes_the_longest_limit_whatever_it_counts() {
        let whom = "10.0.0.7".parse().unwrap();
        for (written, changed) in [
            (&["10 recipients/day", "3/10m"][..], "40 recipients/day"),
            (&["3/10m", "10 recipients/day"], "40 recipients/day"),
            (&["10 recipients/day"], "40 recipients/day"),
            (&["10 recipients/hour", "9/day"], "40/day"),
            (&["9/day", "10 recipients/day"], "40/day"),
            (&["10 recipients/day", "9/day"], "40/day"),
        ] {
            let mut limits = limits(written);
            take(&mut limits, 2, 5);
            let until = NOW.after(DAY);
            limits.raise(&whom, 40, until, NOW).unwrap();
            let shown = limits.show(&whom, NOW).unwrap();
            let raised = shown.windows.iter().map(|(_, limit)| limit.to_string());
            let raised: Vec<_> = raised
                .filter(|it| !written.contains(&it.as_str()))
                .collect();
            assert_eq!(raised, [changed], "{written:?}");
            let what = if changed.contains("recipients") {
                "recipients"
            } else {
                "messages"
            };
            let told = format!("raised to 40 {what} in a day until ");
            assert!(shown.ordered().unwrap().starts_with(&told), "{written:?}");
            let refused = next_slot(&mut limits).is_some();
            assert_eq!(refused, !changed.contains("recipients"), "{written:?}");
        }
    }

    #[test]
    fn of_two_limits_for_the_same_things_and_time_the_lower_one_is_in_force_and_can_be_raised() {
        let whom = "10.0.0.7".parse().unwrap();
        for written in [["3/day", "2/day"], ["2/day", "3/day"], ["2/day", "2/day"]] {
            let mut limits = limits(&written);
            take(&mut limits, 2, 1);
            assert!(next_slot(&mut limits).is_some(), "{written:?}");
            limits.raise(&whom, 5, NOW.after(DAY), NOW).unwrap();
            take(&mut limits, 3, 1);
            let shown = limits.show(&whom, NOW).unwrap();
            assert_eq!(shown.usage(), "5 of 5 in a day", "{written:?}");
        }
    }
}
