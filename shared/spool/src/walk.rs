//! All that is queued, piece by piece: a million messages at once would take much memory, and all
//! who bring mail would wait for it.
//!
//! Contract: oldest first, up to the newest that is queued when it begins, so that it ends; each
//! message as it is when its piece comes.

use super::{Entry, Parties, QueueId, Spool, index::Message, lock};

/// Messages of one piece.
const PIECE: usize = 1000;

impl Spool {
    /// The ids of all that is queued.
    pub fn walk_ids(&self) -> impl Iterator<Item = QueueId> + use<> {
        self.walk_with(|id, _| (id, id))
    }

    /// All that is queued.
    pub fn walk_entries(&self) -> impl Iterator<Item = Entry> + use<> {
        self.walk_with(|id, message| (id, message.entry(id)))
    }

    /// All that is queued, with whom it is from and for.
    pub fn walk(&self) -> impl Iterator<Item = (Entry, Parties)> + use<> {
        self.walk_with(|id, message| (id, (message.entry(id), message.parties.clone())))
    }

    fn walk_with<T>(
        &self,
        take: fn(QueueId, &Message) -> (QueueId, T),
    ) -> impl Iterator<Item = T> + use<T> {
        let spool = self.clone();
        let last = QueueId::from_number(lock(&spool.open.committer.index).highest());
        let mut after = None;
        let piece = move || {
            let index = lock(&spool.open.committer.index);
            let piece = index.behind(after, last, PIECE);
            let piece: Vec<_> = piece.map(|(id, message)| take(id, message)).collect();
            drop(index);
            after = piece.last().map(|(id, _)| *id);
            after.is_some().then_some(piece)
        };
        let pieces = std::iter::from_fn(piece);
        pieces.flatten().map(|(_, taken)| taken)
    }
}
