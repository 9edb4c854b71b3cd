//! The driver of [`Delivery`] over tokio, for SMTP and LMTP.
//!
//! Contract: what is tried and in which order is [`relay::delivery`]'s.
//! RFC 5321 §5.1.

use std::{pin::pin, sync::Arc, time::Instant};

use mail::outcome::{Failure, Outcome};
use relay::delivery::{Action, Delivery, Dial, Event, Way, cut};
use spool::Stored;
use tokio::time;

use super::{
    demands::Demands,
    forwarding,
    job::{Errand, all},
    pool::{Kept, Site},
    session::{Peer, Session, counted, peer},
    transports::{MOST, STALL, Transports},
};
use crate::loops;

/// Delivers to a next hop, or without a message only asks; `None`: it was not made, its turn comes
/// again.
pub(super) async fn deliver(
    transports: &Transports,
    errand: &Errand,
    stored: Option<&Stored>,
) -> Option<Vec<Outcome>> {
    let parts = parts(errand, stored);
    if parts.len() < 2 {
        let made = Box::pin(converse(transports, errand, stored, false)).await;
        return made.map(|made| made.outcomes);
    }
    let (mut outcomes, mut is_cut) = (Vec::new(), false);
    for (number, part) in parts.iter().enumerate() {
        if is_cut {
            outcomes.extend(part.iter().copied().zip(all(part.len(), cut())));
            continue;
        }
        let part_of_it = Errand {
            ticket: errand.ticket,
            destination: Arc::clone(&errand.destination),
            envelope: errand.envelope.with_only(part),
            numbers: errand.numbers_of(part),
            ledger: errand.ledger.clone(),
            setup: Arc::clone(&errand.setup),
            hurried: errand.hurried,
            halt: errand.halt.clone(),
            cut: errand.cut.clone(),
        };
        let made = Box::pin(converse(transports, &part_of_it, stored, number > 0)).await?;
        is_cut = made.is_cut;
        outcomes.extend(part.iter().copied().zip(made.outcomes));
    }
    outcomes.sort_by_key(|(index, _)| *index);
    Some(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// The recipients, by their indexes, who get the same message from the same sender.
fn parts(errand: &Errand, stored: Option<&Stored>) -> Vec<Vec<usize>> {
    let envelope = &errand.envelope;
    let senders = match peer(errand) {
        Peer::Smtp { .. } => forwarding::parts(&errand.setup, envelope),
        Peer::Lmtp(_) => vec![(0..envelope.recipients.len()).collect()],
    };
    let Some(stored) = stored else {
        return senders;
    };
    let lists = |part| loops::apart(&stored.envelope, envelope, part);
    senders.into_iter().flat_map(lists).collect()
}

/// What came of recipients who all get the same message from the same sender.
struct Made {
    outcomes: Vec<Outcome>,
    /// Others have the connection.
    is_cut: bool,
}

impl From<Vec<Outcome>> for Made {
    fn from(outcomes: Vec<Outcome>) -> Self {
        Self {
            outcomes,
            is_cut: false,
        }
    }
}

/// The same of recipients who all get the same message from the same sender; `has_place`: another
/// part of it has gone already, and it is not asked any more whether it may.
async fn converse(
    transports: &Transports,
    errand: &Errand,
    stored: Option<&Stored>,
    has_place: bool,
) -> Option<Made> {
    let session = Session {
        transports,
        errand,
        stored,
        peer: peer(errand),
    };
    let envelope = &errand.envelope;
    let demands = tokio::select! {
        demands = waited_for(&session, has_place) => demands?,
        () = errand.halt.reached() => Err(errand.halt.failure()),
    };
    let demands = match demands {
        Ok(demands) => demands,
        Err(failure) => return Some(all(envelope.recipients.len(), failure).into()),
    };
    let mut course = Course {
        session: &session,
        demands,
        asked: has_place,
        site: Site::new(&errand.destination, &[]),
        hosts: Vec::new(),
        open: None,
    };
    let sender = envelope.sender.to_string();
    let mut delivery = Delivery::new(envelope.recipients.len(), sender, session.patience());
    while let Some(action) = delivery.next_action() {
        if errand.halt.is_reached() {
            delivery.halt(&errand.halt.failure());
            break;
        }
        if course.is_cut() {
            delivery.cut();
            break;
        }
        match course.carry_out(action).await {
            Next::Event(event) => {
                delivery.handle(event, &mut transports.memory(), Instant::now());
            }
            Next::Nothing => {}
            Next::Halted => delivery.halt(&errand.halt.failure()),
            Next::Withdrawn => return None,
        }
    }
    transports.tell_of_refusals();
    let is_cut = course.is_cut();
    if let Some(kept) = course.open.filter(|kept| kept.connection.is_ready()) {
        let setup = transports.current.get();
        let destination = &errand.destination;
        transports.pool.put(destination, kept, &setup).await;
    }
    Some(Made {
        outcomes: delivery.finish().0,
        is_cut,
    })
}

/// What is demanded of the hosts. A policy that takes its time keeps no place: `None`, once it is
/// known, the delivery has its turn then, and is put off no second time.
async fn waited_for(
    session: &Session<'_>,
    has_place: bool,
) -> Option<Result<Option<Demands>, Failure>> {
    let (waited, to) = (&session.transports.waited, &session.errand.destination);
    let is_second = waited.lock().is_ok_and(|mut waited| waited.remove(to));
    let mut demands = pin!(session.demands());
    if is_second {
        return Some(demands.await);
    }
    if let Ok(known) = time::timeout(STALL, &mut demands).await {
        return Some(known);
    }
    let gave_way = !has_place && session.stalls();
    let known = demands.await;
    if gave_way
        && known.is_ok()
        && let Ok(mut waited) = waited.lock()
    {
        if waited.len() >= MOST {
            // They wait once more, if they still have to.
            waited.clear();
        }
        waited.insert(Arc::clone(to));
        return None;
    }
    Some(known)
}

/// How far a delivery is.
struct Course<'a> {
    session: &'a Session<'a>,
    demands: Option<Demands>,
    /// It has begun, or its turn is not asked for any more.
    asked: bool,
    /// The hosts behind the destination, as they are counted.
    hosts: Vec<Arc<str>>,
    site: Site,
    open: Option<Kept>,
}

/// What follows from an action.
enum Next {
    Event(Event),
    Nothing,
    /// The delivery has its turn later.
    Withdrawn,
    /// It has no more time.
    Halted,
}

impl Course<'_> {
    /// Whether others have the connection, for its peer was silent.
    fn is_cut(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|kept| kept.connection.is_cut())
    }

    async fn carry_out(&mut self, action: Action) -> Next {
        let session = self.session;
        // A transaction ends by itself then, and says what was answered.
        let sends = matches!(action, Action::Send(_));
        tokio::select! {
            next = self.do_it(action) => next,
            () = session.errand.halt.reached(), if !sends => Next::Halted,
        }
    }

    async fn do_it(&mut self, action: Action) -> Next {
        let session = self.session;
        Next::Event(match action {
            Action::Reuse => self.reuse().await,
            Action::Find => {
                let way = session.way(self.demands.as_mut()).await;
                self.hosts = way.as_ref().map_or_else(|_| Vec::new(), names);
                self.site = Site::new(&session.errand.destination, &self.hosts);
                Event::Way(way)
            }
            Action::Lookup(host) => {
                // Before anything was tried, the delivery can still have its turn later.
                let first = !std::mem::replace(&mut self.asked, true);
                if first && !session.has_a_place(&self.hosts) {
                    return Next::Withdrawn;
                }
                let found = session.find(&host, self.demands.as_mut()).await;
                if first && !session.is_admitted(&host, &found) {
                    return Next::Withdrawn;
                }
                Event::Found(found)
            }
            Action::Open(dial) => self.connect(dial).await,
            Action::Send(batch) => {
                let sent = session.send(self.open.as_mut(), &batch).await;
                self.asked |= sent.outcomes.iter().any(is_answered);
                Event::Sent(sent)
            }
            Action::Leave => {
                if let Some(kept) = self.open.take() {
                    kept.connection.quit_and_wait().await;
                }
                return Next::Nothing;
            }
        })
    }

    /// The connection that was used last to this destination, if one is kept.
    async fn reuse(&mut self) -> Event {
        let policy = self.demands.as_ref().and_then(Demands::enforced);
        let Session {
            transports, errand, ..
        } = self.session;
        let kept = transports
            .pool
            .take(&errand.destination, &errand.setup, policy);
        self.open = kept.await;
        self.kept()
    }

    /// One that another destination with the same hosts has kept, or a new one.
    async fn connect(&mut self, dial: Dial) -> Event {
        let (session, demands) = (self.session, self.demands.as_ref());
        self.open = session.others(&self.site, &dial, demands);
        if self.open.is_some() {
            return self.kept();
        }
        let opened = session.connect(&self.site, dial, demands).await;
        Event::Opened(opened.map(|kept| self.open = Some(kept)))
    }

    fn kept(&self) -> Event {
        let open = self.open.as_ref();
        Event::Kept(open.map(|kept| kept.dial.clone().into()))
    }
}

/// The hosts behind a destination, as they are counted.
fn names(way: &Way) -> Vec<Arc<str>> {
    way.hosts.iter().map(counted).collect()
}

/// Whether the peer has decided something: the delivery has begun.
fn is_answered(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Delivered(_) | Outcome::Failed(_) => true,
        Outcome::Deferred(failure) => failure.reply.is_some(),
    }
}
