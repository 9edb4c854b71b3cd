//! Settings as rows: what each is called, what it means, of which type it is, what it may be and
//! what it is without being set, how its value reads, and when a changed one is taken. `config`,
//! `check`, reload, the manual and the example read the rows, so that a setting is described in one
//! place; the parser reads the [`Form`] that a row of one value has.
//!
//! | part | what |
//! |---|---|
//! | [`Row`] | a setting, or a family of them whose names are free (`routes."example.org"`) |
//! | [`Setting`] | one setting with the value that it has |
//! | [`quote`], [`one_or_list`], [`list`], [`path`], [`span`] | values in TOML |
//!
//! Contract: what is printed, read again, gives the same settings.

use std::fmt::{self, Display};

use mail::masked::{self, free_text, names_secret, places_only};

use super::form::{Described, Form, Value};
pub use super::written::{array, list, one_or_list, path, quote, span};

/// A setting of a configuration `S`, or a family of them.
pub struct Row<S: 'static> {
    /// As in the file, a table's key with its dot; what is free in capitals:
    /// `transports.NAME.type`.
    pub key: &'static str,
    /// A sentence for administrators.
    meaning: &'static str,
    kind: Kind,
    default: Default,
    values: Values<S>,
    /// A changed one is taken by a restart alone.
    pub at_restart: bool,
    /// Defaults of others follow from it.
    pub is_basis: bool,
}

/// Of which type it is.
enum Kind {
    Told(&'static str),
    Of(&'static dyn Described),
}

/// What it is where nothing is written.
enum Default {
    /// Nothing, or what its form says.
    OfKind,
    /// What its form says; written into a file, the same value means more.
    Implied,
    Toml(&'static str),
    Path(&'static str),
    /// It depends on more than the configuration, or on other settings.
    Told(&'static str),
}

enum Values<S: 'static> {
    One(fn(&S) -> Option<String>),
    Each(fn(&S) -> Vec<(String, String)>),
}

impl<S> Row<S> {
    /// A setting; `kind` is its type, for people, and `value` is in TOML, `None` where it is not
    /// set.
    pub const fn new(
        key: &'static str,
        kind: &'static str,
        meaning: &'static str,
        value: fn(&S) -> Option<String>,
    ) -> Self {
        Self::of(key, Kind::Told(kind), meaning, Values::One(value))
    }

    /// A setting of one value.
    pub const fn form<T: Value>(
        form: &'static Form<T>,
        meaning: &'static str,
        value: fn(&S) -> Option<String>,
    ) -> Self {
        Self::of(form.key, Kind::Of(form), meaning, Values::One(value))
    }

    /// A family; `values` gives whole keys with values in TOML.
    pub const fn each(
        key: &'static str,
        kind: &'static str,
        meaning: &'static str,
        values: fn(&S) -> Vec<(String, String)>,
    ) -> Self {
        Self::of(key, Kind::Told(kind), meaning, Values::Each(values))
    }

    /// A family of one value each.
    pub const fn each_form<T: Value>(
        form: &'static Form<T>,
        meaning: &'static str,
        values: fn(&S) -> Vec<(String, String)>,
    ) -> Self {
        Self::of(form.key, Kind::Of(form), meaning, Values::Each(values))
    }

    const fn of(key: &'static str, kind: Kind, meaning: &'static str, values: Values<S>) -> Self {
        Self {
            key,
            meaning,
            kind,
            default: Default::OfKind,
            values,
            at_restart: false,
            is_basis: false,
        }
    }

    /// What it is where nothing is written, in TOML.
    #[must_use]
    pub const fn default(mut self, toml: &'static str) -> Self {
        self.default = Default::Toml(toml);
        self
    }

    /// The same of a path.
    #[must_use]
    pub const fn place(mut self, path: &'static str) -> Self {
        self.default = Default::Path(path);
        self
    }

    /// The same where it depends on the machine or on other settings: for people.
    #[must_use]
    pub const fn otherwise(mut self, told: &'static str) -> Self {
        self.default = Default::Told(told);
        self
    }

    /// It is shown where it is written alone, for the value of its form means more there.
    #[must_use]
    pub const fn implied(mut self) -> Self {
        self.default = Default::Implied;
        self
    }

    /// A changed one is taken by a restart alone.
    #[must_use]
    pub const fn at_restart(mut self) -> Self {
        self.at_restart = true;
        self
    }

    /// Defaults of others follow from it.
    #[must_use]
    pub const fn basis(mut self) -> Self {
        self.is_basis = true;
        self
    }

    /// What it means, its type and range, and what it is where nothing is written.
    pub fn about(&self) -> String {
        let kind = match &self.kind {
            Kind::Told(kind) => (*kind).to_owned(),
            Kind::Of(form) => form.form(),
        };
        let default = match (&self.default, &self.kind) {
            (Default::Told(told), _) => Some((*told).to_owned()),
            (Default::OfKind | Default::Implied, Kind::Of(form)) => {
                form.default().map(|(_, told)| told)
            }
            _ => self.preset(),
        };
        let default = default.map_or_else(String::new, |default| format!(" Default: {default}."));
        format!("{} Type: {kind}.{default}", self.meaning)
    }

    /// What it is where nothing is written, in TOML, if that is always the same.
    pub fn preset(&self) -> Option<String> {
        match (&self.default, &self.kind) {
            (Default::Toml(toml), _) => Some((*toml).to_owned()),
            (Default::Path(path), _) => Some(quote(path)),
            (Default::OfKind, Kind::Of(form)) => form.default().map(|(toml, _)| toml),
            (Default::Told(_) | Default::Implied, _) | (Default::OfKind, Kind::Told(_)) => None,
        }
    }

    /// Whether it is said in words what it is where nothing is written.
    pub fn depends(&self) -> bool {
        matches!(self.default, Default::Told(_))
    }

    /// What `settings` says of it.
    pub fn settings(&self, settings: &S) -> Vec<Setting> {
        match self.values {
            Values::One(value) => vec![Setting {
                key: self.key.to_owned(),
                value: value(settings),
            }],
            Values::Each(values) => values(settings)
                .into_iter()
                .map(|(key, value)| Setting {
                    key,
                    value: Some(value),
                })
                .collect(),
        }
    }

    /// Whether a setting of this name is this one, or one of this family.
    pub fn covers(&self, key: &str) -> bool {
        let Values::Each(_) = self.values else {
            return self.key == key;
        };
        let mut parts = self.key.split('.');
        let is_free = |part: &&str| part.chars().all(|c| c.is_ascii_uppercase());
        let fixed: Vec<_> = parts.by_ref().take_while(|part| !is_free(part)).collect();
        let (before, after) = (fixed.join("."), parts.next());
        let inside = key
            .strip_prefix(&before)
            .and_then(|it| it.strip_prefix('.'));
        inside.is_some_and(|name| {
            after.is_none_or(|after| {
                let free = name.strip_suffix(after).and_then(|it| it.strip_suffix('.'));
                free.is_some_and(|free| !free.is_empty())
            })
        })
    }
}

/// One setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// As in the file.
    pub key: String,
    /// In TOML; `None` if it is not set.
    pub value: Option<String>,
}

impl Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {}", self.key, places_only(value)),
            None => write!(f, "# {} is not set", self.key),
        }
    }
}

