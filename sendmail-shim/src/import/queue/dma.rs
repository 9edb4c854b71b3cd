//! A queue file of dma, `Q` and an id, for one recipient: fields `ID`, `Sender` and `Recipient`.
//! The message is in the `M` file of the same id.
//!
//! Quirks that count: unknown fields are passed over, as dma does; `Sender` may be empty; an id is
//! needed, for dma takes none without.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Left, Queued, waiting, written};
use mail::envelope::Rcpt;

/// Reads both files.
pub fn read(envelope: &[u8], message: &[u8]) -> Result<Queued, Left> {
    if !envelope.ends_with(b"\n") {
        return Err(Left::Damaged("the file is cut off", envelope.len()));
    }
    let mut id = false;
    let mut sender = None;
    let mut recipients = Vec::new();
    for (number, line) in (1usize..).zip(envelope.split(|&byte| byte == b'\n')) {
        if line.is_empty() {
            continue;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err(Left::Damaged("a line without a colon", number));
        };
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, b""));
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        match name {
            b"ID" => id = !value.is_empty(),
            b"Sender" => sender = Some(value),
            b"Recipient" => recipients.push(Rcpt::from(written(value)?)),
            _ => {}
        }
    }
    let (true, Some(sender)) = (id, sender) else {
        return Err(Left::Damaged("ID or Sender is missing", 0));
    };
    let sender = match sender {
        b"" | b"<>" => None,
        address => Some(written(address)?),
    };
    waiting(Queued {
        sender,
        recipients,
        content: message.to_vec(),
        ..Queued::default()
    })
}
