//! What is kept of a drain over a restart, and the sum that must come out.
//!
//! Contract: `came = moved + delivered + bounced + removed + left`, at any moment. What was in
//! delivery when the drain began ends here as delivered or bounced; it is counted when it does, all
//! else has moved.

use std::fmt;

use mail::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// A drain, as it is kept in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
        Progress {
            to: self.to.clone(),
            pin: self.pin.clone(),
            since: self.since,
            came: self.came,
            moved: self.came.saturating_sub(here),
            delivered: self.delivered,
            bounced: self.bounced,
            removed: self.removed,
            left,
            stopped: self.stopped,
            ..Progress::default()
        }
    }
}

/// How far a drain is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub to: String,
    pub pin: String,
    pub since: Timestamp,
    pub came: u64,
    pub moved: u64,
    pub delivered: u64,
    pub bounced: u64,
    pub removed: u64,
    pub left: u64,
    pub stopped: bool,
    /// Why there is no connection now.
    pub trouble: Option<String>,
    /// Of those left, how many the other server does not take, by reason.
    pub refused: Vec<(String, u64)>,
}

/// The balance in a line: `500 came: 480 moved to [mx2.example]:25, 2 delivered, … 18 left`.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            came, moved, to, ..
        } = self;
        write!(f, "{came} came: {moved} moved to {to}, ")?;
        let (delivered, bounced) = (self.delivered, self.bounced);
        write!(f, "{delivered} delivered, {bounced} bounced, ")?;
        if self.removed > 0 {
            write!(f, "{} removed, ", self.removed)?;
        }
        write!(f, "{} left", self.left)?;
        if self.stopped {
            f.write_str("; stopped")?;
        }
        match &self.trouble {
            Some(why) => write!(f, "; {why}"),
            None => Ok(()),
        }
    }
}

impl Progress {
    /// Whether only those are left that the other server does not take.
    pub fn is_over(&self) -> bool {
        let refused = self.refused.iter().map(|(_, count)| count);
        self.left <= refused.fold(0, |sum: u64, count| sum.saturating_add(*count))
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
            progress.delivered,
            progress.bounced,
            progress.removed,
            progress.left,
        ];
        assert_eq!(
            (parts, progress.moved, progress.came),
            ([1, 1, 1, 3], 5, 11)
        );
        assert!(!progress.is_over());
        let refused = vec![("too large".to_owned(), 2), ("taken".to_owned(), 1)];
        assert!(
            Progress {
                refused,
                ..progress
            }
            .is_over()
        );
    }
}
