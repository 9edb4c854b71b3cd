//! Deliveries: the programs' own [`relay::delivery::Delivery`] over the world's network.
//!
//! In place of `relay::net::deliver` and of smarthost's `transport::session` and `transport::pool`;
//! the order is theirs, and these lines of them are not covered. A delivery that a crash interrupts
//! is forgotten.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use mail::{
    envelope::Envelope,
    outcome::{Blame, Failure, Outcome},
};
use queue::Event as Told;
use relay::{
    conversation::{End, unreachable},
    delivery::{Action, Batch, Delivery, Dial, Event, Found, Patience, Place, Sent as Ended, fit},
    net::relay_name,
};
use smtp::client::{Protocol, Settings, Timeouts};
use spool::{Hold, Stored};

use crate::{
    model::Model,
    network::{Arrival, ConnId, Micros, SECOND, Sent},
    program::{Context, Role, Up, places, token},
    talk::Talk,
};

/// How long a connection without work is kept.
const KEEP: Micros = 20 * SECOND;
/// How long things may take where others wait for the place.
const HURRIED: Duration = Duration::from_secs(10);

/// One delivery under way.
pub(crate) struct Errand<D> {
    delivery: queue::Delivery<D>,
    machine: Delivery,
    stored: Arc<Stored>,
    envelope: Envelope,
    hosts: Vec<Arc<str>>,
    asked: bool,
    talk: Option<Talk>,
    waiting: Waiting,
    /// How many recipients the transaction has.
    batch: usize,
    /// How long is waited for what comes.
    until: Instant,
}

enum Waiting {
    /// For the connection, until then.
    Connect(ConnId, Dial, Instant),
    Opening,
    Sending,
    Nothing,
}

/// A connection that waits for the next message.
pub(crate) struct Kept<D> {
    to: Arc<D>,
    talk: Talk,
    since: Micros,
}

impl<D> Kept<D> {
    pub(crate) fn due(&self) -> Micros {
        self.since + KEEP
    }
}

impl<D> Errand<D> {
    pub(crate) fn to(&self) -> &D {
        &self.delivery.destination
    }

    /// The hosts behind it, once it was let go on to them.
    pub(crate) fn hosts(&self) -> Option<String> {
        (self.asked && !self.hosts.is_empty()).then(|| self.hosts.join(" "))
    }

    /// The number of the message.
    pub(crate) fn token(&self) -> Option<u32> {
        token(&self.stored)
    }

    pub(crate) fn due(&self, micros: impl Fn(Instant) -> Micros) -> Option<Micros> {
        match (&self.waiting, &self.talk) {
            (Waiting::Connect(_, _, until), _) => Some(micros(*until)),
            (Waiting::Opening | Waiting::Sending, Some(_)) => Some(micros(self.until)),
            _ => None,
        }
    }

    fn conn(&self) -> Option<ConnId> {
        match &self.waiting {
            Waiting::Connect(conn, ..) => Some(*conn),
            _ => self.talk.as_ref().map(|talk| talk.conn),
        }
    }

    fn settings(&self, helo: &str, dial: &Dial) -> (Settings, Duration) {
        let mut timeouts = Timeouts::default();
        if let Some(opening) = dial.opening {
            timeouts.opening = timeouts.opening.min(opening);
        }
        let mut connect = dial.connect;
        if self.delivery.patience == queue::Patience::Short {
            connect = connect.min(HURRIED);
            timeouts.opening = timeouts.opening.min(HURRIED);
            timeouts.reply = timeouts.reply.min(2 * HURRIED);
            timeouts.data = timeouts.data.min(3 * HURRIED);
        }
        let settings = Settings {
            helo: helo.to_owned(),
            protocol: Protocol::Smtp,
            security: dial.security,
            timeouts,
            known: None,
            credentials: None,
            enroll: None,
        };
        (settings, connect)
    }
}

