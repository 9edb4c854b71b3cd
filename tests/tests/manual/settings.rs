//! The settings of both configurations: key, default, sentence.

use std::path::Path;

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

pub(crate) fn of_sendmail_shim() -> String {
    use sendmail::config::{effective, meaning, settings::Settings};
    let rows = effective::rows(&Settings::parse(None, "").unwrap()).unwrap();
    rows.iter()
        .map(|row| entry(row.key, &row.value, meaning::of(row.key)))
        .collect()
}

pub(crate) fn of_smarthost() -> String {
    use smarthost::config::{Config, meaning};
    let defaults = Config::parse(Path::new("/etc/smarthost/config.toml"), "", "localhost")
        .unwrap()
        .settings();
    let default_of = |key: &str| {
        defaults
            .iter()
            .find(|setting| setting.key == key)
            .map_or("", |setting| &setting.value)
    };
    meaning::all()
        .map(|(key, sentence)| entry(key, default_of(key), sentence))
        .collect()
}

/// The configuration of a machine as a file in which everything stands, with its default, as a
/// comment.
pub(crate) fn example_of_sendmail_shim() -> String {
    use sendmail::config::{effective, meaning, settings::Settings};
    let rows = effective::rows(&Settings::parse(None, "").unwrap()).unwrap();
    let mut text = String::from(
        "# /etc/sendmail-shim/config.toml: all settings, each with its default where it has one.\n\
         # `sendmail-shim check` tells what is wrong with them, `sendmail-shim config` which differ.\n",
    );
    for row in rows {
        text.push_str("\n#");
        let mut width = 1;
        for word in meaning::of(row.key).split(' ') {
            if width + word.len() > 96 {
                text.push_str("\n#");
                width = 1;
            }
            text.push(' ');
            text.push_str(word);
            width += word.len() + 1;
        }
        let of_the_machine = OF_THE_MACHINE.contains(&row.key);
        let default = if of_the_machine {
            ""
        } else {
            row.value.as_str()
        };
        text.push_str(format!("\n#{} = {default}", row.key).trim_end());
        text.push('\n');
    }
    text
}
