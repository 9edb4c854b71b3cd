//! One message being submitted: envelope as typed, header and body as they come, then rewritten,
//! completed and committed.
//!
//! A message that another program had queued (`XQUEUED`) keeps its From field, and is not counted
//! as one of a storm, nor compared with the last report of its job.
//!
//! Failures: a full or broken spool is a 4yz reply; an address that cannot be used a 5yz one.

use mail::{
    clock::{self, Timestamp},
    envelope::{Envelope, Mail, Rcpt},
    message::{
        Arrived, Incoming,
        rewrite::{self, Caller, Change, RewriteError, Rules},
        writer::Writer,
    },
    outcome::escape,
    status::EnhancedStatus,
};
use smtp::{reply::Reply, session::Verdict};
use spool::{Draft, Hold, QueueId, Usage};
use system::log::life;

use super::{
    budget::keeping::Answer,
    duplicates::keeping as duplicates,
    maillog,
    share::{Claim, unavailable},
    state::Agent,
    unchanged::keeping as unchanged,
};
use crate::prepare::{self, PrepareError, Prepared, Submitted, prepare};

/// From MAIL to the end of the message.
pub(super) struct Transaction<'a> {
    agent: &'a Agent,
    uid: u32,
    caller: Caller,
    mail: Mail,
    recipients: Vec<Rcpt>,
    incoming: Incoming,
    draft: Option<Draft>,
    /// For our own smarthost.
    writer: Option<Writer>,
    /// The systemd unit that it comes from, as far as is known.
    unit: String,
    /// The first thing that went wrong while the message came; told at its end.
    fault: Option<Reply>,
    /// Its part of the user's share of the queue.
    claim: Claim<'a>,
}

/// What the guards against floods say of a message that is taken.
#[derive(Clone, Default)]
struct Terms {
    report: unchanged::Verdict,
    likeness: Option<u64>,
    /// To be kept until then, as the one that stands for others.
    until: Option<Timestamp>,
    budget: Answer,
}

impl<'a> Transaction<'a> {
    /// MAIL; refused if there is no room.
    pub(super) fn open(
        agent: &'a Agent,
        uid: u32,
        caller: Caller,
        mail: Mail,
    ) -> Result<Self, Reply> {
        let (spool, bytes) = (&agent.dispatch.spool, mail.size.unwrap_or(0));
        spool.has_room(bytes).map_err(|error| unavailable(&error))?;
        let claim = Claim::new(&agent.claims, agent.owners(), agent.settings.share, uid);
        let recipients = 1;
        claim.fits(spool, Usage { bytes, recipients })?;
        Ok(Self {
            agent,
            uid,
            caller,
            mail,
            recipients: Vec::new(),
            incoming: Incoming::of_ours(),
            draft: None,
            writer: None,
            unit: String::new(),
            fault: None,
            claim,
        })
    }

    /// Tells the relayhost who wrote it, if that is a smarthost of the same hands: its key is
    /// pinned.
    pub(super) fn written_by(mut self, unit: &str, writer: impl FnOnce() -> Writer) -> Self {
        let known = !self.agent.settings.pins.is_empty() && !self.mail.queued;
        unit.clone_into(&mut self.unit);
        self.writer = known.then(writer);
        self
    }

    /// It is answered 250.
    fn count(&self, bytes: u64) {
        let who = (self.uid, &*self.caller.user);
        self.agent.counts().add(who, &self.unit, bytes);
    }

