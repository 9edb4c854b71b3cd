//! Enrolment, with either side killed at each step: the same command goes on.

use std::{fs, path::Path};

use serde_json::Value;
use tests::{
    daemon::Daemon,
    enrolment::{bare, key_file, line, listed, pin, relay, use_line},
    installation::hermetic,
    peers,
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

/// The machine's side dies at each of its calls that matter, then the same command goes on.
#[test]
fn wherever_the_command_is_killed_the_same_command_goes_on_with_one_key() {
    let Some(strace) = peers::find("strace") else {
        return;
    };
    let sink = Sink::start();
    let relay = relay(&sink, "");
    let machine = bare();
    let (mut killed, mut lines) = (0, 0);
    for calls in [
        "fsync",
        "rename",
        "connect",
        "sendto,write",
        "recvfrom,read",
        "exit_group",
    ] {
        for number in (1..).step_by(if calls.contains("read") { 5 } else { 1 }) {
            let spool = machine.directory().join("spool");
            for name in ["identity.pem", "identity.next.pem", "enrolled.toml"] {
                let _ = fs::remove_file(spool.join(name));
            }
            lines += 1;
            let name = format!("vm-{lines}");
            let line = line(&relay, &name);
            let inject = format!("inject={calls}:signal=KILL:when={number}");
            let mut command = hermetic(&strace);
            command.args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={calls}"),
            ]);
            command
                .args(["-e", &inject])
                .arg(machine.public("sendmail-shim").get_program());
            command
                .arg("--config")
                .arg(machine.config())
                .args(["enroll", &line]);
            let ended = command.output().unwrap();
            if ended.status.code() == Some(0) {
                break;
            }
            killed += 1;
            let output = use_line(&machine, &line);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{calls} {number}: {output:?}"
            );
            let rows = listed(&relay);
            let of_name: Vec<_> = rows.iter().filter(|row| row["name"] == *name).collect();
            assert_eq!(of_name.len(), 1, "{calls} {number}: {of_name:?}");
            assert_eq!(of_name[0]["state"], "enrolled", "{calls} {number}");
            assert_eq!(
                of_name[0]["key"],
                pin(&key_file(&machine)),
                "{calls} {number}"
            );
            assert_eq!(of_name[0]["used_twice"], 0, "{calls} {number}");
        }
    }
    assert!(killed > 10, "it was killed {killed} times");
}

/// Runs a command while the relay dies at one of its calls; whether it has died.
fn dies_at(
    strace: &Path,
    relay: &mut Smarthost,
    (call, number): (&str, u32),
    act: impl FnOnce(&Smarthost),
) -> bool {
    let pid = relay.daemon().pid().to_string();
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let trace = format!("trace={call}");
    let mut strace = hermetic(strace);
    strace.args([
        "-f",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
        "-p",
        &pid,
    ]);
    let mut strace = Daemon::start("strace", &mut strace);
    strace.wait_for_log("attached");
    act(relay);
    strace.kill();
    until("the relay answers or is dead", || {
        if relay.daemon().ended().is_some() {
            return Some(true);
        }
        let answers = relay.admin(&["status"]).status.success();
        answers.then_some(false)
    })
}

/// The relay dies at each of its calls that matter: afterwards the machine is in with the key that
/// the command has said, or not at all, and the same line lets it in.
#[test]
fn wherever_the_relay_is_killed_the_same_line_lets_the_machine_in_and_nothing_is_half() {
    let Some(strace) = peers::find("strace") else {
        return;
    };
    let sink = Sink::start();
    let mut relay = relay(&sink, "");
    let machine = bare();
    let (mut killed, mut names) = (0, 0);
    for call in ["fsync", "rename", "unlink", "sendto", "writev"] {
        for number in 1.. {
            let spool = machine.directory().join("spool");
            for name in ["identity.pem", "identity.next.pem", "enrolled.toml"] {
                let _ = fs::remove_file(spool.join(name));
            }
            names += 1;
            let name = format!("vm-{names}");
            let line = line(&relay, &name);
            let mut code = None;
            let died = dies_at(&strace, &mut relay, (call, number), |_| {
                code = use_line(&machine, &line).status.code();
            });
            if died {
                killed += 1;
                relay.run();
                let rows = rows(&relay, &name);
                let states: Vec<_> = rows.iter().map(state).collect();
                let is_in = code == Some(0) || states == ["enrolled"];
                let expected = if is_in { "enrolled" } else { "open" };
                assert_eq!(states, [expected], "{call} {number}: {code:?}");
            }
            let output = use_line(&machine, &line);
            assert_eq!(output.status.code(), Some(0), "{call} {number}: {output:?}");
            let rows = rows(&relay, &name);
            assert_eq!(rows.len(), 1, "{call} {number}: {rows:?}");
            assert_eq!(rows[0]["state"], "enrolled", "{call} {number}");
            assert_eq!(rows[0]["key"], pin(&key_file(&machine)), "{call} {number}");
            assert_eq!(rows[0]["used_twice"], 0, "{call} {number}");
            if !died {
                break;
            }
        }
    }
    assert!(killed >= 6, "it was killed {killed} times");
}

#[test]
fn wherever_the_relay_is_killed_a_machine_is_revoked_or_not_and_never_back_afterwards() {
    let Some(strace) = peers::find("strace") else {
        return;
    };
    let sink = Sink::start();
    let mut relay = relay(&sink, "");
    let machine = bare();
    let mut killed = 0;
    for call in ["fsync", "rename", "unlink"] {
        for number in 1.. {
            let output = machine.admin(&["enroll", "--new-key", &line(&relay, "vm7")]);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let revoke = |relay: &Smarthost| relay.admin(&["enroll", "revoke", "vm7"]);
            let mut was_told = false;
            let died = dies_at(&strace, &mut relay, (call, number), |relay| {
                was_told = revoke(relay).status.success();
            });
            let file = relay.directory().join("state/enrolled");
            if died {
                killed += 1;
                // The copy of it is no older.
                fs::remove_file(file).unwrap();
                relay.run();
            }
            let is_in = |relay: &Smarthost| {
                let rows = rows(relay, "vm7");
                rows.iter().any(|row| state(row) == "enrolled")
            };
            assert!(!(was_told && is_in(&relay)), "{call} {number}");
            let again = revoke(&relay);
            let told = String::from_utf8_lossy(&again.stderr).into_owned();
            let already = told.contains("has been revoked since");
            assert!(again.status.success() || already, "{call} {number}: {told}");
            assert!(!is_in(&relay), "{call} {number}");
            if !died {
                break;
            }
        }
    }
    assert!(killed >= 4, "it was killed {killed} times");
}

fn rows(relay: &Smarthost, name: &str) -> Vec<Value> {
    let rows = listed(relay).into_iter();
    rows.filter(|row| row["name"] == name).collect()
}

fn state(row: &Value) -> &str {
    row["state"].as_str().unwrap_or_default()
}
