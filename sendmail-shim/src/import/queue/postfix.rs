//! A queue file of Postfix: records of a type, a length and data; first the envelope, then the
//! message, then what was found in it.
//!
//! Quirks that count: `R` becomes `D` where a recipient has been served; an `L` record goes on in
//! the next one, so that a line is as long as it likes;
//! `p` says where to go on, and a file that leads round in a circle is found out, because each byte
//! is read once; `w` is room for another record.
//! Addresses are not quoted.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::envelope::{Notify, Rcpt, Ret};

use super::{Left, Queued, meant, waiting};

/// Bits of `notify_flags`.
const NEVER: u32 = 1;
const SUCCESS: u32 = 2;
const FAILURE: u32 = 4;
const DELAY: u32 = 8;

/// What comes next in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Envelope,
    Message,
    /// More of the envelope, found in the message.
    Extracted,
}

/// Reads a queue file.
pub fn read(file: &[u8]) -> Result<Queued, Left> {
    let mut records = Records {
        file,
        at: 0,
        unread: file.len(),
    };
    let mut part = Part::Envelope;
    let mut queued = Queued::default();
    let mut sender = false;
    let mut wishes = Wishes::default();
    while let Some((kind, data)) = records.next()? {
        match (part, kind) {
            (Part::Message, b'N') => {
                queued.content.extend_from_slice(data);
                queued.content.push(b'\n');
            }
            (Part::Message, b'L') => queued.content.extend_from_slice(data),
            (Part::Message, b'X') => part = Part::Extracted,
            (Part::Message, _) => {
                return Err(Left::Damaged("a record of another kind", records.at));
            }
            (Part::Envelope, b'M') => part = Part::Message,
            (_, b'S') => {
                sender = true;
                queued.sender = (!data.is_empty()).then(|| meant(data)).transpose()?;
            }
            (_, b'R') => {
                let to = meant(data)?;
                let Wishes { notify, orcpt } = std::mem::take(&mut wishes);
                queued.recipients.push(Rcpt { to, notify, orcpt });
            }
            (_, b'D') => wishes = Wishes::default(),
            (_, b'A') => attribute(data, &mut queued, &mut wishes),
            (_, b'>') => return Err(Left::Foreign("it was redirected with REDIRECT")),
            (_, _) => {}
        }
    }
    if part != Part::Extracted || !sender {
        return Err(Left::Damaged("there is no message", records.at));
    }
    waiting(queued)
}

/// What was asked for the recipient that follows.
#[derive(Default)]
struct Wishes {
    notify: Notify,
    orcpt: Option<String>,
}

/// `name=value`; those that mean nothing here are passed over.
fn attribute(data: &[u8], queued: &mut Queued, wishes: &mut Wishes) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    match name {
        "notify_flags" => {
            if let Ok(flags) = value.parse::<u32>()
                && flags & (NEVER | SUCCESS | FAILURE | DELAY) != 0
            {
                wishes.notify = Notify {
                    explicit: true,
                    success: flags & SUCCESS != 0,
                    failure: flags & FAILURE != 0,
                    delay: flags & DELAY != 0,
                };
            }
        }
        "dsn_orig_rcpt" => wishes.orcpt = value.contains(';').then(|| value.to_owned()),
        "ret_flags" => {
            queued.ret = match value {
                "1" => Some(Ret::Full),
                "2" => Some(Ret::Headers),
                _ => None,
            };
        }
        "envelope_id" => queued.envid = Some(value.to_owned()),
        _ => {}
    }
}

struct Records<'a> {
    file: &'a [u8],
    at: usize,
    /// Bytes that may still be read: no byte is read twice.
    unread: usize,
}

impl<'a> Records<'a> {
    /// The next record that says something; `None` at the end that the file itself declares.
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Left> {
        loop {
            let kind = self.take(1)?.first().copied().unwrap_or_default();
            let length = self.length()?;
            let data = self.take(length)?;
            match kind {
                b'E' => return Ok(None),
                b'w' => {}
                b'p' => match self.pointer(data)? {
                    0 => {}
                    place => self.at = place,
                },
                _ => return Ok(Some((kind, data))),
            }
        }
    }

    fn pointer(&self, data: &[u8]) -> Result<usize, Left> {
        let text = str::from_utf8(data).unwrap_or_default().trim();
        text.parse()
            .map_err(|_| Left::Damaged("a pointer to nowhere", self.at))
    }

    /// Seven bits a byte, the lowest first; the eighth says that there are more.
    fn length(&mut self) -> Result<usize, Left> {
        let mut length = 0usize;
        for shift in [0u32, 7, 14, 21, 28] {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(Left::Damaged("a length without end", self.at))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Left> {
        let end = self.at.saturating_add(count);
        let data = self
            .file
            .get(self.at..end)
            .ok_or(Left::Damaged("the file is cut off", self.at))?;
        self.unread = self.unread.checked_sub(count).ok_or(Left::Damaged(
            "its pointers lead round in a circle",
            self.at,
        ))?;
        self.at = end;
        Ok(data)
    }
}
