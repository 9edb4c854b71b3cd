//! What decides about queued mail. Pure.
//!
//! | module | what |
//! |---|---|
//! | [`retry`] | when a deferred recipient is tried again |
//! | [`rate`] | how many of something in a sliding time |

pub mod rate;
pub mod retry;
