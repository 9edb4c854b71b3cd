//! What is kept, and in which table.

use std::path::PathBuf;

use crate::limits::{Class, ClientId, Kept};

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Shelf {
    Limit(Kept),
    Greylist,
    /// Recipients that were asked for at the next hop.
    Recipients,
    Refusals,
    Activity,
    Machines,
    /// What administrators are told.
    Notices,
    /// Mail that must come.
    Expected,
    /// What is counted for a budget that is shared.
    Budget,
    /// For whom tokens of rewritten senders stand.
    Tokens,
    /// How many connections hosts take.
    Lessons,
}

/// A row's place.
pub(super) type Key = (Shelf, String);

/// The tables, in the order in which they are read: limits that were raised say which windows are
/// counted.
pub(super) const TABLES: [(&str, Shelf); 13] = [
    ("raised_limits", Shelf::Limit(Kept::Orders)),
    ("client_limits", Shelf::Limit(Kept::Counts(Class::Own))),
    (
        "stranger_limits",
        Shelf::Limit(Kept::Counts(Class::Stranger)),
    ),
    ("greylist", Shelf::Greylist),
    ("recipients", Shelf::Recipients),
    ("refusals", Shelf::Refusals),
    ("activity", Shelf::Activity),
    ("machines", Shelf::Machines),
    ("notices", Shelf::Notices),
    ("expected", Shelf::Expected),
    ("budget", Shelf::Budget),
    ("forwarded_senders", Shelf::Tokens),
    ("learned_connections", Shelf::Lessons),
];

/// What was kept.
#[derive(Debug, Default)]
pub struct Restored {
    /// For [`crate::limits::Limits::restore`].
    pub limits: Vec<((Kept, ClientId), String)>,
    /// For [`crate::policy::greylist::Greylist::restore`].
    pub greylist: Vec<(String, String)>,
    /// For [`crate::policy::verify::Recipients::restore`].
    pub recipients: Vec<(String, String)>,
    /// For [`crate::policy::refusals::Refusals::restore`].
    pub refusals: Vec<(String, String)>,
    /// For [`crate::activity::Activity::restore`].
    pub activity: Vec<(String, String)>,
    /// For [`crate::machines::Machines::restore`].
    pub machines: Vec<(String, String)>,
    /// For [`crate::notices::Notices::restore`].
    pub notices: Vec<(String, String)>,
    /// For [`crate::expected::Expected::restore`].
    pub expected: Vec<(String, String)>,
    /// For [`crate::budget::Site::restore`].
    pub budget: Vec<(String, String)>,
    /// For [`crate::srs::Tokens::restore`].
    pub tokens: Vec<(String, String)>,
    /// For [`crate::lessons::Lessons::restore`].
    pub lessons: Vec<(String, String)>,
    /// A damaged database, or one that was made empty, was moved aside to this path.
    pub quarantined: Option<PathBuf>,
    /// So many rows of what administrators ordered came from their copy then.
    pub copied: usize,
}

/// The table of a shelf.
pub(super) fn name(shelf: Shelf) -> &'static str {
    let table = TABLES.iter().find(|(_, of)| *of == shelf);
    table.map_or("client_limits", |(name, _)| *name)
}
