//! Bounces and warnings of a delay: composed, and queued as messages of our own with the null sender.
//!
//! Contract: the bounce is on disk before the recipients it tells of are settled.
//! RFC 3464; RFC 5321 §6.1.

use std::io::Read as _;

use mail::{
    address::Sender,
    clock,
    envelope::{Envelope, Recipient},
    notice,
    outcome::{Failure, Outcome},
};
use spool::{QueueId, SpoolError, Stored};
use system::log::{Level, life, line};

use super::Carrier;
use crate::bounce::{self, Occasion, Plan};

/// Most of a returned message's body, bytes (Postfix `bounce_size_limit`).
const RETURNED: u64 = 50_000;

/// Tells the sender of recipients that are given up, if anybody is to be told.
pub(super) async fn bounce(
    carrier: &Carrier,
    id: QueueId,
    failed: &[(u32, Failure)],
    expired: bool,
) -> Result<(), SpoolError> {
    let Some(stored) = carrier.dispatch.spool().load(id)? else {
        return Ok(());
    };
    if expired {
        life::expired(id, &stored.envelope.sender);
    }
    let Some(plan) = bounce::plan(&stored.envelope, Occasion::Failed, failed) else {
        return Ok(());
    };
    let body = if plan.whole {
        Some(returned_body(&stored)?)
    } else {
        None
    };
    let bounce = carrier
        .report(&stored, plan, body.as_deref(), notice::bounce)
        .await?;
    life::bounced(id, bounce);
    Ok(())
}

/// Warns the sender of recipients that still wait, if anybody is to be warned.
pub(super) async fn warn(
    carrier: &Carrier,
    id: QueueId,
    late: &[(u32, Failure)],
) -> Result<(), SpoolError> {
    let Some(stored) = carrier.dispatch.spool().load(id)? else {
        return Ok(());
    };
    let Some(plan) = bounce::plan(&stored.envelope, Occasion::Late, late) else {
        return Ok(());
    };
    let lifetime = carrier.current.get().config.retry.schedule.lifetime;
    let give_up = stored.arrival.after(lifetime);
    let warning = carrier
        .report(&stored, plan, None, |facts| notice::delay(facts, give_up))
        .await?;
    life::delayed(id, warning);
    Ok(())
}

/// Tells the sender of recipients that were reached, where NOTIFY=SUCCESS asks for it and the next hop does not tell (RFC 3461 §5.2.2).
/// Before they are settled: a crash may repeat it.
pub(super) async fn confirm(
    carrier: &Carrier,
    stored: &Stored,
    recipients: &[Recipient],
    outcomes: &[Outcome],
) -> Result<(), SpoolError> {
    let Some((to, reached)) = notice::reached(&stored.envelope.sender, recipients, outcomes) else {
        return Ok(());
    };
    let plan = Plan {
        to,
        told: Vec::new(),
        whole: false,
    };
    let news = carrier
        .report(stored, plan, None, |facts| notice::success(facts, &reached))
        .await?;
    life::confirmed(stored.id, news);
    Ok(())
}

impl Carrier {
    /// Queues a report to the sender.
    async fn report(
        &self,
        stored: &Stored,
        plan: Plan,
        body: Option<&[u8]>,
        compose: impl FnOnce(&notice::Bounce<'_>) -> Vec<u8>,
    ) -> Result<QueueId, SpoolError> {
        let setup = self.current.get();
        let message = compose(&notice::Bounce {
            hostname: &setup.config.hostname,
            queue_id: &stored.id.to_string(),
            arrival: stored.arrival,
            now: clock::now(),
            to: &plan.to,
            envid: stored.envelope.envid.as_deref(),
            failed: &plan.told,
            header: &stored.header,
            body,
        });
        let envelope = Envelope {
            sender: Sender::Null,
            recipients: vec![Recipient::from(plan.to)],
            origin: "bounce".to_owned(),
            ..Envelope::default()
        };
        self.dispatch
            .inject(&message, envelope, &setup.router)
            .await
    }
}

/// A report could not be kept.
pub(super) fn unqueued(id: QueueId, what: &str, error: &SpoolError) {
    line(
        Level::Error,
        &format_args!("{id}: cannot queue the {what}: {error}"),
    );
}

fn returned_body(stored: &Stored) -> Result<Vec<u8>, SpoolError> {
    let broken = |error| SpoolError::Io {
        doing: "read the message to be returned",
        path: "spool".into(),
        error,
    };
    let mut content = stored.reader().map_err(broken)?;
    let header = u64::try_from(stored.header.len())
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    // The header section and the empty line are returned anyway.
    std::io::copy(&mut content.by_ref().take(header), &mut std::io::sink()).map_err(broken)?;
    let mut body = Vec::new();
    content
        .take(RETURNED)
        .read_to_end(&mut body)
        .map_err(broken)?;
    Ok(body)
}
