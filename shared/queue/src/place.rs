//! What a delivery under way takes from others.

/// What a delivery under way takes from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// One among all, and one at its site.
    Full,
    /// One at its site alone: a program takes its time.
    Program,
    /// The same: the peer is silent.
    Silent,
    /// None: it has no connection.
    None,
}