/// All that `settings` says, in the order of the rows.
pub fn settings<'a, S: 'static>(
    rows: impl Iterator<Item = &'a Row<S>>,
    settings: &S,
) -> Vec<Setting> {
    rows.flat_map(|row| row.settings(settings)).collect()
}

/// What is set, as pairs of key and value.
pub fn set(settings: Vec<Setting>) -> impl Iterator<Item = (String, String)> {
    let pairs = settings.into_iter();
    pairs.filter_map(|setting| Some((setting.key, setting.value?)))
}

/// Settings that the log tells of, and the longest value, characters.
const TOLD: usize = 20;
const LONGEST: usize = 160;
/// A setting that differs: key, value here, value there; empty where it is not set.
pub type Difference = (String, String, String);

/// What differs between two configurations, by what is set in each.
pub fn differences(here: &[(String, String)], there: &[(String, String)]) -> Vec<Difference> {
    let value = |of: &[(String, String)], key: &str| {
        let row = of.iter().find(|(known, _)| known == key);
        row.map_or_else(String::new, |(_, value)| value.clone())
    };
    let is_new = |(key, _): &&(String, String)| here.iter().all(|(known, _)| known != key);
    let keys = here.iter().chain(there.iter().filter(is_new));
    keys.map(|(key, _)| (key.clone(), value(here, key), value(there, key)))
        .filter(|(_, here, there)| here != there)
        .collect()
}

