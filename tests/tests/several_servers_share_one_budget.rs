//! Several smarthosts, one limit for each client: with a real store (redis-server) that stops,
//! forgets, or is not there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rustix::process::Signal;
use tests::{
    enrolment::pin, identity::Identity, session::Session, sink::Sink, smarthost::Smarthost,
    store::Store, wait::until,
};

const MESSAGE: &[u8] = b"Subject: flood\r\n\r\nbuy now\r\n";

/// A store, a next hop that takes everything, and two smarthosts, mx1 and mx2, that share a limit.
fn site(limit: &str, on_outage: &str) -> Option<(Store, Sink, [Smarthost; 2])> {
    let (store, sink) = (Store::start()?, Sink::start());
    let site = ["mx1", "mx2"].map(|node| {
        Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"{limit}\"] }}\nrelayhost = \"{}\"\n\
             budget = {{ store = \"{}\", node = \"{node}\", nodes = 2, on_outage = \"{on_outage}\" }}\n",
            sink.nexthop(),
            store.url(),
        ))
    });
    wait_for_both(&site);
    Some((store, sink, site))
}

fn wait_for_both(site: &[Smarthost; 2]) {
    for smarthost in site {
        wait_for_status(smarthost, "budgets, 2 smarthosts");
    }
}

fn status(smarthost: &Smarthost) -> String {
    String::from_utf8(smarthost.admin(&["status"]).stdout).unwrap()
}

fn wait_for_status(smarthost: &Smarthost, what: &str) {
    until(what, || status(smarthost).contains(what).then_some(()));
}

/// How many of so many messages one client brings to a server.
fn send(client: &str, smarthost: &Smarthost, count: usize) -> usize {
    let mut session = Session::connect_from(client.parse().unwrap(), smarthost.address()).ehlo();
    let codes = (0..count).map(|_| {
        let reply = session.mail("app@example.org", &["user@example.net"], MESSAGE);
        reply.unwrap().code
    });
    codes.filter(|code| *code == 250).count()
}

/// Row A4: both servers together take a hundred a day, whichever a client asks.
#[test]
fn a_client_has_its_limit_once_over_both_servers() {
    let Some((_store, _sink, site)) = site("100/day", "share") else {
        return;
    };
    let mut taken = 0;
    for _ in 0..12 {
        for smarthost in &site {
            taken += send("127.0.0.5", smarthost, 5);
        }
    }
    assert!((97..=100).contains(&taken), "{taken}");
    let [first, second] = &site;
    for smarthost in [first, second] {
        let listed = String::from_utf8(smarthost.admin(&["limits", "list"]).stdout).unwrap();
        assert!(listed.contains("on all servers"), "{listed}");
    }
    let mut session = Session::connect_from("127.0.0.5".parse().unwrap(), first.address()).ehlo();
    let refused = session
        .mail("a@example.org", &["b@example.net"], MESSAGE)
        .unwrap();
    assert!(
        refused.code == 450 && refused.text().contains("of 100 in a day"),
        "{refused:?}"
    );
    assert_eq!(
        send("127.0.0.6", second, 3),
        3,
        "another client has one too"
    );

    // What an administrator orders at one holds at all.
    assert!(
        first
            .admin(&["limits", "raise", "127.0.0.5", "110"])
            .status
            .success()
    );
    until("the other server takes more", || {
        (send("127.0.0.5", second, 1) == 1).then_some(())
    });
    assert!(
        second
            .admin(&["limits", "reset", "127.0.0.5"])
            .status
            .success()
    );
    until("both begin anew", || {
        (send("127.0.0.5", first, 20) == 20).then_some(())
    });
}

/// A store that is emptied is told what it has forgotten, and lets nobody begin anew.
#[test]
fn a_store_that_forgets_everything_gives_nobody_a_new_limit() {
    let Some((store, _sink, site)) = site("20/day", "defer") else {
        return;
    };
    let [first, second] = &site;
    let mut taken = send("127.0.0.5", first, 8) + send("127.0.0.5", second, 8);
    for _ in 0..5 {
        store.say("FLUSHALL");
        taken += send("127.0.0.5", first, 5) + send("127.0.0.5", second, 5);
        wait_for_both(&site);
    }
    taken += send("127.0.0.5", first, 5) + send("127.0.0.5", second, 5);
    assert!((17..=20).contains(&taken), "{taken}");
}

