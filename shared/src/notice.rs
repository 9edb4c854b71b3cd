//! What the software itself writes: bounces (RFC 3464), delay warnings, notices to the administrators. Composed with lettre's builder.

use crate::{address::Address, clock::Timestamp, envelope::Recipient, outcome::Failure};

/// A bounce to be composed.
#[derive(Clone, Debug)]
pub struct Bounce<'a> {
    pub hostname: &'a str,
    pub queue_id: &'a str,
    pub arrival: Timestamp,
    pub now: Timestamp,
    pub to: &'a Address,
    pub envid: Option<&'a str>,
    pub failed: &'a [(Recipient, Failure)],
    /// Header section of the original (text/rfc822-headers).
    pub header: &'a [u8],
    /// The first part of the body, if the whole is to be returned (RET=FULL); bounded by the caller.
    pub body: Option<&'a [u8]>,
}
/// A complete message in canonical CRLF lines: `multipart/report; report-type=delivery-status`, `Auto-Submitted: auto-replied`.
pub fn bounce(_bounce: &Bounce<'_>) -> Vec<u8> {
    todo!()
}
/// A plain notice to administrators: `Auto-Submitted: auto-generated`.
pub fn notice(
    _hostname: &str,
    _now: Timestamp,
    _to: &[Address],
    _subject: &str,
    _text: &str,
) -> Vec<u8> {
    todo!()
}
