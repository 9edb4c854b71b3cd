//! What the machine hears.

use super::{
    day::{Passed, Waiting},
    news::News,
    outages::OutageReport,
};

/// What the machine hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    News(News),
    /// Something does not work; the same again is the same outage.
    Began(OutageReport),
    /// It works again. What was no outage has no end.
    Ended {
        what: String,
    },
    /// Something for the digest of the day.
    Passed(Passed),
    /// It is time for the digest: what waits for hours, and what else is to be said.
    DayEnded {
        waiting: Vec<Waiting>,
        more: Vec<String>,
    },
}