impl<R: Role> Up<R> {
    pub(crate) fn deliver(
        &mut self,
        role: &mut R,
        delivery: queue::Delivery<R::D>,
        context: &mut Context<'_>,
    ) {
        let (ticket, count) = (delivery.ticket, delivery.recipients.len());
        let stored = match self.spool.load(delivery.id) {
            Ok(Some(stored)) => Arc::new(stored),
            other => {
                let why = other.err().map_or_else(
                    || "the message is no longer queued".to_owned(),
                    |e| e.to_string(),
                );
                let outcomes = vec![Failure::ours(&why).outcome(); count];
                return self
                    .queue
                    .handle(Told::Finished { ticket, outcomes }, context.wall);
            }
        };
        let envelope = stored.envelope.with_numbers(&delivery.recipients);
        let entry = self.spool.entry(delivery.id);
        if entry.is_some_and(|it| it.hold != Hold::No) {
            let wrong = format!("{} is on hold, and delivered", delivery.id);
            let note = move |model: &mut Model| model.wrong.push(wrong);
            context.notes.push(Box::new(note));
        }
        context.story.tell(context.now, &role.hostname(), || {
            let to = envelope
                .recipients
                .iter()
                .map(|it| it.address.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            format!("{} is tried: {to}", delivery.id)
        });
        let sender = envelope.sender.to_string();
        let errand = Errand {
            machine: Delivery::new(count, sender, Patience::default()),
            delivery,
            stored,
            envelope,
            hosts: Vec::new(),
            asked: false,
            talk: None,
            waiting: Waiting::Nothing,
            batch: 0,
            until: context.steady,
        };
        self.errands.insert(ticket, errand);
        self.pursue(role, ticket, None, context);
    }

    /// Goes on with a delivery until it waits for something.
    fn pursue(
        &mut self,
        role: &mut R,
        ticket: u64,
        answer: Option<Event>,
        context: &mut Context<'_>,
    ) {
        let Some(mut errand) = self.errands.remove(&ticket) else {
            return;
        };
        let mut answer = answer;
        loop {
            if let Some(event) = answer.take() {
                errand.asked |=
                    matches!(&event, Event::Sent(sent) if sent.outcomes.iter().any(is_answered));
                errand
                    .machine
                    .handle(event, &mut self.memory, context.steady);
            }
            let Some(action) = errand.machine.next_action() else {
                return self.finish(role, errand, context);
            };
            answer = match action {
                Action::Reuse => {
                    errand.talk = self.reuse(&errand.delivery.destination, context);
                    let dial = errand.talk.as_ref().and_then(|talk| talk.dial.clone());
                    Some(Event::Kept(dial.map(Box::new)))
                }
                Action::Find => {
                    let way = role.way(&errand.delivery.destination, context.names, context.now);
                    let name = |host: &relay::delivery::Host| {
                        format!("{}:{}", host.name, host.port).into()
                    };
                    errand.hosts = way
                        .as_ref()
                        .map_or_else(|_| Vec::new(), |way| way.hosts.iter().map(name).collect());
                    Some(Event::Way(way))
                }
                Action::Lookup(host) => {
                    let found = places(&host, context.names, context.now);
                    if R::shares() && !std::mem::replace(&mut errand.asked, true) {
                        let mut hosts: Vec<Arc<str>> = vec![host.name.as_str().into()];
                        for (place, _) in found.iter().flatten() {
                            if let Place::Tcp(address) = place {
                                hosts.push(address.ip().to_string().into());
                            }
                        }
                        let to = &errand.delivery.destination;
                        if !self.queue.shares(ticket, to, &errand.hosts, context.wall)
                            || !self.queue.admits(to, &hosts, context.wall)
                        {
                            context.story.tell(context.now, &role.hostname(), || {
                                format!("{} is withdrawn", errand.delivery.id)
                            });
                            return self.queue.handle(Told::Withdrawn { ticket }, context.wall);
                        }
                    }
                    Some(Event::Found(found.map(Found::from)))
                }
                Action::Open(dial) => {
                    let Place::Tcp(address) = dial.place else {
                        panic!("no such place in this world");
                    };
                    let conn = context.network.reserve();
                    let (_, connect) = errand.settings(role.hostname(), &dial);
                    let (from, to) = (context.owner, address.ip());
                    context.out.push(Sent::Dial { conn, from, to });
                    errand.waiting = Waiting::Connect(conn, dial, context.steady + connect);
                    None
                }
                Action::Send(batch) => errand.send(&batch, context),
                Action::Leave => {
                    if let Some(talk) = errand.talk.take() {
                        talk.quit(&mut context.out, context.steady);
                    }
                    continue;
                }
            };
            if answer.is_none() {
                self.errands.insert(ticket, errand);
                return;
            }
        }
    }

    fn reuse(&mut self, to: &Arc<R::D>, context: &mut Context<'_>) -> Option<Talk> {
        while let Some(at) = self.kept.iter().rposition(|kept| kept.to == *to) {
            let mut kept = self.kept.remove(at);
            if kept.talk.is_usable(context.steady) {
                return Some(kept.talk);
            }
            kept.talk.quit(&mut context.out, context.steady);
        }
        None
    }

    fn finish(&mut self, role: &R, mut errand: Errand<R::D>, context: &mut Context<'_>) {
        let ticket = errand.delivery.ticket;
        match errand.talk.take() {
            Some(talk) if talk.conversation.is_ready() => self.kept.push(Kept {
                to: Arc::clone(&errand.delivery.destination),
                talk,
                since: context.now,
            }),
            Some(talk) => talk.quit(&mut context.out, context.steady),
            None => {}
        }
        let (outcomes, unusable) = errand.machine.finish();
        context.story.tell(context.now, &role.hostname(), || {
            let words = outcomes.iter().map(|it| match it {
                Outcome::Delivered(delivered) => format!("sent ({})", delivered.reply),
                Outcome::Deferred(failure) => format!("deferred ({})", failure.log_text()),
                Outcome::Failed(failure) => format!("bounced ({})", failure.log_text()),
            });
            format!(
                "{}: {}",
                errand.delivery.id,
                words.collect::<Vec<_>>().join(", ")
            )
        });
        let event = match unusable {
            Some(failure) if !R::shares() => Told::Unreached { ticket, failure },
            _ => Told::Finished { ticket, outcomes },
        };
        self.queue.handle(event, context.wall);
    }

    /// Something came over a connection that we made.
    pub(crate) fn answered(
        &mut self,
        role: &mut R,
        conn: ConnId,
        arrival: Arrival,
        context: &mut Context<'_>,
    ) {
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.talk.conn == conn) {
            return kept.talk.arrived(arrival);
        }
        let errand = self
            .errands
            .iter_mut()
            .find(|(_, it)| it.conn() == Some(conn));
        let Some((&ticket, errand)) = errand else {
            return;
        };
        let answer = match (&errand.waiting, arrival) {
            (Waiting::Connect(_, dial, _), Arrival::Connected) => {
                let Place::Tcp(address) = dial.place else {
                    panic!("no such place in this world");
                };
                let (settings, _) = errand.settings(role.hostname(), dial);
                let relay = relay_name(&dial.host.name, address);
                let mut talk = Talk::begin(conn, settings, relay, context.steady);
                talk.dial = Some(dial.clone());
                errand.talk = Some(talk);
                errand.waiting = Waiting::Opening;
                errand.turn(context)
            }
            (Waiting::Connect(..), _) => errand.unconnected(io::ErrorKind::ConnectionRefused),
            (_, arrival) => {
                if let Some(talk) = &mut errand.talk {
                    talk.arrived(arrival);
                }
                errand.turn(context)
            }
        };
        if answer.is_some() {
            self.pursue(role, ticket, answer, context);
        }
    }

