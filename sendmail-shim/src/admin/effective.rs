//! `sendmail-shim config`: the settings that differ from the default (row D7).

use std::path::PathBuf;

use console::config::text;
use settings::{layers::Layer, provision};
use system::{read, sysexits::Exit};

use crate::config::{rows, settings::Settings};
use crate::terminal::{CommandError, say};

/// Prints them as TOML that can be pasted back; all of them with what they mean.
pub fn print(settings: &Settings, all: bool) -> Result<Exit, CommandError> {
    let layer = |path: &PathBuf| Some((path.clone(), read::text(path, provision::MOST).ok()?));
    let layers: Vec<Layer> = settings.files.iter().filter_map(layer).collect();
    let default = rows::all(&Settings::parse(None, "")?);
    let mut shown = rows::all(settings);
    shown.retain(|setting| all || !default.contains(setting));
    let about = all.then_some(rows::about as fn(&str) -> String);
    say(text(&layers, &shown, &default, about).trim_end());
    Ok(Exit::Ok)
}
