//! What root is told of mail that waits for the budget.
//!
//! Contract: pure, total, bounded: at most [`KINDS`] kinds of mail are named, the others counted.
//! No subject can make a line of its own, and no user hides the mail of another behind many
//! subjects.

use std::{cmp::Reverse, collections::HashMap, fmt::Write as _};

use mail::{
    clock::Timestamp,
    message::{Field, Header, decoded_words},
};
use queue::rate::Window;

/// Kinds of mail that are named.
const KINDS: usize = 20;
/// Subjects of one sender that are told apart.
const SUBJECTS: usize = 1000;
/// Bytes of a subject that are shown.
const SUBJECT: usize = 100;

/// The mail that waits, by who sent it and its subject.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// By who sent it, then by subject.
    senders: HashMap<String, HashMap<String, usize>>,
    total: usize,
}

impl Census {
    /// One message. `origin`: who sent it, as in the log.
    pub(crate) fn add(&mut self, origin: &str, header: &[u8]) {
        let header = Header::parse(header);
        let subject = header.first("Subject").map(Field::value);
        let mut subject = decoded_words::decoded(&subject.unwrap_or_default());
        if subject.len() > SUBJECT {
            subject.truncate(subject.floor_char_boundary(SUBJECT));
            subject.push_str("...");
        }
        self.total = self.total.saturating_add(1);
        let subjects = self.senders.entry(origin.to_owned()).or_default();
        if subjects.len() >= SUBJECTS && !subjects.contains_key(&subject) {
            "(other subjects)".clone_into(&mut subject);
        }
        let count = subjects.entry(subject).or_default();
        *count = count.saturating_add(1);
    }

    /// How many.
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

/// Subject and text. `room`: when the next may go.
pub(crate) fn notice(
    hostname: &str,
    window: Window,
    room: Option<Timestamp>,
    census: &Census,
) -> (String, String) {
    let total = census.total;
    let next = room.map_or_else(
        || "None goes by itself.".to_owned(),
        |room| format!("The next goes at {}.", room.rfc5322()),
    );
    let mut text = format!(
        "{hostname} may send {window} automatic mails (budget), and has done so. {total} wait in its queue; none is lost.\n\
         {next} Users take turns, root first. Mail that is not automatic is not held back.\n\n\
         Who sent them, and what:\n\n",
    );
    let kinds = census.senders.iter().flat_map(|(origin, subjects)| {
        subjects
            .iter()
            .map(move |(subject, count)| (Reverse(*count), origin, subject))
    });
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_unstable();
    let mut named = 0usize;
    for (Reverse(count), origin, subject) in kinds.into_iter().take(KINDS) {
        named = named.saturating_add(count);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{count:>8}  {origin}: {subject}");
    }
    if let Some(others) = total.checked_sub(named).filter(|others| *others > 0) {
        let _ = writeln!(text, "{others:>8}  others");
    }
    text.push_str(
        "\n`mailq` lists them. `sendmail-shim queue release ID` (or ALL) sends, `sendmail-shim queue delete ID` deletes them.\n\
         While mail waits, you are told once a day.\n",
    );
    let subject = format!("{hostname}: {total} automatic mails wait, over the budget of {window}");
    (subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_told_how_many_wait_and_from_whom_the_most_first_and_no_subject_forges_a_line() {
        let window = Window::parse("200/day").unwrap();
        let mut census = Census::default();
        for number in 0..30_000 {
            census.add(
                "uid 33 (www-data)",
                format!("Subject: job {number}\r\n").as_bytes(),
            );
        }
        for _ in 0..57 {
            census.add(
                "uid 0 (root)",
                b"Subject: Cron <root@vm1>\r\n\t=?utf-8?q?Gr=C3=B6=C3=9Fe?= \x1b[2J\r\n",
            );
        }
        let room = Timestamp::from_secs(1_795_333_912);
        let (subject, text) = notice("vm1.example.org", window, Some(room), &census);
        assert_eq!(
            subject,
            "vm1.example.org: 30057 automatic mails wait, over the budget of 200/day"
        );
        let named: Vec<_> = text.lines().filter(|line| line.contains("uid ")).collect();
        assert_eq!(named.len(), KINDS);
        assert!(named[0].starts_with("   29000  uid 33 (www-data): (other subjects)"));
        assert!(
            named[1].starts_with("      57  uid 0 (root): Cron <root@vm1> Größe"),
            "{text}"
        );
        assert!(text.contains("     982  others\n"), "{text}");
        assert!(text.contains(&room.rfc5322()) && !text.contains('\x1b'));
        assert!(text.len() < 4096);
    }
}
