//! A configuration that lies elsewhere than the machine's own, with a queue elsewhere too, is
//! emptied while the programs are down, or under them: that is a mistake, and no wish for the
//! defaults. Both go on with what was last good.

use std::process::Output;

use tests::{
    agent::{Agent, config},
    identity::write,
    login::MESSAGE,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
};

const LAST_GOOD: &str = "the last good configuration stays in force";
/// What the advice says to write where the defaults are meant.
const MEANT: &str = "# empty\n";
const EMPTY: &str = "is gone or empty; write it again";

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn deliver(smarthost: &Smarthost) {
    Session::greeted(smarthost.address()).delivers("a@example.org", &["b@example.net"], MESSAGE);
}

#[test]
fn a_smarthost_whose_file_is_emptied_goes_on_with_its_last_good_one_and_says_so_once() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!("relayhost = \"{}\"\n", sink.nexthop()));
    let (file, right) = {
        let file = smarthost.config();
        let right = std::fs::read_to_string(&file).unwrap();
        (file, right)
    };
    deliver(&smarthost);
    sink.journal().wait_for(1);
    smarthost.daemon().stop();
    write(&file, "");
    smarthost.run();
    smarthost.daemon().wait_for_log(LAST_GOOD);
    deliver(&smarthost);
    sink.journal().wait_for(2);
    let check = smarthost.admin(&["check"]);
    assert_eq!(check.status.code(), Some(78), "{}", said(&check));
    assert!(said(&check).contains(EMPTY), "{}", said(&check));
    assert!(!said(&check).contains("is right"), "{}", said(&check));
    let status = said(&smarthost.admin(&["status"]));
    assert!(status.contains(EMPTY), "{status}");
    write(&file, &right);
    smarthost.daemon().wait_for_log("reloaded ");

    write(&file, "\n");
    let reload = smarthost.admin(&["reload"]);
    assert!(said(&reload).contains(EMPTY), "{}", said(&reload));
    deliver(&smarthost);
    sink.journal().wait_for(3);
    // It has looked at the file again meanwhile, more than once.
    let since = std::time::Instant::now();
    tests::wait::until("some seconds have gone", || {
        (since.elapsed().as_secs() >= 4).then_some(())
    });
    let log = smarthost.daemon().log();
    assert_eq!(log.matches("reload failed").count(), 1, "{log}");
    write(&file, &right);
    tests::wait::until("the mended file is taken", || {
        let log = smarthost.daemon().log();
        (log.matches("reloaded ").count() == 2).then_some(())
    });
    smarthost.daemon().stop();
    write(&file, MEANT);
    let check = smarthost.admin(&["check"]);
    assert!(!said(&check).contains(EMPTY), "{}", said(&check));
}

#[test]
fn an_agent_whose_file_is_emptied_goes_on_with_its_last_good_one() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&sink.nexthop(), ""));
    machine.send(&["b@example.net"], "Subject: one\n\ntext\n");
    sink.journal().wait_for(1);
    machine.daemon().stop();
    let right = std::fs::read_to_string(machine.config()).unwrap();
    write(&machine.config(), "");
    machine.run();
    machine.daemon().wait_for_log(LAST_GOOD);
    machine.send(&["b@example.net"], "Subject: two\n\ntext\n");
    sink.journal().wait_for(2);
    let check = machine.admin(&["check"]);
    assert_ne!(check.status.code(), Some(0));
    assert!(said(&check).contains(EMPTY), "{}", said(&check));
    write(&machine.config(), &right);
    machine.daemon().wait_for_log("starting anew");
    // Whoever does as he is told has ended it, however many copies there are.
    machine.daemon().stop();
    write(&machine.config(), MEANT);
    let check = machine.admin(&["check"]);
    assert!(!said(&check).contains(EMPTY), "{}", said(&check));
}

/// Whoever mends one mistake and makes another one sees that one.
#[test]
fn a_file_that_is_wrong_in_another_way_by_now_is_told_so_by_status_and_log() {
    let sink = Sink::start();
    let relayhost = format!("relayhost = \"{}\"\n", sink.nexthop());
    for queues_only in [true, false] {
        let mut smarthost = Smarthost::prepare(&relayhost);
        let mut machine = Agent::prepare(&config(&sink.nexthop(), ""));
        if !queues_only {
            smarthost.run();
            machine.run();
            smarthost.daemon().stop();
            machine.daemon().stop();
        }
        smarthost.configure("relayhots = 1");
        machine.configure("relayhots = 1");
        smarthost.run();
        machine.run();
        let all = |smarthost: &Smarthost, machine: &Agent| {
            let shown = [smarthost.admin(&["status"]), machine.admin(&["status"])];
            shown.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        for (mistake, other) in [("relayhots", "message_sise"), ("message_sise", "spol")] {
            for status in all(&smarthost, &machine) {
                assert!(status.contains(mistake), "{status}");
            }
            smarthost.configure(&format!("{other} = 1"));
            machine.configure(&format!("{other} = 1"));
            tests::wait::until("both tell the other mistake", || {
                let told = |it: &String| it.contains(other) && !it.contains(mistake);
                let statuses = all(&smarthost, &machine);
                statuses.iter().all(told).then_some(())
            });
            smarthost.daemon().wait_for_log(other);
            machine.daemon().wait_for_log(other);
        }
    }
}
