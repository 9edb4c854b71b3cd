//! The queue over the agent's control socket: `sendmail-shim queue`.
//!
//! Failures: an agent that does not answer is exit status 69, as with Postfix, and the remedy.

use control::listing;
use sendmail::listing::{ask, list};
use system::sysexits::Exit;

use super::cli::QueueCommand;
use crate::{
    config::settings::Settings,
    queue::{Answer, Request},
    terminal::{Trouble, complain, say},
};

/// `sendmail-shim queue COMMAND`
pub fn run(settings: &Settings, command: QueueCommand, json: bool) -> Result<Exit, Trouble> {
    let tell: fn(&Answer, &str) = if json { tell_json } else { tell };
    let (request, done) = match command {
        QueueCommand::List if json => (Request::List, "listed"),
        QueueCommand::List => return list(settings),
        QueueCommand::Show { id } => (Request::Show { id }, "shown"),
        QueueCommand::Flush { id } => (Request::Flush { id }, "to be tried now"),
        QueueCommand::Hold { ids } => (Request::Hold { ids }, "held"),
        QueueCommand::Release { ids } => (Request::Release { ids }, "released"),
        QueueCommand::Delete { ids } => (Request::Delete { ids }, "deleted"),
        QueueCommand::Bounce { ids } => (Request::Bounce { ids }, "to be returned"),
    };
    let mut exit = Exit::Ok;
    ask(settings, &request, &mut |answer| {
        if let Answer::Refused(why) = &answer {
            complain("sendmail-shim", why);
            exit = Exit::Unavailable;
        }
        tell(&answer, done);
    })?;
    Ok(exit)
}

fn tell(answer: &Answer, done: &str) {
    match answer {
        Answer::Row(row) => say(listing::mailq(std::slice::from_ref(row)).trim_end()),
        Answer::Text(text) => say(text),
        Answer::Attempt(row) => say(format_args!("{}: {}", row.recipient, row.text)),
        Answer::Changed(1) => say(format_args!("1 message {done}")),
        Answer::Changed(count) => say(format_args!("{count} messages {done}")),
        Answer::Refused(_) => {}
    }
}

/// A message as `postqueue -j` has it, anything else as the agent said it.
fn tell_json(answer: &Answer, _done: &str) {
    match answer {
        Answer::Row(row) => say(listing::json_lines(std::slice::from_ref(row)).trim_end()),
        // Text and numbers always have a JSON form.
        other => say(serde_json::to_string(other).unwrap_or_default()),
    }
}
