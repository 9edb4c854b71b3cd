//! Commands, read (by the server) and written (by the client).
//!
//! | part | what |
//! |---|---|
//! | `verb` | the first word: which command, and its arguments |
//! | `arguments` | HELO names, BDAT sizes |
//! | `path` | `<address>` of MAIL and RCPT: source routes, bare `postmaster`, unqualified names |
//! | `parameters` | MAIL and RCPT with their `KEY=value` |
//! | `error` | why a command is not understood, and the reply that says so |
//! | `xtext` | the encoding of DSN parameters |
//! | `xclient` | XCLIENT: whose session a front end hands on |
//! | `write` | MAIL and RCPT as the client sends them |
//!
//! Contract: parsing is total, takes any bytes, and gives nothing with a control character inside.
//! Lower case and blanks after the colon are understood, as are addresses without brackets, so that
//! a session can be typed by hand. What is written contains one CRLF, at its end.
//! RFC 5321 §4.1.1, 1870 (SIZE), 6152 (BODY), 6531 (SMTPUTF8), 3461 (DSN), 3030 (BDAT).

mod arguments;
mod error;
mod parameters;
mod path;
#[cfg(test)]
mod tests;
mod verb;
mod write;
pub mod xclient;
pub mod xtext;

pub use arguments::{Chunk, chunk, helo_name};
pub use error::CommandError;
pub use parameters::{Rules, mail, recipient};
pub use verb::{Verb, names_chunk, split};
pub use write::{write_mail, write_recipient};
