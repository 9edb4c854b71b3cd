//! A message as one peer can take it: no line over 998 bytes, and 7 bits where it does not take 8.
//!
//! Contract: every leaf part that needs it is encoded by itself, text as quoted-printable, anything
//! else as base64, and its header says so; all else stays byte for byte. Memory is bounded whatever
//! the message is. A long line is never cut within a word:
//!
//! | where it stands | what becomes of it |
//! |---|---|
//! | a leaf part, also one whose encoding has a name that nobody knows | encoded |
//! | quoted-printable, base64 | broken where that means nothing |
//! | a multipart without a boundary | encoded, as the text that its readers see |
//! | what must not be encoded: text around parts, `message/partial` and its kin | folded before a blank ([`Fit::folded`]); a longer word stays whole |
//! | what is signed: `multipart/signed`, all of a message with DKIM-Signature | stays: a peer may take it, while a change surely breaks the signature |
//!
//! RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6 (998 bytes); RFC 6152 §3; RFC 2045 §6; RFC 2046 §5.
//!
//! | part | what |
//! |---|---|
//! | [`fit`] | reads the message once, decides, and gives it as it is to be sent |
//! | `walk` | takes the message apart into header sections, leaf parts and what frames them |
//! | `entity` | what one header section says of its body |
//! | `encode` | rewrites a leaf part |

mod encode;
mod entity;
mod fit;
mod plan;
mod walk;

pub use fit::{Fit, Fitted, fit};
pub use plan::Wanted;
