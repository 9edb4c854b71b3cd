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
pub(crate) struct Id {
    pub(crate) client: ClientId,
    counts: Counted,
    seconds: u64,
}

/// What all nodes together have spent and hold.
pub(crate) type Everywhere = HashMap<Id, u32>;

impl Id {
    pub(crate) fn new(client: ClientId, limit: &Limit) -> Self {
        Self {
            client,
            counts: limit.counts,
            seconds: limit.window.span.as_secs(),
        }
    }

    /// As [`fmt::Display`] writes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (window, client) = text.split_once(' ')?;
        let (counts, seconds) = window.split_once('/')?;
        let counts = [Counted::Messages, Counted::Recipients]
            .into_iter()
            .find(|known| word(*known) == counts)?;
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
        write!(f, "{}/{seconds} {client}", word(self.counts))
    }
}

const fn word(counts: Counted) -> &'static str {
    match counts {
        Counted::Messages => "messages",
        Counted::Recipients => "recipients",
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
    /// The store was told of this budget before, and must know it still.
    pub(crate) known: bool,
    /// What the store's clock should show.
    pub(crate) now: Millis,
    pub(crate) limit: u32,
    pub(crate) want: u32,
    /// Absolute counts, in the order of the slots: that a request comes twice changes nothing.
    pub(crate) slots: Vec<(u64, u32)>,
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
    /// It has forgotten this budget alone.
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
