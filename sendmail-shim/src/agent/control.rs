//! The agent's side of the control socket: the queue listed, changed and followed.
//!
//! Contract: root and the agent's own user see and change everything; anybody sees, holds, deletes
//! and returns his own mail, and may have it tried now and then. Who asks is what the kernel says
//! (`SO_PEERCRED`).

use std::{
    io,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use control::{
    attempts::Attempts,
    order::Order,
    serve::{self, Access, Queue, Standing, serve_one},
    status::{NAMED, Service, Status},
};
use mail::clock::{self, Timestamp};
use relay::{delivery::Outlook, token};
use sendmail::verify;
use spool::{Entry, Hold, QueueId, Spool};

use super::{dispatch::Event, state::Agent};
use crate::{
    config::rows,
    identity,
    queue::{Answer, Request},
};

/// A relayhost that failed and was not tried for so long may work again.
const UNTRIED: Duration = Duration::from_mins(15);
/// How much of a user's mail is tried at his wish: each message costs the relayhost a transaction.
const FLUSHED: usize = 50;

/// Answers one request.
pub(super) fn serve(agent: &Agent, stream: &UnixStream, uid: u32) -> io::Result<()> {
    serve_one(stream, |request: Request, _, say| {
        let owner = (!agent.is_privileged(uid)).then_some(uid);
        match request {
            Request::Queue(request) => {
                let now = clock::now();
                let access = Access {
                    queue: agent,
                    owner,
                    now,
                };
                access.answer(&request, &mut |line| say(&Answer::Queue(line.clone())))
            }
            Request::Status => {
                let status = status(agent, owner);
                let shown = if owner.is_none() {
                    status
                } else {
                    status.openly()
                };
                say(&Answer::Status(shown.into()))
            }
            Request::Verify(words) => {
                let caller = identity::caller(uid);
                let mut mailable = true;
                for word in &words {
                    // The tables are locked for one at a time.
                    let (lines, is_mailable) = agent
                        .with_rules(|rules| verify::told(word, &agent.settings, &caller, rules));
                    mailable &= is_mailable;
                    let mut lines = lines.into_iter();
                    lines.try_for_each(|line| say(&Answer::Told(line)))?;
                }
                say(&Answer::Mailable(mailable))
            }
            Request::Settings => say(&Answer::Settings(rows::text(&agent.settings))),
        }
    })
}

/// Whoever asks is told how the agent does; of mail, his own.
fn status(agent: &Agent, owner: Option<u32>) -> Status {
    let now = clock::now();
    let access = Access {
        queue: agent,
        owner,
        now,
    };
    let (destinations, senders) = access.census();
    let (settings, spool) = (&agent.settings, &agent.dispatch.spool);
    let relays = settings.relayhost.iter().map(ToString::to_string);
    let relays = relays.collect::<Vec<_>>().join(", ");
    let (works, told, each) = relayhosts(agent, now);
    let each = each.into_iter();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let listening = settings.listen.iter().filter(|it| !agent.deaf.has(**it));
    Status {
        program: "sendmail-shim".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hostname: settings.hostname.to_string(),
        pid: std::process::id(),
        as_of: now,
        started: agent.started,
        configured: agent.started,
        listen: std::iter::once(settings.socket.display().to_string())
            .chain(listening.map(ToString::to_string))
            .collect(),
        queued: owner.map_or_else(|| count(spool.len()), |_| senders.total.count),
        in_flight: count(agent.dispatch.in_flight()),
        destinations,
        senders,
        services: std::iter::once(Service::new("relayhost", relays, works, told))
            .chain(each.map(|(name, works, text)| Service::new("relayhost", name, works, text)))
            .collect(),
        taken: agent.counts().largest(owner, NAMED),
        spool: serve::spool(spool),
        // Their lines are not everybody's business.
        alarms: match owner {
            None => {
                let tables = agent.refused_tables();
                let lies = spool.quarantined();
                let alarms = agent.deaf.alarms().into_iter();
                let alarms = alarms.chain(spool.alarms()).chain(agent.refused_password());
                let tables = tables.lines().map(str::to_owned);
                let token = token::complaint();
                alarms.chain(tables).chain(token).chain(lies).collect()
            }
            Some(_) => Vec::new(),
        },
        fault: agent.fault().map(|fault| {
            let consequence = fault.consequence();
            format!("{consequence}: {}", fault.summary())
        }),
        ..Status::default()
    }
}

/// How the relayhosts do, together and each; one alone is told of in one line.
fn relayhosts(agent: &Agent, now: Timestamp) -> (bool, String, Vec<(String, bool, String)>) {
    let paused = agent.dispatch.suspended(now);
    let outlook = Outlook {
        paused: paused.map(|until| until.since(now)),
        // Nobody tries what there is no mail for.
        retried: agent.dispatch.spool.is_empty().then_some(UNTRIED),
    };
    let mut each = agent.memory().relayhosts(&outlook, Instant::now());
    let known_to_fail = each.iter().any(|(_, works, _)| !works);
    let only = if each.len() == 1 { each.pop() } else { None };
    let is_set = !agent.settings.relayhost.is_empty();
    let (works, told) = match (agent.outages.outage(), only) {
        (Some((since, why)), _) if is_set && outlook.retried.is_some() && !known_to_fail => {
            let since = since.mailq();
            let text = format!("has not worked since {since}, and was not tried lately: {why}");
            (true, text)
        }
        (Some((since, why)), _) => {
            let again = paused.map(|until| format!(", next attempt {}", until.seen_from(now)));
            let (since, again) = (since.mailq(), again.unwrap_or_default());
            (false, format!("since {since}{again}: {why}"))
        }
        (None, _) if !is_set => (false, "none is set".to_owned()),
        (None, Some((_, works, text))) => (works, text),
        (None, None) => (true, "no outage is known".to_owned()),
    };
    (works, told, each)
}

impl Agent {
    /// A message that is on hold until its budget or its digest comes, and not by an order.
    fn waits_by_itself(&self, id: QueueId) -> Option<Entry> {
        let entry = self.dispatch.spool.entry(id)?;
        matches!(entry.hold, Hold::OverBudget | Hold::Unchanged).then_some(entry)
    }
}

impl Queue for Agent {
    fn spool(&self) -> &Spool {
        &self.dispatch.spool
    }

    fn attempts(&self) -> Option<&Attempts> {
        Some(&self.attempts)
    }

    fn standing(&self, entry: &Entry) -> Standing {
        let outage = self.outages.reason();
        let outage = outage.filter(|_| !entry.hold.is_held());
        let over = self
            .budget
            .as_ref()
            .filter(|_| entry.hold == Hold::OverBudget)
            .map(|budget| budget.reason(self.budget_party(entry.uid)));
        let unchanged = self.reports.as_ref();
        let unchanged = unchanged.filter(|_| entry.hold == Hold::Unchanged);
        let unchanged = unchanged.map(|reports| reports.reason(entry.id));
        let repeats = entry.repeats.filter(|repeats| repeats.count > 1);
        let repeats = repeats.map(|repeats| {
            let (count, last) = (repeats.count, repeats.last.mailq());
            format!("stands for {count} messages like it, the last of {last}; its digest is due")
        });
        let next = self.dispatch.next_attempt(entry.id);
        let paused = self.dispatch.suspended(clock::now());
        let tried = entry.waiting.iter().any(|waiting| waiting.until.is_some());
        let due = !tried || next.is_none_or(|next| next <= clock::now());
        Standing {
            next,
            paused: paused.filter(|_| !entry.hold.is_held()),
            active: due && outage.is_none(),
            reason: over.or(unchanged).or(repeats).or(outage),
        }
    }

    fn carry_out(&self, order: Order, id: QueueId) -> Result<(), String> {
        self.dispatch.tell(match order {
            Order::Flush => Event::Flush { id },
            Order::Hold if self.waits_by_itself(id).is_some() => {
                // On hold already, but what it waits for lets it go no more.
                self.dispatch.spool.record(id, spool::Event::Held);
                return Ok(());
            }
            Order::Hold => Event::Hold { id },
            Order::Release => {
                let waited = self.waits_by_itself(id);
                if let (Some(entry), Some(budget)) = (waited, &self.budget) {
                    budget.count(self.budget_party(entry.uid));
                }
                Event::Release { id }
            }
            Order::Bounce => {
                let spool = &self.dispatch.spool;
                Event::returned(id, spool.known(id).as_ref(), spool.entry(id).as_ref())
            }
            Order::Delete => {
                if let Some(duplicates) = &self.duplicates {
                    duplicates.close(id);
                }
                Event::Remove { id }
            }
        });
        Ok(())
    }

    fn is_under_way(&self, id: QueueId) -> bool {
        self.dispatch.is_under_way(id)
    }

    fn flush_all(&self) -> Result<(), String> {
        self.dispatch.tell(Event::FlushAll);
        Ok(())
    }

    fn allows(&self, order: Order, uid: u32) -> Result<usize, String> {
        match order {
            Order::Hold | Order::Release | Order::Delete | Order::Bounce => Ok(usize::MAX),
            Order::Flush => {
                let user = self.owners().party(uid);
                self.flushes.allow(user, Instant::now()).map(|()| FLUSHED)
            }
        }
    }
}
