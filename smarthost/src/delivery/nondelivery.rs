//! Bounces, warnings of a delay, news of deliveries, and the notice about dead mail: queued as
//! messages of our own with the null sender.
//!
//! Contract: the bounce is on disk before the recipients it tells of are settled. What is told to
//! whom is [`queue::notification`]'s.
//! RFC 3464; RFC 5321 §6.1.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mail::{
    address::Sender,
    clock::{self, Timestamp},
    outcome::{Failure, Outcome, Stage},
    status::EnhancedStatus,
};
use queue::notification::{self, DEAD, Occasion};
use settings::last_good;
use spool::{QueueId, SpoolError, Stored};
use system::log::{Level, life, line};
use tokio::{task::block_in_place, time};

use super::Deliveries;
use crate::{
    dispatch::Dispatch,
    notices::{Event, Kind, News, Passed},
    setup::Current,
};

/// Tells the sender of recipients that are given up, if anybody is to be told.
pub(super) async fn bounce(
    deliveries: &Deliveries,
    id: QueueId,
    failed: &[(u32, Failure)],
    expired: bool,
) -> Result<(), SpoolError> {
    let spool = deliveries.dispatch.spool();
    let Some(stored) = block_in_place(|| spool.load_to_return(id))? else {
        return Ok(());
    };
    let mut failed = failed.to_vec();
    if expired {
        life::expired(id, &stored.envelope.sender);
        let entry = deliveries.dispatch.spool().entry(id);
        let waiting = entry.map(|entry| entry.waiting).unwrap_or_default();
        failed = notification::with_reasons(&failed, &waiting);
    }
    let setup = deliveries.current.get();
    let stranger = setup.router.is_strangers(&stored.envelope);
    if stored.envelope.sender == Sender::Null {
        ended(deliveries, id, &failed);
        return Ok(());
    }
    let occasion = Occasion::Failed {
        failed: &failed,
        stranger,
    };
    if let Some(bounce) = deliveries.report(&stored, occasion).await? {
        life::bounced(id, bounce);
    }
    let now = clock::now();
    let age = now.since(stored.arrival);
    for (recipient, failure) in &failed {
        if unattempted(failure) {
            deliveries.dispatch.activity().gave_up(age, now);
        }
        let at = usize::try_from(*recipient).ok();
        let to = at.and_then(|at| stored.envelope.recipients.get(at));
        let to = to.map_or_else(String::new, |to| to.address.domain().to_string());
        let reason = failure.log_text();
        let passed = Passed::Returned { to, reason };
        deliveries.dispatch.news().tell(Event::Passed(passed));
    }
    Ok(())
}

/// Whether a recipient was given up for its age or by an order, and not by an attempt, which is
/// counted where it is made.
fn unattempted(failure: &Failure) -> bool {
    let without = [(5, 4, 7), (5, 7, 0)].map(|(a, b, c)| EnhancedStatus::new(a, b, c));
    failure.stage == Stage::Local && failure.relay.is_none() && without.contains(&failure.status)
}

/// Warns the sender of recipients that still wait, if anybody is to be warned. `arrival`: as the
/// clock counts now.
pub(super) async fn warn(
    deliveries: &Deliveries,
    id: QueueId,
    arrival: Timestamp,
    late: &[(u32, Failure)],
) -> Result<(), SpoolError> {
    let spool = deliveries.dispatch.spool();
    let Some(stored) = block_in_place(|| spool.load_to_return(id))? else {
        return Ok(());
    };
    let setup = deliveries.current.get();
    let lifetimes = late.iter().filter_map(|(recipient, _)| {
        let recipient = stored
            .envelope
            .recipients
            .get(usize::try_from(*recipient).ok()?)?;
        setup.router.lifetime(&recipient.address, false)
    });
    let lifetime = lifetimes
        .min()
        .unwrap_or(setup.config.retry.schedule.lifetime);
    // An age that a restart does not vouch for may be over already.
    let give_up = arrival.after(lifetime).max(clock::now());
    if let Some(warning) = deliveries
        .report(&stored, Occasion::Late { late, give_up })
        .await?
    {
        life::delayed(id, warning);
    }
    Ok(())
}

