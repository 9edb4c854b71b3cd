//! What counts, and for whom.

use super::*;
use crate::limits::{ClientId, Failed, Report, note_closed};

/// Refused mail costs the day nothing, and an endless row of attempts is slowed down for an hour.
#[test]
fn what_is_not_taken_does_not_count_and_attempts_without_end_have_a_limit_of_their_own() {
    let mut limits = limits(&[(10, 86_400)], &[]);
    let client = ip("10.0.0.7");
    for _ in 0..99 {
        assert!(matches!(
            limits.begin(&client.into(), START),
            Decision::Within { count: 1, .. }
        ));
        limits.end(&client.into(), 0, None, START);
    }
    assert_eq!(accepted(&mut limits, "10.0.0.7", 9, START), 9);
    limits.begin(&client.into(), START);
    limits.end(&client.into(), 0, None, START);
    let Decision::Over(excess) = limits.begin(&client.into(), START) else {
        panic!("not slowed down")
    };
    let text = excess.reply().text();
    assert!(
        text.contains("too many attempts from 10.0.0.7 (101 of 100 in an hour"),
        "{text}"
    );
    // Nobody is told of too much mail; who asks hears what it is, after a restart too.
    let [_near, news] = &limits.news()[..] else {
        panic!("told once of each")
    };
    let told = format!("{}\n{}", news.headline, news.text);
    assert!(
        told.contains("10.0.0.7 has made too many attempts that were not accepted"),
        "{told}"
    );
    assert!(told.contains("limits reset 10.0.0.7"), "{told}");
    assert!(
        !told.contains("To raise") && !told.contains("all the mail"),
        "{told}"
    );
    let id = net("10.0.0.7").into();
    let usage = limits.show(&id, START).unwrap().usage();
    assert_eq!(
        usage,
        "9 of 10 in a day, attempts that came to nothing: 100 of 100 in an hour"
    );
    let mut again = super::limits(&[(10, 86_400)], &[]);
    for (kept, record) in limits.changes() {
        assert!(again.restore(kept, &record.unwrap(), START));
    }
    let is_over = |limits: &mut Told| {
        let decision = limits.begin(&client.into(), START);
        matches!(decision, Decision::Over(_))
    };
    assert!(is_over(&mut again));
    // An order of more messages is one of more attempts, at once; and forgetting helps.
    again
        .raise(&id, 20, START.after(minutes(30)), START)
        .unwrap();
    assert!(!is_over(&mut again));
    again
        .raise(&id, 10, START.after(minutes(30)), START)
        .unwrap();
    assert!(is_over(&mut again));
    assert!(again.reset(&id).unwrap());
    assert!(!is_over(&mut again));
    let later = START.after(minutes(62));
    assert_eq!(
        accepted(&mut limits, "10.0.0.7", 5, later),
        1,
        "the tenth of the day"
    );
}

#[test]
fn messages_that_are_under_way_hold_their_places_and_give_them_back() {
    let mut limits = limits(&[(2, 86_400)], &[]);
    let client = ip("10.0.0.7");
    assert!(matches!(
        limits.begin(&client.into(), START),
        Decision::Within { count: 1, .. }
    ));
    assert!(matches!(
        limits.begin(&client.into(), START),
        Decision::Within { count: 2, .. }
    ));
    assert!(matches!(
        limits.begin(&client.into(), START),
        Decision::Over(_)
    ));
    limits.end(&client.into(), 0, None, START);
    assert!(matches!(
        limits.begin(&client.into(), START),
        Decision::Within { count: 2, .. }
    ));
    limits.end(&client.into(), 0, Some(1), START);
    limits.end(&client.into(), 0, Some(1), START);
    assert_eq!(accepted(&mut limits, "10.0.0.7", 3, START), 0);
    limits.take_back(&client.into(), 1, START);
    assert_eq!(accepted(&mut limits, "10.0.0.7", 3, START), 1);
}

