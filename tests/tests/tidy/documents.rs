//! What README.md says is so.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use tests::binaries::repository;

use super::source::{file, sources};

#[test]
fn ci_runs_the_commands_that_the_readme_shows_first() {
    let readme = file("README.md");
    let first = readme
        .split("```")
        .nth(1)
        .expect("README.md has a first code block");
    let commands: Vec<_> = first
        .lines()
        .filter(|line| line.starts_with("cargo "))
        .map(|line| line.split('#').next().unwrap().trim())
        .collect();
    assert_eq!(commands, ["cargo demo", "cargo test --workspace"]);
    let ci = file(".ci/run");
    let bare = file(".ci/bare");
    assert!(ci.contains("run .ci/bare"));
    for command in commands {
        assert!(
            ci.lines()
                .any(|line| line.trim() == command || line.contains(&format!("run {command}"))),
            ".ci/run does not run `{command}`"
        );
        assert!(
            bare.contains(&format!("\"{command}\"")),
            ".ci/bare does not run `{command}`"
        );
    }
    assert!(
        file(".cargo/config.toml").contains("demo = "),
        "`cargo demo` is an alias"
    );
}

/// Rows of the deployments that end-to-end tests and the stages of the packages' tests name, with
/// the files that name them.
fn rows_held() -> BTreeMap<(char, u8), Vec<String>> {
    let mut rows: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let tests = sources().into_iter().filter_map(|source| {
        let name = source.path.strip_prefix("tests/tests/")?.to_owned();
        Some((name, source.text))
    });
    for (name, text) in tests.chain(stages()) {
        for row in named(&text) {
            let files = rows.entry(row).or_default();
            if files.last() != Some(&name) {
                files.push(name.clone());
            }
        }
    }
    rows
}

/// Shell scripts of packaging/test/stages, by name.
fn stages() -> Vec<(String, String)> {
    let folder = "packaging/test/stages";
    let entries = fs::read_dir(repository().join(folder)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| (name.clone(), file(&name)))
        .collect()
}

/// The rows that comments of a test name: `/// Row A1.`, `# Rows D3 D4`.
fn named(text: &str) -> Vec<(char, u8)> {
    let begins = ["/// Row ", "/// Rows ", "# Row ", "# Rows "];
    let comments = text.lines().filter_map(|line| {
        begins
            .iter()
            .find_map(|begin| line.trim_start().strip_prefix(begin))
    });
    comments
        .flat_map(|rest| rest.split([' ', '.', ',', ':', ';']))
        .filter_map(|word| {
            let mut characters = word.chars();
            let group = characters
                .next()
                .filter(|group| ('A'..='D').contains(group))?;
            Some((group, characters.as_str().parse().ok()?))
        })
        .collect()
}

#[test]
fn the_readme_lists_the_rows_that_tests_hold() {
    let mut table = String::new();
    for ((group, number), files) in rows_held() {
        writeln!(table, "| {group}{number} | {} |", files.join(", ")).unwrap();
    }
    assert!(
        file("README.md").contains(&table),
        "the table of rows in README.md must be:\n{table}"
    );
}
