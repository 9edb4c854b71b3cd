//! `cargo demo`: its story is told by what really happened.

use tests::{
    binaries::{Binaries, binaries},
    demo,
};

#[test]
fn the_demonstration_shows_each_hop_and_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let result = demo::run(directory.path(), binaries(), &mut told);
    let told = String::from_utf8_lossy(&told);
    assert!(result.is_ok(), "{told}\n{result:?}");
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
    let missing = directory.path().join("sendmail");
    let programs = Binaries {
        sendmail: missing.clone(),
        ..binaries().clone()
    };
    let error = demo::run(directory.path(), &programs, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} is not there", missing.display())
    );
}
