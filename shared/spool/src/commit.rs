//! One commit: records of what waits, one append for all, and what follows for each.
//!
//! Contract: only the leader commits ([`Committer`]). Every message of it is answered, once; events
//! that were not written are given back. The index is locked while records are formed and while
//! they are placed, never while a sync is waited for.

use super::{
    QueueId, SpoolError,
    committer::Committer,
    item::{Accept, Done, Item, New},
    lock,
    log::Outgoing,
    place,
    record::{Change, Record, What},
};
use mail::clock;

impl Committer {
    /// One commit. Returns the events that could not be written.
    pub(super) fn commit(&self, items: Vec<Item>) -> (Vec<Item>, Result<(), SpoolError>) {
        let mut pending = self.form(self.name_bodies(items));
        // Vital first: they may use the reserve. The sort is stable, so events keep their order.
        pending.sort_by_key(|(outgoing, _)| !outgoing.vital);
        let (mut outgoing, effects): (Vec<Outgoing>, Vec<Effect>) = pending.into_iter().unzip();
        let begun = clock::steady();
        let (result, wants_next, displaced) = {
            let mut log = lock(&self.log);
            let write = || log.append(&self.index, &mut outgoing);
            let result = self.asked.at_root("writing to", write);
            (result, log.wants_next(), !log.displaced.is_empty())
        };
        let took = clock::steady() - begun;
        if result.is_ok() {
            *lock(&self.synced) = Some((clock::now(), took));
        }
        if wants_next {
            self.reclaim.wants_next();
        }
        if displaced {
            self.reclaim.displaced();
        }
        let written = outgoing.into_iter().zip(effects).collect();
        let (failed, answers) = self.conclude(written, result.as_ref().err());
        let answered = answers.iter().filter(|(_, told)| told.is_ok()).count();
        let answered = u32::try_from(answered).unwrap_or(u32::MAX);
        {
            let mut intake = lock(&self.intake);
            let waiting = intake.accepts;
            let now = clock::steady();
            intake.gather.committed(now, took, answered, waiting);
        }
        for (done, told) in answers {
            done(told);
        }
        (failed, result)
    }

    /// Brings into the index what was written. Returns the events that were not, and the answer to
    /// each message.
    fn conclude(
        &self,
        written: Vec<(Outgoing, Effect)>,
        error: Option<&SpoolError>,
    ) -> (Vec<Item>, Vec<Answer>) {
        let (mut failed, mut answers) = (Vec::new(), Vec::new());
        for (outgoing, effect) in &written {
            if let (Some(_), Effect::Accepted { new, .. }) = (outgoing.placed, effect)
                && new.has_file()
            {
                // Only a mark: what counts is the record. The index does not wait for the disk.
                let path = self.layout.body(outgoing.record.id());
                let _ = self.disk.promise(&path);
            }
        }
        let mut index = lock(&self.index);
        for (outgoing, effect) in written {
            let id = outgoing.record.id();
            match (outgoing.placed, effect) {
                (Some(at), Effect::Accepted { new, done }) => {
                    index.place(id, new.at(at));
                    answers.push((done, Ok(id)));
                }
                (Some(at), Effect::Changed { segment, last, .. }) => {
                    index.pin(at.segment, segment);
                    if last && let Some(message) = index.bury(id) {
                        self.reclaim.buried(id, message.blob);
                    }
                }
                (None, Effect::Accepted { new, done }) => {
                    if new.has_file() {
                        self.reclaim.buried(id, true);
                    }
                    let why = error.map_or(SpoolError::Stopped, SpoolError::again);
                    answers.push((done, Err(why)));
                }
                (None, Effect::Changed { last, what, .. }) => {
                    failed.push(Item::Event { id, what, last });
                }
            }
        }
        (failed, answers)
    }

    /// Tells the messages that are meant that they are not taken; the other items.
    pub(super) fn refuse(
        &self,
        items: Vec<Item>,
        meant: impl Fn(&Accept) -> bool,
        why: &SpoolError,
    ) -> Vec<Item> {
        let mut rest = Vec::new();
        for item in items {
            match item {
                Item::Accept(accept) if meant(&accept) => {
                    if accept.new.has_file() {
                        self.reclaim.buried(accept.record.id(), true);
                    }
                    (accept.done)(Err(why.again()));
                }
                item => rest.push(item),
            }
        }
        rest
    }

    /// Makes the names of bodies in files durable, before the records that refer to them.
    fn name_bodies(&self, items: Vec<Item>) -> Vec<Item> {
        let has_file = |item: &Item| matches!(item, Item::Accept(accept) if accept.new.has_file());
        if !items.iter().any(has_file) {
            return items;
        }
        if let Err(error) = self.disk.sync_directory(&self.layout.bodies) {
            let error = SpoolError::io("cannot sync directory", &self.layout.bodies)(error);
            return self.refuse(items, |accept| accept.new.has_file(), &error);
        }
        let is_gone = |accept: &Accept| {
            let path = self.layout.body(accept.record.id());
            let lies = |file| place::is_there(file, &path).unwrap_or_default();
            accept.file.is_some_and(|file| !lies(file))
        };
        let error = SpoolError::io("cannot find what was written to", &self.layout.bodies);
        self.refuse(items, is_gone, &error(place::gone()))
    }

    /// Makes records of items. What happened to a message names the segment that holds it now.
    fn form(&self, items: Vec<Item>) -> Vec<(Outgoing, Effect)> {
        let now = clock::now();
        let index = lock(&self.index);
        let form = |item| match item {
            Item::Accept(accept) => {
                let Accept {
                    record,
                    new,
                    vital,
                    done,
                    file: _,
                } = *accept;
                let outgoing = Outgoing {
                    record,
                    vital,
                    placed: None,
                };
                Some((outgoing, Effect::Accepted { new, done }))
            }
            Item::Event { id, what, last } => {
                let segment = index.segment_of(id)?;
                let change = Change { segment, what };
                let record = Record::change(id, now, &change)?;
                let effect = Effect::Changed {
                    segment,
                    last,
                    what: change.what,
                };
                Some((
                    Outgoing {
                        record,
                        vital: true,
                        placed: None,
                    },
                    effect,
                ))
            }
        };
        items.into_iter().filter_map(form).collect()
    }
}

/// What a record does once it is durable.
enum Effect {
    Accepted {
        new: New,
        done: Done,
    },
    Changed {
        segment: u64,
        last: bool,
        what: What,
    },
}

/// Whom a message's end of the commit is told, and what.
type Answer = (Done, Result<QueueId, SpoolError>);
