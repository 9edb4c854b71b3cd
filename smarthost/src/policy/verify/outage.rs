//! What is done about recipients while their next hop does not answer.

/// What is done while the next hop does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutageMode {
    /// Who is known gets mail, others come again; after a day everybody gets small mail.
    AcceptKnown,
    /// Everybody gets small mail.
    AcceptAll,
    /// Others come again, however long it takes.
    Defer,
}

settings::words!(OutageMode:
    "accept-known" = Self::AcceptKnown,
    "accept-all" = Self::AcceptAll,
    "defer" = Self::Defer,
);
