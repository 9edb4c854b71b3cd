//! One message being submitted: envelope as typed, header and body as they come, then rewritten, completed and committed.
//!
//! Failures: a full or broken spool is a 4yz reply; an address that cannot be used a 5yz one.

use shared::{
    address::Sender,
    clock::{self, Timestamp},
    envelope::Envelope,
    message::{
        Splitter,
        rewrite::{Caller, RewriteError},
    },
    outcome::escape,
    smtp::{
        reply::Reply,
        session::{Mail, Rcpt, Verdict},
    },
    spool::{Draft, QueueId, SpoolError},
    status::EnhancedStatus,
};

use super::{Agent, maillog, storms::keeping as storms};
use crate::prepare::{PrepareError, Prepared, Submitted, Wanted, prepare};

/// From MAIL to the end of the message.
pub(super) struct Transaction<'a> {
    agent: &'a Agent,
    uid: u32,
    caller: Caller,
    mail: Mail,
    recipients: Vec<Wanted>,
    splitter: Splitter,
    draft: Option<Draft>,
    /// The first thing that went wrong while the message came; told at its end.
    fault: Option<Reply>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(agent: &'a Agent, uid: u32, caller: Caller, mail: Mail) -> Self {
        Self {
            agent,
            uid,
            caller,
            mail,
            recipients: Vec::new(),
            splitter: Splitter::default(),
            draft: None,
            fault: None,
        }
    }

    pub(super) fn recipient(&mut self, rcpt: &Rcpt) {
        let text = match (&rcpt.recipient, &rcpt.unqualified) {
            (Some(address), _) => address.to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => return,
        };
        self.recipients.push(Wanted {
            text,
            notify: rcpt.notify,
            orcpt: rcpt.orcpt.clone(),
        });
    }

    /// DATA.
    pub(super) fn begin(&mut self) -> Verdict {
        match self.agent.spool.draft() {
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
        match self.splitter.split(piece) {
            Ok(body) => {
                if let Err(error) = draft.write(body) {
                    maillog::warning(&format!("the spool cannot take a message: {error}"));
                    self.fault = Some(Reply::literal(
                        "452 4.3.1 the spool cannot take this message now",
                    ));
                }
            }
            Err(_) => self.fault = Some(Reply::literal("552 5.3.4 the header section is too big")),
        }
    }

    /// The message is complete.
    pub(super) fn finish(mut self) -> Verdict {
        if let Some(fault) = self.fault.take() {
            return Verdict::Refuse(fault);
        }
        let Some(draft) = self.draft.take() else {
            return Verdict::Refuse(Reply::literal("503 5.5.1 no message"));
        };
        let prepared = match self.prepare(&draft) {
            Ok(prepared) => prepared,
            Err(error) => return Verdict::Refuse(refusal(&error)),
        };
        let verdict = self.agent.storms.as_ref().map(|storms| {
            let (spool, header) = (&self.agent.spool, &prepared.header);
            storms.judge(spool, &prepared.envelope, header, draft.small())
        });
        match verdict {
            Some(storms::Verdict::Counted { by, count }) => {
                self.counted(&prepared.envelope, by, count)
            }
            Some(storms::Verdict::Keep { likeness, until }) => {
                self.accept(draft, &prepared, Some(likeness), Some(until))
            }
            Some(storms::Verdict::Send(likeness)) => self.accept(draft, &prepared, likeness, None),
            None => self.accept(draft, &prepared, None, None),
        }
    }

    /// Another message in the queue stands for this one.
    fn counted(&self, envelope: &Envelope, by: QueueId, count: u32) -> Verdict {
        if let Err(error) = self.agent.spool.flush() {
            return Verdict::Refuse(unavailable(&error));
        }
        maillog::counted(by, envelope, count);
        let text = format!("Ok: number {count} of its kind, told by the digest {by}");
        Verdict::AcceptWith(Reply::new(250, EnhancedStatus::new(2, 0, 0), text))
    }

    /// Into the queue; with `until`, to be kept as the one that stands for others.
    fn accept(
        &self,
        draft: Draft,
        prepared: &Prepared,
        likeness: Option<u64>,
        until: Option<Timestamp>,
    ) -> Verdict {
        let header = prepared.header.to_bytes();
        let size = draft
            .size()
            .saturating_add(header.len() as u64)
            .saturating_add(2);
        match self.agent.spool.accept(draft, &prepared.envelope, &header) {
            Ok(id) => {
                maillog::queued(id, &prepared.envelope, size);
                let kept = self.agent.storms.as_ref().zip(likeness).zip(until);
                if let Some(((storms, likeness), until)) = kept {
                    storms.keep(&self.agent.spool, id, likeness, until);
                    self.agent.arrived_early(id, Some(self.uid), until);
                } else {
                    self.agent.arrived(id, Some(self.uid));
                }
                Verdict::AcceptWith(Reply::new(
                    250,
                    EnhancedStatus::new(2, 0, 0),
                    format!("Ok: queued as {id}"),
                ))
            }
            Err(error) => {
                if let Some((storms, likeness)) = self.agent.storms.as_ref().zip(likeness) {
                    storms.forget(likeness);
                }
                Verdict::Refuse(unavailable(&error))
            }
        }
    }

    fn prepare(&mut self, draft: &Draft) -> Result<Prepared, PrepareError> {
        let (header, content) = std::mem::take(&mut self.splitter).finish();
        let xcaller = self.mail.xcaller.take();
        let sender = match (&self.mail.sender, self.mail.unqualified.take()) {
            (Sender::Address(address), _) => Some(address.to_string()),
            (Sender::Null, Some(name)) => Some(name),
            (Sender::Null, None) if xcaller.is_some() => None,
            (Sender::Null, None) => Some(String::new()),
        };
        if let Some(Some(name)) = xcaller {
            self.caller.full_name = name;
        }
        let submitted = Submitted {
            caller: &self.caller,
            uid: self.uid,
            id: &draft.id().to_string(),
            now: clock::now(),
            sender,
            recipients: std::mem::take(&mut self.recipients),
            ret: self.mail.ret,
            envid: self.mail.envid.take(),
            content,
        };
        let mut tables = self.agent.tables();
        let (rules, problems) = tables.refresh();
        for problem in problems {
            maillog::warning(&problem.to_string());
        }
        prepare(&submitted, header, rules)
    }
}

/// 452 for a full spool, 451 for a broken one; the administrator finds the details in the log.
pub(super) fn unavailable(error: &SpoolError) -> Reply {
    maillog::warning(&error.to_string());
    match error {
        SpoolError::Full { .. } => Reply::new(
            452,
            EnhancedStatus::new(4, 3, 1),
            escape(error.to_string().as_bytes(), 200),
        ),
        _ => Reply::literal("451 4.3.0 the spool cannot be written"),
    }
}

fn refusal(error: &PrepareError) -> Reply {
    let status = match error {
        PrepareError::Rewrite(RewriteError::Sender(_)) => EnhancedStatus::new(5, 1, 7),
        PrepareError::Rewrite(RewriteError::Recipient(_)) => EnhancedStatus::new(5, 1, 3),
        PrepareError::Rewrite(RewriteError::Alias(_)) | PrepareError::Hops => {
            EnhancedStatus::new(5, 4, 6)
        }
    };
    Reply::new(554, status, escape(error.to_string().as_bytes(), 300))
}
