//! A message as one peer can take it: no line over 998 bytes, and 7 bits where it does not take 8.
//!
//! Contract: every leaf part that needs it is encoded by itself, text as quoted-printable, anything
//! else as base64, and its header says so; all else stays byte for byte. What is signed stays as it
//! is (`multipart/signed`, and all of a message with DKIM-Signature): a peer may well take it,
//! while a change surely breaks the signature. A line is cut only where nothing can be encoded
//! ([`Fit::cut`] tells). Memory is bounded whatever the message is.
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
