//! The durable queue store of both programs: append-only segments with group commit.
//!
//! Contract: [`Spool::accept`] returns `Ok` only when the message is on disk, names included
//! (fdatasync of the segment; body files: fdatasync, link, fsync of the directory, before the
//! record). One sync serves all that wait. What is
//! [recorded](Spool::record) shows at once and is durable within [`Options::linger`]: a crash may
//! repeat a delivery, it never loses a message. A message leaves with its last recipient, and
//! leaves nothing behind in memory.
//! Failures: [`SpoolError`]; a full disk refuses new mail and goes on delivering and bouncing on a
//! spare segment; damage is copied to `quarantine/` and reported in [`Recovery`] and the log, and
//! never keeps the spool from opening.
//!
//! # In the directory
//!
//! ```text
//! lock                  flock of the one process that has the spool open, which locks the two
//!                       folders of mail and the segments that it has open, too (holder.rs)
//! segments/NUMBER-MARK  records, appended; the highest number is the active one        (form: record.rs)
//!                       a clean close ends the active one with a record that says so
//!                       one above it may lie there, empty: the next one (ahead.rs)
//! segments/spare        an empty segment in reserve for a full disk              (reserve.rs)
//! segments/closed       after a clean end: how much lay there                    (form: closed.rs)
//! bodies/ID             bodies over limits::INLINE_BODY; those of accepted mail have mode 0400
//! quarantine/           damaged ranges SEGMENT-OFFSET, bodies without a record; never read, never deleted by us;
//!                       SEGMENT-OFFSET.lost says what is gone
//! ```
//!
//! # States of a message
//!
//! `+` on disk for certain, `?` perhaps, `-` not.
//!
//! ```text
//! state      body file  message record  last change record  meaning                        after a crash
//! draft      nameless         -                 -           being received, not promised   gone, nothing to do
//! linked         ?            -                 -           waits for the commit           the body file is removed
//! written        +            ?                 -           fdatasync is under way         queued, or cut as a torn tail
//! queued         +            +                 -           promised: accept was Ok        queued, as last recorded
//! gone           +            +                 ?           settled in memory              queued again, or buried
//! buried         ?            +                 +           leaves nothing in memory       buried; the body file is removed
//! forgotten      -            -                 ?           its segment is removed         nothing
//! ```
//!
//! # When a segment may be removed
//!
//! A segment is *live* by the messages whose (newest) record it holds, and is *pinned* by every
//! older segment that holds the message of one of its changes, or an older copy of one of its
//! messages: without the newer record the older one would come back to life. It is removed when it
//! is sealed, not live, and all that pins it is durably gone. Compaction copies messages (with
//! their state) and changes that still matter to the end of the log, which empties a segment of
//! both.
//!
//! What the start cannot open, or cannot copy to quarantine, stays, and with it every other segment
//! that it found: nothing is known then of what they say about each other. It is looked at again
//! (mended.rs).
//!
//! # Why so
//!
//! A file per message costs a journal commit and a directory commit each, and stops at some
//! thousand a second; one sync of a log serves everyone who waits (`cargo run --release -p spool
//! --example spool_bench` measures both). Segments are not reused and start at zeros, so nothing
//! stale can be mistaken for a record, and old segments are never written again.
//!
//! See also: RFC 5321 §6.1 (responsibility after 250).

mod adopt;
mod ahead;
mod apart;
mod asked;
mod beginning;
mod bodies;
mod closed;
mod commit;
mod committer;
mod disk;
mod displaced;
mod draft;
mod earlier;
mod error;
mod free;
mod gather;
mod holder;
mod id;
mod index;
mod intake;
mod item;
mod journal;
mod known;
mod layout;
mod listed;
mod lock;
mod log;
mod mended;
mod message;
mod parties;
mod pause;
mod place;
mod proof;
mod queued;
mod read;
mod reclaim;
mod record;
mod recovered;
mod recovery;
mod remains;
mod reserve;
mod room;
mod salvage;
mod scan;
mod schedule;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod source;
mod standing;
mod store;
#[cfg(test)]
mod tests;
mod unread;
mod usage;
mod walk;
mod watched;
mod whole;

use lock::lock;

pub use draft::Draft;
pub use earlier::{earlier, left};
pub use error::SpoolError;
pub use holder::{holder, holder_of, is_taken, take as take_lock};
pub use id::QueueId;
pub use known::Known;
pub use message::{Body, Entry, Event, Hold, Repeats, Settlement, Stored, Waiting};
pub use parties::Parties;
pub use queued::queued;
pub use recovered::{Recovery, quarantined};
pub use remains::UNREADABLE;
pub use source::Source;
pub use store::{Options, Spool};
pub use usage::Usage;
