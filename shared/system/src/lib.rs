//! The edges to the operating system that every program needs.
//!
//! | module | what |
//! |---|---|
//! | [`fs`] | atomic, synced files; free space; files that only trusted users can write |
//! | [`secret`] | passwords in files |
//! | [`log`] | one line an event |
//! | [`sysexits`] | exit statuses |

pub mod fs;
pub mod log;
pub mod secret;
pub mod sysexits;
