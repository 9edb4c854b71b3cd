//! What the limits let through, and what they tell.

use std::{
    net::IpAddr,
    ops::{Deref, DerefMut},
    time::Duration,
};

use mail::clock::{Timestamp, Zone};
use queue::rate::Window;

use super::{Class, Counted, Decision, Kept, Limit, Limits, Rules};
use crate::{
    network::{Network, Networks},
    notices::{Event, Notice, Notices},
};

mod counting;

const START: Timestamp = Timestamp::from_secs(1_795_333_912);

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> Network {
    Network::parse(text).unwrap()
}

/// With who tells the administrators.
struct Told {
    limits: Limits,
    notices: Notices,
}

impl Deref for Told {
    type Target = Limits;
    fn deref(&self) -> &Limits {
        &self.limits
    }
}
impl DerefMut for Told {
    fn deref_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }
}

impl Told {
    fn hear(&mut self, now: Timestamp) {
        for news in self.limits.news() {
            self.notices.handle(Event::News(news), now);
        }
    }

    fn next_notice(&mut self, now: Timestamp) -> Option<Notice> {
        self.hear(now);
        self.notices.next_notice(now)
    }

    fn notice_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.hear(now);
        self.notices.deadline(now)
    }
}

fn limits(windows: &[(u32, u64)], exempt: &[&str]) -> Told {
    Told {
        limits: Limits::new(rules(windows, exempt)),
        notices: Notices::new("mx.example", Zone::system()),
    }
}

fn rules(windows: &[(u32, u64)], exempt: &[&str]) -> Rules {
    let window = |&(limit, secs): &(u32, u64)| Window {
        limit,
        span: Duration::from_secs(secs),
    };
    let limits: Vec<Limit> = windows.iter().map(window).map(Limit::from).collect();
    Rules {
        networks: Networks(vec![net("10.0.0.0/8"), net("2001:db8:ffff::/48")]),
        per_client: limits.clone(),
        per_prefix6: None,
        per_stranger: limits,
        exempt: Networks(
            exempt
                .iter()
                .map(|text| Network::parse(text).unwrap())
                .collect(),
        ),
    }
}

fn accepted(limits: &mut Limits, client: &str, attempts: u32, now: Timestamp) -> u32 {
    (0..attempts)
        .filter(|_| !matches!(limits.count(ip(client), now), Decision::Over(_)))
        .count()
        .try_into()
        .unwrap()
}

/// Row A4.
#[test]
fn the_101st_message_of_a_day_is_deferred_and_says_when_to_come_back() {
    let mut limits = limits(&[(100, 86_400)], &["10.0.0.9"]);
    assert_eq!(accepted(&mut limits, "10.0.0.7", 100, START), 100);
    let Decision::Over(excess) = limits.count(ip("10.0.0.7"), START.after(minutes(1))) else {
        panic!("let through")
    };
    assert_eq!((excess.count, excess.limit), (101, 100));
    let day = excess.next_slot.since(START);
    assert!(
        day >= minutes(24 * 60) && day <= minutes(24 * 60 + 10),
        "{day:?}"
    );
    assert_eq!(
        excess.log_text("vm7.example[10.0.0.7]"),
        "Message delivery request rate limit exceeded: 101 from vm7.example[10.0.0.7] for service smtp"
    );
    assert_eq!(
        accepted(&mut limits, "10.0.0.8", 100, START),
        100,
        "another client has its own budget"
    );
    assert_eq!(
        accepted(&mut limits, "10.0.0.9", 1000, START),
        1000,
        "an exempt client has no limit"
    );
}

#[test]
fn a_client_that_keeps_trying_is_let_in_again_after_a_day_and_midnight_is_no_amnesty() {
    let mut limits = limits(&[(100, 86_400)], &[]);
    let mut taken = Vec::new();
    for minute in 0..4 * 24 * 60 {
        let now = START.after(minutes(minute));
        if !matches!(limits.count(ip("10.0.0.7"), now), Decision::Over(_)) {
            taken.push(minute);
        }
    }
    assert!(taken.len() >= 3 * 100, "{} taken in four days", taken.len());
    for pair in taken.windows(101) {
        assert!(
            pair[100] - pair[0] >= 24 * 60,
            "101 messages within {} minutes",
            pair[100] - pair[0]
        );
    }
}

