//! The settings as rows: name, type, default, range, meaning, value, and when a changed one is
//! taken. `config`, `check`, reload and the manual read them (row D7). Default and range of those
//! of one value are in [`super::forms`], for the parser too.
//!
//! | part | what |
//! |---|---|
//! | [`clients`], [`mail`], [`ways`], [`policy`], [`operation`] | the rows, in the manual's order |
//! | [`written`] | values of more than one word, as TOML |

mod clients;
mod mail;
mod operation;
mod policy;
mod ways;
mod written;

use settings::rows::{self, Setting};

use super::Config;
use written::Row;

/// All rows, in the order of the manual.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [
        clients::CLIENTS,
        mail::MAIL,
        ways::WAYS,
        policy::POLICY,
        operation::OPERATION,
    ]
    .into_iter()
    .flatten()
}

/// What is to be known of a setting; empty for a name that is none.
pub fn about(key: &str) -> String {
    let row = all().find(|row| row.covers(key));
    row.map_or_else(String::new, Row::about)
}

impl Config {
    /// All settings in effect, those of one transport together.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = rows::settings(all(), self);
        let transport = |setting: &Setting| written::transport_of(&setting.key).map(str::to_owned);
        let first = settings.iter().position(|it| transport(it).is_some());
        let last = settings.iter().rposition(|it| transport(it).is_some());
        if let (Some(first), Some(last)) = (first, last)
            && let Some(of_transports) = settings.get_mut(first..=last)
        {
            of_transports.sort_by_key(transport);
        }
        settings
    }

    /// Those that are set, as key and value.
    pub fn set(&self) -> Vec<(String, String)> {
        rows::set(self.settings()).collect()
    }

    /// Settings that differ from those of an empty file on this machine (`machine`), without those
    /// that only follow from another.
    pub fn changed_settings(&self, machine: &Self) -> Vec<Setting> {
        let default = machine.settings();
        let follows = self
            .basis()
            .map(|basis| basis.settings())
            .unwrap_or_default();
        let is_basis = |key: &str| all().any(|row| row.is_basis && row.covers(key));
        let changed = |setting: &Setting| {
            setting.value.is_some()
                && !default.contains(setting)
                && (is_basis(&setting.key) || !follows.contains(setting))
        };
        self.settings().into_iter().filter(changed).collect()
    }
}

/// Whether a changed setting is taken by a restart alone.
pub fn is_at_restart(key: &str) -> bool {
    all().any(|row| row.at_restart && row.covers(key))
}
