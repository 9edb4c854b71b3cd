//! The queue over the agent's control socket: `mailq`, `sendmail -bp`, `-bP`, `-q`.
//!
//! Failures: an agent that does not answer is exit status 69, as with Postfix, and the remedy.

use control::{
    self,
    listing::{self, Row},
};
use system::sysexits::Exit;

use super::terminal::{Trouble, complain, say};
use crate::{
    config::settings::Settings,
    plan::Selector,
    queue::{Answer, Request},
};

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
            complain("sendmail", why);
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

/// Asks the agent; `each` gets the answers.
pub fn ask(
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
