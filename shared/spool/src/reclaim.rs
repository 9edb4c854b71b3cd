//! Gives space back: bodies of settled messages, segments that nothing needs, and, by compaction,
//! segments of which only little is needed.
//!
//! Contract: what is removed is not needed after any crash (the rules are in [`super`]). All
//! segments together take at most four times what is live, and four segments more: above that the
//! segment with the least live part is copied forward. Work is done at most once in twenty times
//! `linger`, on a thread of its own, so that no commit waits for it.

use std::{collections::HashSet, io, sync::PoisonError, time::Instant};

use super::{
    QueueId, SpoolError,
    committer::Committer,
    index::{Index, Location, Segment},
    journal::{self, Level},
    lock,
    log::Outgoing,
    record::{self, Change, Head, Kind, Part, Place, Record, What},
    scan::{self, Scanned, Seen},
    source::Readable,
};
use mail::{clock, envelope::Envelope};

/// Of a segment's bytes, and of all bytes, this part at least must be live.
const LIVE_PART: u64 = 4;
/// Segments that may lie about beyond that.
const SLACK: u64 = 4;
/// Bytes that compaction commits at a time; accepts wait as long.
const CHUNK: u64 = 1024 * 1024;

/// Something of a segment that must be copied before it can go.
enum Copy {
    /// A message: where it was, and its payload taken apart.
    Message {
        id: QueueId,
        at: Location,
        head: Head,
        rest: Vec<u8>,
    },
    /// What happened to a message in another segment.
    Change { id: QueueId, segment: u64 },
}

