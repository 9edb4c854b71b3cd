//! `smarthost report rejected`: mail that was refused is found again, with what lets its sender
//! pass. Row C9.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::Ipv4Addr, process::Output};

use serde_json::Value;
use tests::{
    resolver::{Record, Resolver},
    session::{Session, heard},
    shown,
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

const STRANGER: &str = "127.0.0.66";
const OTHER: &str = "127.0.0.67";

fn world(name: &str) -> Option<Vec<Record>> {
    Some(match name {
        "ham.example" | "public.example" => vec![Record::Mx("mx.ham.example")],
        "66.0.0.127.bl.example" => vec![
            Record::A(Ipv4Addr::new(127, 0, 0, 2)),
            Record::Txt("ask \u{1b}[2J us".to_owned()),
        ],
        _ => return None,
    })
}

fn relay(sink: &Sink, resolver: &Resolver, delay: &str) -> Smarthost {
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\nresolver = \"{}\"\n\
         domains = {{ relay = [\"public.example\"] }}\n\
         restrictions = [ \"check_sender_access senders\", \"reject_non_fqdn_sender\",\n\
         \"reject_unknown_sender_domain\", \"permit_mynetworks\", \"reject_unauth_destination\",\n\
         \"reject_rbl_client bl.example\", \"greylist\" ]\n\
         greylist = {{ only = \"all\", delay = \"{delay}\" }}\n",
        sink.nexthop(),
        resolver.address()
    ));
    smarthost.file(
        "senders",
        "# whom we know\nfriend@ham.example OK\nfoe@ham.example REJECT go away\n",
    );
    smarthost.run();
    smarthost
}

