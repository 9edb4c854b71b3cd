//! Asks the daemon over its control socket.

use std::{io, os::unix::net::UnixStream, path::Path};

use control::order;
use system::sysexits::Exit;

use super::failed::Failed;
use crate::{
    admin::{Answer, Request},
    config::Config,
    explain::Asked,
};

pub(super) const REMEDY: &str = "start it (systemctl start smarthost), or name its --config FILE";

/// What the daemon would do; `None` if it does not run.
pub(super) fn explain(config: &Path, asked: &Asked) -> Result<Option<String>, Failed> {
    let Ok((found, _)) = Config::load_anyway(config) else {
        return Ok(None);
    };
    if let Err(error) = UnixStream::connect(&found.control)
        && let io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused = error.kind()
    {
        return Ok(None);
    }
    let answers = ask(config, &Request::Explain(asked.clone()))?;
    let pieces = answers.iter().filter_map(|answer| match answer {
        Answer::Explained(piece) => Some(piece.as_str()),
        _ => None,
    });
    Ok(Some(pieces.collect()))
}

/// All answers; the first error among them fails the command (what else was asked is done all the same).
pub(super) fn ask(config: &Path, request: &Request) -> Result<Vec<Answer>, Failed> {
    // The daemon is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let mut answers = Vec::new();
    control::ask(&config.control, request, &mut |answer: Answer| {
        answers.push(answer);
    })
    .map_err(|error| {
        let exit = Exit::Unavailable.into();
        let told = control::told(&error, REMEDY);
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failed {
                text: format!("smarthost does not run with this configuration: {told}"),
                exit,
            },
            io::ErrorKind::PermissionDenied => Failed {
                text: format!("{told}; ask as root or as the user that smarthost runs as"),
                exit: Exit::NotDone.into(),
            },
            _ => Failed { text: told, exit },
        }
    })?;
    let errors: Vec<&str> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Queue(order::Answer::Refused(text)) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if errors.is_empty() {
        Ok(answers)
    } else {
        Err(Failed::new(errors.join("\n")))
    }
}