/// What `sendmail-shim test` sends is no way around the limit.
#[test]
fn a_tenth_of_the_limit_may_be_tests_that_do_not_count_and_more_of_them_do() {
    let mut limits = limits(&[(20, 86_400)], &[]);
    let test = |limits: &mut Told, client: &str, now| {
        let client = ip(client).into();
        assert!(!matches!(limits.begin(&client, now), Decision::Over(_)));
        let free = limits.end_test(&client, 0, now);
        if !free {
            limits.end(&client, 0, Some(1), now);
        }
        free
    };
    let free =
        |limits: &mut Told, client: &str, now| (0..5).filter(|_| test(limits, client, now)).count();
    assert_eq!(free(&mut limits, "10.0.0.7", START), 2);
    assert_eq!(
        accepted(&mut limits, "10.0.0.7", 100, START),
        17,
        "three counted"
    );
    // A restart gives no more of them, and neither does an order that blocks; a day later it does.
    let mut again = super::limits(&[(20, 86_400)], &[]);
    for (kept, record) in limits.changes() {
        assert!(again.restore(kept, &record.unwrap(), START));
    }
    let client = ip("10.0.0.7").into();
    assert!(!again.end_test(&client, 0, START));
    let tomorrow = START.after(minutes(24 * 60 + 10));
    assert_eq!(free(&mut again, "10.0.0.7", tomorrow), 2);
    let id = net("10.0.0.8").into();
    again
        .raise(&id, 0, tomorrow.after(minutes(9)), tomorrow)
        .unwrap();
    assert!(!again.end_test(&ip("10.0.0.8").into(), 0, tomorrow));
    // Addresses of one IPv6 network share ten times as many; nobody's own are free.
    let address = |n: u32| format!("2001:db8:ffff::{n:x}");
    let all: usize = (1..30).map(|n| free(&mut limits, &address(n), START)).sum();
    assert_eq!(all, 20);
    assert_eq!(free(&mut limits, "192.0.2.1", START), 0, "a stranger");
}

#[test]
fn recipients_are_counted_where_a_limit_says_so() {
    let limit = Limit::parse("5 recipients/day").unwrap();
    let mut rules = rules(&[(100, 86_400)], &[]);
    rules.per_client.push(limit);
    let mut limits = Limits::new(rules);
    let client = ip("10.0.0.7");
    assert!(matches!(
        limits.begin(&client.into(), START),
        Decision::Within { .. }
    ));
    let through =
        (0..10).filter(|_| !matches!(limits.recipient(&client.into(), START), Decision::Over(_)));
    assert_eq!(through.count(), 5);
    let Decision::Over(excess) = limits.recipient(&client.into(), START) else {
        panic!("let through")
    };
    assert!(
        excess
            .reply()
            .text()
            .contains("too much mail from 10.0.0.7 (6 of 5 recipients in a day"),
        "{excess:?}"
    );
    limits.end(&client.into(), 5, Some(5), START);
    let report = limits.show(&net("10.0.0.7").into(), START).unwrap();
    assert_eq!(
        report.usage(),
        "1 of 100 in a day, 5 of 5 recipients in a day"
    );
    assert!(matches!(
        limits.begin(&client.into(), START),
        Decision::Over(_)
    ));
    assert!(matches!(
        limits.begin(&client.into(), START.after(minutes(25 * 60))),
        Decision::Within { .. }
    ));
}

#[test]
fn a_limit_is_written_as_it_is_read_and_a_mistake_says_what_to_write() {
    for (text, counts, shown) in [
        ("100/day", Counted::Messages, "100/day"),
        ("20 messages / 10m", Counted::Messages, "20/10m"),
        (
            "500 recipients/day",
            Counted::Recipients,
            "500 recipients/day",
        ),
        ("1 recipient/hour", Counted::Recipients, "1 recipients/hour"),
    ] {
        let limit = Limit::parse(text).unwrap();
        assert_eq!((limit.counts, limit.to_string().as_str()), (counts, shown));
    }
    for bad in [
        "",
        "100",
        "x recipients/day",
        "5 boxes/day",
        "recipients/day",
        "5 recipients/soon",
    ] {
        let error = Limit::parse(bad).unwrap_err();
        assert!(
            error.contains("\"500 recipients/day\"") && error.contains("100/day"),
            "{error}"
        );
    }
}

