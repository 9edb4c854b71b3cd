//! What README.md says is so.

use std::{collections::BTreeMap, fmt::Write as _};

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
    for command in commands {
        assert!(
            ci.lines()
                .any(|line| line.trim() == command || line.contains(&format!("run {command}"))),
            ".ci/run does not run `{command}`"
        );
    }
    assert!(
        file(".cargo/config.toml").contains("demo = "),
        "`cargo demo` is an alias"
    );
}

/// Rows of the deployments that end-to-end tests name, with the files that name them.
fn rows_held() -> BTreeMap<(char, u8), Vec<String>> {
    let mut rows: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for source in sources()
        .into_iter()
        .filter(|s| s.path.starts_with("tests/tests/"))
    {
        let file = source.path.trim_start_matches("tests/tests/");
        for line in source.text.lines().map(str::trim_start) {
            let named = line
                .strip_prefix("/// Row ")
                .or_else(|| line.strip_prefix("/// Rows "));
            for word in named
                .into_iter()
                .flat_map(|rest| rest.split([' ', '.', ',', ':', ';']))
            {
                let mut characters = word.chars();
                if let Some((group @ 'A'..='D', number)) =
                    characters.next().zip(characters.as_str().parse().ok())
                {
                    let files = rows.entry((group, number)).or_default();
                    if !files.iter().any(|named| named == file) {
                        files.push(file.to_owned());
                    }
                }
            }
        }
    }
    rows
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
