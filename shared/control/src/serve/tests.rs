use std::{
    io::{BufReader, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
};

use super::*;
use crate::{MAX_LINE, ask};

/// Serves one asker in a thread: counts down from the number it is asked for.
fn daemon() -> (
    tempfile::TempDir,
    std::path::PathBuf,
    thread::JoinHandle<io::Result<()>>,
) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let served = thread::spawn(move || {
        serve_one(&listener.accept().unwrap().0, |from: u32, asker, tell| {
            (0..from).rev().try_for_each(|n| tell(&(n, asker.uid)))
        })
    });
    (directory, path, served)
}

#[test]
fn each_line_of_an_answer_arrives_and_the_daemon_knows_who_asks() {
    let (_directory, path, served) = daemon();
    let mut answers: Vec<(u32, u32)> = Vec::new();
    ask(&path, &3u32, &mut |answer| answers.push(answer)).unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(answers, [(2, uid), (1, uid), (0, uid)]);
    served.join().unwrap().unwrap();
}

#[test]
fn nonsense_cut_lines_and_endless_lines_are_refused() {
    for (bytes, kind) in [
        (b"{\"x\":\n".to_vec(), io::ErrorKind::InvalidData),
        (b"12".to_vec(), io::ErrorKind::UnexpectedEof),
        (Vec::new(), io::ErrorKind::UnexpectedEof),
        (vec![b'1'; MAX_LINE + 10], io::ErrorKind::InvalidData),
    ] {
        let (_directory, path, served) = daemon();
        let mut stream = UnixStream::connect(&path).unwrap();
        // The daemon may have closed already.
        let _ = stream.write_all(&bytes);
        drop(stream);
        assert_eq!(served.join().unwrap().unwrap_err().kind(), kind);
    }
}

#[test]
fn a_daemon_that_does_not_run_is_named() {
    let error = ask(
        Path::new("/nonexistent/control.sock"),
        &1u32,
        &mut |(): ()| {},
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/control.sock")
            && error.to_string().contains("is the daemon running?"),
        "{error}"
    );
}

#[test]
fn an_answer_that_does_not_come_to_its_end_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let served = thread::spawn(move || {
        for answered in ["", "3\n", "3\n2\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            let request = crate::read_line(&mut BufReader::new(&stream)).unwrap();
            assert_eq!(request, Some(b"4".to_vec()));
            stream.write_all(answered.as_bytes()).unwrap();
        }
    });
    for _ in 0..3 {
        let error = ask(&path, &4u32, &mut |_: u32| {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("ended before"), "{error}");
    }
    served.join().unwrap();
}

#[test]
fn what_was_ordered_is_not_done_for_who_has_gone_before_it_was_begun() {
    for shut in [Shutdown::Both, Shutdown::Read] {
        let (daemon, mut asker) = UnixStream::pair().unwrap();
        asker.write_all(b"1\n").unwrap();
        asker.shutdown(shut).unwrap();
        let served = serve_one(
            &daemon,
            |_: u32, _, _: &mut dyn FnMut(&u32) -> io::Result<()>| panic!("nobody waits for it"),
        );
        assert_eq!(served.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
    let (daemon, mut asker) = UnixStream::pair().unwrap();
    asker.write_all(b"1\n").unwrap();
    let served = serve_one(&daemon, |_: u32, _, say| {
        drop(asker);
        say(&"working")
    });
    assert_eq!(served.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn whether_an_order_had_begun_is_known_when_nobody_waits_for_it_any_more() {
    for begun in [false, true] {
        let (mut daemon, stream) = UnixStream::pair().unwrap();
        if begun {
            daemon.write_all(crate::GOES_ON).unwrap();
        }
        let mut asker = crate::Awaited {
            stream,
            socket: Path::new("x"),
            heard: false,
        };
        assert_eq!(asker.gives_up(), begun);
        // From there on it cannot begin.
        assert!(daemon.write_all(crate::GOES_ON).is_err());
    }
}
