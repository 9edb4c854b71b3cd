//! Signals: what SIGHUP changes and leaves alone, what SIGTERM waits for.

use rustix::process::Signal;
use tests::{
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until},
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

fn config(limit: &str, nexthop: &str) -> String {
    format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ per_client = [\"{limit}\"] }}\nrelayhost = \"{nexthop}\"\n"
    )
}

/// Row C10. Postfix forgets its counters at a reload; we do not.
#[test]
fn a_reload_takes_the_new_settings_and_loses_neither_sessions_nor_counters() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&config("3/day", &sink.nexthop()));
    let mut session = Session::greeted(smarthost.address());
    let send = |session: &mut Session| {
        session
            .mail("app@example.org", &["user@example.net"], MESSAGE)
            .unwrap()
            .code
    };
    assert_eq!([send(&mut session), send(&mut session)], [250, 250]);
    assert_eq!(session.say("MAIL FROM:<app@example.org>").code, 250);

    smarthost.configure(&config("4/day", &sink.nexthop()));
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("reloaded");

    // The transaction that was open goes on; the third message is counted by the new rule, with the
    // two before.
    assert_eq!(session.say("RCPT TO:<user@example.net>").code, 250);
    assert_eq!(session.say("DATA").code, 354);
    assert_eq!(session.say("Subject: test\r\n\r\ntext\r\n.").code, 250);
    let mut fresh = Session::greeted(smarthost.address());
    assert_eq!(send(&mut fresh), 250, "the fourth of four");
    assert_eq!(
        fresh.say("MAIL FROM:<app@example.org>").code,
        450,
        "the fifth of four"
    );
    sink.journal().wait_for(4);
}

/// Where a second reload changes nothing more, the restart is still due.
#[test]
fn a_reload_names_the_settings_that_take_effect_at_the_next_restart_only() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&config("3/day", &sink.nexthop()));
    let reload = || {
        let output = smarthost.admin(&["reload"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(reload().trim(), "reloaded");
    smarthost.configure(&format!(
        "{}listen = [\"{}\"]\nretry = {{ minimal = \"7m\" }}\n",
        config("3/day", &sink.nexthop()),
        free_address()
    ));
    let due = "reloaded; at the next restart only: listen, retry.minimal";
    let told = reload();
    assert_eq!(told.lines().next(), Some(due));
    assert!(
        told.contains("\n  retry.minimal: \"5m\" -> \"7m\"\n"),
        "{told}"
    );
    assert_eq!(reload().trim(), due);
    smarthost.configure(&config("4/day", &sink.nexthop()));
    assert_eq!(reload().lines().next(), Some("reloaded"));
}

/// In the answer and in the log, with both values; a token's program is nobody's business.
#[test]
fn a_reload_says_what_has_changed_setting_by_setting() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&config("3/day", &sink.nexthop()));
    let auth = "relay_auth = { user = \"u\", token = { command = [\"/bin/true\", \"hush\"] } }\n";
    smarthost.configure(&format!(
        "{}message_size = \"1M\"\nroutes = {{ \"a.example\" = \"[192.0.2.1]\" }}\n\
         relay_tls = {{ level = \"starttls\" }}\n{auth}",
        config("4/day", &sink.nexthop())
    ));
    let output = smarthost.admin(&["reload"]);
    let told = String::from_utf8(output.stdout).unwrap();
    let log = smarthost.daemon().wait_for_log("reloaded ");
    for changed in [
        "limits.per_client: [\"3/day\"] -> [\"4/day\"]",
        "message_size: ",
        "routes.\"a.example\": not set -> \"[192.0.2.1]\"",
        "relay_auth.token: another one",
    ] {
        assert!(
            told.contains(&format!("\n  {changed}")),
            "{changed}: {told}"
        );
        assert!(
            log.contains(&format!("reload: {changed}")),
            "{changed}: {log}"
        );
    }
    assert!(
        !told.contains("networks") && !told.contains("hush"),
        "{told}"
    );
    assert!(
        !log.contains("reload: networks") && !log.contains("hush"),
        "{log}"
    );
}

