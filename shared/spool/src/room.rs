//! Whether there is room for more mail.
//!
//! Contract: the look at the disk is made apart (apart.rs): one that does not answer holds up
//! nobody for long. Mail is taken meanwhile by what was seen before, and refused when the disk
//! hangs.

use std::time::Duration;

use mail::limits;
use system::fs::Room;

use super::{Spool, SpoolError, apart::Seen, asked::HANGS, free::look};

impl Spool {
    /// Whether there is room for a message of that size (0: unknown). Ask before a message is
    /// received; bounces need not.
    pub fn has_room(&self, size: u64) -> Result<(), SpoolError> {
        let free = self.room()?;
        let wanted = self.open.minimum_free.saturating_add(size);
        let enough = free.bytes >= wanted && free.inodes >= limits::MINIMUM_INODES;
        if !enough {
            return Err(SpoolError::Full {
                path: self.open.committer.layout.root.clone(),
                free: free.bytes,
                inodes: free.inodes,
                wanted,
            });
        }
        self.open.committer.lack().map_or(Ok(()), Err)
    }

    /// Bytes that new mail may still take.
    pub fn free(&self) -> Result<u64, SpoolError> {
        let room = self.room()?;
        Ok(room.bytes.saturating_sub(self.open.minimum_free))
    }

    /// The look is made apart: a disk that does not answer holds up nobody for long.
    fn room(&self) -> Result<Room, SpoolError> {
        let Some(look) = self.open.look.get() else {
            return look(&self.open.root, &self.open.committer.layout.root);
        };
        let seen = match look.ask() {
            Seen::Now(seen) => seen,
            Seen::Late(late, Some(seen)) if late < HANGS => seen,
            Seen::Late(late, _) => return Err(self.open.committer.no_answer(late)),
        };
        seen.as_ref()
            .as_ref()
            .map_or_else(|why| Err(why.again()), |room| Ok(*room))
    }

    /// How long the disk has not said how much of it is free.
    pub(super) fn late(&self) -> Duration {
        self.open.look.get().map_or(Duration::ZERO, |it| it.late())
    }
}
