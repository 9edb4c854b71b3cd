//! What the end of a program means for its recipients. Pure.
//!
//! | end | means |
//! |---|---|
//! | 0 | delivered, whatever it said |
//! | another status, and the output begins with `4.x.x` or `5.x.x` | that |
//! | 64 to 78 (`sysexits.h`) | bounced, but for 71 and 75, which wait |
//! | another status, a signal, the time is over, it could not be started | waits: a crash is no refusal |
//!
//! Postfix bounces where a status is not known, on a signal of its own, and when the time is over;
//! here what is not known is temporary. pipe(8), DIAGNOSTICS.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

use mail::{outcome::Failure, status::EnhancedStatus};

use system::program::{End, Ended};

/// Status, class, subject and detail, words.
#[rustfmt::skip]
const KNOWN: [(i32, [u16; 3], &str); 15] = [
    (64, [5, 3, 0], "command line usage error"),
    (65, [5, 6, 0], "data format error"),
    (66, [5, 3, 0], "cannot open input"),
    (67, [5, 1, 1], "user unknown"),
    (68, [5, 1, 2], "host name unknown"),
    (69, [5, 3, 0], "service unavailable"),
    (70, [5, 3, 0], "internal software error"),
    (71, [4, 3, 0], "system resource problem"),
    (72, [5, 3, 0], "critical OS file missing"),
    (73, [5, 2, 0], "can't create user output file"),
    (74, [5, 3, 0], "input/output error"),
    (75, [4, 3, 0], "temporary failure"),
    (76, [5, 5, 0], "remote error in protocol"),
    (77, [5, 7, 0], "permission denied"),
    (78, [5, 3, 5], "local configuration error"),
];

/// What the program did not do; `None`: it has taken the message.
pub(super) fn failure(program: &str, ended: &Ended) -> Option<Failure> {
    let waits = EnhancedStatus::new(4, 3, 0);
    let (status, what) = match &ended.end {
        End::Exited(status) if status.success() => return None,
        End::Exited(status) => of_status(program, *status, &ended.output),
        End::Stopped => (
            waits,
            format!(
                "interrupted: this program was stopped before the command was done; it is run \
                 again at the next start: {program:?}"
            ),
        ),
        End::TimedOut => (waits, format!("Command time limit exceeded: {program:?}")),
        End::Failed(error) => {
            let what = format!("cannot run {program}: {error}");
            return Some(Failure::local(EnhancedStatus::new(4, 3, 5), &what));
        }
    };
    let (_, said) = split(&ended.output);
    let text = match (what.is_empty(), said.is_empty()) {
        (_, true) => what,
        (true, false) => said,
        (false, false) => format!("{what}. Command output: {said}"),
    };
    Some(Failure::local(status, &text))
}

/// The status, and what is said of it; nothing where the program says it itself.
fn of_status(program: &str, status: ExitStatus, output: &[u8]) -> (EnhancedStatus, String) {
    let waits = EnhancedStatus::new(4, 3, 0);
    let Some(code) = status.code() else {
        let signal = status.signal().unwrap_or_default();
        return (
            waits,
            format!("Command died with signal {signal}: {program:?}"),
        );
    };
    let known = KNOWN.iter().find(|(known, ..)| *known == code);
    if let (Some(said), text) = split(output) {
        if !text.is_empty() {
            return (said, String::new());
        }
        let died = || format!("Command died with status {code}: {program:?}");
        return (
            said,
            known.map_or_else(died, |(.., words)| (*words).to_owned()),
        );
    }
    match known {
        Some((_, [class, subject, detail], words)) => {
            let class = u8::try_from(*class).unwrap_or(4);
            (
                EnhancedStatus::new(class, *subject, *detail),
                (*words).to_owned(),
            )
        }
        None => (
            waits,
            format!("Command died with status {code}: {program:?}"),
        ),
    }
}

