//! Events in, mails out, under a clock of our own.

use std::time::Duration;

use mail::clock::{Timestamp, Zone};
use queue::clock::Step;

use super::{Event, Kind, News, Notice, Notices, OutageReport, Passed, Waiting};

/// 2026-11-22 08:51:52 in Paris.
const START: Timestamp = Timestamp::from_secs(1_795_333_912);

fn at(minutes: u64) -> Timestamp {
    START.after(Duration::from_secs(60 * minutes))
}

fn notices() -> Notices {
    let zone = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    Notices::new("mx.example", zone)
}

fn news(kind: Kind, headline: &str, strangers: bool) -> Event {
    Event::News(News {
        kind,
        headline: headline.to_owned(),
        text: format!("{headline}.\n"),
        strangers,
    })
}

fn began(what: &str, patience: u64) -> Event {
    Event::Began(OutageReport {
        what: what.to_owned(),
        patience: Duration::from_secs(60 * patience),
        headline: format!("mx.example: {what} takes no mail"),
        text: format!("{what} takes no mail: refused\n"),
        lasts: true,
        reason: Some("refused".to_owned()),
    })
}

fn ended(what: &str) -> Event {
    Event::Ended {
        what: what.to_owned(),
    }
}

#[test]
fn an_outage_lasts_no_longer_for_a_clock_that_is_set_forward() {
    let mut notices = notices();
    notices.day_is_over(at(0));
    notices.handle(began("next hop", 30), at(0));
    let days = 3 * 24 * 60;
    let step = Step::Forward(Duration::from_secs(60 * days));
    notices.stepped(step, at(days + 1));
    assert_eq!(notices.next_notice(at(days + 29)), None);
    let told = notices.next_notice(at(days + 30)).unwrap();
    assert!(told.text.contains(&at(days).rfc5322()), "{}", told.text);
}

/// All that happens, minute by minute, with what is sent then.
fn lived(
    notices: &mut Notices,
    minutes: u64,
    mut happens: impl FnMut(u64) -> Vec<Event>,
) -> Vec<(u64, Notice)> {
    let mut sent = Vec::new();
    for minute in 0..minutes {
        for event in happens(minute) {
            notices.handle(event, at(minute));
        }
        if notices.day_is_over(at(minute)) {
            let (waiting, more) = (Vec::new(), Vec::new());
            notices.handle(Event::DayEnded { waiting, more }, at(minute));
        }
        while let Some(notice) = notices.next_notice(at(minute)) {
            sent.push((minute, notice));
        }
        let deadline = notices.deadline(at(minute));
        assert!(deadline.is_none_or(|due| due > at(minute)), "all was sent");
    }
    sent
}

#[test]
fn of_each_sort_there_is_one_mail_an_hour_and_it_counts_what_came_meanwhile() {
    let mut notices = notices();
    let sent = lived(&mut notices, 180, |minute| {
        let mut events = vec![news(Kind::Dead, &format!("dead {minute}"), false)];
        if minute == 30 {
            events.push(news(Kind::Fault, "wrong", false));
        }
        events
    });
    let told: Vec<_> = sent.iter().map(|(at, it)| (*at, &*it.subject)).collect();
    assert_eq!(
        told,
        [
            (0, "dead 0"),
            (30, "wrong"),
            (
                60,
                "mx.example: 60 messages can neither be delivered nor returned"
            ),
            (
                120,
                "mx.example: 60 messages can neither be delivered nor returned"
            ),
        ]
    );
    let text = &sent[2].1.text;
    assert!(
        text.contains("dead 1.\n") && text.contains("And 10 more: see smarthost queue list --held"),
        "{text}"
    );
}

#[test]
fn strangers_cause_one_mail_a_day_and_crowd_out_nothing_that_is_ours() {
    let mut notices = notices();
    let flood = lived(&mut notices, 48 * 60, |_| {
        (0..20).map(|_| news(Kind::Dead, "forged", true)).collect()
    });
    let dead: Vec<_> = flood
        .iter()
        .filter(|(_, it)| it.kind == Kind::Dead)
        .collect();
    assert_eq!(
        dead.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [0, 1440]
    );
    assert!(dead[1].1.text.len() < 2000, "{}", dead[1].1.text.len());
    notices.handle(news(Kind::Dead, "ours", false), at(48 * 60));
    let ours = notices.next_notice(at(48 * 60)).unwrap();
    assert!(ours.text.contains("ours.\n"), "{ours:?}");
}

