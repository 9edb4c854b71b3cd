//! The agent's side of the control socket: the queue listed, tried, held, released, deleted.
//!
//! Contract: root and the agent's own user see and change everything; anybody sees his own mail and may have the queue
//! tried. Who asks is what the kernel says (`SO_PEERCRED`).

use std::{
    io::{self, BufRead as _, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use control::listing::{self, RecipientRow, Row};
use mail::{
    clock::{self, Timestamp},
    envelope::Envelope,
    outcome::escape,
};
use spool::{Entry, Event, Hold, QueueId};
use system::log::life;

use super::{Agent, schedule};
use crate::queue::{ALL, Answer, Request};

/// A client that neither asks nor reads.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a follower waits for the next attempt before he must ask again.
const FOLLOW: Duration = Duration::from_secs(2);

/// Longest request, bytes: some thousands of queue ids.
const MAX_REQUEST: u64 = 64 * 1024;

/// Answers one request.
pub(super) fn serve(agent: &Agent, stream: &UnixStream, uid: u32) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let desk = Desk {
        agent,
        uid,
        privileged: agent.is_privileged(uid),
    };
    let mut out = io::BufWriter::new(stream);
    let mut say = |answer: &Answer| -> io::Result<()> {
        serde_json::to_writer(&mut out, answer)?;
        out.write_all(b"\n")
    };
    let mut line = Vec::new();
    io::BufReader::new(stream.take(MAX_REQUEST)).read_until(b'\n', &mut line)?;
    match serde_json::from_slice(&line) {
        Ok(request) => desk.answer(&request, &mut say)?,
        Err(error) => say(&Answer::Refused(format!("not a request: {error}")))?,
    }
    out.flush()
}

type Say<'a> = dyn FnMut(&Answer) -> io::Result<()> + 'a;

struct Desk<'a> {
    agent: &'a Agent,
    uid: u32,
    privileged: bool,
}

