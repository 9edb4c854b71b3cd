//! Settings of one value: of which type each is, what it is where nothing is written, and what it
//! may be. Parser and row read the same [`Form`], so that no other place says it again.
//!
//! | part | what |
//! |---|---|
//! | [`Form`] | key, default and range of one setting |
//! | [`Value`] | a type of such a setting: [`Span`], [`Size`], [`Number`], `bool`, words |
//! | [`Word`], [`words`](crate::words) | one of several words, and how it is read |
//!
//! Failures: a value out of range is told with what to write, and why.

use std::{fmt, marker::PhantomData};

use mail::limits;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use super::{Size, Span, faults::Wrong, written::quote};

/// A type of a setting.
pub trait Value: Copy + 'static {
    /// For people: `time`.
    fn name() -> String;
    /// As a file has it, in TOML.
    fn toml(self) -> String;
    /// The same for people, who read round sizes more easily.
    fn told(self) -> String {
        self.toml()
    }
    /// Whether it is at least this one; what has no order always is.
    fn reaches(self, _least: Self) -> bool {
        true
    }
}

/// Key, default and range of a setting of one value.
#[derive(Clone, Copy, Debug)]
pub struct Form<T> {
    /// As in the file, a table's key with its dot; what is free in capitals.
    pub key: &'static str,
    /// `None`: it follows from other settings, or must be written.
    pub default: Option<T>,
    range: Option<Range<T>>,
}

#[derive(Clone, Copy, Debug)]
struct Range<T> {
    least: T,
    most: Option<T>,
    /// For who has written more or less.
    why: &'static str,
}

impl<T> Form<T> {
    /// A setting with a default.
    pub const fn new(key: &'static str, default: T) -> Self {
        Self {
            key,
            default: Some(default),
            range: None,
        }
    }

    /// One whose default follows from others, or that must be written.
    pub const fn open(key: &'static str) -> Self {
        Self {
            key,
            default: None,
            range: None,
        }
    }
}

impl<T: Copy> Form<T> {
    /// Nothing less may be written, for this reason.
    #[must_use]
    pub const fn at_least(mut self, least: T, why: &'static str) -> Self {
        self.range = Some(Range {
            least,
            most: None,
            why,
        });
        self
    }

    /// Nothing below and above these may be written, for this reason.
    #[must_use]
    pub const fn within(mut self, least: T, most: T, why: &'static str) -> Self {
        self.range = Some(Range {
            least,
            most: Some(most),
            why,
        });
        self
    }
}

impl Form<Number> {
    /// Some, and no more than a machine has room for.
    #[must_use]
    pub const fn some(self) -> Self {
        let why = "0 would let nothing through, and a machine has no room for more";
        self.within(Number(1), Number(1_000_000), why)
    }
}

impl<T: Value> Form<T> {
    /// The value, if it may be that; else what to write.
    pub fn fit(&self, value: T) -> Result<T, String> {
        let fits = |range: &Range<T>| {
            value.reaches(range.least) && range.most.is_none_or(|most| most.reaches(value))
        };
        match self.range.filter(|range| !fits(range)) {
            None => Ok(value),
            Some(range) => Err(format!(
                "{} is out of range; write a {} {range}: {}",
                value.told(),
                T::name(),
                range.why
            )),
        }
    }

    /// What is written, or else the default.
    pub fn read(&self, written: Option<T>) -> Result<T, Wrong> {
        match (written, self.default) {
            (None, Some(default)) => Ok(default),
            (Some(value), _) => self.fit(value).map_err(|what| self.wrong(what)),
            (None, None) => Err(self.wrong(format!("`{}` is missing", self.key))),
        }
    }

    /// The same where the default follows from others: it is as right as they are.
    pub fn read_or(&self, written: Option<T>, default: T) -> Result<T, Wrong> {
        written.map_or(Ok(default), |value| self.read(Some(value)))
    }

    fn wrong(&self, what: String) -> Wrong {
        Wrong::of(&self.key.split('.').collect::<Vec<_>>(), what).value()
    }
}

impl<T: Value> fmt::Display for Range<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.least.told();
        match self.most {
            None => write!(f, "of at least {least}"),
            Some(most) => write!(f, "from {least} to {}", most.told()),
        }
    }
}

/// What a row tells of a form.
pub trait Described {
    /// Its type and range, for people.
    fn form(&self) -> String;
    /// In TOML, and for people.
    fn default(&self) -> Option<(String, String)>;
}

impl<T: Value> Described for Form<T> {
    fn form(&self) -> String {
        match &self.range {
            None => T::name(),
            Some(range) => format!("{} {range}", T::name()),
        }
    }

    fn default(&self) -> Option<(String, String)> {
        self.default.map(|default| (default.toml(), default.told()))
    }
}

impl Value for bool {
    fn name() -> String {
        "true or false".to_owned()
    }
    fn toml(self) -> String {
        self.to_string()
    }
}

impl Value for Span {
    fn name() -> String {
        "time".to_owned()
    }
    fn toml(self) -> String {
        quote(self)
    }
    fn reaches(self, least: Self) -> bool {
        self >= least
    }
}

