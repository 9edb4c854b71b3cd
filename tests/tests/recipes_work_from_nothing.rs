//! The recipes of docs/ADMINISTRATION.md, with the configurations that are shipped: from nothing to
//! the mail in its place. Only what a test cannot have is another: addresses, ports, pins, and the
//! way out of the site.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    binaries::repository,
    peers,
    session::Session,
    sink::{Received, Script, Sink, nexthop},
    smarthost::Smarthost,
    store::Store,
    wait::{until, until_true},
};
use toml::{Table, Value};

/// A configuration that is shipped.
fn shipped(name: &str) -> Table {
    let path = repository().join(format!("packaging/examples/{name}.toml"));
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// A shipped configuration with other values for some keys.
fn recipe(name: &str, others: &[(&str, Value)]) -> String {
    with(shipped(name), others)
}

fn with(mut table: Table, others: &[(&str, Value)]) -> String {
    for (key, value) in others {
        table.insert((*key).to_owned(), value.clone());
    }
    let lines: Vec<_> = table
        .iter()
        .map(|(key, value)| format!("{key} = {}", written(value)))
        .collect();
    lines.join("\n") + "\n"
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(written).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Table(table) => {
            let pairs = table.iter();
            let pairs: Vec<_> = pairs
                .map(|(key, value)| format!("{key:?} = {}", written(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        other => panic!("no recipe has such a value: {other:?}"),
    }
}

/// The table of names that the guide shows and that has this line.
fn table_of_the_guide(line: &str) -> String {
    let guide = fs::read_to_string(repository().join("docs/ADMINISTRATION.md")).unwrap();
    let blocks = guide.split("```aliases\n").skip(1);
    let mut tables = blocks.map(|block| block.split("```").next().unwrap().to_owned());
    tables
        .find(|table| table.lines().any(|it| it == line))
        .unwrap()
}

fn of_relay(relay: &Smarthost) -> Value {
    Value::from(nexthop(relay.address()))
}

fn of_sink(sink: &Sink) -> Value {
    Value::from(sink.nexthop())
}

/// What `smarthost pin` prints, as it is pasted.
fn pin(relay: &Smarthost) -> Value {
    let printed = relay.admin(&["pin"]);
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let word = printed
        .split(|c: char| c.is_whitespace() || c == '"')
        .find(|word| word.starts_with("sha256:"));
    Value::from(word.unwrap_or_else(|| panic!("no pin: {printed}")))
}

/// The message that comes as such a one.
fn arrived(sink: &Sink, number: usize) -> Received {
    sink.journal().wait_for(number).remove(number - 1)
}

/// The first server of recipe A, which does not run yet.
fn first_of_hosting(way_out: &(&'static str, Value)) -> Smarthost {
    let first = Smarthost::prepare(&recipe("smarthost-hosting", std::slice::from_ref(way_out)));
    first.file(
        "machine.aliases",
        &table_of_the_guide("admins: operator@elsewhere.example"),
    );
    first
}

/// Recipe A.
#[test]
fn machines_of_the_hosting_association_and_the_relays_themselves_reach_the_operator_also_after_an_outage()
 {
    let operator = Sink::start();
    let way_out = ("relayhost", of_sink(&operator));
    let mut first = first_of_hosting(&way_out);
    first.run();
    let exchanger = Table::from_iter([("hosting.example".to_owned(), of_relay(&first))]);
    let second = Smarthost::start(&recipe(
        "smarthost-hosting-backup",
        &[way_out, ("routes", Value::from(exchanger))],
    ));
    let relays = [
        (
            "relayhost",
            Value::from(vec![of_relay(&first), of_relay(&second)]),
        ),
        ("pins", Value::from(vec![pin(&first), pin(&second)])),
    ];
    // The relay is a machine too; its own programs come from 127.0.0.1.
    let machines = ["vm7.hosting.example", "mx1.hosting.example"].map(|hostname| {
        let config = recipe("sendmail-shim-hosting", &relays);
        let mut machine = Agent::prepare(&format!("hostname = \"{hostname}\"\n{config}"));
        machine.file("machine.revaliases", &table_of_the_guide("*: admins"));
        machine.run();
        machine
    });
    for (number, machine) in (1..).zip(&machines) {
        machine.send(&CRON_ARGUMENTS, CRON);
        let mail = arrived(&operator, number);
        assert_eq!(mail.recipients, ["operator@elsewhere.example"]);
        assert!(mail.field("From").contains("admins@hosting.example"));
        assert!(mail.text().contains("backup: nothing to do"));
        let checked = machine.admin(&["check"]);
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        // Both relays take it; what else the machine of the test has is not asked.
        assert_eq!(told.matches(": 250 2.1.5 Ok").count(), 2, "{told}");
        assert!(!told.contains("FAIL"), "{told}");
    }
    // The first one is away: the second keeps the mail, and brings it back.
    first.kill();
    machines[0].send(&["root"], "Subject: in the outage\n\nx\n");
    second.wait_for_mailq("what waits for the first", |listing| {
        listing.contains("admins@hosting.example")
    });
    first.run();
    assert!(second.admin(&["queue", "flush"]).status.success());
    // Killed, the first one may send twice what it had sent.
    let back = until("the mail of the outage arrives", || {
        let all = operator.journal().messages();
        all.into_iter()
            .find(|mail| mail.field("Subject") == "in the outage")
    });
    assert_eq!(back.recipients, ["operator@elsewhere.example"]);
}

/// Recipe A, as the Internet sees it.
#[test]
fn what_strangers_write_while_the_first_server_is_away_waits_at_the_second_and_comes_back_by_itself()
 {
    let operator = Sink::start();
    let way_out = ("relayhost", of_sink(&operator));
    let mut first = first_of_hosting(&way_out);
    let exchanger = Table::from_iter([("hosting.example".to_owned(), of_relay(&first))]);
    let second = shipped("smarthost-hosting-backup");
    // A test has no minutes.
    let mut retry = second["retry"].as_table().unwrap().clone();
    for pause in ["minimal", "maximal"] {
        retry.insert(pause.to_owned(), Value::from("1s"));
    }
    let others = [
        way_out,
        ("routes", Value::from(exchanger)),
        ("retry", Value::from(retry)),
        // All that a test has is loopback, which is never a stranger.
        ("xclient", Value::from(vec!["127.0.0.66"])),
    ];
    let mut second = Smarthost::start(&with(second, &others));
    let front = "127.0.0.66".parse().unwrap();
    let mut session = Session::connect_from(front, second.address()).ehlo();
    assert_eq!(session.say("XCLIENT ADDR=203.0.113.9").code, 220);
    assert_eq!(session.say("EHLO elsewhere.example").code, 250);
    for to in ["presidency", "nobody-here", "abuse"] {
        let message = format!("Subject: to {to}\r\n\r\nthe text\r\n");
        let to = format!("{to}@hosting.example");
        session.delivers("friend@elsewhere.example", &[&to], message.as_bytes());
    }
    let foreign = session.say("MAIL FROM:<friend@elsewhere.example>").code;
    let refused = session.say("RCPT TO:<other@elsewhere.example>");
    assert_eq!((foreign, refused.code), (250, 554), "{}", refused.text());
    let waits = |listing: &str| {
        ["presidency", "nobody-here", "abuse"]
            .iter()
            .all(|it| listing.contains(it))
            && listing.matches("refused").count() == 3
    };
    second.wait_for_mailq("all three with their reason", waits);
    // A restart in the outage forgets nothing.
    second.kill();
    second.run();
    assert_eq!(operator.journal().len(), 0);
    first.run();
    until("all have come to their ends", || {
        let all = operator.journal().messages();
        let to = |to: &str| all.iter().any(|it| it.recipients.iter().any(|it| it == to));
        let people = ["alice", "bob", "operator", "friend"];
        let people = people.map(|name| to(&format!("{name}@elsewhere.example")));
        people.iter().all(|it| *it).then_some(())
    });
    second.wait_for_mailq("nothing any more", |listing| listing.contains("is empty"));
    let all = operator.journal().messages();
    let bounce = all.iter().find(|it| it.sender.is_empty()).unwrap();
    assert_eq!(bounce.recipients, ["friend@elsewhere.example"]);
    let told = bounce.text();
    assert!(
        told.contains("nobody-here@hosting.example") && !told.contains("the text"),
        "a stranger gets the header of what he wrote: {told}"
    );
}

/// Recipe B.
#[test]
fn a_node_of_the_relay_association_reaches_the_encrypted_list_and_only_aliases_receive() {
    let outside = Sink::start();
    let relay = Smarthost::prepare(&recipe(
        "smarthost-relay-association",
        &[
            ("relayhost", of_sink(&outside)),
            ("aliases", Value::from(vec!["$DIR/machine.aliases"])),
        ],
    ));
    relay.file(
        "machine.aliases",
        "encrypted-list: list@encrypted.example\n",
    );
    let mut relay = relay;
    relay.run();
    let mut node = Agent::prepare(&recipe(
        "sendmail-shim-relay-node",
        &[
            ("relayhost", of_relay(&relay)),
            ("pins", pin(&relay)),
            ("aliases", Value::from("$DIR/machine.aliases")),
        ],
    ));
    let aliases = table_of_the_guide("root: encrypted-list@relays.example");
    node.file("machine.aliases", &aliases);
    node.run();
    for (number, to) in (1..).zip(["root", "daemon"]) {
        node.send(&[to], CRON);
        let mail = arrived(&outside, number);
        assert_eq!(mail.recipients, ["list@encrypted.example"]);
        assert_eq!(mail.field("From"), "\"Cron Daemon\" <root@relays.example>");
    }
    let mut stranger = Session::greeted(relay.address());
    stranger.say("MAIL FROM:<a@elsewhere.example>");
    let reply = stranger.say("RCPT TO:<nobody@relays.example>");
    assert_eq!(reply.code, 550, "{}", reply.text());
}

/// Recipe C.
#[test]
fn a_small_company_gets_the_internets_mail_and_sends_its_own_and_the_refusals_of_the_internal_server_come_back()
 {
    let gone = (
        "gone@company.example".to_owned(),
        "550 5.1.1 no such user".to_owned(),
    );
    let internal = Sink::with(Script {
        recipients: vec![gone],
        ..Script::default()
    });
    let provider = Sink::start();
    let routes = ["company.example", "company-legacy.example"];
    let routes = routes.map(|domain| (domain.to_owned(), of_sink(&internal)));
    // No password goes over a connection without TLS.
    let mut table = shipped("smarthost-company-inbound");
    table.remove("relay_auth");
    let routes = Value::from(Table::from_iter(routes));
    let relay = Smarthost::start(&with(
        table,
        &[("relayhost", of_sink(&provider)), ("routes", routes)],
    ));
    let mut session = Session::greeted(relay.address());
    let message = b"Subject: x\r\n\r\nx\r\n";
    session.delivers("friend@elsewhere.example", &["it@company.example"], message);
    session.delivers(
        "friend@elsewhere.example",
        &["x@company-legacy.example"],
        message,
    );
    session.delivers(
        "friend@elsewhere.example",
        &["gone@company.example"],
        message,
    );
    let received = internal.journal().wait_for(2);
    let mut received: Vec<_> = received
        .iter()
        .map(|mail| mail.recipients[0].as_str())
        .collect();
    received.sort_unstable();
    assert_eq!(received, ["it@company.example", "x@company-legacy.example"]);
    let bounce = arrived(&provider, 1);
    assert_eq!(
        (bounce.sender.as_str(), bounce.recipients[0].as_str()),
        ("", "friend@elsewhere.example")
    );
    assert!(bounce.text().contains("no such user"));
    session.delivers("it@company.example", &["friend@elsewhere.example"], message);
    assert_eq!(
        arrived(&provider, 2).recipients,
        ["friend@elsewhere.example"]
    );
}

/// Recipe D.
#[test]
fn a_server_of_the_campus_reaches_the_list_through_both_relays_and_people_their_mailboxes() {
    let lmtp = || {
        Sink::with(Script {
            lmtp: true,
            ..Script::default()
        })
    };
    let (mailboxes, lists, outside) = (lmtp(), lmtp(), Sink::start());
    let to_lists = Value::from(format!("lmtp:{}", lists.nexthop()));
    let routes = Table::from_iter([("lists.campus.example".to_owned(), to_lists)]);
    let central = Smarthost::start(&recipe(
        "smarthost-campus-main",
        &[
            ("lmtp", Value::from(mailboxes.nexthop())),
            ("routes", Value::from(routes)),
            ("relayhost", of_sink(&outside)),
        ],
    ));
    let trust = Table::from_iter([("pins".to_owned(), Value::from(vec![pin(&central)]))]);
    let relay = Smarthost::start(&recipe(
        "smarthost-campus-relay",
        &[
            ("relayhost", of_relay(&central)),
            ("relay_tls", Value::from(trust)),
        ],
    ));
    let mut server = Agent::prepare(&recipe(
        "sendmail-shim-campus",
        &[("relayhost", of_relay(&relay)), ("pins", pin(&relay))],
    ));
    let aliases = table_of_the_guide("root: machines@lists.campus.example");
    server.file("machine.aliases", &aliases);
    server.run();
    server.send(&CRON_ARGUMENTS, CRON);
    let mail = arrived(&lists, 1);
    assert_eq!(mail.recipients, ["machines@lists.campus.example"]);
    assert!(mail.text().contains("backup: nothing to do"));
    for (to, sink) in [
        ("alice@campus.example", &mailboxes),
        ("somebody@elsewhere.example", &outside),
    ] {
        let tested = server.admin(&["test", to]);
        assert!(tested.status.success(), "{to}: {tested:?}");
        assert_eq!(arrived(sink, 1).recipients, [to]);
    }
}

/// Recipe E, without its machines.
fn pair(store: &Store, outside: &Sink) -> [Smarthost; 2] {
    let pair = ["smarthost-pair-first", "smarthost-pair-second"].map(|name| {
        let mut table = shipped(name);
        let budget = table["budget"].as_table_mut().unwrap();
        budget.insert("store".to_owned(), Value::from(store.url()));
        let mut server = Smarthost::prepare(&with(table, &[("relayhost", of_sink(outside))]));
        server.file("store.password", "WORD\n");
        let password = server.directory().join("store.password");
        fs::set_permissions(password, fs::Permissions::from_mode(0o600)).unwrap();
        server.run();
        server
    });
    for server in &pair {
        until_true("both have met", || {
            let told = server.admin(&["status"]).stdout;
            String::from_utf8(told).unwrap().contains("2 smarthosts")
        });
    }
    pair
}

/// A message of this machine arrives, so many seconds later at most.
fn arrives(machine: &Agent, outside: &Sink, subject: &str, seconds: u64) {
    let sent = Instant::now();
    machine.send(&["root"], format!("Subject: {subject}\n\nx\n"));
    let came = until(subject, || {
        let all = outside.journal().messages().into_iter();
        let mut mine = all.filter(|mail| mail.field("Subject") == subject);
        mine.next().map(|mail| mail.at)
    });
    let took = came - sent;
    assert!(took <= Duration::from_secs(seconds), "{subject}: {took:?}");
}

/// Recipe E, and the rows of its table.
#[test]
fn two_servers_from_nothing_stand_in_for_each_other_in_each_failure_and_share_one_limit() {
    let Some(store) = Store::with_password("WORD") else {
        return;
    };
    let outside = Sink::start();
    let [mut first, mut second] = pair(&store, &outside);
    let machine = |name: &str, order: &str| {
        let relayhosts = vec![of_relay(&first), of_relay(&second)];
        let config = recipe(
            "sendmail-shim-pair",
            &[
                ("relayhost", Value::from(relayhosts)),
                ("relay_order", Value::from(order)),
                ("pins", Value::from(vec![pin(&first), pin(&second)])),
            ],
        );
        Agent::start(&format!("hostname = \"{name}.example.org\"\n{config}"))
    };
    for name in ["vm1", "vm2", "vm3", "vm4"] {
        let machine = machine(name, "spread");
        arrives(&machine, &outside, name, 10);
    }
    // Of the half that begins with the first one.
    let mut machine = machine("vm5", "listed");

    first.daemon().signal(Signal::STOP);
    arrives(&machine, &outside, "the first one hangs", 30);
    first.daemon().signal(Signal::CONT);
    first.kill();
    machine.kill();
    machine.run();
    arrives(&machine, &outside, "the first one is down", 10);

    // The limit's store hangs.
    first.run();
    machine.kill();
    machine.run();
    store.signal(Signal::STOP);
    arrives(&machine, &outside, "the store hangs", 10);
    store.signal(Signal::CONT);

    // What has waited on the machine while nobody was there.
    first.kill();
    second.kill();
    machine.send(&["root"], "Subject: both are down\n\nx\n");
    machine.wait_for_mailq("why", |listing| listing.contains("refused"));
    first.run();
    second.run();
    assert!(machine.sendmail(&["-q"], "").status.success());
    machine.wait_for_mailq("nothing", |listing| listing.contains("is empty"));

    let mut taken = 0;
    for server in [&first, &second].into_iter().cycle().take(30) {
        let mut flooding = Session::connect_from("127.0.0.5".parse().unwrap(), server.address());
        flooding = flooding.ehlo();
        for _ in 0..5 {
            let reply = flooding.mail(
                "app@example.org",
                &["a@elsewhere.example"],
                b"Subject: flood\r\n\r\nx\r\n",
            );
            taken += usize::from(reply.unwrap().code == 250);
        }
    }
    assert!((97..=100).contains(&taken), "{taken}");

    if peers::mounts() {
        let small = "mkdir -p $DIR/spool && mount -t tmpfs -o size=32m tmpfs $DIR/spool";
        first.kill();
        first.in_mount_namespace(small);
        first.run();
        machine.kill();
        machine.run();
        arrives(&machine, &outside, "the first one's disk is full", 10);
        let told = String::from_utf8(machine.admin(&["status"]).stdout).unwrap();
        assert!(
            told.contains("FAIL  relayhost") && told.contains(": 452"),
            "{told}"
        );
    }
}
