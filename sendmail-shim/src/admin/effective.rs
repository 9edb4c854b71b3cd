//! `sendmail-shim config`: the settings that differ from the default (row D7).

use system::sysexits::Exit;

use crate::config::{effective, meaning, settings::Settings};
use crate::terminal::{Trouble, say};

/// Prints them as TOML that can be pasted back; all of them with what they mean.
pub fn print(settings: &Settings, all: bool) -> Result<Exit, Trouble> {
    for file in &settings.files {
        say(format_args!("# {}", file.display()));
    }
    if settings.files.is_empty() {
        say("# no configuration file: defaults");
    }
    for row in effective::rows(settings)?
        .iter()
        .filter(|row| all || !row.default)
    {
        if all {
            say(format_args!("\n# {}", meaning::of(row.key)));
        }
        match row.value.as_str() {
            "" => say(format_args!("# {} is not set", row.key)),
            value if all && !row.default => {
                say(format_args!("{} = {value}    # not the default", row.key));
            }
            value => say(format_args!("{} = {value}", row.key)),
        }
    }
    Ok(Exit::Ok)
}