#[test]
fn machines_of_one_lan_have_budgets_of_their_own_and_one_that_rotates_addresses_meets_that_of_the_64()
 {
    let mut limits = limits(&[(3, 86_400)], &[]);
    let host = |n: u32| format!("2001:db8:ffff:1::{n:x}");
    for n in 1..=10 {
        assert_eq!(accepted(&mut limits, &host(n), 3, START), 3, "{n}");
    }
    let Decision::Over(excess) = limits.begin(&ip(&host(11)).into(), START) else {
        panic!("rotated")
    };
    assert_eq!(excess.client.to_string(), "2001:db8:ffff:1::/64");
    let Decision::Over(excess) = limits.begin(&ip(&host(1)).into(), START) else {
        panic!("let through")
    };
    assert_eq!(
        excess.client.to_string(),
        host(1),
        "the machine, not its network"
    );
    assert_eq!(accepted(&mut limits, "2001:db8:ffff:2::1", 1, START), 1);
    // What is named in listings and notices is taken back as an argument.
    for report in limits.list(START) {
        let known = limits.show(&net(&report.client).into(), START).unwrap();
        assert_eq!(known.usage(), report.usage());
        assert!(
            limits.reset(&net(&report.client).into()).unwrap(),
            "{}",
            report.client
        );
    }
    assert_eq!(accepted(&mut limits, &host(11), 3, START), 3);
    assert!(
        limits
            .show(&net("2001:db8:ffff::/48").into(), START)
            .is_err()
    );
}

/// Of an order as of all that is noted: it lasts for as long as was said.
#[test]
fn an_order_that_was_given_while_the_clock_was_ahead_ends_when_it_should_over_a_restart_too() {
    let day = minutes(24 * 60);
    let client = net("10.0.0.1").into();
    let ahead = START.after(day * 400);
    for restart in [false, true] {
        let mut limits = Limits::new(rules(&[(2, 86_400)], &[]));
        limits.raise(&client, 5, ahead.after(day), ahead).unwrap();
        if restart {
            let kept = limits.changes();
            limits = Limits::new(rules(&[(2, 86_400)], &[]));
            for (what, record) in kept {
                assert!(limits.restore(what, &record.unwrap(), START));
            }
        }
        assert_eq!(accepted(&mut limits, "10.0.0.1", 9, START), 5);
        assert_eq!(
            accepted(&mut limits, "10.0.0.1", 9, START.after(day * 2)),
            2
        );
    }
}

#[test]
fn strangers_have_no_limit_by_default_and_what_an_administrator_blocked_stays_blocked() {
    let mut rules = rules(&[(100, 86_400)], &[]);
    rules.per_stranger.clear();
    let mut limits = Limits::new(rules);
    assert_eq!(accepted(&mut limits, "203.0.113.9", 1000, START), 1000);
    assert!(limits.is_empty(), "nothing is counted");
    let until = START.after(minutes(7 * 24 * 60));
    let blocked = [
        "203.0.113.1",
        "10.0.0.1",
        "2001:db8::1",
        "2001:db8:1:2::/64",
        "2001:db8:ffff:3::/64",
    ];
    for client in blocked {
        limits.raise(&net(client).into(), 0, until, START).unwrap();
    }
    let mut rules = self::rules(&[(100, 86_400)], &[]);
    rules.per_stranger = vec![Limit::parse("10/day").unwrap()];
    limits.set_rules(rules);
    for n in 0..20_000u32 {
        let address = (u128::from(n) << 64 | 0x2001_0db9 << 96).to_be_bytes();
        limits.count(IpAddr::from(address), START);
        limits.changes();
    }
    assert!(limits.len() <= 4096 + 5, "{}", limits.len());
    for client in [
        "203.0.113.1",
        "10.0.0.1",
        "2001:db8::1",
        "2001:db8:1:2::7",
        "2001:db8:ffff:3::8",
    ] {
        assert_eq!(accepted(&mut limits, client, 1, START), 0, "{client}");
    }
    let named: Vec<_> = limits
        .list(START)
        .into_iter()
        .map(|report| report.client)
        .collect();
    assert!(
        named.contains(&"2001:db8::/64".to_owned()),
        "by what is counted"
    );
    limits.set_rules(Rules::default());
    for (now, taken) in [(START, 0), (until.after(minutes(1)), 1)] {
        let accepted = accepted(&mut limits, "10.0.0.1", 1, now);
        assert_eq!(accepted, taken, "whoever's network it is");
    }
}

