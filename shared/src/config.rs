//! Loading TOML into a typed struct, with errors that tell file, line, column and remedy.
//!
//! Unknown keys are refused, with "did you mean". A missing file is told apart: it means defaults.
//! Settings with units: [`Span`] (`"5d"`, `"20m"`), [`Size`] (`"25MiB"`), [`OneOrMany`] (`"x"` or `["x", "y"]`).

use std::{fmt, path::Path, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};

/// A configuration error, as printed: `FILE:LINE:COLUMN: what; remedy`, then the line with a mark under the place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    pub text: String,
}
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl std::error::Error for ConfigError {}

/// Reads TOML text; `path` is for messages.
pub fn parse<T: DeserializeOwned>(_path: &Path, _text: &str) -> Result<T, ConfigError> {
    todo!()
}
/// An error at a place of the text (from `serde_spanned`), for checks after parsing.
pub fn error_at(
    _path: &Path,
    _text: &str,
    _span: std::ops::Range<usize>,
    _what: &str,
) -> ConfigError {
    todo!()
}

/// A time span with its unit: `"30s"`, `"5m"`, `"12h"`, `"30d"`, `"1d12h"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);
impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(_text: String) -> Result<Self, String> {
        todo!()
    }
}
/// A size with its unit: `"500KiB"`, `"25MiB"`, `"1GiB"`, or bytes as a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub u64);
impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(_d: D) -> Result<Self, D::Error> {
        todo!()
    }
}
/// `"x"` or `["x", "y"]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OneOrMany<T>(pub Vec<T>);
impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(_d: D) -> Result<Self, D::Error> {
        todo!()
    }
}
