//! `smarthost demo`: its story is told by what really happened.

use std::process::{Command, Stdio};

use tests::binaries::binaries;

#[test]
fn the_demonstration_shows_each_hop_and_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(&binaries().smarthost)
        .args(["demo", "--remove"])
        .env("TMPDIR", directory.path())
        .env_remove("CARGO")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "--remove leaves nothing");
    for part in [
        "exit status 0",
        "TLSv1.3",
        "status=sent",
        "1 of 100",
        "message 101: 450 4.7.1 Error: too much mail from 127.0.0.2",
        "messages 1 to 101: 250",
        "the peer's key is not pinned",
        "backup: 3 files copied, 0 errors",
    ] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

#[test]
fn a_demonstration_that_cannot_happen_fails_and_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let lonely = directory.path().join("smarthost");
    std::fs::copy(&binaries().smarthost, &lonely).unwrap();
    let output = Command::new(&lonely)
        .args(["demo", "--remove"])
        .env("TMPDIR", directory.path())
        .env_remove("CARGO")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("install sendmail-shim beside smarthost"),
        "{error}"
    );
}
