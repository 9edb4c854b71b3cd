//! docs/ADMINISTRATION.md shows configurations that are shipped and validated, tables that can be
//! read, and commands that exist; so does docs/MIGRATION.md with its commands.

use std::{fs, path::PathBuf};

use mail::maps::Table;
use sendmail::{flags, mode::Mode};
use tests::binaries::repository;

fn guide() -> String {
    fs::read_to_string(repository().join("docs/ADMINISTRATION.md")).unwrap()
}

/// Language and text of each block.
fn blocks(guide: &str) -> Vec<(&str, &str)> {
    let inside = guide.split("```").skip(1).step_by(2);
    inside
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

#[test]
fn the_guide_quotes_the_configurations_that_are_shipped() {
    let folder = repository().join("packaging/examples");
    let shipped: Vec<(PathBuf, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    let guide = guide();
    let quoted: Vec<_> = blocks(&guide)
        .into_iter()
        .filter(|(language, _)| *language == "toml")
        .collect();
    for (_, text) in &quoted {
        assert!(
            shipped.iter().any(|(_, file)| file == text),
            "no file of packaging/examples is:\n{text}"
        );
    }
    for (path, file) in shipped {
        let name = path.file_stem().unwrap().to_string_lossy();
        let general = ["-minimal", "-full", "-all"];
        let general = general.iter().any(|ending| name.ends_with(ending));
        assert!(
            general || quoted.iter().any(|(_, text)| file == *text),
            "docs/ADMINISTRATION.md does not quote {name}"
        );
    }
}

#[test]
fn the_tables_of_the_guide_can_be_read() {
    let guide = guide();
    let mut count = 0;
    for (_, text) in blocks(&guide)
        .into_iter()
        .filter(|(language, _)| *language == "aliases")
    {
        let (table, problems) = if text.contains("\n*:") {
            Table::revaliases("revaliases".into(), text)
        } else {
            Table::aliases("aliases".into(), text)
        };
        assert!(problems.is_empty(), "{problems:?}");
        count += table.all().count();
    }
    assert!(count > 10, "{count} entries");
}

/// In blocks for the shell, and between backquotes.
fn commands(guide: &str) -> Vec<Vec<String>> {
    let lines = blocks(guide)
        .into_iter()
        .filter(|(language, _)| *language == "sh")
        .flat_map(|(_, text)| text.lines());
    let prose = guide.split("```").step_by(2);
    let quoted = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    lines
        .chain(quoted)
        .map(|command| {
            command
                .split_whitespace()
                .map(|word| word.replace("ADDRESS", "192.0.2.1"))
                .collect()
        })
        .collect()
}

#[test]
fn every_command_of_the_guides_exists() {
    let migration = fs::read_to_string(repository().join("docs/MIGRATION.md")).unwrap();
    let guides = [guide(), migration];
    let mut count = 0;
    for words in guides.iter().flat_map(|guide| commands(guide)) {
        let (Some(program), true) = (words.first(), words.len() > 1) else {
            continue;
        };
        let understood = match program.as_str() {
            "smarthost" => smarthost::cli::command()
                .try_get_matches_from(&words)
                .is_ok(),
            "sendmail-shim" => sendmail_shim::admin::cli::command()
                .try_get_matches_from(&words)
                .is_ok(),
            "sendmail" => flags::parse::parse(Mode::default(), words.iter().skip(1).cloned())
                .is_ok_and(|typed| typed.warnings.is_empty()),
            _ => continue,
        };
        assert!(understood, "{}", words.join(" "));
        count += 1;
    }
    assert!(count > 30, "{count} commands");
}
