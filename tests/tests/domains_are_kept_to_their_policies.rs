//! MTA-STS: policies that domains announce in DNS and serve over HTTPS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use relay::trust::PeerKey;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tests::{
    https::Https,
    identity::Identity,
    peers::root,
    resolver::{Record, Resolver},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// example.net: what DNS and the web say of it.
struct World {
    /// Of which everybody here has a certificate.
    authority: Identity,
    web: Https,
    /// Texts, exchanger, and whether DNSSEC proves the exchanger.
    zone: Arc<Mutex<Zone>>,
    resolver: Resolver,
}

#[derive(Clone, Default)]
struct Zone {
    texts: Vec<&'static str>,
    mx: &'static str,
    secure: bool,
    tlsa: Option<Vec<Record>>,
}

fn served(policy: &str) -> String {
    let length = policy.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{policy}"
    )
}

fn policy(mode: &str, mx: &str) -> String {
    served(&format!(
        "version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 604800\r\n"
    ))
}

fn world(answer: impl Into<Option<String>>) -> World {
    let authority = Identity::new("authority");
    let web = Https::start(authority.renewed("mta-sts.example.net").server(), answer);
    let zone = Arc::new(Mutex::new(Zone {
        texts: vec!["v=STSv1; id=1;"],
        mx: "mx.example.net",
        ..Zone::default()
    }));
    let (address, table) = (web.address(), Arc::clone(&zone));
    let resolver = Resolver::anywhere(move |name| {
        let Zone {
            texts,
            mx,
            secure,
            tlsa,
        } = table.lock().unwrap().clone();
        let proved = |mut records: Vec<Record>| {
            records.extend(secure.then_some(Record::Secure));
            Some(records)
        };
        match name {
            "" => Some(vec![Record::Secure]),
            "example.net" => proved(vec![Record::Mx(mx)]),
            // A domain of the same hosts that has no policy.
            "neighbour.example" => Some(vec![Record::Mx(mx)]),
            "mx.example.net" | "mx.new.example" => {
                Some(vec![Record::A(Ipv4Addr::LOCALHOST), Record::Secure])
            }
            "_mta-sts.example.net" => Some(
                texts
                    .iter()
                    .map(|text| Record::Txt((*text).to_owned()))
                    .collect(),
            ),
            "mta-sts.example.net" => Some(vec![Record::A(address)]),
            name if name.ends_with("._tcp.mx.example.net") => tlsa,
            _ => None,
        }
    });
    World {
        authority,
        web,
        zone,
        resolver,
    }
}

impl World {
    /// A host of that name.
    fn sink(&self, name: &str) -> Sink {
        Sink::with(Script {
            starttls: Some(self.authority.renewed(name).server()),
            ..Script::default()
        })
    }

    fn smarthost(&self, sink: &Sink, level: &str) -> Smarthost {
        let mut smarthost = Smarthost::prepare("");
        self.authority.write(smarthost.directory(), "ca");
        let port = sink.address().port();
        smarthost.configure(&format!(
            "networks = [\"127.0.0.0/8\"]\nresolver = \"{}\"\nmta_sts = true\n\
             tls_out = {{ level = \"{level}\", ca_file = \"ca.pem\" }}\n\
             routes = {{ \"example.net\" = \"example.net:{port}\", \"neighbour.example\" = \"neighbour.example:{port}\" }}\n",
            self.resolver.address(),
        ));
        smarthost.run();
        smarthost
    }

    fn announce(&self, change: impl FnOnce(&mut Zone)) {
        change(&mut self.zone.lock().unwrap());
    }
}

fn send(smarthost: &Smarthost, to: &str) {
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &[to], MESSAGE);
}

fn waits(smarthost: &Smarthost, reasons: &[&str]) {
    smarthost.wait_for_mailq(&format!("{reasons:?}"), |text| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        reasons.iter().all(|reason| text.contains(reason))
    });
}