#[test]
fn an_outage_that_lasts_is_told_with_its_end_and_one_that_does_not_is_not() {
    let mut notices = notices();
    let sent = lived(&mut notices, 300, |minute| match minute {
        0 | 100 | 110 => vec![began("relay.example", 15)],
        10 => vec![ended("relay.example"), ended("never.example")],
        130 => vec![ended("relay.example")],
        _ => Vec::new(),
    });
    let told: Vec<_> = sent.iter().map(|(at, it)| (*at, &*it.subject)).collect();
    assert_eq!(
        told,
        [
            (115, "mx.example: relay.example takes no mail"),
            (175, "mx.example: relay.example works again"),
        ]
    );
    assert!(sent[0].1.text.contains(&at(100).rfc5322()), "its beginning");
}

#[test]
fn an_outage_of_everything_is_one_mail_and_next_hops_that_come_and_go_are_a_few() {
    let mut down = notices();
    let all = |event: fn(u64) -> Event| (0..300).map(event).collect::<Vec<_>>();
    let sent = lived(&mut down, 120, |minute| match minute {
        0 => all(|n| began(&format!("hop{n}.example"), 15)),
        90 => all(|n| ended(&format!("hop{n}.example"))),
        _ => Vec::new(),
    });
    let told: Vec<_> = sent.iter().map(|(at, it)| (*at, &*it.subject)).collect();
    assert_eq!(
        told,
        [
            (15, "mx.example: 200 outages began or ended"),
            (90, "mx.example: 200 outages began or ended")
        ]
    );
    let mut flapping = notices();
    let sent = lived(&mut flapping, 600, |minute| {
        let what = format!("hop{}.example", minute % 30);
        vec![
            began(&what, 0),
            ended(&format!("hop{}.example", (minute + 15) % 30)),
        ]
    });
    let outages = sent
        .iter()
        .filter(|(_, it)| it.kind == Kind::Outage)
        .count();
    assert!((10..=61).contains(&outages), "{outages} in ten hours");
}

#[test]
fn the_digest_of_a_day_names_the_worst_first_with_the_command_to_look_further() {
    let mut notices = notices();
    for (count, rule) in [(3, "greylist"), (200, "reject_rbl_client bl.example")] {
        for _ in 0..count {
            let (rule, reply) = (rule.to_owned(), "554 5.7.1 no".to_owned());
            notices.handle(Event::Passed(Passed::Refused { rule, reply }), START);
        }
    }
    for n in 0..1000 {
        let to = format!("d{n}.example");
        let reason = "550 5.1.1 nobody".to_owned();
        notices.handle(Event::Passed(Passed::Returned { to, reason }), START);
    }
    for _ in 0..7 {
        let reason = "550 5.1.1 nobody".to_owned();
        notices.handle(Event::Passed(Passed::NotKept { reason }), START);
    }
    assert!(!notices.day_is_over(START));
    let morning = notices.deadline(START).unwrap();
    assert!(morning.rfc3339().len() > 10 && morning.since(START) == Duration::from_secs(79_688));
    assert!(notices.day_is_over(morning));
    let waiting = |to: &str, count| Waiting {
        to: to.to_owned(),
        count,
        oldest: START,
        reason: "connection timed out".to_owned(),
    };
    let waiting = vec![waiting("few.example", 1), waiting("many.example", 40)];
    let more = vec!["backup of vm7 has not come".to_owned()];
    notices.handle(Event::DayEnded { waiting, more }, morning);
    let digest = notices.next_notice(morning).unwrap();
    assert_eq!(
        digest.subject,
        "mx.example: 7 not kept, 1000 returned, 41 waiting for hours, 203 refused, 1 line on what is expected"
    );
    let text = &digest.text;
    let places: Vec<_> = [
        "and is not kept: 7",
        "7  550 5.1.1 nobody",
        "Recipients given up; a report to their senders, who may want none or take none: 1000",
        "1  d0.example: 550 5.1.1 nobody",
        "990  others",
        "40  many.example, the oldest since",
        "1  few.example",
        "smarthost queue summary",
        "200  reject_rbl_client bl.example: 554 5.7.1 no",
        "3  greylist",
        "smarthost report rejected --since 1d",
        "backup of vm7 has not come",
        "smarthost expected list",
    ]
    .iter()
    .map(|part| {
        text.find(part)
            .unwrap_or_else(|| panic!("{part} in\n{text}"))
    })
    .collect();
    assert!(places.is_sorted(), "{text}");
    // A day without anything has no digest.
    let next = notices.deadline(morning).unwrap();
    assert_eq!(next.since(morning), Duration::from_hours(24));
    assert!(notices.day_is_over(next));
    let (waiting, more) = (Vec::new(), Vec::new());
    notices.handle(Event::DayEnded { waiting, more }, next);
    assert_eq!(notices.next_notice(next), None);
}

