//! Commands that ask the daemon over its control socket.

use std::path::Path;

use console::{Daemon, Queue, trace::Trace};
use control::{AGENT, order};
use mail::{address::Address, clock};
use system::{sysexits::Exit, terminal::say};

use super::{
    arguments::Limits,
    ask::{NOT_ANSWERED, REMEDY, ask, remedy},
    failed::Failed,
    print, silent,
};
use crate::{
    admin::{Answer, Request},
    config::Config,
};

pub(super) fn queue(config: &Path, queue: &Queue) -> Result<Exit, Failed> {
    // The daemon is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let (socket, remedy) = (silent::socket(&config), remedy(&config));
    let daemon = Daemon {
        remedy: &remedy,
        ..own(&socket)
    };
    Ok(console::run(queue, &daemon))
}

fn own(socket: &Path) -> Daemon<'_> {
    Daemon {
        program: "smarthost",
        socket,
        remedy: REMEDY,
    }
}

pub(super) fn trace(config: &Path, trace: &Trace) -> Result<Exit, Failed> {
    let (config, _) = Config::load_anyway(config)?;
    let agent = Daemon {
        program: "sendmail-shim",
        socket: Path::new(AGENT),
        remedy: "",
    };
    Ok(console::trace::run(
        trace,
        &[own(&silent::socket(&config)), agent],
    ))
}

/// A test message, followed to its end.
pub(super) fn test(config: &Path, to: Option<&Address>) -> Result<Exit, Failed> {
    let to = to.map(ToString::to_string);
    let answers = ask(config, &Request::Test { to })?;
    let (config, _) = Config::load_anyway(config)?;
    let mut exit = Exit::Ok;
    for answer in answers {
        match answer {
            Answer::Queue(order::Answer::Attempt(row)) => {
                exit = console::test::worse(exit, &row);
                say(row);
            }
            Answer::Queue(order::Answer::Done(id)) => {
                say(format_args!("queued as {id}"));
                let followed = console::test::follow(&own(&silent::socket(&config)), &id);
                let ended = followed.map_err(|error| Failed {
                    text: control::told(&error, REMEDY),
                    exit: Exit::Unavailable.into(),
                })?;
                exit = if exit == Exit::Ok { ended } else { exit };
            }
            _ => {}
        }
    }
    Ok(exit)
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
            let known = answers.iter().find_map(|answer| match answer {
                Answer::Forgotten { counted, logins } => Some((*counted, *logins)),
                _ => None,
            });
            Ok(match known {
                Some((true, true)) => format!("{client} starts from zero, and may log in again"),
                Some((true, false)) => format!("{client} starts anew"),
                Some((false, true)) => format!("{client} may log in again"),
                _ => format!("{client} had not sent anything"),
            })
        }
        Limits::ForgetNode { node } => {
            let name = node.clone();
            ask(config, &Request::ForgetNode { node: name })?;
            Ok(format!(
                "{node} is no longer waited for, until it comes back; write into budget.nodes how \
                 many are left (where one is: take budget out), and restart them"
            ))
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
    let done = answers.iter().find_map(|answer| match answer {
        Answer::Reloaded { changed, restart } => Some((changed, restart)),
        _ => None,
    });
    let Some((changed, restart)) = done else {
        return Err(Failed::new(NOT_ANSWERED.to_owned()));
    };
    let first = if restart.is_empty() {
        "reloaded".to_owned()
    } else {
        format!("reloaded; at the next restart only: {}", restart.join(", "))
    };
    let lines = changed.iter().map(|setting| format!("  {setting}"));
    let lines: Vec<_> = std::iter::once(first).chain(lines).collect();
    Ok(lines.join("\n"))
}
