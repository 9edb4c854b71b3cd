//! What commands print, as the manual shows it: `packaging/manual/output/NAME`, written anew by
//! `UPDATE=1`.
//!
//! Contract: the manual prints a file of that folder where it says `@OUTPUT NAME@`, and a test of
//! the name's command compares it.

use std::{env, fs};

use crate::binaries::repository;

/// Compares what a command printed with what the manual says; `replaced`: what is different each
/// time, and how it is shown.
pub fn compare(name: &str, printed: &str, replaced: &[(&str, &str)]) {
    let mut text = printed.to_owned();
    for (part, shown) in replaced {
        text = text.replace(part, shown);
    }
    let path = repository().join("packaging/manual/output").join(name);
    #[expect(
        clippy::disallowed_methods,
        reason = "UPDATE=1 is how a developer asks for new texts"
    )]
    if env::var_os("UPDATE").is_some() {
        system::fs::replace(&path, text.as_bytes(), 0o644).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, written,
        "packaging/manual/output/{name} is old: UPDATE=1 with this test"
    );
}
