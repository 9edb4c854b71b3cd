//! Commands that ask the daemon over its control socket.

use std::{io, path::Path};

use console::{Daemon, Queue};
use control::order;
use mail::clock;
use system::sysexits::Exit;

use super::{arguments::Limits, failed::Failed, print};
use crate::{
    admin::{Answer, Request},
    config::Config,
};

const NOT_ANSWERED: &str = "the daemon closed the connection before it answered";
const REMEDY: &str = "start it (systemctl start smarthost), or name its --config FILE";

pub(super) fn queue(config: &Path, queue: &Queue) -> Result<Exit, Failed> {
    // The daemon is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    Ok(console::run(
        queue,
        &Daemon {
            program: "smarthost",
            socket: &config.control,
            remedy: REMEDY,
        },
    ))
}

pub(super) fn limits(config: &Path, command: Limits) -> Result<String, Failed> {
    match command {
        Limits::List { json } => {
            let answers = ask(config, &Request::LimitsList)?;
            Ok(if json {
                print::json(&answers)
            } else {
                print::reports(&answers)
            })
        }
        Limits::Show { client } => Ok(print::reports(&ask(
            config,
            &Request::LimitsShow { client },
        )?)),
        Limits::Reset { client } => {
            let name = client.clone();
            let answers = ask(config, &Request::LimitsReset { client: name })?;
            let known = answers
                .iter()
                .any(|answer| matches!(answer, Answer::Forgotten(true)));
            Ok(if known {
                format!("{client} starts anew")
            } else {
                format!("{client} had not sent anything")
            })
        }
        Limits::Raise {
            client,
            limit,
            until,
        } => {
            let until = clock::now().after(until);
            Ok(print::reports(&ask(
                config,
                &Request::LimitsRaise {
                    client,
                    limit,
                    until,
                },
            )?))
        }
    }
}

pub(super) fn status(config: &Path, json: bool) -> Result<String, Failed> {
    let answers = ask(config, &Request::Status)?;
    Ok(if json {
        print::json(&answers)
    } else {
        print::status(&answers, clock::now())
    })
}

/// The configuration, read anew.
pub(super) fn reload(config: &Path) -> Result<String, Failed> {
    let answers = ask(config, &Request::Reload)?;
    let restart = answers.iter().find_map(|answer| match answer {
        Answer::Reloaded { restart } => Some(restart),
        _ => None,
    });
    match restart.map(Vec::as_slice) {
        Some([]) => Ok("reloaded".to_owned()),
        Some(names) => Ok(format!(
            "reloaded; at the next restart only: {}",
            names.join(", ")
        )),
        None => Err(Failed::new(NOT_ANSWERED.to_owned())),
    }
}

/// All answers; the first error among them fails the command (what else was asked is done all the same).
fn ask(config: &Path, request: &Request) -> Result<Vec<Answer>, Failed> {
    // The daemon is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let mut answers = Vec::new();
    control::ask(&config.control, request, &mut |answer: Answer| {
        answers.push(answer);
    })
    .map_err(|error| {
        let exit = Exit::Unavailable.into();
        let told = control::told(&error, REMEDY);
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failed {
                text: format!("smarthost does not run with this configuration: {told}"),
                exit,
            },
            io::ErrorKind::PermissionDenied => Failed {
                text: format!("{told}; ask as root or as the user that smarthost runs as"),
                exit: Exit::NotDone.into(),
            },
            _ => Failed { text: told, exit },
        }
    })?;
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
