//! TLS towards single next hops: what the tables of `tls_policy` demand instead of `tls_out`.

use std::net::Ipv4Addr;

use relay::trust::PeerKey;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tests::{
    agent::Agent,
    identity::{Identity, foreign_server, write},
    resolver::{Record, Resolver},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// With a table of such lines; PORT in them is the sink's.
fn smarthost(identity: &Identity, sink: &Sink, more: &str, lines: &str) -> Smarthost {
    let port = sink.address().port().to_string();
    let mut smarthost = Smarthost::prepare("");
    identity.write(smarthost.directory(), "ca");
    let table = smarthost.directory().join("tls");
    write(&table, lines.replace("PORT", &port));
    smarthost.configure(&format!(
        "networks = [\"127.0.0.0/8\"]\ntls_policy = [\"tls\"]\n{}",
        more.replace("PORT", &port)
    ));
    smarthost.run();
    smarthost
}

fn send(smarthost: &Smarthost, to: &str) {
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &[to], MESSAGE);
}

fn waits(smarthost: &Smarthost, reason: &str) -> String {
    let listing = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    smarthost.wait_for_mailq(reason, |text| listing(text).contains(reason))
}

/// `tls_out` demands something else each time, so that it is the table that decides.
#[test]
fn a_line_for_a_next_hop_decides_instead_of_the_level_for_all() {
    let identity = Identity::new("localhost");
    let other = identity.renewed("mx.other.example");
    let key = |identity: &Identity| {
        let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PeerKey::of_certificate(&der).unwrap();
        let digits = key.key_sha256.map(|byte| format!("{byte:02X}"));
        digits.join(":")
    };
    let (right, wrong) = (key(&identity), key(&Identity::new("localhost")));
    let plain = Script::default;
    for (line, script, encrypted) in [
        ("none", Script::with_tls(identity.server()), Some(false)),
        ("may", plain(), Some(false)),
        ("may", Script::with_tls(other.server()), Some(true)),
        ("encrypt", Script::with_tls(other.server()), Some(true)),
        ("encrypt", plain(), None),
        ("verify", Script::with_tls(identity.server()), Some(true)),
        ("secure", Script::with_tls(identity.server()), Some(true)),
        ("verify", Script::with_tls(other.server()), None),
        (
            "secure match=.other.example",
            Script::with_tls(other.server()),
            Some(true),
        ),
        (
            "verify match=other.example:mx.other.example",
            Script::with_tls(other.server()),
            Some(true),
        ),
        (
            "verify match=other.example",
            Script::with_tls(other.server()),
            None,
        ),
        (
            &format!("fingerprint match={wrong} match={right}"),
            Script::with_tls(identity.server()),
            Some(true),
        ),
        (
            &format!("fingerprint match={wrong}"),
            Script::with_tls(identity.server()),
            None,
        ),
        ("dane-only", Script::with_tls(identity.server()), None),
    ] {
        let sink = Sink::with(script);
        let level = if encrypted == Some(true) {
            "none"
        } else {
            "verify"
        };
        let settings = format!(
            "resolver = \"{}\"\ntls_out = {{ level = \"{level}\", ca_file = \"ca.pem\" }}\n\
             routes = {{ \"example.net\" = \"[localhost]:PORT\" }}\n",
            Resolver::of_localhost()
        );
        let smarthost = smarthost(
            &identity,
            &sink,
            &settings,
            &format!("[LocalHost]:PORT\t{line}\n"),
        );
        send(&smarthost, "b@example.net");
        if let Some(encrypted) = encrypted {
            assert_eq!(sink.journal().first().encrypted, encrypted, "{line}");
        } else {
            smarthost.wait_for_mailq(line, |text| {
                let reasons = ["TLS is required", "not trusted", "not pinned", "not secure"];
                reasons.iter().any(|reason| {
                    text.split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ")
                        .contains(reason)
                })
            });
            assert!(sink.journal().is_empty(), "{line}");
        }
    }
}