#[test]
fn strangers_cannot_fill_the_administrators_mailbox_and_many_clients_make_one_mail_an_hour() {
    let mut limits = limits(&[(2, 86_400)], &[]);
    for n in 0..1000u32 {
        let address = IpAddr::from((u128::from(n) << 64 | 0x2001_0db9 << 96).to_be_bytes());
        for _ in 0..12 {
            limits.count(address, START);
        }
    }
    assert_eq!(limits.notice_due(START), None);
    for n in 0..200u8 {
        let address = IpAddr::from([10, 0, 1, n]);
        for _ in 0..12 {
            limits.count(address, START);
        }
    }
    let notice = limits.next_notice(START).unwrap();
    assert_eq!(
        notice.subject,
        "mx.example: clients came near their mail limit 200 times"
    );
    assert!(
        notice.text.contains("And 150 more") && notice.text.len() < 30_000,
        "{notice:?}"
    );
    let notice = limits.next_notice(START).unwrap();
    assert_eq!(
        notice.subject,
        "mx.example: clients reached their mail limit 200 times"
    );
    limits.count(ip("10.0.0.7"), START);
    limits.count(ip("10.0.0.7"), START);
    assert_eq!(limits.next_notice(START.after(minutes(59))), None);
    assert_eq!(limits.notice_due(START), Some(START.after(minutes(60))));
    assert!(limits.next_notice(START.after(minutes(60))).is_some());
}

#[test]
fn while_the_other_servers_cannot_be_asked_a_client_has_used_up_its_part_and_not_none_of_it() {
    let limits = limits(&[(10, 86_400)], &[]);
    let client = net("10.0.0.7").into();
    let report = Report {
        alone: vec![(5, 5)],
        ..limits.show(&client, START).unwrap()
    };
    assert_eq!((report.percent(), report.waits()), (100, true));
    assert_eq!(
        report.usage(),
        "0 of 10 in a day, 5 of 5 here until all servers can be asked"
    );
    let nothing = Report {
        alone: vec![(0, 0)],
        ..report
    };
    assert!(
        nothing.percent() == 100 && nothing.waits(),
        "it waits for the store"
    );
}

/// What a list costs grows with the clients, not with their square: this test would never end.
#[test]
fn sixty_thousand_clients_of_which_each_has_an_order_and_many_are_refused_are_listed_at_once() {
    const CLIENTS: u32 = 60_000;
    const CLOSED: u32 = 20_000;
    let mut limits = limits(&[(10, 86_400)], &[]);
    let address = |number: u32| IpAddr::from((0x0a00_0000 | number).to_be_bytes());
    for number in (0..CLIENTS).step_by(2) {
        limits.count(address(number), START);
    }
    for number in 0..CLIENTS {
        let client = ClientId::from(Network::of(address(number), 32, 64));
        let until = START.after(minutes(60));
        limits.raise(&client, 20, until, START).unwrap();
    }
    let mut reports = limits.list(START);
    assert_eq!(reports.len(), CLIENTS as usize);
    assert_eq!(reports[0].messages(), 1, "most used first");
    let failed = Failed {
        failures: 10,
        refused_until: Some(START.after(minutes(5))),
    };
    let closed = (CLIENTS - CLOSED / 2..CLIENTS + CLOSED / 2)
        .map(|number| (Network::of(address(number), 32, 64), failed))
        .collect();
    let others = note_closed(&mut reports, closed);
    let noted = reports.iter().filter(|report| report.logins.is_some());
    let half = CLOSED as usize / 2;
    assert_eq!((noted.count(), others.len()), (half, half));
}