#[test]
fn a_message_refused_at_its_end_is_found_by_its_sender_and_by_each_of_its_recipients() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nmessage_size = \"8KiB\"\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    let to = ["sales@dest.example", "office@dest.example"];
    let large = [
        b"Subject: x\r\n\r\n",
        &b"xxxxxxx\r\n".repeat(1000)[..],
        b"\r\n",
    ]
    .concat();
    let circles = b"Received: x\r\n".repeat(101);
    let circles = [&circles[..], b"\r\nx\r\n"].concat();
    for (content, code) in [(&large, 552), (&circles, 554)] {
        let reply = session.mail("boss@customer.example", &to, content).unwrap();
        assert_eq!(reply.code, code, "{reply:?}");
    }
    let found = |arguments: &[&str]| rejected(&smarthost, arguments).len();
    // Two reasons, two recipients.
    until("they are kept", || {
        (found(&["--from", "customer"]) == 4).then_some(())
    });
    for part in ["sales", "office"] {
        assert_eq!(found(&["--to", part]), 2, "{part}");
    }
    assert_eq!(found(&["--to", "nobody"]), 0);
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn rejected(smarthost: &Smarthost, arguments: &[&str]) -> Vec<Value> {
    let output = smarthost.admin(&[&["report", "rejected", "--json"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    let lines = text(&output);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Row C9: mail that was refused is found by recipient, sender, client and time, with what lets its
/// sender pass.
#[test]
fn refused_mail_is_found_again_with_its_rule_and_the_line_that_lets_the_sender_pass() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let mut smarthost = relay(&sink, &resolver, "1s");
    let to = "boss@public.example";
    for (client, from, to) in [
        (STRANGER, "a@ham.example", to),
        (STRANGER, "a@ham.example", to),
        (OTHER, "foe@ham.example", to),
        (OTHER, "a@gone.example", to),
        (OTHER, "a@ham.example", "u@far.example"),
        (OTHER, "\"a b\"@nodot", to),
        (OTHER, "friend@ham.example", "not an address"),
        (OTHER, "grey@ham.example", to),
    ] {
        let said = heard(smarthost.address(), client, "ham.example", from, to);
        assert!(!said.starts_with('2'), "{said}");
    }
    let rows = until("the refusals are kept", || {
        Some(rejected(&smarthost, &[])).filter(|rows| rows.len() == 7)
    });
    let of = |part: &str| {
        let mut rows = rows.iter();
        rows.find(|row| row["rule"].to_string().contains(part))
            .unwrap()
    };
    let senders = smarthost.directory().join("senders");
    let listed = of("reject_rbl_client");
    assert_eq!(listed["count"], 2);
    assert_eq!(listed["sender"], "a@ham.example");
    assert_eq!(
        listed["remedy"],
        format!("add the line \"a@ham.example OK\" to {}", senders.display())
    );
    let own = of("check_sender_access")["remedy"].to_string();
    assert!(own.contains("senders:3: REJECT go away"), "{own}");
    assert!(
        of("reject_unauth")["remedy"]
            .to_string()
            .contains("networks")
    );
    assert_eq!(of("reject_non_fqdn_sender")["remedy"], Value::Null);
    let grey = of("greylist");
    assert_eq!(
        (&grey["temporary"], &grey["accepted"]),
        (&Value::Bool(true), &Value::Null)
    );
    assert_eq!(rejected(&smarthost, &["--to", "BOSS@"]).len(), 5);
    assert_eq!(rejected(&smarthost, &["--from", "gone"]).len(), 1);
    assert_eq!(rejected(&smarthost, &["--client", STRANGER]).len(), 1);
    assert_eq!(rejected(&smarthost, &["--since", "2099-01-01"]).len(), 0);
    assert_eq!(rejected(&smarthost, &["--since", "1h"]).len(), 7);
    let nothing = smarthost.admin(&["report", "rejected", "--from", ""]);
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    let wrong = smarthost.admin(&["report", "rejected", "--since", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));
    // It comes again, and that is seen.
    until("it is let through", || {
        heard(
            smarthost.address(),
            OTHER,
            "ham.example",
            "grey@ham.example",
            to,
        )
        .starts_with('2')
        .then_some(())
    });
    until("it is seen that it came again", || {
        let rows = rejected(&smarthost, &["--from", "grey@"]);
        rows[0]["accepted"].is_string().then_some(())
    });
    // What is known survives kill -9, and needs no daemon.
    smarthost.kill();
    assert_eq!(rejected(&smarthost, &[]).len(), 7);
    let shown = text(&smarthost.admin(&["report", "rejected", "--from", "grey"]));
    assert!(shown.contains("came again and was accepted at"), "{shown}");
    smarthost.run();
    assert_eq!(rejected(&smarthost, &[]).len(), 7);
}

#[test]
fn the_line_that_the_report_names_lets_the_sender_pass() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let smarthost = relay(&sink, &resolver, "5m");
    let say = |smarthost: &Smarthost| {
        heard(
            smarthost.address(),
            STRANGER,
            "ham.example",
            "new@ham.example",
            "boss@public.example",
        )
    };
    assert!(say(&smarthost).starts_with("554"));
    let row = until("the refusal is kept", || rejected(&smarthost, &[]).pop());
    let remedy = row["remedy"].as_str().unwrap();
    let line = remedy.split('"').nth(1).unwrap();
    let file = remedy.rsplit(' ').next().unwrap();
    let before = fs::read_to_string(file).unwrap();
    assert!(file.ends_with("/senders"), "{remedy}");
    smarthost.file("senders", &format!("{before}{line}\n"));
    until("the table is read again", || {
        say(&smarthost).starts_with('2').then_some(())
    });
}

#[test]
fn hostile_text_in_a_refusal_cannot_forge_a_line_of_the_report() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let smarthost = relay(&sink, &resolver, "5m");
    for from in [
        "\u{1b}[2J@ham.example",
        "\"\u{202e}\"@ham.example",
        "#x@ham.example",
        "\"a\\\"b\"@gone.example",
    ] {
        heard(
            smarthost.address(),
            STRANGER,
            "x\u{1b}y",
            from,
            "boss@public.example",
        );
        heard(
            smarthost.address(),
            STRANGER,
            "ham.example",
            from,
            "boss@public.example",
        );
    }
    let shown = until("they are kept", || {
        let shown = text(&smarthost.admin(&["report", "rejected"]));
        shown.contains("#x@ham").then_some(shown)
    });
    assert!(
        shown
            .chars()
            .all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()),
        "{shown}"
    );
    assert!(!shown.contains("\"#x@"), "a comment is no entry: {shown}");
    let rows = shown.lines().filter(|line| !line.starts_with(' '));
    assert!(rows.clone().all(|line| line.starts_with("20")), "{shown}");
}

/// The manual shows this.
#[test]
fn the_manual_shows_what_report_prints() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let smarthost = relay(&sink, &resolver, "5m");
    heard(
        smarthost.address(),
        STRANGER,
        "ham.example",
        "ann@ham.example",
        "boss@public.example",
    );
    let row = until("it is kept", || rejected(&smarthost, &[]).pop());
    let arguments = ["report", "rejected", "--to", "boss"];
    let printed = text(&smarthost.admin(&arguments));
    let directory = smarthost.directory().display().to_string();
    let printed = format!(
        "$ smarthost {}\n{}",
        arguments.join(" "),
        printed.replace("ask ?[2J us", "see bl.example")
    );
    let replaced = [
        (directory.as_str(), "/etc/smarthost"),
        (row["last"].as_str().unwrap(), "2026-11-22T07:51:52+01:00"),
        (STRANGER, "192.0.2.7"),
    ];
    shown::compare("report-rejected", &printed, &replaced);
}
