//! Programs in the sandboxes that systemd makes for its services: without new privileges, without
//! network, with users and mounts of their own, without an entry in passwd. Each is delivered, or
//! told why not.

use std::process::Command;

use tests::{
    agent::{Agent, pipe},
    sink::Sink,
};

/// What systemd makes of `RestrictAddressFamilies=AF_UNIX`: `socket()` knows no other family. Then
/// the program.
const UNIX_ONLY: &str = r#"
import ctypes, os, platform, struct, sys
arch, number = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}[platform.machine()]
LOAD, EQUAL, RETURN, ALLOW, ERRNO = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
filter = b"".join(struct.pack("HBBI", *step) for step in [
    (LOAD, 0, 0, 4), (EQUAL, 0, 4, arch),
    (LOAD, 0, 0, 0), (EQUAL, 0, 2, number),
    (LOAD, 0, 0, 16), (EQUAL, 0, 1, 1),
    (RETURN, 0, 0, ALLOW),
    (RETURN, 0, 0, ERRNO | 97),
])
code = ctypes.create_string_buffer(filter)
program = struct.pack("HP", len(filter) // 8, ctypes.addressof(code))
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
address = ctypes.create_string_buffer(program)
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, ctypes.addressof(address), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
"#;

/// The prefix of a command, as `NoNewPrivileges=`, `PrivateNetwork=`, `PrivateUsers=`,
/// `ProtectSystem=strict`, `RestrictAddressFamilies=` and `DynamicUser=` would run it.
const SANDBOXES: [(&str, &[&str]); 6] = [
    ("without new privileges", &["setpriv", "--no-new-privs"]),
    (
        "without network",
        &["unshare", "--user", "--map-root-user", "--net"],
    ),
    ("with users of its own", &["unshare", "--user"]),
    (
        "with no sockets but unix sockets",
        &["/usr/bin/python3", "-c", UNIX_ONLY],
    ),
    (
        "with a file system that cannot be written",
        &[
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            "mount --bind / / 2>/dev/null; mount -o remount,bind,ro / && exec \"$0\" \"$@\"",
        ],
    ),
    (
        "as a user that passwd does not know",
        &["setpriv", "--reuid", "61234", "--clear-groups"],
    ),
];

fn sandboxed(machine: &Agent, prefix: &[&str], recipient: &str) -> std::process::Output {
    let sendmail = machine.program("sendmail").get_program().to_owned();
    let mut command = Command::new(prefix[0]);
    command
        .args(&prefix[1..])
        .arg(sendmail)
        .arg(recipient)
        .env("SENDMAIL_SHIM_CONFIG", machine.config());
    pipe(&mut command, b"Subject: from a sandbox\n\ntext\n")
}

/// Whether this machine lets us make such a sandbox.
fn possible(prefix: &[&str]) -> bool {
    let mut command = Command::new(prefix[0]);
    let made = command.args(&prefix[1..]).arg("/bin/true").output();
    made.is_ok_and(|output| output.status.success())
}

#[test]
fn mail_from_every_sandbox_is_delivered_and_without_agent_the_status_is_75_with_the_cause() {
    let sink = Sink::start();
    let mut machine = Agent::start(&format!(
        "relayhost = {:?}\ndomain = \"example.org\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    machine.open_to_all();
    let made: Vec<_> = SANDBOXES
        .into_iter()
        .filter(|(_, prefix)| possible(prefix))
        .collect();
    assert!(!made.is_empty(), "setpriv needs no privileges");
    for (name, prefix) in &made {
        let output = sandboxed(&machine, prefix, "ops@example.net");
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
    }
    sink.journal().wait_for(made.len());

    machine.kill();
    drop(sink);
    // Each waits a while for an agent: all at once.
    std::thread::scope(|scope| {
        for &(name, prefix) in &made {
            let machine = &machine;
            scope.spawn(move || {
                let output = sandboxed(machine, prefix, "ops@example.net");
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(75), "{name}: {told}");
                assert!(told.contains("submit.sock"), "{name}: {told}");
            });
        }
    });
}
