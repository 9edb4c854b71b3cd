//! Each folder of tests/data/bad-config is a mistake that administrators make:
//! `PROGRAM-MISTAKE/config.toml`, and `expected`, what the program says about it. `UPDATE=1 cargo
//! test -p tests --test bad_configurations_are_explained` writes `expected` anew; read the
//! difference.
//! And each configuration that we ship is one that the programs take.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tests::{
    binaries::{binaries, install_names, repository},
    identity::write,
};

/// The folders or files in a directory.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    assert!(!entries.is_empty(), "{} is empty", directory.display());
    entries
}

/// A command of the program that a name begins with.
fn run(name: &str, directory: &Path, config: &str, what: &str) -> Output {
    let names = tempfile::tempdir().unwrap();
    let mut command = if name.starts_with("smarthost") {
        Command::new(&binaries().smarthost)
    } else if name.starts_with("sendmail-shim") {
        Command::new(install_names(names.path()).join("sendmail-shim"))
    } else {
        panic!("{name} does not say for which program it is");
    };
    command
        .args(["--config", config, what])
        .current_dir(directory)
        .output()
        .unwrap()
}

#[test]
fn every_mistake_is_told_with_its_place_and_remedy() {
    let update = std::env::vars().any(|(name, value)| name == "UPDATE" && value == "1");
    for folder in entries(&repository().join("tests/data/bad-config")) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let output = run(name, &folder, "config.toml", "check");
        // The whole path is told, whatever was typed.
        let here = format!("{}/", folder.display());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(&format!("{here}config.toml")),
            "{name}: {said}"
        );
        let said = said.replace(&here, "");
        if update {
            write(&folder.join("expected"), &said);
        }
        assert_eq!(output.status.code(), Some(78), "{name}: {said}");
        assert_eq!(
            said,
            fs::read_to_string(folder.join("expected")).unwrap(),
            "{name}"
        );
        assert!(
            said.contains("config.toml:"),
            "{name} names no place: {said}"
        );
    }
}

#[test]
fn every_configuration_that_we_ship_is_valid() {
    let examples = entries(&repository().join("packaging/examples")).into_iter();
    for file in examples.filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    }) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let output = run(name, repository(), file.to_str().unwrap(), "config");
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Somebody hears of what goes wrong on a relay.
        let text = fs::read_to_string(&file).unwrap();
        let named = text.lines().any(|line| line.starts_with("admins = "));
        assert!(named || !name.starts_with("smarthost"), "{name}: no admins");
    }
}
