//! A program that runs beside us: started, its log read line by line, ended.
//!
//! Contract: it never outlives its [`Program`]. Waiting is for a line of its log, with a limit.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take on loopback.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A running program.
pub(super) struct Program {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
    /// What was read so far.
    seen: Vec<String>,
}

impl Program {
    /// Starts it; what it writes to standard error also goes into a file.
    pub(super) fn start(
        name: &'static str,
        command: &mut Command,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let mut copy =
            File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stderr = child.stderr.take().context("no standard error")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The file is for the reader afterwards; the channel may have no reader any more.
                let _ = writeln!(copy, "{line}");
                let _ = sender.send(line);
            }
        });
        Ok(Self {
            name,
            child,
            lines,
            seen: Vec::new(),
        })
    }

    /// The first line, past or to come, with all these parts.
    pub(super) fn line_with(&mut self, parts: &[&str]) -> anyhow::Result<String> {
        let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
        if let Some(line) = self.seen.iter().find(fits) {
            return Ok(line.clone());
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if fits(&&line) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!(
                    "{} did not log {parts:?} within {PATIENCE:?}{}",
                    self.name,
                    self.tail()
                ),
                Err(RecvTimeoutError::Disconnected) => bail!(
                    "{} ended without logging {parts:?}{}",
                    self.name,
                    self.tail()
                ),
            }
        }
    }

    /// Asks it to end, and waits until it has; an unhappy end is an error.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        // Its log ends when it does.
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        match self.child.try_wait()? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("{} ended with {status}{}", self.name, self.tail()),
            // The log has ended a moment before the process.
            None => self
                .child
                .wait()
                .map(drop)
                .with_context(|| format!("{} does not end", self.name)),
        }
    }

    fn terminate(&self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("no process id")?;
        kill_process(pid, Signal::TERM).with_context(|| format!("cannot end {}", self.name))
    }

    fn tail(&self) -> String {
        let last = self.seen.iter().rev().take(8).rev();
        last.fold(String::from("; its last lines:"), |text, line| {
            text + "\n      " + line
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
