//! Mail that waits in another program's queue, read from the files it waits in.
//!
//! | part | what |
//! |---|---|
//! | [`postfix`] | records of a queue file |
//! | [`nullmailer`] | envelope lines, then the message |
//! | [`dma`] | a `Q` file for each recipient, and an `M` file with the message |
//! | [`exim`] | a `-H` file with envelope and header, a `-D` file with the body, perhaps a `-J` file |
//!
//! Contract: pure and total; bytes in, envelope and message out. Sender and recipients are those of
//! the envelope that are still to be served, never the header's; the message is byte for byte the
//! one that would have been sent.
//! Failures: [`Left`]: why a message stays where it is. Nothing is guessed: half a message is none.

use std::fmt;

use mail::{
    address::{Address, AddressError, LocalPart, Mailbox},
    envelope::{Rcpt, Ret},
};

pub mod dma;
pub mod exim;
pub mod nullmailer;
pub mod postfix;
#[cfg(test)]
mod tests;

/// A message that waits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Queued {
    /// Nobody: the null sender.
    pub sender: Option<Mailbox>,
    /// Who has it still to get; never empty.
    pub recipients: Vec<Rcpt>,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
    /// Header, empty line and body; lines end in LF.
    pub content: Vec<u8>,
}

/// Why a message stays where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Left {
    /// It is still being written, or was given up.
    Unfinished,
    /// An administrator, or the program itself, put it aside.
    Held,
    /// Each recipient has it, or was given up.
    Served,
    /// The file is not what the program writes: what, and at which byte or line.
    Damaged(&'static str, usize),
    /// An address that cannot be used.
    Address(String, AddressError),
    /// It asks for something that is not done here.
    Foreign(&'static str),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => f.write_str("it is not complete: still being written, or given up"),
            Self::Held => f.write_str("it is held there; --held takes it too"),
            Self::Served => f.write_str("no recipient is left to be served"),
            Self::Damaged(what, place) => write!(f, "damaged at {place}: {what}"),
            Self::Address(text, error) => write!(f, "`{}`: {error}", text.escape_debug()),
            Self::Foreign(what) => f.write_str(what),
        }
    }
}
impl std::error::Error for Left {}

/// An address as SMTP writes it, or a name without a domain.
fn written(bytes: &[u8]) -> Result<Mailbox, Left> {
    let text = text(bytes)?;
    if text.contains('@') {
        let address = Address::parse(text);
        return address
            .map(Mailbox::Address)
            .map_err(|error| Left::Address(text.to_owned(), error));
    }
    local(text)
}

/// An address as a program keeps it for itself: nothing is quoted.
fn meant(bytes: &[u8]) -> Result<Mailbox, Left> {
    let text = text(bytes)?;
    let Some((name, domain)) = text.rsplit_once('@') else {
        return local(text);
    };
    Address::new(name, domain)
        .map(Mailbox::Address)
        .map_err(|error| Left::Address(text.to_owned(), error))
}

fn local(name: &str) -> Result<Mailbox, Left> {
    LocalPart::new(name)
        .map(Mailbox::Local)
        .map_err(|error| Left::Address(name.to_owned(), error))
}

fn text(bytes: &[u8]) -> Result<&str, Left> {
    str::from_utf8(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Left::Address(text, AddressError::LocalPart)
    })
}

/// A message with recipients; without any, there is nothing to do.
fn waiting(queued: Queued) -> Result<Queued, Left> {
    if queued.recipients.is_empty() {
        return Err(Left::Served);
    }
    Ok(queued)
}