    /// Waits that are over.
    pub(crate) fn tick_errands(&mut self, role: &mut R, context: &mut Context<'_>) {
        let old = |kept: &mut Kept<R::D>| kept.due() <= context.now;
        for kept in self.kept.extract_if(.., old).collect::<Vec<_>>() {
            kept.talk.quit(&mut context.out, context.steady);
        }
        for ticket in self.errands.keys().copied().collect::<Vec<_>>() {
            let Some(errand) = self.errands.get_mut(&ticket) else {
                continue;
            };
            let answer = match &errand.waiting {
                Waiting::Connect(conn, _, until) if *until <= context.steady => {
                    let by = crate::network::Side::Dialler;
                    context.out.push(Sent::Close { conn: *conn, by });
                    errand.unconnected(io::ErrorKind::TimedOut)
                }
                Waiting::Connect(..) => None,
                _ => errand.turn(context),
            };
            if answer.is_some() {
                self.pursue(role, ticket, answer, context);
            }
        }
    }
}

impl<D> Errand<D> {
    fn unconnected(&self, kind: io::ErrorKind) -> Option<Event> {
        let Waiting::Connect(_, dial, _) = &self.waiting else {
            return None;
        };
        let Place::Tcp(address) = dial.place else {
            return None;
        };
        let relay = relay_name(&dial.host.name, address);
        Some(Event::Opened(Err(unreachable(
            &relay,
            Blame::Network,
            &kind.into(),
        ))))
    }

