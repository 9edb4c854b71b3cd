//! Mail that waits in another program's queue, read from the files it waits in.
//!
//! | part | what |
//! |---|---|
//! | [`postfix`] | records of a queue file |
//! | [`nullmailer`] | envelope lines, then the message |
//! | [`dma`] | a `Q` file for each recipient, and an `M` file with the message |
//! | [`exim`] | a `-H` file with envelope and header, a `-D` file with the body, perhaps a `-J` file |
//!
//! Contract: pure and total; bytes in, envelope and message out. Sender and recipients are those of the envelope that are still to be served, never the
//! header's; the message is byte for byte the one that would have been sent.
//! Failures: [`Left`]: why a message stays where it is. Nothing is guessed: half a message is none.

use std::fmt;

use mail::{
    address::{Address, AddressError, list::Target},
    envelope::{Notify, Ret},
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
    pub sender: Option<Target>,
    /// Who has it still to get; never empty.
    pub recipients: Vec<Recipient>,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
    /// Header, empty line and body; lines end in LF.
    pub content: Vec<u8>,
}

/// Who has it still to get, and when the sender wants to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient {
    pub target: Target,
    pub notify: Notify,
    pub orcpt: Option<String>,
}

impl From<Target> for Recipient {
    fn from(target: Target) -> Self {
        Self {
            target,
            notify: Notify::default(),
            orcpt: None,
        }
    }
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
fn written(bytes: &[u8]) -> Result<Target, Left> {
    let text = text(bytes)?;
    if text.contains('@') {
        let address = Address::parse(text);
        return address
            .map(Target::Address)
            .map_err(|error| Left::Address(text.to_owned(), error));
    }
    local(text)
}

/// An address as a program keeps it for itself: nothing is quoted.
fn meant(bytes: &[u8]) -> Result<Target, Left> {
    let text = text(bytes)?;
    let Some((name, domain)) = text.rsplit_once('@') else {
        return local(text);
    };
    Address::new(name, domain)
        .map(Target::Address)
        .map_err(|error| Left::Address(text.to_owned(), error))
}

fn local(name: &str) -> Result<Target, Left> {
    let error = if name.is_empty() {
        AddressError::Empty
    } else if name.contains(char::is_control) {
        AddressError::Control
    } else {
        return Ok(Target::Local(name.to_owned()));
    };
    Err(Left::Address(name.to_owned(), error))
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
