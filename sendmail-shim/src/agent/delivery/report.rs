//! What is read and written beside deliveries: envelopes that are due, bounces, warnings, and what
//! becomes of dead mail.
//!
//! Contract: a bounce is on disk before the recipients it tells of are settled. What is told to
//! whom is
//! [`queue::notification`]'s. A message that stands for others is never sent or returned itself:
//! its digest goes in its place. A disk that does not answer holds up what needs it, and nothing
//! else.
//! RFC 3464; RFC 5321 §6.1.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use mail::{
    address::{Address, Mailbox},
    clock::{self, Timestamp},
    envelope::{Envelope, Rcpt, Recipient},
    message::{Header, rewrite},
    outcome::Failure,
};
use queue::notification::{self, DEAD, Occasion};
use spool::{Event as Record, QueueId, Stored};
use system::{log::life, workers};

use crate::{
    agent::{
        budget::keeping::Answer,
        damage,
        dispatch::{self, Action, Event},
        maillog, notices,
        state::Agent,
    },
    identity, prepare,
};

/// How long one is waited for before the next begins beside it.
const BRIEF: Duration = Duration::from_secs(1);
/// So many may go on at the same time, where the disk does not answer.
const BESIDE: usize = 8;
/// How long those are waited for at the end.
const LAST: Duration = Duration::from_secs(3);

/// Works until the sender of actions is gone: one after the other, as long as the disk answers.
pub(super) fn run(agent: &Arc<Agent>, actions: &Receiver<Action>) {
    let mut beside: Vec<Receiver<()>> = Vec::new();
    for action in actions {
        let (own, (ends, ended)) = (Arc::clone(agent), mpsc::channel());
        let work = move || {
            if let Some(event) = carry_out(&own, action) {
                own.dispatch.tell(event);
            }
            // Nobody may wait for it any more.
            let _ = ends.send(());
        };
        if let Err(work) = workers::run(work) {
            work();
        }
        if is_late(&ended, BRIEF) {
            beside.push(ended);
        }
        beside.retain(|ended| is_late(ended, Duration::ZERO));
        while beside.len() >= BESIDE {
            beside.retain(|ended| is_late(ended, BRIEF));
        }
    }
    let until = Instant::now() + LAST;
    for ended in beside {
        is_late(&ended, until.saturating_duration_since(Instant::now()));
    }
}

/// Whether the end of one has not come in this time.
fn is_late(ended: &Receiver<()>, patience: Duration) -> bool {
    ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout)
}

fn carry_out(agent: &Arc<Agent>, action: Action) -> Option<Event> {
    let done = |id, what, queued: Result<(), String>| {
        if let Err(why) = &queued {
            maillog::warning(&format!("{id}: the {what} could not be queued: {why}"));
        }
        queued.is_ok()
    };
    let event = match action {
        Action::Load { id, recipients } => load(agent, id, &recipients),
        Action::Bounce {
            id,
            failed,
            expired,
        } => {
            if done(id, "bounce", bounce(agent, id, failed, expired)) {
                Event::Bounced { id }
            } else {
                Event::BounceFailed { id }
            }
        }
        Action::Warn { id, arrival, late } => {
            if done(id, "warning", warn(agent, id, arrival, &late)) {
                Event::Warned { id }
            } else {
                Event::WarnFailed { id }
            }
        }
        Action::Dead { id, failed, tell } => {
            dead(agent, id, &failed, tell);
            return None;
        }
        _ => return None,
    };
    Some(event)
}

/// Reads an envelope that is due, unless something else is due first.
fn load(agent: &Arc<Agent>, id: QueueId, recipients: &[u32]) -> Event {
    match digest(agent, id) {
        Ok(Standing::Alone) => {}
        Ok(Standing::WasAlone) if !over_budget(agent, id) => {}
        Ok(Standing::WasAlone) => {
            agent.dispatch.tell(Event::Parked { id });
            agent.waits_for_budget(id);
        }
        Ok(Standing::Digested) => return Event::Gone { id },
        Err(why) => {
            let failure = Failure::ours(&why);
            return Event::LoadFailed {
                id,
                failure,
                damaged: false,
            };
        }
    }
    let read = agent.dispatch.spool.envelope(id);
    if read.is_err() {
        damage::found(agent);
    }
    Event::read(id, recipients, read, dispatch::origin, |envelope, index| {
        let known = usize::try_from(index).is_ok_and(|at| at < envelope.recipients.len());
        known.then(|| dispatch::routed(index))
    })
}

/// For what a message stands.
enum Standing {
    Alone,
    /// It was kept for a digest, and no other one came.
    WasAlone,
    /// Its digest was queued in its place, and it has ended.
    Digested,
}

