//! Counters that cannot be written, or were damaged: administrators are told by `status`, `check`,
//! metrics and mail, and what they ordered comes back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use tests::{
    http,
    identity::write,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until},
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn said(smarthost: &Smarthost, arguments: &[&str]) -> String {
    let output = smarthost.admin(arguments);
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8(all).unwrap()
}

fn send(smarthost: &Smarthost) {
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@here.example", &["b@far.example"], MESSAGE);
}

#[test]
fn counters_that_cannot_be_written_or_were_damaged_are_told_everywhere() {
    let (sink, page) = (Sink::start(), free_address());
    let mut smarthost = Smarthost::start(&format!(
        "admins = [\"admin@here.example\"]\nrelayhost = \"{}\"\nweb = \"{page}\"\n\
         limits = {{ per_client = [\"100/day\"] }}\n",
        sink.nexthop(),
    ));
    let alarms = || {
        let metrics = http::get(page, "/metrics").body;
        let mut lines = metrics.lines();
        let line = lines.find_map(|line| line.strip_prefix("smarthost_alarms "));
        line.unwrap().to_owned()
    };
    send(&smarthost);
    assert!(
        smarthost
            .admin(&["limits", "raise", "192.0.2.9", "7"])
            .status
            .success()
    );
    let add = ["expected", "add", "--client", "vm7", "--every", "1d"];
    assert!(smarthost.admin(&add).status.success());
    assert_eq!(alarms(), "0");
    let checked = said(&smarthost, &["check"]);
    assert!(checked.contains("ok    state"), "{checked}");

    // Something else has its name.
    assert!(smarthost.daemon().stop().success());
    let state = smarthost.directory().join("state");
    let database = state.join("state.sqlite");
    fs::remove_file(&database).unwrap();
    fs::create_dir(&database).unwrap();
    smarthost.run();
    send(&smarthost);
    until("it is an alarm", || (alarms() == "1").then_some(()));
    let checked = smarthost.admin(&["check"]);
    assert!(!checked.status.success(), "{checked:?}");
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.contains("FAIL  counters      not written since"),
        "{checked}"
    );
    assert!(!checked.contains("ok    state"), "{checked}");
    let mail = sink.told("the counters of smarthost cannot be written");
    assert!(mail.contains("state.sqlite"), "{mail}");
    fs::remove_dir(&database).unwrap();
    until("it is an alarm no more", || (alarms() == "0").then_some(()));

    // Damaged, with what had come back already.
    until("what was ordered is there", || {
        let expected = said(&smarthost, &["expected", "list"]);
        expected.contains("vm7").then_some(())
    });
    assert!(smarthost.daemon().stop().success());
    // The log alone would be enough to read it.
    for name in ["state.sqlite", "state.sqlite-wal"] {
        write(&state.join(name), [0xff; 12_000]);
    }
    smarthost.run();
    let mail = sink.told("the counters of smarthost were damaged");
    assert!(mail.contains("state.sqlite.damaged-1"), "{mail}");
    assert!(mail.contains("came back from their copy"), "{mail}");
    assert_eq!(alarms(), "1");
    let status = said(&smarthost, &["status"]);
    assert!(status.contains("state.sqlite.damaged-1"), "{status}");
    let expected = said(&smarthost, &["expected", "list"]);
    assert!(expected.contains("vm7"), "{expected}");
    let limits = said(&smarthost, &["limits", "list"]);
    assert!(limits.contains("192.0.2.9"), "{limits}");
    fs::remove_file(state.join("state.sqlite.damaged-1")).unwrap();
    until("it is looked at", || (alarms() == "0").then_some(()));
}