#[test]
fn limits_of_another_time_count_from_zero_which_is_told_and_those_of_the_same_go_on() {
    let before = rules(&[(100, 86_400), (20, 3600)], &[]);
    let mut after = rules(&[(50, 86_400), (20, 7200)], &[]);
    after.per_stranger.clone_from(&before.per_stranger);
    assert_eq!(after.from_zero(&before), ["limits.per_client: 20/2h"]);
    assert_eq!(before.from_zero(&before), [""; 0]);
    assert_eq!(
        before.from_zero(&Rules::default()),
        [""; 0],
        "there was none"
    );
    after.per_prefix6 = Some(vec![Limit::parse("9 recipients/day").unwrap()]);
    assert_eq!(
        after.from_zero(&before),
        [
            "limits.per_client: 20/2h",
            "limits.per_prefix6: 9 recipients/day"
        ]
    );
    let mut limits = limits(&[(100, 86_400), (20, 3600)], &[]);
    assert_eq!(accepted(&mut limits, "10.0.0.1", 20, START), 20);
    limits.set_rules(after);
    let later = START.after(minutes(1));
    assert_eq!(
        accepted(&mut limits, "10.0.0.1", 50, later),
        20,
        "of the new two hours"
    );
    let next = START.after(minutes(122));
    assert_eq!(
        accepted(&mut limits, "10.0.0.1", 50, next),
        10,
        "50 a day, 40 of them used"
    );
}

/// However often the daemon starts anew without a message of the client.
#[test]
fn what_a_clock_that_was_ahead_has_counted_is_written_as_of_now_once() {
    let ahead = START.after(minutes(60 * 24 * 3650));
    let mut before = limits(&[(5, 86_400)], &[]);
    assert_eq!(accepted(&mut before, "10.0.0.1", 6, ahead), 5);
    let mut kept = before.changes();
    for hours in [0, 25] {
        let now = START.after(minutes(60 * hours));
        let mut limits = limits(&[(5, 86_400)], &[]);
        for (key, record) in kept.drain(..) {
            assert!(limits.restore(key, &record.unwrap(), now));
        }
        let free = if hours == 0 { 0 } else { 5 };
        kept = limits.changes();
        assert_eq!(kept.len(), 1, "it is written");
        assert_eq!(accepted(&mut limits, "10.0.0.1", 6, now), free);
    }
}

#[test]
fn an_exempt_client_can_be_blocked_by_an_order_and_is_not_given_another_limit() {
    let (until, exempt) = (START.after(minutes(60)), ["10.0.0.9", "192.0.2.9"]);
    let mut limits = limits(&[(100, 86_400)], &exempt);
    for client in exempt {
        let written = ClientId::parse(client).unwrap();
        let refused = limits.raise(&written, 5, until, START);
        assert!(refused.unwrap_err().contains("limits.exempt"));
        assert_eq!(accepted(&mut limits, client, 200, START), 200);
        limits.raise(&written, 0, until, START).unwrap();
        assert_eq!(accepted(&mut limits, client, 1, START), 0, "{client}");
        let shown = limits.show(&written, START).unwrap();
        assert!(!shown.exempt && shown.ordered().unwrap().contains("blocked"));
        assert_eq!(accepted(&mut limits, client, 1, until), 1, "it has ended");
        limits.raise(&written, 0, until, START).unwrap();
        assert!(limits.reset(&written).unwrap());
        assert_eq!(accepted(&mut limits, client, 1, START), 1);
        assert!(limits.show(&written, START).unwrap().exempt);
    }
}
