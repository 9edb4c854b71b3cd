//! `sendmail-shim config`: the settings that differ from the default (row D7).

use shared::sysexits::Exit;

use super::terminal::{Trouble, say};
use crate::config::{effective, settings::Settings};

/// Prints them as TOML that can be pasted back.
pub fn print(settings: &Settings, all: bool) -> Result<Exit, Trouble> {
    match &settings.path {
        Some(path) => say(format_args!("# {}", path.display())),
        None => say("# no configuration file: defaults"),
    }
    for row in effective::rows(settings)?
        .iter()
        .filter(|row| all || !row.default)
    {
        let note = if all && !row.default {
            "    # not the default"
        } else {
            ""
        };
        say(format_args!("{} = {}{note}", row.key, row.value));
    }
    Ok(Exit::Ok)
}
