//! What administrators ask of messages: a disk that does not answer holds up no listing.
//!
//! Contract: whoever asks waits for [`BRIEF`] for each file that is silent, and not at all for one
//! that is known to be; of its messages he sees what is kept in memory, and why. A look costs a
//! thread that goes on waiting, so that few files are tried before nobody asks the disk any more.

use std::sync::{
    Arc,
    mpsc::{self, RecvTimeoutError},
};

use super::{
    QueueId, Spool, SpoolError, Stored, asked::BRIEF, committer::Committer, lock, remains,
};
use mail::envelope::Envelope;
use system::workers;

/// Sender and recipients, as far as they are known.
pub struct Known {
    pub envelope: Envelope,
    /// Why they could not be read; then they are only what is kept in memory.
    pub unread: Option<SpoolError>,
}

impl Spool {
    /// Sender and recipients of a message, read or as far as they are known; `None` if it is no
    /// longer queued.
    pub fn known(&self, id: QueueId) -> Option<Known> {
        self.known_of(&[id]).pop().flatten()
    }

    /// The same of several, in their order.
    pub fn known_of(&self, ids: &[QueueId]) -> Vec<Option<Known>> {
        let (committer, mut all) = (&self.open.committer, Vec::with_capacity(ids.len()));
        while let Some(rest) = ids.get(all.len()..).filter(|rest| !rest.is_empty()) {
            let (told, answers) = mpsc::channel();
            let (own, asked) = (Arc::clone(committer), rest.to_vec());
            let read = move || {
                let mut each = asked.into_iter().map(|id| own.known(id));
                // Until nobody waits any more.
                while each.next().is_some_and(|known| told.send(known).is_ok()) {}
            };
            let begun = self.begins(read);
            loop {
                match answers.recv_timeout(BRIEF) {
                    Ok(known) => all.push(known),
                    // It may only be slow to begin.
                    Err(RecvTimeoutError::Timeout) if committer.asked.late() < BRIEF => {}
                    Err(_) => break,
                }
            }
            if let Some(&silent) = ids.get(all.len()) {
                all.push(if begun {
                    committer.remembered(silent)
                } else {
                    committer.known(silent)
                });
            }
        }
        all
    }

    /// Whether a read is begun on another thread.
    fn begins(&self, read: impl FnOnce() + Send + 'static) -> bool {
        self.open.committer.asked.has_threads() && workers::run(read).is_ok()
    }

    /// A message with its content, if the disk gives it soon.
    pub fn load_soon(&self, id: QueueId) -> Result<Option<Stored>, SpoolError> {
        let committer = &self.open.committer;
        let (told, answer) = mpsc::channel();
        let own = Arc::clone(committer);
        let body = committer.layout.body(id);
        let late = committer.is_late(id) || committer.asked.is_late_at(&body);
        let read = move || drop(told.send(own.load(id)));
        if late {
            return Err(committer.no_answer(committer.asked.late()));
        }
        if !self.begins(read) {
            return committer.load(id);
        }
        loop {
            match answer.recv_timeout(BRIEF) {
                Ok(loaded) => return loaded,
                Err(RecvTimeoutError::Timeout) if committer.asked.late() < BRIEF => {}
                Err(_) => return Err(committer.no_answer(committer.asked.late())),
            }
        }
    }
}

impl Committer {
    /// Read, unless its file is known to be silent.
    pub(super) fn known(&self, id: QueueId) -> Option<Known> {
        if self.is_late(id) {
            return self.remembered(id);
        }
        let (envelope, unread) = match self.envelope(id) {
            Ok(read) => (read?, None),
            Err(why) => (self.in_memory(id)?, Some(why)),
        };
        Some(Known { envelope, unread })
    }

    fn is_late(&self, id: QueueId) -> bool {
        let place = self.place_of(id);
        place.is_some_and(|(_, _, path)| self.asked.is_late_at(&path))
    }

    /// What is kept in memory of it, because the disk does not answer.
    fn remembered(&self, id: QueueId) -> Option<Known> {
        Some(Known {
            envelope: self.in_memory(id)?,
            unread: Some(self.no_answer(self.asked.late())),
        })
    }

    fn in_memory(&self, id: QueueId) -> Option<Envelope> {
        let index = lock(&self.index);
        index.message(id).map(remains::remembered)
    }
}
