//! The message that is being received, from MAIL to its last byte.
//!
//! Contract: nothing of it is promised until it is committed; dropping it leaves nothing behind.
//! Failures: a full disk or an endless header is remembered and answered at the end of the message,
//! so that the client hears it.
//! RFC 5321 §4.4 (trace fields).

use std::sync::atomic::{AtomicU64, Ordering};

use mail::{
    address::{Mailbox, Sender},
    clock,
    envelope::{Content, Recipient},
    limits,
    message::{Arrived, Header, Incoming},
};
use smtp::session::{Mail, Rcpt};
use spool::{Draft, QueueId, SpoolError};
use tokio::task::block_in_place;

use super::moved::Moving;
use crate::{draining::Inside, policy::Effect};

/// A transaction.
pub(super) struct Transaction {
    pub(super) mail: Mail,
    pub(super) recipients: Vec<Recipient>,
    /// It is kept until an administrator says otherwise, for this reason.
    pub(super) held: Option<String>,
    /// Somebody among the recipients could not be verified.
    pub(super) unverified: bool,
    /// Fields that tables and policy servers want above the header, in order.
    pub(super) fields: Vec<String>,
    /// A name that no other transaction has.
    pub(super) instance: String,
    message: Option<Message>,
    /// It moves here from another server's queue.
    pub(super) moving: Option<Moving>,
    /// The client is inside the message.
    pub(super) inside: Option<Inside>,
}

/// Numbers transactions.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Fields of one message.
const FIELDS: usize = 50;

/// The content, as far as it has come.
struct Message {
    id: QueueId,
    draft: Draft,
    incoming: Incoming,
    fault: Option<Fault>,
}

/// Why a message cannot be kept.
#[derive(Debug)]
pub(super) enum Fault {
    HeaderTooLong,
    Disk(SpoolError),
    /// The end of a message that never began.
    NoMessage,
}

/// A complete message.
pub(super) struct Received {
    pub(super) id: QueueId,
    pub(super) draft: Draft,
    pub(super) header: Header,
    pub(super) content: Content,
    /// What the body's text is to be called.
    pub(super) charset: &'static str,
}

impl Transaction {
    pub(super) fn new(mail: Mail) -> Self {
        Self {
            mail,
            recipients: Vec::new(),
            held: None,
            unverified: false,
            fields: Vec::new(),
            instance: instance(),
            message: None,
            moving: None,
            inside: None,
        }
    }

    /// From another server's queue.
    pub(super) fn moving(mail: Mail, moving: Moving) -> Self {
        Self {
            moving: Some(moving),
            ..Self::new(mail)
        }
    }

    pub(super) fn sender(&self) -> Sender {
        self.mail.sender()
    }

    /// What a chain wants to be done, when it accepts a recipient.
    pub(super) fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Hold(text) => self.hold(text),
                Effect::Unverified => self.unverified = true,
                // The same for several recipients stands once.
                Effect::Prepend(field)
                    if self.fields.len() < FIELDS && !self.fields.contains(&field) =>
                {
                    self.fields.push(field);
                }
                _ => {}
            }
        }
    }

    /// The first reason stands.
    pub(super) fn hold(&mut self, reason: String) {
        self.held.get_or_insert(reason);
    }

    /// Adds a recipient, once; the wishes of one that comes again are added.
    pub(super) fn add(&mut self, rcpt: Rcpt) {
        Self::add_to(&mut self.recipients, rcpt);
    }

    /// The same for a list of them.
    pub(super) fn add_to(recipients: &mut Vec<Recipient>, rcpt: Rcpt) {
        let Mailbox::Address(address) = rcpt.to else {
            return;
        };
        let mut known = recipients.iter_mut();
        if let Some(known) = known.find(|known| known.address == address) {
            known.notify = known.notify.or(rcpt.notify);
            return;
        }
        recipients.push(Recipient {
            address: address.with_ascii_domain(),
            original: None,
            orcpt: rcpt.orcpt,
            notify: rcpt.notify,
        });
    }

    /// The message begins. `ours`: a client of ours wrote it.
    pub(super) fn begin(&mut self, draft: Draft, ours: bool) {
        self.message = Some(Message {
            id: draft.id(),
            draft,
            incoming: if ours {
                Incoming::of_ours()
            } else {
                Incoming::of_strangers()
            },
            fault: None,
        });
    }

    /// The id that its message will have.
    pub(super) fn queue_id(&self) -> Option<QueueId> {
        self.message.as_ref().map(|message| message.id)
    }

    /// Whether a message is coming.
    pub(super) fn receiving(&self) -> bool {
        self.message.is_some() || self.moving.is_some()
    }

    /// Takes a piece of the message.
    pub(super) fn write(&mut self, piece: &[u8]) {
        if let Some(moving) = &mut self.moving {
            return moving.write(piece);
        }
        let Some(message) = self
            .message
            .as_mut()
            .filter(|message| message.fault.is_none())
        else {
            return;
        };
        let written = match message.incoming.feed(piece) {
            Err(_) => Err(Fault::HeaderTooLong),
            Ok(body) if is_file(&message.draft, body) => {
                block_in_place(|| message.draft.write(body)).map_err(Fault::Disk)
            }
            Ok(body) => message.draft.write(body).map_err(Fault::Disk),
        };
        message.fault = written.err();
    }

    /// The message is complete.
    pub(super) fn finish(&mut self) -> Result<Received, Fault> {
        let mut message = self.message.take().ok_or(Fault::NoMessage)?;
        if let Some(fault) = message.fault {
            return Err(fault);
        }
        let rest = message.incoming.end().map_err(|_| Fault::HeaderTooLong)?;
        message.draft.write(rest).map_err(Fault::Disk)?;
        let Arrived {
            header,
            content,
            charset,
            ..
        } = message.incoming.finish();
        Ok(Received {
            charset,
            id: message.id,
            draft: message.draft,
            header,
            content,
        })
    }
}

fn instance() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let second = clock::now().as_secs();
    format!("{:x}.{second:x}.{number:x}", std::process::id())
}

/// Whether this write goes to a file rather than to memory.
fn is_file(draft: &Draft, piece: &[u8]) -> bool {
    let size = draft
        .size()
        .saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    size > u64::try_from(limits::INLINE_BODY).unwrap_or(u64::MAX)
}
