//! Packets: a length in four bytes, a letter, and what belongs to it; strings in it end with NUL.
//!
//! Contract: [`Reader`] takes bytes in any pieces, keeps at most one packet of [`MOST`] bytes and
//! what came behind it.

use mail::limits;

/// Largest packet that we take. Filters send a body in pieces of 64 KiB, and a field is never
/// larger than a header section.
pub const MOST: usize = limits::HEADER + 1024;
/// Largest that we send, without its letter: filters built with libmilter take no more.
pub const PAYLOAD: usize = 65_535;

/// What is wrong with a filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault(pub String);

impl Fault {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

/// Appends a packet; texts beyond [`PAYLOAD`] are for the caller to avoid.
pub fn write(out: &mut Vec<u8>, letter: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len().saturating_add(1)).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(letter);
    out.extend_from_slice(payload);
}

/// Appends a string without NULs, and the NUL at its end.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|byte| **byte != 0));
    out.push(0);
}

/// Packets from pieces of any size.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether nothing was left unread.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next whole packet: its letter and its payload.
    pub fn next_packet(&mut self) -> Result<Option<(u8, Vec<u8>)>, Fault> {
        let Some(length) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(1..=MOST).contains(&length) {
            return Err(Fault::new(format!(
                "it sends a packet of {length} bytes, which is none of a milter"
            )));
        }
        let end = length.saturating_add(4);
        if self.buffer.len() < end {
            return Ok(None);
        }
        let packet: Vec<u8> = self.buffer.drain(..end).skip(4).collect();
        Ok(packet
            .split_first()
            .map(|(letter, payload)| (*letter, payload.to_vec())))
    }
}

/// Takes a number of four bytes off the front.
pub fn take_number(payload: &mut &[u8]) -> Option<u32> {
    let (number, rest) = payload.split_first_chunk::<4>()?;
    *payload = rest;
    Some(u32::from_be_bytes(*number))
}

/// Takes a string with its NUL off the front.
pub fn take_string<'a>(payload: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = payload.iter().position(|byte| *byte == 0)?;
    let (text, rest) = payload.split_at_checked(end)?;
    *payload = rest.get(1..).unwrap_or_default();
    Some(text)
}
