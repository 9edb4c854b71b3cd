//! Turns a request into calls of the queue, the spool and the limits.
//!
//! Contract: only ever called for root and the daemon's own user. Texts of strangers (addresses, headers) go out escaped.
//! Failures: each thing that could not be done is an [`Answer::Error`]; the rest of the request is carried out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use control::listing::{self, RecipientRow, Row};
use mail::{clock::Timestamp, outcome::escape};
use spool::{Entry, Hold, QueueId, Spool};

use crate::{
    admin::{Answer, Request, Selection, Status},
    dispatch::{Event, Queue},
    limits::Limits,
    state::Keeper,
};

/// What requests act on.
#[derive(Clone, Copy)]
pub struct Office<'a> {
    pub spool: &'a Spool,
    pub queue: &'a Mutex<Queue>,
    /// Called after the queue was given events: its driver drains the actions.
    pub wake: &'a (dyn Fn() + Sync),
    pub limits: &'a Mutex<Limits>,
    pub state: &'a Keeper,
    /// What only the composition root knows; `queued`, `in_flight` and `clients` are filled in here.
    pub status: &'a (dyn Fn() -> Status + Sync),
}

/// Answers one request of root or of the daemon's own user, line by line.
pub fn answer(request: Request, office: &Office<'_>, now: Timestamp, each: &mut dyn FnMut(Answer)) {
    match request {
        Request::Status => each(Answer::Status(office.full_status())),
        Request::Reload => each(Answer::Error("only the daemon itself reloads".to_owned())),
        Request::QueueList => {
            for entry in office.spool.entries() {
                if let Some(row) = office.row(&entry) {
                    each(Answer::Row(row));
                }
            }
        }
        Request::QueueShow { id } => office.show(&id, each),
        Request::QueueFlush(Selection::All) => {
            let messages = office.queue().len();
            office.order([Event::FlushAll], now);
            each(Answer::Done {
                messages: u64::try_from(messages).unwrap_or(u64::MAX),
            });
        }
        Request::QueueFlush(ids) => office.each_message(ids, |id| Event::Flush { id }, now, each),
        Request::QueueHold(ids) => office.each_message(ids, |id| Event::Hold { id }, now, each),
        Request::QueueRelease(ids) => {
            office.each_message(ids, |id| Event::Release { id }, now, each);
        }
        Request::QueueDelete(ids) => office.each_message(ids, |id| Event::Remove { id }, now, each),
        Request::LimitsList => {
            let reports = office.limits().list(now);
            reports.into_iter().map(Answer::Report).for_each(each);
        }
        Request::LimitsShow { client } => {
            let report = office.limits().show(client, now);
            each(report.map_or_else(Answer::Error, Answer::Report));
        }
        Request::LimitsReset { client } => {
            let known = office.limits().reset(client);
            office.keep();
            each(known.map_or_else(Answer::Error, |known| Answer::Done {
                messages: u64::from(known),
            }));
        }
        Request::LimitsRaise {
            client,
            limit,
            until,
        } => {
            let raised = office.limits().raise(client, limit, until, now);
            office.keep();
            let report = raised.and_then(|name| office.limits().show(name, now));
            each(report.map_or_else(Answer::Error, Answer::Report));
        }
    }
}

impl Office<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An order is on disk before it is answered.
    fn keep(&self) {
        self.state.changed();
        self.state.flush();
    }

    /// Gives the queue events; what follows from them is recorded when this returns.
    fn order(&self, events: impl IntoIterator<Item = Event>, now: Timestamp) {
        for event in events {
            let mut queue = self.queue();
            queue.handle(event, now);
            for (id, event) in queue.take_records() {
                self.spool.record(id, event);
            }
        }
        (self.wake)();
    }

    /// Gives each message that is meant an event, and tells how many there were.
    fn each_message(
        &self,
        which: Selection,
        event: impl Fn(QueueId) -> Event,
        now: Timestamp,
        each: &mut dyn FnMut(Answer),
    ) {
        let ids = match which {
            Selection::All => self.queue().ids(),
            Selection::Ids(ids) => ids.iter().filter_map(|id| self.find(id, each)).collect(),
        };
        let messages = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        self.order(ids.into_iter().map(event), now);
        match self.spool.commit() {
            Ok(()) => each(Answer::Done { messages }),
            Err(error) => each(Answer::Error(format!(
                "done, but not on disk yet, so that a crash may undo it: {error}"
            ))),
        }
    }

    /// A message in the queue by its id as typed.
    fn find(&self, id: &str, each: &mut dyn FnMut(Answer)) -> Option<QueueId> {
        let found = QueueId::parse(id).filter(|id| self.spool.entry(*id).is_some());
        if found.is_none() {
            each(Answer::Error(format!(
                "no message {} is in the queue",
                escape(id.as_bytes(), 64)
            )));
        }
        found
    }

    fn show(&self, id: &str, each: &mut dyn FnMut(Answer)) {
        let Some(id) = self.find(id, each) else {
            return;
        };
        if let Some(row) = self.spool.entry(id).and_then(|entry| self.row(&entry)) {
            each(Answer::Row(row));
        }
        match self.spool.load(id) {
            Ok(Some(stored)) => each(Answer::Header(listing::header(&stored.header))),
            Ok(None) => each(Answer::Error(format!(
                "message {id} has just left the queue"
            ))),
            Err(error) => each(Answer::Error(format!(
                "message {id} cannot be read: {error}"
            ))),
        }
    }

    /// A line of the listing; `None` if the message has just left the queue or cannot be read.
    fn row(&self, entry: &Entry) -> Option<Row> {
        let envelope = self.spool.envelope(entry.id).ok()??;
        let recipients = entry.waiting.iter().filter_map(|waiting| {
            let recipient = envelope
                .recipients
                .get(usize::try_from(waiting.recipient).ok()?)?;
            let reason = waiting.reason.as_deref().unwrap_or_default();
            Some(RecipientRow::new(recipient, reason.to_owned()))
        });
        let queue_name = match (entry.hold != Hold::No, self.queue().is_active(entry.id)) {
            (true, _) => "hold",
            (false, true) => "active",
            (false, false) => "deferred",
        };
        Some(Row {
            queue_id: entry.id.to_string(),
            queue_name: queue_name.to_owned(),
            arrival: entry.arrival,
            size: entry.size,
            sender: envelope.sender.to_string(),
            recipients: recipients.collect(),
            next_attempt: entry
                .waiting
                .iter()
                .filter_map(|waiting| waiting.until)
                .min(),
            origin: envelope.origin,
        })
    }

    fn full_status(&self) -> Status {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (queued, in_flight) = {
            let queue = self.queue();
            (count(queue.len()), count(queue.in_flight()))
        };
        Status {
            queued,
            in_flight,
            clients: count(self.limits().len()),
            ..(self.status)()
        }
    }
}
