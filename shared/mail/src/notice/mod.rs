//! What the software itself writes: bounces (RFC 3464), delay warnings, notices to the
//! administrators. MIME parts by lettre's builder.
//!
//! | part | what |
//! |---|---|
//! | [`bounce`], [`delay`], [`success`], [`Bounce`] | `multipart/report`: words for people, `message/delivery-status` for programs, the original |
//! | [`notice`] | plain text |
//! | [`reached`] | of which deliveries the sender is told |
//!
//! Contract: canonical CRLF lines; 7-bit, except where the whole of an 8-bit message is returned;
//! text of peers cannot make a header field or another MIME part. The envelope (null sender) is the
//! caller's.

mod compose;
mod facts;
mod reached;
mod report;
mod words;

pub use compose::{notice, test};
pub use facts::Bounce;
pub use reached::reached;
pub use report::{bounce, delay, success};
