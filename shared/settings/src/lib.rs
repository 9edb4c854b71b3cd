//! Loading TOML into a typed struct, with errors that tell file, line, column and remedy.
//!
//! Unknown keys are refused, with "did you mean", where the struct says
//! `#[serde(deny_unknown_fields)]`.
//!
//! | part | what |
//! |---|---|
//! | [`parse`], [`error_at`], [`ConfigError`] | text to struct; errors that show the place |
//! | [`faults`] | files to settings, or all that is wrong with them |
//! | [`Span`] | `"5d"`, `"20m"`, `"1d12h"` |
//! | [`Size`] | `"25MiB"`, or bytes as a number |
//! | [`OneOrMany`] | `"x"` or `["x", "y"]` |
//! | [`NameServer`] | `"127.0.0.1"` or `"127.0.0.1:5353"` |
//! | [`user`], [`secret_file`] | a login: a user, and the file of a secret, not the secret itself |
//! | [`table`] | a table, never an array |
//! | [`Pattern`] | a text with stars that stand for anything |
//! | [`HostName`] | a name that is no address |
//! | [`layers`] | several files of one directory as one configuration |
//! | [`rows`] | settings as they are described, printed and compared |
//! | [`form`] | default and range of a setting of one value, which row and parser read |
//! | [`last_good`] | what a program runs with while its files are wrong |
//! | [`provision`] | settings that the machine itself is given |

mod error;
pub mod faults;
pub mod form;
pub mod last_good;
pub mod layers;
mod login;
mod pattern;
pub mod provision;
pub mod rows;
mod shown;
mod syntax;
mod units;
mod words;
mod written;

pub use error::{ConfigError, error_at, first, parse};
pub use login::{optional_secret_file, secret_file, user, users_file};
pub use pattern::Pattern;
pub use units::{HostName, LONGEST, NameServer, OneOrMany, Size, Span, optional_table, table};
pub use words::suggestion;

#[cfg(test)]
mod tests;
