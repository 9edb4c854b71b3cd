//! `config`: what is set, where it stands, and what it means (row D7).
//!
//! Contract: what is printed is TOML that can be pasted back and means the same; above each value
//! stands, as a comment, the file and line that it comes from, so that a line is what a script
//! looks for.

use std::fmt::Write as _;

use settings::{
    layers::{self, Layer},
    rows::Setting,
};

/// Which settings are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::Args)]
pub struct Which {
    /// Print all settings in effect, each with its meaning
    #[arg(long)]
    pub all: bool,
    /// Print those that differ from the default (as without an option)
    #[arg(long, conflicts_with = "all")]
    pub changed: bool,
}

/// The text of settings. `default`: those of an empty file. `about`: what is to be known of one.
pub fn text(
    layers: &[Layer],
    settings: &[Setting],
    default: &[Setting],
    about: Option<fn(&str) -> String>,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (path, _) in layers {
        let _ = writeln!(text, "# {}", path.display());
    }
    if layers.is_empty() {
        text.push_str("# no configuration file: defaults\n");
    }
    for setting in settings {
        if let Some(about) = about {
            let _ = writeln!(text, "\n# {}", about(&setting.key));
        }
        if setting.value.is_some() {
            let place = origin(layers, &setting.key, default.contains(setting));
            let _ = writeln!(text, "# {place}");
        }
        let _ = writeln!(text, "{setting}");
    }
    text
}

/// Where a value comes from.
fn origin(layers: &[Layer], key: &str, is_default: bool) -> String {
    let parts = parts(key);
    // A table may be written as one value.
    let place = (1..=parts.len()).rev().find_map(|length| {
        let key: Vec<&str> = parts.iter().take(length).map(String::as_str).collect();
        layers::place(layers, &key, None)
    });
    match (place, is_default) {
        (Some((path, line)), _) => format!("{}:{line}", path.display()),
        (None, true) => "default".to_owned(),
        (None, false) => "follows from other settings".to_owned(),
    }
}

/// The names of a dotted key.
fn parts(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in key.chars() {
        match (character, parts.last_mut()) {
            ('"', _) => quoted = !quoted,
            ('.', _) if !quoted => parts.push(String::new()),
            (character, Some(part)) => part.push(character),
            (_, None) => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_followed_by_the_place_that_it_comes_from() {
        let own = "relayhost = \"a\"\n\n[limits]\nper_client = \"1/day\"\n[routes]\n\".x.example\" = \"b\"\n";
        let layers = [
            ("/etc/x/config.toml".into(), own.to_owned()),
            (
                "/etc/x/debconf.toml".into(),
                "domain = \"x\"\nretry = { minimal = \"1s\" }\n".to_owned(),
            ),
        ];
        for (key, default, wanted) in [
            ("relayhost", false, "/etc/x/config.toml:1"),
            ("limits.per_client", false, "/etc/x/config.toml:4"),
            ("routes.\".x.example\"", false, "/etc/x/config.toml:6"),
            ("domain", false, "/etc/x/debconf.toml:1"),
            ("retry.minimal", false, "/etc/x/debconf.toml:2"),
            ("hostname", true, "default"),
            ("control", false, "follows from other settings"),
        ] {
            assert_eq!(origin(&layers, key, default), wanted, "{key}");
        }
    }
}