#[test]
fn mail_goes_only_to_hosts_that_an_enforced_policy_names_and_an_authority_knows() {
    if !root() {
        return;
    }
    let policy_1 = "MTA-STS policy 1 of example.net";
    for (mx, name, level, reason) in [
        (
            "mx.example.net",
            Some("mx.example.net"),
            "opportunistic",
            None,
        ),
        ("*.example.net", Some("mx.example.net"), "none", None),
        ("*.example.net", Some("mx.example.net"), "dane", None),
        (
            "mx.cdn.example",
            Some("mx.example.net"),
            "opportunistic",
            Some("it does not name mx.example.net"),
        ),
        (
            "*.mx.example.net",
            Some("mx.example.net"),
            "dane",
            Some("it does not name mx.example.net"),
        ),
        (
            "mx.example.net",
            Some("other.example"),
            "opportunistic",
            Some("not trusted"),
        ),
        (
            "mx.example.net",
            Some("example.net"),
            "dane",
            Some("not trusted"),
        ),
        (
            "mx.example.net",
            None,
            "opportunistic",
            Some("TLS is required"),
        ),
    ] {
        let world = world(policy("enforce", mx));
        let sink = name.map_or_else(Sink::start, |name| world.sink(name));
        let mut smarthost = world.smarthost(&sink, level);
        send(&smarthost, "b@example.net");
        if let Some(reason) = reason {
            waits(&smarthost, &[policy_1, reason]);
            assert!(sink.journal().is_empty(), "{mx} {name:?}");
        } else {
            assert!(sink.journal().first().encrypted);
            let log = smarthost.daemon().wait_for_log("Verified TLS connection");
            assert!(log.contains("by authority, as MTA-STS demands"), "{log}");
        }
    }
}

#[test]
fn what_is_no_enforced_policy_keeps_no_mail_back() {
    if !root() {
        return;
    }
    let right = "version: STSv1\nmode: enforce\nmx: mx.cdn.example\nmax_age: 604800\n";
    let moved = "HTTP/1.1 302 Found\r\nLocation: https://mta-sts.example.net/\r\n\r\n".to_owned();
    for (texts, answer, told) in [
        (
            vec!["v=STSv1; id=1;"],
            Some(policy("testing", "mx.cdn.example")),
            "only tested: it does not name mx.example.net",
        ),
        (
            vec!["v=STSv1; id=1;"],
            Some(policy("none", "mx.cdn.example")),
            "Trusted TLS connection",
        ),
        (
            vec!["v=STSv1; id=1;", "v=STSv1; id=2;"],
            Some(served(right)),
            "Trusted TLS connection",
        ),
        (vec![], Some(served(right)), "Trusted TLS connection"),
        (vec!["v=STSv1; id=1;"], None, "cannot be had"),
        (
            vec!["v=STSv1; id=1;"],
            Some(moved),
            "cannot be had: the answer is HTTP/1.1 302 Found",
        ),
        (
            vec!["v=STSv1; id=1;"],
            Some(served(&right.replace("STSv1", "STSv2"))),
            "cannot be had: it does not say",
        ),
        (
            vec!["v=STSv1; id=1;"],
            Some(served(&format!("{right}{}", "x: y\n".repeat(20_000)))),
            "longer than 64 KiB",
        ),
    ] {
        let world = world(answer);
        world.announce(|zone| zone.texts = texts);
        let sink = world.sink("other.example");
        let mut smarthost = world.smarthost(&sink, "opportunistic");
        send(&smarthost, "b@example.net");
        assert_eq!(sink.journal().wait_for(1).len(), 1);
        smarthost.daemon().wait_for_log(told);
    }
}

/// Nobody but the domain can say what its policy is.
#[test]
fn a_policy_that_anybody_else_serves_is_none() {
    if !root() {
        return;
    }
    let mut world = world(None);
    let other = world.authority.renewed("mta-sts.other.example").server();
    world.web = Https::start(other, policy("enforce", "mx.cdn.example"));
    let address = world.web.address();
    world.resolver = Resolver::anywhere(move |name| match name {
        "example.net" => Some(vec![Record::Mx("mx.example.net")]),
        "_mta-sts.example.net" => Some(vec![Record::Txt("v=STSv1; id=1".to_owned())]),
        "mta-sts.example.net" => Some(vec![Record::A(address)]),
        "mx.example.net" => Some(vec![Record::A(Ipv4Addr::LOCALHOST)]),
        _ => None,
    });
    let sink = world.sink("mx.example.net");
    let mut smarthost = world.smarthost(&sink, "opportunistic");
    send(&smarthost, "b@example.net");
    assert_eq!(sink.journal().wait_for(1).len(), 1);
    smarthost.daemon().wait_for_log("cannot be had: ");
}

