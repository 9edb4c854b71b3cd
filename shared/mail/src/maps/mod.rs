//! Tables read as text in their well-known syntax, no compile step.
//!
//! | grammar | file | form |
//! |---|---|---|
//! | aliases | /etc/aliases | `name: target, target` (aliases(5)); continuation lines; `:include:`, `\|program`, `/file`, `:fail:` are values |
//! | revaliases | /etc/…/revaliases | `local_account:outgoing_address[:mailhub]` (ssmtp), last match wins |
//!
//! A revaliases file may be written in either grammar (row A2).

mod expand;
mod lines;
pub mod packed;
mod read;
mod table;
mod target;

pub use expand::{ExpandError, NOBODY, Named, Rest, expand, expand_rest, expand_with_files, tried};
pub use lines::{LogicalLine, ORPHAN, logical_lines};
pub use table::{Entry, Problem, Table};
pub use target::Target;
