//! The settings of both configurations: key, default, sentence.

use std::path::Path;

use sendmail::config::{rows, settings::Settings};
use settings::rows::Setting;
use smarthost::config::Config;

use crate::roff;

/// Defaults that depend on the machine are told in the sentence instead.
const OF_THE_MACHINE: &[&str] = &["hostname", "domain", "domains.local", "networks", "listen"];

fn entry(key: &str, default: &str, sentence: &str) -> String {
    let told = OF_THE_MACHINE.contains(&key) || sentence.contains("Default:");
    let about = match default {
        "" | "[]" => sentence.to_owned(),
        _ if told => sentence.to_owned(),
        default => format!("{sentence} Default: {default}."),
    };
    roff::item(&roff::bold(key), &about)
}

fn empty() -> Settings {
    Settings::parse(None, "").expect("an empty file is a configuration")
}

/// Value of a setting that has one.
fn shown(setting: &Setting) -> &str {
    setting.value.as_deref().unwrap_or_default()
}

pub(crate) fn of_sendmail_shim() -> String {
    let settings = rows::all(&empty());
    settings
        .iter()
        .map(|it| entry(&it.key, shown(it), rows::meaning(&it.key)))
        .collect()
}

pub(crate) fn of_smarthost() -> String {
    let file = Path::new("/etc/smarthost/config.toml");
    let defaults = Config::parse(file, "", "localhost").expect("an empty file is a configuration");
    smarthost::config::rows::all()
        .map(|row| match row.settings(&defaults).as_slice() {
            [one] => entry(row.key, shown(one), row.meaning),
            _ => entry(row.key, "", row.meaning),
        })
        .collect()
}

/// The configuration of a machine as a file in which everything stands, with its default, as a
/// comment.
pub(crate) fn example_of_sendmail_shim() -> String {
    let settings = rows::all(&empty());
    let mut text = String::from(
        "# /etc/sendmail-shim/config.toml: all settings, each with its default where it has one.\n\
         # `sendmail-shim check` tells what is wrong with them, `sendmail-shim config` which differ.\n",
    );
    for setting in settings {
        text.push_str("\n#");
        let mut width = 1;
        for word in rows::meaning(&setting.key).split(' ') {
            if width + word.len() > 96 {
                text.push_str("\n#");
                width = 1;
            }
            text.push(' ');
            text.push_str(word);
            width += word.len() + 1;
        }
        let of_the_machine = OF_THE_MACHINE.contains(&setting.key.as_str());
        let default = if of_the_machine { "" } else { shown(&setting) };
        text.push_str(format!("\n#{} = {default}", setting.key).trim_end());
        text.push('\n');
    }
    text
}
