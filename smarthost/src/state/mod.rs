//! State that is not mail: counters of the rate limit, in `SQLite`, written by one thread.
//!
//! | part | what |
//! |---|---|
//! | `shelves`, `places` | what is kept in which table; where the database is |
//! | [`Store`] | `state.sqlite`: opens, repairs by moving aside, reads and writes |
//! | [`Keeper`] | the thread that writes what changed |
//! | `memory`, `progress` | what is kept, in memory; how far the writer is, and since when not |
//! | `ordered` | a copy of what administrators ordered, for when the database is damaged |
//!
//! Contract: what changed before [`Keeper::flush`] is written when it returns, unless there is a
//! [`Keeper::fault`]; all that wait at one moment share a transaction. The final 250 of a message
//! waits until its count [is kept](Keeper::is_kept), beside the spool's commit: kill -9 of the
//! daemon at any moment forgets no message that was answered so. What nobody waits for (a MAIL
//! command whose message has not come) is written 100 ms later at the latest.
//! Written means in the kernel, not on the disk: a power cut or a crash of the kernel may forget
//! what the kernel had not yet written back (usually the last half minute; never what came before
//! the last checkpoint of the write-ahead log), but never damages the database (WAL, `synchronous =
//! NORMAL`).
//! Costs: about 8 µs of CPU a counted message, and no messages a second (50 sessions, 4 KiB: 126
//! and 134 µs without and with the wait).
//! Failures: a database that cannot be read, or is empty, is moved aside, and counting begins anew;
//! what administrators ordered comes back from a copy. One that was
//! deleted, moved or damaged under the running daemon is made anew, with all that is in memory, at
//! the next change and within a minute. One that cannot be written is a warning: the counters in
//! memory go on holding the limit, writing is tried again each second, and until then no mail waits
//! for it. A disk that does not answer is the same after two seconds, for replies, orders and looks
//! alike. It holds up no start either: what can be read without writing is counted on, and all of
//! it is written when that works. What could not be read at the start is added to what was counted
//! since, when it can be (the sum: these are other messages, and no limit lets more pass). On a
//! disk with less than 4 MiB free nothing is written.

mod keeper;
mod memory;
mod ordered;
mod places;
mod progress;
mod shelves;
mod store;
#[cfg(test)]
mod tests;

pub use keeper::{Changed, Keeper};
pub use memory::Memory;
pub(crate) use places::{damaged, holder, in_use, is_kept, is_taken, lock, wait_for};
pub use shelves::Restored;
pub use store::{StateError, Store};
