//! Texts of others, bounded; counts; times.

use std::time::Duration;

use mail::clock::Timestamp;

/// The end of a text of others that is told.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `1 message`, `2 messages`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {one}{end}")
}

pub(super) fn later(earlier: Option<Timestamp>, now: Timestamp, by: Duration) -> Timestamp {
    // A clock that was set back does not silence anything.
    earlier.map_or(now, |earlier| earlier.min(now).after(by))
}
