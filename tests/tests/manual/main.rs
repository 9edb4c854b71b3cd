//! What the build writes from the programs' own tables (`packaging/documents`), and the guides.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guide;

use std::path::{Path, PathBuf};

use sendmail::config::settings::Settings;
use smarthost::config::Config;
use tests::binaries::repository;

fn manual() -> PathBuf {
    repository().join("packaging/manual")
}

/// Every page is whole: nothing in it stands for what is not there.
#[test]
fn the_manual_pages_say_what_the_programs_do() {
    let files = documents::files(&manual()).unwrap();
    let text = |name: &str| {
        let file = files.iter().find(|(known, _)| known == name);
        file.unwrap_or_else(|| panic!("{name}")).1.clone()
    };
    for (page, told) in [
        ("man/sendmail.8", "\\fB\\-oi\\fR"),
        ("man/sendmail-shim.8", "sendmail\\-shim queue"),
        ("man/sendmail-shim.toml.5", "\\fBretry.lifetime\\fR"),
        ("man/smarthost.8", "smarthost limits"),
        ("man/smarthost.toml.5", "\\fBtransports.NAME.command\\fR"),
        (
            "examples/sendmail-shim-all.toml",
            "\n#retry.lifetime = \"5d\"\n",
        ),
        (
            "examples/smarthost-all.toml",
            "\n#concurrency.client = 50\n",
        ),
        ("completions/bash/smarthost", "limits"),
    ] {
        assert!(text(page).contains(told), "{page}: {told}");
    }
    for (name, text) in &files {
        let unread = text
            .lines()
            .find(|line| line.starts_with('@') && line.ends_with('@'));
        assert_eq!(unread, None, "{name}");
    }
}

/// Whoever takes the comment signs away in the examples changes nothing.
#[test]
fn the_defaults_in_the_examples_are_those_of_the_programs() {
    let files = documents::files(&manual()).unwrap();
    let defaults = |name: &str| -> String {
        let (_, text) = files.iter().find(|(known, _)| known == name).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
        let set = lines.filter(|line| !line.starts_with(' ') && line.contains(" = "));
        // Of tables that say something only once they are there.
        let set = set.filter(|line| !line.starts_with("budget.") && !line.contains(".NAME."));
        set.flat_map(|line| [line, "\n"]).collect()
    };
    let of_agent = defaults("examples/sendmail-shim-all.toml");
    let settings = |text: &str| Settings::parse(None, text).unwrap();
    assert!(of_agent.lines().count() > 15, "{of_agent}");
    assert_eq!(settings(&of_agent), settings(""));
    let of_smarthost = defaults("examples/smarthost-all.toml");
    let path = Path::new("/etc/smarthost/config.toml");
    let settings = |text: &str| Config::parse(path, text, "vm1.example.org").unwrap().set();
    assert!(of_smarthost.lines().count() > 25, "{of_smarthost}");
    assert_eq!(settings(&of_smarthost), settings(""));
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
        let text = documents::part(&manual(), name).unwrap();
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
