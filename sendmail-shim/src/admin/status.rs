//! `sendmail-shim status`: what the agent says of itself.

use mail::clock;
use sendmail::listing::REMEDY;
use system::sysexits::Exit;

use crate::{
    config::settings::Settings,
    queue::{Answer, Request},
    terminal::{CommandError, say},
};

/// Asks, and tells: 69 when no agent answers.
pub(super) fn run(settings: &Settings, json: bool) -> Result<Exit, CommandError> {
    let mut told = None;
    control::ask(&settings.control, &Request::Status, &mut |answer| {
        if let Answer::Status(status) = answer {
            told = Some(status);
        }
    })
    .map_err(|error| CommandError::new(control::exit(&error), control::told(&error, REMEDY)))?;
    let Some(status) = told else {
        let why = "the agent does not tell: it is of another version";
        return Err(CommandError::new(Exit::NotDone, why));
    };
    if json {
        // Texts and numbers always have a JSON form.
        say(serde_json::to_string(&status).unwrap_or_default());
    } else {
        say(console::status::text(&status, clock::now()));
    }
    Ok(Exit::Ok)
}
