//! From standard input to the exit status.
//!
//! Contract: the configuration is read only when it is needed: `SENDMAIL_SHIM_CONFIG` is set, the default socket does not
//! answer, or the message is large. Exit status 0 means: on the agent's disk, or the relayhost said 250.

use std::{
    cell::OnceCell,
    io::{self, IsTerminal as _},
    path::Path,
};

use mail::{
    address::{
        list::{self, Target},
        quote_local,
    },
    clock, limits,
    message::recipients,
    outcome::Failure,
    status::EnhancedStatus,
};
use settings::ConfigError;
use system::sysexits::Exit;

use super::{
    agent::{self, Answer},
    direct,
    report::Report,
};
use crate::{
    compose::read::{self, Message, UntilDot},
    config::{
        places,
        settings::{SOCKET, Settings},
        tables::Tables,
    },
    identity,
    plan::{Origin, Submission, malformed},
    prepare::{Submitted, Wanted, prepare},
};

/// A message with its recipients, ready to be handed over.
#[derive(Debug)]
pub struct Ready {
    pub submission: Submission,
    pub message: Message,
    /// Without duplicates.
    pub recipients: Vec<Target>,
}

impl Ready {
    /// The recipients as text, those with a domain first: the order of the outcomes.
    pub fn names(&self) -> Vec<String> {
        let (full, short): (Vec<_>, Vec<_>) = self
            .recipients
            .iter()
            .partition(|target| matches!(target, Target::Address(_)));
        full.into_iter().chain(short).map(text).collect()
    }
}

/// The configuration, read at most once.
#[derive(Default)]
struct Lazy(OnceCell<Result<Settings, ConfigError>>);

impl Lazy {
    fn get(&self) -> Result<&Settings, Report> {
        self.0
            .get_or_init(|| places::load(None))
            .as_ref()
            .map_err(|error| Report::fault(Exit::Config, error.to_string()))
    }
}

/// Submits the message on standard input.
pub fn submit(submission: Submission) -> Report {
    ready(submission)
        .and_then(|(ready, config, problems)| {
            Ok(hand_over(&ready, &config)?.with_problems(problems))
        })
        .unwrap_or_else(|report| report)
}

fn ready(submission: Submission) -> Result<(Ready, Lazy, Vec<String>), Report> {
    let config = Lazy::default();
    let mut limit = || {
        config
            .get()
            .map_or(limits::MESSAGE, |settings| settings.message_size)
    };
    let input = io::stdin().lock();
    let composed = if input.is_terminal() {
        read::message(UntilDot::new(input), &mut limit)
    } else {
        read::message(input, &mut limit)
    };
    let message = composed.map_err(|error| Report::fault(error.exit(), error.to_string()))?;
    let mut problems: Vec<_> = submission.problems.iter().map(malformed).collect();
    let mut targets = submission.recipients.clone();
    if submission.from_header {
        let named = recipients::extract(&message.header);
        let entries = named
            .recipients
            .iter()
            .flat_map(|written| list::parse(written.as_bytes()).entries);
        targets.extend(entries.map(|entry| entry.target));
        problems.extend(named.problems.iter().map(malformed));
    }
    let recipients = distinct(targets);
    match (recipients.len(), problems.first()) {
        (0, Some(problem)) => Err(Report::fault(Exit::DataErr, problem)),
        (0, None) => Err(Report::fault(
            Exit::Usage,
            "no recipients: neither on the command line nor in To, Cc or Bcc",
        )),
        (count, _) if count > limits::RECIPIENTS => Err(Report::fault(
            Exit::DataErr,
            format!(
                "{count} recipients; at most {} go into one message",
                limits::RECIPIENTS
            ),
        )),
        _ => Ok((
            Ready {
                submission,
                message,
                recipients,
            },
            config,
            problems,
        )),
    }
}

/// An address as written in an envelope.
pub fn text(target: &Target) -> String {
    match target {
        Target::Address(address) => address.to_string(),
        Target::Local(name) => quote_local(name),
    }
}

fn distinct(targets: Vec<Target>) -> Vec<Target> {
    let mut seen = std::collections::HashSet::new();
    let key = |target: &Target| match target {
        Target::Address(address) => address.key(),
        Target::Local(name) => name.to_lowercase(),
    };
    targets
        .into_iter()
        .filter(|target| seen.insert(key(target)))
        .collect()
}

/// To the agent; where it does not answer, to the relayhost.
fn hand_over(ready: &Ready, config: &Lazy) -> Result<Report, Report> {
    let verbose = ready.submission.verbose;
    let default = Path::new(SOCKET);
    let mut socket = default;
    if places::named().is_some() || !default.exists() {
        socket = &config.get()?.socket;
    }
    let failure = match agent::send(socket, ready) {
        Answer::Outcomes(outcomes) => return Ok(Report::of(&ready.names(), &outcomes, verbose)),
        Answer::NotTaken(failure) => failure,
    };
    let settings = config.get()?;
    let no_agent = format!("no agent at {}: {}", socket.display(), failure.log_text());
    if settings.relayhost.is_empty() {
        let remedy = "start it (systemctl start sendmail-shim.socket), or set relayhost";
        return Err(Report::fault(
            Exit::TempFail,
            format!("not sent: {no_agent}; {remedy}"),
        ));
    }
    to_relayhost(ready, settings, &no_agent)
}

fn to_relayhost(ready: &Ready, settings: &Settings, no_agent: &str) -> Result<Report, Report> {
    let uid = rustix::process::getuid().as_raw();
    let mut caller = identity::caller(uid);
    if let Some(name) = &ready.submission.full_name {
        caller.full_name.clone_from(name);
    }
    let now = clock::now();
    let submission = &ready.submission;
    let wanted = |target: &Target| Wanted {
        text: text(target),
        notify: submission.notify,
        orcpt: None,
    };
    let submitted = Submitted {
        caller: &caller,
        uid,
        id: &format!("{:X}.{}", now.as_millis(), std::process::id()),
        now,
        sender: match &submission.sender {
            Origin::Caller => None,
            Origin::Null => Some(String::new()),
            Origin::Given(target) => Some(text(target)),
        },
        recipients: ready.recipients.iter().map(wanted).collect(),
        ret: submission.ret,
        envid: submission.envid.clone(),
        content: ready.message.content,
    };
    let mut tables = Tables::new(settings);
    let prepared = prepare(&submitted, ready.message.header.clone(), tables.refresh().0)
        .map_err(|error| Report::fault(Exit::DataErr, error.to_string()))?;
    let names: Vec<_> = prepared
        .envelope
        .recipients
        .iter()
        .map(|recipient| recipient.address.to_string())
        .collect();
    match direct::send(
        settings,
        &prepared.envelope,
        &prepared.header,
        &ready.message,
    ) {
        Ok(outcomes) => Ok(Report::of(&names, &outcomes, submission.verbose)),
        Err(failure) => Err(Report::fault(
            Exit::TempFail,
            format!(
                "not sent and not queued: {}; {no_agent}",
                failure.log_text()
            ),
        )),
    }
}

/// The message itself cannot be read back.
pub(super) fn unreadable(error: &io::Error) -> Failure {
    Failure::local(
        EnhancedStatus::new(4, 3, 0),
        &format!("cannot read the message back: {error}"),
    )
}
