//! `smarthost check` asks block lists and name servers whether they serve the daemon, and says
//! which keys serve it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::Ipv4Addr, process::Command};

use tests::{
    identity::Identity,
    peers,
    resolver::{Record, Resolver},
    smarthost::Smarthost,
};

const HERMETIC: &str = "aliases = [\"aliases\"]\nadmins = \"a@example.net\"\n";

/// Exit status, and all that was said.
fn check(more: &str, resolver: &Resolver, prepare: impl Fn(&Smarthost)) -> (Option<i32>, String) {
    let resolver = format!("resolver = \"{}\"\n", resolver.address());
    let smarthost = Smarthost::prepare(&format!("{HERMETIC}{resolver}{more}"));
    smarthost.file("aliases", "root: a@example.net\n");
    prepare(&smarthost);
    let output = smarthost.admin(&["check"]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn assert_lines(said: &str, lines: &[&str]) {
    for line in lines {
        let found = said.lines().any(|it| it.starts_with(line));
        assert!(found, "{line}: {said}");
    }
}

/// A name that is misspelt refuses nobody, and nobody would ever notice.
#[test]
fn a_list_that_is_none_refuses_the_server_or_does_not_answer_is_named_before_the_daemon_runs() {
    let code = |last| Some(vec![Record::A(Ipv4Addr::new(127, 0, 0, last))]);
    let resolver = Resolver::anywhere(move |name| match name {
        "example.net" => Some(Vec::new()),
        "2.0.0.127.good.example" | "test.names.example" => code(2),
        "2.0.0.127.mute.example" | "1.0.0.127.mute.example" => Some(vec![Record::Servfail]),
        name if name.ends_with(".all.example") => code(2),
        name if name.ends_with(".refuses.example") => {
            Some(vec![Record::A(Ipv4Addr::new(127, 255, 255, 254))])
        }
        _ => None,
    });
    let rules = "restrictions = [\"permit_mynetworks\", \"reject_unauth_destination\", \
                 \"reject_rbl_client good.example\", \"reject_rbl_client mute.example\", \
                 \"reject_rbl_client misspelt.example\", \"reject_rhsbl_sender names.example\", \
                 \"reject_dnsbl_score\"]\n\
                 dnsbl = { threshold = 9, lists = [\"all.example\", \"refuses.example*2\"] }\n";
    let (status, said) = check(rules, &resolver, |_| ());
    assert_eq!(status, Some(0), "{said}");
    let lines = [
        "ok    block list    good.example answers",
        "ok    block list    names.example answers",
        "WARN  block list    misspelt.example has no entry for tests",
        "WARN  block list    all.example: it lists what is never listed",
        "WARN  block list    refuses.example: it answers 127.255.255.254, which is no listing",
        "WARN  block list    mute.example: ",
    ];
    assert_lines(&said, &lines);
}

/// RFC 5321 §5.1.
#[test]
fn a_domain_without_an_mx_is_right_where_its_address_is_that_of_this_machine() {
    let resolver = Resolver::anywhere(|name| match name {
        "example.net" | "nothing.example" => Some(Vec::new()),
        "mail.example.test" | "alone.example" => Some(vec![Record::A(Ipv4Addr::LOCALHOST)]),
        "away.example" => Some(vec![Record::A(Ipv4Addr::new(192, 0, 2, 9))]),
        _ => None,
    });
    let domains =
        "domains = { local = [\"alone.example\", \"away.example\", \"nothing.example\"] }\n";
    let (_, said) = check(domains, &resolver, |_| ());
    let lines = [
        "ok    domains       alone.example: it has no MX, and its address is that of this machine",
        "WARN  domains       away.example: it has no MX, and its address, 192.0.2.9, is none of \
         mail.example.test",
        "WARN  domains       nothing.example: DNS says that it accepts no mail",
    ];
    assert_lines(&said, &lines);
}

#[test]
fn a_key_that_cannot_sign_here_is_one_fault_of_the_configuration_that_names_those_which_can() {
    let resolver = Resolver::anywhere(|_| Some(Vec::new()));
    let tls = "tls = { certificate = \"our.pem\", key = \"our.key\" }\n";
    let is_one_fault = |(status, said): (Option<i32>, String), told: &str| {
        assert_eq!(status, Some(78), "{said}");
        let about = said.matches("  configuration ").count();
        assert!(
            about == 1 && said.contains("FAIL  configuration "),
            "{said}"
        );
        assert!(said.contains(told), "{told}: {said}");
        assert!(!said.contains("unexpected error"), "{said}");
    };
    let other = |smarthost: &Smarthost| {
        Identity::new("mail.example.test").write(smarthost.directory(), "other");
        Identity::new("mail.example.test").write(smarthost.directory(), "our");
    };
    let mixed = "tls = { certificate = \"our.pem\", key = \"other.key\" }\n";
    let told = "this key does not belong to the certificate in";
    is_one_fault(check(mixed, &resolver, other), told);
    let dkim = "dkim = [{ domain = \"example.org\", selector = \"s1\", key = \"no.key\" }]\n";
    is_one_fault(check(dkim, &resolver, |_| ()), "no.key: No such file");
    let srs = "srs = { domain = \"example.org\", secrets = \"no.secrets\" }\n";
    is_one_fault(check(srs, &resolver, |_| ()), "no.secrets: No such file");
    let Some(openssl) = peers::find("openssl") else {
        return;
    };
    for kind in [
        &["ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"][..],
        &["rsa:1024"],
    ] {
        let made = |smarthost: &Smarthost| {
            let mut openssl = Command::new(&openssl);
            openssl.args(["req", "-x509", "-nodes", "-subj", "/CN=mail.example.test"]);
            openssl.args(["-keyout", "our.key", "-out", "our.pem", "-newkey"]);
            let made = openssl.args(kind).current_dir(smarthost.directory());
            assert!(made.output().unwrap().status.success(), "{kind:?}");
        };
        let told = "RSA of 2048 to 4096 bits, ECDSA P-256 or P-384, and Ed25519";
        is_one_fault(check(tls, &resolver, made), told);
    }
}
