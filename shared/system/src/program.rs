//! One program: started, fed, listened to, and ended with all that it has started.
//!
//! Contract: no shell; nothing of our environment but what is given. It has a process group of its
//! own. What it says is read to the end and kept up to so many bytes, errors together with the rest
//! or apart. When it has ended, or its time is over, the group is killed, and so is whoever left
//! the group but still carries the mark of this run, or descends from what did not end in time.
//! [`stop`] ends all programs that run, because the process that started them ends: they are told
//! so, and killed a moment later. Only
//! whoever clears his environment and lets his parents end is not found; in a unit of its own
//! (`smarthost pipe`) systemd's control group finds him, too. A program that does not read all of
//! the message has its reasons; its status decides.
//! Failures: [`End`].

mod left;

use std::{
    ffi::OsString,
    io::{self, PipeReader, PipeWriter, Read, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use left::{MARK, descendants, sweep};
use mail::limits::PIECE;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_setfl},
    process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open},
};

use crate::read;

/// Read at once.
const PIECE_OF_OUTPUT: usize = 4096;
/// What is run.
pub struct Program<'a> {
    /// The whole path, and the arguments.
    pub arguments: Vec<OsString>,
    pub environment: Vec<(&'static str, String)>,
    pub directory: &'a Path,
    pub timeout: Duration,
    /// Bytes that are kept of what it says.
    pub kept: usize,
    /// Its errors are kept apart, up to as many bytes.
    pub errors_apart: bool,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    Exited(ExitStatus),
    TimedOut,
    /// By [`stop`] or [`interrupt`], so that its status says nothing.
    Stopped,
    /// It could not be started, fed or waited for.
    Failed(io::Error),
}

/// How it ended, and the beginning of what it said.
#[derive(Debug)]
pub struct Ended {
    pub end: End,
    pub output: Vec<u8>,
    /// Empty, unless they are kept apart.
    pub errors: Vec<u8>,
}

/// How long programs that are told to end have for that.
const MOMENT: Duration = Duration::from_secs(1);

/// Programs that run.
struct Runs {
    /// None is started any more.
    closed: bool,
    /// Each is in the list as long as nobody has waited for it: the number is its own.
    each: Vec<Run>,
}

struct Run {
    pid: Pid,
    mark: String,
    /// It was told to end.
    stopped: bool,
}

static RUNNING: Mutex<Runs> = Mutex::new(Runs {
    closed: false,
    each: Vec::new(),
});
/// A program has ended.
static ENDED: Condvar = Condvar::new();

fn running() -> MutexGuard<'static, Runs> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends all programs, with all that they have started; none is started any more.
pub fn stop() {
    running().closed = true;
    interrupt();
}

/// Ends all programs that run now, with all that they have started; their runs end so, and others
/// may follow. Blocks for a moment at most, which they have to end by themselves.
pub fn interrupt() {
    let mut running = running();
    for run in &mut running.each {
        run.stopped = true;
        let _ = kill_process_group(run.pid, Signal::TERM);
    }
    let still = |running: &mut Runs| running.each.iter().any(|run| run.stopped);
    let waited = ENDED.wait_timeout_while(running, MOMENT, still);
    let (running, _) = waited.unwrap_or_else(PoisonError::into_inner);
    for run in running.each.iter().filter(|run| run.stopped) {
        let _ = kill_process_group(run.pid, Signal::KILL);
        sweep(&run.mark);
    }
}

/// Runs a program to its end. Blocks.
pub fn run(program: &Program<'_>, content: &mut dyn Read) -> Ended {
    let mut running = match start(program) {
        Ok(running) => running,
        Err(error) => {
            return Ended {
                end: End::Failed(error),
                output: Vec::new(),
                errors: Vec::new(),
            };
        }
    };
    let attended = running.attend(program.timeout, content);
    let end = running.end(attended);
    let mut said = running.said.into_iter().map(|said| said.kept);
    Ended {
        end,
        output: said.next().unwrap_or_default(),
        errors: said.next().unwrap_or_default(),
    }
}

struct Running {
    child: Child,
    pid: Pid,
    stdin: Option<ChildStdin>,
    /// Its output, and its errors where they are apart.
    said: Vec<Said>,
    mark: String,
}

/// What comes of it.
struct Said {
    from: PipeReader,
    kept: Vec<u8>,
    most: usize,
}

