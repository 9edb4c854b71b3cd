//! What is wrong is told with its place and what to write.

use std::path::Path;

use proptest::prelude::*;

use crate::config::Config;

fn error(text: &str) -> String {
    Config::parse(
        Path::new("/etc/smarthost/config.toml"),
        text,
        "vm1.example.org",
    )
    .unwrap_err()
    .to_string()
}

/// Where a mistake is, and what to write.
fn says(text: &str, place: &str, remedy: &str) {
    let message = error(text);
    assert!(
        message.starts_with(&format!("/etc/smarthost/config.toml{place}")),
        "{text}: {message}"
    );
    assert!(message.contains(remedy), "{text}: {message}");
}

#[test]
fn every_mistake_names_its_place_and_a_remedy() {
    for (text, place, remedy) in [
        ("networks = [\"0.0.0.0/0\"]", ":1:13:", "open relay"),
        (
            "networks = [\"0.0.0.0/1\", \"128.0.0.0/1\"]",
            ":1:13:",
            "large part of the Internet",
        ),
        ("networks = [\"2000::/3\"]", ":1:13:", "open relay"),
        ("listen = []", ":1:", "no client could connect"),
        ("message_size = 0", ":1:", "let nothing through"),
        (
            "networks = [\"10.0.0.0/8\", \"::/0\"]",
            ":1:27:",
            "open relay",
        ),
        ("networks = [\"10.0.0.7/8\"]", ":1:13:", "write 10.0.0.0/8"),
        ("limits = { per_client = \"100\" }", ":1:25:", "\"100/day\""),
        (
            "limits = { per_clients = \"1/day\" }",
            ":1:12:",
            "did you mean `per_client`?",
        ),
        ("listen = \"25\"", ":1:10:", "\"[::]:25\""),
        (
            "listen = [{ address = \"[::]:25\", tls = \"wraped\" }]",
            ":1:",
            "did you mean `wrapped`?",
        ),
        (
            "tls = { certificate = \"x\" }",
            ":1:23:",
            "`key` is missing",
        ),
        (
            "tls = { key = \"x\" }",
            ":1:15:",
            "`certificate` is missing",
        ),
        ("tls = { minimum = \"1.1\" }", ":1:19:", "`1.2`"),
        (
            "banner = \"other.example ESMTP\"",
            ":1:10:",
            "vm1.example.org ESMTP",
        ),
        ("maildir = \"/m\"\nlmtp = \"unix:/x\"", ":2:8:", "keep one"),
        ("lmtp = \"unix:x\"", ":1:8:", "whole path"),
        (
            "domains = { local = \"example.org.\" }",
            ":1:21:",
            "without the final dot",
        ),
        (
            "retry = { minimal = \"2h\", maximal = \"1h\" }",
            ":1:21:",
            "exchange",
        ),
        ("retry = { minimal = \"0s\" }", ":1:21:", "1s"),
        ("retry.maximal = \"1m\"", ":1:17:", "exchange"),
        (
            "retry.minimal = \"1h\"\nretry.lifetime = \"10m\"",
            ":2:18:",
            "second time",
        ),
        ("concurrency = { destination = 0 }", ":1:31:", "from 1"),
        ("recipient_delimiter = \"ab\"", ":1:23:", "one character"),
        (
            "relay_tls = { level = \"none\", pins = [\"sha1:0123456789012345678901234567890123456789\"] }",
            ":1:23:",
            "starttls",
        ),
        ("mynetworks = []", ":1:1:", "did you mean `networks`?"),
    ] {
        says(text, place, remedy);
    }
}

#[test]
fn a_value_of_another_kind_is_told_with_what_its_own_setting_may_be() {
    for (text, place, remedy) in [
        ("limits = { per_client = 100 }", ":1:25:", "\"100/day\""),
        (
            "concurrency.sessions = \"5\"",
            ":1:24:",
            "from 1 to 1000000",
        ),
        (
            "budget = { store = \"redis://127.0.0.1/0\", nodes = \"2\" }",
            ":1:51:",
            "from 2 to 64",
        ),
        ("domains = [\"example.org\"]", ":1:11:", "{ name = value }"),
        ("concurrency = 10", ":1:15:", "{ name = value }"),
        (
            "srs = { domain = \"srs.example.org\", secrets = \"S3CRET-of-ours\" }",
            ":1:",
            "this may be the secret itself",
        ),
        (
            "dnsbl = { keys = \"abcdefghij2345678901234567\" }",
            ":1:",
            "this may be the secret itself",
        ),
    ] {
        says(text, place, remedy);
    }
}

