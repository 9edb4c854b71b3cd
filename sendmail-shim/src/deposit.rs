//! Messages put into the spool whole: our own bounces and test mail, and queued ones under another
//! envelope. Durable when a function returns.

use std::io::{self, Read as _};

use mail::{envelope::Envelope, message::Splitter};
use spool::{QueueId, Spool, SpoolError, Stored};

/// Queues `text` (canonical CRLF lines).
pub fn whole(spool: &Spool, mut envelope: Envelope, text: &[u8]) -> Result<QueueId, SpoolError> {
    let mut splitter = Splitter::default();
    let mut draft = spool.draft()?;
    // What we compose has a short header.
    let body = splitter
        .split(text)
        .map_err(|error| failed(io::Error::other(error)))?;
    draft.write(body).map_err(failed)?;
    let (header, content) = splitter.finish();
    envelope.content = content;
    spool.accept(draft, &envelope, &header.to_bytes())
}

/// Queues the content of a queued message again.
pub fn copy(spool: &Spool, stored: &Stored, envelope: &Envelope) -> Result<QueueId, SpoolError> {
    let mut draft = spool.draft()?;
    let mut reader = stored.reader().map_err(failed)?;
    let header = stored.header.len().saturating_add(2) as u64;
    io::copy(&mut reader.by_ref().take(header), &mut io::sink()).map_err(failed)?;
    let mut piece = [0; 16 * 1024];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => draft
                .write(piece.get(..length).unwrap_or_default())
                .map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    spool.accept(draft, envelope, &stored.header)
}

fn failed(error: io::Error) -> SpoolError {
    SpoolError::Io {
        doing: "writing a draft",
        path: std::path::PathBuf::new(),
        error,
    }
}
