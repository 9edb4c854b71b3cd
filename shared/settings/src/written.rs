//! Values as TOML, such as a file has them.

use std::{
    fmt::{Display, Write as _},
    path::Path,
    time::Duration,
};

use super::Span;

/// A TOML basic string.
pub fn quote(text: impl Display) -> String {
    let mut out = String::from("\"");
    for character in text.to_string().chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

/// One value as a TOML string, several as an array of them.
pub fn one_or_list<T: Display>(values: &[T]) -> String {
    match values {
        [one] => quote(one),
        many => list(many),
    }
}

/// An array of TOML strings.
pub fn list<T: Display>(values: &[T]) -> String {
    array(values.iter().map(quote))
}

/// An array of values that are TOML.
pub fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A path as a TOML string.
pub fn path(path: &Path) -> String {
    quote(path.display())
}

/// A time as [`Span`] reads it.
pub fn span(time: Duration) -> String {
    quote(Span(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_so_that_toml_reads_what_was_meant() {
        assert_eq!(quote("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000A\"");
        assert_eq!(one_or_list(&["a"]), "\"a\"");
        assert_eq!(one_or_list(&["a", "b"]), "[\"a\", \"b\"]");
        assert_eq!(list(&["a"]), "[\"a\"]");
        assert_eq!(span(Duration::from_hours(25)), "\"1d1h\"");
    }
}
