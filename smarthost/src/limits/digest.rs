//! Mail to the administrators about clients that came near their limit or reached it: one an hour.
//!
//! Contract: the first is due at once; what comes within an hour of it is told together. Bounded: of very many
//! clients the first are named, the others counted.

use std::{fmt::Write as _, time::Duration};

use mail::clock::Timestamp;

use crate::limits::Report;

/// Mails are at least this far apart.
const INTERVAL: Duration = Duration::from_hours(1);
/// Clients that one mail names.
const NAMED: usize = 50;

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct Digest {
    waiting: Vec<(Level, Report)>,
    /// Beyond those that wait.
    more: usize,
    sent: Option<Timestamp>,
}

/// Which news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// 80 % of a limit is used.
    Near,
    /// The first message is refused.
    Full,
}

/// A mail to the administrators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub subject: String,
    pub text: String,
}

impl Digest {
    pub(super) fn add(&mut self, level: Level, report: Report) {
        if self.waiting.len() < NAMED {
            self.waiting.push((level, report));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// When there is something to send; a clock that was set back does not silence it.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let next = self.sent.map_or(now, |sent| sent.min(now).after(INTERVAL));
        (!self.waiting.is_empty()).then_some(next)
    }

    /// What is due now.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Notice> {
        self.due(now).filter(|due| *due <= now)?;
        self.sent = Some(now);
        let waiting = std::mem::take(&mut self.waiting);
        let more = std::mem::take(&mut self.more);
        let mut lines = waiting.iter().map(|(level, report)| level.line(report));
        let subject = match (&waiting[..], lines.next()) {
            ([_], Some(line)) if more == 0 => line,
            _ => format!(
                "{} clients came near the limit of their mail, or reached it",
                waiting.len().saturating_add(more)
            ),
        };
        let mut text = String::new();
        for (level, report) in &waiting {
            level.describe(report, now, &mut text);
        }
        if more > 0 {
            let _ = writeln!(text, "And {more} more: see smarthost limits list\n");
        }
        text.push_str(
            "Never to count one: add it to limits.exempt in the configuration.\n\
             Nothing more of this kind is sent about the same client for a day.\n",
        );
        Some(Notice { subject, text })
    }
}

impl Level {
    fn line(self, report: &Report) -> String {
        let (client, used) = (&report.client, report.usage());
        match self {
            Self::Near => format!("{client} has sent most of the mail it may send ({used})"),
            Self::Full => {
                format!("{client} has sent all the mail it may send and is refused ({used})")
            }
        }
    }

    fn describe(self, report: &Report, now: Timestamp, text: &mut String) {
        let (client, used, twice) = (&report.client, report.usage(), report.twice());
        let consequence = match (self, report.next_slot) {
            (Self::Full, Some(slot)) => format!(
                "Further messages are deferred (450), the next is taken at {}; a client with a queue loses nothing.",
                slot.seen_from(now)
            ),
            _ => "Above the limit its messages are deferred (450); a client with a queue loses nothing.".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "Client:   {client}\nMessages: {used}\n\n{consequence}\n\n\
             To look:   smarthost limits show {client}\n\
             To raise:  smarthost limits raise {client} {twice} --until tomorrow\n\
             To forget: smarthost limits reset {client}\n\n"
        );
    }
}
