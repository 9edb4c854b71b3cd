//! `status` and `queue summary` of both programs: what waits, since when and why, who is near a
//! limit, what was refused, how disk and others do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{process::Output, time::Duration};

use mail::{
    address::{Address, Sender},
    clock,
    envelope::Envelope,
};
use serde_json::Value;
use spool::{Options, Spool};
use tests::{
    agent::{Agent, as_user},
    peers,
    session::Session,
    shown,
    sink::nexthop,
    smarthost::Smarthost,
    terminal::{self, Ended, Step},
    wait::free_address,
};

const END: &str = "\u{1b}[?1049l";

fn text(output: &Output) -> String {
    let all = [&*output.stdout, &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A relay whose relayhost is away, with mail in its queue, and a client that is refused.
fn relay() -> Smarthost {
    let relay = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nlimits = {{ per_client = [\"4/hour\"] }}\n",
        nexthop(free_address())
    ));
    let mut session = Session::greeted(relay.address());
    for (sender, recipients) in [
        ("a@one.example", &["x@far.example", "y@FAR.example"][..]),
        ("b@one.example", &["x@far.example"]),
        ("a@one.example", &["z@near.example"]),
    ] {
        session.delivers(sender, recipients, b"Subject: x\r\n\r\nx\r\n");
    }
    session.say("MAIL FROM:<a@one.example>");
    let refused = session.say("RCPT TO:<nobody@mail.example.test>");
    assert_eq!(refused.code, 550, "{refused:?}");
    relay.wait_for_mailq("why it waits", |listing| {
        listing.matches("refused").count() == 3
    });
    relay
}

/// What a clock that was ahead has noted is not shown: nothing waits for it.
#[test]
fn after_a_clock_that_was_ahead_the_next_attempt_is_told_as_it_will_be() {
    let closed = nexthop(free_address());
    let mut relay = Smarthost::prepare(&format!("relayhost = \"{closed}\"\n"));
    let mut agent = Agent::prepare(&format!("relayhost = \"{closed}\"\ntls = \"none\"\n"));
    for directory in [relay.directory(), agent.directory()] {
        let path = directory.join("spool");
        let (spool, _) = Spool::open(&path, Options::default()).unwrap();
        let address = |text| Address::parse(text).unwrap();
        let envelope = Envelope {
            sender: Sender::Address(address("a@one.example")),
            recipients: vec![address("x@far.example").into()],
            uid: Some(0),
            ..Envelope::default()
        };
        let draft = spool.draft().unwrap();
        let id = spool.accept(draft, &envelope, b"Subject: x\r\n").unwrap();
        let ahead = clock::now().after(Duration::from_hours(24 * 700));
        spool.record(
            id,
            spool::Event::Deferred {
                recipients: vec![0],
                until: ahead,
                reason: "far away".into(),
            },
        );
        spool.flush().unwrap();
        spool.close();
    }
    relay.run();
    agent.run();
    let soon = clock::now().after(Duration::from_hours(2)).rfc3339();
    let admins = [
        &(|arguments: &[&str]| relay.admin(arguments)) as &dyn Fn(&[&str]) -> Output,
        &|arguments: &[&str]| agent.admin(arguments),
    ];
    for admin in admins {
        let listed = text(&admin(&["queue", "list", "--json"]));
        let id: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
        let id = id["queue_id"].as_str().unwrap();
        let shown = text(&admin(&["queue", "show", id]));
        let next = shown.split("Next attempt: ").nth(1);
        let next = next.unwrap_or_else(|| panic!("no next attempt: {shown}"));
        let next = next.lines().next().unwrap();
        assert!(next < soon.as_str(), "{next}");
        let year = &clock::now().after(Duration::from_hours(24 * 700)).rfc3339()[..4];
        for arguments in [&["status"][..], &["queue", "summary"], &["queue", "list"]] {
            let told = text(&admin(arguments));
            assert!(!told.contains(&format!("{year}-")), "{arguments:?}: {told}");
        }
    }
}

#[test]
fn a_relay_tells_what_waits_who_is_near_a_limit_and_what_was_refused() {
    let relay = relay();
    let status = json(&relay.admin(&["status", "--json"]));
    assert_eq!(status["queued"], 3, "{status}");
    let far = &status["destinations"]["groups"][0];
    assert_eq!(
        (&far["name"], &far["count"]),
        (&"far.example".into(), &3.into())
    );
    assert!(far["reason"].as_str().unwrap().contains("refused"), "{far}");
    assert!(
        far["next_attempt"].is_u64() && far["oldest"].is_u64(),
        "{far}"
    );
    assert_eq!(status["limits"][0][1], 75, "{status}");
    assert_eq!(
        status["refused"][0][0], "reject_unlisted_recipient",
        "{status}"
    );
    assert!(status["spool"]["last_sync"][1].is_u64(), "{status}");
    assert!(status["spool"]["free_bytes"].is_u64(), "{status}");

    assert_eq!(status["counted"]["received"], 3, "{status}");

    let told = text(&relay.admin(&["status"]));
    for part in [
        "queued        3 messages, 0 deliveries in flight, oldest ",
        "taken         3 messages, 1 KiB since the start",
        "recipients    0 sent, 0 bounced, ",
        " connection_refused)",
        "certificate   ends in 36",
        "Waits, by destination",
        "     3  far.example, oldest ",
        ", next attempt ",
        "Waits, by who sent it",
        "  75 %  127.0.0.1  3 of 4 in an hour",
        "     1  reject_unlisted_recipient",
        "ok    resolver DNS",
        " MiB free, last sync took ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_terminal_shows_how_it_goes_and_is_given_back_whatever_ends_it() {
    let relay = relay();
    let mut top = relay.command();
    top.arg("top");
    let ended = |steps: &[Step<'_>]| -> Option<Ended> {
        let first = [Step::Sees("RECIPIENTS▼"), Step::Sees("far.example")];
        terminal::run(&top, 100, &[&first, steps].concat())
    };
    let sorts = [
        Step::Types("s"),
        Step::Sees("HELD▼"),
        Step::Types("?"),
        Step::Sees("quit"),
        Step::Types("4"),
        Step::Types("4"),
        Step::Sees("reject_unlisted_recipient"),
        Step::Sees(" in a second"),
    ];
    for (last, status) in [
        (Step::Types("q"), 0),
        (Step::Types("\u{3}"), 0),
        (Step::Signal(15), 143),
        (Step::Signal(1), 129),
    ] {
        let Some(ended) = ended(&[&sorts[..], &[last]].concat()) else {
            return;
        };
        assert_eq!(ended.status, status, "{last:?}: {ended:?}");
        assert!(ended.restored, "{last:?}: {ended:?}");
        assert!(ended.shown.contains("\u{1b}[?25h"), "the cursor: {ended:?}");
        assert!(ended.shown.ends_with(END), "{ended:?}");
    }
}

/// Such as an editor's window.
#[test]
fn a_terminal_that_only_prints_is_shown_one_frame_and_nothing_that_it_cannot_obey() {
    let relay = relay();
    let mut top = std::process::Command::new("/usr/bin/env");
    let command = relay.command();
    top.arg("TERM=dumb").arg(command.get_program());
    top.args(command.get_args()).arg("top");
    let Some(ended) = terminal::run(&top, 100, &[Step::Sees("far.example")]) else {
        return;
    };
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(!ended.shown.contains('\u{1b}'), "{ended:?}");
}

/// A frame with the times and sizes of another day, the same each time.
fn steady(frame: &str) -> String {
    let steady = |line: &str| {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["smarthost", version, ..] => {
            format!(
                "smarthost {version} on mail.example.org, 07:51:52, running for 3d4h; ? for help"
            )
        }
        ["queue", count, ..] => {
            format!("queue      {count} messages, 0 deliveries in flight, oldest 2m5s")
        }
        ["recipients", ..] => {
            "recipients 0 sent, 0 bounced, 3 deferrals (3 connection_refused)".to_owned()
        }
        ["sessions", ..] => "sessions   1 now, 1 clients counted".to_owned(),
        ["disk", ..] => "disk       17674 MiB free, last sync took 1.8 ms".to_owned(),
        ["!", "relayhost", ..] => "!          relayhost 192.0.2.1:25: fails for 125 s, 4 times: connect to 192.0.2.1[192.0.2.1]:25: Connection refused".to_owned(),
        [count, held, _, _, name, "connect" | "delivery", ..] => format!(
            "{count:>11}  {held:>4}    2m5s    2m55s  {name:12}  connect to 192.0.2.1[192.0.2.1]:25: Connection refused"
        ),
        _ => line.to_owned(),
    }
    };
    frame.lines().map(|line| steady(line) + "\n").collect()
}

#[test]
fn top_prints_one_frame_into_a_pipe() {
    let mut relay = relay();
    let frame = text(&relay.admin(&["top"]));
    assert!(!frame.contains('\u{1b}'), "{frame}");
    let frame = format!("$ smarthost top\n{}", steady(&frame));
    shown::compare("top", &frame, &[]);
    relay.kill();
    let gone = relay.admin(&["top"]);
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
}

/// Columns and rows of qshape, and the words of the other orders.
#[test]
fn the_queue_is_counted_as_qshape_counts_it() {
    let relay = relay();
    let counted = |words: &[&str]| text(&relay.admin(&[&["queue", "summary"], words].concat()));
    let destinations = counted(&[]);
    shown::compare(
        "queue-summary",
        &format!("{}\n", destinations.trim_end()),
        &[],
    );
    let first = |text: &str, row: usize| {
        let words = text.lines().nth(row).unwrap_or_default().split_whitespace();
        words.take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(first(&destinations, 1), ["TOTAL", "4"], "{destinations}");
    assert_eq!(
        first(&destinations, 2),
        ["far.example", "3"],
        "{destinations}"
    );
    let senders = counted(&["--by", "sender"]);
    assert_eq!(first(&senders, 2), ["a@one.example", "2"], "{senders}");
    let some = counted(&["--by", "sender", "--destination", "near.example"]);
    assert_eq!(first(&some, 1), ["TOTAL", "1"], "{some}");
    let ages = counted(&["--by", "age"]);
    assert!(ages.contains("up to 5m             3"), "{ages}");
    assert_eq!(
        counted(&["--sender", "nobody"]).trim(),
        "Mail queue is empty"
    );
    let json = json(&relay.admin(&["queue", "summary", "--by", "client", "--json"]));
    assert_eq!(json["summary"]["groups"][0]["count"], 3, "{json}");
    let unknown = relay.admin(&["queue", "summary", "nonsense"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}

/// By whom it was sent, as the kernel says: also what another user sends, who sees his own alone.
#[test]
fn a_machine_counts_what_it_took_by_user_and_unit() {
    let sink = tests::sink::Sink::start();
    let node = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    for _ in 0..3 {
        node.send(&["x@far.example"], "Subject: x\n\nx\n");
    }
    let counted = |status: &Value| {
        let rows = status["taken"].as_array().unwrap().iter();
        let counts = rows.map(|row| row["messages"].as_u64().unwrap());
        counts.sum::<u64>()
    };
    let status = json(&node.admin(&["status", "--json"]));
    assert_eq!(counted(&status), 3, "{status}");
    let row = &status["taken"][0];
    assert!(row["bytes"].as_u64().unwrap() > 60, "{row}");
    let user = row["user"].as_str().unwrap();
    // The test's own unit, if it is in one.
    let unit = match row["unit"].as_str().unwrap() {
        "" => String::new(),
        unit => format!(", {unit}"),
    };
    let told = text(&node.admin(&["status"]));
    let title = "Taken since the start, by user and unit";
    let line = format!("     3  {user}{unit}: ");
    assert!(told.contains(title) && told.contains(&line), "{told}");
    if peers::root() {
        node.open_to_all();
        let of_other = |name: &str| as_user("64003", &node.public(name));
        let mail = tests::agent::pipe(
            of_other("sendmail").arg("y@far.example"),
            b"Subject: y\n\ny\n",
        );
        assert!(mail.status.success(), "{mail:?}");
        let own = of_other("sendmail-shim");
        let own = { own }.args(["status", "--json"]).output().unwrap();
        let own = json(&own);
        assert_eq!(counted(&own), 1, "{own}");
        assert!(own["taken"][0]["user"].as_str() != Some(user), "{own}");
        let all = json(&node.admin(&["status", "--json"]));
        assert_eq!(counted(&all), 4, "{all}");
    }
}

/// The relayhost that takes nothing is told of from the first failure on, and that it works again.
#[test]
fn a_machine_tells_that_its_only_relayhost_fails_and_that_it_works() {
    let relayhost = free_address();
    let config = format!(
        "relayhost = \"{}\"\ntls = \"none\"\nretry = {{ minimal = \"10m\" }}\n",
        nexthop(relayhost)
    );
    let mut node = Agent::start(&config);
    let status = |node: &Agent| text(&node.admin(&["status"]));
    let unused = status(&node);
    assert!(unused.contains("ok    relayhost "), "{unused}");
    node.send(&["x@far.example"], "Subject: x\n\nx\n");
    node.wait_for_mailq("why it waits", |listing| listing.contains("refused"));
    let failing = status(&node);
    let of_relayhost = failing.lines().filter(|it| it.contains(" relayhost "));
    let of_relayhost: Vec<_> = of_relayhost.collect();
    assert_eq!(of_relayhost.len(), 1, "{failing}");
    assert!(of_relayhost[0].contains("FAIL") && of_relayhost[0].contains("refused"));
    node.kill();
    node.run();
    let again = status(&node);
    assert!(
        again.contains("FAIL  relayhost "),
        "after a restart: {again}"
    );
    let _sink = tests::sink::Sink::on(relayhost, tests::sink::Script::default());
    let flushed = node.admin(&["queue", "flush", "--all"]);
    assert!(flushed.status.success(), "{flushed:?}");
    node.wait_for_mailq("it is sent", |listing| listing.contains("is empty"));
    let well = status(&node);
    assert!(
        well.contains("ok    relayhost ") && well.contains("works, last connected "),
        "{well}"
    );

    // What changes with the next start is told setting by setting.
    node.kill();
    node.configure(&config.replace("10m", "11m"));
    node.run();
    let log = node.daemon().wait_for_log("listening on");
    let changed = log.lines().filter(|line| line.contains("changed: "));
    let changed: Vec<_> = changed.collect();
    assert!(
        matches!(changed[..], [one] if one.ends_with("retry.minimal: \"10m\" -> \"11m\"")),
        "{log}"
    );
}

#[test]
fn a_machine_tells_what_waits_by_user_and_each_user_his_own() {
    let mut node = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\n",
        nexthop(free_address())
    ));
    node.send(&["x@far.example"], "Subject: x\n\nx\n");
    node.wait_for_mailq("why it waits", |listing| listing.contains("refused"));
    let told = text(&node.admin(&["status"]));
    for part in [
        "far.example, oldest",
        "uid ",
        "FAIL  relayhost",
        "last sync took",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let summary = text(&node.admin(&["queue", "summary"]));
    assert!(summary.contains("far.example"), "{summary}");
    if peers::root() {
        node.open_to_all();
        let other = node.public("sendmail-shim");
        let mut other = as_user("64003", &other);
        let own = other.args(["status", "--json"]).output().unwrap();
        let own = json(&own);
        assert_eq!(own["queued"], 0, "{own}");
        assert_eq!(own["senders"]["groups"], Value::Array(Vec::new()), "{own}");
    }
    node.kill();
    let gone = node.admin(&["status"]);
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
    assert!(text(&gone).contains("systemctl start"), "{gone:?}");
}