/// Both domains have the same host, and the first one's demands it cannot meet.
#[test]
fn what_is_demanded_for_one_domain_stops_no_other_on_the_same_hosts() {
    let identity = Identity::new("elsewhere.example");
    let sink = Sink::with(Script::with_tls(identity.server()));
    let resolver = Resolver::anywhere(|name| match name {
        "a.example" | "b.example" | "c.example" => Some(vec![Record::Mx("mx.big.example")]),
        "mx.big.example" => Some(vec![Record::A(Ipv4Addr::LOCALHOST)]),
        _ => None,
    });
    let settings = format!(
        "resolver = \"{}\"\ntls_out = {{ level = \"opportunistic\", ca_file = \"ca.pem\" }}\n\
         routes = {{ \"a.example\" = \"a.example:PORT\", \"b.example\" = \"b.example:PORT\", \"c.example\" = \"c.example:PORT\" }}\n",
        resolver.address()
    );
    let lines = "a.example:PORT secure\nc.example:PORT dane-only\n";
    let mut smarthost = smarthost(&identity, &sink, &settings, lines);
    send(&smarthost, "x@a.example");
    waits(&smarthost, "mx.big.example");
    send(&smarthost, "x@c.example");
    waits(&smarthost, "non DNSSEC destination");
    send(&smarthost, "x@b.example");
    let delivered = sink.journal().first();
    assert_eq!(delivered.recipients, ["x@b.example"]);
    // Nor does the other's connection, which is open and unverified, serve the first.
    assert!(smarthost.admin(&["queue", "flush"]).status.success());
    waits(&smarthost, "mx.big.example");
    assert_eq!(sink.journal().len(), 1);
    let log = smarthost.daemon().log();
    assert!(!log.contains("suspended"), "{log}");
    let told = smarthost.admin(&["explain", "x@a.example"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("an authority's certificate for the next hop"),
        "{told}"
    );
    assert!(told.contains("tls:1"), "{told}");
}

#[test]
fn a_word_that_is_not_known_is_told_with_its_line_and_never_means_less() {
    let identity = Identity::new("localhost");
    let sink = Sink::with(Script::with_tls(identity.server()));
    let settings = "routes = { \"example.net\" = \"[localhost]:PORT\", \"example.com\" = \"[127.0.0.1]:PORT\" }\n";
    let lines = "# levels\n[localhost]:PORT encrypted\n[127.0.0.1]:PORT may\n";
    let mut smarthost = smarthost(&identity, &sink, settings, lines);
    smarthost
        .daemon()
        .wait_for_log("tls:2: `encrypted` is not a level");
    send(&smarthost, "b@example.net");
    waits(&smarthost, "tls:2: `encrypted` is not a level");
    send(&smarthost, "b@example.com");
    assert_eq!(sink.journal().first().recipients, ["b@example.com"]);
    let checked = smarthost.admin(&["check"]);
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(told.contains("tls:2: `encrypted` is not a level"), "{told}");
    assert!(!checked.status.success());

    // A reload does not make it right.
    assert!(smarthost.admin(&["reload"]).status.success());
    send(&smarthost, "c@example.net");
    let twice = |text: &str| text.matches("encrypted").count() == 2;
    smarthost.wait_for_mailq("both wait", twice);
    assert_eq!(sink.journal().len(), 1);
}

/// OpenSSL's servers hide such a key from whoever does not offer its type, and only refuse.
#[test]
fn a_next_hop_with_a_key_of_a_type_that_is_not_supported_is_told_as_that_and_nothing_else() {
    const WHY: &str = "ECDSA P-521, a type that is not supported here";
    let said = |output: &std::process::Output| {
        let all = [&*output.stdout, &output.stderr].concat();
        String::from_utf8_lossy(&all).into_owned()
    };
    // Anybody would be believed: mail goes on in clear text, and it is told why.
    let sink = Sink::with(Script::with_tls(foreign_server()));
    let mut relay = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    for count in 1..=2 {
        send(&relay, "b@far.example");
        sink.journal().wait_for(count);
    }
    assert!(sink.journal().messages().iter().all(|it| !it.encrypted));
    let log = relay.daemon().log();
    let why = log
        .lines()
        .filter(|it| it.contains("going on in clear text"));
    let why: Vec<_> = why.collect();
    assert!(!why.is_empty(), "{log}");
    assert!(why.iter().all(|it| it.contains(WHY)), "{why:?}");
    let status = said(&relay.admin(&["status"]));
    assert!(
        status.contains("in clear text") && status.contains(WHY),
        "{status}"
    );
    let check = said(&relay.admin(&["check"]));
    assert!(
        check.contains("in clear text") && check.contains(WHY),
        "{check}"
    );

    // TLS is demanded: it waits with that reason.
    let strict = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nrelay_tls = {{ level = \"starttls\" }}\n",
        sink.nexthop()
    ));
    send(&strict, "b@far.example");
    waits(&strict, WHY);
    let check = strict.admin(&["check"]);
    assert!(
        !check.status.success() && said(&check).contains(WHY),
        "{check:?}"
    );

    // And so does mail of a machine, whatever it pins.
    let node = Agent::start(&format!(
        "relayhost = \"{}\"\npins = [\"{}\"]\n",
        sink.nexthop(),
        relay.pin()
    ));
    node.send(&["b@far.example"], "Subject: x\n\nx\n");
    node.wait_for_mailq("the reason", |it| {
        it.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains(WHY)
    });
    for words in [&["status"][..], &["check"], &["pin", &sink.nexthop()]] {
        let told = said(&node.admin(words));
        assert!(told.contains(WHY), "{words:?}: {told}");
    }
    assert_eq!(sink.journal().messages().len(), 2);
}
