//! Turns a request into calls of the queue, the spool and the limits.
//!
//! Contract: only ever called for root and the daemon's own user. Texts of strangers (addresses,
//! headers) go out escaped.
//! Failures: each thing that could not be done is told as refused; the rest of the request is
//! carried out.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use control::{
    attempts::Attempts,
    order::{self, Order},
    serve::{self, Access, Standing},
    status::{Learned, NAMED, Status},
};
use mail::clock::{self, Timestamp};
use queue::Lesson;
use spool::{Entry, Hold, Parties, QueueId, Spool};

use crate::{
    admin::{Answer, Request},
    budget::{Budget, Everywhere, Id, What},
    dispatch::{Event, Queue, left},
    draining::Draining,
    expected::Expected,
    limits::{ClientId, Failures, Limits, Report, note_closed},
    state::Keeper,
};

/// What requests act on.
#[derive(Clone, Copy)]
pub struct Controlled<'a> {
    pub spool: &'a Spool,
    pub queue: &'a Mutex<Queue>,
    /// Called after the queue was given events: its driver drains the actions.
    pub wake: &'a (dyn Fn() + Sync),
    pub limits: &'a Mutex<Limits>,
    /// Who failed to log in lately.
    pub failures: &'a Mutex<Failures>,
    /// Shared with other smarthosts.
    pub(crate) budget: &'a Budget,
    pub state: &'a Keeper,
    pub expected: &'a Mutex<Expected>,
    /// Called after something else is expected.
    pub look: &'a (dyn Fn() + Sync),
    /// For whoever follows a message.
    pub attempts: &'a Attempts,
    /// Whether this server is being emptied.
    pub(crate) draining: &'a Draining,
    /// Why nothing is sent, if the configuration is so wrong.
    pub fault: Option<&'a str>,
    /// What only the composition root knows; `queued`, `in_flight` and `clients` are filled in
    /// here.
    pub status: &'a (dyn Fn() -> Status + Sync),
}

/// Answers one request of root or of the daemon's own user, line by line.
pub fn answer(
    request: Request,
    controlled: &Controlled<'_>,
    now: Timestamp,
    each: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    match request {
        Request::DrainProgress => each(&controlled.progress()),
        Request::DrainStop => controlled.stop_drain(now).iter().try_for_each(each),
        Request::Status
        | Request::Recent
        | Request::Reload
        | Request::Settings
        | Request::Explain(_)
        | Request::Enroll(_)
        | Request::Test { .. }
        | Request::Drain { .. } => {
            let why = "only the daemon itself knows and does that".to_owned();
            each(&Answer::Queue(order::Answer::Refused(why)))
        }
        Request::Queue(request) => {
            let access = Access {
                queue: controlled,
                owner: None,
                now,
            };
            access.answer(&request, &mut |line| each(&Answer::Queue(line.clone())))
        }
        Request::ExpectedList { .. }
        | Request::ExpectedAdd { .. }
        | Request::ExpectedConfirm { .. }
        | Request::ExpectedForget { .. } => {
            let mut answers = controlled.expected(request, now).into_iter();
            answers.try_for_each(|answer| each(&answer))
        }
        Request::ForgetNode { node } => each(&controlled.forget_node(&node)),
        Request::LimitsList => {
            let reports = controlled.list(now).into_iter();
            reports
                .map(Answer::Report)
                .try_for_each(|report| each(&report))
        }
        Request::LimitsShow { client } => {
            let known = controlled.budget.everywhere_now();
            let report = controlled.show(&client, &known, now);
            each(&report.map_or_else(refused, Answer::Report))
        }
        Request::LimitsReset { client } => each(&controlled.reset(&client, now)),
        Request::LimitsRaise {
            client,
            limit,
            until,
        } => {
            let raised = controlled.raise(&client, limit, until, now);
            each(&raised.map_or_else(refused, Answer::Report))
        }
    }
}

/// Where failed logins of a client would be counted.
fn at(client: &ClientId) -> Option<IpAddr> {
    match client {
        ClientId::Network(network) => Some(network.address()),
        ClientId::Name(_) => None,
    }
}

