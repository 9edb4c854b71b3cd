//! What is written from the programs' own tables when they are compiled for a package: manual
//! pages, the shells' completions, and both configurations with every setting as a comment.
//!
//! | part | what |
//! |---|---|
//! | [`files`] | all of them |
//! | [`part`] | what a line `@NAME@` of a page stands for |
//! | [`commands`], [`settings`], [`completions`] | the tables of each kind as text |
//! | [`roff`] | text as man(7) wants it |
//!
//! packaging/manual holds the text of the pages that is written by hand.
//! Failures: a page or an output that cannot be read, a `@NAME@` that stands for nothing.

#![expect(clippy::expect_used, reason = "a build fails by panicking")]

mod commands;
mod completions;
mod roff;
mod settings;

use std::{fs, io, path::Path};

use sendmail::flags::{help, table};
use smarthost::web::metrics::{FAMILIES, Family};
use system::log::{
    Field,
    events::{By, EVENTS},
};

const PAGES: [&str; 7] = [
    "sendmail.8",
    "sendmail-shim.8",
    "sendmail-shim.toml.5",
    "sendmail-shim-tables.5",
    "smarthost.8",
    "smarthost.toml.5",
    "smarthost-tables.5",
];

/// A file: where it is below the folder of all, and its text.
pub type File = (String, String);

/// All files, with the pages' texts from the folder `manual`.
pub fn files(manual: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for name in PAGES {
        let text = fs::read_to_string(manual.join(name))?;
        files.push((format!("man/{name}"), page(manual, &text)?));
    }
    let completions = completions::files().into_iter();
    files.extend(completions.map(|(name, text)| (format!("completions/{name}"), text)));
    for (program, text) in [
        ("sendmail-shim", settings::example_of_sendmail_shim()),
        ("smarthost", settings::example_of_smarthost()),
    ] {
        files.push((format!("examples/{program}-all.toml"), text));
    }
    Ok(files)
}

fn page(manual: &Path, template: &str) -> io::Result<String> {
    let mut out = String::new();
    for line in template.lines() {
        let inner = line.strip_prefix('@');
        if let Some(name) = inner.and_then(|line| line.strip_suffix('@')) {
            out += &part(manual, name)?;
        } else {
            out += &line.replace("VERSION", env!("CARGO_PKG_VERSION"));
            out.push('\n');
        }
    }
    Ok(out)
}

/// What a line `@NAME@` stands for.
pub fn part(manual: &Path, name: &str) -> io::Result<String> {
    if let Some(output) = name.strip_prefix("OUTPUT ") {
        let text = fs::read_to_string(manual.join("output").join(output))?;
        return Ok(roff::example(text.trim_end()));
    }
    Ok(match name {
        "SENDMAIL OPTIONS" => options(),
        "SENDMAIL-SHIM COMMANDS" => commands::of(sendmail_shim::admin::cli::command()),
        "SMARTHOST COMMANDS" => commands::of(smarthost::cli::command()),
        "SENDMAIL-SHIM SETTINGS" => settings::of_sendmail_shim(),
        "SMARTHOST SETTINGS" => settings::of_smarthost(),
        "SMARTHOST METRICS" => metrics(),
        "SMARTHOST EVENTS" => events(By::Smarthost),
        "SENDMAIL-SHIM EVENTS" => events(By::Agent),
        "JOURNAL FIELDS" => journal(),
        _ => return Err(io::Error::other(format!("@{name}@ stands for nothing"))),
    })
}

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

/// What the log of a program says: the form of a line, and what it means.
fn events(by: By) -> String {
    let own = EVENTS.iter().filter(|it| it.by == by || it.by == By::Both);
    let form = |form: &str| form.replace('{', "<").replace('}', ">");
    own.map(|it| roff::item(&roff::bold(&form(it.form)), it.meaning))
        .collect()
}

/// The fields of a line in systemd's journal.
fn journal() -> String {
    let entry = |field: &Field| {
        let (name, meaning) = field.told();
        roff::item(&roff::bold(name), meaning)
    };
    Field::ALL.iter().map(entry).collect()
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