fn start(program: &Program<'_>) -> io::Result<Running> {
    let Some((path, arguments)) = program.arguments.split_first() else {
        return Err(io::Error::other("no program is named"));
    };
    // Whoever starts it waits until the kernel has found it, and so would whoever stops programs.
    read::answers(Path::new(path))?;
    let directory = program.directory;
    read::answers(directory)
        .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", directory.display())))?;
    let random = getrandom::u64().map_err(io::Error::other)?;
    let mark = format!("{random:016x}");
    let (from, output, errors) = pipes(program.errors_apart)?;
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env_clear()
        .envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .env(MARK, &mark)
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(errors);
    let mut list = running();
    if list.closed {
        return Err(io::Error::other("no program is started: this process ends"));
    }
    let mut child = command.spawn()?;
    list.each.push(Run {
        pid: Pid::from_child(&child),
        mark: mark.clone(),
        stopped: false,
    });
    drop(list);
    // It holds the writing end of the output.
    drop(command);
    let said = from.into_iter().map(|from| Said {
        from,
        kept: Vec::new(),
        most: program.kept,
    });
    let running = Running {
        pid: Pid::from_child(&child),
        stdin: child.stdin.take(),
        said: said.collect(),
        child,
        mark,
    };
    if let Some(stdin) = &running.stdin {
        fcntl_setfl(stdin, OFlags::NONBLOCK)?;
    }
    for said in &running.said {
        fcntl_setfl(&said.from, OFlags::NONBLOCK)?;
    }
    Ok(running)
}

/// Where what it says is read, and where it writes output and errors to.
fn pipes(errors_apart: bool) -> io::Result<(Vec<PipeReader>, PipeWriter, PipeWriter)> {
    let (from, output) = io::pipe()?;
    if errors_apart {
        let (of_errors, errors) = io::pipe()?;
        return Ok((vec![from, of_errors], output, errors));
    }
    let errors = output.try_clone()?;
    Ok((vec![from], output, errors))
}

impl Running {
    /// Until it has exited: `Ok(false)` when its time is over before.
    fn attend(&mut self, timeout: Duration, content: &mut dyn Read) -> io::Result<bool> {
        let exit = pidfd_open(self.pid, PidfdFlags::empty())?;
        let began = Instant::now();
        let mut piece = vec![0; PIECE];
        let mut pending = 0..0;
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            if pending.is_empty() && self.stdin.is_some() {
                match content.read(&mut piece) {
                    Ok(0) => self.stdin = None,
                    Ok(count) => pending = 0..count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            }
            let mut waited = vec![PollFd::new(&exit, PollFlags::IN)];
            for said in &mut self.said {
                if !said.ended() {
                    waited.push(PollFd::new(&said.from, PollFlags::IN));
                }
            }
            if let Some(stdin) = &self.stdin {
                waited.push(PollFd::new(stdin, PollFlags::OUT));
            }
            wait(&mut waited, left)?;
            let exited = waited.first().is_some_and(|it| !it.revents().is_empty());
            drop(waited);
            if exited {
                return Ok(true);
            }
            if let Some(stdin) = &mut self.stdin {
                let rest = piece.get(pending.clone()).unwrap_or_default();
                match stdin.write(rest) {
                    Ok(count) => pending.start = pending.start.saturating_add(count),
                    Err(error) if is_later(&error) => {}
                    // It reads no further.
                    Err(_) => self.stdin = None,
                }
            }
        }
    }

