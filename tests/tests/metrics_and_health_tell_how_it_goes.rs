//! `/metrics` and `/health`: what Prometheus reads agrees with what clients and next hops saw, also
//! after kill -9.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashMap, fs, net::SocketAddr, os::unix::fs::PermissionsExt as _};

use serde_json::Value;
use tests::{
    binaries::repository,
    http::{self, get},
    peers,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

/// Samples by name and labels.
fn scraped(page: SocketAddr) -> HashMap<String, f64> {
    let answer = get(page, "/metrics");
    assert_eq!(answer.code, 200, "{answer:?}");
    assert_eq!(
        answer.field("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.body.ends_with("\n# EOF\n"), "{answer:?}");
    let samples = answer.body.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The sum of a counter's samples.
fn sum(samples: &HashMap<String, f64>, name: &str) -> f64 {
    let named = samples.iter();
    named
        .filter(|(sample, _)| sample.split('{').next() == Some(name))
        .map(|(_, value)| value)
        .sum()
}

fn health(page: SocketAddr) -> (u16, Value) {
    let answer = get(page, "/health/ready");
    (answer.code, serde_json::from_str(&answer.body).unwrap())
}

/// Whether two counts are the same.
fn same(one: f64, other: u32) -> bool {
    (one - f64::from(other)).abs() < 0.5
}

/// Twenty messages, some for recipients that are gone or busy, and three refusals; the session that
/// sent them.
fn mixed_load(relay: &Smarthost) -> Session {
    let mut session = Session::greeted(relay.address());
    for number in 0..20 {
        let (there, busy) = (format!("u{number}@far.example"), "busy@near.example");
        let recipients = match number % 4 {
            0 => vec![there.as_str(), busy],
            1 => vec![there.as_str(), "gone@far.example"],
            _ => vec![there.as_str()],
        };
        session.delivers("a@one.example", &recipients, b"Subject: x\r\n\r\nx\r\n");
    }
    for _ in 0..3 {
        session.say("MAIL FROM:<a@one.example>");
        assert_eq!(session.say("RCPT TO:<nobody@mail.example.test>").code, 550);
        session.say("RSET");
    }
    session
}

/// Lines of the log that tell so of a recipient.
fn logged(log: &str, status: &str) -> usize {
    log.matches(&format!(", status={status} (")).count()
}

/// How often the log tells what the metrics count: sent, bounced, deferred.
fn agree(samples: &HashMap<String, f64>, log: &str) -> bool {
    let counted = [
        (
            "smarthost_delivery_seconds_count{outcome=\"delivered\"}",
            "sent",
        ),
        (
            "smarthost_delivery_seconds_count{outcome=\"failed\"}",
            "bounced",
        ),
    ];
    let deferred = logged(log, "deferred").try_into().unwrap();
    counted
        .iter()
        .all(|(name, status)| same(samples[*name], logged(log, status).try_into().unwrap()))
        && same(sum(samples, "smarthost_deferred_total"), deferred)
}

/// What is counted and logged once so many messages wait, and nothing else is under way.
fn settled(relay: &mut Smarthost, page: SocketAddr, waits: u32) -> (HashMap<String, f64>, String) {
    until(
        "only what waits is queued, and the log tells the rest",
        || {
            let (samples, log) = (scraped(page), relay.daemon().log());
            let is_done = same(samples["smarthost_queue_messages"], waits)
                && same(samples["smarthost_deliveries_active"], 0)
                && agree(&samples, &log);
            is_done.then_some((samples, log))
        },
    )
}

/// A relay with a page, and the relayhost behind it: some recipients are gone there, some busy.
fn before_a_busy_world() -> (Smarthost, SocketAddr, Sink) {
    let mut script = Script::default();
    let answer = |to: &str, reply: &str| (to.to_owned(), reply.to_owned());
    script.recipients = vec![
        answer("gone@far.example", "550 5.1.1 no such user"),
        answer("busy@near.example", "451 4.7.1 come again"),
    ];
    let sink = Sink::with(script);
    let page = free_address();
    let config = format!(
        "web = \"{page}\"\nrelayhost = \"{}\"\nlimits = {{ per_client = [\"200/day\"] }}\n\
         retry = {{ minimal = \"1h\" }}\n",
        nexthop(sink.address())
    );
    (Smarthost::start(&config), page, sink)
}

#[test]
fn metrics_log_and_next_hops_agree_after_a_mixed_load() {
    let (mut relay, page, sink) = before_a_busy_world();
    let empty = scraped(page);
    assert!(same(sum(&empty, "smarthost_received_messages_total"), 0));
    let _session = mixed_load(&relay);
    let done = |samples: &HashMap<String, f64>| {
        // Five bounces go to the sink, too.
        let all = "smarthost_delivery_seconds_count{outcome=\"delivered\"}";
        same(samples[all], 25) && same(samples["smarthost_deferred_total{class=\"reply\"}"], 5)
    };
    let samples = until("all is settled", || Some(scraped(page)).filter(done));
    assert_eq!(sink.journal().len(), 25);
    let log = until("the log tells all of it", || {
        Some(relay.daemon().log()).filter(|log| logged(log, "deferred") == 5)
    });
    assert!(agree(&samples, &log), "{samples:?} {log}");
    assert_eq!([logged(&log, "sent"), logged(&log, "bounced")], [25, 5]);
    assert_eq!(
        log.matches(": sender non-delivery notification: ").count(),
        5
    );
    assert_eq!(log.matches(": reject: RCPT from ").count(), 3);
    for (name, count) in [
        ("smarthost_received_messages_total", 20),
        ("smarthost_delivery_seconds_count{outcome=\"failed\"}", 5),
        (
            "smarthost_rejected_total{rule=\"reject_unlisted_recipient\"}",
            3,
        ),
        ("smarthost_queue_messages", 5),
        (
            "smarthost_queue_recipients{destination=\"near.example\"}",
            5,
        ),
        ("smarthost_client_messages{client=\"127.0.0.1\"}", 20),
        ("smarthost_clients", 1),
        ("smarthost_sessions", 1),
        ("smarthost_ready", 1),
        ("smarthost_spool_ok", 1),
    ] {
        assert!(same(samples[name], count), "{name}: {samples:?}");
    }
    assert!(
        same(sum(&samples, "smarthost_deferred_total"), 5),
        "{samples:?}"
    );
    assert!(samples["smarthost_received_bytes_total"] > 20.0 * 10.0);
    assert!(samples["smarthost_spool_sync_seconds"] > 0.0);
    let status = relay.admin(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["counted"]["received"], 20, "{status}");
}

/// Killed while deliveries are under way.
#[test]
fn metrics_log_and_next_hops_agree_after_kill() {
    let (mut relay, page, sink) = before_a_busy_world();
    drop(mixed_load(&relay));
    settled(&mut relay, page, 5);
    drop(mixed_load(&relay));
    relay.kill();
    relay.run();
    // All that waits is mail for who is busy; the log of this run tells what its metrics count.
    let (again, log) = settled(&mut relay, page, 10);
    for (name, count) in [
        ("smarthost_received_messages_total", 0),
        (
            "smarthost_queue_recipients{destination=\"near.example\"}",
            10,
        ),
        ("smarthost_client_messages{client=\"127.0.0.1\"}", 40),
    ] {
        assert!(same(again[name], count), "{name}: {again:?}");
    }
    // A crash may repeat a delivery whose end was not on disk yet; it loses none.
    let arrived = sink.recipients(50);
    assert!(arrived.len() >= 25 + logged(&log, "sent"), "{log}");
    for number in 0..20 {
        let there = format!("u{number}@far.example");
        let times = arrived.iter().filter(|to| **to == there).count();
        assert!(times >= 2, "{there}: {times}");
    }
    drop(mixed_load(&relay));
    let (last, all) = settled(&mut relay, page, 15);
    let sent = logged(&all, "sent") - logged(&log, "sent");
    assert_eq!([sent, sink.journal().len() - arrived.len()], [25, 25]);
    assert!(same(last["smarthost_received_messages_total"], 20));
    let deleted = relay.admin(&["queue", "delete", "--all"]);
    assert!(deleted.status.success(), "{deleted:?}");
    until_true("the queue is empty", || {
        let samples = scraped(page);
        same(samples["smarthost_queue_messages"], 0)
            && same(samples["smarthost_deleted_recipients_total"], 15)
            && same(samples["smarthost_queue_oldest_age_seconds"], 0)
    });
}

/// What returns without an attempt counts once, too.
#[test]
fn mail_that_is_returned_by_an_order_is_counted_as_given_up() {
    let page = free_address();
    let relay = Smarthost::start(&format!(
        "web = \"{page}\"\nrelayhost = \"{}\"\n",
        nexthop(free_address())
    ));
    let mut session = Session::greeted(relay.address());
    session.delivers(
        "a@one.example",
        &["b@far.example"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    let refused = "smarthost_deferred_total{class=\"connection_refused\"}";
    until_true("it was tried", || scraped(page)[refused] > 0.0);
    let bounced = relay.admin(&["queue", "bounce", "--all"]);
    assert!(bounced.status.success(), "{bounced:?}");
    until_true("it is counted", || {
        same(
            scraped(page)["smarthost_delivery_seconds_count{outcome=\"failed\"}"],
            1,
        )
    });
}

#[test]
fn a_relay_is_ready_while_it_takes_and_sends_mail_and_says_why_it_is_not() {
    let page = free_address();
    let web = format!("web = \"{page}\"\n");
    let mut relay = Smarthost::start(&web);
    assert_eq!(get(page, "/health/live").body, "{\"status\":\"live\"}");
    let (code, told) = health(page);
    assert_eq!((code, &told["status"]), (200, &"ready".into()), "{told}");
    relay.kill();

    // Never a good configuration: what is right by itself is used, the page among it.
    let mut broken = Smarthost::prepare(&format!("{web}nonsense = 1\n"));
    broken.run();
    let (code, told) = health(page);
    assert_eq!(
        (code, &told["status"]),
        (503, &"not ready".into()),
        "{told}"
    );
    let cause = &told["causes"][0];
    assert_eq!(cause["what"], "configuration", "{told}");
    let text = "the configuration is wrong: smarthost check says where";
    assert_eq!(cause["text"], text, "{told}");
    let told = with_token(&broken, page);
    assert!(told.contains("nonsense"), "{told}");
    assert!(same(scraped(page)["smarthost_ready"], 0));
    broken.configure(&web);
    until_true("it is ready once the file is mended", || {
        // It starts anew then.
        http::try_get(page, "/health/ready").is_some_and(|answer| answer.code == 200)
    });
}

/// What whoever has the token reads.
fn with_token(relay: &Smarthost, page: SocketAddr) -> String {
    let token = relay.admin(&["web", "token"]);
    let token = String::from_utf8(token.stdout).unwrap();
    let fields = format!("Authorization: Bearer {}\r\n", token.trim());
    http::request(page, "GET", "/health", &fields, "").body
}

/// Words of a next hop may name whose mail they are about.
#[test]
fn a_stranger_reads_of_a_refusal_who_refused_and_with_which_code_and_not_whose_mail() {
    let sink = Sink::with(Script {
        answers: vec![(
            "MAIL".to_owned(),
            "535 5.7.8 <secret@example.org>: who is secret".to_owned(),
        )],
        ..Script::default()
    });
    let page = free_address();
    let relay = Smarthost::start(&format!(
        "web = \"{page}\"\nrelayhost = \"{}\"\nnetworks = [\"127.0.0.0/8\"]\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(relay.address());
    for number in 0..4 {
        let sender = format!("secret{number}@example.org");
        session.delivers(&sender, &["b@example.net"], b"Subject: x\r\n\r\nx\r\n");
    }
    until_true("the administrator reads it", || {
        with_token(&relay, page).contains("who is secret")
    });
    let told = health(page).1.to_string();
    let refused = format!(
        "host 127.0.0.1[127.0.0.1]:{} said: 535 5.7.8 (in reply to MAIL FROM command)",
        sink.address().port()
    );
    assert!(
        told.contains(&refused) && !told.contains("secret"),
        "{told}"
    );
}

/// What Prometheus itself makes of it.
#[test]
fn promtool_finds_nothing_wrong() {
    let Some(promtool) = peers::find("promtool") else {
        return;
    };
    let page = free_address();
    let relay = Smarthost::start(&format!("web = \"{page}\"\n"));
    let plain = http::request(page, "GET", "/metrics", "Accept: text/plain\r\n", "");
    assert_eq!(
        plain.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    relay.file("metrics", &plain.body);
    let output = std::process::Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(fs::File::open(relay.directory().join("metrics")).unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && told.is_empty(), "{told}");
}

#[test]
fn a_unix_socket_is_for_the_daemons_group() {
    let relay = Smarthost::start("web = \"unix:web.sock\"\n");
    let socket = relay.directory().join("web.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let asked = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    std::io::Write::write_all(&mut stream, asked).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stream, &mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
}

/// Mail goes on, whoever holds the page's port.
#[test]
fn a_page_that_cannot_be_shown_stops_no_mail() {
    let page = free_address();
    let _other = std::net::TcpListener::bind(page).unwrap();
    let relay = Smarthost::start(&format!("web = \"{page}\"\n"));
    let mut session = Session::greeted(relay.address());
    let mail = b"Subject: x\r\n\r\nx\r\n";
    session.delivers("a@one.example", &["root@mail.example.test"], mail);
    let status = relay.admin(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.contains("alarm         the status page cannot be shown"),
        "{status}"
    );
}

/// The words of a text that are names of metrics.
fn named(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    let metrics = words.filter(|word| word.starts_with("smarthost_"));
    metrics.collect()
}

#[test]
fn dashboard_and_alert_rules_that_are_shipped_ask_only_for_what_there_is() {
    let examples = repository().join("packaging/examples");
    let page = free_address();
    let _relay = Smarthost::start(&format!("web = \"{page}\"\n"));
    let told = get(page, "/metrics").body;
    let families: Vec<_> = told
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let exists = |name: &str| {
        families.iter().any(|(family, kind)| match *kind {
            "counter" => name.strip_suffix("_total") == Some(family),
            "info" => name.strip_suffix("_info") == Some(family),
            "histogram" => ["_bucket", "_count", "_sum"]
                .iter()
                .any(|end| name.strip_suffix(end) == Some(family)),
            _ => name == *family,
        })
    };
    for file in ["smarthost-dashboard.json", "smarthost-alerts.yml"] {
        let text = fs::read_to_string(examples.join(file)).unwrap();
        let names = named(&text);
        assert!(names.len() > 8, "{file}");
        for name in names {
            assert!(exists(name), "{file}: {name}");
        }
    }
    let text = fs::read_to_string(examples.join("smarthost-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut ids = std::collections::HashSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
    }
    let Some(promtool) = peers::find("promtool") else {
        return;
    };
    let rules = examples.join("smarthost-alerts.yml");
    let checked = std::process::Command::new(promtool)
        .args(["check", "rules"])
        .arg(rules)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
