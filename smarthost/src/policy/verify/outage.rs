//! What is done about recipients while their next hop does not answer.

use serde::{Deserialize, Deserializer};
use settings::form::{self, Word};

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

impl Word for OutageMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("accept-known", Self::AcceptKnown),
        ("accept-all", Self::AcceptAll),
        ("defer", Self::Defer),
    ];
}
impl<'de> Deserialize<'de> for OutageMode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        form::word(from)
    }
}
