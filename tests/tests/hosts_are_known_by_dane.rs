//! TLS towards other people's servers: what `tls_out` demands, and what TLSA records say of a host.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use relay::trust::PeerKey;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tests::{
    identity::Identity,
    resolver::{Record, Resolver},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// `3 1 1` of its key.
fn record_of(identity: &Identity) -> Record {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PeerKey::of_certificate(&certificate).unwrap();
    Record::Tlsa([3, 1, 1], key.key_sha256.to_vec())
}

/// The zone of example.net: MX and host are secure or not, and this stands under the host's TLSA
/// name.
fn zone(secure: bool, tlsa: Option<Vec<Record>>) -> Resolver {
    Resolver::anywhere(move |name| {
        let proved = |mut records: Vec<Record>| {
            if secure {
                records.push(Record::Secure);
            }
            Some(records)
        };
        match name {
            "" => Some(vec![Record::Secure]),
            "example.net" => proved(vec![Record::Mx("mx.example.net")]),
            "mx.example.net" => proved(vec![Record::A(Ipv4Addr::LOCALHOST)]),
            name if name.ends_with("._tcp.mx.example.net") => tlsa.clone(),
            _ => None,
        }
    })
}

fn smarthost(resolver: &Resolver, sink: &Sink, level: &str) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nresolver = \"{}\"\ntls_out = {{ level = \"{level}\" }}\n\
         routes = {{ \"example.net\" = \"example.net:{}\" }}\n",
        resolver.address(),
        sink.address().port(),
    ))
}

/// A listing without its line breaks.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn send(smarthost: &Smarthost) {
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &["b@example.net"], MESSAGE);
}

/// Row B8. Expired or not, whatever the name: the record is of the host's own key.
#[test]
fn a_host_whose_key_stands_in_dns_is_verified_and_asked_for_by_its_name() {
    let identity = Identity::new("old.invalid");
    let sink = Sink::with(Script::with_tls(identity.server()));
    let next = Record::Tlsa([3, 1, 1], vec![9; 32]);
    let tlsa = vec![next, record_of(&identity), Record::Secure];
    let resolver = zone(true, Some(tlsa));
    let mut smarthost = smarthost(&resolver, &sink, "dane");
    send(&smarthost);
    assert!(sink.journal().first().encrypted);
    let log = smarthost.daemon().wait_for_log("Verified TLS connection");
    assert!(log.contains("DANE, TLSA 3 1 1 "), "{log}");
    assert!(log.contains("of mx.example.net"), "{log}");
    assert!(log.contains("DNSSEC works"), "{log}");
    let says = |arguments: &[&str]| {
        let output = smarthost.admin(arguments);
        unwrapped(&String::from_utf8(output.stdout).unwrap())
    };
    let told = says(&["status"]);
    assert!(told.contains("DNSSEC works"), "{told}");
    let told = says(&["explain", "b@example.net"]);
    assert!(
        told.contains("mx.example.net") && told.contains("DANE, TLSA 3 1 1"),
        "{told}"
    );
}

/// None of these may ever lead to a delivery, encrypted or not.
#[test]
fn mail_waits_where_dane_says_that_the_host_is_another_or_cannot_be_asked() {
    let identity = Identity::new("mx.example.net");
    let wrong = Record::Tlsa([3, 1, 1], vec![9; 32]);
    let right = record_of(&identity);
    let plain = Script::default();
    let tls = Script::with_tls(identity.server());
    let no_tls_now = Script {
        answers: vec![("STARTTLS".to_owned(), "454 4.7.0 not now".to_owned())],
        ..tls.clone()
    };
    let unusable = Record::Tlsa([1, 1, 1], vec![9; 32]);
    for (script, tlsa, reason) in [
        (&tls, vec![wrong.clone()], "certificate not trusted"),
        (&tls, vec![Record::Servfail], "TLSA lookup error"),
        (&plain, vec![right.clone()], "TLS is required"),
        (&no_tls_now, vec![right.clone()], "454"),
        (&plain, vec![unusable], "TLS is required"),
    ] {
        let sink = Sink::with(script.clone());
        let mut tlsa = tlsa;
        tlsa.push(Record::Secure);
        let resolver = zone(true, Some(tlsa));
        let smarthost = smarthost(&resolver, &sink, "dane");
        send(&smarthost);
        let listing = smarthost.wait_for_mailq(reason, |text| unwrapped(text).contains(reason));
        assert!(sink.journal().is_empty(), "{listing}");
    }
}