    fn send(&mut self, batch: &Batch, context: &mut Context<'_>) -> Option<Event> {
        if let Err(event) = self.begin(batch, context) {
            return Some(event);
        }
        self.waiting = Waiting::Sending;
        self.turn(context)
    }

    fn begin(&mut self, batch: &Batch, context: &Context<'_>) -> Result<(), Event> {
        let nothing = |outcomes| {
            Event::Sent(Ended {
                outcomes,
                ..Default::default()
            })
        };
        let Some(talk) = &mut self.talk else {
            return Err(nothing(Vec::new()));
        };
        self.batch = batch.recipients.len();
        let envelope = self.envelope.with_only(&batch.recipients);
        let stored = Arc::clone(&self.stored);
        let read = move || stored.reader();
        match fit(
            talk.conversation.capabilities(),
            envelope,
            self.stored.size(),
            &read,
        ) {
            Ok(mut fitted) => {
                fitted.transaction.patience = batch.patience;
                fitted.transaction.kept = batch.kept;
                talk.transact(fitted.transaction, fitted.content, context.steady);
                Ok(())
            }
            Err(error) => {
                let failure = Failure::ours(&format!("the message cannot be read: {error}"));
                Err(nothing(vec![failure.outcome(); batch.recipients.len()]))
            }
        }
    }

    /// Lets the conversation go on; what the delivery is told, if it has come to something.
    fn turn(&mut self, context: &mut Context<'_>) -> Option<Event> {
        let talk = self.talk.as_mut()?;
        let end = talk.go_on(&mut context.out, context.steady);
        self.until = talk.conversation.deadline(context.steady);
        let end = end?;
        let opening = matches!(self.waiting, Waiting::Opening);
        self.waiting = Waiting::Nothing;
        let (open, accepted) = (talk.conversation.is_ready(), talk.conversation.accepted());
        let sent = |outcomes| {
            Event::Sent(Ended {
                outcomes,
                open,
                accepted,
            })
        };
        Some(match end {
            End::Ready if opening => Event::Opened(Ok(())),
            End::Failed(failure) if opening => {
                if let Some(talk) = self.talk.take() {
                    talk.quit(&mut context.out, context.steady);
                }
                Event::Opened(Err(failure))
            }
            End::Finished(outcomes) => sent(outcomes),
            End::Failed(failure) => sent(vec![failure.outcome(); self.batch]),
            End::Ready => sent(Vec::new()),
        })
    }
}

/// Whether the peer has decided something: the delivery has begun.
fn is_answered(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Delivered(_) | Outcome::Failed(_) => true,
        Outcome::Deferred(failure) => failure.reply.is_some(),
    }
}