impl Desk<'_> {
    fn answer(&self, request: &Request, say: &mut Say<'_>) -> io::Result<()> {
        match request {
            Request::List => {
                for id in self.ids() {
                    if let (Some(entry), Some(envelope)) =
                        (self.agent.spool.entry(id), self.envelope(id))
                    {
                        say(&Answer::Row(self.row(&entry, &envelope)))?;
                    }
                }
                Ok(())
            }
            Request::Show { id } => match self.find(id) {
                Ok((entry, envelope)) => {
                    say(&Answer::Row(self.row(&entry, &envelope)))?;
                    say(&self.header(entry.id))
                }
                Err(why) => say(&Answer::Refused(why)),
            },
            Request::Flush { id: None } => {
                self.agent.event(schedule::Event::Flush(None));
                say(&Answer::Changed(self.agent.spool.len()))
            }
            Request::Flush { id: Some(id) } => {
                self.change(std::slice::from_ref(id), say, |agent, id| {
                    agent.event(schedule::Event::Flush(Some(id)));
                })
            }
            Request::Follow { id, after } => match QueueId::parse(id) {
                Some(id) => self.follow(id, *after, say),
                None => say(&Answer::Refused(format!(
                    "{}: no queue id",
                    escape(id.as_bytes(), 40)
                ))),
            },
            Request::Hold { ids } => self.change_as_admin(ids, say, |agent, id| {
                agent.spool.record(id, Event::Held);
                agent.event(schedule::Event::Held(id));
            }),
            Request::Release { ids } => self.change_as_admin(ids, say, |agent, id| {
                let over = agent.spool.entry(id);
                let over = over.filter(|entry| entry.hold == Hold::OverBudget);
                if let (Some(entry), Some(budget)) = (over, &agent.budget) {
                    budget.count(agent.budget_party(entry.uid));
                }
                agent.spool.record(id, Event::Released);
                agent.event(schedule::Event::Released(id));
            }),
            Request::Bounce { ids } => self.change_as_admin(ids, say, |agent, id| {
                agent.event(schedule::Event::Returned(id));
            }),
            Request::Delete { ids } => self.change_as_admin(ids, say, |agent, id| {
                if let Some(storms) = &agent.storms {
                    storms.close(id);
                }
                agent.spool.record(id, Event::Removed);
                agent.event(schedule::Event::Removed(id));
                life::removed(id);
            }),
        }
    }

    fn change_as_admin(
        &self,
        ids: &[String],
        say: &mut Say<'_>,
        change: impl Fn(&Agent, QueueId),
    ) -> io::Result<()> {
        if !self.privileged {
            return say(&Answer::Refused(
                "only root and the agent's user may do that".to_owned(),
            ));
        }
        self.change(ids, say, change)
    }

    fn change(
        &self,
        ids: &[String],
        say: &mut Say<'_>,
        change: impl Fn(&Agent, QueueId),
    ) -> io::Result<()> {
        let mut changed = 0usize;
        if ids == [ALL] {
            for entry in self.agent.spool.entries() {
                change(self.agent, entry.id);
                changed = changed.saturating_add(1);
            }
        } else {
            for id in ids {
                match self.find(id) {
                    Ok((entry, _)) => {
                        change(self.agent, entry.id);
                        changed = changed.saturating_add(1);
                    }
                    Err(why) => say(&Answer::Refused(why))?,
                }
            }
        }
        // What was said is on disk before it is confirmed.
        match self.agent.spool.flush() {
            Ok(()) => say(&Answer::Changed(changed)),
            Err(error) => say(&Answer::Refused(error.to_string())),
        }
    }

    fn header(&self, id: QueueId) -> Answer {
        let stored = match self.agent.spool.load(id) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Answer::Refused(format!("{id} has just left the queue")),
            Err(error) => return Answer::Refused(error.to_string()),
        };
        Answer::Text(listing::header(&stored.header))
    }

    /// The attempts, then how many recipients still wait.
    fn follow(&self, id: QueueId, after: u64, say: &mut Say<'_>) -> io::Result<()> {
        let waiting = || self.agent.spool.entry(id).map_or(0, |e| e.waiting.len());
        let patience = if waiting() == 0 {
            Duration::ZERO
        } else {
            FOLLOW
        };
        let uid = (!self.privileged).then_some(self.uid);
        for row in self.agent.attempts.after(id, after, uid, patience) {
            say(&Answer::Attempt(row))?;
        }
        if let Some(trouble) = self.agent.outages.reason() {
            say(&Answer::Refused(trouble))?;
        }
        say(&Answer::Changed(waiting()))
    }

    /// All messages, without their details: whoever reads a long listing slowly costs little memory.
    fn ids(&self) -> Vec<QueueId> {
        let entries = self.agent.spool.entries();
        let mut ids = Vec::with_capacity(entries.len());
        ids.extend(entries.iter().map(|entry| entry.id));
        ids
    }

    fn find(&self, text: &str) -> Result<(Entry, Envelope), String> {
        let unknown = || {
            format!(
                "{}: no such message in the queue",
                escape(text.as_bytes(), 40)
            )
        };
        let id = QueueId::parse(text).ok_or_else(unknown)?;
        let entry = self.agent.spool.entry(id).ok_or_else(unknown)?;
        Ok((entry, self.envelope(id).ok_or_else(unknown)?))
    }

    /// Whom it is from and for, if the asker may see it.
    fn envelope(&self, id: QueueId) -> Option<Envelope> {
        let envelope = self.agent.spool.envelope(id).ok()??;
        (self.privileged || envelope.uid == Some(self.uid)).then_some(envelope)
    }

    fn row(&self, entry: &Entry, envelope: &Envelope) -> Row {
        let next_attempt = entry
            .waiting
            .iter()
            .filter_map(|waiting| waiting.until)
            .min();
        let held = entry.hold != Hold::No;
        let trouble = self.agent.outages.reason().filter(|_| !held);
        let budget = self.agent.budget.as_ref();
        let over = budget
            .filter(|_| entry.hold == Hold::OverBudget)
            .map(|budget| budget.reason(self.agent.budget_party(entry.uid)));
        let repeats = entry.repeats.filter(|repeats| repeats.count > 1);
        let repeats = repeats.map(|repeats| {
            let (count, last) = (repeats.count, repeats.last.mailq());
            format!("stands for {count} messages like it, the last of {last}; its digest is due")
        });
        let recipients = entry.waiting.iter().filter_map(|waiting| {
            let recipient = envelope
                .recipients
                .get(usize::try_from(waiting.recipient).ok()?)?;
            let reason = [&over, &repeats, &trouble].into_iter().flatten().next();
            let reason = reason.map(String::as_str).or(waiting.reason.as_deref());
            Some(RecipientRow::new(
                recipient,
                reason.unwrap_or_default().to_owned(),
            ))
        });
        Row {
            queue_id: entry.id.to_string(),
            queue_name: queue_name(held, trouble.is_some(), next_attempt, clock::now()).to_owned(),
            arrival: entry.arrival,
            size: entry.size,
            sender: envelope.sender.to_string(),
            recipients: recipients.collect(),
            next_attempt,
            origin: envelope.origin.clone(),
        }
    }
}

fn queue_name(held: bool, trouble: bool, next: Option<Timestamp>, now: Timestamp) -> &'static str {
    match next {
        _ if held => "hold",
        Some(next) if next > now => "deferred",
        _ if trouble => "deferred",
        _ => "active",
    }
}
