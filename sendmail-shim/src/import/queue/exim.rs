//! A message of Exim: `-H` has the envelope, who has been served and the header; `-D` the body;
//! `-J`, if the last run was cut off, who else was served.
//!
//! Quirks that count: the first line of `-H` and `-D` is the file's own name; those who have been
//! served are a tree, one node a line behind two letters; a recipient may be followed by what was
//! asked for him; a header field has its length before it, and `*` where it has been deleted; the
//! value of an option may have lines of its own, as many bytes as the option says.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Left, Queued, waiting, written};
use mail::envelope::Rcpt;

/// Reads the files. `held`: also what Exim has frozen.
pub fn read(
    envelope: &[u8],
    body: &[u8],
    journal: Option<&[u8]>,
    held: bool,
) -> Result<Queued, Left> {
    let mut lines = Lines {
        rest: envelope,
        number: 0,
    };
    let name = lines.next()?;
    let id = name
        .strip_suffix(b"-H")
        .ok_or(Left::Damaged("its own name is not in it", 1))?;
    let _user = lines.next()?;
    let sender = lines.next()?;
    let _time = lines.next()?;
    let sender = sender
        .strip_prefix(b"<")
        .and_then(|rest| rest.strip_suffix(b">"))
        .ok_or(Left::Damaged("there is no sender", lines.number))?;
    let first = options(&mut lines, held)?;
    let mut served = served(&mut lines, first)?;
    served.extend(
        journal
            .into_iter()
            .flat_map(|file| file.split(|&byte| byte == b'\n')),
    );
    let mut recipients = Vec::new();
    for line in recipients_listed(&mut lines)? {
        let address = address(line);
        if !served.iter().any(|done| done.eq_ignore_ascii_case(address)) {
            recipients.push(Rcpt::from(written(address)?));
        }
    }
    let mut content = header(&mut lines)?;
    content.push(b'\n');
    let body = body
        .strip_prefix(id)
        .and_then(|rest| rest.strip_prefix(b"-D\n"))
        .ok_or(Left::Damaged("the -D file is of another message", 1))?;
    content.extend_from_slice(body);
    waiting(Queued {
        sender: (!sender.is_empty()).then(|| written(sender)).transpose()?,
        recipients,
        content,
        ..Queued::default()
    })
}

struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a [u8], Left> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.unwrap_or(self.rest.len()))?;
        self.take(1)?;
        self.number = self.number.saturating_add(1);
        Ok(line)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Left> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Left::Damaged("the file is cut off", self.number))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Passes the options over; the line behind them.
fn options<'a>(lines: &mut Lines<'a>, held: bool) -> Result<&'a [u8], Left> {
    loop {
        let line = lines.next()?;
        // Two of them where the value came from outside.
        let Some(option) = line.strip_prefix(b"-") else {
            return Ok(line);
        };
        let option = option.strip_prefix(b"-").unwrap_or(option);
        if option.starts_with(b"frozen") && !held {
            return Err(Left::Held);
        }
        if option.starts_with(b"acl") {
            let count = option.rsplit(|&byte| byte == b' ').next().and_then(number);
            let count = count.ok_or(Left::Damaged("a value without length", lines.number))?;
            lines.take(count.saturating_add(1))?;
        }
    }
}

/// Who has been served, from the tree that begins with this line: the letters say whether there is
/// a left and a right branch behind a node.
fn served<'a>(lines: &mut Lines<'a>, first: &'a [u8]) -> Result<Vec<&'a [u8]>, Left> {
    let mut served = Vec::new();
    if first == b"XX" {
        return Ok(served);
    }
    let mut open = 1usize;
    let mut line = first;
    loop {
        let (letters, name) = line.split_at_checked(2).unwrap_or_default();
        let branches = match letters {
            b"NN" => 0,
            b"YN" | b"NY" => 1,
            b"YY" => 2,
            _ => return Err(Left::Damaged("who has been served", lines.number)),
        };
        served.push(name.strip_prefix(b" ").unwrap_or(name));
        open = open.saturating_add(branches).saturating_sub(1);
        if open == 0 {
            return Ok(served);
        }
        line = lines.next()?;
    }
}

fn recipients_listed<'a>(lines: &mut Lines<'a>) -> Result<Vec<&'a [u8]>, Left> {
    let count = number(lines.next()?);
    let count = count.ok_or(Left::Damaged(
        "there is no count of recipients",
        lines.number,
    ))?;
    // Each takes a line: a count that is made up ends with the file.
    let mut listed = Vec::new();
    for _ in 0..count {
        listed.push(lines.next()?);
    }
    if !lines.next()?.is_empty() {
        return Err(Left::Damaged(
            "more recipients than were counted",
            lines.number,
        ));
    }
    Ok(listed)
}

/// The address at the beginning of a line; blanks in quotes are its own.
fn address(line: &[u8]) -> &[u8] {
    let mut quoted = false;
    let mut escaped = false;
    let end = line.iter().position(|&byte| {
        let plain = !std::mem::take(&mut escaped);
        match byte {
            b'\\' => escaped = plain,
            b'"' if plain => quoted = !quoted,
            _ => {}
        }
        byte == b' ' && !quoted
    });
    line.get(..end.unwrap_or(line.len())).unwrap_or_default()
}

/// The fields that have not been deleted.
fn header(lines: &mut Lines<'_>) -> Result<Vec<u8>, Left> {
    let mut header = Vec::new();
    while !lines.rest.is_empty() {
        let digits = lines.rest.iter().take_while(|byte| byte.is_ascii_digit());
        let digits = digits.count();
        let damaged = Left::Damaged("a header field without length", lines.number);
        let count = number(lines.take(digits)?).ok_or(damaged)?;
        let kind = lines.take(2)?;
        let field = lines.take(count)?;
        if !kind.starts_with(b"*") {
            header.extend_from_slice(field);
        }
    }
    Ok(header)
}

fn number(digits: &[u8]) -> Option<usize> {
    str::from_utf8(digits).ok()?.parse().ok()
}
