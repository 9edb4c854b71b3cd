//! What the digest of a storm says: many messages that are alike.
//!
//! Contract: pure; the text of the mail is bounded and cannot pass for our own words: each of its
//! lines is marked.

use mail::{
    clock::Timestamp,
    message::{Field, Header, decoded_words},
};
use spool::Repeats;

/// Most lines, and bytes, of the message that a digest shows.
const LINES: usize = 40;
const BYTES: usize = 4096;

/// A message that stands for others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest<'a> {
    pub(crate) hostname: &'a str,
    /// Who sent them, as in the log.
    pub(crate) origin: &'a str,
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) first: Timestamp,
    pub(crate) repeats: Repeats,
}

/// Subject and text.
pub(crate) fn digest(it: &Digest<'_>) -> (String, String) {
    let header = Header::parse(it.header);
    let subject = header
        .first("Subject")
        .map(Field::value)
        .unwrap_or_default();
    let subject = decoded_words::decoded(&subject);
    let Repeats { count, last } = it.repeats;
    let mut text = format!(
        "{count} more messages like one that was sent before came from {} on {}\n\
         between {} and {}.\n\
         They differ only in numbers, and were not sent: this digest stands for all of them.\n\n\
         The first of the {count}:\n\n> Subject: {subject}\n>\n",
        it.origin,
        it.hostname,
        it.first.rfc5322(),
        last.rfc5322(),
    );
    let shown = it.body.get(..BYTES).unwrap_or(it.body);
    let shown = String::from_utf8_lossy(shown);
    for line in shown.lines().take(LINES) {
        text.push_str("> ");
        text.push_str(line);
        text.push('\n');
    }
    if it.body.len() > BYTES || shown.lines().count() > LINES {
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
        let (subject, text) = digest(&Digest {
            hostname: "vm1.example.org",
            origin: "uid 0 (root)",
            header: b"Subject: Cron <root@vm1> =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n",
            body: body.as_bytes(),
            first: Timestamp::from_secs(1_795_333_912),
            repeats: Repeats {
                count: 9999,
                last: Timestamp::from_secs(1_795_333_972),
            },
        });
        assert_eq!(subject, "[9999 more] Cron <root@vm1> Größe");
        for part in [
            "9999 more messages",
            "uid 0 (root) on vm1",
            "> Subject: Cron <root@vm1> Größe\n",
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
