//! What has come enters the queue. Mail from another server's queue is kept as it was there, and
//! let go once the other server has given it up.
//!
//! Contract: what is answered is on disk. A message that came before, and is the same, is in the
//! queue once. Until it is given up there it is not delivered from here, however often this server
//! is started.
//! Failures: the spool's own, or that another message has its name; nothing has changed then.

use mail::{
    clock::{self, Timestamp},
    envelope::Envelope,
};
use queue::{Recovered, Waiting};
use spool::{Draft, Hold, QueueId, SpoolError};
use tokio::{sync::oneshot, task::block_in_place};

use crate::{
    dispatch::{Dispatch, Event, owner},
    drain::told::Facts,
    maillog,
};

/// Why a message does not move here.
#[derive(Debug)]
pub(crate) enum Refusal {
    Spool(SpoolError),
    /// Another message has its name, or the same one stands otherwise by now.
    Taken,
    /// Another server has brought it, and may still have it.
    Others,
}

impl From<SpoolError> for Refusal {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

impl Dispatch {
    /// A message that has come is in the queue. `scheduled`: it goes on, unless this server is
    /// being emptied, where all rests.
    pub(crate) fn enter(
        &self,
        id: QueueId,
        arrival: Timestamp,
        envelope: &Envelope,
        scheduled: Option<Event>,
    ) {
        let mut queue = self.lock();
        let rest = self.draining().came();
        let event = scheduled.filter(|_| !rest);
        let event = event.unwrap_or_else(|| rests(id, arrival, envelope));
        queue.handle(event, clock::now());
        drop(queue);
        self.wake();
        self.draining().keep();
    }

    /// Keeps a message; `server`: who brought it.
    pub(crate) async fn arrive(
        &self,
        id: QueueId,
        facts: &Facts,
        header: &[u8],
        draft: Draft,
        server: &str,
    ) -> Result<(), Refusal> {
        if self.spool().entry(id).is_some() {
            return self.is_the_same(id, facts, header);
        }
        let (done, committed) = oneshot::channel();
        self.spool()
            .accept_then(draft, &facts.envelope, header, move |result| {
                // Nobody waits any more: it is found when it is sent again.
                let _ = done.send(result);
            });
        committed.await.unwrap_or(Err(SpoolError::Stopped))?;
        if let Some(entry) = self.spool().entry(id) {
            let owner = owner(&facts.envelope);
            let mut queue = self.lock();
            self.draining().came();
            queue.handle(Event::Recovered(Recovered::of(&entry, owner)), clock::now());
            drop(queue);
            self.wake();
            block_in_place(|| self.draining().keep());
        }
        maillog::arrived(id, &facts.envelope.origin, server, facts.arrival);
        let held = facts.held.then_some("as it was there");
        maillog::queued(id, &facts.envelope, facts.size, held);
        Ok(())
    }

    fn is_the_same(&self, id: QueueId, facts: &Facts, header: &[u8]) -> Result<(), Refusal> {
        let known = block_in_place(|| self.spool().load(id))?;
        let arrives = self.spool().entry(id).is_some_and(|entry| {
            let held = facts.held;
            entry.hold == Hold::Arriving { held } && entry.arrival == facts.arrival
        });
        let same = known.is_some_and(|known| {
            known.envelope == facts.envelope && known.header == header && known.size() == facts.size
        });
        if arrives && same {
            Ok(())
        } else {
            Err(Refusal::Taken)
        }
    }

    /// They are given up where they were: from here on they are this server's alone. Also what was
    /// let go before, or has ended since. `giver`: who says so; nobody else's copies are let go.
    pub(crate) fn let_go(&self, ids: &[QueueId], giver: &str) -> Result<(), Refusal> {
        let spool = self.spool();
        for id in ids {
            let entry = spool.entry(*id);
            let entry = entry.filter(|entry| matches!(entry.hold, Hold::Arriving { .. }));
            let known = entry.and_then(|entry| entry.giver);
            if known.is_some_and(|known| !is_of(&known, giver)) {
                return Err(Refusal::Others);
            }
        }
        for id in ids {
            match spool.entry(*id).map(|entry| entry.hold) {
                Some(Hold::Arriving { held: true }) => spool.record(*id, spool::Event::Held),
                Some(Hold::Arriving { held: false }) => spool.record(*id, spool::Event::Released),
                _ => {}
            }
        }
        // What is not on disk yet is not promised, even if it was recorded before.
        block_in_place(|| spool.commit())?;
        let mut queue = self.lock();
        let now = clock::now();
        if self.draining().to().is_some() {
            // It rests here, to move on.
            drop(queue);
            self.draining().look();
            return Ok(());
        }
        for id in ids {
            if spool.entry(*id).is_some_and(|entry| entry.hold == Hold::No) {
                queue.handle(Event::Release { id: *id }, now);
            }
        }
        drop(queue);
        self.wake();
        Ok(())
    }
}

/// Whether a copy is this server's, `name[address]`: it may have several addresses, and another
/// name by now.
fn is_of(known: &str, giver: &str) -> bool {
    match (known.rsplit_once('['), giver.rsplit_once('[')) {
        (Some((name, address)), Some((own, from))) => name == own || address == from,
        _ => known == giver,
    }
}

/// It is in the queue, and is not delivered.
fn rests(id: QueueId, arrival: Timestamp, envelope: &Envelope) -> Event {
    let waiting = (0u32..).zip(&envelope.recipients);
    let waiting = waiting.map(|(recipient, _)| Waiting {
        recipient,
        until: None,
    });
    Event::Recovered(Recovered {
        id,
        owner: owner(envelope),
        arrival,
        held: true,
        returned: false,
        warned: false,
        kept: false,
        waiting: waiting.collect(),
    })
}