impl Committer {
    /// The reclaiming thread.
    pub(super) fn run_reclaim(&self) {
        let mut state = lock(&self.reclaim.state);
        while !state.stopped {
            if std::mem::take(&mut state.displaced) {
                drop(state);
                self.reclaim();
                state = lock(&self.reclaim.state);
                continue;
            }
            if std::mem::take(&mut state.next) {
                drop(state);
                self.make_next();
                state = lock(&self.reclaim.state);
                continue;
            }
            let wait = state
                .due
                .map(|due| (due + self.rest()).saturating_duration_since(Instant::now()));
            match wait {
                Some(wait) if wait.is_zero() => {
                    drop(state);
                    self.reclaim();
                    state = lock(&self.reclaim.state);
                }
                Some(wait) => {
                    let woken = self.reclaim.wake.wait_timeout(state, wait);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    state = self
                        .reclaim
                        .wake
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Removes what can go, keeps the reserve, compacts. What fails is tried again the next time.
    pub(super) fn reclaim(&self) {
        let _alone = lock(&self.reclaim.running);
        lock(&self.reclaim.state).due = None;
        let reclaimed = self
            .save_displaced()
            .and_then(|()| self.remove_bodies())
            .and_then(|()| self.remove_segments())
            .and_then(|()| self.compact_while_too_large());
        if let Err(error) = reclaimed {
            journal::line(
                Level::Warning,
                &format_args!("spool: cannot give space back yet: {error}"),
            );
        }
        lock(&self.log).keep_reserve();
        self.make_next();
    }

    /// Makes the next segment ready, if the log wants it; no commit waits for it.
    fn make_next(&self) {
        let Some(next) = lock(&self.log).plan_next() else {
            return;
        };
        // What fails is tried again when the next one is wanted.
        if let Ok(made) = next.make(self.disk.as_ref(), &self.layout) {
            lock(&self.log).take_next(made);
        }
    }

    /// Before the segments that say the messages are settled: a body without any record would be a
    /// riddle at the next start.
    fn remove_bodies(&self) -> Result<(), SpoolError> {
        let bodies = std::mem::take(&mut lock(&self.reclaim.state).bodies);
        if bodies.is_empty() {
            return Ok(());
        }
        let (mut bodies, mut removed) = (bodies, Ok(()));
        while let Some(id) = bodies.pop() {
            let path = self.layout.body(id);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    // What says that it is settled stays as long as it does.
                    bodies.push(id);
                    lock(&self.reclaim.state).bodies.append(&mut bodies);
                    removed = Err(SpoolError::io("cannot remove", &path)(error));
                }
                _ => {}
            }
        }
        let synced = self.disk.sync_directory(&self.layout.bodies);
        removed.and(synced.map_err(SpoolError::io("cannot sync directory", &self.layout.bodies)))
    }

    /// In rounds: what a segment pinned can go only when its removal is durable.
    fn remove_segments(&self) -> Result<(), SpoolError> {
        loop {
            let removable = lock(&self.index).removable();
            if removable.is_empty() {
                return Ok(());
            }
            let mut removed = Vec::new();
            for (number, path, displaced) in removable {
                match self.disk.remove(&path) {
                    // Should it come back, it goes then.
                    Err(error) if error.kind() == io::ErrorKind::NotFound && displaced => {}
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(SpoolError::io("cannot remove", &path)(error));
                    }
                    _ => removed.push(number),
                }
            }
            if removed.is_empty() {
                return Ok(());
            }
            let synced = self.disk.sync_directory(&self.layout.segments);
            synced.map_err(SpoolError::io(
                "cannot sync directory",
                &self.layout.segments,
            ))?;
            let mut index = lock(&self.index);
            for number in &removed {
                index.segments.remove(number);
            }
        }
    }

    fn compact_while_too_large(&self) -> Result<(), SpoolError> {
        // Each once: what is settled, but not yet on disk, keeps a segment a little longer.
        let mut tried = lock(&self.reclaim.state).stuck.clone();
        loop {
            let Some(number) = worst_segment(&lock(&self.index), self.segment_size, &tried) else {
                return Ok(());
            };
            tried.insert(number);
            self.compact(number)?;
            self.remove_segments()?;
        }
    }

    /// Copies what is needed of a segment to the end of the log.
    fn compact(&self, number: u64) -> Result<(), SpoolError> {
        let Some((mark, path)) = lock(&self.index)
            .segments
            .get(&number)
            .map(|segment| (segment.mark, segment.path.clone()))
        else {
            return Ok(());
        };
        let read = SpoolError::io("cannot read", &path);
        let file = self.disk.open(&path).map_err(read)?;
        let scanned = self.copy_needed(number, mark, &file)?;
        let mut index = lock(&self.index);
        let Some(segment) = index.segments.get_mut(&number) else {
            return Ok(());
        };
        // Damage that the start has saved is no news.
        let saved = |range| segment.saved.contains(range);
        if !scanned.damaged.iter().all(saved) || scanned.unreadable > 0 {
            segment.stays = true;
            lock(&self.reclaim.state).stuck.insert(number);
            let text = format_args!(
                "spool: {} is damaged and stays; the next start quarantines the damage",
                path.display()
            );
            journal::line(Level::Error, &text);
        } else if segment.live == 0 {
            segment.pins.clear();
        } else if !scanned.damaged.is_empty() {
            // A damaged message that is queued cannot be copied.
            lock(&self.reclaim.state).stuck.insert(number);
        }
        Ok(())
    }

    /// Writes what is left of a message in the place of its own record, of which nothing can be
    /// read: the next start would not know of it.
    pub(super) fn keep_remains(&self, id: QueueId, envelope: &Envelope) -> Result<(), SpoolError> {
        let found = {
            let index = lock(&self.index);
            let message = index.message(id);
            message.map(|it| (it.location(), it.size, it.state().of_remains()))
        };
        let (Some((at, size, state)), Ok(rest)) = (found, postcard::to_stdvec(envelope)) else {
            return Ok(());
        };
        let recipients = u32::try_from(envelope.recipients.len()).ok();
        let (Some(recipients), Some(part)) = (recipients, Part::of(&rest)) else {
            return Ok(());
        };
        let head = Head {
            recipients,
            envelope: part,
            header: 0,
            // There is none: an earlier version must not send it either.
            body: Place::File(size.saturating_sub(2)),
            state: Some(state),
        };
        self.commit_copies(vec![Copy::Message { id, at, head, rest }])
    }

    /// Copies what is needed of a segment that is open.
    pub(super) fn copy_needed(
        &self,
        number: u64,
        mark: u64,
        file: &dyn Readable,
    ) -> Result<Scanned, SpoolError> {
        let (mut copies, mut bytes, mut seen, mut result) =
            (Vec::new(), 0u64, HashSet::new(), Ok(()));
        let scanned = scan::scan(file, mark, |record| {
            if result.is_err() || !record.is_whole {
                return true;
            }
            match needed(&lock(&self.index), number, record) {
                Some(Copy::Change { id, .. }) if !seen.insert(id) => {}
                Some(copy) => {
                    copies.push(copy);
                    bytes = bytes.saturating_add(record.header.record_length());
                }
                None => {}
            }
            if bytes >= CHUNK {
                bytes = 0;
                result = self.commit_copies(std::mem::take(&mut copies));
            }
            true
        });
        let scanned = scanned.map_err(SpoolError::io("cannot read", &self.layout.segments))?;
        result?;
        self.commit_copies(copies)?;
        Ok(scanned)
    }

    fn commit_copies(&self, copies: Vec<Copy>) -> Result<(), SpoolError> {
        if copies.is_empty() {
            return Ok(());
        }
        // As the leader: no other commit may bury one of these messages between its look-up and its
        // new place.
        self.lead();
        let (mut outgoing, abouts): (Vec<_>, Vec<_>) = {
            let index = lock(&self.index);
            copies
                .into_iter()
                .filter_map(|copy| form(&index, copy))
                .unzip()
        };
        lock(&self.standing).copies();
        let write = || lock(&self.log).append(&self.index, &mut outgoing);
        let result = self.asked.at_root("writing to", write);
        lock(&self.standing).ends(false);
        {
            let mut index = lock(&self.index);
            for (outgoing, about) in outgoing.iter().zip(abouts) {
                match (outgoing.placed, about) {
                    (Some(at), Some(segment)) => index.pin(at.segment, segment),
                    (Some(at), None) => index.relocate(outgoing.record.id(), at),
                    (None, _) => {}
                }
            }
        }
        self.release();
        result
    }
}

/// The sealed segment with the least live part, if all together take too much.
fn worst_segment(index: &Index, segment_size: u64, stuck: &HashSet<u64>) -> Option<u64> {
    // A copy says all that is known of a message; where a segment stays, that may not be all.
    let known = |pin: &u64| index.segments.get(pin).is_none_or(|of| !of.stays);
    let may_go = |segment: &Segment| {
        let own = segment.sealed && !segment.stays && !segment.displaced;
        own && segment.pins.iter().all(known)
    };
    let sealed = || index.segments.iter().filter(|(_, segment)| may_go(segment));
    let total: u64 = sealed().map(|(_, segment)| segment.end).sum();
    let live: u64 = sealed().map(|(_, segment)| segment.live).sum();
    if total
        <= live
            .saturating_mul(LIVE_PART)
            .saturating_add(segment_size.saturating_mul(SLACK))
    {
        return None;
    }
    let sparse = sealed().filter(|(number, segment)| {
        segment.live.saturating_mul(LIVE_PART) < segment.end && !stuck.contains(number)
    });
    sparse
        .min_by_key(|(_, segment)| segment.live.saturating_mul(1000) / segment.end.max(1))
        .map(|(number, _)| *number)
}

/// What of a record must be copied.
fn needed(index: &Index, number: u64, seen: &Seen<'_>) -> Option<Copy> {
    let (id, payload) = (seen.header.id, seen.payload);
    match seen.header.kind? {
        Kind::Message => {
            let at = index.message(id)?.location();
            if at.segment != number || u64::from(at.offset) != seen.offset {
                return None;
            }
            let (head, rest) = record::read_head(payload)?;
            Some(Copy::Message {
                id,
                at,
                head,
                rest: rest.to_vec(),
            })
        }
        Kind::Change => {
            let segment = record::read_change(payload)?.segment;
            (segment != number && index.segments.contains_key(&segment))
                .then_some(Copy::Change { id, segment })
        }
    }
}

/// The record of a copy, and the segment that it is about if it is a change; `None` if it is needed
/// no more.
fn form(index: &Index, copy: Copy) -> Option<(Outgoing, Option<u64>)> {
    let (record, about) = match copy {
        Copy::Message { id, at, head, rest } => {
            let message = index
                .message(id)
                .filter(|message| message.location() == at)?;
            let before = head.state.as_ref();
            let checksum = before.and_then(record::State::body_checksum);
            let mut state = message.state();
            if before.is_some_and(record::State::is_of_remains) {
                state = state.of_remains();
            }
            let head = Head {
                state: Some(match checksum {
                    Some(crc) => state.with_body_checksum(crc),
                    None => state,
                }),
                ..head
            };
            (
                Record::message(id, message.arrival, &head, &[&rest], Vec::new())?,
                None,
            )
        }
        Copy::Change { id, segment } => {
            let what = match index.message(id) {
                Some(message) if message.segment != segment => return None,
                Some(message) => What::State(message.state()),
                None => What::Event(super::Event::Removed),
            };
            (
                Record::change(id, clock::now(), &Change { segment, what })?,
                Some(segment),
            )
        }
    };
    Some((
        Outgoing {
            record,
            vital: true,
            placed: None,
        },
        about,
    ))
}