/// What a server says of itself that is being emptied.
pub fn refuses(to: &str) -> String {
    format!(
        "no mail is accepted, clients hear 421: the queue moves to {to}; smarthost drain tells how \
         far it is, smarthost drain --stop ends it"
    )
}

fn refused(why: String) -> Answer {
    Answer::Queue(order::Answer::Refused(why))
}

impl Controlled<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(
        &self,
        client: &ClientId,
        known: &Everywhere,
        now: Timestamp,
    ) -> Result<Report, String> {
        let mut report = self.limits().show(client, now)?;
        report.logins = at(client).and_then(|at| self.failures().of(at, now));
        self.share(&mut report, client, known, now);
        Ok(report)
    }

    /// A client's counters start anew, and its failed logins are forgotten.
    fn reset(&self, client: &ClientId, now: Timestamp) -> Answer {
        let counted = self.limits().reset(client);
        if counted.is_ok() {
            self.budget.order(client, What::Reset, now);
        }
        let kept = self.keep();
        let logins = at(client).is_some_and(|at| self.failures().forget(at, now));
        let done = |counted| Answer::Forgotten { counted, logins };
        let counted = counted.and_then(|counted| kept.map(|()| counted));
        counted.map_or_else(refused, done)
    }

    /// A client has another limit for a while.
    fn raise(
        &self,
        client: &ClientId,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Report, String> {
        let raised = self.limits().raise(client, limit, until, now);
        if let Ok(name) = &raised {
            let lasts = until.since(now);
            self.budget.order(name, What::Raise { limit, lasts }, now);
        }
        let kept = self.keep();
        let known = self.budget.everywhere_now();
        raised.and_then(|name| kept.and_then(|()| self.show(&name, &known, now)))
    }

    /// Another smarthost has gone for good.
    fn forget_node(&self, node: &str) -> Answer {
        let done = |()| Answer::Forgotten {
            counted: true,
            logins: false,
        };
        self.budget.forget_node_now(node).map_or_else(refused, done)
    }

    /// How far the drain is.
    fn progress(&self) -> Answer {
        let queue = self.queue();
        Answer::Drain(self.draining.progress(left(&queue)))
    }

    /// What all smarthosts have counted of a client, or what this one takes alone.
    fn share(&self, report: &mut Report, client: &ClientId, known: &Everywhere, now: Timestamp) {
        let limits = self.limits().limits_of(client, now);
        report.everywhere.clear();
        if report.exempt {
            return;
        }
        for (counted, limit) in limits {
            let id = Id::new(counted, &limit);
            if let Some(alone) = self.budget.alone(&id, limit.window.limit) {
                report.alone.push(alone);
            } else if let Some(spent) = known.get(&id) {
                report.everywhere.push((spent.sum(), limit));
                let under = |most| Some(now.after(Duration::from_millis(spent.free_in(most)?)));
                if spent.sum() >= limit.window.limit {
                    let free_at = self.limits().free_at(client, &limit, under, now);
                    report.next_slot = report.next_slot.max(free_at);
                }
            }
        }
    }

    /// Clients that only other smarthosts have counted.
    fn elsewhere(&self, here: &[Report], known: &Everywhere, now: Timestamp) -> Vec<Report> {
        let here: HashSet<&str> = here.iter().map(|report| report.client.as_str()).collect();
        let counted = known.iter().filter(|(_, spent)| spent.sum() > 0);
        let clients: BTreeSet<&ClientId> = counted.map(|(id, _)| &id.client).collect();
        let others = clients.into_iter();
        let others = others.filter(|client| !here.contains(client.to_string().as_str()));
        others
            .filter_map(|client| {
                let mut report = self.limits().show(client, now).ok()?;
                self.share(&mut report, client, known, now);
                Some(report)
            })
            .collect()
    }

    /// All who are counted, then those who are not, and whose logins are refused.
    fn list(&self, now: Timestamp) -> Vec<Report> {
        let mut reports = self.limits().list(now);
        let everywhere = self.budget.everywhere_now();
        for report in &mut reports {
            if let Ok(client) = ClientId::parse(&report.client) {
                self.share(report, &client, &everywhere, now);
            }
        }
        reports.extend(self.elsewhere(&reports, &everywhere, now));
        let closed = self.failures().closed(now);
        for network in note_closed(&mut reports, closed) {
            reports.extend(self.show(&network.into(), &everywhere, now));
        }
        reports
    }

    /// About mail that must come.
    fn expected(&self, request: Request, now: Timestamp) -> Vec<Answer> {
        let lock = || self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match request {
            Request::ExpectedList { learned: true } => {
                let proposals = lock().proposals().into_iter();
                return proposals.map(Answer::Proposed).collect();
            }
            Request::ExpectedAdd { wanted } => lock().add(wanted, now),
            Request::ExpectedConfirm { number } => lock().confirm(number, now),
            Request::ExpectedForget { number } => lock().forget(number),
            _ => return lock().list().into_iter().map(Answer::Expected).collect(),
        };
        let kept = self.keep();
        let done = done.and_then(|done| kept.map(|()| done));
        (self.look)();
        vec![done.map_or_else(refused, Answer::Expected)]
    }

    /// An order is on disk before it is answered.
    fn keep(&self) -> Result<(), String> {
        let change = self.state.changed();
        self.state.flush();
        if self.state.is_kept(change) {
            return Ok(());
        }
        let why = self
            .state
            .fault()
            .map_or_else(String::new, |(_, why)| format!(": {why}"));
        Err(format!(
            "it is in force, and not on disk{why}; after a restart before it is there, all is as it was: see to it, and give the order again"
        ))
    }

    /// Gives the queue an event; what follows from it is recorded when this returns.
    fn tell(&self, event: Event) {
        let mut queue = self.queue();
        queue.handle(event, clock::now());
        for (id, event) in queue.take_records() {
            self.spool.record(id, event);
        }
        drop(queue);
        (self.wake)();
    }

    /// Whether what is to be tried now can be.
    fn may_send(&self) -> Result<(), String> {
        let Some(fault) = self.fault else {
            return Ok(());
        };
        Err(format!(
            "{fault}; nothing is sent until the configuration is mended. The daemon looks at it every \
             few seconds, and starts anew once it is right: give the order again then"
        ))
    }

    /// What rests goes on; what is under way does when its answer is there.
    fn stop_drain(&self, now: Timestamp) -> Vec<Answer> {
        let stopping = match self.draining.stop() {
            Ok(stopping) => stopping,
            Err(error) => return vec![refused(format!("not on disk: {error}"))],
        };
        let mut queue = self.queue();
        let stopped = stopping.done(left(&queue));
        for id in queue.ids() {
            let entry = self.spool.entry(id);
            let rests = entry.is_some_and(|entry| entry.hold == Hold::No);
            if rests && !self.draining.moves(|moves| moves.has(id)) {
                queue.handle(Event::Release { id }, now);
            }
        }
        drop(queue);
        (self.wake)();
        let asked = stopped.asked.map(Answer::NotBegun);
        let progress = Answer::Drain(stopped.progress);
        asked.into_iter().chain([progress]).collect()
    }

    /// Where a message stands.
    fn stands(&self, queue: &Queue, entry: &Entry) -> Standing {
        let fault = self.fault.filter(|_| !entry.hold.is_held());
        Standing {
            active: fault.is_none() && queue.is_active(entry.id),
            reason: fault.map(str::to_owned).or(self.draining.told(entry)),
            next: queue.next_attempt(entry.id),
            paused: None,
        }
    }

    /// All that a status tells; whoever shows any of it takes it from here.
    pub fn snapshot(&self, now: Timestamp) -> Status {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (queued, in_flight, draining, lessons) = {
            let queue = self.queue();
            let draining = self.draining.progress(left(&queue));
            let counts = (count(queue.len()), count(queue.in_flight()));
            (counts.0, counts.1, draining, queue.lessons(now))
        };
        let access = Access {
            queue: self,
            owner: None,
            now,
        };
        let (destinations, senders) = access.census();
        let (clients, mut reports) = {
            let limits = self.limits();
            (count(limits.len()), limits.list(now))
        };
        if self.budget.is_alone() {
            for report in &mut reports {
                if let Ok(client) = ClientId::parse(&report.client) {
                    self.share(report, &client, &Everywhere::new(), now);
                }
            }
        }
        let closed = count(self.failures().closed(now).len());
        let sent = reports.iter().take(NAMED);
        let client_messages = sent.map(|it| (it.client.clone(), it.messages())).collect();
        let limits = nearest(&reports);
        Status {
            as_of: now,
            queued,
            in_flight,
            clients,
            client_messages,
            closed,
            destinations,
            senders,
            limits,
            draining: draining.map(|it| it.told()),
            refuses: self.draining.to().map(|to| refuses(&to)),
            learned: learned(lessons, now),
            ..(self.status)()
        }
    }
}

