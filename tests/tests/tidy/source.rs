//! The repository's own files, as the rules see them.

use std::{fs, path::Path};

use tests::binaries::repository;

/// A Rust file.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Lines with their numbers, without comments.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The code that is shipped: without comments and without tests, be they a file of their own or
    /// the end of this one.
    pub(crate) fn shipped(&self) -> String {
        if self.path.split(['/', '.']).any(|part| part == "tests") {
            return String::new();
        }
        let mut shipped = String::new();
        let mut lines = self.code().map(|(_, line)| line);
        while let Some(line) = lines.next() {
            if line.trim() != "#[cfg(test)]" {
                shipped.push_str(line);
                shipped.push('\n');
            } else if lines.next().is_none_or(|item| !item.ends_with(';')) {
                break;
            }
        }
        shipped
    }
}

/// The crates that the programs are made of, lowest first.
pub(crate) const CRATES: [&str; 14] = [
    "shared/mail",
    "shared/system",
    "shared/smtp",
    "shared/spool",
    "shared/settings",
    "shared/postfix",
    "shared/queue",
    "shared/relay",
    "shared/control",
    "shared/console",
    "sendmail-shim/sendmail",
    "sendmail-shim",
    "smarthost",
    "packaging/documents",
];

/// All Rust files of the workspace.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for member in ["shared", "sendmail-shim", "smarthost", "packaging", "tests"] {
        walk(&repository().join(member), &mut found);
    }
    assert!(found.len() > 30, "the sources were not found");
    // Not as the file system has them, which differs from machine to machine.
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_name() == "target" {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(repository())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            found.push(Source {
                path: name,
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

/// A file of the repository.
pub(crate) fn file(name: &str) -> String {
    fs::read_to_string(repository().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A crate's Cargo.toml.
pub(crate) fn manifest(member: &str) -> String {
    file(&format!("{member}/Cargo.toml"))
}