/// Mail waits for no store; how much passes meanwhile is what `status` promises.
#[test]
fn while_the_store_stands_still_each_server_takes_its_part_or_nothing() {
    for (on_outage, most) in [("share", 15), ("defer", 10)] {
        let Some((store, _sink, site)) = site("10/day", on_outage) else {
            return;
        };
        let [first, second] = &site;
        // One server uses up all that there is.
        let mut taken = send("127.0.0.5", first, 12);
        assert!((9..=10).contains(&taken), "{on_outage}: {taken}");
        store.signal(Signal::STOP);
        taken += send("127.0.0.5", first, 12) + send("127.0.0.5", second, 12);
        assert!(taken <= most, "{on_outage}: {taken}");
        assert_eq!(taken > 10, on_outage == "share", "{on_outage}: {taken}");
        let bound = if on_outage == "share" {
            "at worst 3/2 of a limit"
        } else {
            "never over a limit"
        };
        wait_for_status(first, bound);
        store.signal(Signal::CONT);
        wait_for_both(&site);
        assert_eq!(send("127.0.0.5", second, 3), 0, "{on_outage}");
    }
}

/// With "open" a store that is away is no reason to refuse anybody what one server would take.
#[test]
fn while_the_store_stands_still_an_open_server_takes_a_whole_limit_for_itself() {
    let Some((store, _sink, site)) = site("10/day", "open") else {
        return;
    };
    let [first, second] = &site;
    store.signal(Signal::STOP);
    assert_eq!(send("127.0.0.5", first, 12), 10);
    wait_for_status(second, "at worst 2 times a limit");
    assert_eq!(send("127.0.0.5", second, 12), 10);
    store.signal(Signal::CONT);
    wait_for_both(&site);
    assert_eq!(send("127.0.0.5", second, 3), 0);
    assert_eq!(send("127.0.0.6", first, 9), 9);
}

/// A store with a key of its own is believed by that key, and no other store is told anything.
#[test]
fn a_store_over_tls_is_known_by_its_pin() {
    let ours = Identity::new("store.example.test");
    let directory = tempfile::tempdir().unwrap();
    let pin_of = |identity: &Identity, name: &str| {
        identity.write(directory.path(), name);
        pin(&directory.path().join(format!("{name}.pem")))
    };
    let right = pin_of(&ours, "ours");
    let wrong = pin_of(&Identity::new("store.example.test"), "another");
    let Some((_store, address)) = Store::with_tls(&ours) else {
        return;
    };
    let sink = Sink::start();
    let smarthost = |node: &str, pins: &str| {
        Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"10/day\"] }}\nrelayhost = \"{}\"\n\
             budget = {{ store = \"rediss://{address}\", node = \"{node}\", nodes = 2, on_outage = \"defer\"{pins} }}\n",
            sink.nexthop(),
        ))
    };
    let pinned = |pin: &str| format!(", pins = [\"{pin}\"]");
    let site = ["mx1", "mx2"].map(|node| smarthost(node, &pinned(&right)));
    wait_for_both(&site);
    assert_eq!(bring("127.0.0.5", &[&site[0]], 12, 9), 10);
    assert_eq!(send("127.0.0.5", &site[1], 3), 0);

    for (pins, told) in [
        (pinned(&wrong), right.as_str()),
        (String::new(), "pin its key"),
    ] {
        let mut stranger = smarthost("mx3", &pins);
        stranger.daemon().wait_for_log(told);
        assert_eq!(send("127.0.0.6", &stranger, 1), 0);
        let checked = stranger.admin(&["check"]);
        let checked = String::from_utf8(checked.stdout).unwrap();
        assert!(
            checked.contains(told) && checked.contains("budget.pins"),
            "{checked}"
        );
    }
}

/// A server that dies gives back nothing that it took, and one that never comes is not waited for
/// once an administrator has said so.
#[test]
fn a_killed_server_counts_on_and_one_that_is_gone_is_forgotten_by_command() {
    let Some((store, _sink, mut site)) = site("10/day", "defer") else {
        return;
    };
    let mut taken = send("127.0.0.5", &site[0], 6);
    site[0].kill();
    site[0].run();
    wait_for_status(&site[0], "budgets, 2 smarthosts");
    taken += send("127.0.0.5", &site[0], 10) + send("127.0.0.5", &site[1], 10);
    assert!((8..=10).contains(&taken), "{taken}");

    // Nobody grants before all have told: until one of them is known to be gone.
    let [mut left, mut gone] = site;
    for wrong in ["mx3", "mx1", "mx2", "MX2"] {
        let forgotten = left.admin(&["limits", "forget-node", wrong]);
        let told = String::from_utf8(forgotten.stderr).unwrap();
        assert_eq!(forgotten.status.code(), Some(1), "{wrong}: {told}");
        assert!(
            told.contains("mx1 (this one)") && told.contains("mx2 (heard"),
            "{told}"
        );
    }
    gone.kill();
    store.say("FLUSHALL");
    wait_for_status(&left, "waits for 1 of 2 smarthosts");
    assert_eq!(send("127.0.0.6", &left, 1), 0);
    left.kill();
    left.run();
    until("it is silent for long enough", || {
        let forgotten = left.admin(&["limits", "forget-node", "mx2"]);
        forgotten.status.success().then_some(())
    });
    wait_for_status(&left, "budgets, 2 smarthosts");
    until("it is not waited for", || {
        (send("127.0.0.6", &left, 1) == 1).then_some(())
    });
    left.kill();
}

