//! From standard input to the exit status.
//!
//! Contract: the configuration is read only when it is needed: `SENDMAIL_SHIM_CONFIG` is set, the
//! default socket does not answer, or the message is large. Exit status 0 means: on the agent's
//! disk, or the relayhost said 250.

use std::{
    cell::OnceCell,
    io::{self, BufReader, IsTerminal as _},
    path::Path,
};

use mail::{
    clock,
    envelope::Rcpt,
    limits,
    message::{
        recipients,
        rewrite::{RewriteError, looked_up},
    },
    outcome::{Failure, Outcome},
};
use settings::ConfigError;
use system::{patient::Patient, sysexits::Exit};

use super::{
    agent::{self, HandedOver},
    direct,
    misread::{self, Misread},
    ready::Ready,
    report::Report,
};
use crate::{
    compose::read::{self, UntilDot},
    config::{
        places,
        settings::{SOCKET, Settings},
        tables::Tables,
    },
    identity,
    plan::{self, Submission, misplaced},
    prepare::{PrepareError, REFUSED, Submitted, prepare},
};

/// The configuration, read at most once; what can be used of it, and what is wrong.
#[derive(Default)]
struct Lazy(OnceCell<Result<(Settings, Option<ConfigError>), ConfigError>>);

impl Lazy {
    fn get(&self) -> Result<&(Settings, Option<ConfigError>), Report> {
        self.0
            .get_or_init(|| places::load_anyway(None))
            .as_ref()
            .map_err(|error| Report::fault(Exit::TempFail, error.to_string()))
    }

    /// For finding the agent, whatever else is wrong: it queues.
    fn salvaged(&self) -> Result<&Settings, Report> {
        self.get().map(|(settings, _)| settings)
    }

    /// For sending without the agent: all of it must be right.
    fn whole(&self, no_agent: &str) -> Result<&Settings, Report> {
        match self.get()? {
            (settings, None) => Ok(settings),
            (_, Some(error)) => Err(Report::fault(
                Exit::TempFail,
                format!("not sent and not queued: {no_agent}; {error}"),
            )),
        }
    }
}

/// Submits the message on standard input.
pub fn submit(submission: Submission) -> Report {
    match ready(submission) {
        Ok((ready, config, problems)) => serve(&ready, &config, problems),
        Err(report) => report,
    }
}

/// Whoever can be served is; the sender is told of the others.
fn serve(ready: &Ready, config: &Lazy, problems: Vec<Misread>) -> Report {
    let served = !ready.recipients.is_empty();
    let mut report = Report {
        exit: Exit::Ok,
        lines: Vec::new(),
    };
    if served {
        report = hand_over(ready, config).unwrap_or_else(|report| report);
    }
    report.lines.extend(ready.submission.notes.iter().cloned());
    // What was not taken is still with the caller.
    if !problems.is_empty() && report.exit == Exit::Ok {
        let hostname = config
            .salvaged()
            .map(|settings| settings.hostname.to_string());
        let hostname = hostname.unwrap_or_else(|_| "localhost".to_owned());
        let (mail, message) = (&ready.submission, &ready.message);
        if let Some(news) = misread::news(mail, message, &problems, served, &hostname) {
            // The exit status says it all the same.
            let _ = hand_over(&news, config);
        }
    }
    report.with_problems(problems.into_iter().map(|problem| problem.whole).collect())
}