#[test]
fn a_known_policy_binds_over_restarts_and_outages_until_a_newer_one_is_there() {
    if !root() {
        return;
    }
    let world = world(policy("enforce", "mx.example.net"));
    let sink = world.sink("mx.example.net");
    let mut smarthost = world.smarthost(&sink, "opportunistic");
    send(&smarthost, "b@example.net");
    assert_eq!(sink.journal().wait_for(1).len(), 1);
    assert_eq!(world.web.requests(), 1);

    // Whoever forges DNS can take the announcement away, but not the policy.
    world.web.play(None);
    world.announce(|zone| (zone.texts, zone.mx) = (vec![], "mx.new.example"));
    smarthost.daemon().stop();
    smarthost.run();
    send(&smarthost, "c@example.net");
    let bound = [
        "MTA-STS policy 1 of example.net",
        "it does not name mx.new.example",
    ];
    waits(&smarthost, &bound);
    // A new one is announced, and cannot be fetched: the old one stays.
    world.announce(|zone| zone.texts = vec!["v=STSv1; id=2;"]);
    send(&smarthost, "d@example.net");
    smarthost
        .daemon()
        .wait_for_log("the MTA-STS policy 2 of example.net cannot be had");
    waits(&smarthost, &bound);
    assert_eq!(sink.journal().len(), 1);

    // It is there: a third id, which was not tried in vain.
    smarthost.daemon().stop();
    world.web.play(policy("enforce", "mx.new.example"));
    sink.play(Script {
        starttls: Some(world.authority.renewed("mx.new.example").server()),
        ..Script::default()
    });
    smarthost.run();
    assert!(smarthost.admin(&["queue", "flush"]).status.success());
    assert_eq!(sink.journal().wait_for(3).len(), 3);
}

#[test]
fn one_domains_broken_policy_stops_no_other_on_the_same_hosts() {
    if !root() {
        return;
    }
    for (mx, host) in [
        ("mx.cdn.example", "mx.example.net"),
        ("mx.example.net", "other.example"),
    ] {
        let world = world(policy("enforce", mx));
        let sink = world.sink(host);
        let mut smarthost = world.smarthost(&sink, "opportunistic");
        send(&smarthost, "x@example.net");
        waits(&smarthost, &["MTA-STS policy 1 of example.net"]);
        for _ in 0..3 {
            send(&smarthost, "x@neighbour.example");
        }
        sink.journal().wait_for(3);
        // The neighbour's connection, open and unverified, serves this domain as little.
        assert!(smarthost.admin(&["queue", "flush"]).status.success());
        waits(&smarthost, &["MTA-STS policy 1 of example.net"]);
        let messages = sink.journal().messages();
        assert!(
            messages
                .iter()
                .all(|it| it.recipients == ["x@neighbour.example"])
        );
        let log = smarthost.daemon().log();
        assert!(!log.contains("suspended"), "{log}");
    }
}

/// RFC 8461 §2, and RFC 7672 §2.2.1: who forges an unsigned MX record has TLSA records of his own.
#[test]
fn tlsa_records_count_more_than_a_policy_if_dnssec_proves_the_hosts_too() {
    if !root() {
        return;
    }
    let record = |identity: &Identity| {
        let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PeerKey::of_certificate(&der).unwrap();
        Record::Tlsa([3, 1, 1], key.key_sha256.to_vec())
    };
    for (secure, right, delivered) in [
        (true, true, true),
        (true, false, false),
        (false, true, false),
    ] {
        let world = world(policy("enforce", "mx.cdn.example"));
        let wrong = Identity::new("wrong");
        let tlsa = record(if right { &world.authority } else { &wrong });
        world.announce(|zone| {
            zone.secure = secure;
            zone.tlsa = Some(vec![tlsa, Record::Secure]);
        });
        let sink = world.sink("other.example");
        let mut smarthost = world.smarthost(&sink, "dane");
        send(&smarthost, "b@example.net");
        if delivered {
            assert_eq!(sink.journal().wait_for(1).len(), 1);
            smarthost.daemon().wait_for_log("by DANE, TLSA 3 1 1");
        } else {
            let reason = if right {
                "it does not name"
            } else {
                "no TLSA record fits it"
            };
            waits(&smarthost, &[reason]);
            assert!(sink.journal().is_empty());
        }
    }
}

#[test]
fn explain_shows_the_policy_and_remembers_none() {
    if !root() {
        return;
    }
    let world = world(policy("enforce", "mx.cdn.example"));
    let sink = world.sink("mx.example.net");
    let smarthost = world.smarthost(&sink, "opportunistic");
    let told = smarthost.admin(&["explain", "x@example.net"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for part in [
        "MTA-STS enforce: mx.cdn.example (id 1)",
        "it does not name mx.example.net",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!smarthost.directory().join("state/mta-sts").exists());
}
