//! What an administrator writes: alias tables and both configurations.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use shared::maps::{Table, expand};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else { return };
    let path = Path::new("/etc/file");
    for (table, problems) in [Table::aliases(path.into(), text), Table::revaliases(path.into(), text)] {
        for problem in problems {
            assert!(problem.to_string().starts_with("/etc/file:"), "{problem}");
        }
        for word in text.split([':', ',', '\n']) {
            if let Ok(results) = expand(&table, word.trim()) {
                assert!(results.len() <= 1000);
            }
        }
    }
    for error in [
        smarthost::config::Config::parse(path, text, "mail.example.org").err(),
        sendmail_shim::config::settings::Settings::parse(Some(path), text).err(),
    ] {
        assert!(error.is_none_or(|error| error.to_string().contains("/etc/file")));
    }
});
