//! Drafts of messages that are there as a whole: what the software itself writes, and queued
//! messages once more.

use std::io::{self, Read as _};

use mail::{
    envelope::Content,
    limits,
    message::{Header, Splitter},
};

use super::{Draft, Entry, Spool, SpoolError, Stored, Waiting};

impl Spool {
    /// A draft of `text`, which is complete and in canonical CRLF lines; with its header and what
    /// it needs.
    pub fn draft_of(&self, text: &[u8]) -> Result<(Draft, Header, Content), SpoolError> {
        let failed = |error| failed("write a message of our own", error);
        let mut draft = self.draft()?;
        let mut splitter = Splitter::default();
        // What we compose has a short header.
        let body = splitter.split(text);
        let body = body.map_err(|error| failed(io::Error::other(error)))?;
        draft.write(body)?;
        let (header, content) = splitter.finish();
        Ok((draft, header, content))
    }

    /// A draft with the body of a queued message.
    pub fn draft_again(&self, stored: &Stored) -> Result<Draft, SpoolError> {
        let mut draft = self.draft()?;
        draft.copy(stored)?;
        Ok(draft)
    }

    /// The same, to take the place of a queued message: as old as that is, and with what else is
    /// known of it. `waiting`: who of its recipients, by index and in order, is not settled.
    pub fn draft_in_place_of(
        &self,
        stored: &Stored,
        entry: &Entry,
        waiting: Vec<Waiting>,
    ) -> Result<Draft, SpoolError> {
        let mut draft = self.draft_again(stored)?;
        draft.came(entry.arrival);
        draft.known(entry.warned, waiting, entry.giver.clone());
        Ok(draft)
    }
}

impl Draft {
    /// Adds the body of a queued message.
    pub(super) fn copy(&mut self, stored: &Stored) -> Result<(), SpoolError> {
        let failed = |error| failed("copy a queued message", error);
        let mut content = stored.reader().map_err(failed)?;
        // The header and the empty line are not part of the body.
        let head = stored.header.len().saturating_add(2) as u64;
        io::copy(&mut content.by_ref().take(head), &mut io::sink()).map_err(failed)?;
        let mut piece = vec![0; limits::PIECE];
        loop {
            match content.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => self.write(piece.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn failed(doing: &'static str, error: io::Error) -> SpoolError {
    SpoolError::Io {
        doing,
        path: "spool".into(),
        error,
    }
}
