//! Asks the daemon over its control socket.

use std::{io, path::Path};

use control::{order, status::Status};
use system::{socket::is_of_nobody, sysexits::Exit};

use super::{failed::Failed, silent};
use crate::{
    admin::{Answer, Request},
    config::Config,
    explain::Asked,
};

pub(super) const NOT_ANSWERED: &str = "the daemon closed the connection before it answered";
pub(super) const REMEDY: &str = "start it (systemctl start smarthost), or name its --config FILE";

/// What to do where an order reaches no daemon.
pub(super) fn remedy(config: &Config) -> String {
    let there = silent::alone(config).map(|pid| silent::gone(config, pid));
    there.unwrap_or_else(|| REMEDY.to_owned())
}

/// What the daemon would do; `None` if it does not run.
pub(super) fn explain(config: &Path, asked: &Asked) -> Result<Option<String>, Failed> {
    let Ok((found, _)) = Config::load_anyway(config) else {
        return Ok(None);
    };
    let answers = match answers(&silent::socket(&found), &Request::Explain(asked.clone())) {
        Err(error) if is_of_nobody(&error) => return Ok(None),
        answers => unrefused(answers.map_err(|error| unanswered(&error))?)?,
    };
    let pieces = answers.iter().filter_map(|answer| match answer {
        Answer::Explained(piece) => Some(piece.as_str()),
        _ => None,
    });
    Ok(Some(pieces.collect()))
}

/// All answers; the first error among them fails the command (what else was asked is done all the
/// same).
pub(super) fn ask(config: &Path, request: &Request) -> Result<Vec<Answer>, Failed> {
    // The daemon is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let answers = answers(&silent::socket(&config), request);
    unrefused(answers.map_err(|error| match silent::alone(&config) {
        Some(pid) => Failed {
            text: format!(
                "{}: wait for its end, or restart it (systemctl restart smarthost)",
                silent::gone(&config, pid)
            ),
            exit: Exit::Unavailable.into(),
        },
        None => unanswered(&error),
    })?)
}

/// How it stood a moment ago.
pub(super) fn recent(socket: &Path) -> Result<Box<Status>, Failed> {
    let answers = answers(socket, &Request::Recent).map_err(|error| unanswered(&error))?;
    let mut answers = unrefused(answers)?.into_iter();
    let status = answers.find_map(|answer| match answer {
        Answer::Status(status) => Some(status),
        _ => None,
    });
    status.ok_or_else(|| Failed::new(NOT_ANSWERED.to_owned()))
}

fn answers(socket: &Path, request: &Request) -> io::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    control::ask(socket, request, &mut |answer: Answer| {
        answers.push(answer);
    })?;
    Ok(answers)
}

fn unanswered(error: &io::Error) -> Failed {
    let exit = control::exit(error).into();
    let told = control::told(error, REMEDY);
    match error.kind() {
        _ if is_of_nobody(error) => Failed {
            text: format!("smarthost is not running with this configuration: {told}"),
            exit,
        },
        io::ErrorKind::PermissionDenied => Failed {
            text: format!("{told}; run this as root or as the daemon's user"),
            exit,
        },
        _ => Failed { text: told, exit },
    }
}

fn unrefused(answers: Vec<Answer>) -> Result<Vec<Answer>, Failed> {
    let errors: Vec<&str> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Queue(order::Answer::Refused(text)) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if errors.is_empty() {
        Ok(answers)
    } else {
        Err(Failed::new(errors.join("\n")))
    }
}
