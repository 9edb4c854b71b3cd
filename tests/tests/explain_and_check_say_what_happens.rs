//! What `explain` and `check` say of entries that lead to nobody, and of lists that are not
//! believed, is what happens.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "what a test renames has to outlive nothing"
)]

use std::{fs, net::Ipv4Addr, process::Output};

use serde_json::Value;
use tests::{
    resolver::{Record, Resolver},
    session::{Session, heard},
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

const STRANGER: &str = "127.0.0.66";
const CONTENT: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn explained(smarthost: &Smarthost, arguments: &[&str]) -> Value {
    let output = smarthost.admin(&[&["explain", "--json"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn relay(sink: &Sink, rest: &str) -> Smarthost {
    let smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\ngreet_wait = \"0s\"\nmaildir = \"none\"\n\
         domains = {{ local = [\"example.org\"], relay = [\"public.example\"], virtual = [\"example.com\"] }}\n{rest}",
        sink.nexthop()
    ));
    smarthost.file("aliases", "root: r@far.example\n");
    smarthost
}

#[test]
fn an_entry_that_names_itself_where_nobody_has_that_address_costs_no_bounce_and_is_told() {
    let sink = Sink::start();
    let mut smarthost = relay(&sink, "aliases = [\"aliases\"]\nvirtual = [\"virtual\"]\n");
    smarthost.file(
        "aliases",
        "root: r@far.example\nbs: \\bs, bob@far.example\nlost: gone, \\lost\n",
    );
    smarthost.file(
        "virtual",
        "self@example.com self@example.com, bob@far.example\n\
         loc@example.org loc@example.org, bob@far.example\n\
         none@example.com none@example.com, gone@example.org\n",
    );
    smarthost.run();
    let checked = text(&smarthost.admin(&["check"]));
    for name in ["self@example.com", "loc@example.org"] {
        let line = checked
            .lines()
            .find(|line| line.contains(&format!(" {name}: it names itself")));
        let line = line.unwrap_or_else(|| panic!("{name}: {checked}"));
        assert!(
            line.contains("left out, and the others get the mail"),
            "{line}"
        );
    }
    let line = checked.lines().find(|line| line.contains(" bs: "));
    assert!(
        line.is_some_and(|line| line.contains("left out")),
        "{checked}"
    );
    for to in ["self@example.com", "loc@example.org", "bs@example.org"] {
        let told = explained(&smarthost, &[to]);
        let ends: Vec<_> = told["ends"].as_array().unwrap().iter().collect();
        let out = ends
            .iter()
            .find(|end| end["address"] != "bob@far.example")
            .unwrap();
        assert_eq!(out["outcome"], "left out", "{told}");
        let mut session = Session::greeted(smarthost.address());
        session.delivers("a@elsewhere.example", &[to], CONTENT);
    }
    for to in ["none@example.com", "lost@example.org"] {
        let told = explained(&smarthost, &[to]);
        assert!(
            told["failure"].as_str().unwrap().contains("nobody has"),
            "{told}"
        );
        assert_eq!(told["ends"][0]["outcome"], "deferred", "{told}");
        let said = heard(
            smarthost.address(),
            "127.0.0.1",
            "x",
            "a@elsewhere.example",
            to,
        );
        assert!(said.starts_with("451 "), "{said}");
    }
    sink.journal().wait_for(3);
    smarthost.wait_for_mailq("an empty queue", |queue| queue.contains("is empty"));
    let journal = sink.journal();
    for message in journal.messages() {
        assert_eq!(message.recipients, ["bob@far.example"], "and no bounce");
    }
    let log = smarthost.daemon().log();
    for name in ["self@example.com", "loc@example.org"] {
        let line = format!("names {name}, which nobody has: left out");
        assert!(log.contains(&line), "{name}: {log}");
    }
}

/// Every name of it is refused, as with the same written out.
#[test]
fn check_tells_of_a_pattern_that_leads_a_virtual_domain_to_itself() {
    let sink = Sink::start();
    let smarthost = relay(&sink, "virtual = [\"pcre:virtual\"]\n");
    smarthost.file("virtual", "/^(.*)@example\\.com$/ $1@example.com\n");
    let checked = smarthost.admin(&["check"]);
    let told = text(&checked);
    assert!(!checked.status.success(), "{told}");
    assert!(
        told.contains("virtual:1: `$1@example.com` leads every address"),
        "{told}"
    );
    smarthost.file("virtual", "/^(.*)@example\\.com$/ $1@far.example\n");
    let told = text(&smarthost.admin(&["check"]));
    assert!(!told.contains("leads every address"), "{told}");
}

/// Postfix and sendmail take what stands behind `#` for a part of the address.
#[test]
fn a_comment_that_would_take_a_recipient_with_it_puts_the_mail_off_and_is_told_with_its_line() {
    let sink = Sink::start();
    let mut smarthost = relay(&sink, "aliases = [\"aliases\"]\n");
    smarthost.file(
        "aliases",
        "root: r@far.example\ncmt: a@far.example, # first\n b@far.example\n\
         whole: a@far.example,\n# first\n b@far.example\n",
    );
    smarthost.run();
    let checked = text(&smarthost.admin(&["check"]));
    assert!(checked.contains("aliases:2: `cmt`"), "{checked}");
    assert!(!checked.contains("`whole`"), "{checked}");
    let said = |to: &str| {
        heard(
            smarthost.address(),
            STRANGER,
            "x",
            "a@elsewhere.example",
            to,
        )
    };
    assert!(said("cmt@example.org").starts_with("451 "));
    assert!(said("whole@example.org").starts_with("250 "));
}

#[test]
fn a_block_list_that_is_switched_off_counts_for_nothing_in_an_explanation_either() {
    let everybody = |name: &str| {
        let listed = name.ends_with(".bl.example");
        listed.then(|| vec![Record::A(Ipv4Addr::new(127, 0, 0, 2))])
    };
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(everybody));
    let mut smarthost = relay(
        &sink,
        &format!(
            "resolver = \"{}\"\nrestrictions = [\"reject_rbl_client bl.example\"]\n",
            resolver.address()
        ),
    );
    smarthost.run();
    until("the list is off", || {
        let log = smarthost.daemon().log();
        log.contains("the block list bl.example is switched off")
            .then_some(())
    });
    let line = [
        "--client",
        STRANGER,
        "--from",
        "a@far.example",
        "--to",
        "x@public.example",
    ];
    let told = explained(&smarthost, &line);
    let said = heard(
        smarthost.address(),
        STRANGER,
        "x",
        "a@far.example",
        "x@public.example",
    );
    assert!(said.starts_with("250 "), "{said}");
    assert_eq!(told["accepted"], true, "{told}");
    let all = told.to_string();
    assert!(
        all.contains("off since ") && all.contains("it is ignored"),
        "{all}"
    );
}

/// Its counters are in the daemon's memory alone then.
#[test]
fn explain_says_what_a_client_hears_while_the_counters_database_cannot_be_written() {
    let sink = Sink::start();
    let mut smarthost = relay(
        &sink,
        "aliases = [\"aliases\"]\nlimits = { per_client = [\"3/day\"] }\n",
    );
    smarthost.run();
    let send = || {
        let mut session = Session::greeted(smarthost.address());
        let reply = session.mail("a@far.example", &["b@far.example"], CONTENT);
        reply.unwrap().code
    };
    let asked = ["--client", "127.0.0.1", "--to", "b@far.example"];
    assert_eq!(send(), 250);
    let state = smarthost.directory().join("state");
    fs::rename(&state, smarthost.directory().join("away")).unwrap();
    smarthost.file("state", "");
    assert_eq!(send(), 250);
    until("the daemon knows it", || {
        let status = text(&smarthost.admin(&["status"]));
        status.contains(" not written since ").then_some(())
    });
    let told = explained(&smarthost, &asked);
    assert_eq!(told["accepted"], true, "{told}");
    assert_eq!(told["limits"][0]["windows"][0][0], 2, "{told}");
    assert_eq!((send(), send()), (250, 450));
    let told = explained(&smarthost, &asked);
    assert_eq!(told["accepted"], false, "{told}");
    assert!(
        told["reply"].as_str().unwrap().starts_with("450 4.7.1"),
        "{told}"
    );
    let other = explained(
        &smarthost,
        &["--client", "127.0.0.1", "--to", "c@far.example"],
    );
    assert_eq!(
        other["accepted"], false,
        "asked twice, it is the same: {other}"
    );
}
