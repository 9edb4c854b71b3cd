//! The queue over the agent's control socket: `mailq`, `sendmail -bp`, `-bP`, `-q`.
//!
//! Where a smarthost runs on the same machine, whoever may ask it sees its queue too, each under
//! its program's name.
//!
//! Failures: an agent that does not answer is exit status 69, as with Postfix, and the remedy.

use std::{io, path::Path};

use control::{
    listing::{self, Row},
    order::{Answer, Order, Request, Selection},
};
use system::sysexits::Exit;

use super::terminal::{CommandError, complain, say};
use crate::{
    config::settings::Settings,
    plan::{Part, Selector},
};

/// What to do when no agent answers.
pub const REMEDY: &str = "start the agent: systemctl start sendmail-shim.socket";

/// `mailq`
pub fn list(settings: &Settings) -> Result<Exit, CommandError> {
    let own = rows(settings);
    let Some(relayed) = smarthosts(settings) else {
        say(listing::mailq(&own?).trim_end());
        return Ok(Exit::Ok);
    };
    if let Ok(own) = &own {
        say(format_args!("sendmail-shim:\n{}", listing::mailq(own)));
    }
    say(format_args!(
        "smarthost:\n{}",
        listing::mailq(&relayed).trim_end()
    ));
    own.map(|_| Exit::Ok)
}

/// `sendmail -bP`
pub fn count(settings: &Settings) -> Result<Exit, CommandError> {
    let relayed = smarthosts(settings).unwrap_or_default();
    say(rows(settings)?.len().saturating_add(relayed.len()));
    Ok(Exit::Ok)
}

/// `sendmail -q`, `-qIID`, `-qRTEXT`, `-qSTEXT`
pub fn flush(settings: &Settings, selector: Option<&Selector>) -> Result<Exit, CommandError> {
    let selection = match selector {
        None => Selection::all(),
        Some(selector) => selected(settings, selector)?,
    };
    if !selection.names_something() {
        return Ok(selector.map_or(Exit::Ok, none_selected));
    }
    let order = Order::Flush;
    let mut exit = Exit::Ok;
    let mut ended = false;
    ask(
        settings,
        &Request::Change { order, selection },
        &mut |answer| {
            ended |= matches!(answer, Answer::Refused(_) | Answer::Changed(_));
            if let Answer::Refused(why) = answer {
                complain("sendmail", why);
                exit = Exit::TempFail;
            }
        },
    )?;
    if !ended {
        complain("sendmail", "the agent ended before it had answered");
        exit = Exit::TempFail;
    }
    Ok(exit)
}

/// A message that is named is wanted; of a part of the queue, none may wait, as with Postfix and
/// Sendmail. Another user's is as unknown as one that is not there.
fn none_selected(selector: &Selector) -> Exit {
    let Selector { part, text, others } = selector;
    let (not, text) = (if *others { "!" } else { "" }, text.escape_debug());
    let (letter, place) = match part {
        Part::QueueId => ('I', "its id"),
        Part::Recipient => ('R', "a recipient"),
        Part::Sender => ('S', "its sender"),
    };
    let with = if *others { "without" } else { "with" };
    let told = format_args!(
        "-q{not}{letter}{text}: no message {with} that in {place} is in the queue, or it is not yours"
    );
    complain("sendmail", told);
    if *part == Part::QueueId && !others {
        Exit::Unavailable
    } else {
        Exit::Ok
    }
}

fn selected(settings: &Settings, selector: &Selector) -> Result<Selection, CommandError> {
    let meant = rows(settings)?.into_iter().filter(|row| {
        let recipients = row.recipients.iter();
        let recipients: Vec<_> = recipients.map(|it| it.address.as_str()).collect();
        selector.matches(&row.queue_id, &row.sender, &recipients)
    });
    Ok(Selection::ids(meant.map(|row| row.queue_id).collect()))
}

fn rows(settings: &Settings) -> Result<Vec<Row>, CommandError> {
    all(&settings.control).map_err(|error| unavailable(&error))
}

/// The queue of a smarthost on this machine; `None`: there is none that tells this user.
fn smarthosts(settings: &Settings) -> Option<Vec<Row>> {
    match all(&settings.smarthost_control) {
        Ok(rows) => Some(rows),
        Err(error) => {
            let none = matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            );
            if !none {
                complain(
                    "sendmail",
                    format_args!("the smarthost's queue is not shown: {error}"),
                );
            }
            None
        }
    }
}

fn all(socket: &Path) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut refused = None;
    let everything = Request::List(Selection::default());
    control::ask(socket, &everything, &mut |answer| match answer {
        Answer::Row(row) => rows.push(row),
        Answer::Refused(why) => refused = Some(why),
        _ => {}
    })?;
    match refused {
        Some(why) if rows.is_empty() => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
        _ => Ok(rows),
    }
}

fn ask(
    settings: &Settings,
    request: &Request,
    each: &mut dyn FnMut(Answer),
) -> Result<(), CommandError> {
    control::ask(&settings.control, request, each).map_err(|error| unavailable(&error))
}

fn unavailable(error: &io::Error) -> CommandError {
    let told = control::told(error, REMEDY);
    CommandError::new(
        control::exit(error),
        format!("the mail queue is not available: {told}"),
    )
}
