//! Machines with several relays: one key that all of them know, and what follows where one of them
//! does not answer, or knows it no more.

use serde_json::Value;
use tests::{
    agent::Agent,
    enrolment::{NOTE, bare, enrolled, key_file, line, listed, pin, relay, use_line, words},
    sink::Sink,
    wait::until_true,
};

/// A note goes.
fn goes(machine: &Agent, sink: &Sink, to: &str) {
    machine.send(&[to], NOTE);
    let journal = sink.journal();
    until_true("it goes", || journal.times_asked_for(to) > 0);
}

#[test]
fn a_key_is_rolled_over_without_a_gap_and_again_where_that_was_cut_short() {
    let sink = Sink::start();
    let mut first = relay(&sink, "");
    let mut second = relay(&sink, "");
    let machine = bare();
    let lines = [line(&first, "vm7"), line(&second, "vm7")];
    let output = machine.admin(&["enroll", &lines[0], &lines[1]]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let old = pin(&key_file(&machine));
    second.kill();
    for _ in 0..2 {
        let output = machine.admin(&["enroll", "--roll"]);
        assert_eq!(output.status.code(), Some(75), "{output:?}");
    }
    let next = enrolled(&first)["next_key"].clone();
    assert_eq!(
        (pin(&key_file(&machine)), next.is_string()),
        (old.clone(), true)
    );
    goes(&machine, &sink, "b@example.net");
    first.kill();
    first.run();
    second.run();
    let output = machine.admin(&["enroll", "--roll"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        pin(&key_file(&machine)),
        next,
        "the one that was told at first"
    );
    goes(&machine, &sink, "c@example.net");
    assert_eq!(enrolled(&first)["key"], next);
    assert_eq!(enrolled(&second)["next_key"], next);
    first.kill();
    goes(&machine, &sink, "d@example.net");
    assert_eq!(enrolled(&second)["key"], next);
    let old_row = |row: &Value| row["key"] == old.as_str() && row["state"] == "replaced";
    assert!(listed(&second).iter().any(old_row));
}

#[test]
fn of_two_relays_the_one_that_answers_is_used_and_the_same_command_goes_on_with_the_other() {
    let sink = Sink::start();
    let (first, mut second) = (relay(&sink, ""), relay(&sink, ""));
    let machine = bare();
    let lines = [line(&first, "vm7"), line(&second, "vm7")];
    second.kill();
    let both = || machine.admin(&["enroll", &lines[1], &lines[0]]);
    let output = both();
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let told = words(&output);
    for what in [
        "vm7 is enrolled at",
        "the other relays are used; run the same command again to go on",
    ] {
        assert!(told.contains(what), "{what}: {told}");
    }
    let key = pin(&key_file(&machine));
    goes(&machine, &sink, "b@example.net");
    second.run();
    let output = both();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for relay in [&first, &second] {
        let row = enrolled(relay);
        assert_eq!(
            (&row["key"], &row["used_twice"]),
            (&key.as_str().into(), &0.into())
        );
    }
    assert_eq!(pin(&key_file(&machine)), key);
}

#[test]
fn a_new_key_for_one_relay_is_told_to_the_others_under_the_old_one() {
    let sink = Sink::start();
    let (mut first, second) = (relay(&sink, ""), relay(&sink, ""));
    let machine = bare();
    let lines = [line(&first, "vm7"), line(&second, "vm7")];
    let output = machine.admin(&["enroll", &lines[0], &lines[1]]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let revoked = first.admin(&["enroll", "revoke", "vm7"]);
    assert!(revoked.status.success(), "{revoked:?}");
    let again = line(&first, "vm7");
    let output = machine.admin(&["enroll", "--new-key", &again]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let key = pin(&key_file(&machine));
    assert_eq!(enrolled(&first)["key"], key);
    assert_eq!(enrolled(&second)["next_key"], key);
    first.kill();
    goes(&machine, &sink, "b@example.net");
    assert_eq!(enrolled(&second)["key"], key);
    first.run();
    let output = machine.admin(&["enroll", "--roll"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Both know the old key until the new one is used, so that nothing waits for the one that is down.
#[test]
fn a_new_key_for_two_relays_of_which_one_is_down_leaves_no_mail_waiting() {
    let sink = Sink::start();
    let (mut first, mut second) = (relay(&sink, ""), relay(&sink, ""));
    let machine = bare();
    let lines = || [line(&first, "vm7"), line(&second, "vm7")];
    let new_key = |[one, two]: &[String; 2]| {
        let output = machine.admin(&["enroll", "--new-key", one, two]);
        (output.status.code(), words(&output))
    };
    let (code, told) = new_key(&lines());
    assert_eq!(code, Some(0), "{told}");
    let anew = lines();
    second.kill();
    let (code, told) = new_key(&anew);
    assert_eq!(code, Some(75), "{told}");
    assert!(told.contains("the other relays are used"), "{told}");
    goes(&machine, &sink, "b@example.net");
    let key = pin(&key_file(&machine));
    second.run();
    let (code, told) = new_key(&anew);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(pin(&key_file(&machine)), key);
    first.kill();
    goes(&machine, &sink, "c@example.net");
    assert_eq!(enrolled(&second)["key"], key);
}

#[test]
fn a_relay_that_knows_the_machine_no_more_does_not_keep_the_others_from_another_key() {
    let sink = Sink::start();
    let (first, second) = (relay(&sink, ""), relay(&sink, ""));
    let machine = bare();
    let lines = [line(&first, "vm7"), line(&second, "vm7")];
    let output = machine.admin(&["enroll", &lines[0], &lines[1]]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for (order, left) in [("revoke", 1), ("forget", 0)] {
        let output = second.admin(&["enroll", order, "vm7"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(listed(&second).len(), left);
        let output = machine.admin(&["enroll", "--roll"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told = words(&output);
        let relay = second.address().to_string();
        assert!(
            told.contains(&format!("{relay} does not know the new key")),
            "{told}"
        );
        let key = pin(&key_file(&machine));
        assert!(
            told.contains(&format!("the key is {key} from now on")),
            "{told}"
        );
        goes(&machine, &sink, &format!("{order}@example.net"));
        let row = enrolled(&first);
        assert!(row["key"] == key || row["next_key"] == key, "{row}");
    }
    let output = first.admin(&["enroll", "forget", "vm7"]);
    assert!(output.status.success(), "{output:?}");
    let key = pin(&key_file(&machine));
    let output = machine.admin(&["enroll", "--roll"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(words(&output).contains("no relay knows this machine"));
    assert_eq!(pin(&key_file(&machine)), key);
    assert_eq!(
        use_line(&machine, &line(&first, "vm7")).status.code(),
        Some(0)
    );
    goes(&machine, &sink, "again@example.net");
}
