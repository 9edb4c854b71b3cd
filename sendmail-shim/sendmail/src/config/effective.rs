//! The settings as an administrator reads them: key, value, and whether it differs from the default
//! (row D7).

use std::{fmt::Display, path::Path, time::Duration};

use relay::token::Source;
use settings::{
    ConfigError,
    layers::{quote, strings},
};
use smtp::client::Security;

use super::settings::Settings;

/// One setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// As in the file; a table's key with its dot.
    pub key: &'static str,
    /// In TOML; empty if there is none.
    pub value: String,
    /// Whether it is what an empty file gives.
    pub default: bool,
}

/// All settings, in the order of the manual.
pub fn rows(settings: &Settings) -> Result<Vec<Row>, ConfigError> {
    let defaults = values(&Settings::parse(None, "")?);
    let rows = values(settings).into_iter().zip(defaults);
    Ok(rows
        .map(|((key, value), (_, default))| Row {
            key,
            default: value == default,
            value,
        })
        .collect())
}

/// All that is set, as a file would have it: read again, it gives the same settings.
pub fn text(settings: &Settings) -> String {
    let set = values(settings).into_iter();
    let set = set.filter(|(_, value)| !value.is_empty());
    let lines: Vec<_> = set.map(|(key, value)| format!("{key} = {value}")).collect();
    lines.join("\n")
}

/// Settings that are not the same: key, value of the one, value of the other.
pub fn differences(one: &Settings, other: &Settings) -> Vec<(&'static str, String, String)> {
    let pairs = values(one).into_iter().zip(values(other));
    let rows = pairs.map(|((key, one), (_, other))| (key, one, other));
    rows.filter(|(_, one, other)| one != other).collect()
}

fn values(settings: &Settings) -> Vec<(&'static str, String)> {
    let security = match settings.security {
        Security::None => "none",
        Security::Wrapped => "wrapped",
        Security::StartTls | Security::Opportunistic => "starttls",
    };
    let (auth, identity) = (settings.auth.as_ref(), settings.identity.as_ref());
    vec![
        ("relayhost", strings(&settings.relayhost)),
        ("domain", quoted(&settings.domain)),
        ("hostname", quoted(&settings.hostname)),
        ("pins", strings(&settings.pins)),
        (
            "admin",
            settings.admin.as_ref().map_or_else(String::new, quoted),
        ),
        ("tls", quoted(security)),
        (
            "auth.user",
            auth.map_or_else(String::new, |auth| quoted(&auth.user)),
        ),
        (
            "auth.token",
            auth.and_then(|auth| auth.token.as_ref())
                .map_or_else(String::new, token),
        ),
        (
            "auth.password_file",
            auth.and_then(|auth| auth.password_file.as_deref())
                .map_or_else(String::new, path),
        ),
        (
            "certificate",
            identity.map_or_else(String::new, |(certificate, _)| path(certificate)),
        ),
        (
            "key",
            identity.map_or_else(String::new, |(_, key)| path(key)),
        ),
        ("revaliases", path(&settings.revaliases)),
        ("aliases", path(&settings.aliases)),
        ("spool", path(&settings.spool)),
        ("socket", path(&settings.socket)),
        ("control", path(&settings.control)),
        ("smarthost_control", path(&settings.smarthost_control)),
        ("from_override", settings.from_override.to_string()),
        ("message_size", settings.message_size.to_string()),
        ("minimum_free", settings.minimum_free.to_string()),
        ("connections", settings.connections.to_string()),
        ("retry.minimal", span(settings.retry.minimal)),
        ("retry.maximal", span(settings.retry.maximal)),
        ("retry.lifetime", span(settings.retry.lifetime)),
        ("retry.warning", span(settings.warning.unwrap_or_default())),
        ("listen", strings(&settings.listen)),
        (
            "collapse.window",
            span(settings.collapse.unwrap_or_default()),
        ),
        ("budget", settings.budget.map_or_else(String::new, quoted)),
        (
            "share.size",
            settings
                .share
                .size
                .map_or_else(String::new, |size| size.to_string()),
        ),
        ("share.recipients", settings.share.recipients.to_string()),
    ]
}

fn quoted(value: impl Display) -> String {
    quote(&value.to_string())
}

fn token(source: &Source) -> String {
    match source {
        Source::Command(words) => format!("{{ command = {} }}", strings(words.as_slice())),
        Source::File(file) => format!("{{ file = {} }}", path(file)),
    }
}

fn path(path: &Path) -> String {
    quoted(path.display())
}

/// In the largest unit that gives a whole number.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        s if s % 86_400 == 0 && s > 0 => (s / 86_400, 'd'),
        s if s % 3600 == 0 && s > 0 => (s / 3600, 'h'),
        s if s % 60 == 0 && s > 0 => (s / 60, 'm'),
        s => (s, 's'),
    };
    format!("\"{count}{unit}\"")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{text as text_of, *};

    /// Row D7.
    #[test]
    fn the_settings_that_differ_from_the_default_are_told_in_a_form_that_can_be_pasted_back() {
        let text = "relayhost = [\"[192.0.2.1]:2525\", \"b.example\"]\nspool = \"/srv/q\"\n[retry]\nlifetime = \"36h\"\n";
        let settings =
            Settings::parse(Some(Path::new("/etc/sendmail-shim/config.toml")), text).unwrap();
        let rows = rows(&settings).unwrap();
        let different: Vec<_> = rows.iter().filter(|row| !row.default).collect();
        assert_eq!(
            different.iter().map(|row| row.key).collect::<Vec<_>>(),
            ["relayhost", "spool", "retry.lifetime"]
        );
        let again = text_of(&settings);
        let file = settings.files.first().map(PathBuf::as_path);
        assert_eq!(Settings::parse(file, &again).unwrap(), settings);
        let defaults = Settings::parse(file, "").unwrap();
        let differing = differences(&settings, &defaults);
        let keys: Vec<_> = differing.iter().map(|(key, ..)| *key).collect();
        assert_eq!(keys, ["relayhost", "spool", "retry.lifetime"]);
    }
}
