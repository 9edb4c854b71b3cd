//! The text of `main.cf`: settings, and settings within settings.
//!
//! Quirks that count: a line that begins with a blank goes on with the one before, comments in
//! between or not; there is no comment behind a value; the last of several settings holds.

use std::collections::BTreeMap;

use mail::maps::logical_lines;

use crate::expand::{Expanded, expand};

/// A line that says nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// From 1.
    pub line: u32,
    /// How it begins.
    pub key: String,
    pub text: &'static str,
}

/// Settings: line and value of each.
#[derive(Clone, Default, Debug)]
pub struct Settings {
    written: BTreeMap<String, (u32, String)>,
    defaults: BTreeMap<String, String>,
    /// Lines without a meaning, and settings that a later line sets again.
    pub faults: Vec<Fault>,
}

/// Of those that values stand on, as Postfix 3.7 has them; `compatibility_level` decides more.
const DEFAULTS: [(&str, &str); 34] = [
    ("alias_maps", "hash:/etc/aliases, nis:mail.aliases"),
    ("canonical_maps", ""),
    ("command_directory", "/usr/sbin"),
    ("config_directory", "/etc/postfix"),
    ("daemon_directory", "/usr/lib/postfix/sbin"),
    ("data_directory", "/var/lib/postfix"),
    ("default_database_type", "hash"),
    ("default_destination_concurrency_limit", "20"),
    ("default_destination_recipient_limit", "50"),
    ("double_bounce_sender", "double-bounce"),
    ("inet_interfaces", "all"),
    ("inet_protocols", "all"),
    ("initial_destination_concurrency", "5"),
    (
        "local_recipient_maps",
        "proxy:unix:passwd.byname $alias_maps",
    ),
    ("mail_name", "Postfix"),
    ("mail_version", "3.7"),
    ("multi_instance_name", ""),
    (
        "mydestination",
        "$myhostname, localhost.$mydomain, localhost",
    ),
    ("mynetworks", "127.0.0.0/8 [::1]/128"),
    ("myorigin", "$myhostname"),
    ("queue_directory", "/var/spool/postfix"),
    ("recipient_delimiter", ""),
    ("relay_domains", ""),
    ("relay_recipient_maps", ""),
    ("relayhost", ""),
    ("relocated_maps", ""),
    ("smtp_sasl_security_options", "noplaintext, noanonymous"),
    ("smtp_tls_security_level", ""),
    ("smtpd_sasl_security_options", "noanonymous"),
    ("stress", ""),
    ("transport_maps", ""),
    ("virtual_alias_domains", "$virtual_alias_maps"),
    ("virtual_alias_maps", "$virtual_maps"),
    ("virtual_maps", ""),
];

impl Settings {
    /// Reads it; `machine` is the host's own name.
    pub fn read(text: &str, machine: &str) -> Self {
        let mut settings = Self::default();
        for line in logical_lines(text) {
            settings.take(line.number, &line.text, line.orphan);
        }
        let defaults = DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        settings.defaults.extend(defaults);
        settings.assume("myhostname", machine);
        let hostname = settings.value("myhostname");
        let parent = hostname.split_once('.').map(|(_, parent)| parent);
        settings.assume("mydomain", parent.unwrap_or("localdomain"));
        settings
    }

    fn take(&mut self, line: u32, text: &str, orphan: bool) {
        let mut fault = |key: &str, text| {
            let key = key.chars().take(40).collect();
            self.faults.push(Fault { line, key, text });
        };
        let text = text.trim();
        let (key, value) = match text.split_once('=') {
            Some((key, value)) if !orphan => (key.trim(), value.trim()),
            None if !orphan => {
                return fault(text, "there is no = in this line: Postfix does not start");
            }
            _ => {
                return fault(
                    text,
                    "this line continues none: Postfix takes it for nothing",
                );
            }
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            return fault(
                key,
                "no name stands in front of the =: Postfix does not start",
            );
        }
        let before = self
            .written
            .insert(key.to_owned(), (line, value.to_owned()));
        if let Some((line, _)) = before {
            let text = "a later line sets it again, and that one counts";
            let key = key.to_owned();
            self.faults.push(Fault { line, key, text });
        }
    }

    /// What counts where nothing is written.
    pub fn assume(&mut self, name: &str, value: &str) {
        self.defaults.insert(name.to_owned(), value.to_owned());
    }

    /// The same with what a service sets for itself.
    #[must_use]
    pub fn with<'a>(&self, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut settings = self.clone();
        for (name, value) in options {
            let line = settings.line(name).unwrap_or(0);
            settings
                .written
                .insert(name.to_owned(), (line, value.to_owned()));
        }
        settings
    }

    /// The names that are written, in the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.written.keys().map(String::as_str)
    }

    /// Whether it is written.
    pub fn is_set(&self, name: &str) -> bool {
        self.written.contains_key(name)
    }

    /// Where it is written.
    pub fn line(&self, name: &str) -> Option<u32> {
        self.written.get(name).map(|(line, _)| *line)
    }

    /// As it is written, or its default.
    pub fn raw(&self, name: &str) -> Option<&str> {
        let written = self.written.get(name).map(|(_, value)| value);
        written
            .or_else(|| self.defaults.get(name))
            .map(String::as_str)
    }

    /// Its value, or that of its default, with all names in it replaced; nothing, if there is none.
    pub fn value(&self, name: &str) -> String {
        self.expanded(name).text
    }

    /// The same, with what could not be replaced.
    pub fn expanded(&self, name: &str) -> Expanded {
        expand(self.raw(name).unwrap_or_default(), &|name| self.raw(name))
    }

    /// Whether it is `yes`; all else is no.
    pub fn is_yes(&self, name: &str) -> bool {
        self.value(name).eq_ignore_ascii_case("yes")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_and_blanks_inside_a_value_are_passed_over_and_a_later_line_counts() {
        let text = "mydestination = $myhostname,\n# comment in column 0\n   localhost.$mydomain,\n   # indented\n   localhost\n\
                    relayhost = a\nrelayhost=[b]\nno equals sign\n = x\n";
        let settings = Settings::read(text, "mx.example.org");
        let value = settings.value("mydestination");
        assert_eq!(
            crate::members(&value),
            ["mx.example.org", "localhost.example.org", "localhost"]
        );
        assert_eq!(settings.value("relayhost"), "[b]");
        let faults: Vec<_> = settings.faults.iter().map(|fault| fault.line).collect();
        assert_eq!(faults, [6, 8], "the last line continues the one before");
        assert_eq!(settings.line("mydestination"), Some(1));
    }

    #[test]
    fn what_a_service_sets_for_itself_counts_within_other_values() {
        let settings = Settings::read("a = $b\nb = 1\n", "h");
        assert_eq!(settings.with([("b", "2")]).value("a"), "2");
        assert_eq!(settings.value("a"), "1");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-z_]{1,4}[= ]{0,3}[${}a-z?:= ]{0,30}\n){0,12}|(?s).{0,200}") {
            let settings = Settings::read(&text, "vm.example.org");
            for name in settings.names() {
                let _ = settings.value(name);
            }
        }
    }
}
