//! What an administrator writes: alias tables and configuration files.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mail::{maps::{Table, expand}};

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
    if let Err(error) = settings::parse::<toml::Table>(path, text) {
        assert!(error.to_string().contains("/etc/file"), "{error}");
    }
});
