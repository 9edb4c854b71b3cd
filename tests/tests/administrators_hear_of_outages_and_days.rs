//! Mail to the administrators that takes hours to be due: an outage of a relayhost, its end, and
//! what a day brought. The daemon's clock is set ahead between its lives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tests::{
    peers,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::free_address,
};

/// What sets a program's clock.
fn library() -> Option<PathBuf> {
    peers::find("faketime")?;
    let below = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found = below.map(|it| it.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.is_file())
}

/// Runs it anew with a clock that is so far ahead.
fn live(smarthost: &mut Smarthost, library: &Path, ahead: Duration) {
    assert!(smarthost.daemon().stop().success());
    smarthost.run_within([
        "env".to_owned(),
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME=+{}", ahead.as_secs()),
    ]);
    smarthost.run();
}

#[test]
fn an_outage_is_told_with_its_end_and_a_day_with_what_came_late_and_what_was_returned() {
    let Some(library) = library() else {
        return;
    };
    let (admins, relayhost) = (Sink::start(), free_address());
    let nobody = Sink::with(Script {
        answers: vec![("RCPT".to_owned(), "550 5.1.1 nobody".to_owned())],
        ..Script::default()
    });
    let mut smarthost = Smarthost::start(&format!(
        "admins = [\"admin@here.example\"]\nrelayhost = \"{}\"\n\
         routes = {{ \"here.example\" = \"{}\", \"gone.example\" = \"{}\" }}\n",
        nexthop(relayhost),
        admins.nexthop(),
        nobody.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    let message = b"Subject: x\r\n\r\nx\r\n";
    session.delivers(
        "a@here.example",
        &["b@far.example", "c@gone.example"],
        message,
    );
    drop(session);
    smarthost.daemon().wait_for_log("temporarily suspended");
    smarthost.daemon().wait_for_log("status=bounced");

    live(&mut smarthost, &library, Duration::from_mins(20));
    let begun = admins.told("takes no mail");
    assert!(begun.contains("Connection refused"), "{begun}");
    assert!(begun.contains("smarthost queue summary"), "{begun}");

    let relay = Sink::on(relayhost, Script::default());
    live(&mut smarthost, &library, Duration::from_hours(4));
    assert!(
        smarthost
            .admin(&["queue", "flush", "--all"])
            .status
            .success()
    );
    relay.journal().wait_for(1);
    let ended = admins.told("works again");
    assert!(ended.contains("It had not worked since"), "{ended}");

    let now = mail::clock::now().as_secs();
    let (day, seven) = (86_400, 7 * 3600);
    let later = now + 5 * 3600;
    let morning = later - later % day + seven;
    let morning = if morning > later {
        morning
    } else {
        morning + day
    };
    let ahead = Duration::from_secs(morning - now - 10);
    live(&mut smarthost, &library, ahead);
    let digest = admins.told("1 returned, 1 late");
    for line in [
        "Recipients given up; a report to their senders, who may want none or take none: 1",
        "550 5.1.1 nobody",
        "Recipients reached after more than three hours: 1",
    ] {
        assert!(digest.contains(line), "{line}: {digest}");
    }
}
