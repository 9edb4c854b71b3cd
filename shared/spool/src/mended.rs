//! Segments that the start could not read are looked at again, so that the program starts anew as
//! soon as they can be; and what is in doubt until then.
//!
//! Contract: a look costs nobody any time. The pauses between looks grow (unread.rs);
//! [`Spool::look_again`] ends one. What became of a message may be said in any segment after its
//! own: while one of those cannot be opened, the message waits, so that none that was delivered
//! goes again.

use std::{io, sync::Arc};

use mail::clock;
use system::workers;

use super::{QueueId, Spool, SpoolError, committer::Committer};

impl Spool {
    /// Whether there are segments that the start could not read.
    pub fn waits_for_segments(&self) -> bool {
        !self.open.committer.unread.is_empty()
    }

    /// Whether one of them can be read now, so that the program is to start anew. Asked now and
    /// then: the looks are made beside that.
    pub fn is_mended(&self) -> bool {
        let waiting = &self.open.committer.unread;
        if waiting.is_empty() {
            return false;
        }
        if waiting.is_due(clock::steady()) {
            let (own, disk) = (Arc::clone(waiting), Arc::clone(&self.open.committer.disk));
            let look = move || own.look(disk.as_ref());
            if workers::run(look).is_err() {
                waiting.not_looked();
            }
        }
        waiting.is_mended()
    }

    /// They are looked at at once.
    pub fn look_again(&self) {
        self.open.committer.unread.hurry(clock::steady());
    }
}

impl Committer {
    /// Nothing may be done with a message that may have been delivered.
    pub(super) fn is_certain(&self, id: QueueId) -> Result<(), SpoolError> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let place = self.place_of(id);
        let doubt = place.and_then(|(at, ..)| self.unread.doubt(at.segment));
        doubt.map_or(Ok(()), |unread| {
            let why = format!("{}: whether it was delivered is not known", unread.why);
            let error = io::Error::other(why);
            Err(SpoolError::io("cannot read segment", &unread.path)(error))
        })
    }
}