fn ready(mut submission: Submission) -> Result<(Ready, Lazy, Vec<Misread>), Report> {
    let config = Lazy::default();
    let mut limit = || {
        config
            .salvaged()
            .map_or(limits::MESSAGE, |settings| settings.message_size)
    };
    let input = Patient(io::stdin().lock());
    let composed = if io::stdin().is_terminal() {
        read::message(UntilDot::new(BufReader::new(input)), &mut limit)
    } else {
        read::message(input, &mut limit)
    };
    let message = composed.map_err(|error| Report::fault(error.exit(), error.to_string()))?;
    let arguments = submission.problems.iter();
    let mut problems: Vec<_> = arguments.map(Misread::argument).collect();
    let mut recipients = submission.recipients.clone();
    if submission.from_header {
        let named = recipients::extract(&message.header);
        submission
            .notes
            .extend(named.doubts.iter().map(plan::doubt));
        recipients.extend(named.recipients.into_iter().map(|to| Rcpt {
            notify: submission.notify,
            ..Rcpt::from(to)
        }));
        problems.extend(named.problems.iter().map(Misread::named));
    }
    let recipients = distinct(recipients);
    let misplaced = misplaced(&message.misplaced, submission.from_header, &recipients);
    problems.extend(misplaced.map(Misread::misplaced));
    match (recipients.len(), problems.first()) {
        (0, None) => Err(Report::fault(
            Exit::Usage,
            "no recipients: neither on the command line nor in To, Cc or Bcc",
        )),
        (count, _) if count > limits::EXPANDED => Err(Report::fault(
            Exit::DataErr,
            format!(
                "not sent to anybody: {count} recipients, and one message may have {}; send it in several parts",
                limits::EXPANDED
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

fn distinct(recipients: Vec<Rcpt>) -> Vec<Rcpt> {
    let mut seen = std::collections::HashSet::new();
    let first = recipients.into_iter();
    first.filter(|rcpt| seen.insert(rcpt.to.key())).collect()
}

/// To the agent; where it does not answer, to the relayhost. Where that is no way either, an agent
/// that is just starting is waited for: whoever started us may not try again (cron).
fn hand_over(ready: &Ready, config: &Lazy) -> Result<Report, Report> {
    let verbose = ready.submission.verbose;
    let default = Path::new(SOCKET);
    let mut socket = default;
    if places::named().is_some() || !default.exists() {
        socket = &config.salvaged()?.socket;
    }
    let taken = |outcomes: &[Outcome]| {
        let report = Report::of(&ready.names(), outcomes, verbose);
        Ok(report.with_refused(outcomes.iter().find_map(refused)))
    };
    let (failure, starts) = match agent::send(socket, ready) {
        HandedOver::Outcomes(outcomes) => return taken(&outcomes),
        HandedOver::NotTaken { failure, starts } => (failure, starts),
    };
    let report = match without_agent(ready, config, &failure) {
        Err(report) if starts && report.exit == Exit::TempFail => report,
        sent => return sent,
    };
    match agent::send_once_it_listens(socket, ready) {
        HandedOver::Outcomes(outcomes) => taken(&outcomes),
        HandedOver::NotTaken { .. } => Err(report),
    }
}

/// Whose mail the agent does not take with the others'.
fn refused(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Delivered(delivery) => {
            let (_, refused) = delivery.reply.split_once(REFUSED)?;
            Some(refused.to_owned())
        }
        Outcome::Deferred(_) | Outcome::Failed(_) => None,
    }
}

/// `Err`: certainly nobody has it.
fn without_agent(ready: &Ready, config: &Lazy, failure: &Failure) -> Result<Report, Report> {
    let no_agent = match failure.reply {
        Some(_) => format!("the agent did not take it: {}", failure.log_text()),
        None => format!("no agent answers: {}", failure.log_text()),
    };
    let settings = config.whole(&no_agent)?;
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
    let submission = &ready.submission;
    if let Some(Some(name)) = &submission.mail.xcaller {
        caller.full_name.clone_from(name);
    }
    let now = clock::now();
    let submitted = Submitted {
        caller: &caller,
        uid,
        id: &format!("{:X}.{}", now.as_millis(), std::process::id()),
        now,
        mail: &submission.mail,
        recipients: &ready.recipients,
        content: ready.message.content,
        charset: ready.message.charset,
    };
    let mut tables = Tables::in_its_place(settings);
    let problems = tables.refresh(now).1;
    let rules = tables.rules();
    let names = ready.recipients.iter();
    let names: Vec<_> = names.filter_map(|it| looked_up(&it.to, rules)).collect();
    if let Some(why) = tables.doubt(&names, &problems) {
        let text = format!("not sent and not queued: {no_agent}; without it, {why}");
        return Err(Report::fault(Exit::TempFail, text));
    }
    let mut prepared =
        prepare(&submitted, ready.message.header.clone(), rules).map_err(|error| {
            let exit = match &error {
                PrepareError::Rewrite(RewriteError::Refused(_)) => Exit::NoUser,
                PrepareError::Rewrite(_) | PrepareError::Hops => Exit::DataErr,
            };
            Report::fault(exit, error.to_string())
        })?;
    let refused = prepared.without_refused();
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
        Ok(outcomes) => {
            let mut report = Report::of(&names, &outcomes, submission.verbose);
            // The relayhost was only the second to be asked.
            if report.exit != Exit::Ok || submission.verbose {
                report.lines.push(no_agent.to_owned());
            }
            Ok(report.with_refused(refused))
        }
        Err(failure) => Err(Report::fault(
            Exit::TempFail,
            format!(
                "not sent and not queued: {}; {no_agent}",
                failure.log_text()
            ),
        )),
    }
}
