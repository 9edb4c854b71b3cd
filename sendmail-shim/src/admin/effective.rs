//! `sendmail-shim config`: the settings that differ from the default (row D7).

use std::path::PathBuf;

use console::config::{Row, text};
use settings::{layers::Layer, provision};
use system::{read, sysexits::Exit};

use crate::config::{effective, meaning, settings::Settings};
use crate::terminal::{Trouble, say};

/// Prints them as TOML that can be pasted back; all of them with what they mean.
pub fn print(settings: &Settings, all: bool) -> Result<Exit, Trouble> {
    let layer = |path: &PathBuf| Some((path.clone(), read::text(path, provision::MOST).ok()?));
    let layers: Vec<Layer> = settings.files.iter().filter_map(layer).collect();
    let row = |row: effective::Row| Row {
        key: row.key.to_owned(),
        value: row.value,
        default: row.default,
    };
    let rows = effective::rows(settings)?.into_iter().map(row);
    let rows: Vec<_> = rows.filter(|row| all || !row.default).collect();
    say(text(&layers, &rows, all.then_some(meaning::of)).trim_end());
    Ok(Exit::Ok)
}
