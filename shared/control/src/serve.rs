//! A daemon's side of the control socket: who asks, and what is asked about the queue.
//!
//! Contract: whoever is not an administrator sees and changes his own messages only, and another's
//! is as unknown as one that is not there. What was ordered is on disk before it is confirmed. Each
//! message that was named by its id gets an answer of its own.
//! Failures: what could not be done is [`Answer::Refused`]; the rest of the request is carried out.
//! Where the disk does not answer, that is said, and nobody waits for it.

mod words;

use std::{
    borrow::Cow,
    collections::HashSet,
    io, iter,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use mail::{
    clock::Timestamp,
    outcome::{escape, openly},
};
use spool::{Entry, Hold, Known, Parties, QueueId, Spool};
use system::log::life::ordered;

use crate::{
    attempts::Attempts,
    listing::{self, RecipientRow, Row},
    order::{Answer, Order, Request, Selection},
    status::{LOOKED_AT, NAMED},
    summary::{self, By, Counter, Item, Summary},
};

mod connection;
mod disk;

pub use connection::{Asker, PATIENCE, serve_one, serve_request};
pub use disk::spool;

/// So many messages are looked at, at once where that is possible, before an asker who has heard
/// nothing is told that it goes on.
const WORKING: usize = 2000;
/// Messages that are read together.
const READ: usize = 64;
/// The queue's name of what is kept from delivery.
const ON_HOLD: &str = "hold";
/// And of what is being tried.
const ACTIVE: &str = "active";
/// How long a follower waits for the next attempt before he must ask again.
const FOLLOW: Duration = Duration::from_secs(2);
/// Where a message stands, as far as the spool does not know it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// It is being tried, or would be if something were not in the way.
    pub active: bool,
    /// Stands in place of the reasons of all its recipients.
    pub reason: Option<String>,
    /// When the queue tries it next. The spool may have a later time, noted by a clock that was
    /// ahead.
    pub next: Option<Timestamp>,
    /// No attempt is made before.
    pub paused: Option<Timestamp>,
}

/// A daemon's queue.
pub trait Queue {
    fn spool(&self) -> &Spool;
    fn standing(&self, entry: &Entry) -> Standing;
    /// The same of several, for which what is locked is locked once.
    fn standings(&self, entries: &[(Entry, Parties)]) -> Vec<Standing> {
        let each = entries.iter().map(|(entry, _)| self.standing(entry));
        each.collect()
    }
    /// Carries out an order for one message; what it must not lose is recorded in the spool when it
    /// returns.
    fn carry_out(&self, order: Order, id: QueueId) -> Result<(), String>;
    /// Whether an attempt is under way, which orders do not end.
    fn is_under_way(&self, id: QueueId) -> bool;
    /// Tries everything, and every destination, at once; or why nothing is tried now.
    fn flush_all(&self) -> Result<(), String>;
    /// Where a message may be that is not here.
    fn elsewhere(&self) -> Option<String> {
        None
    }
    /// The last attempts, where they are remembered.
    fn attempts(&self) -> Option<&Attempts> {
        None
    }
    /// For how many of his messages this user, no administrator, may have this order carried out
    /// now.
    fn allows(&self, order: Order, uid: u32) -> Result<usize, String>;
}

/// Answers for one asker.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a, Q> {
    pub queue: &'a Q,
    /// Whose messages alone he sees; `None` for an administrator.
    pub owner: Option<u32>,
    pub now: Timestamp,
}

type Say<'a> = dyn FnMut(&Answer) -> io::Result<()> + 'a;