/// Settings that changed, as the log tells them: `message_size: "10M" -> "20M"`; bounded, without
/// secrets.
pub fn told(changed: &[Difference]) -> Vec<String> {
    let shown = |value: &str| match value.chars().count() {
        0 => "not set".to_owned(),
        1..=LONGEST => value.to_owned(),
        _ => value.chars().take(LONGEST).chain(['…']).collect(),
    };
    let line = |(key, before, after): &Difference| {
        let values = masked::values(key, before, after);
        let key: String = key.chars().take(LONGEST).collect();
        let Some([before, after]) = values else {
            return format!("{key}: another one");
        };
        let told = format!("{key}: {} -> {}", shown(&before), shown(&after));
        if names_secret(&key) {
            told
        } else {
            free_text(&told)
        }
    };
    let more = changed.len().saturating_sub(TOLD);
    let more = (more > 0).then(|| format!("and {more} more settings"));
    let lines = changed.iter().take(TOLD).map(line);
    lines.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [Row<u32>; 4] = [
        Row::new("size", "number", "How large.", |size| {
            Some(size.to_string())
        }),
        Row::new("name", "text", "Which.", |_| None),
        Row::each("routes", "route", "Where.", |size| {
            vec![(format!("routes.{}", quote("a.b")), size.to_string())]
        }),
        Row::each("transports.NAME.delay", "time", "When.", |_| Vec::new()),
    ];

    #[test]
    fn a_setting_belongs_to_its_row_and_one_of_a_family_to_the_familys() {
        let row_of = |key: &str| ROWS.iter().find(|row| row.covers(key)).map(|row| row.key);
        for (key, row) in [
            ("size", Some("size")),
            ("size.x", None),
            ("routes.\"a.b\"", Some("routes")),
            ("routes", None),
            ("transports.slow.delay", Some("transports.NAME.delay")),
            ("transports.\"a.b\".delay", Some("transports.NAME.delay")),
            ("transports.delay", None),
            ("transports.slow.size", None),
        ] {
            assert_eq!(row_of(key), row, "{key}");
        }
    }

    #[test]
    fn settings_print_as_toml_and_what_differs_is_found_in_both_directions() {
        let text: Vec<_> = settings(ROWS.iter(), &7)
            .iter()
            .map(Setting::to_string)
            .collect();
        assert_eq!(
            text,
            ["size = 7", "# name is not set", "routes.\"a.b\" = 7"]
        );
        let (mut here, there) = (settings(ROWS.iter(), &7), settings(ROWS.iter(), &8));
        here.truncate(2);
        let (here, there): (Vec<_>, Vec<_>) = (set(here).collect(), set(there).collect());
        let text = |key: &str, here: &str, there: &str| {
            (key.to_owned(), here.to_owned(), there.to_owned())
        };
        assert_eq!(
            differences(&here, &there),
            [text("size", "7", "8"), text("routes.\"a.b\"", "", "8")]
        );
    }

    #[test]
    fn what_changed_is_told_with_both_values_and_never_at_length_or_with_a_secret() {
        let row = |key: &str, before: &str, after: &str| {
            (key.to_owned(), before.to_owned(), after.to_owned())
        };
        assert_eq!(told(&[]), Vec::<String>::new());
        assert_eq!(
            told(&[
                row("message_size", "1", "2"),
                row("routes.\"a.b\"", "", "\"c\""),
                row("relay_auth.token", "[\"x\"]", "[\"s3cret\"]"),
                row("relay_auth.password_file", "", "\"/etc/relay\""),
                row("relay_auth.user", "\"a\"", "\"b\""),
                row(
                    "transports.a.command",
                    r#"["/bin/x", "--token", "s3cret"]"#,
                    r#"["/bin/x", "--token", "s3cret", "-v"]"#,
                ),
                row(
                    "transports.a.command",
                    r#"["/bin/x", "--token=s3cret"]"#,
                    r#"["/bin/x", "--token=other"]"#,
                ),
            ]),
            [
                "message_size: 1 -> 2",
                "routes.\"a.b\": not set -> \"c\"",
                "relay_auth.token: another one",
                "relay_auth.password_file: not set -> \"/etc/relay\"",
                "relay_auth.user: \"a\" -> \"b\"",
                r#"transports.a.command: ["/bin/x", "--token", "***"] -> ["/bin/x", "--token", "***", "-v"]"#,
                "transports.a.command: another one",
            ]
        );
        let many = vec![row("networks", &"x".repeat(9999), ""); 1000];
        let lines = told(&many);
        assert!(lines.iter().all(|it| it.chars().count() < 200), "{lines:?}");
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[20], "and 980 more settings");
    }
}