#[test]
fn a_reload_with_a_mistake_says_where_it_is_and_changes_nothing() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&config("100/day", &sink.nexthop()));
    smarthost.configure("netwoks = [\"127.0.0.0/8\"]\n");
    smarthost.daemon().signal(Signal::HUP);
    let log = smarthost
        .daemon()
        .wait_for_log("the old configuration stays in force");
    assert!(
        log.contains("config.toml:") && log.contains("networks"),
        "{log}"
    );
    let mut session = Session::greeted(smarthost.address());
    session.delivers("app@example.org", &["user@example.net"], MESSAGE);
    sink.journal().wait_for(1);
}

/// A certificate is renewed while somebody has left a mistake in a table: neither a rule nor a
/// recipient vanishes.
#[test]
fn a_reload_takes_no_table_that_has_become_faulty_or_empty() {
    let sink = Sink::start();
    let smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.9/32\"]\nroutes = {{ \"primary.example\" = \"{0}\" }}\n\
         domains = {{ local = [\"example.org\"], relay = [\"primary.example\"] }}\nrelayhost = \"{0}\"\n\
         relay_recipients = \"recipients\"\nvirtual = \"virtual\"\naliases = \"names\"\n\
         restrictions = [\"check_sender_access senders\"]\n",
        sink.nexthop()
    ));
    let tables = [
        // A key alone is enough there.
        (
            "recipients",
            "u@primary.example x\n",
            "\"u@primary.example x\n",
        ),
        (
            "virtual",
            "v@primary.example u@primary.example\n",
            "v@primary.example @@\n",
        ),
        (
            "names",
            "ann: u@primary.example\n",
            "ann u@primary.example\n",
        ),
        ("senders", "bad.example REJECT\n", "bad.example\n"),
    ];
    for (name, good, _) in tables {
        smarthost.file(name, good);
    }
    let mut smarthost = smarthost;
    smarthost.run();
    let answers = |smarthost: &Smarthost| -> Vec<u16> {
        let mut session = Session::greeted(smarthost.address());
        let codes = ["u@primary.example", "v@primary.example", "ann@example.org"].map(|to| {
            assert_eq!(session.say("MAIL FROM:<a@ham.example>").code, 250);
            let code = session.say(&format!("RCPT TO:<{to}>")).code;
            assert_eq!(session.say("RSET").code, 250);
            code
        });
        session.say("MAIL FROM:<a@bad.example>");
        let refused = session.say("RCPT TO:<u@primary.example>").code;
        [&codes[..], &[refused]].concat()
    };
    let before = answers(&smarthost);
    assert_eq!(before, [250, 250, 250, 554]);
    for (name, good, faulty) in tables {
        for (content, told) in [(faulty, ":1: "), ("# nothing\n", "suddenly empty")] {
            smarthost.file(name, content);
            let output = smarthost.admin(&["reload"]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
            let place = smarthost.directory().join(name).display().to_string();
            assert!(said.contains(&place) && said.contains(told), "{said}");
            assert_eq!(answers(&smarthost), before, "{name} with {content:?}");
        }
        smarthost.file(name, good);
        let output = smarthost.admin(&["reload"]);
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn at_its_end_the_daemon_tells_its_clients_and_what_it_took_is_there_after_the_next_start() {
    let sink = Sink::start();
    let nexthop = sink.nexthop();
    let address = sink.address();
    drop(sink);
    let mut smarthost = Smarthost::start(&config("100/day", &nexthop));
    let mut session = Session::greeted(smarthost.address());
    session.delivers("app@example.org", &["user@example.net"], MESSAGE);
    smarthost.daemon().signal(Signal::TERM);
    assert_eq!(session.reply().code, 421);
    until("the daemon has ended", || smarthost.daemon().ended())
        .success()
        .then_some(())
        .expect("a clean end");

    let sink = Sink::on(address, tests::sink::Script::default());
    smarthost.run();
    smarthost.mailq();
    let flushed = smarthost.admin(&["queue", "flush"]);
    assert!(flushed.status.success(), "{flushed:?}");
    sink.journal().wait_for(1);
}
