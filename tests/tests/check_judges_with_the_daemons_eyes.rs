//! `smarthost check` as root sees what the daemon's user could not use; asked by a stranger, it
//! says that it sees with his eyes, and gives him nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Output,
};

use tests::{
    agent::{as_user, pipe},
    binaries::{binaries, copy_program},
    identity::Identity,
    installation::hermetic,
    peers,
    smarthost::Smarthost,
};

const HERMETIC: &str = "aliases = [\"aliases\"]\nadmins = \"a@example.net\"\n";

fn said(output: &Output) -> (Option<i32>, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A smarthost whose daemon is nobody's, in a directory that everybody may enter; `None`: it cannot
/// be tried here.
fn of_nobody(more: &str) -> Option<Smarthost> {
    if !peers::root() || peers::find("setpriv").is_none() {
        return None;
    }
    let smarthost = Smarthost::prepare(&format!("{HERMETIC}{more}"));
    let directory = smarthost.directory();
    mode(directory, 0o755);
    smarthost.file("aliases", "root: a@example.net\n");
    for name in ["aliases", "machine.aliases", "config.toml"] {
        mode(&directory.join(name), 0o644);
    }
    for name in ["state", "spool"] {
        fs::create_dir(directory.join(name)).unwrap();
        chown(directory.join(name), Some(65534), Some(65534)).unwrap();
        mode(&directory.join(name), 0o700);
    }
    Some(smarthost)
}

/// What it says of something, with what is advised below it.
fn line(said: &str, subject: &str, what: &str) -> String {
    let lines: Vec<_> = said.lines().collect();
    let begins = format!("FAIL  {subject}");
    let at = lines
        .iter()
        .position(|line| line.starts_with(&begins) && line.contains(what));
    assert!(at.is_some(), "{subject}: {what}: {said}");
    let at = at.unwrap();
    let rest = lines[at + 1..].iter();
    let advice = rest.take_while(|line| line.starts_with(' ') || line.contains(" | "));
    let told = std::iter::once(&lines[at]).chain(advice).copied();
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn directories_in_which_the_daemons_user_could_make_no_socket_or_start_no_program_are_told() {
    let Some(smarthost) = of_nobody(
        "control = \"run/control.sock\"\nweb = \"unix:page/web.sock\"\n\
         [transports.list]\ntype = \"pipe\"\ncommand = [\"/bin/cat\"]\ndirectory = \"lists\"\n",
    ) else {
        return;
    };
    let directory = smarthost.directory();
    for name in ["run", "page", "lists"] {
        fs::create_dir(directory.join(name)).unwrap();
        mode(&directory.join(name), 0o700);
    }
    let (code, told) = said(&smarthost.admin(&["check"]));
    assert_eq!(code, Some(1), "{told}");
    for (subject, name) in [("control", "run"), ("web", "page"), ("transports", "lists")] {
        let path = directory.join(name);
        line(&told, subject, &path.display().to_string());
        chown(&path, Some(65534), Some(65534)).unwrap();
    }
    let (_, told) = said(&smarthost.admin(&["check"]));
    assert!(!told.contains("FAIL"), "given to its user: {told}");
}

#[test]
fn tables_and_keys_that_root_keeps_for_itself_are_told_with_what_lets_the_daemon_read_them() {
    let Some(smarthost) = of_nobody(
        "virtual = [\"virtual\"]\ndkim = [{ domain = \"a.example\", selector = \"s\", key = \"dkim.key\" }]\n",
    ) else {
        return;
    };
    let directory = smarthost.directory();
    smarthost.file("virtual", "x@a.example a@example.net\n");
    Identity::new("a.example").write(directory, "dkim");
    for name in ["aliases", "virtual", "dkim.key"] {
        mode(&directory.join(name), 0o600);
    }
    let (code, told) = said(&smarthost.admin(&["check"]));
    assert_eq!(code, Some(1), "{told}");
    for name in ["aliases", "virtual", "dkim.key"] {
        let path = directory.join(name).display().to_string();
        let advice = format!("-> nobody may not read {path}: chgrp ");
        assert!(told.contains(&advice), "{advice}: {told}");
        assert!(!told.contains("deploy hook"), "{told}");
        chown(directory.join(name), None, Some(65534)).unwrap();
        mode(&directory.join(name), 0o640);
    }
    let (_, told) = said(&smarthost.admin(&["check"]));
    assert!(!told.contains("may not read"), "as advised: {told}");
}

#[test]
fn a_stranger_is_told_that_check_sees_with_his_eyes_and_is_given_nothing() {
    const STRANGER: &str = "1234";
    let Some(smarthost) = of_nobody("control = \"run/control.sock\"\n") else {
        return;
    };
    let directory = smarthost.directory();
    fs::create_dir(directory.join("run")).unwrap();
    mode(&directory.join("aliases"), 0o600);
    // Where he may run it.
    let program = directory.join("smarthost");
    copy_program(&binaries().smarthost, &program);
    mode(&program, 0o755);
    let check = || {
        let mut command = hermetic(&program);
        command.arg("--config").arg(smarthost.config()).arg("check");
        said(&pipe(&mut as_user(STRANGER, &command), b""))
    };
    let (_, told) = check();
    assert!(
        told.contains("WARN  user          user 1234 asks, and the daemon's is user 65534"),
        "{told}"
    );
    assert!(told.contains("ask as root"), "{told}");
    for advice in ["chown", "chgrp", "usermod", "1234 may"] {
        assert!(!told.contains(advice), "{advice}: {told}");
    }
    assert!(
        !told.contains("FAIL  spool") && !told.contains("FAIL  state"),
        "{told}"
    );
    // What he may see is right.
    mode(&directory.join("aliases"), 0o644);
    mode(&directory.join("state"), 0o755);
    let (code, told) = check();
    assert!(code == Some(0) && !told.contains("FAIL"), "{told}");
}
