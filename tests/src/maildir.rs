//! What lies in a Maildir.

use std::{fs, path::Path};

/// Its new messages, in no order; none if it does not exist yet.
pub fn messages(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.join("new")) else {
        return Vec::new();
    };
    entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .map(|message| String::from_utf8_lossy(&message).into_owned())
        .collect()
}
