//! What administrators are told of clients that came near their limit or reached it.

use mail::clock::Timestamp;

use crate::{
    limits::Report,
    notices::{Kind, News},
};

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
            kind: Kind::Limits,
            headline: self.line(report),
            text: self.describe(report, who, now),
            strangers: false,
        }
    }

    fn line(self, report: &Report) -> String {
        let (client, used) = (&report.client, report.usage());
        match self {
            Self::Full if report.attempts.is_some() => {
                format!("{client} tries too often what is not taken, and is refused ({used})")
            }
            Self::Near => format!("{client} has sent most of the mail it may send ({used})"),
            Self::Full => {
                format!("{client} has sent all the mail it may send and is refused ({used})")
            }
        }
    }

    fn describe(self, report: &Report, who: &[String], now: Timestamp) -> String {
        let (client, used, twice) = (&report.client, report.usage(), report.twice());
        let consequence = match (self, report.next_slot) {
            (Self::Full, Some(slot)) => format!(
                "Further messages are deferred (450), the next is taken at {}; a client with a queue loses nothing.",
                slot.seen_from(now)
            ),
            _ => "Above the limit its messages are deferred (450); a client with a queue loses nothing.".to_owned(),
        };
        let (cause, remedy) = if report.attempts.is_some() {
            (
                "What it began to send was not taken; the log and smarthost report rejected say why. ",
                String::new(),
            )
        } else {
            let raise =
                format!("To raise:  smarthost limits raise {client} {twice} --until tomorrow\n");
            ("", raise)
        };
        let written = who.iter().map(|who| format!("Written by: {who}\n"));
        let written = written.collect::<Vec<_>>().concat();
        format!(
            "Client:   {client}\nMessages: {used}\n{written}\n{cause}{consequence}\n\n\
             To look:   smarthost limits show {client}\n\
             {remedy}\
             To forget: smarthost limits reset {client}\n"
        )
    }
}
