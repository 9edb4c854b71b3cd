//! What is left of a run outside of its process group, as `/proc` shows it.
//!
//! Contract: whoever carries the mark of the run in his environment is ended, and nobody else. A
//! process in the middle of its exec shows no environment and is waited for.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that marks all processes of a run.
pub(super) const MARK: &str = "MAIL_RUN";
/// How long it is looked for processes that left the group: one that starts others all the time
/// may be a step ahead.
const SWEEP: Duration = Duration::from_secs(2);
/// Looks that must find none: a process that was born during the first may not have been listed.
const LOOKS: usize = 2;

/// Ends whoever left the process group: it still carries the mark in its environment.
pub(super) fn sweep(mark: &str) {
    let mark = format!("{MARK}={mark}");
    let began = Instant::now();
    let mut looks = 0;
    while looks < LOOKS && began.elapsed() < SWEEP {
        let (marked, unclear) = look(mark.as_bytes());
        looks = if marked.is_empty() && !unclear {
            looks + 1
        } else {
            0
        };
        for pid in marked {
            let _ = kill_process(pid, Signal::KILL);
        }
        if unclear {
            thread::yield_now();
        }
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
}

/// Its children, theirs, and so on, whatever became of their groups and environments.
pub(super) fn descendants(pid: Pid) -> Vec<Pid> {
    let parent = |number: &i32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        // The name before it can hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let all: Vec<(i32, i32)> = processes()
        .filter_map(|number| Some((number, parent(&number)?)))
        .collect();
    let mut found = vec![pid.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(of) = found.get(next).copied() {
        next += 1;
        let children = all.iter().filter(|(_, parent)| *parent == of);
        let new: Vec<i32> = children.map(|(number, _)| *number).collect();
        found.extend(new);
    }
    found
        .into_iter()
        .skip(1)
        .filter_map(Pid::from_raw)
        .collect()
}

/// Those that carry the mark; and whether there is one that may carry it, for it is in the middle
/// of its exec.
fn look(mark: &[u8]) -> (Vec<Pid>, bool) {
    let mut marked = Vec::new();
    let mut unclear = false;
    for number in processes() {
        // Those of others cannot be read, and are none of ours.
        let Ok(environment) = fs::read(format!("/proc/{number}/environ")) else {
            continue;
        };
        if environment.split(|&byte| byte == 0).any(|it| it == mark) {
            marked.extend(Pid::from_raw(number));
        } else if environment.is_empty() {
            unclear |= is_in_exec(number);
        }
    }
    (marked, unclear)
}

/// Whether its new memory is there (`vsize`), and its environment is not placed yet (`env_end`).
/// Source: `proc_pid_stat(5)`, fields 23 and 51.
fn is_in_exec(number: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    let field = |number: usize| {
        // The second can hold anything; the third follows it.
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(number.checked_sub(3)?)
    };
    field(23).is_some_and(|size| size != "0") && field(51) == Some("0")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::{
        event::{PollFd, PollFlags, poll},
        process::{PidfdFlags, pidfd_open},
    };

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_process_in_the_middle_of_its_exec_is_not_taken_for_one_of_others() {
        // Until its many arguments are placed, it shows no environment.
        let script = "set -- $(seq 100000); exec true \"$@\"";
        let began = Instant::now();
        let mut seen = false;
        while !seen {
            assert!(began.elapsed() < LONG, "no exec was seen");
            let mut child = Command::new("/bin/sh")
                .args(["-c", script])
                .spawn()
                .unwrap();
            let number = i32::try_from(child.id()).unwrap();
            while child.try_wait().unwrap().is_none() {
                seen |= is_in_exec(number);
            }
        }
        assert!(!is_in_exec(i32::try_from(std::process::id()).unwrap()));
        let mut ended = Command::new("/bin/true").env_clear().spawn().unwrap();
        let number = i32::try_from(ended.id()).unwrap();
        let exit = pidfd_open(Pid::from_child(&ended), PidfdFlags::empty()).unwrap();
        poll(&mut [PollFd::new(&exit, PollFlags::IN)], None).unwrap();
        assert!(!is_in_exec(number), "a zombie has no memory at all");
        ended.wait().unwrap();
    }
}
