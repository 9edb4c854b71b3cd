use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn list(texts: &[&str]) -> Vec<Relayhost> {
    texts
        .iter()
        .map(|text| Relayhost::parse(text).unwrap())
        .collect()
}

fn record(priority: u16, weight: u16, host: &str) -> Record {
    Record {
        priority,
        weight,
        port: Some(587),
        host: host.to_owned(),
    }
}

fn machines() -> impl Iterator<Item = String> {
    (0..1000).map(|n| format!("vm{n}.example.org"))
}

#[test]
fn a_relayhost_is_written_as_it_is_read_and_a_wrong_one_shows_the_form() {
    for (text, by) in [
        ("mail.example.org", By::Text),
        ("[10.0.0.5]:587", By::Text),
        ("mx:example.org", By::Mx),
        ("mx:example.org:587", By::Mx),
        ("srv:example.org", By::Srv),
    ] {
        let read = Relayhost::parse(text).unwrap();
        assert_eq!((read.by, read.to_string().as_str()), (by, text));
    }
    let service = |wrapped| list(&["srv:example.org"])[0].service(wrapped);
    assert_eq!(service(false), "_submission._tcp.example.org");
    assert_eq!(service(true), "_submissions._tcp.example.org");
    for (text, remedy) in [
        ("srv:example.org:587", "write \"srv:example.org\""),
        ("srv:[example.org]", "stands a domain"),
        ("mx:192.0.2.1", "stands a domain"),
        ("srv:", "host is missing"),
    ] {
        let error = Relayhost::parse(text).unwrap_err().to_string();
        assert!(error.contains(remedy), "{text}: {error}");
    }
}

/// A thousand machines over four servers: 250 each, within four standard deviations.
#[test]
fn spread_machines_divide_themselves_evenly_and_keep_to_their_choice() {
    let all = list(&[
        "mx1.example.org",
        "mx2.example.org",
        "mx3.example.org",
        "mx4.example.org",
    ]);
    let mut first = HashMap::new();
    let mut second = HashMap::new();
    for machine in machines() {
        let order = in_order(&all, Order::Spread, &machine);
        assert_eq!(
            order,
            in_order(&all, Order::Spread, &machine),
            "at every start"
        );
        *first.entry(order[0].to_string()).or_insert(0) += 1;
        if order[0] == &all[0] {
            *second.entry(order[1].to_string()).or_insert(0) += 1;
        }
        // Where the first server is taken away, only its own machines go elsewhere.
        let left = in_order(&all[1..], Order::Spread, &machine);
        let same: Vec<_> = order.into_iter().filter(|it| **it != all[0]).collect();
        assert_eq!(left, same);
        assert_eq!(in_order(&all, Order::Listed, &machine)[0], &all[0]);
    }
    // sqrt(1000 * 1/4 * 3/4) = 13.7
    assert!(
        first.values().all(|count| (195..=305).contains(count)),
        "{first:?}"
    );
    assert_eq!(first.len(), 4);
    // Whose server fails go to the three others: a third of 250 each, 7.5 as deviation.
    assert!(
        second.values().all(|count| (50..=117).contains(count)),
        "{second:?}"
    );
    assert_eq!(second.len(), 3);
}

#[test]
fn srv_records_are_tried_by_priority_and_within_it_by_weight() {
    let relayhost = &list(&["srv:example.org"])[0];
    let all = vec![
        record(20, 0, "last.example.org"),
        record(10, 60, "large.example.org"),
        record(10, 30, "small.example.org"),
        record(10, 0, "spare.example.org"),
    ];
    let mut first = HashMap::new();
    for machine in machines() {
        let hosts = relayhost.hosts(all.clone(), 25, &machine);
        assert_eq!(hosts.last().unwrap().name, "last.example.org");
        assert!(hosts.iter().all(|host| host.port == 587 && host.named));
        *first.entry(hosts[0].name.clone()).or_insert(0) += 1;
    }
    // Two thirds and one third, sqrt(1000 * 2/9) = 14.9; the weight 0 is almost never first.
    assert!(
        (607..=727).contains(&first["large.example.org"]),
        "{first:?}"
    );
    assert!(
        (274..=394).contains(&first["small.example.org"]),
        "{first:?}"
    );
    assert!(
        first
            .get("spare.example.org")
            .is_none_or(|count| *count < 10)
    );
}

/// DNS may be forged: what it says is never what a certificate must show.
#[test]
fn a_certificate_must_show_the_domain_that_the_administrator_wrote() {
    for text in ["srv:example.org", "mx:example.org"] {
        let relayhost = &list(&[text])[0];
        let hosts = relayhost.hosts(vec![record(1, 1, "evil.example")], 25, "vm1");
        assert_eq!(hosts[0].certified.as_deref(), Some("example.org"));
    }
}

proptest! {
    #[test]
    fn whatever_is_written_what_is_printed_reads_back(text in "((srv|mx):)?.*") {
        if let Ok(read) = Relayhost::parse(&text) {
            prop_assert_eq!(Relayhost::parse(&read.to_string()), Ok(read));
        }
    }

    #[test]
    fn no_record_is_lost_or_doubled_and_none_comes_before_a_better_one(
        given in prop::collection::vec((0u16..4, 0u16..3, 0u8..9), 0..12), machine in "[a-z]{1,8}"
    ) {
        let all: Vec<_> = given.iter().map(|(p, w, n)| record(*p, *w, &format!("h{n}"))).collect();
        let ordered = records::in_order(all.clone(), &machine);
        prop_assert!(ordered.is_sorted_by_key(|record| record.priority));
        let sorted = |mut all: Vec<Record>| {
            all.sort_by(|a, b| (a.priority, a.weight, &a.host).cmp(&(b.priority, b.weight, &b.host)));
            all
        };
        prop_assert_eq!(sorted(ordered), sorted(all));
    }
}