    /// Kills what is left of it, and takes its status.
    fn end(&mut self, attended: io::Result<bool>) -> End {
        self.stdin = None;
        let own = running()
            .each
            .extract_if(.., |run| run.mark == self.mark)
            .next();
        let stopped = own.is_some_and(|run| run.stopped);
        ENDED.notify_all();
        if !matches!(attended, Ok(true)) {
            for pid in descendants(self.pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
            // Nothing else can be done where it is gone.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        let status = match attended {
            // Its number is its own until it is waited for: so the group is killed before.
            Ok(true) => {
                let _ = kill_process_group(self.pid, Signal::KILL);
                for said in &mut self.said {
                    said.ended();
                }
                self.child.wait().map(|status| {
                    if stopped && !status.success() {
                        End::Stopped
                    } else {
                        End::Exited(status)
                    }
                })
            }
            Ok(false) => self.child.wait().map(|_| End::TimedOut),
            Err(error) => self.child.wait().and(Err(error)),
        };
        sweep(&self.mark);
        status.unwrap_or_else(End::Failed)
    }
}

impl Said {
    /// Reads what has come; whether there will be no more.
    fn ended(&mut self) -> bool {
        let mut piece = [0; PIECE_OF_OUTPUT];
        // A flood must not keep us from the clock.
        for _ in 0..16 {
            match self.from.read(&mut piece) {
                Ok(0) => return true,
                Ok(count) => {
                    let room = self.most.saturating_sub(self.kept.len()).min(count);
                    let kept = piece.get(..room).unwrap_or_default();
                    self.kept.extend_from_slice(kept);
                }
                Err(error) if is_later(&error) => return false,
                Err(_) => return true,
            }
        }
        false
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn wait(waited: &mut [PollFd<'_>], most: Duration) -> io::Result<()> {
    let most = Timespec::try_from(most.min(Duration::from_mins(1))).map_err(io::Error::other)?;
    match poll(waited, Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::RwLock, thread};

    use super::*;

    const KEPT: usize = 4096;

    fn shell(script: &str, timeout: Duration, content: &[u8]) -> Ended {
        let program = Program {
            arguments: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
            environment: vec![("PATH", "/usr/bin:/bin".to_owned())],
            directory: Path::new("/"),
            timeout,
            kept: KEPT,
            errors_apart: false,
        };
        run(&program, &mut &*content)
    }

    const LONG: Duration = Duration::from_mins(1);

    /// Who ends all programs of the process must be alone in it.
    static BESIDE_OTHERS: RwLock<()> = RwLock::new(());

    #[test]
    fn a_program_gets_the_message_and_nothing_of_our_environment() {
        let _beside = BESIDE_OTHERS.read().unwrap();
        let ended = shell(
            "cat; env | cut -d= -f1 | LC_ALL=C sort | tr '\\n' ' '; pwd",
            LONG,
            b"text ",
        );
        let said = String::from_utf8(ended.output).unwrap();
        assert_eq!(said, format!("text {MARK} PATH PWD /\n"), "{:?}", ended.end);
    }

    #[test]
    fn a_program_that_reads_nothing_or_floods_its_output_harms_nobody() {
        let _beside = BESIDE_OTHERS.read().unwrap();
        let large = vec![b'x'; 3_000_000];
        let ended = shell("exit 7", LONG, &large);
        assert!(matches!(ended.end, End::Exited(status) if status.code() == Some(7)));
        let ended = shell(
            "head -c 50000000 /dev/zero; cat >/dev/null; exit 75",
            LONG,
            &large,
        );
        assert!(matches!(ended.end, End::Exited(status) if status.code() == Some(75)));
        assert_eq!(ended.output.len(), KEPT);
    }

    /// A killed process is a zombie until init has waited for it; a moment before, it still dies.
    fn wait_for_death(pids: &str, of: &str) {
        let dead = |pid: &str| {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ") || state.contains(") X ")
        };
        let began = Instant::now();
        while !pids.lines().all(dead) {
            assert!(began.elapsed() < LONG, "{of}");
            thread::yield_now();
        }
    }

    #[test]
    fn nothing_that_a_program_has_started_outlives_it() {
        let _beside = BESIDE_OTHERS.read().unwrap();
        let directory = tempfile::tempdir().unwrap();
        for (script, timeout) in [
            ("exit 0", LONG),
            ("kill -9 $$", LONG),
            ("sleep 600", Duration::from_secs(1)),
            // Whoever has no mark any more still descends from it.
            (
                "env -i setsid sh -c 'echo $$ >> FILE; sleep 600 & echo $! >> FILE; wait'",
                Duration::from_secs(1),
            ),
        ] {
            let file = directory.path().join("pids");
            let script = format!(
                "sleep 600 & echo $! > {0}; setsid sh -c 'echo $$ >> {0}; exec sleep 600' & \
                 while [ $(wc -l < {0}) -lt 2 ]; do :; done; {script}",
                file.display()
            );
            let script = script.replace("FILE", &file.display().to_string());
            let ended = shell(&script, timeout, b"");
            let pids = fs::read_to_string(&file).unwrap();
            assert_eq!(
                pids.lines().count(),
                2 + script.matches(">> /").count().saturating_sub(1)
            );
            wait_for_death(&pids, &format!("{script}: {pids}: {:?}", ended.end));
        }
    }

    #[test]
    fn programs_that_are_stopped_are_told_so_and_killed_a_moment_later() {
        let _alone = BESIDE_OTHERS.write().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let until_there = |name: &str| {
            while fs::metadata(file(name)).is_err() {
                thread::yield_now();
            }
        };
        // One ends by itself and has done its work, one says what would bounce, one ignores it.
        let scripts = ["exit 0", "exit 67", ":"].map(|reaction| {
            let waits = "echo > FILE; while :; do sleep 0.01; done";
            format!("trap '{reaction}' TERM; {waits}")
        });
        thread::scope(|scope| {
            let names = ["done", "fails", "stays"];
            let runs = scripts.iter().zip(names).map(|(script, name)| {
                let script = script.replace("FILE", &file(name));
                scope.spawn(move || shell(&script, LONG, b"").end)
            });
            let runs: Vec<_> = runs.collect();
            for name in names {
                until_there(name);
            }
            interrupt();
            let mut ends = runs.into_iter().map(|run| run.join().unwrap());
            assert!(matches!(ends.next(), Some(End::Exited(status)) if status.success()));
            assert!(ends.all(|end| matches!(end, End::Stopped)));
        });
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let program = Program {
            arguments: vec!["/nowhere/program".into()],
            environment: Vec::new(),
            directory: Path::new("/"),
            timeout: LONG,
            kept: KEPT,
            errors_apart: false,
        };
        let ended = run(&program, &mut io::empty());
        assert!(matches!(ended.end, End::Failed(error) if error.kind() == io::ErrorKind::NotFound));
    }
}