/// Who has used most of a limit: the name, the part in percent, and the counts in words.
fn nearest(reports: &[Report]) -> Vec<(String, u64, String)> {
    let used = reports.iter().map(|report| (report.percent(), report));
    let mut used: Vec<_> = used.filter(|(percent, _)| *percent > 0).collect();
    used.sort_by_key(|(percent, _)| std::cmp::Reverse(*percent));
    let nearest = used.into_iter().take(NAMED);
    nearest
        .map(|(percent, report)| (report.client.clone(), percent, report.usage()))
        .collect()
}

/// What hosts have taught, the newest first.
fn learned(mut lessons: Vec<Lesson>, now: Timestamp) -> Vec<Learned> {
    lessons.sort_by(|a, b| {
        b.learned
            .cmp(&a.learned)
            .then_with(|| a.hosts.cmp(&b.hosts))
    });
    let newest = lessons.into_iter().take(NAMED);
    newest
        .map(|lesson| Learned {
            transport: lesson.transport.as_deref().map(str::to_owned),
            hosts: lesson.hosts.iter().map(ToString::to_string).collect(),
            connections: u64::try_from(lesson.most(now)).unwrap_or(u64::MAX),
            learned: lesson.learned,
        })
        .collect()
}

impl serve::Queue for Controlled<'_> {
    fn spool(&self) -> &Spool {
        self.spool
    }

    fn standing(&self, entry: &Entry) -> Standing {
        self.stands(&self.queue(), entry)
    }

    fn standings(&self, entries: &[(Entry, Parties)]) -> Vec<Standing> {
        let queue = self.queue();
        let each = entries.iter();
        each.map(|(entry, _)| self.stands(&queue, entry)).collect()
    }

    fn carry_out(&self, order: Order, id: QueueId) -> Result<(), String> {
        let entry = self.spool.entry(id);
        let forbids = |entry: &Entry| self.draining.forbids(order, entry);
        if let Some(why) = entry.as_ref().and_then(forbids) {
            return Err(why);
        }
        if order == Order::Flush {
            self.may_send()?;
        }
        self.tell(match order {
            Order::Flush => Event::Flush { id },
            Order::Hold => Event::Hold { id },
            Order::Release => Event::Release { id },
            Order::Delete => Event::Remove { id },
            Order::Bounce => Event::returned(id, self.spool.known(id).as_ref(), entry.as_ref()),
        });
        Ok(())
    }

    fn is_under_way(&self, id: QueueId) -> bool {
        self.queue().is_under_way(id)
    }

    fn flush_all(&self) -> Result<(), String> {
        if let Some(to) = self.draining.to() {
            return Err(format!(
                "all that is queued rests, to move to {to}; to have it delivered from here: \
                 smarthost drain --stop"
            ));
        }
        self.may_send()?;
        self.tell(Event::FlushAll);
        Ok(())
    }

    fn elsewhere(&self) -> Option<String> {
        let to = self.draining.drain()?.to;
        Some(format!("it may have moved to {to}: look there"))
    }

    fn attempts(&self) -> Option<&Attempts> {
        Some(self.attempts)
    }

    /// Nobody but administrators is answered.
    fn allows(&self, _order: Order, _uid: u32) -> Result<usize, String> {
        Ok(usize::MAX)
    }
}
