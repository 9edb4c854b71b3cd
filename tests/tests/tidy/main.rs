//! Keeps the rules of ARCHITECTURE.md and CONTRIBUTING.md that the compiler and clippy cannot keep.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod arrows;
mod circles;
mod documents;
mod mistakes;
mod modules;
mod source;

use source::{CRATES, Source, manifest, sources};

#[test]
fn every_file_is_small_enough_to_be_read_in_one_sitting() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|s| s.text.lines().count() > 500)
        .map(|s| s.path)
        .collect();
    assert!(
        long.is_empty(),
        "more than 500 lines, split by purpose: {long:?}"
    );
}

/// Tables and drawings aside.
#[test]
fn comments_are_at_most_100_columns_wide() {
    let mut wide = Vec::new();
    for source in sources() {
        let mut drawn = false;
        for (line, number) in source.text.lines().zip(1..) {
            let Some(text) = line.trim_start().strip_prefix("//") else {
                continue;
            };
            let text = text.trim_start_matches(['/', '!']).trim_start();
            drawn ^= text.starts_with("```");
            let is_table = drawn || text.starts_with('|') || !text.contains(' ');
            if !is_table && line.chars().count() > 100 {
                wide.push(format!("{}:{number}", source.path));
            }
        }
    }
    assert!(wide.is_empty(), "write them on more lines: {wide:#?}");
}

#[test]
fn every_module_opens_with_its_manual_page() {
    let bare: Vec<_> = sources()
        .into_iter()
        .filter(|s| !s.text.starts_with("//!") && !s.path.ends_with("/tests.rs"))
        .map(|s| s.path)
        .collect();
    assert!(bare.is_empty(), "no //! at the top: {bare:?}");
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let vague = [
        "util", "utils", "common", "helper", "helpers", "misc", "manager", "handler",
    ];
    let named: Vec<_> = sources()
        .into_iter()
        .filter(|s| s.path.split(['/', '.']).any(|part| vague.contains(&part)))
        .map(|s| s.path)
        .collect();
    assert!(named.is_empty(), "name it after what it is: {named:?}");
}

#[test]
fn nothing_is_left_unfinished() {
    // Written apart, so that this file does not find itself.
    let marks = ["todo!", "unimplemented!", "FIXME", "XXX"]
        .map(|mark| mark.replace('!', concat!("!", "(")));
    let unfinished = |source: &Source| {
        marks
            .iter()
            .any(|mark| source.code().any(|(_, line)| line.contains(mark.as_str())))
    };
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|s| !s.path.contains("/tidy/") && unfinished(s))
        .map(|s| s.path)
        .collect();
    assert!(found.is_empty(), "unfinished: {found:?}");
}

#[test]
fn an_ignored_test_says_why() {
    for source in sources() {
        for (number, line) in source.code() {
            let silent = line.trim_start().starts_with(concat!("#[", "ignore]"));
            assert!(
                !silent,
                "{}:{number}: an ignored test needs a reason",
                source.path
            );
        }
    }
}

#[test]
fn versions_of_dependencies_stand_in_one_place() {
    for member in CRATES.into_iter().chain(["tests"]) {
        let text = manifest(member);
        let mut in_dependencies = false;
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies {
                let inherited = line.contains(".workspace = true")
                    || line.contains("workspace = true }")
                    || line.contains("workspace = true,");
                assert!(
                    inherited,
                    "{member}/Cargo.toml: `{line}` belongs into the workspace's Cargo.toml"
                );
            }
        }
    }
}

#[test]
fn the_lower_crates_stay_free_of_runtimes() {
    for member in CRATES {
        let forbidden = match member {
            "smarthost" | "packaging/documents" => [].as_slice(),
            "sendmail-shim" => &["tokio", "tokio-rustls", "rusqlite"],
            "shared/console" => &["tokio", "tokio-rustls", "rusqlite", "anyhow"],
            _ => &["tokio", "tokio-rustls", "rusqlite", "anyhow", "clap"],
        };
        for name in forbidden {
            let depends = manifest(member).lines().any(|line| {
                line.starts_with(&format!("{name}.")) || line.starts_with(&format!("{name} "))
            });
            assert!(!depends, "{member} must not depend on {name}");
        }
    }
}

#[test]
fn a_crate_uses_only_crates_that_stand_before_it() {
    for (rank, member) in CRATES.into_iter().enumerate() {
        for higher in CRATES.into_iter().skip(rank) {
            let name = higher.rsplit('/').next().unwrap_or(higher);
            let depends = manifest(member)
                .lines()
                .any(|line| line == format!("{name}.workspace = true"));
            assert!(!depends, "{member} uses {name}, which stands above it");
        }
    }
}

/// A setting that is parsed, shown and documented, and read by nobody, would be a lie.
#[test]
fn every_setting_is_read_by_the_program_that_has_it() {
    for member in ["smarthost", "sendmail-shim"] {
        let (settings, others): (Vec<_>, Vec<_>) = sources()
            .into_iter()
            .filter(|source| source.path.starts_with(member))
            .partition(|source| {
                // These two read files that settings name; the others only define and show
                // settings.
                let reader = ["/load.rs", "/tables.rs"];
                source.path.contains("/config/")
                    && !reader.iter().any(|name| source.path.ends_with(name))
            });
        let of_others = others.iter().filter(|it| !it.path.contains("tests"));
        let of_others: Vec<_> = of_others.map(|source| source.text.clone()).collect();
        let fields = settings
            .iter()
            .filter(|source| source.path.ends_with("/settings.rs"))
            .flat_map(|source| source.text.lines())
            .filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'))
            .filter(|(name, _)| !name.contains(' '))
            .map(|(name, _)| name.to_owned());
        let fields: Vec<_> = fields.collect();
        assert!(fields.len() > 20, "{member}: {fields:?}");
        for field in fields {
            let read = format!(".{field}");
            let is_read = |text: &String| {
                let mut after = text.match_indices(&read).map(|(at, _)| at + read.len());
                after.any(|end| !text[end..].starts_with(|c: char| c == '_' || c.is_alphanumeric()))
            };
            assert!(
                of_others.iter().any(is_read),
                "{member}: the setting `{field}` is read nowhere"
            );
        }
    }
}
