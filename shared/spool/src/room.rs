//! Whether there is room for more mail.
//!
//! Contract: the look at the disk is made apart (apart.rs): one that does not answer holds up
//! nobody for long, and is shared by messages that come together (lately.rs). Mail is taken
//! meanwhile by what was seen before, and refused when the disk hangs.

use std::time::Duration;

use mail::{clock, limits};
use system::fs::Room;

use super::{Spool, SpoolError, apart::Seen, asked::HANGS, free::look, lock};

impl Spool {
    /// Whether there is room for a message of that size (0: unknown). Ask before a message is
    /// received; bounces need not.
    pub fn has_room(&self, size: u64) -> Result<(), SpoolError> {
        let (lately, minimum) = (&self.open.lately, self.open.minimum_free);
        let begun = clock::steady();
        if lock(lately).has_room(size, minimum, begun) {
            return self.open.committer.lack().map_or(Ok(()), Err);
        }
        let look = lock(lately).begin(begun);
        let (free, is_new) = self.room()?;
        let wanted = minimum.saturating_add(size);
        let enough = free.bytes >= wanted && free.inodes >= limits::MINIMUM_INODES;
        if !enough {
            return Err(SpoolError::Full {
                path: self.open.committer.layout.root.clone(),
                free: free.bytes,
                inodes: free.inodes,
                wanted,
            });
        }
        let mut lately = lock(lately);
        lately.grant(size);
        if is_new {
            lately.saw(look, free);
        }
        drop(lately);
        self.open.committer.lack().map_or(Ok(()), Err)
    }

    /// Bytes that new mail may still take.
    pub fn free(&self) -> Result<u64, SpoolError> {
        let (room, _) = self.room()?;
        Ok(room.bytes.saturating_sub(self.open.minimum_free))
    }

    /// What is free, and whether that was seen now. The look is made apart: a disk that does not
    /// answer holds up nobody for long.
    fn room(&self) -> Result<(Room, bool), SpoolError> {
        let Some(look) = self.open.look.get() else {
            let seen = look(&self.open.root, &self.open.committer.layout.root)?;
            return Ok((seen, false));
        };
        let (seen, is_new) = match look.ask() {
            Seen::Now(seen) => (seen, true),
            Seen::Late(late, Some(seen)) if late < HANGS => (seen, false),
            Seen::Late(late, _) => return Err(self.open.committer.no_answer(late)),
        };
        let room = seen.as_ref().as_ref();
        room.map_or_else(|why| Err(why.again()), |room| Ok((*room, is_new)))
    }

    /// How long the disk has not said how much of it is free.
    pub(super) fn late(&self) -> Duration {
        self.open.look.get().map_or(Duration::ZERO, |it| it.late())
    }
}
