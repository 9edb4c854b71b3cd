//! A machine on which cases run.
//!
//! Contract: a case is over when its mail is at the relay, or in vain waited for. A program that
//! does not end in time is killed.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    case::Case,
    judge::{Observed, is_bounce},
};
use crate::{
    agent::{Agent, pipe},
    sink::{Received, Script, Sink},
};

/// Longest run of a program, seconds.
const LIMIT: &str = "30";

/// How a program is called, and where its mail arrives.
#[derive(Debug)]
pub struct Machine {
    /// Words before the program's path: `nsenter …`.
    pub enter: Vec<OsString>,
    /// Where `sendmail`, `mailq`, `newaliases` are.
    pub places: [PathBuf; 3],
    pub env: Vec<(String, OsString)>,
    /// Where its mail goes.
    pub relay: Sink,
    /// Makes the queue be tried.
    pub flush: Vec<OsString>,
    /// After this time it is tried again: the first attempt may have been under way.
    pub flush_every: Duration,
    /// How long mail may take.
    pub patience: Duration,
    /// How long to look for mail that should not come.
    pub grace: Duration,
}

impl Machine {
    /// Ours, in front of this relay.
    pub fn ours(agent: &Agent, relay: Sink) -> Self {
        let bin = agent.directory().join("bin");
        Self {
            enter: Vec::new(),
            places: ["sendmail", "mailq", "newaliases"].map(|name| bin.join(name)),
            env: vec![("SENDMAIL_SHIM_CONFIG".to_owned(), agent.config().into())],
            relay,
            flush: vec![bin.join("sendmail").into(), "-q".into()],
            flush_every: Duration::from_millis(500),
            patience: Duration::from_secs(20),
            grace: Duration::ZERO,
        }
    }

    /// Runs a case to its end.
    pub fn run(&self, case: &Case) -> Observed {
        let script = script(case);
        let takes_8bit = script.extensions.iter().any(|e| e == "8BITMIME");
        let before = self.relay.journal().len();
        if case.relay.is_some() {
            self.relay.play(script);
            self.relay.hang_up();
        }
        let output = self.call(case);
        let again = matches!(case.relay.as_deref(), Some("down" | "later"));
        if again {
            self.relay.play(Script::default());
        }
        let taken = output.status.success() || case.exit != 0;
        let messages = self.wait(case, before, taken, again);
        if case.relay.is_some() {
            self.relay.play(Script::default());
            self.relay.hang_up();
        }
        Observed {
            exit: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            messages,
            takes_8bit,
        }
    }

    /// What came after `before`; `again`: the queue must be tried for it.
    fn wait(&self, case: &Case, before: usize, taken: bool, again: bool) -> Vec<Received> {
        let start = Instant::now();
        let mut tried = 0;
        loop {
            let mut messages = self.relay.journal().messages();
            messages.drain(..before);
            // The notice of a case before this one may come now.
            let sent = messages.iter().filter(|m| !is_bounce(case, m));
            let count: usize = sent.map(|m| m.recipients.len()).sum();
            let complete = count >= case.count() || !taken;
            let patience = self.patience * if again { 4 } else { 1 };
            if start.elapsed() >= if complete { self.grace } else { patience } {
                return messages;
            }
            if again && !complete && start.elapsed() >= self.flush_every * tried {
                // A kept connection goes on as the relay was.
                if tried > 0 {
                    self.relay.hang_up();
                }
                tried += 1;
                let mut flush = self.command(&self.flush);
                // Some have no such command, and try again by themselves.
                let _ = flush.stdin(Stdio::null()).output();
            }
            self.relay.journal().wait_a_moment();
        }
    }

    fn call(&self, case: &Case) -> std::process::Output {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(uid) = case.uid {
            words.extend(["setpriv", "--clear-groups", "--reuid"].map(OsString::from));
            words.extend(
                [uid.to_string(), "--regid".to_owned(), uid.to_string()].map(OsString::from),
            );
        }
        words.extend(["timeout", "-k", "1", LIMIT].map(OsString::from));
        let redirection = match (case.input.as_deref(), case.output.as_deref()) {
            (Some("closed"), _) => "<&-",
            (Some("unreadable"), _) => "</",
            (_, Some("closed")) => ">&-",
            _ => "",
        };
        let argv0 = if case.argv0.is_some() {
            "-a \"$0\""
        } else {
            ""
        };
        words.extend(
            [
                "bash".to_owned(),
                "-c".to_owned(),
                format!("exec {argv0} \"$@\" {redirection}"),
            ]
            .map(OsString::from),
        );
        words.push(case.argv0.as_deref().unwrap_or("bash").into());
        let place = match case.program.as_str() {
            "mailq" => &self.places[1],
            "newaliases" => &self.places[2],
            _ => &self.places[0],
        };
        words.push(place.into());
        words.extend(case.argv.iter().map(OsString::from));
        let mut command = self.command(&words);
        command.envs(&case.env);
        pipe(&mut command, &case.input())
    }

    fn command(&self, words: &[OsString]) -> Command {
        let mut all = self.enter.iter().chain(words);
        let mut command = Command::new(all.next().expect("a program"));
        command
            .args(all)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn script(case: &Case) -> Script {
    let mut script = Script::default();
    let answer = |to: &str, reply: &str| vec![(to.to_owned(), reply.to_owned())];
    match case.relay.as_deref() {
        None => {}
        Some("down") => "421 4.3.2 not now".clone_into(&mut script.greeting),
        Some("picky") => {
            script.extensions = vec!["PIPELINING".to_owned(), "SIZE 104857600".to_owned()];
        }
        Some("hundred") => script.most_recipients = 100,
        Some("refuses") => {
            script.recipients = answer("nobody@sink.bench", "550 5.1.1 no such user");
        }
        Some("later") => script.recipients = answer("later@sink.bench", "450 4.2.0 later"),
        Some(other) => panic!("{}: relay = \"{other}\"", case.name),
    }
    script
}