/// Lines that are wrong each by itself, and words of what is told.
const WRONG: [(&str, &str); 16] = [
    ("listn = \"[::]:25\"", "did you mean `listen`?"),
    (
        "networks = [\"10.0.0.0/8\", \"0.0.0.0/0\", \"10.1.0.0/16\"]",
        "open relay",
    ),
    ("banner = \"welcome\"", "must begin with the host name"),
    (
        "restrictions = [\"permit_mynetworks\", \"reject_nobody\"]",
        "reject_nobody",
    ),
    ("message_size = \"5 parsecs\"", "25MiB"),
    ("mta_sts = \"yes\"", "write true or false, without quotes"),
    (
        "domains = { local = \"b.example\", relay = [\"a.example\", \"b.example\"] }",
        "both local and",
    ),
    (
        "retry = { minimal = \"2h\", maximal = \"1h\" }",
        "exchange them",
    ),
    (
        "limits = { per_client = [\"5/day\", \"5/fortnight\"] }",
        "fortnight",
    ),
    ("greet_wait = \"2h\"", "to \"30s\""),
    (
        "relay_tls = { pins = \"sha1:0123456789012345678901234567890123456789\" }",
        "set relayhost",
    ),
    ("admins = [\"somebody\"]", "no @domain"),
    ("spool = \"/x", "double quote"),
    ("state /y", "expected `=`"),
    (
        "routes = { \"c.example\" = \"quick:\" }",
        "[transports.quick]",
    ),
    (
        "transports = { x = { type = \"smtp\", flags = \"D\" } }",
        "no such setting",
    ),
];

proptest! {
    /// None hides another, and nothing is told that only follows from it.
    #[test]
    fn each_of_several_mistakes_is_told_once_and_in_its_line(
        chosen in proptest::sample::subsequence(WRONG.to_vec(), 1..WRONG.len()).prop_shuffle()
    ) {
        let lines: Vec<_> = chosen.iter().map(|(line, _)| *line).collect();
        let text = lines.join("\n");
        let told = error(&text);
        let told: Vec<_> = told.split("\n\n").collect();
        prop_assert_eq!(told.len(), chosen.len(), "{}: {:#?}", text, told);
        for ((number, (_, words)), told) in (1..).zip(&chosen).zip(told) {
            let place = format!("/etc/smarthost/config.toml:{number}:");
            prop_assert!(told.starts_with(&place) && told.contains(words), "{}: {}", words, told);
        }
    }
}

#[test]
fn restrictions_that_are_not_known_here_are_told_with_what_to_write_instead() {
    for (text, remedy) in [
        (
            "restrictions = [\"permit_mynetworks, reject\"]",
            "put each in quotes of its own: \"permit_mynetworks\", \"reject\"",
        ),
        (
            "restrictions = [\"check_sender_mx_access hash:x\"]",
            "`check_sender_mx_access` is not known here; the hosts of a domain",
        ),
        (
            "restrictions = [\"check_sasl_access hash:x\"]",
            "remove the login from the file of `auth.users`",
        ),
        (
            "restrictions = [\"reject_authenticated_sender_login_mismatch\"]",
            "is not known here; logins have no senders",
        ),
    ] {
        let told = error(text);
        assert!(told.contains(":1:17:") && told.contains(remedy), "{told}");
    }
}

#[test]
fn a_list_that_wants_a_key_is_told_with_its_line_and_the_setting_that_names_the_keys() {
    for text in [
        "\nrestrictions = [\"reject\",\n\"reject_rbl_client ${NOPE}.x.example\"]",
        "\n\ndnsbl = { lists = [\"${NOPE}.x.example\"] }",
    ] {
        let path = Path::new("/etc/smarthost/config.toml");
        let config = Config::parse(path, text, "vm1.example.org").unwrap();
        let told = config.read_keys().unwrap_err().to_string();
        assert!(told.starts_with("/etc/smarthost/config.toml:3:"), "{told}");
        assert!(told.contains("name that in `dnsbl.keys`"), "{told}");
    }
}