impl<Q: Queue> Access<'_, Q> {
    /// Answers one request, line by line.
    pub fn answer(&self, request: &Request, say: &mut Say<'_>) -> io::Result<()> {
        match request {
            Request::List(selection) => {
                self.each(selection, say, |row, say| say(&Answer::Row(row)))
            }
            Request::Summary { by, selection } => {
                let mut counter = Counter::new(*by, self.now);
                if selection.is_everything() {
                    let mut all = self.walk();
                    while self.count(&mut all, &mut [&mut counter]) {
                        say(&Answer::Working)?;
                    }
                } else {
                    self.each(selection, say, |row, _| {
                        counter.add(&Item::from(&row));
                        Ok(())
                    })?;
                }
                say(&Answer::Summary(counter.finish(summary::MOST).into()))
            }
            Request::Show { id } => match self.find(id) {
                Ok((entry, known)) => {
                    say(&Answer::Row(self.row(&entry, &known)))?;
                    say(&self.header(entry.id))
                }
                Err(why) => say(&Answer::Refused(why)),
            },
            Request::Change { order, selection } => self.change(*order, selection, say),
            Request::Follow { id, after } => self.follow(id, *after, say),
        }
    }

    /// The attempts, why it rests if it does, then how many recipients still wait.
    fn follow(&self, id: &str, after: u64, say: &mut Say<'_>) -> io::Result<()> {
        let Some(id) = QueueId::parse(id) else {
            let why = format!("{}: no queue id", escape(id.as_bytes(), 40));
            return say(&Answer::Refused(why));
        };
        let spool = self.queue.spool();
        let waiting = || spool.entry(id).map_or(0, |entry| entry.waiting.len());
        let patience = if waiting() == 0 {
            Duration::ZERO
        } else {
            FOLLOW
        };
        if let Some(attempts) = self.queue.attempts() {
            let mut attempts = attempts.after(id, after, self.owner, patience).into_iter();
            attempts.try_for_each(|row| say(&Answer::Attempt(row.into())))?;
        }
        if let Some(entry) = spool.entry(id) {
            let held = entry.hold.is_held().then(|| "it is on hold".to_owned());
            if let Some(why) = self.standing(&entry).reason.or(held) {
                say(&Answer::Refused(why))?;
            }
        }
        say(&Answer::Changed(waiting()))
    }

    /// What a status tells of the queue: by destination, and by who sent it.
    pub fn census(&self) -> (Summary, Summary) {
        let mut destinations = Counter::new(By::Destination, self.now);
        let mut senders = Counter::new(By::Client, self.now);
        let mut oldest = self.walk().take(LOOKED_AT);
        while self.count(&mut oldest, &mut [&mut destinations, &mut senders]) {}
        (destinations.finish(NAMED), senders.finish(NAMED))
    }

    fn standing(&self, entry: &Entry) -> Standing {
        self.shown(self.queue.standing(entry))
    }

    /// What keeps all mail was said of somebody's.
    fn shown(&self, standing: Standing) -> Standing {
        let reason = standing.reason.map(|reason| match self.owner {
            Some(_) => openly(&reason),
            None => reason,
        });
        Standing { reason, ..standing }
    }

    /// All that the asker may see, from memory alone: so a long queue is counted in a moment.
    fn walk(&self) -> impl Iterator<Item = (Entry, Parties)> + use<Q> {
        let owner = self.owner;
        let all = self.queue.spool().walk();
        all.filter(move |(entry, _)| owner.is_none() || entry.uid == owner)
    }

    /// Counts what a [`Row`] would say of each of the next messages; `false`: there were none.
    fn count(
        &self,
        messages: &mut impl Iterator<Item = (Entry, Parties)>,
        counters: &mut [&mut Counter],
    ) -> bool {
        let piece: Vec<_> = messages.take(WORKING).collect();
        let standings = self.queue.standings(&piece).into_iter();
        let standings = standings.map(|standing| self.shown(standing));
        for ((entry, parties), standing) in piece.iter().zip(standings) {
            let held = entry.hold.is_held();
            let recipients = entry.waiting.iter().map(|waiting| {
                let reason = standing.reason.as_deref().or(waiting.reason.as_deref());
                let domain = Cow::Borrowed(parties.domain(waiting.recipient));
                (domain, reason.unwrap_or_default())
            });
            let item = Item {
                arrival: entry.arrival,
                size: entry.size,
                held,
                deferred: !held && !standing.active,
                next_attempt: words::next_attempt(entry, standing.next, standing.paused),
                sender: &parties.sender,
                origin: &parties.origin,
                recipients: recipients.collect(),
            };
            for counter in counters.iter_mut() {
                counter.add(&item);
            }
        }
        !piece.is_empty()
    }

    /// Gives each message that is meant to `take`, and says what of the selection means none.
    fn each(
        &self,
        selection: &Selection,
        say: &mut Say<'_>,
        mut take: impl FnMut(Row, &mut Say<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.unknown(selection)
            .try_for_each(|why| say(&Answer::Refused(why)))?;
        for (index, (id, known)) in self.selected_known(selection).enumerate() {
            working(index, say)?;
            let row = self.row_of(id, known);
            if let Some(row) = row.filter(|row| selection.matches(row, self.now)) {
                take(row, say)?;
            }
        }
        Ok(())
    }

    /// What is said of ids that name nothing.
    fn unknown(&self, selection: &Selection) -> impl Iterator<Item = String> {
        let ids = selection.ids.iter();
        ids.filter_map(|id| self.find(id).err())
    }

    /// Ids, without their details: whoever reads a long listing slowly costs little memory. Each
    /// once.
    fn selected(&self, selection: &Selection) -> impl Iterator<Item = QueueId> + use<Q> {
        let all = selection.ids.is_empty();
        let named: Vec<_> = selection
            .ids
            .iter()
            .filter_map(|id| QueueId::parse(id))
            .collect();
        let mut seen = HashSet::new();
        let named = named.into_iter().filter(move |id| seen.insert(*id));
        let all = all.then(|| self.queue.spool().walk_ids());
        all.into_iter().flatten().chain(named)
    }

    /// The same with what is known of them, read some at a time.
    fn selected_known(
        &self,
        selection: &Selection,
    ) -> impl Iterator<Item = (QueueId, Option<Known>)> {
        let mut ids = self.selected(selection);
        let pieces = iter::from_fn(move || {
            let piece: Vec<_> = ids.by_ref().take(READ).collect();
            let known = self.queue.spool().known_of(&piece);
            (!piece.is_empty()).then(|| piece.into_iter().zip(known))
        });
        let all = pieces.flatten();
        all.map(|(id, known)| (id, known.filter(|known| self.may_see(known))))
    }

    fn change(&self, order: Order, selection: &Selection, say: &mut Say<'_>) -> io::Result<()> {
        if !selection.names_something() {
            return say(&Answer::Refused(
                "no messages are named: ids, --all, or what they have in common".to_owned(),
            ));
        }
        let most = match self.owner.map(|uid| self.queue.allows(order, uid)) {
            Some(Err(why)) => return say(&Answer::Refused(why)),
            Some(Ok(most)) => most,
            None => usize::MAX,
        };
        let (changed, lines) = self.carry_out(order, selection, most, say);
        // What was said is on disk before it is confirmed.
        if let Err(why) = self.committed(say)? {
            lines.iter().try_for_each(&mut *say)?;
            return say(&Answer::Refused(words::undurable(order, &why)));
        }
        lines.iter().try_for_each(&mut *say)?;
        say(&Answer::Changed(changed))
    }

    /// Waits until all that was recorded is on disk; or, where the disk does not answer, until that
    /// is known.
    fn committed(&self, say: &mut Say<'_>) -> io::Result<Result<(), String>> {
        let spool = self.queue.spool();
        if spool.hangs() {
            return Ok(Err(words::HANGS.to_owned()));
        }
        let (told, done) = mpsc::sync_channel(1);
        let its = spool.clone();
        // Nobody may hear it any more.
        let commit = move || drop(told.send(its.commit()));
        if thread::Builder::new().spawn(commit).is_err() {
            return Ok(spool.commit().map_err(|why| why.to_string()));
        }
        loop {
            match done.recv_timeout(FOLLOW) {
                Ok(done) => return Ok(done.map_err(|why| why.to_string())),
                Err(RecvTimeoutError::Disconnected) => return Ok(Err(words::HANGS.to_owned())),
                Err(RecvTimeoutError::Timeout) if spool.hangs() => {
                    return Ok(Err(words::HANGS.to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => say(&Answer::Working)?,
            }
        }
    }

    fn carry_out(
        &self,
        order: Order,
        selection: &Selection,
        most: usize,
        say: &mut Say<'_>,
    ) -> (usize, Vec<Answer>) {
        let mut lines = Vec::new();
        let (mut changed, mut noted) = (0usize, 0usize);
        if order == Order::Flush && self.owner.is_none() && *selection == Selection::all() {
            let entries = self.queue.spool().walk_entries();
            let tried = entries.filter(|entry| entry.hold == Hold::No).count();
            return match self.queue.flush_all() {
                Ok(()) => (tried, lines),
                Err(why) => (0, vec![Answer::Refused(why)]),
            };
        }
        let named = !selection.ids.is_empty();
        lines.extend(self.unknown(selection).map(Answer::Refused));
        for (index, (id, known)) in self.selected_known(selection).enumerate() {
            // Who has gone meanwhile has given his order all the same.
            let _ = working(index, say);
            let row = self.row_of(id, known);
            let Some(row) = row.filter(|row| selection.matches(row, self.now)) else {
                continue;
            };
            if order == Order::Flush && row.queue_name == ON_HOLD {
                lines.extend(named.then(|| Answer::Refused(words::not_tried(&row))));
                continue;
            }
            if order == Order::Release && row.queue_name != ON_HOLD {
                lines.extend(named.then(|| Answer::Noted(format!("{id}: it was not held"))));
                continue;
            }
            if changed.saturating_add(noted) >= most {
                let why = format!("the rest was not done: at most {most} messages at a time");
                lines.push(Answer::Refused(why));
                break;
            }
            let untold = (order == Order::Bounce).then(|| self.untold(id)).flatten();
            match self
                .may(order, id)
                .and_then(|()| self.queue.carry_out(order, id))
            {
                Ok(()) => {
                    if let Some(uid) = self.owner {
                        ordered(id, uid, order.word());
                    }
                    let waits = matches!(order, Order::Hold | Order::Delete | Order::Bounce);
                    // What is left of it to an attempt is known when the order is carried out.
                    let tried = waits && self.queue.is_under_way(id);
                    let untold = if tried {
                        Some(words::under_way(order, untold.as_deref()))
                    } else {
                        untold
                    };
                    if let Some(why) = untold {
                        noted = noted.saturating_add(1);
                        lines.push(Answer::Noted(format!("{id}: {why}")));
                    } else {
                        changed = changed.saturating_add(1);
                        lines.extend(named.then(|| Answer::Done(id.to_string())));
                    }
                }
                Err(why) => lines.push(Answer::Refused(format!("{id}: {why}"))),
            }
        }
        (changed, lines)
    }

    fn untold(&self, id: QueueId) -> Option<String> {
        let known = self.known(id)?;
        if let Some(why) = &known.unread {
            return Some(words::returned_in_part(why));
        }
        if self.queue.spool().is_damaged(id) {
            return Some(words::RETURNED_DAMAGED.to_owned());
        }
        words::untold(&self.queue.spool().entry(id)?, &known.envelope).map(str::to_owned)
    }

    /// Mail that waits for the budget of its owner is not for him to let go, at once or by way of a
    /// hold of his own.
    fn may(&self, order: Order, id: QueueId) -> Result<(), String> {
        let over = |id| Some(self.queue.spool().entry(id)?.hold == Hold::OverBudget);
        let lets_go = matches!(order, Order::Release | Order::Hold);
        if lets_go && self.owner.is_some() && over(id) == Some(true) {
            return Err("it waits for the budget: only root may hold or release it".to_owned());
        }
        Ok(())
    }

    fn header(&self, id: QueueId) -> Answer {
        match self.queue.spool().load_soon(id) {
            Ok(Some(stored)) => Answer::Header(listing::header(&stored.header)),
            Ok(None) => Answer::Refused(format!("{id} has just left the queue")),
            Err(error) => Answer::Refused(format!("{id} cannot be read: {error}")),
        }
    }

    fn find(&self, text: &str) -> Result<(Entry, Known), String> {
        let id = QueueId::parse(text);
        id.and_then(|id| Some((self.queue.spool().entry(id)?, self.known(id)?)))
            .ok_or_else(|| {
                let elsewhere = self.queue.elsewhere();
                format!(
                    "{}: no such message in the queue{}",
                    escape(text.as_bytes(), 40),
                    elsewhere.map_or_else(String::new, |it| format!("; {it}"))
                )
            })
    }

    /// Whom it is from and for, if the asker may see it; of what cannot be read now, as far as it
    /// is known.
    fn known(&self, id: QueueId) -> Option<Known> {
        let known = self.queue.spool().known(id)?;
        self.may_see(&known).then_some(known)
    }

    fn may_see(&self, known: &Known) -> bool {
        self.owner.is_none() || known.envelope.uid == self.owner
    }

    fn row_of(&self, id: QueueId, known: Option<Known>) -> Option<Row> {
        let entry = self.queue.spool().entry(id)?;
        Some(self.row(&entry, &known?))
    }

    fn row(&self, entry: &Entry, known: &Known) -> Row {
        let (mut standing, envelope) = (self.standing(entry), &known.envelope);
        if let Some(why) = &known.unread {
            standing.reason = Some(words::unread(why, self.owner.is_some()));
        }
        let recipients = entry.waiting.iter().filter_map(|waiting| {
            let index = usize::try_from(waiting.recipient).ok()?;
            let reason = standing.reason.as_deref().or(waiting.reason.as_deref());
            Some(RecipientRow::new(
                envelope.recipients.get(index)?,
                reason.unwrap_or_default().to_owned(),
            ))
        });
        let queue_name = match standing.active {
            _ if entry.hold.is_held() => ON_HOLD,
            true => ACTIVE,
            false => "deferred",
        };
        Row {
            queue_id: entry.id.to_string(),
            queue_name: queue_name.to_owned(),
            arrival: entry.arrival.min(self.now),
            size: entry.size,
            sender: envelope.sender.to_string(),
            recipients: recipients.collect(),
            next_attempt: words::next_attempt(entry, standing.next, standing.paused),
            origin: envelope.origin.clone(),
        }
    }
}

fn working(looked_at: usize, say: &mut Say<'_>) -> io::Result<()> {
    if looked_at % WORKING == WORKING - 1 {
        say(&Answer::Working)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
