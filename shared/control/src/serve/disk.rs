//! What a status says of the disk of the queue.

use std::time::Duration;

use mail::clock::Timestamp;
use spool::Spool;

use crate::status;

/// What there is to say of a spool.
pub fn spool(spool: &Spool) -> status::Spool {
    let synced = |(then, took): (Timestamp, Duration)| {
        (then, u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
    };
    status::Spool {
        path: spool.directory().display().to_string(),
        free_bytes: spool.free().ok(),
        last_sync: spool.last_sync().map(synced),
        fault: spool.has_room(0).err().map(|why| why.to_string()),
        hangs: spool.hangs(),
    }
}
