//! What the build writes from the programs' own tables (`packaging/documents`), and the guides.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guide;

use std::path::PathBuf;

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
