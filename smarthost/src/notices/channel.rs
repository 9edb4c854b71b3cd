//! What waits of one sort, until its next mail is due.

use std::{fmt::Write as _, time::Duration};

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    kind::Kind,
    news::{News, Notice},
    words::cut,
};

/// Mails are at least this far apart; those about what strangers cause alone, this far.
pub(super) const INTERVAL: Duration = Duration::from_hours(1);
const STRANGERS: Duration = Duration::from_hours(24);
/// News that one mail tells, and how many of them strangers may have caused.
const NAMED: usize = 50;
const OF_STRANGERS: usize = NAMED / 5;
/// Longest texts, characters.
const HEADLINE: usize = 300;
const TEXT: usize = 4000;

/// One sort, or one outage.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Channel {
    waiting: Vec<News>,
    /// Beyond those that wait.
    more: u64,
    sent: Option<Timestamp>,
}

impl Channel {
    pub(super) fn add(&mut self, mut news: News) {
        news.headline = cut(&news.headline, HEADLINE);
        news.text = cut(&news.text, TEXT);
        let of_strangers = || self.waiting.iter().filter(|news| news.strangers).count();
        if self.waiting.len() >= NAMED || news.strangers && of_strangers() >= OF_STRANGERS {
            self.more = self.more.saturating_add(1);
        } else {
            self.waiting.push(news);
        }
    }

    /// A clock that was ahead silences nothing until the time gets there; whether it was.
    pub(super) fn heed(&mut self, now: Timestamp) -> bool {
        let sent = self.sent;
        self.sent.as_mut().map(|sent| sent.noted(now)) != sent
    }

    /// Whether it had a mail in the last day.
    pub(super) fn told_lately(&self, now: Timestamp) -> bool {
        self.sent.is_some_and(|sent| now.since(sent) < STRANGERS)
    }

    /// When there is a mail to send.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let strangers = self.waiting.iter().all(|news| news.strangers);
        let interval = if strangers { STRANGERS } else { INTERVAL };
        let due = self.sent.map_or(now, |sent| sent.after(interval));
        (!self.waiting.is_empty()).then_some(due)
    }

    /// Whether it says nothing, and need not be remembered.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.waiting.is_empty() && !self.told_lately(now)
    }

    /// What waits, which counts as told now.
    pub(super) fn take(&mut self, now: Timestamp) -> (Vec<News>, u64) {
        self.sent = Some(now);
        (
            std::mem::take(&mut self.waiting),
            std::mem::take(&mut self.more),
        )
    }
}

/// One mail about all of them.
pub(super) fn mail(kind: Kind, host: &str, (told, more): (Vec<News>, u64)) -> Notice {
    let count = u64::try_from(told.len()).unwrap_or(u64::MAX);
    let subject = match &told[..] {
        [only] if more == 0 => only.headline.clone(),
        _ => kind.subject(host, count.saturating_add(more)),
    };
    let mut text = String::new();
    for news in told.iter().take(NAMED) {
        text.push_str(&news.text);
        text.push('\n');
    }
    let more = more.saturating_add(count.saturating_sub(NAMED as u64));
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "And {more} more: see {}\n", kind.more());
    }
    text.push_str(kind.end());
    let text = format!("{}\n", text.trim_end());
    Notice {
        kind,
        subject,
        text,
    }
}
