//! Arguments of HELO, EHLO and BDAT.
//!
//! RFC 5321 §4.1.1.1; RFC 3030 §2.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::command::{CommandError, Verb, verb::BLANKS};
use mail::limits;

/// One chunk of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Bytes that follow the command.
    pub size: u64,
    /// The message ends with them.
    pub last: bool,
}

/// The name behind HELO or EHLO: one word of printable characters. Whether it is a good name is
/// policy.
pub fn helo_name(verb: Verb, arguments: &str) -> Result<&str, CommandError> {
    let printable = arguments
        .chars()
        .all(|c| !c.is_whitespace() && !c.is_control());
    if arguments.is_empty() || arguments.len() > limits::DOMAIN || !printable {
        let form = match verb {
            Verb::Ehlo => "EHLO hostname",
            Verb::Lhlo => "LHLO hostname",
            _ => "HELO hostname",
        };
        return Err(CommandError::Usage(form));
    }
    Ok(arguments)
}

/// `BDAT size [LAST]`
pub fn chunk(arguments: &str) -> Result<Chunk, CommandError> {
    const USAGE: CommandError = CommandError::Usage("BDAT size [LAST]");
    let mut words = arguments.split(BLANKS).filter(|word| !word.is_empty());
    let size = words.next().and_then(number).ok_or(USAGE)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(USAGE),
    };
    if words.next().is_some() {
        Err(USAGE)
    } else {
        Ok(Chunk { size, last })
    }
}

/// A decimal number of digits alone; one too large for 64 bits is none.
fn number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}
