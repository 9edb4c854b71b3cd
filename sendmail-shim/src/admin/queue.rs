//! The queue over the agent's control socket: `sendmail-shim queue`, `mailq`, `sendmail -bp`, `sendmail -q`.
//!
//! Failures: an agent that does not answer is exit status 69, as with Postfix, and the remedy.

use control::{
    self,
    listing::{self, Row},
};
use system::sysexits::Exit;

use super::{
    cli::QueueCommand,
    terminal::{Trouble, complain, say},
};
use crate::{
    config::settings::Settings,
    plan::Selector,
    queue::{Answer, Request},
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

/// `mailq`
pub fn list(settings: &Settings) -> Result<Exit, Trouble> {
    say(listing::mailq(&rows(settings)?).trim_end());
    Ok(Exit::Ok)
}

/// `sendmail -bP`
pub fn count(settings: &Settings) -> Result<Exit, Trouble> {
    say(rows(settings)?.len());
    Ok(Exit::Ok)
}

/// `sendmail -q`
pub fn flush(settings: &Settings, id: Option<String>) -> Result<Exit, Trouble> {
    let mut exit = Exit::Ok;
    ask(settings, &Request::Flush { id }, &mut |answer| {
        if let Answer::Refused(why) = answer {
            complain("sendmail-shim", why);
            exit = Exit::Unavailable;
        }
    })?;
    Ok(exit)
}

/// `sendmail -qIID`, `-qRTEXT`, `-qSTEXT`
pub fn flush_selected(settings: &Settings, selector: &Selector) -> Result<Exit, Trouble> {
    let mut exit = Exit::Ok;
    for row in rows(settings)? {
        let recipients: Vec<_> = row
            .recipients
            .iter()
            .map(|recipient| recipient.address.as_str())
            .collect();
        if selector.matches(&row.queue_id, &row.sender, &recipients) {
            let flushed = flush(settings, Some(row.queue_id))?;
            if flushed != Exit::Ok {
                exit = flushed;
            }
        }
    }
    Ok(exit)
}

fn rows(settings: &Settings) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    ask(settings, &Request::List, &mut |answer| {
        if let Answer::Row(row) = answer {
            rows.push(row);
        }
    })?;
    Ok(rows)
}

fn ask(
    settings: &Settings,
    request: &Request,
    each: &mut dyn FnMut(Answer),
) -> Result<(), Trouble> {
    control::ask(&settings.control, request, each).map_err(|error| {
        let socket = settings.control.display();
        let remedy = "start the agent: systemctl start sendmail-shim.socket";
        Trouble::new(
            Exit::Unavailable,
            format!("the mail queue is not available: {socket}: {error}; {remedy}"),
        )
    })
}