/// What passes at worst is what the one lets through that lets most.
#[test]
fn servers_that_do_different_things_while_the_store_is_away_are_told_of() {
    let Some((store, _sink, [first, mut second])) = site("20/day", "share") else {
        return;
    };
    let same = std::fs::read_to_string(second.config()).unwrap();
    let other = same.replace("on_outage = \"share\"", "on_outage = \"defer\"");
    second.kill();
    second.file("config.toml", &other);
    second.run();
    let bound = "at worst 3/2 of a limit while it fails";
    wait_for_status(
        &first,
        "mx2 has another budget.on_outage (defer) than this one (share)",
    );
    wait_for_status(
        &second,
        "mx1 has another budget.on_outage (share) than this one (defer)",
    );
    assert!(status(&second).contains(bound), "{}", status(&second));
    let checked = String::from_utf8(second.admin(&["check"]).stdout).unwrap();
    assert!(
        checked.contains("mx1 has another budget.on_outage"),
        "{checked}"
    );
    store.signal(Signal::STOP);
    until("the store is missed", || {
        let told = status(&second);
        (!told.contains("another budget.on_outage")).then_some(())
    });
    assert!(status(&second).contains(bound), "{}", status(&second));
    store.signal(Signal::CONT);
    second.kill();
    second.file("config.toml", &same);
    second.run();
    wait_for_both(&[first, second]);
}

/// Each lets through what it has itself: that is told, on both, until they are the same.
#[test]
fn servers_with_different_limits_are_told_of_until_they_are_the_same() {
    let Some((_store, _sink, [first, second])) = site("10/day", "share") else {
        return;
    };
    let same = std::fs::read_to_string(second.config()).unwrap();
    second.file("config.toml", &same.replace("10/day", "20/day"));
    assert!(second.admin(&["reload"]).status.success());
    wait_for_status(&first, "mx2 has other limits (20/day");
    wait_for_status(&second, "mx1 has other limits (10/day");
    second.file("config.toml", &same);
    assert!(second.admin(&["reload"]).status.success());
    wait_for_both(&[first, second]);
}

/// What a client would hear of a server.
/// What the running daemon knows counts: the store answers all the same.
#[test]
fn check_fails_while_two_servers_have_one_name_in_the_budget() {
    let (Some(store), sink) = (Store::start(), Sink::start()) else {
        return;
    };
    let site = [(); 2].map(|()| {
        Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"9/day\"] }}\nrelayhost = \"{}\"\n\
             budget = {{ store = \"{}\", node = \"mx1\", nodes = 2, on_outage = \"defer\" }}\n",
            sink.nexthop(),
            store.url(),
        ))
    });
    until("check of one of them fails for it", || {
        let outputs = site.iter().map(|server| server.admin(&["check"]));
        let mut failed = outputs.filter(|output| output.status.code() == Some(1));
        failed.find(|output| {
            let told = String::from_utf8_lossy(&output.stdout);
            told.lines().any(|line| line.starts_with("FAIL  budget"))
        })
    });
}

fn explained(server: &Smarthost) -> String {
    let what = [
        "explain",
        "--client",
        "127.0.0.5",
        "--to",
        "user@example.net",
    ];
    String::from_utf8(server.admin(&what).stdout).unwrap()
}

/// What another server has counted decides here, too, and is explained.
#[test]
fn explain_knows_what_all_servers_have_counted() {
    let Some((_store, _sink, [first, second])) = site("10/day", "defer") else {
        return;
    };
    let explained = || explained(&second);
    assert!(explained().contains("accepted"), "{}", explained());
    assert_eq!(bring("127.0.0.5", &[&first], 10, 10), 10);
    until("what the other one has counted", || {
        let told = explained();
        (told.contains("(10 on all servers)") && told.contains("refused: the client hears"))
            .then_some(())
    });
    // A look takes nothing.
    assert_eq!(bring("127.0.0.6", &[&second], 10, 10), 10);
}

