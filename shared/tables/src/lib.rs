//! Tables in files that are read again when they change: no compile step, no reload (rows A2, B18,
//! D2, D4).
//!
//! Layers, lowest first:
//!
//! | layer | modules |
//! |---|---|
//! | machine | [`watch`]: when a file is to be read; [`told`]: how much is told of one in which much is wrong |
//! | files | [`trust`]: who writes a file, and who may read it; [`watched`]: one file, and what was read from it; [`copies`]: files as they were when they were last good; [`secret`]: passwords, and what stands in for them |
//! | tables | [`aliases`]: alias files with the lists that they include |
//!
//! Contract: a changed file is taken once it was unchanged for two seconds. One that cannot be
//! read, is faulty, or is suddenly empty keeps what was read before it, and is told once.

// machine
pub mod told;
pub mod watch;
// files
pub mod copies;
pub mod secret;
pub mod trust;
pub mod watched;
// tables
pub mod aliases;

pub use aliases::Aliases;
pub use watched::{Missing, Watched};
