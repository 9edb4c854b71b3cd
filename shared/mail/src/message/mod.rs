//! A message's header section, untouched where we do not touch it, and what is done to it.
//!
//! | part | what |
//! |---|---|
//! | [`Header`], [`Field`] | fields in order, each byte for byte as it came (RFC 5322 §2.2) |
//! | [`Splitter`] | cuts a stream into header section and body |
//! | [`Incoming`] | a message as it comes in, at every door: the intake, then the splitter |
//! | [`intake`] | what programs pipe in (LF or CRLF, `From ` lines, no header at all) made into canonical CRLF lines |
//! | `meant`, `misplaced` | lines that are meant as fields of recipients, damaged or where no field can be |
//! | [`recipients`] | who is named in To, Cc, Bcc (`-t`); fields that never leave the machine |
//! | [`rewrite`](mod@rewrite) | one policy for envelope and header: revaliases, aliases, domain |
//! | [`conform`](mod@conform) | fields that a strict relayhost refuses, written as they were meant |
//! | [`complete`](mod@complete) | adds Date, Message-ID, From, To and MIME fields where missing |
//! | [`encoded_words`] | raw 8-bit text in fields made ASCII (RFC 2047) |
//! | [`decoded_words`] | and as people read them |
//! | `parameters` | raw 8-bit names of attachments made ASCII (RFC 2231) |
//! | [`long_lines`] | header lines over 998 bytes folded |
//! | [`mime`] | the message as a peer can take it: short lines, 7 bits without 8BITMIME |
//! | [`trace`] | Received fields, hop count |

pub mod charset;
pub mod complete;
pub mod conform;
mod date;
pub mod decoded_words;
mod downgrade;
pub mod encoded_words;
mod header;
mod incoming;
pub mod intake;
mod lines;
pub mod long_lines;
mod meant;
pub mod mime;
mod misplaced;
mod parameters;
mod q_encoding;
pub mod recipients;
pub mod rewrite;
mod splitter;
pub mod trace;
pub mod writer;

pub use header::{Field, Header};
pub use incoming::{Arrived, Incoming};
pub use misplaced::Misplaced;
pub use splitter::{HeaderTooLong, Splitter};