/// Tells the sender of recipients that were reached, where NOTIFY=SUCCESS asks for it and the next
/// hop does not tell (RFC 3461 §5.2.2).
/// Before they are settled: a crash may repeat it.
pub(super) async fn confirm(
    deliveries: &Deliveries,
    stored: &Stored,
    recipients: &[u32],
    outcomes: &[Outcome],
) -> Result<(), SpoolError> {
    let occasion = Occasion::Reached {
        recipients,
        outcomes,
    };
    if let Some(news) = deliveries.report(stored, occasion).await? {
        life::confirmed(stored.id, news);
    }
    Ok(())
}

/// Nobody can be told of its failure, and a stranger caused it: it ends, in the log and counted in
/// the digest of the day. Kept, it would let strangers fill the disk.
fn ended(deliveries: &Deliveries, id: QueueId, failed: &[(u32, Failure)]) {
    let reason = failed.first().map(|(_, failure)| failure.log_text());
    let reason = reason.unwrap_or_default();
    life::not_kept(id, &reason);
    let passed = Passed::NotKept { reason };
    deliveries.dispatch.news().tell(Event::Passed(passed));
}

/// Nobody can be told of its failure: the administrators hear of it, once a day.
pub(super) fn dead(deliveries: &Deliveries, id: QueueId, failed: &[(u32, Failure)], tell: bool) {
    let reason = failed.first().map(|(_, failure)| failure.log_text());
    life::dead(id, reason.as_deref().unwrap_or_default());
    let Ok(Some(stored)) = deliveries.dispatch.spool().load_to_return(id) else {
        return;
    };
    let (news, setup) = (deliveries.dispatch.news(), deliveries.current.get());
    deliveries.dispatch.note_dead(&stored);
    if stored.envelope.origin == DEAD {
        return;
    }
    let reason = reason.unwrap_or_default();
    news.tell(Event::Passed(Passed::Dead { reason }));
    if !tell || news.lock().told_lately(Kind::Dead, clock::now()) {
        return;
    }
    let host = &setup.config.hostname;
    let (headline, text) = notification::dead(&stored, host, failed, "smarthost");
    news.tell(Event::News(News {
        kind: Kind::Dead,
        headline,
        text,
        strangers: false,
    }));
}

/// What administrators were told of last.
const TOLD: &str = "damage.told";

/// How long more of them are looked for before the mail: they are seldom alone.
const TOGETHER: Duration = Duration::from_secs(5);
/// Somebody waits for more of them.
static GATHERS: AtomicBool = AtomicBool::new(false);

/// Messages are damaged on the disk: the administrators hear of each once, and soon.
pub(super) fn damaged(deliveries: &Deliveries) {
    if deliveries.dispatch.spool().damaged().is_empty() || GATHERS.swap(true, Ordering::SeqCst) {
        return;
    }
    let dispatch = Arc::clone(&deliveries.dispatch);
    let current = Arc::clone(&deliveries.current);
    tokio::spawn(async move {
        time::sleep(TOGETHER).await;
        GATHERS.store(false, Ordering::SeqCst);
        tell_of_damage(&dispatch, &current);
    });
}

fn tell_of_damage(dispatch: &Dispatch, current: &Current) {
    let (damaged, setup) = (dispatch.spool().damaged(), current.get());
    let list = notification::damaged(&damaged);
    let state = &setup.config.state;
    if damaged.is_empty() || !block_in_place(|| last_good::is_news_of(state, TOLD, &list)) {
        return;
    }
    let (headline, text) = notification::damage(
        &setup.config.hostname,
        &list,
        "smarthost",
        dispatch.spool().directory(),
    );
    dispatch.news().tell(Event::News(News {
        kind: Kind::Dead,
        headline,
        text,
        strangers: false,
    }));
}

impl Deliveries {
    /// Queues the report that is due, if one is.
    async fn report(
        &self,
        stored: &Stored,
        occasion: Occasion<'_>,
    ) -> Result<Option<QueueId>, SpoolError> {
        let setup = self.current.get();
        let report = notification::report(occasion, stored, &setup.config.hostname, clock::now());
        let Some(report) = report.map_err(|error| SpoolError::Io {
            doing: "read the message to be returned",
            path: "spool".into(),
            error,
        })?
        else {
            return Ok(None);
        };
        let queued = self
            .dispatch
            .inject(&report.message, report.envelope, &setup.router);
        queued.await.map(Some)
    }
}

/// A report could not be kept.
pub(super) fn unqueued(id: QueueId, what: &str, error: &dyn Display) {
    line(
        Level::Error,
        &format_args!("{id}: cannot queue the {what}: {error}"),
    );
}
