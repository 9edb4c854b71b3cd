//! The agent under systemd's eyes: it says when it takes mail, again and again that it is alive,
//! and when it ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::net::UnixDatagram;

use tests::{agent::Agent, daemon::Daemon, wait::PATIENCE};

fn heard(systemd: &UnixDatagram) -> String {
    let mut message = [0; 1024];
    let length = systemd.recv(&mut message).unwrap();
    String::from_utf8_lossy(&message[..length])
        .trim()
        .to_owned()
}

/// systemd waits for the end of what says that it ends, and kills it.
#[test]
fn an_agent_that_takes_a_mended_configuration_is_ready_again_and_never_said_that_it_ends() {
    let machine = Agent::prepare("adminn = 1\n");
    let path = machine.directory().join("notify.sock");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = machine.program("sendmail-shim");
    command.arg("agent").env("NOTIFY_SOCKET", &path);
    let mut agent = Daemon::start("agent", &mut command);
    assert_eq!(heard(&systemd), "READY=1");
    machine.configure("");
    assert_eq!(heard(&systemd), "READY=1");
    assert!(agent.stop().success());
    assert_eq!(heard(&systemd), "STOPPING=1");
}

#[test]
fn an_agent_says_that_it_is_ready_then_that_it_is_alive_until_it_ends() {
    let machine = Agent::prepare("");
    let path = machine.directory().join("notify.sock");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = machine.program("sendmail-shim");
    command
        .arg("agent")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000");
    let mut agent = Daemon::start("agent", &mut command);
    assert_eq!(heard(&systemd), "READY=1");
    for _ in 0..3 {
        assert_eq!(heard(&systemd), "WATCHDOG=1");
    }
    assert!(agent.stop().success());
    let last = std::iter::repeat_with(|| heard(&systemd)).find(|said| said != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

#[test]
fn an_agent_that_takes_a_mended_file_does_not_say_that_it_ends() {
    let machine = Agent::prepare("adminn = 1");
    let path = machine.directory().join("notify.sock");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = machine.program("sendmail-shim");
    command.arg("agent").env("NOTIFY_SOCKET", &path);
    let agent = Daemon::start("agent", &mut command);
    assert_eq!(heard(&systemd), "READY=1");
    machine.configure("");
    assert_eq!(heard(&systemd), "READY=1");
    drop(agent);
}
