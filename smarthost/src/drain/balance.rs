//! What is kept of a drain over a restart, and the sum that must come out.
//!
//! Contract: `came = moved + delivered + bounced + removed + left`, at any moment. What was in
//! delivery when the drain began ends here as delivered or bounced; it is counted when it does, all
//! else has moved.

use std::fmt;

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// A drain, as it is kept in a file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Drain {
    /// The next hop, as it was typed.
    pub to: String,
    /// The key that it must show.
    pub pin: String,
    pub since: Timestamp,
    /// Messages that were queued when it began, or came since.
    pub came: u64,
    /// Of these, what ended here.
    pub delivered: u64,
    pub bounced: u64,
    pub removed: u64,
    /// Mail is taken again, and delivered; what has left is still made known to the other server.
    pub stopped: bool,
}

impl Drain {
    /// It begins with so many messages.
    pub fn new(to: &str, pin: &str, queued: usize, now: Timestamp) -> Self {
        Self {
            to: to.to_owned(),
            pin: pin.to_owned(),
            since: now,
            came: u64::try_from(queued).unwrap_or(u64::MAX),
            delivered: 0,
            bounced: 0,
            removed: 0,
            stopped: false,
        }
    }

    /// A message has ended here; `deleted`: recipients that an order kept from delivery.
    pub fn ended(&mut self, deleted: usize, bounced: bool) {
        let count = match (deleted, bounced) {
            (1.., _) => &mut self.removed,
            (_, true) => &mut self.bounced,
            (_, false) => &mut self.delivered,
        };
        *count = count.saturating_add(1);
    }

    /// How far it is, with so many messages left.
    pub fn progress(&self, left: usize) -> Progress {
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        let here = [self.delivered, self.bounced, self.removed, left];
        let here = here.into_iter().fold(0u64, u64::saturating_add);
        // A crash may have cost the count of what came last.
        let came = self.came.max(here);
        Progress {
            drain: Self {
                came,
                ..self.clone()
            },
            moved: came.saturating_sub(here),
            left,
            ..Progress::default()
        }
    }
}

/// How far a drain is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    #[serde(flatten)]
    pub drain: Drain,
    pub moved: u64,
    pub left: u64,
    /// Of those left, what the other server has been told of and has not answered yet.
    pub underway: u64,
    /// Clients that were inside a message when it began, and may still hear 250.
    pub inside: u64,
    /// Why there is no connection now.
    pub trouble: Option<String>,
    /// Of those left, what stays for now, by reason.
    pub refused: Vec<Stay>,
}

/// What stays for the same reason.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stay {
    pub why: String,
    pub count: u64,
    /// The oldest of them, at most [`NAMED`].
    pub ids: Vec<String>,
}

/// Messages that are named of those that stay.
pub const NAMED: usize = 3;

/// `2 stay: too large (9KGMSQZSPLNGC, 9KGMSQZWGWPBT)`
impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.count == 1 { "stays" } else { "stay" };
        let more = usize::try_from(self.count).is_ok_and(|count| count > self.ids.len());
        let more = if more { ", …" } else { "" };
        let (count, why, ids) = (self.count, &self.why, self.ids.join(", "));
        write!(f, "{count} {verb}: {why} ({ids}{more})")
    }
}

/// The balance in a line: `500 came: 480 moved to [mx2.example]:25, 2 delivered, … 18 left`.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drain {
            to,
            came,
            delivered,
            bounced,
            removed,
            ..
        } = &self.drain;
        let moved = self.moved;
        write!(f, "{came} came: {moved} moved to {to}, ")?;
        write!(f, "{delivered} delivered, {bounced} bounced, ")?;
        if *removed > 0 {
            write!(f, "{removed} removed, ")?;
        }
        write!(f, "{} left", self.left)?;
        match self.inside {
            0 => {}
            1 => f.write_str("; 1 client is inside a message")?,
            inside => write!(f, "; {inside} clients are inside a message")?,
        }
        if self.drain.stopped {
            f.write_str("; stopped")?;
        }
        match &self.trouble {
            Some(why) => write!(f, "; {why}"),
            None => Ok(()),
        }
    }
}

impl Progress {
    /// Whether only what stays is left, and nobody is inside a message that may still be taken.
    pub fn is_over(&self) -> bool {
        let refused = self.refused.iter().map(|stay| stay.count);
        self.inside == 0 && self.left <= refused.fold(0, u64::saturating_add)
    }

    /// The balance with what stays, and why.
    pub fn told(&self) -> String {
        let mut text = self.to_string();
        for stay in &self.refused {
            text.push_str("; ");
            text.push_str(&stay.to_string());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_came_is_somewhere_in_the_balance() {
        let mut drain = Drain::new("[mx2]", "sha256:x", 10, Timestamp::default());
        drain.came += 1;
        drain.ended(0, false);
        drain.ended(0, true);
        drain.ended(2, true);
        let progress = drain.progress(3);
        let parts = [
            progress.drain.delivered,
            progress.drain.bounced,
            progress.drain.removed,
            progress.left,
        ];
        assert_eq!(
            (parts, progress.moved, progress.drain.came),
            ([1, 1, 1, 3], 5, 11)
        );
        assert!(!progress.is_over());
        let stay = |why: &str, count| Stay {
            why: why.to_owned(),
            count,
            ids: vec!["9KGMSQZSPLNGC".to_owned()],
        };
        let all_stay = Progress {
            refused: vec![stay("too large", 2), stay("taken", 1)],
            ..progress
        };
        assert!(all_stay.is_over());
        let told = all_stay.told();
        assert!(
            told.contains("; 2 stay: too large (9KGMSQZSPLNGC, …); 1 stays: taken (9KGMSQZSPLNGC)"),
            "{told}"
        );
        let inside = Progress {
            inside: 1,
            ..all_stay
        };
        assert!(!inside.is_over() && inside.to_string().contains("1 client is inside a message"));
    }

    #[test]
    fn the_sum_comes_out_also_where_a_crash_cost_a_count() {
        let drain = Drain::new("[mx2]", "sha256:x", 2, Timestamp::default());
        let progress = drain.progress(3);
        assert_eq!(
            (progress.drain.came, progress.moved, progress.left),
            (3, 0, 3)
        );
    }

    #[test]
    fn programs_read_one_flat_balance() {
        let drain = Drain::new("[mx2]", "sha256:x", 2, Timestamp::default());
        let text = serde_json::to_string(&drain.progress(1)).unwrap();
        assert!(
            text.contains("\"came\":2") && text.contains("\"left\":1"),
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<Progress>(&text).unwrap(),
            drain.progress(1)
        );
    }
}
