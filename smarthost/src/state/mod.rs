//! State that is not mail: counters of the rate limit, in SQLite (WAL), written behind by one thread.

mod store;

pub use store::{Keeper, Restored, StateError, Store};
