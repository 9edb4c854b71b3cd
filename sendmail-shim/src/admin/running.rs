//! What the agent that runs says of itself.

use std::{io, path::PathBuf};

use ::settings::rows::Difference;
use control::status::Status;
use mail::masked::places_only;

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
    self::settings(settings).is_ok_and(|it| differences(&it, settings).is_empty())
}

/// What differs between the settings that it told and those of the files. It tells no secrets, so
/// that one which is another now is not seen.
pub(super) fn differences(told: &Settings, files: &Settings) -> Vec<Difference> {
    let mut differing = rows::differences(told, files);
    differing.retain(|(_, has, says)| places_only(has) != places_only(says));
    differing
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_with_a_secret_are_no_others_because_the_agent_does_not_tell_it() {
        let read = |text: &str| Settings::parse(None, text).unwrap();
        let files = |command: &str, hostname: &str| {
            read(&format!(
                "relayhost = \"r.example\"\ndomain = \"example.org\"\nhostname = \"{hostname}\"\n\
                 [auth]\nuser = \"u\"\ntoken = {{ command = [{command}] }}\n"
            ))
        };
        let command = "\"/usr/bin/token\", \"https://u:Hunter2@x/\", \"--password=Hunter3\"";
        let settings = files(command, "vm1.example.org");
        let told = rows::text(&settings);
        assert!(!told.contains("Hunter"), "{told}");
        let told = read(&told);
        assert_eq!(differences(&told, &settings), []);
        let others = differences(&told, &files(command, "vm2.example.org"));
        let keys: Vec<_> = others.iter().map(|(key, ..)| key.as_str()).collect();
        assert_eq!(keys, ["hostname"]);
        let other = files("\"/usr/bin/other\"", "vm1.example.org");
        assert_eq!(differences(&told, &other).len(), 1);
    }
}
