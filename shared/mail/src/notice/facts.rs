//! What a report is composed from.

use crate::{address::Address, clock::Timestamp, envelope::Recipient, outcome::Failure};

/// A bounce to be composed.
#[derive(Clone, Debug)]
pub struct Bounce<'a> {
    /// This machine.
    pub hostname: &'a str,
    /// Of the message that failed.
    pub queue_id: &'a str,
    /// When that message was accepted.
    pub arrival: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// The sender who is told.
    pub to: &'a Address,
    /// ENVID= of the message, decoded.
    pub envid: Option<&'a str>,
    /// Who was not reached, and why; nobody in a [`success`](super::success).
    pub failed: &'a [(Recipient, Failure)],
    /// Header section of the original (text/rfc822-headers).
    pub header: &'a [u8],
    /// The first part of the body, if the whole is to be returned (RET=FULL); bounded by the
    /// caller.
    pub body: Option<&'a [u8]>,
}
