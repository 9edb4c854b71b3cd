//! A configuration in several files of one directory: the administrator's own, and those that are
//! written for him.
//!
//! | what decides first | who writes it |
//! |---|---|
//! | `config.toml` | the administrator |
//! | `credential.toml` | `provision --credential`: what the machine was started with |
//! | `debconf.toml` | `provision --answers`: the answers to the package's questions |
//!
//! Contract: what a file leaves open, the next one decides, key by key, also within a table.
//! Nothing is added up: a list replaces the list below.
//! Failures: [`ConfigError`] with its place; what stands in no file names them all.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    fmt::Write as _,
    ops::Range,
    path::{Path, PathBuf},
};

use mail::masked::MASK;
use serde_spanned::Spanned;
use toml::{
    de::{DeTable, DeValue},
    map::Entry,
};

use super::{
    error::{ConfigError, error_at},
    written::one_or_list,
};

/// The administrator's file.
pub const OWN: &str = "config.toml";
/// From a credential of the machine.
pub const CREDENTIAL: &str = "credential.toml";
/// From the package's questions.
pub const ANSWERS: &str = "debconf.toml";
/// The one that decides first comes first.
pub const LAYERS: [&str; 3] = [OWN, CREDENTIAL, ANSWERS];

/// What the units that are shipped hide (`ProtectHome=`, `PrivateTmp=`).
const UNSEEN: [&str; 5] = ["/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"];
/// What is to be done about a file there.
pub const HIDDEN: &str = "the unit hides /home, /root, /run/user, /tmp and /var/tmp (ProtectHome=, PrivateTmp=): \
     move it below /etc or /var/lib, or change that with systemctl edit";

/// A file and its text.
pub type Layer = (PathBuf, String);

/// What is wrong with a setting whose value could be read (a file that it names cannot be used,
/// say): told with the place of the setting, or of an item where it is a list; or with the files if
/// it stands in none.
pub fn wrong_at(layers: &[Layer], key: &str, index: Option<usize>, what: &str) -> ConfigError {
    let path: Vec<_> = key.split('.').collect();
    match layers.iter().find_map(|layer| span_in(layer, &path, index)) {
        Some((path, text, span)) => error_at(path, text, span, what),
        None => wrong(layers, what),
    }
}

/// File and line, from 1, of a setting, by its table's names and its own: of the value with this
/// index, where it is a list.
/// `None`: it stands in no file.
pub fn place(layers: &[Layer], key: &[&str], index: Option<usize>) -> Option<(PathBuf, u32)> {
    let (path, text, span) = layers.iter().find_map(|layer| span_in(layer, key, index))?;
    let before = text.get(..span.start)?;
    let line = before.matches('\n').count().saturating_add(1);
    Some((path.to_owned(), u32::try_from(line).ok()?))
}

/// Where a setting stands in a file.
fn span_in<'a>(
    (path, text): &'a Layer,
    key: &[&str],
    index: Option<usize>,
) -> Option<(&'a Path, &'a str, Range<usize>)> {
    let (table, _) = DeTable::parse_recoverable(text);
    let (last, parents) = key.split_last()?;
    let mut inside = table.get_ref();
    for part in parents {
        match inside.get(*part)?.get_ref() {
            DeValue::Table(table) => inside = table,
            _ => return None,
        }
    }
    let (key, value) = inside.get_key_value(*last)?;
    let item = match (value.get_ref(), index) {
        (DeValue::Array(items), Some(index)) => items.get(index).map(Spanned::span),
        _ => None,
    };
    Some((path, text, item.unwrap_or_else(|| key.span())))
}

/// Settings whose value is a path, or ends in one behind a colon, that the units hide: key and
/// path.
pub fn hidden(layers: &[Layer]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (_, text) in layers {
        let (table, _) = DeTable::parse_recoverable(text);
        for (key, value) in table.get_ref() {
            look_into(key.get_ref(), value.get_ref(), &mut found);
        }
    }
    found
}

fn look_into(key: &str, value: &DeValue<'_>, found: &mut Vec<(String, String)>) {
    match value {
        DeValue::String(text) => {
            let path = text.find('/').and_then(|at| text.split_at_checked(at));
            let path = path.filter(|(kind, _)| kind.is_empty() || kind.ends_with(':'));
            if let Some((_, path)) = path
                && UNSEEN.iter().any(|unseen| path.starts_with(unseen))
            {
                found.push((key.to_owned(), path.to_owned()));
            }
        }
        DeValue::Array(items) => {
            for item in items {
                look_into(key, item.get_ref(), found);
            }
        }
        DeValue::Table(table) => {
            for (name, value) in table {
                look_into(&format!("{key}.{}", name.get_ref()), value.get_ref(), found);
            }
        }
        _ => {}
    }
}

/// What is wrong, and stands in none of the files.
pub fn wrong(layers: &[Layer], what: &str) -> ConfigError {
    if layers.is_empty() {
        let text = format!("the defaults: {what}");
        return ConfigError { text };
    }
    let files: Vec<_> = layers
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    ConfigError {
        text: format!("{}: {what}", files.join(" over ")),
    }
}

/// What a file leaves open, the next one decides.
pub(super) fn lay_below<'a>(
    above: &mut DeTable<'a>,
    below: DeTable<'a>,
    synonyms: &[(&str, &'static str)],
) {
    for (key, value) in below {
        let synonym = synonyms.iter().find(|(name, _)| name == key.get_ref());
        let key = synonym.map_or(key.clone(), |(_, first)| {
            Spanned::new(key.span(), (*first).into())
        });
        match above.entry(key) {
            Entry::Vacant(free) => {
                free.insert(value);
            }
            Entry::Occupied(mut taken) => {
                if let (DeValue::Table(above), DeValue::Table(below)) =
                    (taken.get_mut().get_mut(), value.into_inner())
                {
                    lay_below(above, below, &[]);
                }
            }
        }
    }
}

/// A word of the command line that can be an answer, as it was typed.
pub fn answer(typed: &str) -> Result<String, String> {
    parted(typed).map(|_| typed.to_owned())
}

fn parted(answer: &str) -> Result<(&str, &str), String> {
    let letters = |part: &str| part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_'));
    let is_part = |part: &str| !part.is_empty() && letters(part);
    let parted = answer.split_once('=');
    let parted = parted.filter(|(key, _)| key.split('.').all(is_part));
    // What was typed may be the value alone, and that a secret.
    parted.ok_or_else(|| {
        let key = answer.split_once('=').map_or("", |(key, _)| key);
        let plain = key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let shown = if plain && !key.is_empty() { key } else { MASK };
        format!("{shown}: write KEY=VALUE, such as relayhost=mail.example.org")
    })
}

/// Answers, each `KEY=VALUE`, as TOML: several words in a value, between spaces or commas, are a
/// list; none, no setting.
pub fn answers(given: &[String]) -> Result<String, ConfigError> {
    let mut text = String::new();
    for answer in given {
        let (key, value) = parted(answer).map_err(|text| ConfigError { text })?;
        let words = value
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty());
        let words: Vec<_> = words.collect();
        if !words.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} = {}", one_or_list(&words));
        }
    }
    Ok(text)
}
