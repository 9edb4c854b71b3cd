//! What becomes of each message that is like an earlier one, within a window from the first.
//!
//! Contract: pure. At most [`MAX_KNOWN`] different messages are remembered; what comes beyond that
//! is sent. Whatever is not known for certain is sent too: nothing is ever held back for lack of
//! memory.

use std::{collections::HashMap, time::Duration};

use mail::clock::Timestamp;
use spool::QueueId;

/// Messages remembered at once.
const MAX_KNOWN: usize = 1024;

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judgement {
    /// It is sent.
    Send,
    /// It is kept until then and stands for those that follow; say [`Windows::kept`] or
    /// [`Windows::forget`].
    Keep { until: Timestamp },
    /// It is counted: that one stands for so many now.
    Count { by: QueueId, count: u32 },
}

/// The messages of which a second one may come.
#[derive(Debug)]
pub(crate) struct Windows {
    span: Duration,
    known: HashMap<u64, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    until: Timestamp,
    second: Second,
}

#[derive(Clone, Copy, Debug)]
enum Second {
    None,
    /// On its way into the queue.
    Coming,
    Kept {
        id: QueueId,
        count: u32,
    },
}

impl Windows {
    /// `span`: from the first message to the digest.
    pub(crate) fn new(span: Duration) -> Self {
        Self {
            span,
            known: HashMap::new(),
        }
    }

    /// Decides about a message.
    pub(crate) fn judge(&mut self, likeness: u64, now: Timestamp) -> Judgement {
        // A clock that was set back must not keep a window open for longer than its span.
        let open = |known: &Known| now < known.until && known.until <= now.after(self.span);
        if !self.known.get(&likeness).is_some_and(open) {
            self.begin(likeness, now);
            return Judgement::Send;
        }
        match self.known.get_mut(&likeness) {
            Some(Known { until, second }) => match second {
                Second::None => {
                    *second = Second::Coming;
                    Judgement::Keep { until: *until }
                }
                Second::Coming => Judgement::Send,
                Second::Kept { id, count } => {
                    *count = count.saturating_add(1);
                    Judgement::Count {
                        by: *id,
                        count: *count,
                    }
                }
            },
            None => Judgement::Send,
        }
    }

    fn begin(&mut self, likeness: u64, now: Timestamp) {
        self.known.remove(&likeness);
        if self.known.len() >= MAX_KNOWN {
            self.known.retain(|_, known| now < known.until);
        }
        if self.known.len() < MAX_KNOWN {
            let known = Known {
                until: now.after(self.span),
                second: Second::None,
            };
            self.known.insert(likeness, known);
        }
    }

    /// The message that stands for those that follow is in the queue; `count`: for how many it
    /// stands already.
    pub(crate) fn kept(&mut self, likeness: u64, until: Timestamp, id: QueueId, count: u32) {
        let second = Second::Kept { id, count };
        self.known.insert(likeness, Known { until, second });
    }

    /// The message was not taken after all.
    pub(crate) fn forget(&mut self, likeness: u64) {
        self.known.remove(&likeness);
    }

    /// This message counts no more: it is being sent, or was thrown away.
    pub(crate) fn close(&mut self, kept: QueueId) {
        self.known
            .retain(|_, known| !matches!(known.second, Second::Kept { id, .. } if id == kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_mins(10);

    fn id(number: u64) -> QueueId {
        serde_json::from_value(number.into()).unwrap()
    }
    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    /// Row of the storm: 10,000 mails in a minute are the first, the one that stands for the rest,
    /// and 9,998 counts.
    #[test]
    fn of_a_storm_the_first_is_sent_the_second_is_kept_and_the_rest_is_counted() {
        let mut windows = Windows::new(SPAN);
        assert_eq!(windows.judge(1, at(0)), Judgement::Send);
        let until = at(600);
        assert_eq!(windows.judge(1, at(0)), Judgement::Keep { until });
        // Until that one is on disk nothing can be counted by it.
        assert_eq!(windows.judge(1, at(0)), Judgement::Send);
        windows.kept(1, until, id(7), 1);
        for n in 2..10_000 {
            let judged = windows.judge(1, at(u64::from(n) / 200));
            let by = id(7);
            assert_eq!(judged, Judgement::Count { by, count: n });
        }
        assert_eq!(windows.judge(2, at(60)), Judgement::Send, "another mail");
        // The window ends by its time, and by its digest.
        assert_eq!(windows.judge(1, at(600)), Judgement::Send);
        windows.judge(1, at(601));
        windows.kept(1, at(1200), id(8), 1);
        windows.close(id(8));
        assert_eq!(windows.judge(1, at(602)), Judgement::Send);
    }

    #[test]
    fn what_was_not_taken_a_clock_set_back_and_a_flood_of_different_mail_hold_nothing_back() {
        let mut windows = Windows::new(SPAN);
        windows.judge(1, at(0));
        windows.forget(1);
        assert_eq!(windows.judge(1, at(1)), Judgement::Send);
        assert_eq!(
            windows.judge(1, Timestamp::from_secs(10)),
            Judgement::Send,
            "a clock set back opens a new window"
        );
        for likeness in 0..5000 {
            assert_eq!(windows.judge(likeness + 10, at(0)), Judgement::Send);
        }
        assert!(windows.known.len() <= MAX_KNOWN);
        assert_eq!(windows.judge(9999, at(601)), Judgement::Send);
        assert_eq!(windows.known.len(), 1, "old windows make room");
    }
}
