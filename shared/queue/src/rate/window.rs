//! A limit as it is written: `"100/day"`, `"20/10m"`.

use std::{fmt, time::Duration};

use settings::Span;

/// At most `limit` messages in any `span`; 0: none at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    pub limit: u32,
    pub span: Duration,
}

const WORDS: [(&str, u64); 4] = [
    ("minute", 60),
    ("hour", 3600),
    ("day", 86_400),
    ("week", 7 * 86_400),
];

impl Window {
    /// Reads `100/day`, `20/10m`, `500/1d12h`; from one second to 366 days.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{}` is no limit; write messages/time, such as \"100/day\" or \"20/10m\"",
                text.escape_debug()
            )
        };
        let (limit, span) = text.split_once('/').ok_or_else(bad)?;
        let limit = limit.trim().parse().map_err(|_| bad())?;
        let span = span.trim();
        let span = match WORDS.iter().find(|(word, _)| *word == span) {
            Some((_, seconds)) => Duration::from_secs(*seconds),
            None => Span::try_from(span.to_owned()).map_err(|_| bad())?.0,
        };
        if span < Duration::from_secs(1) || span > Duration::from_hours(8784) {
            return Err(format!(
                "`{}`: the time must be between one second and 366 days",
                text.escape_debug()
            ));
        }
        Ok(Self { limit, span })
    }

    /// `a day`, `10 minutes`: what follows "in".
    pub fn words(&self) -> String {
        let seconds = self.span.as_secs();
        if let Some((word, _)) = WORDS.iter().find(|(_, length)| *length == seconds) {
            let article = if *word == "hour" { "an" } else { "a" };
            return format!("{article} {word}");
        }
        let (count, unit) = largest_unit(seconds);
        format!("{count} {unit}s")
    }
}

/// The largest unit that divides the time without a rest.
fn largest_unit(seconds: u64) -> (u64, &'static str) {
    for (unit, length) in [("day", 86_400), ("hour", 3600), ("minute", 60)] {
        if seconds.is_multiple_of(length) {
            return (seconds / length, unit);
        }
    }
    (seconds, "second")
}

/// As it is written in the configuration.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.span.as_secs();
        if let Some((word, _)) = WORDS.iter().find(|(_, length)| *length == seconds) {
            return write!(f, "{}/{word}", self.limit);
        }
        let (count, unit) = largest_unit(seconds);
        write!(
            f,
            "{}/{count}{}",
            self.limit,
            unit.get(..1).unwrap_or_default()
        )
    }
}

/// A window as a setting: what lets nothing through is a mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Budget(pub Window);

impl TryFrom<String> for Budget {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match Window::parse(&text)? {
            Window { limit: 0, .. } => Err(format!(
                "`{}` lets nothing through; write at least 1, or leave the limit out",
                text.escape_debug()
            )),
            window => Ok(Self(window)),
        }
    }
}

impl TryFrom<String> for Window {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}
impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}
