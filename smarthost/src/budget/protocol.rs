//! What is asked of the store and what it answers, as both sides of a simulation and the wire know
//! it.

use std::{collections::HashMap, fmt, time::Duration};

use crate::limits::{ClientId, Counted, Limit};

/// Milliseconds of the store's clock since 1970.
pub(crate) type Millis = u64;

/// Slots of a window, as in [`queue::rate::Ring`].
const SLOTS: u64 = 144;
/// Slots that are kept beside the one that has begun: a lease lives one slot, so what was granted
/// in a slot may be spent in the next one.
pub(crate) const KEEP: u64 = SLOTS + 1;
/// A request is for the time at which it was sent: the store refuses one whose clock is this far
/// away. What was held up on its way grants nobody anything, and a clock that jumps is noticed.
pub(crate) const TOLERANCE: Millis = 5000;

/// What is shared: what one client sends within one window.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Id {
    pub(crate) client: ClientId,
    counts: Counted,
    seconds: u64,
}

/// What all nodes together have spent and hold.
pub(crate) type Everywhere = HashMap<Id, Spent>;

impl Id {
    pub(crate) fn new(client: ClientId, limit: &Limit) -> Self {
        Self {
            client,
            counts: limit.counts,
            seconds: limit.window.span.as_secs(),
        }
    }

    /// As [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (window, client) = text.split_once(' ')?;
        let (counts, seconds) = window.split_once('/')?;
        let counts = [Counted::Messages, Counted::Recipients]
            .into_iter()
            .find(|known| known.name() == counts)?;
        Some(Self {
            client: ClientId::parse(client).ok()?,
            counts,
            seconds: seconds.parse().ok().filter(|seconds| *seconds > 0)?,
        })
    }

    /// A slot's milliseconds.
    pub(crate) fn width(&self) -> Millis {
        let span = Duration::from_secs(self.seconds).as_millis();
        u64::try_from(span)
            .unwrap_or(u64::MAX)
            .div_ceil(SLOTS)
            .max(1)
    }
}

/// `messages/86400 10.0.0.7`
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client, seconds, ..
        } = self;
        write!(f, "{}/{seconds} {client}", self.counts.name())
    }
}

/// All that this node has spent and holds of one budget, and a wish for more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) id: Id,
    /// What the store has heard since this began is all that it knows.
    pub(crate) epoch: String,
    /// A later request of the same node has a higher number.
    pub(crate) sequence: u64,
    /// The reset since which its counts are; of what was counted before nothing is told.
    pub(crate) generation: String,
    /// The number of a request that the store has answered: it must know it still; 0: of none.
    pub(crate) answered: u64,
    /// What the store's clock should show.
    pub(crate) now: Millis,
    pub(crate) limit: u32,
    pub(crate) want: u32,
    /// Absolute counts, in the order of the slots: that a request comes twice changes nothing.
    pub(crate) slots: Vec<(u64, u32)>,
}

/// What all nodes have spent and hold of one budget.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Spent {
    /// When each part of it slides out, from now on, soonest first.
    pub(crate) slides: Vec<(Millis, u32)>,
}

impl Spent {
    pub(crate) fn sum(&self) -> u32 {
        let counts = self.slides.iter().map(|(_, count)| *count);
        counts.fold(0, u32::saturating_add)
    }

    /// After how long something of this limit is free; `None`: now, or never.
    pub(crate) fn free_in(&self, limit: u32) -> Option<Millis> {
        let mut left = self.sum();
        if left < limit {
            return None;
        }
        let mut slides = self.slides.iter();
        slides.find_map(|(after, count)| {
            left = left.saturating_sub(*count);
            (left < limit).then_some(*after)
        })
    }
}

/// What the store says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// It has written that down.
    Told(Told),
    /// It has forgotten all, or was told to begin anew.
    OtherEpoch,
    /// A later request has come already; its number.
    Overtaken(u64),
    /// Its clock shows this.
    OtherTime(Millis),
    /// It has forgotten this budget alone, or a part of it, or somebody else wrote there.
    Forgotten,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) slot: u64,
    pub(crate) grant: u32,
    /// Of all nodes, with what is granted now.
    pub(crate) sum: u32,
    /// The oldest slot in which anybody counted anything.
    pub(crate) oldest: Option<u64>,
    /// All nodes have told what they know; nothing is granted before.
    pub(crate) complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_that_has_used_up_a_limit_says_when_it_takes_more() {
        let spent = Spent {
            slides: vec![(1000, 5), (2000, 5), (9000, 12)],
        };
        assert_eq!(spent.sum(), 22);
        assert_eq!(spent.free_in(23), None, "something is free now");
        assert_eq!(spent.free_in(22), Some(1000));
        assert_eq!(spent.free_in(17), Some(2000));
        assert_eq!(spent.free_in(10), Some(9000));
        assert_eq!(spent.free_in(0), None, "it is blocked");
    }
}
