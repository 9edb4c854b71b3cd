//! Recipients of one message, gathered by where they go.
//!
//! Contract: a list has as many recipients as the transport of its destination takes at once; a
//! look for each, though many thousands may go one way.

use std::{hash::Hash, sync::Arc};

use crate::hashed::Map;

/// A list, and how many recipients it takes.
type Open = (usize, usize);

pub(crate) struct Gathered<D> {
    pub(crate) jobs: Vec<(Arc<D>, Vec<u32>)>,
    /// The last list of each.
    open: Map<Arc<D>, Open>,
    /// Where the recipient before goes.
    last: Option<(Arc<D>, Open)>,
}

impl<D: Eq + Hash> Default for Gathered<D> {
    fn default() -> Self {
        Self {
            jobs: Vec::new(),
            open: Map::default(),
            last: None,
        }
    }
}

impl<D: Eq + Hash> Gathered<D> {
    /// `most`: how many recipients a destination takes at once.
    pub(crate) fn add(&mut self, to: Arc<D>, recipient: u32, most: impl FnOnce(&Arc<D>) -> usize) {
        let same = |(known, _): &mut (Arc<D>, Open)| Arc::ptr_eq(known, &to) || *known == to;
        let known = self.last.take_if(same).map(|(_, open)| open);
        let known = known.or_else(|| self.open.get(&to).copied());
        let (mut at, most) = known.unwrap_or_else(|| (usize::MAX, most(&to)));
        match self.jobs.get_mut(at) {
            Some((_, recipients)) if recipients.len() < most => recipients.push(recipient),
            _ => {
                at = self.jobs.len();
                self.jobs.push((Arc::clone(&to), vec![recipient]));
                self.open.insert(Arc::clone(&to), (at, most));
            }
        }
        self.last = Some((to, (at, most)));
    }
}