/// The digest of a message that stands for others goes in its place.
fn digest(agent: &Agent, id: QueueId) -> Result<Standing, String> {
    let spool = &agent.dispatch.spool;
    let repeats = || spool.entry(id)?.repeats;
    if repeats().is_none() {
        return Ok(Standing::Alone);
    }
    if let Some(duplicates) = &agent.duplicates {
        duplicates.close(id);
    }
    // What was counted up to here is all.
    let Some(repeats) = repeats().filter(|it| it.count > 1) else {
        spool.record(id, Record::Alone);
        return Ok(Standing::WasAlone);
    };
    if let Some(stored) = loaded(agent, id)? {
        let digest = notices::digest(agent, &stored, repeats)?;
        maillog::digested(id, digest, repeats.count);
        spool.record(id, Record::Removed);
    }
    Ok(Standing::Digested)
}

/// Whether a message that was kept for a digest in vain must wait for the budget as any other.
fn over_budget(agent: &Agent, id: QueueId) -> bool {
    let spool = &agent.dispatch.spool;
    let (Some(budget), Some(entry)) = (&agent.budget, spool.entry(id)) else {
        return false;
    };
    let Ok(Some(stored)) = spool.load(id) else {
        return false;
    };
    let party = agent.budget_party(entry.uid);
    let asked = budget.ask(&Header::parse(&stored.header), party);
    let over = matches!(asked, Answer::Over);
    if over {
        spool.record(id, Record::OverBudget);
    }
    over
}

/// Tells the sender of recipients that are given up, if anybody is to be told.
fn bounce(
    agent: &Agent,
    id: QueueId,
    mut failed: Vec<(u32, Failure)>,
    expired: bool,
) -> Result<(), String> {
    if matches!(digest(agent, id)?, Standing::Digested) {
        return Ok(());
    }
    let Some(stored) = loaded(agent, id)? else {
        return Ok(());
    };
    if expired {
        life::expired(id, &stored.envelope.sender);
        let entry = agent.dispatch.spool.entry(id);
        let waiting = entry.map(|entry| entry.waiting).unwrap_or_default();
        failed = notification::with_reasons(&failed, &waiting);
    }
    let occasion = Occasion::Failed {
        failed: &failed,
        stranger: false,
    };
    if let Some(bounce) = queue(agent, &stored, occasion)? {
        life::bounced(id, bounce);
    }
    Ok(())
}

/// Warns the sender of recipients that still wait, if anybody is to be warned. `arrival`: as the
/// clock counts now.
fn warn(
    agent: &Agent,
    id: QueueId,
    arrival: Timestamp,
    late: &[(u32, Failure)],
) -> Result<(), String> {
    let Some(stored) = loaded(agent, id)? else {
        return Ok(());
    };
    let give_up = arrival.after(agent.settings.retry.lifetime);
    // An age that a restart does not vouch for may be over already.
    let give_up = give_up.max(clock::now());
    if let Some(warning) = queue(agent, &stored, Occasion::Late { late, give_up })? {
        life::delayed(id, warning);
    }
    Ok(())
}

/// Nobody can be told of its failure: the administrators hear of it, once a day.
fn dead(agent: &Agent, id: QueueId, failed: &[(u32, Failure)], tell: bool) {
    let reason = failed.first().map(|(_, failure)| failure.log_text());
    life::dead(id, &reason.unwrap_or_default());
    let Ok(Some(stored)) = loaded(agent, id) else {
        return;
    };
    if !tell || stored.envelope.origin == DEAD {
        return;
    }
    let (subject, text) =
        notification::dead(&stored, &agent.settings.hostname, failed, "sendmail-shim");
    notices::tell_root(agent, &subject, &text, DEAD);
}

fn loaded(agent: &Agent, id: QueueId) -> Result<Option<Stored>, String> {
    let loaded = agent.dispatch.spool.load_to_return(id);
    loaded.map_err(|error| error.to_string())
}

/// Queues the report that is due, if one is.
pub(super) fn queue(
    agent: &Agent,
    stored: &Stored,
    occasion: Occasion<'_>,
) -> Result<Option<QueueId>, String> {
    let hostname = &agent.settings.hostname;
    let report = notification::report(occasion, stored, hostname, clock::now());
    let Some(mut report) = report.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    if let Some(sender) = stored.envelope.sender.address() {
        report.envelope.recipients = sender_now(agent, &stored.envelope, sender);
    }
    let queued = agent.dispatch.inject(&report.envelope, &report.message);
    queued.map(Some).map_err(|error| error.to_string())
}

/// Who gets what is written to a sender: for one of this machine's users, whom aliases and `admin`
/// name.
fn sender_now(agent: &Agent, envelope: &Envelope, sender: &Address) -> Vec<Recipient> {
    let named = prepare::named_in(&envelope.origin).map(str::to_owned);
    let user = named.or_else(|| Some(identity::caller(envelope.uid?).user));
    agent.with_rules(|rules| {
        let local = rewrite::account_of(sender, user.as_deref(), rules);
        let to = local.map_or_else(|| Mailbox::Address(sender.clone()), Mailbox::Local);
        rewrite::resolve(&Rcpt::from(to), rules).unwrap_or_else(|_| vec![sender.clone().into()])
    })
}
