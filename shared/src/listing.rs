//! The queue as `mailq` and `postqueue -j` print it (research: Postfix 3.12 formats), from one row type that also travels over the control socket.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One queued message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    pub queue_id: String,
    /// `active`, `deferred`, `hold`.
    pub queue_name: String,
    pub arrival: Timestamp,
    /// Bytes.
    pub size: u64,
    /// Empty for the null sender.
    pub sender: String,
    pub recipients: Vec<RecipientRow>,
    /// When it is tried next, if deferred.
    pub next_attempt: Option<Timestamp>,
    /// Where it came from.
    pub origin: String,
}
/// One recipient that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecipientRow {
    pub address: String,
    /// Before aliases.
    pub orig_address: Option<String>,
    /// Why it waits; empty before the first attempt.
    pub delay_reason: String,
}
/// `mailq`'s table, `Mail queue is empty` for no rows.
pub fn mailq(_rows: &[Row]) -> String {
    todo!()
}
/// `postqueue -j`: one JSON object a line.
pub fn json_lines(_rows: &[Row]) -> String {
    todo!()
}
