//! What stands after `-q`: which messages are tried.
//!
//! Contract: total; what is neither a run of the whole queue as other programs begin one, nor a
//! selection, is refused.

/// Which messages `-q` is about: a text that must be in the queue id, the sender or a recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    pub part: Part,
    pub text: String,
    /// Those that the text is not in.
    pub others: bool,
}

/// Where [`Selector::text`] is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    QueueId,
    Recipient,
    Sender,
}

impl Selector {
    /// What stands after `-q`; `None` for an interval or a queue group: all of the queue.
    pub(super) fn parse(typed: &str) -> Result<Option<Self>, String> {
        if is_run(typed) {
            return Ok(None);
        }
        let selected = typed.strip_prefix('!');
        let mut rest = selected.unwrap_or(typed).chars();
        let part = match rest.next() {
            Some('I') => Some(Part::QueueId),
            Some('R') => Some(Part::Recipient),
            Some('S') => Some(Part::Sender),
            _ => None,
        };
        let text = rest.as_str().to_owned();
        match part.filter(|_| !text.is_empty()) {
            Some(part) => Ok(Some(Self {
                part,
                text,
                others: selected.is_some(),
            })),
            None => Err(format!(
                "-q{}: write an interval, as -q30m, or what selects messages: -qIID, -qRTEXT, -qSTEXT (see sendmail --help)",
                typed.escape_debug()
            )),
        }
    }

    /// Whether a message is meant.
    pub fn matches(&self, queue_id: &str, sender: &str, recipients: &[&str]) -> bool {
        let found = match self.part {
            Part::QueueId => queue_id.contains(&self.text),
            Part::Sender => sender.contains(&self.text),
            Part::Recipient => recipients
                .iter()
                .any(|recipient| recipient.contains(&self.text)),
        };
        found != self.others
    }
}

/// What begins a run of the whole queue elsewhere, once or again and again: nothing, an interval
/// (`30m`, `1h30m`, `15`; `p` in front for a process that stays), Exim's letters and Sendmail's
/// `f`, or a queue group, of which there is one here.
fn is_run(typed: &str) -> bool {
    let interval = typed.strip_prefix('p').unwrap_or(typed);
    let digit = |c: char| c.is_ascii_digit();
    let unit = |c: char| matches!(c, 's' | 'm' | 'h' | 'd' | 'w');
    let is_interval = interval.chars().all(|c| digit(c) || unit(c))
        && interval.starts_with(digit)
        && !interval
            .as_bytes()
            .windows(2)
            .any(|two| !two.iter().any(u8::is_ascii_digit));
    let group = typed.strip_prefix('G');
    let is_plain = typed == "p" || typed.chars().all(|c| matches!(c, 'q' | 'i' | 'f' | 'l'));
    is_interval || is_plain || group.is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_run_selects_by_id_sender_or_recipient_and_intervals_mean_all() {
        let selected = |text: &str| {
            let selector = Selector::parse(text).unwrap()?;
            Some(selector.matches("8yGav", "a@b.example", &["c@d.example", "e@f.example"]))
        };
        for (text, expected) in [
            ("", None),
            ("10m", None),
            ("1h30m", None),
            ("15", None),
            ("p5m", None),
            ("p", None),
            ("f", None),
            ("qff", None),
            ("Gmain", None),
            ("I8yG", Some(true)),
            ("I9", Some(false)),
            ("!I9", Some(true)),
            ("R@f.ex", Some(true)),
            ("Ra@b", Some(false)),
            ("Sa@b", Some(true)),
            ("!S@b.example", Some(false)),
        ] {
            assert_eq!(selected(text), expected, "{text}");
        }
        for text in [
            "1x", "1m2x", "mm", "m", "1mm", "I", "!", "!I", "!10m", "R", "S", "G", " ", "Lx", "-1",
            "1é",
        ] {
            let refused = Selector::parse(text).unwrap_err();
            assert!(refused.contains("-q30m"), "{text}: {refused}");
        }
    }
}