/// A status that the program says first, and the rest of what it says, in one line.
fn split(output: &[u8]) -> (Option<EnhancedStatus>, String) {
    let text = String::from_utf8_lossy(output);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = |words: &[&str]| words.join(" ");
    let first = words.split_first();
    let status = first.and_then(|(first, _)| EnhancedStatus::parse(first));
    match (status.filter(|status| status.class() != 2), first) {
        (Some(status), Some((_, rest))) => (Some(status), line(rest)),
        _ => (None, line(&words)),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn told(raw: i32, output: &[u8]) -> String {
        let ended = Ended {
            end: End::Exited(ExitStatus::from_raw(raw)),
            output: output.to_vec(),
            errors: Vec::new(),
        };
        let failure = failure("/usr/bin/prog", &ended);
        failure.map_or_else(
            || "sent".to_owned(),
            |failure| format!("{} {}", failure.status, failure.text),
        )
    }

    #[test]
    fn the_status_of_a_program_bounces_or_waits_as_sysexits_say_and_a_crash_waits() {
        for (code, expected) in [
            (0, "sent"),
            (64, "5.3.0 command line usage error"),
            (65, "5.6.0 data format error"),
            (67, "5.1.1 user unknown"),
            (69, "5.3.0 service unavailable"),
            (71, "4.3.0 system resource problem"),
            (73, "5.2.0 can't create user output file"),
            (75, "4.3.0 temporary failure"),
            (77, "5.7.0 permission denied"),
            (78, "5.3.5 local configuration error"),
            (1, "4.3.0 Command died with status 1: \"/usr/bin/prog\""),
            (63, "4.3.0 Command died with status 63: \"/usr/bin/prog\""),
            (79, "4.3.0 Command died with status 79: \"/usr/bin/prog\""),
            (127, "4.3.0 Command died with status 127: \"/usr/bin/prog\""),
            (255, "4.3.0 Command died with status 255: \"/usr/bin/prog\""),
        ] {
            assert_eq!(told(code << 8, b""), expected, "exit {code}");
        }
        assert_eq!(
            told(9, b"5.1.1 gone"),
            "4.3.0 Command died with signal 9: \"/usr/bin/prog\". Command output: gone"
        );
        let late = Ended {
            end: End::TimedOut,
            output: b"5.1.1 no".to_vec(),
            errors: Vec::new(),
        };
        assert_eq!(failure("/p", &late).unwrap().status.class(), 4);
        let missing = Ended {
            end: End::Failed(io::ErrorKind::NotFound.into()),
            output: Vec::new(),
            errors: Vec::new(),
        };
        let missing = failure("/p", &missing).unwrap();
        assert_eq!(missing.status.to_string(), "4.3.5");
    }

    #[test]
    fn a_status_that_the_program_says_first_counts_more_than_its_own() {
        for (code, output, expected) in [
            (69, &b"4.2.0 mailbox busy"[..], "4.2.0 mailbox busy"),
            (75, b"5.1.1 no such list\n", "5.1.1 no such list"),
            (1, b"\n 5.7.1 not\nfor you", "5.7.1 not for you"),
            (
                67,
                b"prog: server said 550 5.1.1 no",
                "5.1.1 user unknown. Command output: prog: server said 550 5.1.1 no",
            ),
            (0, b"5.1.1 x", "sent"),
            (
                67,
                b"2.0.0 fine",
                "5.1.1 user unknown. Command output: 2.0.0 fine",
            ),
            (67, b"5.1 x", "5.1.1 user unknown. Command output: 5.1 x"),
            (75, b"5.1.1", "5.1.1 temporary failure"),
            (
                1,
                b"5.1.1",
                "5.1.1 Command died with status 1: \"/usr/bin/prog\"",
            ),
            (
                2,
                b"WANTED gid 38, GOT gid 65534",
                "4.3.0 Command died with status 2: \"/usr/bin/prog\". Command output: WANTED gid 38, GOT gid 65534",
            ),
        ] {
            assert_eq!(told(code << 8, output), expected);
        }
        let noise = told(
            75 << 8,
            &[b"x\0\x1b[2J".repeat(900), vec![0xff; 9]].concat(),
        );
        assert!(noise.len() < 600 && noise.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}
