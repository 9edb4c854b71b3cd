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

    // The transaction that was open goes on; the third message is counted by the new rule, with the two before.
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
    for _ in 0..2 {
        assert_eq!(
            reload().trim(),
            "reloaded; at the next restart only: listen, retry"
        );
    }
    smarthost.configure(&config("4/day", &sink.nexthop()));
    assert_eq!(reload().trim(), "reloaded");
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
