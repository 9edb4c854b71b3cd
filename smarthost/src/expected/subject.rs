//! Subjects without what differs from one message of a kind to the next.

use settings::Pattern;

/// Longest of a kind, bytes.
pub(super) const KIND: usize = 120;
/// Stands for anything until a kind is complete: in no subject, since controls become blanks.
const ANY: char = '\u{1}';
/// Names of days and months, and what else is a part of times.
const DATES: &str = " mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday jan feb mar apr may jun jul \
     aug sep oct nov dec january february march april june july august september october november december \
     cet cest utc gmt am pm ";

/// What messages of one kind have in common, as a [`Pattern`](super::Pattern): `*` for numbers,
/// dates, ids, and what is beyond its length.
pub(super) fn kind(subject: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in subject.chars().chain([' ']) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        push(&mut out, &std::mem::take(&mut word));
        out.push(c);
    }
    // Parts of one time or number.
    let mut joined = String::new();
    for c in out.trim().chars() {
        let between = |c: char| " .,:-/+()[]".contains(c);
        if c == ANY {
            let kept = joined.trim_end_matches(between);
            if kept.ends_with(ANY) {
                joined.truncate(kept.len());
                continue;
            }
        }
        joined.push(c);
    }
    if joined.len() > KIND {
        joined.truncate(joined.floor_char_boundary(KIND - 1));
        if !joined.ends_with(ANY) {
            joined.push(ANY);
        }
    }
    let parts: Vec<String> = joined.split(ANY).map(Pattern::literal).collect();
    parts.join("*")
}

/// Whether a kind tells its messages from others.
pub(super) fn says_something(kind: &str) -> bool {
    kind.chars().any(|c| c.is_alphanumeric() || !c.is_ascii())
}

/// A word, without its numbers; digits behind a letter are part of a name, such as `sda1`.
fn push(out: &mut String, word: &str) {
    let lower = format!(" {} ", word.to_lowercase());
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let is_id = word.len() >= 8 && digits > 1 && word.chars().all(|c| c.is_ascii_hexdigit());
    let is_time = word.starts_with(|c: char| c.is_ascii_digit());
    if !word.is_empty() && (DATES.contains(&lower) || is_id || is_time) {
        out.push(ANY);
    } else {
        out.push_str(word);
    }
}
