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
