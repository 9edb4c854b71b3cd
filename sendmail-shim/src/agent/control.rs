//! The agent's side of the control socket: the queue listed and changed, and attempts followed.
//!
//! Contract: root and the agent's own user see and change everything; anybody sees, holds, deletes and returns his own mail, and may
//! have it tried now and then. Who asks is what the kernel says (`SO_PEERCRED`).

use std::{
    collections::HashMap,
    io,
    os::unix::net::UnixStream,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use control::{
    order::{Answer as Told, Order},
    serve::{Access, Queue, Standing, serve_one},
};
use mail::{clock, outcome::escape};
use spool::{Entry, Event, Hold, QueueId, Spool};
use system::log::life;

use super::{Agent, schedule};
use crate::{
    config::effective,
    queue::{Answer, Request},
};

/// How long a follower waits for the next attempt before he must ask again.
const FOLLOW: Duration = Duration::from_secs(2);
/// How often a user may have his mail tried, and how much of it: each message costs the relayhost a transaction.
const BETWEEN_FLUSHES: Duration = Duration::from_secs(30);
const FLUSHED: usize = 50;
/// Users whose last wish is remembered; more than that do not ask in so short a time.
const FLUSHING: usize = 1024;

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
            Request::Settings => say(&Answer::Settings(effective::text(&agent.settings))),
            Request::Follow { id, after } => follow(agent, owner, &id, after, say),
        }
    })
}

/// The attempts, then how many recipients still wait.
fn follow(
    agent: &Agent,
    owner: Option<u32>,
    id: &str,
    after: u64,
    say: &mut dyn FnMut(&Answer) -> io::Result<()>,
) -> io::Result<()> {
    let Some(id) = QueueId::parse(id) else {
        let why = format!("{}: no queue id", escape(id.as_bytes(), 40));
        return say(&Answer::Queue(Told::Refused(why)));
    };
    let waiting = || agent.spool.entry(id).map_or(0, |e| e.waiting.len());
    let patience = if waiting() == 0 {
        Duration::ZERO
    } else {
        FOLLOW
    };
    for row in agent.attempts.after(id, after, owner, patience) {
        say(&Answer::Attempt(row))?;
    }
    if let Some(reason) = agent.outages.reason() {
        say(&Answer::Queue(Told::Refused(reason)))?;
    }
    say(&Answer::Queue(Told::Changed(waiting())))
}

impl Queue for Agent {
    fn spool(&self) -> &Spool {
        &self.spool
    }

    fn standing(&self, entry: &Entry) -> Standing {
        let held = entry.hold != Hold::No;
        let outage = self.outages.reason().filter(|_| !held);
        let over = self
            .budget
            .as_ref()
            .filter(|_| entry.hold == Hold::OverBudget)
            .map(|budget| budget.reason(self.budget_party(entry.uid)));
        let repeats = entry.repeats.filter(|repeats| repeats.count > 1);
        let repeats = repeats.map(|repeats| {
            let (count, last) = (repeats.count, repeats.last.mailq());
            format!("stands for {count} messages like it, the last of {last}; its digest is due")
        });
        let next = entry.waiting.iter().filter_map(|waiting| waiting.until);
        let due = next.min().is_none_or(|next| next <= clock::now());
        Standing {
            active: due && outage.is_none(),
            reason: over.or(repeats).or(outage),
        }
    }

    fn carry_out(&self, order: Order, id: QueueId) -> Result<(), String> {
        match order {
            Order::Flush => self.event(schedule::Event::Flush(Some(id))),
            Order::Hold => {
                self.spool.record(id, Event::Held);
                self.event(schedule::Event::Held(id));
            }
            Order::Release => {
                let over = self.spool.entry(id);
                let over = over.filter(|entry| entry.hold == Hold::OverBudget);
                if let (Some(entry), Some(budget)) = (over, &self.budget) {
                    budget.count(self.budget_party(entry.uid));
                }
                self.spool.record(id, Event::Released);
                self.event(schedule::Event::Released(id));
            }
            Order::Bounce => self.event(schedule::Event::Returned(id)),
            Order::Delete => {
                if let Some(storms) = &self.storms {
                    storms.close(id);
                }
                self.spool.record(id, Event::Removed);
                self.event(schedule::Event::Removed(id));
                life::removed(id);
            }
        }
        Ok(())
    }

    fn flush_all(&self) {
        self.event(schedule::Event::Flush(None));
    }

    fn allows(&self, order: Order, uid: u32) -> Result<usize, String> {
        match order {
            Order::Hold | Order::Delete | Order::Bounce => Ok(usize::MAX),
            Order::Flush => {
                let user = self.owners.party(uid);
                self.flushes.allow(user, Instant::now()).map(|()| FLUSHED)
            }
            // Held by the budget or by an administrator, as likely as by himself.
            Order::Release => Err("only root and the agent's user may release mail".to_owned()),
        }
    }
}

/// When users last had their mail tried.
#[derive(Default)]
pub(super) struct Flushes(Mutex<HashMap<u32, Instant>>);

impl Flushes {
    fn allow(&self, uid: u32, now: Instant) -> Result<(), String> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now.saturating_duration_since(*at) < BETWEEN_FLUSHES);
        if let Some(at) = last.get(&uid) {
            let left = BETWEEN_FLUSHES.saturating_sub(now.saturating_duration_since(*at));
            let seconds = left.as_secs().max(1);
            return Err(format!(
                "your mail was tried a moment ago; again in {seconds} seconds"
            ));
        }
        if last.len() >= FLUSHING {
            return Err("too many users have their mail tried just now".to_owned());
        }
        last.insert(uid, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_his_mail_tried_at_a_bounded_rate_and_others_are_not_held_up_by_him() {
        let flushes = Flushes::default();
        let start = Instant::now();
        assert_eq!(flushes.allow(1000, start), Ok(()));
        assert!(
            flushes
                .allow(1000, start)
                .unwrap_err()
                .contains("30 seconds")
        );
        assert_eq!(flushes.allow(1001, start), Ok(()));
        assert!(flushes.allow(1000, start + BETWEEN_FLUSHES / 2).is_err());
        assert_eq!(flushes.allow(1000, start + BETWEEN_FLUSHES), Ok(()));
        let many = u32::try_from(FLUSHING).unwrap() * 2;
        for uid in 0..many {
            let _ = flushes.allow(uid, start + BETWEEN_FLUSHES * 3);
        }
        assert!(flushes.0.lock().unwrap().len() <= FLUSHING);
    }
}
