//! DANE over the real unbound, which validates signed zones, broken ones among them; beside us
//! Postfix, on the same zones and the same host.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
};

use relay::trust::PeerKey;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tests::{
    identity::Identity,
    postfix::Postfix,
    session::Session,
    signed::{Signed, Signing, Zone},
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::{free_port, until},
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";
/// Where the host of all domains is.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const BOGUS: &str = "name server answered SERVFAIL: DNSSEC validation failed";

/// How mail for a domain is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Over TLS, with the key that the zone names.
    Verified,
    /// The same, though nothing proves that the host is the domain's.
    Trusted,
    /// Over TLS, whoever answers.
    Untrusted,
    /// It waits.
    Waits,
}

struct Domain {
    zone: Zone,
    way: Way,
    /// What `smarthost explain` says of it.
    told: &'static str,
}

impl Domain {
    /// The host that its mail goes to.
    fn host(&self) -> String {
        match self.zone.0 {
            "bare.test" => "bare.test".to_owned(),
            "hosted.test" => "mx.secure.test".to_owned(),
            name => format!("mx.{name}"),
        }
    }

    /// Fails if a log, ours or that of Postfix, says something else.
    fn is_told(&self, log: &str) {
        let (name, host) = (self.zone.0, self.host());
        let says = |text: &str| assert!(log.contains(text), "{name}: '{text}' in {log}");
        if self.way == Way::Waits {
            let of_it = log
                .lines()
                .filter(|it| it.contains(&format!("to=<u@{name}>")));
            for line in of_it {
                assert!(line.contains("status=deferred"), "{line}");
            }
        } else {
            says(&format!(
                "{:?} TLS connection established to {host}[",
                self.way
            ));
        }
    }
}

/// `3 1 1` of a key.
fn record_of(identity: &Identity) -> String {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PeerKey::of_certificate(&certificate).unwrap();
    let hex = key.key_sha256.map(|byte| format!("{byte:02x}")).concat();
    format!("TLSA 3 1 1 {hex}")
}

/// A domain with one host, and this record under the host's TLSA name.
fn with(port: u16, record: &str) -> String {
    format!("@ MX 10 mx\nmx A {HOST}\n_{port}._tcp.mx {record}\n")
}

const OTHER: &str = "TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000";

/// Their records are of the host's key, wherever they stand.
fn verified(good: &str, port: u16) -> Vec<Zone> {
    use Signing::{Nsec3, Signed, Unsigned};
    let host = format!("@ MX 10 mx\nmx A {HOST}\n");
    // Others are of a key to come, and of a kind that nobody knows.
    let several = format!("_{port}._tcp.mx {OTHER}\n_{port}._tcp.mx TLSA 3 1 9 00\n");
    let several = with(port, good) + &several;
    let wild = format!("{host}*._tcp.mx {good}\n");
    // The host is an alias: records at the end of it, or at its own name, where the end is in a
    // zone without signatures.
    let alias = "@ MX 10 mx\nmx CNAME mx.secure.test.\n".to_owned();
    let outward = format!("@ MX 10 mx\nmx CNAME mx.plain.test.\n_{port}._tcp.mx {good}\n");
    // The record is an alias.
    let shared = with(port, &format!("CNAME _{port}._tcp.mx.secure.test."));
    // The domain is its own host.
    let bare = format!("@ A {HOST}\n_{port}._tcp {good}\n");
    vec![
        ("secure.test", Signed, with(port, good)),
        ("hashed.test", Nsec3, with(port, good)),
        ("several.test", Signed, several),
        ("wild.test", Signed, wild.clone()),
        ("wildhashed.test", Nsec3, wild),
        ("alias.test", Signed, alias),
        ("outward.test", Signed, outward),
        ("shared.test", Signed, shared),
        ("bare.test", Signed, bare),
        // Nothing proves that the host is the domain's, but what the host's key is.
        (
            "hosted.test",
            Unsigned,
            "@ MX 10 mx.secure.test.".to_owned(),
        ),
    ]
}

/// DNSSEC proves no record that could be used; and what is said of that.
fn unproved(port: u16) -> Vec<(Zone, &'static str)> {
    use Signing::{Nsec3, Signed, Unsigned};
    const NONE: &str = "no DANE: no TLSA records";
    let host = format!("@ MX 10 mx\nmx A {HOST}\n");
    // An alias into a zone that anybody could forge.
    let forged = with(port, &format!("CNAME _{port}._tcp.mx.plain.test."));
    let unusable = with(port, &OTHER.replace("3 1 1", "1 1 1"));
    vec![
        (("none.test", Signed, host.clone()), NONE),
        (("nonehashed.test", Nsec3, host), NONE),
        (("forged.test", Signed, forged), NONE),
        (("unusable.test", Signed, unusable), "TLSA records unusable"),
        (
            ("plain.test", Unsigned, with(port, OTHER)),
            "no DANE: address not secure",
        ),
    ]
}

