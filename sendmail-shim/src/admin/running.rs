//! What the agent that runs says of itself.

use std::{io, path::PathBuf};

use control::status::Status;

use crate::{
    config::{rows, settings::Settings},
    queue::{Answer, Request},
};

/// The settings that it has; the error: why they are not known.
pub(super) fn settings(of: &Settings) -> Result<Settings, String> {
    let text = asked(of, &Request::Settings, |answer| match answer {
        Answer::Settings(text) => Some(text),
        _ => None,
    });
    let text = text.map_err(|error| error.to_string())?;
    let file = of.files.first().map(PathBuf::as_path);
    Settings::parse(file, &text).map_err(|error| error.text)
}

/// Whether it has these.
pub(super) fn has(settings: &Settings) -> bool {
    self::settings(settings).is_ok_and(|it| rows::differences(&it, settings).is_empty())
}

/// How it does.
pub(super) fn status(of: &Settings) -> io::Result<Status> {
    asked(of, &Request::Status, |answer| match answer {
        Answer::Status(status) => Some(*status),
        _ => None,
    })
}

fn asked<T>(
    settings: &Settings,
    request: &Request,
    wanted: impl Fn(Answer) -> Option<T>,
) -> io::Result<T> {
    let mut found = None;
    control::ask(&settings.control, request, &mut |answer| {
        found = wanted(answer).or_else(|| found.take());
    })?;
    let other = || io::Error::other("it does not tell them: it is of another version");
    found.ok_or_else(other)
}
