//! State that is not mail: counters of the rate limit, in `SQLite`, written behind by one thread.
//!
//! | part | what |
//! |---|---|
//! | [`Store`] | `state.sqlite`: opens, repairs by moving aside, reads and writes |
//! | [`Keeper`] | the thread that writes what changed |
//!
//! Contract: what changed is written 100 ms later at the latest, many changes in one transaction; mail never waits for it. Written means in the
//! kernel: kill -9 of the daemon loses at most those 100 ms. A power cut may lose what came after the last checkpoint of the write-ahead log, but never
//! damages the database (WAL, `synchronous = NORMAL`).
//! Failures: a database that cannot be read is moved aside, and counting begins anew; one that cannot be written is a warning, what changed is
//! kept in memory and tried again each second.

mod keeper;
mod store;
#[cfg(test)]
mod tests;

pub use keeper::Keeper;
pub use store::{Restored, StateError, Store};
