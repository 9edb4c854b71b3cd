//! Replies, read and written.

use crate::status::{EnhancedStatus, ReplyCode};

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub code: ReplyCode,
    pub status: Option<EnhancedStatus>,
    /// Text lines without code and enhanced status; at least one, may be empty.
    pub lines: Vec<String>,
}
impl Reply {
    /// A reply of ours on one line; `code` outside 200..=599 becomes 451.
    pub fn new(_code: u16, _status: EnhancedStatus, _text: impl Into<String>) -> Self {
        todo!()
    }
    /// The same, written `"450 4.7.1 text"` in the source; what is not of that form becomes `451 4.3.0`.
    pub fn literal(_text: &str) -> Self {
        todo!()
    }
    /// All lines joined by blanks, with code and status: `250 2.0.0 Ok: queued as X`. For logs; escaped and bounded there.
    pub fn text(&self) -> String {
        todo!()
    }
    /// Wire form, CRLF at each end; control bytes in texts become `?`.
    pub fn encode(&self, _out: &mut Vec<u8>) {
        todo!()
    }
}
