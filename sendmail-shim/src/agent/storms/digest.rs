//! What the digest of a storm says.
//!
//! Contract: pure; the text of the mail is bounded and cannot pass for our own words: each of its lines is marked.

use mail::{
    clock::Timestamp,
    message::{Field, Header},
};
use spool::Repeats;

/// Most lines, and bytes, of the message that a digest shows.
const LINES: usize = 40;
const BYTES: usize = 4096;

/// A message that stands for others.
#[derive(Clone, Copy, Debug)]
pub struct Storm<'a> {
    pub hostname: &'a str,
    /// Who sent them, as in the log.
    pub origin: &'a str,
    pub header: &'a [u8],
    pub body: &'a [u8],
    pub first: Timestamp,
    pub repeats: Repeats,
}

/// Subject and text.
pub fn digest(storm: &Storm<'_>) -> (String, String) {
    let header = Header::parse(storm.header);
    let subject = header
        .first("Subject")
        .map(Field::value)
        .unwrap_or_default();
    let subject = String::from_utf8_lossy(subject.trim_ascii()).into_owned();
    let Repeats { count, last } = storm.repeats;
    let mut text = format!(
        "{count} more messages like one that was sent before came from {} on {}\n\
         between {} and {}.\n\
         They are alike but for numbers in them, and were not sent: this digest stands for all of them.\n\n\
         The first of the {count}:\n\n> Subject: {subject}\n>\n",
        storm.origin,
        storm.hostname,
        storm.first.rfc5322(),
        last.rfc5322(),
    );
    let shown = storm.body.get(..BYTES).unwrap_or(storm.body);
    let shown = String::from_utf8_lossy(shown);
    for line in shown.lines().take(LINES) {
        text.push_str("> ");
        text.push_str(line);
        text.push('\n');
    }
    if storm.body.len() > BYTES || shown.lines().count() > LINES {
        text.push_str("> [...]\n");
    }
    (format!("[{count} more] {subject}"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_counts_names_the_time_and_shows_a_bounded_part_of_the_mail() {
        let body = "disk full\r\n".repeat(10_000);
        let (subject, text) = digest(&Storm {
            hostname: "vm1.example.org",
            origin: "uid 0 (root)",
            header: b"Subject: Cron <root@vm1> backup\r\n",
            body: body.as_bytes(),
            first: Timestamp::from_secs(1_795_333_912),
            repeats: Repeats {
                count: 9999,
                last: Timestamp::from_secs(1_795_333_972),
            },
        });
        assert_eq!(subject, "[9999 more] Cron <root@vm1> backup");
        for part in [
            "9999 more messages",
            "uid 0 (root) on vm1",
            "> disk full\n",
            "> [...]\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            text.len() < 2 * BYTES && text.contains(&Timestamp::from_secs(1_795_333_972).rfc5322())
        );
    }
}