impl Value for Size {
    fn name() -> String {
        "size".to_owned()
    }
    fn toml(self) -> String {
        self.0.to_string()
    }
    fn told(self) -> String {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let round = |(_, bytes): &(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*bytes);
        match units.into_iter().find(round) {
            Some((unit, bytes)) => quote(format_args!("{}{unit}", self.0 / bytes)),
            None => self.toml(),
        }
    }
    fn reaches(self, least: Self) -> bool {
        self >= least
    }
}

/// The largest message, in both programs.
pub const MESSAGE_SIZE: Form<Size> = Form::new("message_size", Size(limits::MESSAGE)).at_least(
    Size(1),
    "0 would let nothing through, and there is always a limit; leave it out for the default",
);

/// What is to be said of a limit below what every server must take (RFC 5321 §4.5.3.1.7).
pub fn small_messages(most: u64) -> Option<String> {
    const LEAST: u64 = 64 * 1024;
    (most < LEAST).then(|| {
        format!(
            "message_size is {most} bytes, and larger mail is refused: a number alone is bytes; write \
             at least \"64KiB\", or leave it out for the default"
        )
    })
}

/// How many of something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(try_from = "i64")]
pub struct Number(pub usize);

impl TryFrom<i64> for Number {
    type Error = String;
    fn try_from(number: i64) -> Result<Self, String> {
        let fits = usize::try_from(number).map(Self);
        fits.map_err(|_| format!("{number} is out of range; write a number from 1"))
    }
}

impl Value for Number {
    fn name() -> String {
        "number".to_owned()
    }
    fn toml(self) -> String {
        self.0.to_string()
    }
    fn reaches(self, least: Self) -> bool {
        self >= least
    }
}

/// One of several words.
pub trait Word: Copy + PartialEq + 'static {
    /// All of them, as they are written.
    const WORDS: &'static [(&'static str, Self)];

    /// As it is written.
    fn as_str(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        let found = words.find(|(_, value)| *value == self);
        found.map_or("", |(word, _)| *word)
    }
}

impl<T: Word> Value for T {
    fn name() -> String {
        let words = T::WORDS.iter().map(|(word, _)| quote(word));
        let mut words: Vec<_> = words.collect();
        match words.pop() {
            Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
            last => last.unwrap_or_default(),
        }
    }
    fn toml(self) -> String {
        quote(self.as_str())
    }
}

/// Lets a type be read whose values are words: `words!(Order: "listed" = Self::Listed, …)`.
#[macro_export]
macro_rules! words {
    ($name:ty: $($word:literal = $value:expr),+ $(,)?) => {
        impl $crate::form::Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $value)),+];
        }
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::form::word(from)
            }
        }
    };
}

/// Reads one of several words, for `Deserialize`.
pub fn word<'de, D: Deserializer<'de>, T: Word>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(WordVisitor(PhantomData))
}

struct WordVisitor<T>(PhantomData<T>);

impl<T: Word> Visitor<'_> for WordVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::name())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let mut words = T::WORDS.iter();
        let found = words.find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known = T::WORDS.iter().map(|(word, _)| format!("`{word}`"));
            let known = known.collect::<Vec<_>>().join(", ");
            let text = text.replace('`', "'");
            // In serde's words, which are told in ours with what was most likely meant.
            E::custom(format_args!(
                "unknown variant `{text}`, expected one of {known}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WAIT: Form<Span> = Form::new("a.wait", Span(Duration::from_secs(5))).within(
        Span(Duration::from_secs(1)),
        Span(Duration::from_mins(1)),
        "others hang up",
    );
    const SIZE: Form<Size> = Form::open("size").at_least(Size(64 << 10), "it would be full");

    #[test]
    fn what_is_out_of_range_is_told_with_what_to_write_and_why() {
        assert_eq!(WAIT.read(None), Ok(Span(Duration::from_secs(5))));
        for seconds in [1, 60] {
            let span = Span(Duration::from_secs(seconds));
            assert_eq!(WAIT.fit(span), Ok(span));
        }
        for (seconds, written) in [(0, "\"0s\""), (61, "\"1m1s\"")] {
            assert_eq!(
                WAIT.fit(Span(Duration::from_secs(seconds))),
                Err(format!(
                    "{written} is out of range; write a time from \"1s\" to \"1m\": others hang up"
                ))
            );
        }
        let why = SIZE.fit(Size(1000)).unwrap_err();
        assert_eq!(
            why,
            "1000 is out of range; write a size of at least \"64KiB\": it would be full"
        );
        assert!(SIZE.fit(Size(u64::MAX)).is_ok());
        assert_eq!(SIZE.read_or(None, Size(1)), Ok(Size(1)));
        assert!(SIZE.read(None).is_err());
    }

    #[test]
    fn a_row_tells_type_range_and_default() {
        assert_eq!(WAIT.form(), "time from \"1s\" to \"1m\"");
        assert_eq!(Described::default(&SIZE), None);
        let size = Form::new("size", Size(50 << 20));
        let told = ("52428800".to_owned(), "\"50MiB\"".to_owned());
        assert_eq!(Described::default(&size), Some(told));
        assert_eq!(Size(0).told(), "0");
    }
}