#[test]
fn settings_that_make_no_sense_together_are_told_with_their_place() {
    for (text, place, remedy) in [
        ("hostname = \"192.0.2.1\"", ":1:12:", "is an address"),
        (
            "hostname = \"[IPv6:2001:db8::1]\"",
            ":1:12:",
            "is an address",
        ),
        (
            "limits = { per_client = [\"5/hour\", \"0/day\"] }",
            ":1:",
            "lets nothing through",
        ),
        (
            "listen = [\"127.0.0.1:25\", \"[::1]:25\", \"127.0.0.1:25\"]",
            ":1:39:",
            "twice",
        ),
        (
            "hostname = \"m.example\"\ndomains = { local = \"a.example\", relay = [\"b.example\", \"A.example\"] }",
            ":2:56:",
            "both local and passed on",
        ),
        (
            "[domains]\nrelay = \"localhost\"",
            ":2:1:",
            "both local and passed on",
        ),
        (
            "domains = { local = \"a.example\" }\nroutes = { \"a.example\" = \"[192.0.2.1]\" }",
            ":2:12:",
            "is a local domain",
        ),
        (
            "relay_tls = { pins = [\"sha1:0123456789012345678901234567890123456789\"] }",
            ":1:15:",
            "set relayhost",
        ),
        (
            "relayhost = \"a.example\"\nrelay_tls.level = \"none\"\nrelay_auth.user = \"u\"",
            ":2:11:",
            "no password is sent",
        ),
        (
            "relayhost = \"vm1.example.org\"",
            ":1:1:",
            "this machine itself",
        ),
        (
            "relayhost = \"[::ffff:127.0.0.1]\"",
            ":1:1:",
            "this machine itself",
        ),
        (
            "listen = \"192.0.2.5:2525\"\nrelayhost = \"[192.0.2.5]:2525\"",
            ":2:1:",
            "this machine itself",
        ),
    ] {
        let message = error(text);
        let at = format!("/etc/smarthost/config.toml{place}");
        assert!(message.starts_with(&at), "{text:?}: {message}");
        assert!(message.contains(remedy), "{text:?}: {message}");
    }
}

#[test]
fn a_transport_or_route_that_cannot_be_is_told_with_its_place() {
    for (text, place, remedy) in [
        (
            "routes = { \"a.example\" = \"quick:\" }",
            ":1:26:",
            "there is no [transports.quick]",
        ),
        (
            "routes = { \"/@yahoo/(/\" = \"[b.example]\" }",
            ":1:27:",
            "@yahoo",
        ),
        (
            "[transports.smtp]\nconnections = 2",
            ":1:1:",
            "has no settings",
        ),
        ("[transports.x]\ncommand = [\"cat\"]", ":2:1:", "full path"),
        (
            "[transports.x]\ncommand = \"/bin/cat\"\nflags = \"D\"\nrecipients = 2",
            ":3:1:",
            "recipients = 1",
        ),
        (
            "[transports.x]\ntype = \"smtp\"\nflags = \"D\"",
            ":3:1:",
            "no such setting",
        ),
        (
            "[transports.x]\ncommand = [\"/bin/cat\", \"${recipent}\"]",
            ":2:1:",
            "there is no macro",
        ),
    ] {
        let message = error(text);
        assert!(
            message.contains(place) && message.contains(remedy),
            "{text}: {message}"
        );
    }
}

/// An array would say nothing of which value is which.
#[test]
fn a_table_is_never_written_as_an_array() {
    let tables = [
        "tls",
        "limits",
        "domains",
        "relay_tls",
        "relay_auth",
        "routes",
        "default_routes",
        "retry",
        "concurrency",
    ];
    for (table, array) in tables.iter().flat_map(|table| {
        [
            "[]",
            "[\"a.example\"]",
            "[\"a.example\", \"b.example\"]",
            "[[]]",
        ]
        .map(|array| (table, array))
    }) {
        let told = error(&format!("{table} = {array}"));
        assert!(
            told.contains(":1:") && told.contains("a table"),
            "{table} = {array}: {told}"
        );
    }
}
