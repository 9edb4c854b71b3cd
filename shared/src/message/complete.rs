//! Completion: what a message must have and does not.
use crate::{clock::Timestamp, envelope::Content, message::Header};
/// What is known when a message is completed.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Now.
    pub now: Timestamp,
    /// This machine, for Message-ID.
    pub hostname: &'a str,
    /// Queue id, makes the Message-ID unique.
    pub id: &'a str,
    /// `From` where there is none, already rewritten: `Full Name <user@domain>`.
    pub from: &'a str,
    /// 8-bit content without MIME fields gets MIME fields.
    pub content: Content,
}
/// Adds Date, Message-ID, From, To (`undisclosed-recipients:;`), MIME fields where missing; nothing else changes. Idempotent.
pub fn complete(_header: &mut Header, _facts: &Facts<'_>) {
    todo!()
}
