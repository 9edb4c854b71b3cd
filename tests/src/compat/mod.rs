//! One suite for every `sendmail`: cases in a file, run against ours and against other people's.
//!
//! | part | what |
//! |---|---|
//! | [`case`] | the cases of `tests/compat/cases.toml` |
//! | [`machine`] | runs a case on a machine: ours in a temporary directory, or any package in a namespace |
//! | [`judge`] | what happened beside what should have; pure |
//! | [`table`] | results of several programs as a table for the documentation; pure |

pub mod case;
pub mod judge;
pub mod machine;
pub mod table;
