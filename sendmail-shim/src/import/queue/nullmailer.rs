//! A queue file of nullmailer: the sender, a recipient a line, an empty line, the message.
//!
//! Quirks that count: the null sender is an empty first line; a bounce that must not bounce comes
//! from `#@[]`. The file appears in `queue/` complete.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Left, Queued, waiting, written};
use mail::envelope::Rcpt;

/// Who sends bounces of bounces.
const DOUBLE_BOUNCE: &[u8] = b"#@[]";

/// Reads a queue file.
pub fn read(file: &[u8]) -> Result<Queued, Left> {
    let (first, mut rest) = line(file, 1)?;
    let sender = match first {
        b"" | DOUBLE_BOUNCE => None,
        address => Some(written(address)?),
    };
    let mut recipients = Vec::new();
    for number in 2usize.. {
        let (address, after) = line(rest, number)?;
        rest = after;
        if address.is_empty() {
            break;
        }
        recipients.push(Rcpt::from(written(address)?));
    }
    waiting(Queued {
        sender,
        recipients,
        content: rest.to_vec(),
        ..Queued::default()
    })
}

/// A line, and what follows it.
fn line(bytes: &[u8], number: usize) -> Result<(&[u8], &[u8]), Left> {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    end.and_then(|end| Some((bytes.get(..end)?, bytes.get(end.saturating_add(1)..)?)))
        .ok_or(Left::Damaged("the envelope is cut off", number))
}
