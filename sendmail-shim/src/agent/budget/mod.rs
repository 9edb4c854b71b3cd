//! The machine's budget of automatic mail: so many in a day, and what is beyond it waits in the
//! queue.
//!
//! | part | what |
//! |---|---|
//! | [`account`] | what goes now, what waits, and whose turn it is when there is room; pure |
//! | [`notice`] | what root is told; pure |
//! | [`keeping`] | the same, with spool and file |
//!
//! A message over the budget is held in the queue from the record on that promises it, so no crash
//! lets it go. What goes is counted in a file that is synced before its sender is told that it was
//! accepted: neither kill -9 nor a power cut forgets one. Only a file that cannot be written or
//! read costs counts, with a warning.
//!
//! What is counted by a digest (see [`duplicates`](super::duplicates)) costs nothing, and what the
//! agent writes itself neither costs nor waits.
//! `sendmail -q` does not let go what is held: every user may say it. `queue release` of the
//! administrator does, and what he lets go costs too.

pub(crate) mod account;
pub(crate) mod notice;

pub(super) mod keeping;
