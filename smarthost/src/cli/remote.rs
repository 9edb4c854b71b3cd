//! Commands that ask the daemon over its control socket.

use std::{io, path::Path};

use control::{self, listing};
use mail::clock;
use settings::Span;
use system::sysexits::Exit;

use super::{
    Failed,
    arguments::{Limits, Queue, Which},
    print,
};
use crate::{
    admin::{Answer, Request, Selection},
    config::Config,
};

const NOT_ANSWERED: &str = "the daemon closed the connection before it answered";

pub(super) fn queue(config: &Path, command: Queue) -> Result<String, Failed> {
    match command {
        Queue::List { json } => {
            let rows = ask(config, &Request::QueueList)?
                .into_iter()
                .filter_map(|answer| match answer {
                    Answer::Row(row) => Some(row),
                    _ => None,
                });
            let rows: Vec<_> = rows.collect();
            Ok(if json {
                listing::json_lines(&rows)
            } else {
                listing::mailq(&rows)
            })
        }
        Queue::Show { id } => Ok(print::message(&ask(config, &Request::QueueShow { id })?)),
        Queue::Flush { ids } => {
            let which = if ids.is_empty() {
                Selection::All
            } else {
                Selection::Ids(ids)
            };
            done(
                &ask(config, &Request::QueueFlush(which))?,
                "to be tried now",
            )
        }
        Queue::Hold(which) => done(
            &ask(config, &Request::QueueHold(selection(which)))?,
            "on hold",
        ),
        Queue::Release(which) => done(
            &ask(config, &Request::QueueRelease(selection(which)))?,
            "released",
        ),
        Queue::Delete(which) => done(
            &ask(config, &Request::QueueDelete(selection(which)))?,
            "deleted",
        ),
    }
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
            let answers = ask(config, &Request::LimitsReset { client })?;
            let known = answers
                .iter()
                .any(|answer| matches!(answer, Answer::Done { messages: 1.. }));
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
            let span = match until.as_str() {
                "tomorrow" => std::time::Duration::from_hours(24),
                span => Span::try_from(span.to_owned()).map_err(Failed::new)?.0,
            };
            let until = clock::now().after(span);
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

fn selection(which: Which) -> Selection {
    if which.all {
        Selection::All
    } else {
        Selection::Ids(which.ids)
    }
}

fn done(answers: &[Answer], what: &str) -> Result<String, Failed> {
    let messages = answers.iter().find_map(|answer| match answer {
        Answer::Done { messages } => Some(*messages),
        _ => None,
    });
    match messages {
        Some(1) => Ok(format!("1 message {what}")),
        Some(messages) => Ok(format!("{messages} messages {what}")),
        None => Err(Failed::new(NOT_ANSWERED.to_owned())),
    }
}

/// All answers; the first error among them fails the command (what else was asked is done all the same).
fn ask(config: &Path, request: &Request) -> Result<Vec<Answer>, Failed> {
    // The daemon is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let mut answers = Vec::new();
    control::ask(&config.control, request, &mut |answer: Answer| answers.push(answer)).map_err(|error| {
        let socket = config.control.display();
        let unavailable = Exit::Unavailable.into();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failed {
                text: format!("smarthost does not run with this configuration ({socket}: {error}); start it, or name its --config FILE"),
                exit: unavailable,
            },
            io::ErrorKind::PermissionDenied => Failed {
                text: format!("{socket}: {error}; ask as root or as the user that smarthost runs as"),
                exit: Exit::NoPerm.into(),
            },
            _ => Failed { text: format!("{socket}: {error}"), exit: unavailable },
        }
    })?;
    let errors: Vec<&str> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Error(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if errors.is_empty() {
        Ok(answers)
    } else {
        Err(Failed::new(errors.join("\n")))
    }
}
