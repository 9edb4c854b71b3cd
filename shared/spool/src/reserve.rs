//! The empty segment in reserve for a full disk: results of deliveries and bounces go on there.
//!
//! Contract: it outlives restarts. One that lies there is used on if nothing was ever written to
//! it; after a start and at an end, when another program may have taken all that was free, a
//! smaller one is better than none.

use std::fs::File;

use super::{SpoolError, disk::Disk, error::is_full, holder::Own, layout::Layout, scan};

/// The reserve.
pub(super) struct Spare {
    pub(super) file: Own,
    pub(super) size: u64,
}

/// A multiple of this is as large as a smaller one is.
const GRAIN: u64 = 64 * 1024;

impl Spare {
    /// A new one of a segment's size.
    pub(super) fn make(disk: &dyn Disk, layout: &Layout, size: u64) -> Result<Self, SpoolError> {
        // One that is left from before could not be used.
        let _ = disk.remove(&layout.spare);
        let made = disk.create(&layout.spare, size).and_then(|file| {
            // Its length would be gone after a power cut (btrfs), and a full disk gives none anew.
            disk.sync(&file)?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Self {
                file: Own::new(file),
                size,
            }),
            Err(error) if is_full(&error) => Err(SpoolError::full(&layout.root)),
            Err(error) => Err(SpoolError::io("cannot reserve", &layout.spare)(error)),
        }
    }

    /// The one that is there, or a new one, or one as large as there is room for, if that is not
    /// less than `least`.
    pub(super) fn keep(
        disk: &dyn Disk,
        layout: &Layout,
        size: u64,
        least: u64,
    ) -> Result<Self, SpoolError> {
        if let Ok(file) = disk.reopen(&layout.spare, size)
            && let Ok(found) = file.metadata().map(|it| it.len())
            && found >= least
            && is_empty(&file)
        {
            return Ok(Self {
                file: Own::new(file),
                size: found,
            });
        }
        let error = match Self::make(disk, layout, size) {
            Err(error @ SpoolError::Full { .. }) => error,
            made => return made,
        };
        let free = system::fs::room(&layout.root).map_or(0, |room| room.bytes);
        let sizes = [free / GRAIN * GRAIN, size / 4 * 3, size / 2, size / 4];
        let mut sizes: Vec<_> = sizes.into_iter().filter(|it| *it < size).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut fitting = sizes.into_iter().filter(|it| *it >= least && *it <= free);
        fitting
            .find_map(|size| Self::make(disk, layout, size).ok())
            .ok_or(error)
    }
}

/// Whether nothing was ever written to it.
fn is_empty(file: &File) -> bool {
    let scanned = scan::scan(file, u64::MAX, |_| true);
    scanned.is_ok_and(|it| it.damaged.is_empty() && it.end == 0 && it.unreadable == 0)
}