/// The same as a client hears, which is told from what is known of the store.
#[test]
fn explain_says_what_a_client_hears_while_the_store_stands_still() {
    for on_outage in ["defer", "share"] {
        let Some((store, _sink, [first, _second])) = site("10/day", on_outage) else {
            return;
        };
        let explained = || explained(&first);
        until("it would be accepted", || {
            explained().contains("accepted").then_some(())
        });
        store.signal(Signal::STOP);
        until("no more is taken", || {
            (send("127.0.0.5", &first, 1) == 0).then_some(())
        });
        until(&format!("{on_outage}: that is explained"), || {
            let told = explained();
            let refused = told.contains("refused: the client hears") && told.contains("450 4.7.1");
            (refused && told.contains("that cannot be asked now")).then_some(())
        });
        store.signal(Signal::CONT);
        until("it is accepted again", || {
            (send("127.0.0.6", &first, 1) == 1).then_some(())
        });
        let what = [
            "explain",
            "--client",
            "127.0.0.7",
            "--to",
            "user@example.net",
        ];
        until(&format!("{on_outage}: it is explained so"), || {
            let told = String::from_utf8(first.admin(&what).stdout).unwrap();
            told.contains("accepted").then_some(())
        });
    }
}

/// What one client brings to servers until so many of its messages were taken at least, however
/// slow the store is.
fn bring(client: &str, site: &[&Smarthost], most: usize, least: usize) -> usize {
    let mut taken = 0;
    until("the messages are taken", || {
        for smarthost in site {
            taken += send(client, smarthost, most);
        }
        (taken >= least).then_some(())
    });
    taken
}

fn order(smarthost: &Smarthost, words: &[&str]) {
    let done = smarthost.admin(&[&["limits"], words].concat());
    assert!(done.status.success(), "{words:?}: {done:?}");
}

fn shown(smarthost: &Smarthost, client: &str) -> String {
    let shown = smarthost.admin(&["limits", "show", client]);
    String::from_utf8(shown.stdout).unwrap()
}

/// An order holds at all servers, also at one that was away when it was given, and although the
/// store has lost it since.
#[test]
fn an_order_holds_at_a_server_that_was_away_and_after_the_store_has_forgotten_it() {
    let Some((store, _sink, mut site)) = site("20/day", "defer") else {
        return;
    };
    let taken = bring("127.0.0.5", &[&site[0], &site[1]], 12, 17);
    assert!(taken <= 20, "{taken}");
    site[1].kill();
    order(&site[0], &["raise", "127.0.0.6", "0"]);
    // What the other has counted does not count any more, though it cannot hear of it.
    order(&site[0], &["reset", "127.0.0.5"]);
    until("the store has heard of it", || {
        (send("127.0.0.5", &site[0], 1) == 1).then_some(())
    });
    let mut taken = 1 + bring("127.0.0.5", &[&site[0]], 2, 8);

    // Given while the store does not answer, by a server that is killed at once.
    store.signal(Signal::STOP);
    order(&site[0], &["reset", "127.0.0.7"]);
    order(&site[0], &["raise", "127.0.0.7", "40"]);
    site[0].kill();
    store.signal(Signal::CONT);
    store.say("FLUSHALL");
    site.iter_mut().for_each(Smarthost::run);
    wait_for_both(&site);
    let [first, second] = &site;
    for (client, told) in [
        ("127.0.0.6", "blocked until"),
        ("127.0.0.7", "raised to 40"),
    ] {
        until(told, || shown(second, client).contains(told).then_some(()));
    }
    assert_eq!(send("127.0.0.6", second, 3), 0, "it is blocked");
    taken += bring("127.0.0.5", &[second, first], 12, 17 - taken);
    taken += send("127.0.0.5", second, 5) + send("127.0.0.5", first, 5);
    assert!(taken <= 20, "since the reset: {taken}");
    bring("127.0.0.7", &[second], 25, 25);
}

/// The store loses one key, or somebody else writes there.
#[test]
fn a_single_budget_that_is_lost_or_overwritten_passes_no_limit() {
    let key = "\"smarthost:budget:messages/86400 127.0.0.5\"";
    for harm in [
        format!("DEL {key}"),
        format!("SET {key} mine"),
        format!("HSET {key} 1:mx2 -50"),
        "DEL smarthost:budgets".to_owned(),
    ] {
        let Some((store, _sink, site)) = site("20/day", "defer") else {
            return;
        };
        let [first, second] = &site;
        let mut taken = bring("127.0.0.5", &[second], 25, 17);
        if harm.starts_with("SET") {
            store.say(&format!("DEL {key}"));
        }
        store.say(&harm);
        taken += send("127.0.0.5", first, 5);
        wait_for_both(&site);
        taken += send("127.0.0.5", first, 25) + send("127.0.0.5", second, 5);
        assert!((17..=20).contains(&taken), "{harm}: {taken}");
    }
}
