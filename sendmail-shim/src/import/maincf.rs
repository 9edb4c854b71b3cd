//! The text of `main.cf`: settings, and settings within settings.
//!
//! Quirks that count: a line that begins with a blank goes on with the one before, comments in between or not; the last of several settings
//! holds; `$name`, `${name}`, `$(name)`, `${name?value}`, `${name:value}` and `${name?{value}:{value}}` stand for others; `$$` is a dollar.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::plan::{Lookup, Source, lines};

/// Where it is.
pub(super) const CONFIG: &str = "/etc/postfix/main.cf";

/// Settings within settings.
const MAX_DEPTH: usize = 8;
/// Names replaced in one value, all depths together.
const MAX_NAMES: usize = 1000;

/// Settings: line and value of each.
#[derive(Default)]
pub(super) struct Settings(BTreeMap<String, (usize, String)>);

impl Settings {
    /// As written, with the defaults that other values stand on.
    pub(super) fn of(source: &Source, lookup: &Lookup<'_>) -> Self {
        let mut settings = Self::default();
        let mut current: Option<String> = None;
        for (at, line) in lines(source) {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            if line.starts_with([' ', '\t']) {
                let value = current.as_ref().and_then(|key| settings.0.get_mut(key));
                if let Some((_, value)) = value {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((key, value)) = line.split_once('=') {
                let key = key.trim().to_owned();
                let value = value.trim().to_owned();
                settings.0.insert(key.clone(), (at.line, value));
                current = Some(key);
            }
        }
        let machine = lookup("/etc/hostname")
            .and_then(|source| source.text.lines().next().map(str::to_owned));
        let mut default = |key: &str, value: String| {
            settings.0.entry(key.to_owned()).or_insert((0, value));
        };
        default("myhostname", machine.unwrap_or_default());
        default("myorigin", "$myhostname".to_owned());
        default("config_directory", "/etc/postfix".to_owned());
        default("default_database_type", "hash".to_owned());
        let hostname = settings.value("myhostname");
        let parent = hostname
            .split_once('.')
            .map(|(_, parent)| parent.to_owned());
        let domain = parent
            .filter(|parent| parent.contains('.'))
            .unwrap_or(hostname);
        settings
            .0
            .entry("mydomain".to_owned())
            .or_insert((0, domain));
        settings
    }

    /// What is written: key, line and value.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, usize, String)> {
        let written = self.0.iter().filter(|(_, (line, _))| *line > 0);
        written.map(|(key, (line, value))| (key.as_str(), *line, self.expand(value)))
    }

    /// A value; nothing, if it is not set.
    pub(super) fn value(&self, key: &str) -> String {
        let value = self.0.get(key).map(|(_, value)| self.expand(value));
        value.unwrap_or_default()
    }

    pub(super) fn is_yes(&self, key: &str) -> bool {
        self.value(key).eq_ignore_ascii_case("yes")
    }

    /// Where it is written.
    pub(super) fn line(&self, key: &str) -> usize {
        self.0.get(key).map_or(1, |(line, _)| (*line).max(1))
    }

    /// Replaces `$name`; what is not set is nothing.
    fn expand(&self, value: &str) -> String {
        let mut out = String::new();
        let mut names = MAX_NAMES;
        self.replace(value, 0, &mut names, &mut out);
        out
    }

    fn replace(&self, value: &str, depth: usize, names: &mut usize, out: &mut String) {
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            let (name, remainder) = name(after);
            *names = names.saturating_sub(1);
            if *names == 0 {
                return;
            }
            if depth < MAX_DEPTH {
                self.insert(name, depth.saturating_add(1), names, out);
            }
            rest = remainder;
        }
        out.push_str(rest);
    }

    fn insert(&self, name: &str, depth: usize, names: &mut usize, out: &mut String) {
        let (key, choice) = match name.find(['?', ':']) {
            Some(at) => name.split_at_checked(at).unwrap_or((name, "")),
            None => (name, ""),
        };
        let inner = self.0.get(key.trim()).map_or("", |(_, value)| value);
        let is_set = !inner.is_empty();
        let chosen = match (choice.strip_prefix('?'), choice.strip_prefix(':')) {
            (Some(values), _) => {
                let (yes, no) = match enclosed(values, '{', '}') {
                    Some((yes, rest)) => (yes, rest.trim().strip_prefix(':').unwrap_or_default()),
                    None => (values, ""),
                };
                if is_set { yes } else { bare(no) }
            }
            (None, Some(_)) if is_set => return,
            (None, Some(otherwise)) => bare(otherwise),
            (None, None) => inner,
        };
        self.replace(chosen, depth, names, out);
    }
}

/// Without the braces around it.
fn bare(text: &str) -> &str {
    enclosed(text, '{', '}').map_or(text, |(inner, _)| inner)
}

/// What stands in brackets at the beginning, and what follows.
pub(super) fn enclosed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let inner = text.trim_start().strip_prefix(open)?;
    let mut depth = 1usize;
    for (at, c) in inner.char_indices() {
        if c == open {
            depth = depth.saturating_add(1);
        } else if c == close {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            let (inside, rest) = inner.split_at_checked(at)?;
            return Some((inside, rest.strip_prefix(close).unwrap_or(rest)));
        }
    }
    None
}

fn name(after: &str) -> (&str, &str) {
    for (open, close) in [('{', '}'), ('(', ')')] {
        if after.starts_with(open) {
            return enclosed(after, open, close).unwrap_or((after, ""));
        }
    }
    let end = after
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(after.len());
    after.split_at_checked(end).unwrap_or((after, ""))
}

/// The members of a list: blanks and commas separate, braces keep together.
pub(super) fn members(value: &str) -> Vec<&str> {
    let mut members = Vec::new();
    let (mut depth, mut start) = (0usize, None);
    for (at, c) in value.char_indices() {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let separates = depth == 0 && (c.is_whitespace() || c == ',');
        match start {
            Some(begun) if separates => {
                members.extend(value.get(begun..at));
                start = None;
            }
            None if !separates => start = Some(at),
            _ => {}
        }
    }
    members.extend(start.and_then(|begun| value.get(begun..)));
    members
}