/// Nobody may have their mail as things are.
fn broken(good: &str, port: u16) -> Vec<(Zone, &'static str)> {
    use Signing::{Bogus, Expired, Signed, Tampered};
    let tampered = Tampered("0000000000", "1111111111");
    let moved = Tampered("127.0.0.2", "127.0.0.3");
    vec![
        (
            ("other.test", Signed, with(port, OTHER)),
            "DANE, TLSA 3 1 1 0000000000000000",
        ),
        (("bogus.test", Bogus, with(port, good)), BOGUS),
        (("expired.test", Expired, with(port, good)), BOGUS),
        (("tampered.test", tampered, with(port, OTHER)), BOGUS),
        (("moved.test", moved, with(port, good)), BOGUS),
    ]
}

fn domains(good: &str, port: u16) -> Vec<Domain> {
    let of = |way| move |(zone, told)| Domain { zone, way, told };
    let verified = verified(good, port).into_iter().map(|zone| {
        let trusted = zone.1 == Signing::Unsigned;
        let way = if trusted { Way::Trusted } else { Way::Verified };
        of(way)((zone, "DANE, TLSA 3 1 1 "))
    });
    let unproved = unproved(port).into_iter().map(of(Way::Untrusted));
    let broken = broken(good, port).into_iter().map(of(Way::Waits));
    verified.chain(unproved).chain(broken).collect()
}

/// Where Postfix asks, which knows no port but 53: an address that is no other test's.
fn for_postfix() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 98, high, low)
}

/// The host of all domains, and who proves what.
fn world() -> Option<(Sink, Signed, Vec<Domain>)> {
    let identity = Identity::new("mx.example.net");
    let address = SocketAddr::from((HOST, free_port()));
    let domains = domains(&record_of(&identity), address.port());
    let zones: Vec<_> = domains.iter().map(|domain| domain.zone.clone()).collect();
    let resolver = Signed::start(&zones, Some(for_postfix()))?;
    let sink = Sink::on(address, Script::with_tls(identity.server()));
    Some((sink, resolver, domains))
}

/// Domains whose mail has come from this sender; all of it was encrypted.
fn come(sink: &Sink, sender: &str) -> BTreeSet<String> {
    let messages = sink.journal().messages();
    let of_sender = messages.iter().filter(|it| it.sender == sender);
    of_sender
        .inspect(|it| assert!(it.encrypted, "{:?}", it.recipients))
        .flat_map(|it| it.recipients.clone())
        .map(|to| to.trim_start_matches("u@").to_owned())
        .collect()
}

/// Row B8. Postfix says of each domain what we say.
#[test]
fn each_domain_gets_the_tls_that_its_signed_zone_proves_as_from_postfix() {
    if !tests::peers::root() {
        return;
    }
    let Some((sink, resolver, domains)) = world() else {
        return;
    };
    let port = sink.address().port();
    let names = || domains.iter().map(|domain| domain.zone.0);
    let routes: Vec<_> = names()
        .map(|name| format!("\"{name}\" = \"{name}:{port}\""))
        .collect();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nresolver = \"{}\"\ntls_out = {{ level = \"dane\" }}\nroutes = {{ {} }}\n",
        resolver.address(),
        routes.join(", ")
    ));
    let mut session = Session::greeted(smarthost.address());
    for name in names() {
        session.delivers("ours@example.org", &[&format!("u@{name}")], MESSAGE);
    }
    for domain in &domains {
        let name = domain.zone.0;
        let log = smarthost.daemon().wait_for_log(&format!("to=<u@{name}>"));
        let explained = smarthost.admin(&["explain", &format!("u@{name}")]);
        let explained = String::from_utf8(explained.stdout).unwrap();
        assert!(explained.contains(domain.told), "{name}: {explained}");
        domain.is_told(&log);
    }
    let wanted: BTreeSet<_> = domains
        .iter()
        .filter(|domain| domain.way != Way::Waits)
        .map(|domain| domain.zone.0.to_owned())
        .collect();
    let transports: Vec<_> = names()
        .map(|name| format!("{{ {name} = smtp:{name}:{port} }}"))
        .collect();
    let main = format!(
        "smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\nsmtp_host_lookup = dns\nsmtp_tls_loglevel = 1\n\
         transport_maps = inline:{{ {} }}\n",
        transports.join(", ")
    );
    let Some(postfix) = Postfix::start_with(&main, &BTreeMap::new(), Some(for_postfix())) else {
        return;
    };
    let mut session = Session::greeted(([127, 0, 0, 1], postfix.port()).into());
    for name in names() {
        session.delivers("theirs@example.org", &[&format!("u@{name}")], MESSAGE);
    }
    for name in names() {
        until(&format!("Postfix says what becomes of {name}"), || {
            postfix
                .log()
                .contains(&format!("to=<u@{name}>"))
                .then_some(())
        });
    }
    for domain in &domains {
        domain.is_told(&postfix.log());
    }
    assert_eq!(come(&sink, "theirs@example.org"), wanted, "Postfix");
    assert_eq!(come(&sink, "ours@example.org"), wanted, "ours");
}