#[test]
fn several_windows_apply_at_once() {
    let mut limits = limits(&[(100, 86_400), (20, 600)], &[]);
    assert_eq!(accepted(&mut limits, "10.0.0.7", 50, START), 20);
    assert_eq!(
        accepted(&mut limits, "10.0.0.7", 50, START.after(minutes(11))),
        20
    );
    let late = START.after(minutes(60));
    assert_eq!(
        (0..10)
            .map(|n| accepted(&mut limits, "10.0.0.7", 50, late.after(minutes(11 * n))))
            .sum::<u32>(),
        60
    );
}

#[test]
fn an_ipv6_customer_cannot_escape_by_changing_the_address_within_its_64() {
    let mut limits = limits(&[(3, 86_400)], &[]);
    for host in ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3"] {
        assert_eq!(accepted(&mut limits, host, 1, START), 1);
    }
    assert_eq!(accepted(&mut limits, "2001:db8:1:2::4", 1, START), 0);
    assert_eq!(accepted(&mut limits, "2001:db8:1:3::1", 1, START), 1);
    assert_eq!(accepted(&mut limits, "10.0.0.7", 2, START), 2);
    assert_eq!(
        accepted(&mut limits, "::ffff:10.0.0.7", 2, START),
        1,
        "the same client on a dual-stack socket"
    );
}

/// Whoever reads the mail copies the line: it names what is counted, and lets more through than
/// before.
#[test]
fn the_order_that_a_notice_prints_can_be_typed_as_it_stands() {
    for (limit, client, others) in [
        (100, "10.0.0.7", 1),
        (1000, "10.0.0.7", 1),
        (3, "2001:db8:ffff::7", 1),
        (3, "2001:db8:ffff::7", 10),
    ] {
        let mut limits = limits(&[(limit, 86_400), (2, 1)], &[]);
        let own: std::net::Ipv6Addr = "2001:db8:ffff::".parse().unwrap();
        let address = |number: u32| match others {
            1 => ip(client),
            _ => std::net::Ipv6Addr::from_bits(own.to_bits() + u128::from(number)).into(),
        };
        let mut now = START;
        for _ in 0..limit {
            for number in 0..others {
                limits.count(address(number), now);
            }
            now = now.after(Duration::from_secs(2));
        }
        assert!(matches!(
            limits.count(address(others), now),
            Decision::Over(_)
        ));
        // What is full is told last.
        let mut order = None;
        while let Some(notice) = limits.next_notice(now) {
            let mut lines = notice
                .text
                .lines()
                .filter_map(|line| line.split_once("To raise:  "));
            order = lines
                .next_back()
                .map(|(_, order)| order.to_owned())
                .or(order);
        }
        let order = order.unwrap();
        let words: Vec<_> = order.split(' ').collect();
        let [
            "smarthost",
            "limits",
            "raise",
            whom,
            count,
            "--until",
            "tomorrow",
        ] = words[..]
        else {
            panic!("{order}");
        };
        let until = now.after(Duration::from_hours(24));
        let count = count.parse().unwrap();
        limits.raise(&net(whom).into(), count, until, now).unwrap();
        let after = limits.count(address(others), now);
        assert!(
            matches!(after, Decision::Within { .. }),
            "{order}: {after:?}"
        );
    }
}

#[test]
fn administrators_get_one_mail_at_80_percent_and_one_at_100_a_client_a_day() {
    let mut limits = limits(&[(100, 86_400)], &[]);
    let mut seen = Vec::new();
    for attempt in 1..=300u32 {
        limits.count(ip("10.0.0.7"), START);
        // One mail an hour of each sort.
        let later = START.after(minutes(u64::from(attempt)));
        while let Some(notice) = limits.next_notice(later) {
            assert!(
                notice.text.contains("smarthost limits raise 10.0.0.7"),
                "{}",
                notice.text
            );
            let slot = limits
                .show(&net("10.0.0.7").into(), START)
                .unwrap()
                .next_slot;
            assert!(
                slot.is_none_or(|slot| notice.text.contains(&slot.time_of_day())
                    || notice.text.contains(&slot.rfc3339())),
                "when it may send again: {}",
                notice.text
            );
            seen.push((
                attempt,
                notice.subject.contains("80 of 100"),
                notice.subject.contains("100 of 100"),
            ));
        }
    }
    assert_eq!(seen, [(80, true, false), (101, false, true)]);
    let mut later = 0;
    for hour in 6..=72 {
        let now = START.after(minutes(60 * hour));
        accepted(&mut limits, "10.0.0.7", 50, now);
        later += usize::from(limits.next_notice(now).is_some());
    }
    assert!(
        (2..=6).contains(&later),
        "{later} notices in three more days"
    );
}

