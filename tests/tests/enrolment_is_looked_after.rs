//! What is known of machines by their keys, when its file is gone or wrong, and what a check finds.

use std::{fs, path::PathBuf};

use tests::{
    enrolment::{
        NOTE, enrolled, key_file, line_with, listed, machine, pin, relay, relay_config, words,
    },
    identity::write,
    login::password,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

fn file(relay: &Smarthost) -> PathBuf {
    relay.directory().join("state/enrolled")
}

#[test]
fn the_file_of_machines_that_is_removed_is_written_anew_and_told_and_nobody_is_a_stranger() {
    let (sink, admin) = (Sink::start(), Sink::start());
    let mut relay = relay(
        &sink,
        &format!(
            "admins = [\"admin@here.example\"]\nroutes = {{ \"here.example\" = \"{}\" }}\n",
            admin.nexthop()
        ),
    );
    let machine = machine(&relay, "vm7");
    let whole = fs::read(file(&relay)).unwrap();
    let status = |relay: &Smarthost| words(&relay.admin(&["status"]));
    fs::remove_file(file(&relay)).unwrap();
    until("the running daemon tells it", || {
        status(&relay).contains("enrolled was gone").then_some(())
    });
    relay
        .daemon()
        .wait_for_log("enrolled was gone: it is written again");
    assert_eq!(fs::read(file(&relay)).unwrap(), whole);
    machine.send(&["b@example.net"], NOTE);
    sink.journal().wait_for(1);

    relay.kill();
    fs::remove_file(file(&relay)).unwrap();
    relay.run();
    let mail = admin.journal().wait_for(1)[0].text();
    assert!(mail.contains("enrolled was gone"), "{mail}");
    assert_eq!(enrolled(&relay)["key"], pin(&key_file(&machine)));
    machine.send(&["c@example.net"], NOTE);
    sink.journal().wait_for(2);
    assert_eq!(fs::read(file(&relay)).unwrap(), whole);
}

#[test]
fn a_misspelt_file_of_machines_is_never_written_over_and_taken_when_it_is_mended() {
    let sink = Sink::start();
    let mut relay = relay(&sink, "");
    let machine = machine(&relay, "vm7");
    let whole = fs::read_to_string(file(&relay)).unwrap();
    let misspelt = whole.replace("\"machines\"", "\"machine\"");
    relay.kill();
    write(&file(&relay), &misspelt);
    relay.run();
    let status = words(&relay.admin(&["status"]));
    assert!(status.contains("unknown field `machine`"), "{status}");
    let output = relay.admin(&["enroll", "revoke", "vm7"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let output = relay.admin(&["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = words(&output);
    assert!(told.contains("FAIL  enrolment"), "{told}");
    machine.send(&["b@example.net"], NOTE);
    sink.journal().wait_for(1);
    assert_eq!(fs::read_to_string(file(&relay)).unwrap(), misspelt);
    write(&file(&relay), &whole);
    until("the mended file is taken", || {
        let output = relay.admin(&["enroll", "revoke", "vm7"]);
        output.status.success().then_some(())
    });
    assert_eq!(listed(&relay)[0]["state"], "revoked");
}

#[test]
fn a_check_tells_what_keeps_machines_out_or_counts_two_as_one() {
    let sink = Sink::start();
    let relay = Smarthost::prepare(&relay_config(&sink, "auth = { users = \"users\" }\n"));
    password(&relay, "printer");
    let mut relay = relay;
    relay.run();
    let refused = relay.admin(&["enroll", "printer"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        words(&refused).contains("printer is a login"),
        "{refused:?}"
    );
    let machine = machine(&relay, "vm7");
    line_with(&relay, "vm8", &["--expires", "1s"]);
    until_true("it has expired", || listed(&relay)[1]["state"] == "expired");
    let check = || {
        let output = relay.admin(&["check"]);
        words(&output)
    };
    let told = check();
    assert!(
        told.contains("ok    enrolment     1 machine known by a key"),
        "{told}"
    );
    assert!(told.contains("lines that expired unused: vm8"), "{told}");

    let clear = free_address();
    relay.configure(&relay_config(
        &sink,
        &format!("listen = [{{ address = \"{clear}\", tls = \"none\" }}]\n"),
    ));
    let told = check();
    assert!(told.contains("no port accepts their keys"), "{told}");

    let key = pin(&key_file(&machine));
    relay.configure(&relay_config(
        &sink,
        &format!("auth = {{ users = \"users\" }}\nclient_pins = {{ \"{key}\" = \"vm8\" }}\n"),
    ));
    password(&relay, "vm7");
    let told = check();
    for what in [
        "vm7 is the name of a machine that is enrolled, or is to be, and also a login",
        "vm8 is the name of a machine that is enrolled, or is to be, and also the name of a key in client_pins",
        "the key of the enrolled machine vm7 is in client_pins, too: it is known as vm8",
    ] {
        assert!(told.contains(what), "{what}: {told}");
    }
    let reloaded = relay.admin(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    until("the daemon tells it", || {
        let status = words(&relay.admin(&["status"]));
        status
            .contains("vm7 is the name of a machine that is enrolled")
            .then_some(())
    });
}
