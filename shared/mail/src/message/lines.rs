//! Lines as programs write them: where they end, and what else could be taken for an end.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::meant::{self, Manner};

/// Where a name with its colon ends, however much is between its letters, bytes.
const NAME: usize = 200;

/// A header line with its end.
pub(super) fn end_line(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(line);
    out.extend_from_slice(b"\r\n");
}

/// The text of a line, and its end.
pub(super) fn cut_end(raw: &[u8]) -> (&[u8], &[u8]) {
    let ends = |byte: &&u8| matches!(byte, b'\r' | b'\n' | 0);
    let length = raw.iter().rev().take_while(ends).count();
    let text = raw.len().saturating_sub(length);
    raw.split_at_checked(text).unwrap_or((raw, &[]))
}

/// Without line end and NULs; other CRs are blanks, and so is a NUL before a field of recipients.
pub(super) fn clean_header_line(raw: &[u8]) -> Vec<u8> {
    let (line, _) = cut_end(raw);
    let is_plain = !line.iter().any(|byte| matches!(byte, 0 | b'\r'));
    if is_plain {
        return line.to_vec();
    }
    let from = value_of_recipients(line);
    let mut out = Vec::with_capacity(line.len());
    for (at, &byte) in line.iter().enumerate() {
        match byte {
            b'\r' => out.push(b' '),
            0 if at >= from && !out.is_empty() && begins_field(line, at.saturating_add(1)) => {
                out.push(b' ');
            }
            0 => {}
            _ => out.push(byte),
        }
    }
    out
}

/// Where the value of a field of recipients begins, if the line is one.
fn value_of_recipients(line: &[u8]) -> usize {
    let head = line.get(..line.len().min(NAME)).unwrap_or_default();
    let meant = meant::field(head).filter(|meant| meant.manner != Manner::Odd);
    meant.map_or(0, |meant| meant.value)
}

fn begins_field(line: &[u8], at: usize) -> bool {
    let behind = line.get(at..).unwrap_or_default();
    behind.first().is_some_and(u8::is_ascii_alphabetic) && value_of_recipients(behind) > 0
}

/// What some programs take for the end of a line: CR, VT, FF, NUL, the separators of ASCII, U+0085,
/// U+2028, U+2029; before a field of recipients, an end that was written as `\n`.
fn separator_length(text: &[u8]) -> usize {
    match text {
        [b'\r' | 0x0b | 0x0c | 0 | 0x1c..=0x1e, ..] => 1,
        [0xc2, 0x85, ..] => 2,
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
        [b'\\', b'r', b'\\', b'n', ..] if begins_field(text, 4) => 4,
        [b'\\', b'r' | b'n', ..] if begins_field(text, 2) => 2,
        _ => 0,
    }
}

/// The parts of a line, each with the separator before it. None is inside of a name of recipients.
pub(super) fn parts(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (separator, text) = text.split_at_checked(separator_length(text))?;
        let from = value_of_recipients(text);
        let is_separator = |&at: &usize| separator_length(text.get(at..).unwrap_or_default()) > 0;
        let end = (from..text.len()).find(is_separator);
        let (part, behind) = text.split_at_checked(end.unwrap_or(text.len()))?;
        rest = Some(behind).filter(|behind| !behind.is_empty());
        Some((separator, part))
    })
}

/// In a list of addresses they are blanks.
pub(super) fn blank_separators(line: &mut [u8]) {
    let mut rest = line;
    while !rest.is_empty() {
        let length = separator_length(rest).max(1);
        let is_separator = separator_length(rest) > 0;
        let Some((head, tail)) = rest.split_at_mut_checked(length) else {
            break;
        };
        if is_separator {
            head.fill(b' ');
        }
        rest = tail;
    }
}
