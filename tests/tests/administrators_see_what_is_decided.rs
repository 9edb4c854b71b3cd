//! `smarthost explain` says what the daemon says, and why; and nothing happens by it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::Ipv4Addr, process::Output};

use serde_json::Value;
use tests::{
    login::{from, password, plain},
    resolver::{Record, Resolver},
    session::{Session, heard},
    shown,
    sink::Sink,
    smarthost::Smarthost,
};

const STRANGER: &str = "127.0.0.66";
const OTHER: &str = "127.0.0.67";

fn world(name: &str) -> Option<Vec<Record>> {
    Some(match name {
        "ham.example" | "public.example" => vec![Record::Mx("mx.ham.example")],
        "7.2.0.192.bl.example" => vec![
            Record::A(Ipv4Addr::new(127, 0, 0, 4)),
            Record::Txt("see https://bl.example/192.0.2.7".to_owned()),
        ],
        "66.0.0.127.bl.example" => vec![
            Record::A(Ipv4Addr::new(127, 0, 0, 2)),
            Record::Txt("ask \u{1b}[2J us".to_owned()),
        ],
        _ => return None,
    })
}

fn relay(sink: &Sink, resolver: &Resolver, rest: &str) -> Smarthost {
    let smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\nresolver = \"{}\"\n\
         domains = {{ relay = [\"other.example\",\n  \"public.example\"] }}\n{rest}",
        sink.nexthop(),
        resolver.address()
    ));
    smarthost.file(
        "senders",
        "# whom we know\nfriend@ham.example OK\nfoe@ham.example REJECT go away\n",
    );
    smarthost
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn explained(smarthost: &Smarthost, arguments: &[&str]) -> Value {
    let output = smarthost.admin(&[&["explain", "--json"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const RULES: &str = "restrictions = [\n\
    \"check_sender_access senders\",\n\
    \"reject_non_fqdn_sender\", \"reject_unknown_sender_domain\",\n\
    \"permit_mynetworks\", \"reject_unauth_destination\",\n\
    \"warn_if_reject reject_unknown_client_hostname\",\n\
    \"reject_rbl_client bl.example\", \"greylist\" ]\n\
    greylist = { only = \"all\", delay = \"5m\" }\nlimits = { per_client = \"100/day\", per_stranger = \"3/day\" }\n";

#[test]
fn explain_gives_the_reply_that_the_daemon_gives_to_the_same_client() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let mut smarthost = relay(&sink, &resolver, RULES);
    smarthost.run();
    let to = "boss@public.example";
    for (client, helo, from, to) in [
        (STRANGER, "ham.example", "friend@ham.example", to),
        (OTHER, "ham.example", "foe@ham.example", to),
        (OTHER, "ham.example", "a@nodot", to),
        (OTHER, "ham.example", "a@gone.example", to),
        (STRANGER, "ham.example", "a@ham.example", to),
        (OTHER, "ham.example", "friend@ham.example", "u@far.example"),
        (
            OTHER,
            "ham.example",
            "a@ham.example",
            "u%far.example@public.example",
        ),
        (OTHER, "ham.example", "a@ham.example", "not an address"),
        (OTHER, "ham.example", "a@@ham.example", to),
        ("127.0.0.1", "vm1", "a@ham.example", "u@far.example"),
        ("127.0.0.1", "vm1", "", "nobody@mail.example.test"),
    ] {
        let told = explained(
            &smarthost,
            &[
                "--client", client, "--helo", helo, "--from", from, "--to", to,
            ],
        );
        let said = heard(smarthost.address(), client, helo, from, to);
        assert_eq!(told["reply"], said, "{client} {from} {to}");
        assert_eq!(told["accepted"], said.starts_with('2'));
    }
}

#[test]
fn explain_shows_each_rule_with_its_place_and_what_the_world_said() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let smarthost = relay(&sink, &resolver, RULES);
    let line = [
        "--client",
        STRANGER,
        "--from",
        "a@ham.example",
        "--to",
        "boss@public.example",
    ];
    let told = explained(&smarthost, &line);
    let config = fs::read_to_string(smarthost.config()).unwrap();
    let line_of = |part: &str| config.lines().position(|line| line.contains(part)).unwrap() + 1;
    assert_eq!(told["recipient"]["class"], "relay");
    assert_eq!(
        told["recipient"]["place"]["line"],
        line_of("public.example")
    );
    let rcpt = told["stages"].as_array().unwrap().last().unwrap();
    let rules = rcpt["rules"].as_array().unwrap();
    let rule = |name: &str| {
        rules
            .iter()
            .find(|it| it["rule"].as_str().unwrap().starts_with(name))
            .unwrap()
    };
    assert_eq!(rules[0]["rule"], "reject_unauth_destination");
    assert_eq!(rules[0]["origin"], "always");
    assert_eq!(rule("reject_rbl")["place"]["line"], line_of("bl.example"));
    assert_eq!(rule("reject_rbl")["verdict"], "refuse");
    assert_eq!(
        rule("reject_rbl")["asked"][0]["question"],
        "DNS: A of 66.0.0.127.bl.example"
    );
    assert_eq!(rule("warn_if_reject")["verdict"], "only warn");
    assert_eq!(
        rule("reject_unknown_sender")["asked"][0]["answer"],
        "takes mail"
    );
    let skipped: Vec<_> = rcpt["not_reached"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["rule"].clone())
        .collect();
    assert_eq!(skipped[0], "greylist");
    assert_eq!(told["limits"][0]["client"], STRANGER);
    // An entry of a table, in words.
    let line = [
        "explain",
        "--client",
        OTHER,
        "--from",
        "foe@ham.example",
        "--to",
        "boss@public.example",
    ];
    let output = smarthost.admin(&line);
    let shown = text(&output);
    assert!(shown.contains("senders:3: REJECT go away"), "{shown}");
    assert!(
        shown.contains(&format!(
            "check_sender_access senders ({}:{}): refuse",
            smarthost.config().display(),
            line_of("check_sender")
        )),
        "{shown}"
    );
    assert!(
        shown
            .trim_end()
            .ends_with("554 5.7.1 <foe@ham.example>: Sender address rejected: go away"),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn explain_says_which_rules_are_defaults() {
    let plain = Smarthost::prepare("");
    let told = explained(
        &plain,
        &["--client", OTHER, "--to", "root@mail.example.test"],
    );
    let rules = told["stages"].as_array().unwrap().last().unwrap()["rules"].to_string();
    assert!(rules.contains("\"origin\":\"default\""), "{rules}");
    let helo = "restrictions = [\"reject_invalid_helo_hostname\", \"reject_unauth_destination\"]\n";
    let strict = Smarthost::prepare(helo);
    let (name, to) = ("[2001:db8::19]", "root@mail.example.test");
    let told = explained(&strict, &["--client", OTHER, "--helo", name, "--to", to]);
    let told = told.to_string();
    assert!(
        told.contains("invalid ip address") && told.contains("is missing before"),
        "{told}"
    );
}

#[test]
fn explain_changes_nothing_whether_the_daemon_runs_or_not() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let mut smarthost = relay(&sink, &resolver, RULES);
    let asked = [
        "--client",
        OTHER,
        "--from",
        "a@ham.example",
        "--to",
        "boss@public.example",
    ];
    // Before the first start there is nothing, and nothing is made.
    let told = explained(&smarthost, &asked);
    assert!(
        told["reply"].as_str().unwrap().starts_with("450 4.2.0"),
        "{told}"
    );
    assert!(!smarthost.directory().join("state").exists());
    smarthost.run();
    let mut session = Session::connect_from("127.0.0.1".parse().unwrap(), smarthost.address());
    session.reply();
    session.say("EHLO vm1");
    session.delivers(
        "a@ham.example",
        &["u@far.example"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    for _ in 0..3 {
        let told = explained(&smarthost, &asked);
        let rules = &told["stages"].as_array().unwrap().last().unwrap()["rules"];
        assert!(
            rules.to_string().contains("to come again in 300 seconds"),
            "{rules}"
        );
        let own = explained(
            &smarthost,
            &["--client", "127.0.0.1", "--to", "u@far.example"],
        );
        assert_eq!(own["limits"][0]["windows"][0][0], 1, "{own}");
        assert_eq!(own["accepted"], true);
    }
    let shown = text(&smarthost.admin(&["limits", "list"]));
    assert!(
        shown.contains("127.0.0.1  1 of 100") && !shown.contains(OTHER),
        "{shown}"
    );
    sink.journal().wait_for(1);
    smarthost.daemon().stop();
    let before = fs::read(smarthost.directory().join("state/state.sqlite")).unwrap();
    let own = explained(
        &smarthost,
        &["--client", "127.0.0.1", "--to", "u@far.example"],
    );
    assert_eq!(own["limits"][0]["windows"][0][0], 1, "{own}");
    assert_eq!(
        fs::read(smarthost.directory().join("state/state.sqlite")).unwrap(),
        before
    );
    // What cannot be read is told, and what is broken in a table too.
    let _ = fs::remove_file(smarthost.directory().join("state/state.sqlite-wal"));
    smarthost.file("state/state.sqlite", &"no database".repeat(100));
    smarthost.file(
        "senders",
        "friend@ham.example OK\nfoe@ham.example SURELY NOT\n",
    );
    let told = explained(&smarthost, &asked);
    let warnings = told["warnings"].to_string();
    assert!(
        warnings.contains("not a database") && warnings.contains("senders:2"),
        "{warnings}"
    );
    smarthost.file("senders", "x");
    fs::remove_file(smarthost.directory().join("senders")).unwrap();
    let output = smarthost.admin(&["explain", "--client", OTHER, "--to", "a@public.example"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}

#[test]
fn explain_says_who_gets_mail_for_an_address_and_which_way() {
    let resolver = Resolver::anywhere(world);
    let smarthost = Smarthost::prepare(&format!(
        "resolver = \"{}\"\naliases = [\"$DIR/aliases\"]\nvirtual = [\"$DIR/virtual\"]\nmaildir = \"none\"\n\
         domains = {{ virtual = [\"club.example\"] }}\ntransport = [\"$DIR/transport\"]\n\
         [routes]\n\".far.example\" = \"slow\"\n\"near.example\" = \"[127.0.0.1]:10025\"\n[transports.slow]\nconnections = 2\nrecipients = 20\ndelay = \"2s\"\n",
        resolver.address()
    ));
    smarthost.file(
        "aliases",
        "root: admins\nadmins: ann@here.example,\n  bob@x.far.example\n",
    );
    smarthost.file("virtual", "# lists\nboard@club.example root\n");
    smarthost.file("transport", "\nhere.example lmtp:unix:/run/nothing\n");
    let told = explained(&smarthost, &["board@club.example"]);
    assert_eq!(told["class"], "virtual");
    assert_eq!(told["steps"][0]["entries"][0]["place"]["line"], 2);
    assert_eq!(told["steps"][1]["entries"][0]["value"], "admins");
    assert_eq!(told["steps"][1]["entries"][1]["place"]["line"], 2);
    assert_eq!(told["ends"][0]["destination"], "lmtp:unix:/run/nothing");
    assert_eq!(told["ends"][0]["entry"]["place"]["line"], 2);
    assert_eq!(told["ends"][1]["destination"], "slow:x.far.example");
    assert_eq!(told["ends"][1]["because"], "routes");
    assert_eq!(
        told["ends"][1]["transport"],
        "2 connections, 20 recipients a delivery, 2s between deliveries"
    );
    let shown = text(&smarthost.admin(&["explain", "a@near.example"]));
    assert!(
        shown.contains("127.0.0.1") && !shown.contains("not tried"),
        "a filter of this machine: {shown}"
    );
    let shown = text(&smarthost.admin(&["explain", "root"]));
    assert!(
        shown.contains("root@mail.example.test -> ann@here.example, bob@x.far.example"),
        "{shown}"
    );
    let shown = text(&smarthost.admin(&["explain", "nobody@club.example"]));
    assert!(
        shown.contains("refused at RCPT: not in the virtual alias table"),
        "{shown}"
    );
    for odd in ["a b@c", "a@", "\u{1b}[2J@x.example", ""] {
        let output = smarthost.admin(&["explain", odd]);
        assert!(
            !output.status.success() && !text(&output).contains('\u{1b}'),
            "{output:?}"
        );
        assert!(!output.stderr.contains(&0x1b), "{output:?}");
    }
}

/// The manual shows this.
/// A route may refuse, put off, or keep mail: each is told by its name, with its line.
#[test]
fn explain_tells_mail_that_is_refused_from_mail_that_waits() {
    let smarthost = Smarthost::prepare(
        "domains = { relay = [\"r.example\"] }\nroutes = { \"gone@r.example\" = \"error:5.1.6 has left\",\n\
         \"later@r.example\" = \"error:4.2.1 next week\",\n\"moving@r.example\" = \"retry:4.4.0 moves house\" }\n",
    );
    for (name, outcome, line) in [
        (
            "gone",
            "refused",
            "refused    5.1.6 has left by routes (config.toml:",
        ),
        (
            "later",
            "deferred",
            "deferred   4.2.1 next week by routes (config.toml:",
        ),
        (
            "moving",
            "waits",
            "waits      4.4.0 moves house by routes (config.toml:",
        ),
    ] {
        let address = format!("{name}@r.example");
        let found = explained(&smarthost, &[&address]);
        assert_eq!(found["ends"][0]["outcome"], outcome, "{found}");
        let told = text(&smarthost.admin(&["explain", &address]));
        let here = format!("{}/", smarthost.directory().display());
        assert!(told.replace(&here, "").contains(line), "{told}");
    }
}

#[test]
fn the_manual_shows_what_explain_prints() {
    let resolver = Resolver::anywhere(world);
    let smarthost = Smarthost::prepare(&format!(
        "networks = [\"10.0.0.0/8\"]\nrelayhost = \"[192.0.2.20]\"\nresolver = \"{}\"\n\
         domains = {{ relay = [\"public.example\"] }}\naliases = [\"$DIR/aliases\"]\n\
         restrictions = [\n  \"check_sender_access senders\",\n  \"permit_mynetworks\",\n  \"reject_unauth_destination\",\n\
         \"reject_unknown_sender_domain\",\n  \"reject_rbl_client bl.example\",\n  \"greylist\" ]\n\
         limits = {{ per_client = \"100/day\", per_stranger = \"50/day\" }}\n",
        resolver.address()
    ));
    smarthost.file("senders", "friend@ham.example OK\n");
    smarthost.file("aliases", "postmaster: root\nroot: ann@ham.example\n");
    let directory = smarthost.directory().display().to_string();
    let show = |name: &str, arguments: &[&str]| {
        let output = smarthost.admin(&[&["explain"], arguments].concat());
        let printed = format!(
            "$ smarthost explain {}\n{}",
            arguments.join(" "),
            text(&output)
        );
        shown::compare(name, &printed, &[(&directory, "/etc/smarthost")]);
    };
    let line = [
        "--client",
        "192.0.2.7",
        "--from",
        "ann@ham.example",
        "--to",
        "bob@public.example",
    ];
    show("explain", &line);
    show("explain-way", &["postmaster"]);
}

/// What counts is what the daemon holds; where none runs that is said, and the files count.
#[test]
fn explain_tells_what_the_running_daemon_would_do_and_says_where_none_runs() {
    let sink = Sink::start();
    let config = format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\ndomains = {{ local = [\"public.example\"] }}\n\
         auth = {{ users = \"users\" }}\nmaildir = \"none\"\nrestrictions = [ \"permit_mynetworks\", \"reject_unauth_destination\" ]\n",
        sink.nexthop()
    );
    let mut smarthost = Smarthost::prepare(&config);
    let secret = password(&smarthost, "vm7");
    smarthost.run();
    let asked = |client: &str, rest: &[&str]| {
        let line = ["--client", client, "--to", "u@far.example"];
        explained(&smarthost, &[&line, rest].concat())
    };
    assert_eq!(asked(OTHER, &[])["accepted"], false);
    // Not in force yet: the daemon goes on with what it has.
    smarthost.configure(&config.replace("127.0.0.1/32", "127.0.0.0/8"));
    let told = asked(OTHER, &[]);
    assert_eq!(told["accepted"], false, "{told}");
    assert_eq!(told["warnings"].to_string(), "[]");
    smarthost.configure("relayhost = 7\n");
    let told = asked(OTHER, &[]);
    assert_eq!(
        told["accepted"], false,
        "the file is wrong, and is not what counts: {told}"
    );
    smarthost.configure(&config);

    let told = asked(OTHER, &["--login", "vm7"]);
    assert_eq!(
        (&told["accepted"], told["warnings"].to_string()),
        (&true.into(), "[]".to_owned())
    );
    let told = asked(OTHER, &["--login", "vm8"]);
    assert!(
        told["warnings"]
            .to_string()
            .contains("vm8 has no login here"),
        "{told}"
    );
    for _ in 0..10 {
        assert_eq!(
            plain(&mut from(&smarthost, OTHER), "vm7", "guess").code,
            535
        );
    }
    let told = asked(OTHER, &["--login", "vm7"]);
    assert_eq!(told["accepted"], false);
    let said = plain(&mut from(&smarthost, OTHER), "vm7", &secret);
    assert_eq!(told["reply"], format!("{} {}", said.code, said.text()));
    assert!(
        told["warnings"]
            .to_string()
            .contains("logins refused until 2"),
        "{told}"
    );
    assert_eq!(asked(STRANGER, &["--login", "vm7"])["accepted"], true);

    smarthost.daemon().stop();
    smarthost.configure(&config.replace("127.0.0.1/32", "127.0.0.0/8"));
    let output = smarthost.admin(&["explain", "--client", OTHER, "--to", "u@far.example"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("smarthost is not running: this is what the files say now"),
        "{said}"
    );
    assert!(
        text(&output).contains("accepted: the client hears"),
        "{output:?}"
    );
}

#[test]
fn explain_knows_addresses_of_smtputf8() {
    let sink = Sink::start();
    let resolver = Resolver::anywhere(world);
    let mut smarthost = relay(&sink, &resolver, "");
    smarthost.run();
    let utf8 = [
        "--client",
        "127.0.0.1",
        "--from",
        "\u{e9}ric@ham.example",
        "--to",
        "j\u{f6}rg@far.example",
    ];
    let told = explained(&smarthost, &utf8);
    assert!(told["reply"].as_str().unwrap().starts_with('5'), "{told}");
    let told = explained(&smarthost, &[&utf8[..], &["--utf8"]].concat());
    assert_eq!(told["accepted"], true, "{told}");
    let shown = text(&smarthost.admin(&[&["explain"], &utf8[..], &["--utf8"]].concat()));
    assert!(
        shown.contains("MAIL FROM:<\u{e9}ric@ham.example> SMTPUTF8") || shown.contains("accepted"),
        "{shown}"
    );
}
