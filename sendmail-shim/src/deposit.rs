//! A whole message of our own put into the spool: bounces and test mail.

use mail::{envelope::Envelope, message::Splitter};
use spool::{QueueId, Spool, SpoolError};

/// Queues `text` (canonical CRLF lines); durable when it returns.
pub fn whole(spool: &Spool, mut envelope: Envelope, text: &[u8]) -> Result<QueueId, SpoolError> {
    let mut splitter = Splitter::default();
    let mut draft = spool.draft()?;
    let failed = |error| SpoolError::Io {
        doing: "writing a draft",
        path: std::path::PathBuf::new(),
        error,
    };
    // What we compose has a short header.
    let body = splitter
        .split(text)
        .map_err(|error| failed(std::io::Error::other(error)))?;
    draft.write(body).map_err(failed)?;
    let (header, content) = splitter.finish();
    envelope.content = content;
    spool.accept(draft, &envelope, &header.to_bytes())
}
