//! Whether there is written or reserved space for what deliveries under way will leave, and the
//! proof that it can be written (standing.rs).

use std::{io::IoSlice, sync::Mutex};

use super::{SpoolError, ahead, disk, index::Index, lock, log::Log};

/// What must be free in the segments at hand for what deliveries under way will leave, bytes, and
/// as a part of a segment.
const ROOM: (u64, u64) = (256 * 1024, 8);
/// Zeros of a proof that writing works.
const PROOF: u64 = 4096;

impl Log {
    pub(super) fn wanted_room(&self) -> u64 {
        let (most, part) = ROOM;
        most.min(self.segment_size / part)
    }

    /// Whether the segments at hand have room for what deliveries under way will leave.
    pub(super) fn has_room(&self) -> bool {
        let active = self.active.as_ref();
        let left = active.map_or(0, |active| active.size.saturating_sub(active.end));
        let ready = self.ready.as_ref().map_or(0, |ready| ready.size);
        active.is_some() && left.saturating_add(ready) >= self.wanted_room()
    }

    /// Makes room for what deliveries will leave, and where writing has failed, shows that it
    /// works.
    pub(super) fn prove(&mut self, index: &Mutex<Index>) {
        let made = self.make_room(index);
        let mut standing = lock(&self.standing);
        match made {
            Ok(()) => standing.works(true),
            Err(why) => standing.fails(&why),
        }
    }

    fn make_room(&mut self, index: &Mutex<Index>) -> Result<(), SpoolError> {
        self.keep_place(index)?;
        if !self.has_room() {
            self.rotate(index, self.wanted_room(), true)?;
        }
        if !lock(&self.standing).is_failing() {
            return Ok(());
        }
        let Some(active) = &self.active else {
            return Ok(());
        };
        // Zeros are no record, wherever they are.
        let length = active.size.saturating_sub(active.end).min(PROOF);
        let mut pieces: Vec<IoSlice<'_>> = ahead::zeros(length).collect();
        let disk = self.disk.as_ref();
        let written = disk::write_all(disk, &active.file, active.end, &mut pieces)
            .and_then(|()| disk.sync(&active.file));
        written.map_err(|error| {
            self.abandon(index, &error);
            SpoolError::io("cannot write to", &self.layout.segments)(error)
        })
    }
}
