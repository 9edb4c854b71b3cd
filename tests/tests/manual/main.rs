//! The manual pages and the shells' completions are what the programs' own tables say: `UPDATE=1
//! cargo test -p tests --test manual` writes packaging/man, packaging/completions and the commented
//! configuration among packaging/examples.
//!
//! packaging/manual holds the text written by hand; a line `@NAME@` in it stands for a part made
//! from a table.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod commands;
mod completions;
mod guide;
mod roff;
mod settings;

use std::{env, fs, path::PathBuf};

use sendmail::flags::{help, table};
use smarthost::web::metrics::{FAMILIES, Family};
use tests::binaries::repository;

const PAGES: &[&str] = &[
    "sendmail.8",
    "sendmail-shim.8",
    "sendmail-shim.toml.5",
    "sendmail-shim-tables.5",
    "smarthost.8",
    "smarthost.toml.5",
    "smarthost-tables.5",
];

/// The options of `sendmail`, by what becomes of them.
fn options() -> String {
    let mut out = String::new();
    for (support, title) in [
        ("honoured", "Options"),
        (
            "accepted and ignored",
            "Options that are accepted and change nothing",
        ),
        ("refused", "Options that are refused"),
    ] {
        out += &roff::section(title);
        for flag in table::FLAGS
            .iter()
            .filter(|flag| flag.effect.support() == support)
        {
            out += &roff::item(&roff::bold(&help::usage(flag)), flag.help);
        }
    }
    out
}

/// The families of metrics: name as it is queried, labels, sentence.
fn metrics() -> String {
    let entry = |family: &Family| {
        let end = match family.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels = match family.labels {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(", ")),
        };
        let name = roff::bold(&format!("{}{end}{labels}", family.name));
        roff::item(&name, &format!("{} ({}.)", family.help, family.kind))
    };
    FAMILIES.iter().map(entry).collect()
}

/// What a line `@NAME@` stands for.
fn part(name: &str) -> Option<String> {
    if let Some(output) = name.strip_prefix("OUTPUT ") {
        let path = repository().join("packaging/manual/output").join(output);
        return Some(roff::example(fs::read_to_string(path).ok()?.trim_end()));
    }
    Some(match name {
        "SENDMAIL OPTIONS" => options(),
        "SENDMAIL-SHIM COMMANDS" => commands::of(sendmail_shim::admin::cli::command()),
        "SMARTHOST COMMANDS" => commands::of(smarthost::cli::command()),
        "SENDMAIL-SHIM SETTINGS" => settings::of_sendmail_shim(),
        "SMARTHOST SETTINGS" => settings::of_smarthost(),
        "SMARTHOST METRICS" => metrics(),
        _ => return None,
    })
}

fn page(template: &str) -> String {
    let mut out = String::new();
    for line in template.lines() {
        let name = line
            .strip_prefix('@')
            .and_then(|line| line.strip_suffix('@'));
        if let Some(name) = name {
            out += &part(name).expect(name);
        } else {
            out += &line.replace("VERSION", env!("CARGO_PKG_VERSION"));
            out.push('\n');
        }
    }
    out
}

#[expect(
    clippy::disallowed_methods,
    reason = "UPDATE=1 is how a developer asks for new pages"
)]
fn rewriting() -> bool {
    env::var_os("UPDATE").is_some()
}

/// Compares a file below packaging with what it should be, after writing it where that was asked
/// for.
fn compare(name: &str, fresh: &str) {
    let written = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name);
    if rewriting() {
        fs::create_dir_all(written.parent().unwrap()).unwrap();
        system::fs::replace(&written, fresh.as_bytes(), 0o644).unwrap();
    }
    let old = fs::read_to_string(&written).unwrap_or_default();
    let differs = fresh
        .lines()
        .zip(old.lines())
        .find(|(fresh, old)| fresh != old);
    assert!(
        old == fresh,
        "packaging/{name} is old: UPDATE=1 cargo test -p tests --test manual; new and old: {differs:?}"
    );
}

#[test]
fn the_manual_pages_say_what_the_programs_do() {
    let templates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../packaging/manual");
    for name in PAGES {
        let fresh = page(&fs::read_to_string(templates.join(name)).unwrap());
        compare(&format!("man/{name}"), &fresh);
    }
}

#[test]
fn the_commented_configuration_has_every_setting() {
    compare(
        "examples/sendmail-shim-all.toml",
        &settings::example_of_sendmail_shim(),
    );
}

#[test]
fn shells_know_what_the_programs_take() {
    for (name, fresh) in completions::files() {
        compare(&format!("completions/{name}"), &fresh);
    }
}

/// An option or a setting without a sentence would be an empty entry.
#[test]
fn no_entry_of_a_manual_page_is_empty() {
    for name in [
        "SENDMAIL OPTIONS",
        "SENDMAIL-SHIM COMMANDS",
        "SMARTHOST COMMANDS",
        "SENDMAIL-SHIM SETTINGS",
        "SMARTHOST SETTINGS",
    ] {
        let text = part(name).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() > 20, "{name}");
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| **line == ".TP") {
            let sentence = lines.get(number + 2).copied().unwrap_or_default();
            assert!(
                !sentence.is_empty() && !sentence.starts_with('.'),
                "{name}: {line} {:?}",
                lines.get(number + 1)
            );
        }
    }
}
