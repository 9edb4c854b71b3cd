//! Machines that enrol themselves: with a line in a file, or in a credential of the service.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tests::{
    agent::Agent,
    enrolment::{bare, enrolled, key_file, line, listed, pin, provided, relay, words},
    identity::write,
    sink::Sink,
};

/// As cloud-init, a system credential or an image has it.
#[test]
fn a_line_in_a_file_is_used_once_and_removed() {
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = bare();
    let of_file = || machine.admin(&["enroll", "--provided"]);
    assert_eq!(of_file().status.code(), Some(0), "there is nothing to do");
    machine.file("enroll", "x\n");
    let file = machine.directory().join("enroll");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let told = words(&of_file());
    assert!(told.contains("chmod 600"), "{told}");
    mode(0o600);
    assert_eq!(of_file().status.code(), Some(2), "no line");
    machine.file("enroll", &format!("# for vm7\n{}\n", line(&relay, "vm7")));
    mode(0o600);
    let output = of_file();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!file.exists());
    assert_eq!(enrolled(&relay)["key"], pin(&key_file(&machine)));

    let credentials = machine.directory().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let other = bare();
    let with_credential = |machine: &Agent| provided(machine, &credentials);
    write(&credentials.join("enroll"), line(&relay, "vm8"));
    assert_eq!(
        with_credential(&machine).status.code(),
        Some(0),
        "it is in already"
    );
    assert!(listed(&relay).iter().any(|row| row["state"] == "open"));
    assert_eq!(with_credential(&other).status.code(), Some(0));
    // As the unit hands over root's file; without one it hands over a comment.
    let third = bare();
    let handed = credentials.join("enroll-file");
    write(&handed, "#\n");
    fs::remove_file(credentials.join("enroll")).unwrap();
    let output = with_credential(&third);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!key_file(&third).exists());
    write(&handed, format!("# vm9\n{}\n", line(&relay, "vm9")));
    for _ in 0..2 {
        let output = with_credential(&third);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    write(&handed, "enroll1,vm9,x\n");
    let output = with_credential(&third);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(words(&output).contains("the credential enroll-file: "));
    let names: Vec<_> = listed(&relay)
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["vm7", "vm8", "vm9"]);
}

/// A credential stays there, and is used until all of its lines were.
#[test]
fn lines_of_a_credential_are_used_until_each_relay_has_answered() {
    let sink = Sink::start();
    let (first, mut second) = (relay(&sink, ""), relay(&sink, ""));
    let machine = bare();
    let credentials = machine.directory().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let lines = [line(&first, "vm7"), line(&second, "vm7")].join("\n");
    write(&credentials.join("enroll"), lines);
    let code = || provided(&machine, &credentials).status.code();
    second.kill();
    assert_eq!(code(), Some(75));
    second.run();
    assert_eq!(code(), Some(0));
    assert_eq!(enrolled(&second)["key"], enrolled(&first)["key"]);
    // They are not used any more, whatever becomes of the relays.
    second.kill();
    assert_eq!(code(), Some(0));
}