#[test]
fn a_restart_forgets_nothing_that_waits_and_repeats_nothing() {
    let mut before = notices();
    before.handle(news(Kind::Dead, "one", false), at(0));
    assert!(before.next_notice(at(0)).is_some());
    before.handle(news(Kind::Dead, "two", false), at(1));
    before.handle(began("relay.example", 0), at(1));
    assert!(before.next_notice(at(1)).is_some());
    let passed = Passed::Late {
        to: "a.example".to_owned(),
    };
    before.handle(Event::Passed(passed), at(2));
    assert!(!before.day_is_over(at(2)));
    let mut after = notices();
    for (row, record) in before.changes(at(2)) {
        assert!(after.restore(&row, &record.unwrap()), "{row}");
    }
    assert!(before.changes(at(2)).is_empty());
    for (row, record) in [("x", "{}"), ("day", "[]"), ("news [\"Dead\",\"\"]", "no")] {
        assert!(!after.restore(row, record), "{row}");
    }
    assert_eq!(after.next_notice(at(3)), None);
    assert_eq!(after.next_notice(at(60)).unwrap().subject, "two");
    after.handle(ended("relay.example"), at(70));
    let again = after.next_notice(at(70)).unwrap();
    assert_eq!(again.subject, "mx.example: relay.example works again");
    let (waiting, more) = (Vec::new(), Vec::new());
    after.handle(Event::DayEnded { waiting, more }, at(1440));
    let digest = after.next_notice(at(1440)).unwrap();
    assert_eq!(digest.subject, "mx.example: 1 late");
}

#[test]
fn what_was_told_while_the_clock_was_ahead_silences_nothing_until_the_time_gets_there() {
    let ahead = 400 * 24 * 60;
    for restart in [false, true] {
        let mut notices = notices();
        notices.day_is_over(at(0));
        for (kind, of_strangers) in [(Kind::Limits, false), (Kind::Dead, true)] {
            notices.handle(news(kind, "ahead", of_strangers), at(ahead));
            assert!(notices.next_notice(at(ahead)).is_some());
        }
        notices.handle(began("next hop", 30), at(ahead));
        assert!(notices.told_lately(Kind::Dead, at(0)));
        if restart {
            let rows = notices.changes(at(ahead));
            notices = self::notices();
            for (row, record) in rows {
                assert!(notices.restore(&row, &record.unwrap()));
            }
        }
        notices.handle(news(Kind::Limits, "now", false), at(0));
        assert_eq!(
            notices.deadline(at(0)),
            Some(at(30)),
            "the outage's patience"
        );
        assert!(
            notices
                .next_notice(at(30))
                .unwrap()
                .subject
                .contains("next hop")
        );
        assert_eq!(
            notices.deadline(at(31)),
            Some(at(60)),
            "an hour after the last"
        );
        assert_eq!(notices.next_notice(at(60)).unwrap().subject, "now");
        notices.handle(news(Kind::Dead, "dead", true), at(90));
        assert_eq!(notices.next_notice(at(24 * 60 - 1)), None);
        assert_eq!(notices.next_notice(at(24 * 60)).unwrap().subject, "dead");
        assert!(!notices.told_lately(Kind::Limits, at(26 * 60)));
    }
}
