//! The queue over the agent's control socket: `mailq`, `sendmail -bp`, `-bP`, `-q`.
//!
//! Failures: an agent that does not answer is exit status 69, as with Postfix, and the remedy.

use control::{
    listing::{self, Row},
    order::{Answer, Order, Request, Selection},
};
use system::sysexits::Exit;

use super::terminal::{Trouble, complain, say};
use crate::{config::settings::Settings, plan::Selector};

/// What to do when no agent answers.
pub const REMEDY: &str = "start the agent: systemctl start sendmail-shim.socket";

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

/// `sendmail -q`, `-qIID`, `-qRTEXT`, `-qSTEXT`
pub fn flush(settings: &Settings, selector: Option<&Selector>) -> Result<Exit, Trouble> {
    let selection = match selector {
        None => Selection::all(),
        Some(selector) => selected(settings, selector)?,
    };
    if !selection.names_something() {
        return Ok(Exit::Ok);
    }
    let order = Order::Flush;
    let mut exit = Exit::Ok;
    ask(
        settings,
        &Request::Change { order, selection },
        &mut |answer| {
            if let Answer::Refused(why) = answer {
                complain("sendmail", why);
                exit = Exit::TempFail;
            }
        },
    )?;
    Ok(exit)
}

fn selected(settings: &Settings, selector: &Selector) -> Result<Selection, Trouble> {
    let meant = rows(settings)?.into_iter().filter(|row| {
        let recipients = row.recipients.iter();
        let recipients: Vec<_> = recipients.map(|it| it.address.as_str()).collect();
        selector.matches(&row.queue_id, &row.sender, &recipients)
    });
    Ok(Selection::ids(meant.map(|row| row.queue_id).collect()))
}

fn rows(settings: &Settings) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    let everything = Request::List(Selection::default());
    ask(settings, &everything, &mut |answer| {
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
        Trouble::new(
            Exit::Unavailable,
            format!(
                "the mail queue is not available: {}",
                control::told(&error, REMEDY)
            ),
        )
    })
}
