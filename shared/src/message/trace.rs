//! Trace fields: `Received` (RFC 5321 §4.4), and the loop guard that counts them.
use crate::message::{Field, Header};
/// What a `Received` field tells.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// `from helo (name [address])`, or `(from root, uid 0)` for local submission; complete words.
    pub from: &'a str,
    /// This machine.
    pub by: &'a str,
    /// `ESMTPS`, `ESMTP`, `SMTP`, `UTF8SMTPS`, `local` … (RFC 3848, RFC 6531 §4.3).
    pub with: &'a str,
    /// Queue id.
    pub id: &'a str,
    /// The recipient, where there is just one.
    pub for_: Option<&'a str>,
    /// RFC 5322 date.
    pub date: &'a str,
    /// TLS version and cipher, if any, as a comment.
    pub tls: Option<&'a str>,
}
/// The folded field.
pub fn received(_trace: &Received<'_>) -> Field {
    todo!()
}
/// Number of `Received` fields.
pub fn hops(header: &Header) -> usize {
    header.fields().iter().filter(|f| f.is("Received")).count()
}
