//! The `sendmail` command line: one table that feeds the parser, `--help` and the manual page.
//!
//! | part | what |
//! |---|---|
//! | [`table`] | a row an option: name, argument, effect, one sentence |
//! | [`parse`] | argv read with the table into [`Typed`](parse::Typed): what was typed, complete and unchecked |
//! | [`help`] | the table as text |

pub mod help;
pub mod parse;
pub mod table;
