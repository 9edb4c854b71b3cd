//! What administrators are told of clients that came near their limit or reached it.

use std::fmt::Write as _;

use mail::clock::Timestamp;

use crate::{
    limits::Report,
    notices::{Kind, News},
};

/// A limit is near when so much of it is used, in percent.
const NEAR: u64 = 80;

/// Which news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// 80 % of a limit is used.
    Near,
    /// The first message is refused.
    Full,
}

impl Level {
    pub(super) fn news(self, report: &Report, who: &[String], now: Timestamp) -> News {
        News {
            kind: match self {
                Self::Near => Kind::Limits,
                Self::Full => Kind::Full,
            },
            headline: self.line(report),
            text: self.describe(report, who, now),
            strangers: false,
        }
    }

    fn line(self, report: &Report) -> String {
        let (client, used) = (&report.client, report.usage());
        match self {
            Self::Full if report.attempts.is_some() => {
                format!(
                    "{client} has made too many attempts that were not accepted, and is \
                     refused ({used})"
                )
            }
            Self::Near => format!("{client} has sent most of the mail it may send ({used})"),
            Self::Full => {
                format!("{client} has sent all the mail it may send and is refused ({used})")
            }
        }
    }

    fn describe(self, report: &Report, who: &[String], now: Timestamp) -> String {
        let (client, used) = (&report.client, report.usage());
        let consequence = match (self, report.next_slot) {
            (Self::Full, Some(slot)) => format!(
                "Further messages are deferred (450), and the next is accepted at {}; a client \
                 with a queue loses nothing.",
                slot.seen_from(now)
            ),
            _ => "Above the limit its messages are deferred (450); a client with a queue loses \
                 nothing."
                .to_owned(),
        };
        let (cause, remedy) = if report.attempts.is_some() {
            (
                "The mail that it began to send was not accepted; the log and smarthost report \
                 rejected say why. ",
                String::new(),
            )
        } else {
            ("", self.remedy(report))
        };
        let written = who.iter().map(|line| format!("{line}\n"));
        let written = written.collect::<Vec<_>>().concat();
        format!(
            "Client:   {client}\nMessages: {used}\n{written}\n{cause}{consequence}\n\n\
             To look:   smarthost limits show {client}\n\
             {remedy}\
             To forget: smarthost limits reset {client}\n"
        )
    }

    /// What lets more through, of each limit that is near or full.
    fn remedy(self, report: &Report) -> String {
        let least = match self {
            Self::Near => NEAR,
            Self::Full => 100,
        };
        let client = &report.client;
        let (longest, others) = report.used(least);
        let mut text = String::new();
        if longest || others.is_empty() {
            let twice = report.twice();
            text = format!("To raise:  smarthost limits raise {client} {twice} --until tomorrow\n");
        }
        let key = if client.ends_with("/64") {
            "per_prefix6"
        } else {
            "per_client"
        };
        for limit in others {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "To allow more in {}: raise \"{limit}\" of limits.{key} in the configuration, \
                 then smarthost reload",
                limit.window.words()
            );
        }
        text
    }
}
