//! A machine on which cases run.
//!
//! Contract: each case has a relay of its own; what comes there late is not seen by the next case. A program that does not
//! end in time is killed.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{case::Case, judge::Observed};
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
    /// Where the relay listens.
    pub relay: SocketAddr,
    /// Makes the queue be tried.
    pub flush: Vec<OsString>,
    /// How long mail may take.
    pub patience: Duration,
    /// How long to look for mail that should not come.
    pub grace: Duration,
}

impl Machine {
    /// Ours, whose relay is at `relay`.
    pub fn ours(agent: &Agent, relay: SocketAddr) -> Self {
        let bin = agent.directory().join("bin");
        Self {
            enter: Vec::new(),
            places: ["sendmail", "mailq", "newaliases"].map(|name| bin.join(name)),
            env: vec![("SENDMAIL_SHIM_CONFIG".to_owned(), agent.config().into())],
            relay,
            flush: vec![bin.join("sendmail").into(), "-q".into()],
            patience: Duration::from_secs(20),
            grace: Duration::ZERO,
        }
    }

    /// Runs a case to its end.
    pub fn run(&self, case: &Case) -> Observed {
        let script = script(case);
        let takes_8bit = script.extensions.iter().any(|e| e == "8BITMIME");
        let sink = Sink::on(self.relay, script);
        let output = self.call(case);
        if matches!(case.relay.as_deref(), Some("down" | "later")) {
            sink.play(Script::default());
            let mut flush = self.command(&self.flush);
            // Some have no such command, and try again by themselves.
            let _ = flush.stdin(Stdio::null()).output();
        }
        let messages = self.wait(case, &sink, output.status.success());
        Observed {
            exit: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            messages,
            takes_8bit,
        }
    }

    fn wait(&self, case: &Case, sink: &Sink, taken: bool) -> Vec<Received> {
        let start = Instant::now();
        let count =
            |messages: &[Received]| messages.iter().map(|m| m.recipients.len()).sum::<usize>();
        loop {
            let messages = sink.journal().messages();
            let patience = if count(&messages) >= case.count() || !taken {
                self.grace
            } else {
                self.patience
            };
            if start.elapsed() >= patience {
                return messages;
            }
            sink.journal().wait_a_moment();
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
        Some("down") => script.greeting = "421 4.3.2 not now".to_owned(),
        Some("picky") => {
            script.extensions = vec!["PIPELINING".to_owned(), "SIZE 104857600".to_owned()]
        }
        Some("refuses") => {
            script.recipients = answer("nobody@sink.bench", "550 5.1.1 no such user")
        }
        Some("later") => script.recipients = answer("later@sink.bench", "450 4.2.0 later"),
        Some(other) => panic!("{}: relay = \"{other}\"", case.name),
    }
    script
}