#[test]
fn a_limit_that_another_one_never_lets_be_reached_is_found() {
    let never = |limits: &[&str]| {
        let limits = limits.iter().map(|it| Limit::parse(it).unwrap());
        let rules = Rules {
            per_client: limits.collect(),
            ..Rules::default()
        };
        let found = rules.never_reached().into_iter();
        found
            .map(|(_, limit, _)| limit.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(never(&["5/day", "10/1h"]), ["10/hour"]);
    assert_eq!(never(&["100/day", "10/1h"]), [""; 0]);
    assert_eq!(never(&["5/day", "10 recipients/1h"]), [""; 0]);
}

/// An order changes the longest limit alone.
#[test]
fn whoever_is_stopped_by_a_short_limit_is_told_which_setting_lets_more_through() {
    for (taken, orders, short) in [(6, false, true), (20, true, false), (26, true, true)] {
        let mut limits = limits(&[(25, 86_400), (5, 600)], &[]);
        let mut now = START;
        for number in 0..taken {
            // The last ones at once, where the short one is to be reached.
            let pause = if short && number + 5 >= taken { 0 } else { 11 };
            now = now.after(minutes(pause));
            accepted(&mut limits, "10.0.0.7", 1, now);
        }
        let mut last = limits.next_notice(now).unwrap();
        while let Some(next) = limits.next_notice(now) {
            last = next;
        }
        let told = |text: &str| last.text.contains(text);
        let order = "To raise:  smarthost limits raise 10.0.0.7 50 --until tomorrow";
        let setting = "To allow more in 10 minutes: raise \"5/10m\" of limits.per_client";
        assert_eq!(
            (told(order), told(setting)),
            (orders, short),
            "{}",
            last.text
        );
    }
}

#[test]
fn any_window_at_80_percent_is_told_and_neither_notice_is_repeated_after_a_restart() {
    let windows = [(100, 86_400), (10, 600)];
    let mut before = limits(&windows, &[]);
    accepted(&mut before, "10.0.0.7", 7, START);
    assert_eq!(before.next_notice(START), None);
    accepted(&mut before, "10.0.0.7", 1, START);
    let notice = before.next_notice(START).unwrap();
    assert!(
        notice.subject.contains("8 of 10 in 10 minutes"),
        "{notice:?}"
    );
    accepted(&mut before, "10.0.0.7", 2, START);
    before.changes();
    accepted(&mut before, "10.0.0.7", 1, START);
    let hour = START.after(minutes(60));
    assert!(before.next_notice(hour).is_some(), "the first refusal");
    let mut after = limits(&windows, &[]);
    let changes = before.changes();
    assert_eq!(changes.len(), 1, "a refusal alone is kept too");
    for (client, record) in changes {
        assert!(after.restore(client, &record.unwrap(), START));
    }
    accepted(&mut after, "10.0.0.7", 5, START.after(minutes(1)));
    accepted(&mut after, "10.0.0.7", 20, START.after(minutes(30)));
    let day = START.after(minutes(25 * 60));
    assert_eq!(after.next_notice(day), None);
    accepted(&mut after, "10.0.0.7", 20, day);
    let again = [(); 2].map(|()| after.next_notice(day).unwrap().text);
    assert!(
        again.iter().all(|it| it.contains("Client:   10.0.0.7")),
        "the next day both are told again: {again:?}"
    );
}

#[test]
fn counters_survive_a_restart_and_a_change_of_the_limit() {
    let mut before = limits(&[(100, 86_400)], &[]);
    accepted(&mut before, "10.0.0.7", 70, START);
    before
        .raise(
            &net("10.0.0.8").into(),
            500,
            START.after(minutes(60)),
            START,
        )
        .unwrap();
    let mut after = limits(&[(90, 86_400), (1000, 3600)], &[]);
    for (client, record) in before.changes() {
        assert!(after.restore(client, &record.unwrap(), START.after(minutes(5))));
    }
    assert!(
        before.changes().is_empty(),
        "what did not change is not written again"
    );
    assert_eq!(
        accepted(&mut after, "10.0.0.7", 100, START.after(minutes(5))),
        20
    );
    assert_eq!(
        after.show(&net("10.0.0.8").into(), START).unwrap().raised,
        Some((500, START.after(minutes(60))))
    );
    after.set_rules(rules(&[(100, 86_400)], &[]));
    assert_eq!(
        accepted(&mut after, "10.0.0.7", 100, START.after(minutes(6))),
        10
    );
}

#[test]
fn a_damaged_record_is_told_and_harms_nothing() {
    let mut limits = limits(&[(100, 86_400)], &[]);
    let client = (Kept::Counts(Class::Own), net("10.0.0.7").into());
    for record in [
        "",
        "{}",
        "[1,2]",
        "{\"windows\":[{\"seconds\":-1}]}",
        "\u{0}",
    ] {
        assert!(!limits.restore(client.clone(), record, START), "{record:?}");
    }
    let odd = r#"{"windows":[{"seconds":86400,"slots":[[18446744073709551615,4294967295],[0,1],[0,7]]}],"raised":null,"near":null,"full":null}"#;
    assert!(limits.restore(client, odd, START));
    assert_eq!(
        accepted(&mut limits, "10.0.0.7", 1, START),
        0,
        "a count that is too large is kept, as of now"
    );
    assert_eq!(
        accepted(&mut limits, "10.0.0.7", 1, START.after(minutes(25 * 60))),
        1
    );
}

#[test]
fn raise_lets_a_client_send_more_for_a_while_and_reset_forgets_it() {
    let mut limits = limits(&[(10, 86_400)], &[]);
    assert_eq!(accepted(&mut limits, "10.0.0.7", 20, START), 10);
    limits
        .raise(&net("10.0.0.7").into(), 15, START.after(minutes(60)), START)
        .unwrap();
    assert_eq!(accepted(&mut limits, "10.0.0.7", 20, START), 5);
    assert_eq!(
        accepted(&mut limits, "10.0.0.7", 20, START.after(minutes(61))),
        0
    );
    assert!(limits.reset(&net("10.0.0.7").into()).unwrap());
    assert!(!limits.reset(&net("10.0.0.7").into()).unwrap());
    assert_eq!(
        limits.changes().last().unwrap().1,
        None,
        "the reset is kept too"
    );
    assert_eq!(
        accepted(&mut limits, "10.0.0.7", 20, START.after(minutes(61))),
        10
    );
    limits
        .raise(&net("10.0.0.7").into(), 0, START.after(minutes(120)), START)
        .unwrap();
    let Decision::Over(excess) = limits.count(ip("10.0.0.7"), START.after(minutes(62))) else {
        panic!("not blocked")
    };
    assert!(excess.next_slot >= START.after(minutes(120)));
}

#[test]
fn the_listing_begins_with_whoever_sent_most() {
    let mut limits = limits(&[(100, 86_400)], &[]);
    accepted(&mut limits, "10.0.0.7", 3, START);
    accepted(&mut limits, "10.0.0.8", 5, START);
    let usage: Vec<_> = limits
        .list(START)
        .iter()
        .map(|r| format!("{}: {}", r.client, r.usage()))
        .collect();
    assert_eq!(
        usage,
        ["10.0.0.8: 5 of 100 in a day", "10.0.0.7: 3 of 100 in a day"]
    );
    assert!(limits.list(START.after(minutes(49 * 60))).is_empty());
}

#[test]
fn a_flood_of_addresses_takes_no_more_memory_and_does_not_wash_out_heavy_senders() {
    let mut limits = limits(&[(10, 86_400)], &[]);
    accepted(&mut limits, "10.0.0.7", 10, START);
    for n in 0..200_000u32 {
        limits.count(
            IpAddr::from((u128::from(n) << 64 | 0x2001_0db8 << 96).to_be_bytes()),
            START,
        );
        limits.changes();
    }
    assert!(limits.len() <= 65_536, "{}", limits.len());
    assert_eq!(accepted(&mut limits, "10.0.0.7", 1, START), 0);
}
