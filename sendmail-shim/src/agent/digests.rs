//! The thread that writes the digests of reports that say nothing new, when they are due.
//!
//! Contract: a digest is on disk before a report that it tells of is removed. What somebody
//! released, held or deleted meanwhile is left to him; what cannot be read is sent as it is, by
//! those who deal with such mail.

use mail::message::Header;
use spool::{Body, Event as Record, Hold, QueueId, Stored};

use super::{
    dispatch::Event,
    maillog, notices,
    state::Agent,
    unchanged::{
        digest::{Digest, Told},
        keeping::Reports,
        report,
        table::Waiting,
    },
};

/// Works as long as the program runs, if there are such reports.
pub(super) fn run(agent: &Agent) {
    let Some(reports) = &agent.reports else {
        return;
    };
    loop {
        let Some(waiting) = reports.due() else {
            reports.rest(false);
            continue;
        };
        if let Err(why) = tell(agent, reports, &waiting) {
            maillog::warning(&format!(
                "the digest of {} reports that say nothing new could not be queued: {why}",
                waiting.len()
            ));
            reports.rest(true);
        }
    }
}

/// A digest of as many of them as one tells of.
fn tell(agent: &Agent, reports: &Reports, waiting: &[Waiting]) -> Result<(), String> {
    let mut page = Page::default();
    for one in waiting {
        if !waits(agent, one.id) {
            page.gone.push(one.id);
            continue;
        }
        match agent.dispatch.spool.load(one.id) {
            Ok(Some(stored)) => {
                if !page.add(agent, one, stored) {
                    break;
                }
            }
            Ok(None) => page.gone.push(one.id),
            Err(_) => page.let_go(agent, one.id),
        }
    }
    if let (Some(first), Some(digest)) = (page.first, page.digest) {
        let digest = notices::unchanged(agent, &first, digest)?;
        let count = page.told.len();
        for id in page.told {
            page.gone.push(id);
            if waits(agent, id) {
                maillog::digested(id, digest, count);
                agent.dispatch.spool.record(id, Record::Removed);
                agent.dispatch.tell(Event::Gone { id });
            }
        }
        // Else a crash would send what was told already.
        let flushed = agent.dispatch.spool.flush();
        flushed.map_err(|error| error.to_string())?;
    }
    reports.ended(&page.gone);
    Ok(())
}

fn waits(agent: &Agent, id: QueueId) -> bool {
    let entry = agent.dispatch.spool.entry(id);
    entry.is_some_and(|entry| entry.hold == Hold::Unchanged)
}

/// A digest that is being written.
#[derive(Default)]
struct Page {
    first: Option<Stored>,
    digest: Option<Digest>,
    told: Vec<QueueId>,
    /// Those that wait no more, but for those told of.
    gone: Vec<QueueId>,
}

impl Page {
    /// Whether there is room for it.
    fn add(&mut self, agent: &Agent, one: &Waiting, stored: Stored) -> bool {
        let Body::Inline(body) = &stored.body else {
            self.let_go(agent, one.id);
            return true;
        };
        let subject = report::subject(&Header::parse(&stored.header));
        let lines = report::lines_with_numbers(body).enumerate();
        let differs = |place| one.differing.iter().any(|it| usize::from(*it) == place);
        let differing = lines.filter(|(place, _)| differs(*place));
        let differing: Vec<_> = differing.map(|(_, line)| line).collect();
        let told = Told {
            arrival: stored.arrival,
            as_on: one.as_on,
            subject: &subject,
            differing: &differing,
        };
        let (hostname, origin) = (&agent.settings.hostname, &stored.envelope.origin);
        let digest = self
            .digest
            .get_or_insert_with(|| Digest::new(hostname, origin));
        let fits = digest.add(&told);
        if fits {
            self.told.push(one.id);
            self.first.get_or_insert(stored);
        }
        fits
    }

    /// It is sent as it is.
    fn let_go(&mut self, agent: &Agent, id: QueueId) {
        agent.dispatch.tell(Event::Release { id });
        self.gone.push(id);
    }
}