#[test]
fn without_records_or_dnssec_any_tls_is_good_enough_for_dane_and_nothing_for_dane_only() {
    let identity = Identity::new("mx.example.net");
    let unusable = vec![Record::Tlsa([0, 0, 1], vec![9; 32]), Record::Secure];
    for (secure, tlsa, note, only) in [
        (true, None, "no DANE: no TLSA records", "no TLSA records"),
        (
            true,
            Some(vec![record_of(&Identity::new("forged"))]),
            "no DANE: no TLSA records",
            "no TLSA records",
        ),
        (
            false,
            Some(vec![Record::Servfail]),
            "no DANE: address not secure",
            "non DNSSEC destination",
        ),
        (
            true,
            Some(unusable),
            "TLSA records unusable",
            "TLSA records unusable",
        ),
    ] {
        let sink = Sink::with(Script::with_tls(identity.server()));
        let resolver = zone(secure, tlsa);
        let mut dane = smarthost(&resolver, &sink, "dane");
        send(&dane);
        assert!(sink.journal().first().encrypted);
        let log = dane.daemon().wait_for_log(note);
        assert!(log.contains("Untrusted TLS connection"), "{log}");
        if !secure {
            let asked = resolver.asked();
            let tlsa = asked.iter().any(|name| name.contains("_tcp"));
            assert!(!tlsa, "servers of unsigned zones fail for such names");
        }

        let dane_only = smarthost(&resolver, &sink, "dane-only");
        send(&dane_only);
        dane_only.wait_for_mailq(only, |text| unwrapped(text).contains(only));
        assert_eq!(sink.journal().len(), 1);
    }
}

/// `[host]` names, so that no DNS is asked.
#[test]
fn a_level_without_dane_holds_for_every_host_but_the_relayhost() {
    let identity = Identity::new("localhost");
    for (level, script, encrypted) in [
        ("none", Script::with_tls(identity.server()), Some(false)),
        (
            "opportunistic",
            Script::with_tls(identity.server()),
            Some(true),
        ),
        ("opportunistic", Script::default(), Some(false)),
        ("starttls", Script::with_tls(identity.server()), Some(true)),
        ("starttls", Script::default(), None),
        ("verify", Script::with_tls(identity.server()), Some(true)),
        (
            "verify",
            Script::with_tls(Identity::new("localhost").server()),
            None,
        ),
        (
            "verify",
            Script::with_tls(identity.renewed("other.example").server()),
            None,
        ),
    ] {
        let sink = Sink::with(script);
        let smarthost = Smarthost::prepare("");
        identity.write(smarthost.directory(), "ca");
        smarthost.configure(&format!(
            "networks = [\"127.0.0.0/8\"]\nresolver = \"{}\"\ntls_out = {{ level = \"{level}\", ca_file = \"ca.pem\" }}\n\
             routes = {{ \"example.net\" = \"[localhost]:{}\" }}\n",
            Resolver::of_localhost(),
            sink.address().port(),
        ));
        let mut smarthost = smarthost;
        smarthost.run();
        send(&smarthost);
        if let Some(encrypted) = encrypted {
            assert_eq!(sink.journal().first().encrypted, encrypted, "{level}");
            continue;
        }
        smarthost.wait_for_mailq("4.7", |text| {
            let text = unwrapped(text);
            text.contains("TLS is required") || text.contains("not trusted")
        });
        assert!(sink.journal().is_empty(), "{level}");
    }
}
