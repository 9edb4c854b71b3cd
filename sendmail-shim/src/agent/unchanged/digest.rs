//! What the digest of reports that say nothing new says: a line for each, and below it the lines
//! whose numbers differ.
//!
//! Contract: pure; the text is bounded, and no report can pass for a line of ours: what is its own
//! is marked.

use mail::{clock::Timestamp, message::decoded_words};

/// The longest text, bytes; what does not fit is told by another digest.
const LONGEST: usize = 256 * 1024;

/// The reports of one user to the same recipients.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    hostname: String,
    /// Who sent them, as in the log.
    origin: String,
    count: usize,
    lines: String,
}

/// One report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) arrival: Timestamp,
    pub(crate) as_on: Timestamp,
    /// As it is in the header.
    pub(crate) subject: &'a [u8],
    /// The lines whose numbers are others than then.
    pub(crate) differing: &'a [&'a [u8]],
}

impl Digest {
    /// Of nothing yet.
    pub(crate) fn new(hostname: &str, origin: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            origin: origin.to_owned(),
            count: 0,
            lines: String::new(),
        }
    }

    /// Adds a report, if there is room. There is for one.
    pub(crate) fn add(&mut self, it: &Told<'_>) -> bool {
        let mut text = format!(
            "{}  {}, as on {}\n",
            it.arrival.rfc5322(),
            decoded_words::decoded(it.subject),
            it.as_on.rfc5322()
        );
        for line in it.differing {
            text.push_str("  > ");
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        if self.count > 0 && self.lines.len().saturating_add(text.len()) > LONGEST {
            return false;
        }
        self.lines.push_str(&text);
        self.count = self.count.saturating_add(1);
        true
    }

    /// Subject and text.
    pub(crate) fn finish(self) -> (String, String) {
        let (hostname, count) = (&self.hostname, self.count);
        let reports = if count == 1 {
            "1 report says"
        } else {
            &format!("{count} reports say")
        };
        let text = format!(
            "{reports} what was said before. They came from {} on {hostname},\n\
             and are listed here instead of being sent (unchanged): when each came, and since when it\n\
             has said the same. Lines whose numbers differ from that day follow.\n\n{}",
            self.origin, self.lines
        );
        (format!("{hostname}: {reports} nothing new"), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_a_line_for_each_report_and_what_differs_below_it_and_is_bounded() {
        let (came, before) = (
            Timestamp::from_secs(1_795_333_912),
            Timestamp::from_secs(1_795_000_000),
        );
        let told = Told {
            arrival: came,
            as_on: before,
            subject: b"Cron <root@vm1> =?utf-8?b?R3LDtsOfZQ==?=",
            differing: &[b"1234 files", b"Mon, as on \xff 7"],
        };
        let mut one = Digest::new("vm1.example.org", "uid 0 (root)");
        assert!(one.add(&told));
        let (subject, text) = one.finish();
        assert_eq!(subject, "vm1.example.org: 1 report says nothing new");
        let line = format!(
            "{}  Cron <root@vm1> Größe, as on {}\n  > 1234 files\n  > Mon, as on \u{fffd} 7\n",
            came.rfc5322(),
            before.rfc5322()
        );
        assert!(
            text.ends_with(&line) && text.contains("uid 0 (root) on vm1"),
            "{text}"
        );

        let large = [b'7'; 2048];
        let large = Told {
            differing: &[&large],
            ..told
        };
        let mut many = Digest::new("vm1.example.org", "uid 0 (root)");
        let fit = std::iter::repeat_with(|| many.add(&large))
            .take_while(|fits| *fits)
            .count();
        assert!((100..1000).contains(&fit), "{fit}");
        let (subject, text) = many.finish();
        assert!(text.len() < LONGEST + 1024);
        assert!(subject.ends_with(&format!("{fit} reports say nothing new")));
    }
}