    /// RCPT. Those that are beyond the user's share are not kept, and nobody gets the message.
    pub(super) fn recipient(&mut self, rcpt: &Rcpt) {
        let one = Usage {
            bytes: 0,
            recipients: 1,
        };
        if self.fault.is_some() {
            return;
        }
        match self.claim.grow(&self.agent.dispatch.spool, one) {
            Ok(()) => self.recipients.push(rcpt.clone()),
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// DATA.
    pub(super) fn begin(&mut self) -> Verdict {
        match self.agent.dispatch.spool.draft() {
            Ok(draft) => {
                self.draft = Some(draft);
                Verdict::Accept
            }
            Err(error) => Verdict::Refuse(unavailable(&error)),
        }
    }

    /// A piece of the message.
    pub(super) fn body(&mut self, piece: &[u8]) {
        let (Some(draft), None) = (&mut self.draft, &self.fault) else {
            return;
        };
        let more = Usage {
            bytes: piece.len() as u64,
            recipients: 0,
        };
        let taken = match self.incoming.feed(piece) {
            Ok(body) => self
                .claim
                .grow(&self.agent.dispatch.spool, more)
                .and_then(|()| draft.write(body).map_err(|error| unavailable(&error))),
            Err(_) => Err(too_big()),
        };
        if let Err(fault) = taken {
            self.fault = Some(fault);
            // What came so far takes no room any more.
            self.draft = None;
        }
    }

    /// The message is complete.
    pub(super) fn finish(mut self) -> Verdict {
        if let Some(fault) = self.fault.take() {
            return Verdict::Refuse(fault);
        }
        let Some(mut draft) = self.draft.take() else {
            return Verdict::Refuse(Reply::literal("503 5.5.1 no message"));
        };
        let rest = match self.incoming.end() {
            Ok(rest) => draft.write(rest).map_err(|error| unavailable(&error)),
            Err(_) => Err(too_big()),
        };
        if let Err(fault) = rest {
            return Verdict::Refuse(fault);
        }
        let mut prepared = match self.prepare(&draft) {
            Ok(prepared) => prepared,
            Err(error) => return Verdict::Refuse(refusal(&error)),
        };
        // Nobody says of himself who he is. That it is a test, everybody may: the smarthost lets
        // only so many go.
        let test = Writer::take(&mut prepared.header).is_some_and(|said| said.test);
        if test || self.writer.is_some() {
            let writer = self.writer.take().unwrap_or_default();
            prepared.header.append(Writer { test, ..writer }.field());
        }
        let (spool, header) = (&self.agent.dispatch.spool, &prepared.header);
        // Beyond those that were named: aliases stand for several.
        let (all, named) = (prepared.envelope.recipients.len(), self.recipients.len());
        let more = Usage {
            bytes: 0,
            recipients: all.saturating_sub(named) as u64,
        };
        if let Err(reply) = self.claim.grow(spool, more) {
            return Verdict::Refuse(reply);
        }
        let mut terms = Terms {
            report: self.report(&draft, &prepared),
            ..Terms::default()
        };
        if matches!(terms.report, unchanged::Verdict::Wait { .. }) {
            return self.accept(draft, &prepared, terms);
        }
        // Mail that waited elsewhere is no storm, however alike it is; and a report that says
        // something new goes at once.
        let new = matches!(terms.report, unchanged::Verdict::Send { .. });
        let alike = self.agent.duplicates.as_ref();
        if let Some(duplicates) = alike.filter(|_| !self.mail.queued && !new) {
            match duplicates.judge(spool, &prepared.envelope, header, draft.small()) {
                duplicates::Verdict::Counted { by, count } => {
                    let size = draft.size_with(&prepared.header.to_bytes());
                    return self.counted(&prepared.envelope, size, (by, count));
                }
                duplicates::Verdict::Keep { likeness, until } => {
                    (terms.likeness, terms.until) = (Some(likeness), Some(until));
                }
                duplicates::Verdict::Send(likeness) => terms.likeness = likeness,
            }
        }
        // One that is kept is asked for when its digest does not go in its place.
        if let Some(budget) = self.agent.budget.as_ref().filter(|_| terms.until.is_none()) {
            terms.budget = budget.ask(header, self.agent.budget_party(Some(self.uid)));
        }
        self.accept(draft, &prepared, terms)
    }

    /// Whether it says what its job's last report said. Mail that waited elsewhere is not asked.
    fn report(&self, draft: &Draft, prepared: &Prepared) -> unchanged::Verdict {
        let reports = self.agent.reports.as_ref().filter(|_| !self.mail.queued);
        reports.map_or_else(Default::default, |reports| {
            let who = (&*self.caller.user, self.agent.owners().party(self.uid));
            let (envelope, header) = (&prepared.envelope, &prepared.header);
            reports.judge(draft.id(), who, envelope, header, draft.small())
        })
    }

    /// Another message in the queue stands for this one.
    fn counted(&self, envelope: &Envelope, size: u64, (by, count): (QueueId, u32)) -> Verdict {
        if let Err(error) = self.agent.dispatch.spool.flush() {
            return Verdict::Refuse(unavailable(&error));
        }
        maillog::counted(by, envelope, count);
        self.count(size);
        let text = format!("Ok: number {count} of its kind, told by the digest {by}");
        Verdict::AcceptWith(Reply::new(250, EnhancedStatus::new(2, 0, 0), text))
    }

    /// Into the queue.
    fn accept(&self, mut draft: Draft, prepared: &Prepared, terms: Terms) -> Verdict {
        let (envelope, header) = (&prepared.envelope, prepared.header.to_bytes());
        let size = draft.size_with(&header);
        if matches!(terms.budget, Answer::Over) {
            draft.hold(Hold::OverBudget);
        }
        if let unchanged::Verdict::Wait { .. } = terms.report {
            draft.hold(Hold::Unchanged);
        }
        let id = draft.id();
        match self.agent.dispatch.spool.accept(draft, envelope, &header) {
            Ok(id) => {
                if let Some(field) = prepared.header.first("Message-ID") {
                    life::identified(id, &field.value());
                }
                self.count(size);
                let left_out = left_out(id, &prepared.changes) + &refused(prepared);
                let note = self.taken(id, envelope, size, terms);
                Verdict::AcceptWith(Reply::new(
                    250,
                    EnhancedStatus::new(2, 0, 0),
                    format!("Ok: queued as {id}{note}{left_out}"),
                ))
            }
            Err(error) => {
                if let Some(reports) = &self.agent.reports {
                    reports.take_back(id, &terms.report);
                }
                if let Some((duplicates, likeness)) =
                    self.agent.duplicates.as_ref().zip(terms.likeness)
                {
                    duplicates.forget(likeness);
                }
                if let Some(budget) = &self.agent.budget {
                    budget.take_back(terms.budget);
                }
                Verdict::Refuse(unavailable(&error))
            }
        }
    }

    /// It is in the queue; what its sender should know beyond that.
    fn taken(&self, id: QueueId, envelope: &Envelope, size: u64, terms: Terms) -> String {
        let agent = self.agent;
        if let (Some(reports), unchanged::Verdict::Wait { as_on }) = (&agent.reports, &terms.report)
        {
            agent.dispatch.arrived(id, envelope);
            if let Some(entry) = agent.dispatch.spool.entry(id) {
                reports.arrived(&entry);
            }
            maillog::unchanged(id, envelope, size, *as_on);
            return format!(", and waits: it {}", reports.reason(id));
        }
        if let (Some(reports), unchanged::Verdict::Send { user, report }) =
            (&agent.reports, &terms.report)
        {
            reports.sent(id, *user, report);
        }
        if let (Some(budget), Answer::Over) = (&agent.budget, terms.budget) {
            agent.dispatch.arrived(id, envelope);
            let waiting = agent.waits_for_budget(id).unwrap_or_default();
            maillog::over_budget(id, envelope, size, budget.window, waiting);
            let party = agent.budget_party(Some(self.uid));
            return format!(", and waits: {}", budget.reason(party));
        }
        maillog::queued(id, envelope, size);
        let kept = agent
            .duplicates
            .as_ref()
            .zip(terms.likeness)
            .zip(terms.until);
        if let Some(((duplicates, likeness), until)) = kept {
            duplicates.keep(&agent.dispatch.spool, id, likeness, until);
        }
        agent.dispatch.arrived(id, envelope);
        String::new()
    }

    fn prepare(&mut self, draft: &Draft) -> Result<Prepared, PrepareError> {
        let incoming = std::mem::replace(&mut self.incoming, Incoming::of_ours());
        // What is misplaced is nobody's loss: the envelope has all recipients.
        let Arrived {
            header,
            content,
            charset,
            ..
        } = incoming.finish();
        if self.mail.queued {
            // Who hands it over has not written it.
            self.caller.full_name.clear();
        } else if let Some(Some(name)) = &self.mail.xcaller {
            self.caller.full_name.clone_from(name);
        }
        let submitted = Submitted {
            caller: &self.caller,
            uid: self.uid,
            id: &draft.id().to_string(),
            now: clock::now(),
            mail: &self.mail,
            recipients: &self.recipients,
            content,
            charset,
        };
        self.agent.with_rules(|rules| {
            if self.mail.queued && !rules.from_override {
                let rules = Rules {
                    from_override: true,
                    ..rules.clone()
                };
                return prepare(&submitted, header, &rules);
            }
            prepare(&submitted, header, rules)
        })
    }
}

/// Logs and says what was left out of the aliases that a message goes to.
fn left_out(id: QueueId, changes: &[Change]) -> String {
    let mut first = None;
    for change in changes.iter().filter(|it| it.what == rewrite::LEFT_OUT) {
        let (name, place) = (change.before.escape_debug(), &change.because);
        let looped = &change.after;
        maillog::warning(&format!(
            "{id}: {place}: `{name}` is followed without a part of it: {looped}"
        ));
        first.get_or_insert(looped);
    }
    first.map_or_else(String::new, |looped| {
        format!(", but not to all: {}", escape(looped.as_bytes(), 200))
    })
}

/// Whose mail is refused, for whoever called: his sender is told when it is returned.
fn refused(prepared: &Prepared) -> String {
    let told = prepared.refused();
    let told = told.map(|why| prepare::REFUSED.to_owned() + &escape(why.as_bytes(), 200));
    told.unwrap_or_default()
}

fn too_big() -> Reply {
    Reply::literal("552 5.3.4 the header section is too big")
}

fn refusal(error: &PrepareError) -> Reply {
    let status = match error {
        PrepareError::Rewrite(RewriteError::Sender(_)) => EnhancedStatus::new(5, 1, 7),
        PrepareError::Rewrite(RewriteError::Recipient(_)) => EnhancedStatus::new(5, 1, 3),
        PrepareError::Rewrite(RewriteError::Refused(_)) => EnhancedStatus::new(5, 1, 1),
        PrepareError::Rewrite(RewriteError::Alias(_)) | PrepareError::Hops => {
            EnhancedStatus::new(5, 4, 6)
        }
    };
    Reply::new(554, status, escape(error.to_string().as_bytes(), 300))
}
