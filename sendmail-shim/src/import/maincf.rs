//! Where `main.cf` is, and the places of its settings; crate `postfix` reads its text.

use postfix::Settings;

use super::source::{Lookup, Place, Source};

/// Where it is.
pub(super) const CONFIG: &str = "/etc/postfix/main.cf";

/// Its settings, with those that others stand on.
pub(super) fn settings(source: &Source, lookup: &Lookup<'_>) -> Settings {
    let machine = lookup("/etc/hostname");
    let machine = machine.and_then(|source| source.text.lines().next().map(str::to_owned));
    Settings::read(&source.text, &machine.unwrap_or_default())
}

/// Where a setting is written.
pub(super) fn place<'a>(settings: &Settings, key: &str) -> Place<'a> {
    let line = settings.line(key);
    Place {
        path: CONFIG,
        line: line
            .and_then(|line| usize::try_from(line).ok())
            .unwrap_or(1),
    }
}
