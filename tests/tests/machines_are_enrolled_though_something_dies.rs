//! `sendmail-shim enroll`, killed at each step: the same command goes on.

use std::fs;

use tests::{
    enrolment::{bare, key_file, line, listed, pin, relay, use_line},
    installation::hermetic,
    peers,
    sink::Sink,
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
