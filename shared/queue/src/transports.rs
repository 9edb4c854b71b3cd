//! Which transport a destination has.

use std::{fmt, sync::Arc};

use crate::{Slots, Transport};

type Rule<D> = dyn Fn(&D) -> Arc<Transport> + Send + Sync;

/// A rule that gives each destination its transport.
pub struct Transports<D>(Arc<Rule<D>>);

impl<D> Transports<D> {
    pub fn new(rule: impl Fn(&D) -> Arc<Transport> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// One for all.
    pub fn unnamed(slots: &Slots) -> Self {
        let only = Arc::new(Transport::unnamed(slots));
        Self::new(move |_| Arc::clone(&only))
    }

    pub(crate) fn of(&self, to: &D) -> Arc<Transport> {
        (self.0)(to)
    }
}

impl<D> fmt::Debug for Transports<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transports")
    }
}
