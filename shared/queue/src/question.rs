//! Questions whether a recipient would be taken: those that wait, and those under way.

use std::{collections::VecDeque, sync::Arc};

use mail::clock::Timestamp;

use crate::{Transport, hashed::Map, site::Key};

/// One that waits.
#[derive(Debug)]
pub(crate) struct Question<D> {
    pub(crate) ticket: u64,
    pub(crate) destination: Arc<D>,
    /// Of a client of ours: before those of strangers.
    pub(crate) own: bool,
}

/// One under way.
#[derive(Debug)]
pub(crate) struct Asked<D> {
    pub(crate) destination: Arc<D>,
    pub(crate) own: bool,
    pub(crate) site: Key<D>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) began: Timestamp,
    /// It is being cut.
    pub(crate) cut: bool,
}

#[derive(Debug)]
pub(crate) struct Questions<D> {
    pub(crate) waiting: VecDeque<Question<D>>,
    pub(crate) under_way: Map<u64, Asked<D>>,
    /// The newest one goes before the oldest, next time.
    pub(crate) newest: bool,
}

impl<D> Default for Questions<D> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: Map::default(),
            newest: false,
        }
    }
}
