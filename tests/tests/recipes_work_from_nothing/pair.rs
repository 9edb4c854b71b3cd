//! Recipe E: two servers that stand in for each other.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    agent::Agent,
    peers,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    store::Store,
    wait::{until, until_true},
};
use toml::Value;

use crate::site::{of_relay, of_sink, pin, recipe, shipped, with};

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
            String::from_utf8(told)
                .unwrap()
                .contains("budgets, 2 smarthosts")
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
