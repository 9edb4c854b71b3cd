//! A message that has come whole: completed, as filters made it, counted, and kept.
//!
//! Contract: 250 to a message is said only when it is on disk and in the queue, and when the count
//! of it is written, or cannot be for now.
//! Failures: what cannot be kept now is refused with 4yz.

use std::sync::Arc;

use mail::{
    address::Sender,
    clock,
    envelope::{Content, Envelope, Ret},
    message::{Field, complete, conform, recipients, trace, writer::Writer},
    outcome::Failure,
    status::EnhancedStatus,
};
use smtp::{
    reply::Reply,
    session::{Question, Verdict},
};
use spool::{QueueId, SpoolError};

use super::{
    Server, counting,
    filtering::Filtered,
    notify,
    session::Connection,
    transaction::{Fault, Received, Transaction},
};
use crate::{dispatch, loops::SentOn, maillog};

/// A message as it will be kept.
struct Complete {
    filtered: Filtered,
    /// As many as the client named: filters may add others.
    recipients: u32,
    writer: Option<Writer>,
}

impl Connection {
    /// The message is complete: keep it.
    pub(super) async fn accept(&mut self, size: u64) -> Verdict {
        let complete = match self.complete_message(size).await {
            Ok(complete) => complete,
            Err(refused) => return refused,
        };
        let Complete {
            filtered: Filtered {
                message,
                transaction,
            },
            recipients,
            writer,
        } = complete;
        let envelope = match self.envelope(&transaction, &message).await {
            Ok(envelope) => envelope,
            Err(failure) => {
                return Verdict::Refuse(Reply::new(452, failure.status, failure.text));
            }
        };
        let noted = self.note_machine(&message.header);
        let counted = self.begun.take();
        let counted = counted.map(|begun| begun.count(recipients, size, writer.as_ref()));
        let message_id = message.header.first("Message-ID");
        let message_id = message_id.map(|field| field.value().clone());
        let came = self.came(&message.header, &envelope.sender, writer.as_ref());
        let header = message.header.to_bytes();
        let held = transaction.held.as_deref();
        let login = self.machine.login().map(|login| (self.method, login));
        let queued = async {
            let (dispatch, router) = (&self.server.dispatch, &self.setup.router);
            let draft = message.draft;
            let id = match held {
                Some(_) => dispatch.hold(draft, &envelope, &header, held).await?,
                None => dispatch.enqueue(draft, &envelope, &header, router).await?,
            };
            dispatch.activity().received(size, clock::now());
            maillog::accepted(
                id,
                &self.name,
                login,
                message_id.as_deref(),
                &envelope,
                size,
                maillog::Kept {
                    held,
                    counted: counted.as_ref().map_or("", |counted| &counted.told),
                },
            );
            Ok::<_, SpoolError>(id)
        };
        let (queued, ()) = tokio::join!(queued, counting::is_kept(counted.as_ref()));
        match queued {
            Ok(id) => {
                self.messages = self.messages.saturating_add(1);
                self.server.has_come(&came);
                notify::has_room(&self.server);
                if let Some(writer) = &writer {
                    maillog::written(id, writer);
                }
                Verdict::AcceptWith(taken(id))
            }
            Err(error) => {
                if let Some(counted) = counted {
                    counted.take_back();
                }
                self.take_back(noted);
                Verdict::Refuse(no_room(&self.server, &error))
            }
        }
    }

    /// What has come, judged as a whole, completed and filtered.
    async fn complete_message(&mut self, size: u64) -> Result<Complete, Verdict> {
        let Some(mut transaction) = self.transaction.take() else {
            let reply = Reply::literal("503 5.5.1 Error: need MAIL command");
            return Err(Verdict::Refuse(reply));
        };
        let finished = transaction.finish();
        let mut message =
            finished.map_err(|fault| Verdict::Refuse(unkept(&self.server, &fault)))?;
        let question = Question::Message { size };
        let verdict = self.judge(&question, trace::hops(&message.header)).await;
        if verdict != Verdict::Accept {
            return Err(verdict);
        }
        let recipients = u32::try_from(transaction.recipients.len()).unwrap_or(u32::MAX);
        let writer = self.prepare(&mut message, &transaction);
        Ok(Complete {
            filtered: self.filtered(message, transaction).await?,
            recipients,
            writer,
        })
    }

    /// Completes a message of ours, and drops what goes nowhere; who wrote it, as its machine says.
    fn prepare(&self, message: &mut Received, transaction: &Transaction) -> Option<Writer> {
        let ours = self.is_ours();
        if ours {
            self.complete(message, &transaction.sender());
        }
        // For the client's own software, and hidden recipients (Postfix `message_drop_headers`).
        recipients::withhold(&mut message.header);
        Writer::take(&mut message.header).filter(|_| ours)
    }

    /// The message as it goes on: with our fields in front, and as filters made it.
    async fn filtered(
        &mut self,
        mut message: Received,
        transaction: Transaction,
    ) -> Result<Filtered, Verdict> {
        self.add_trace(&mut message, &transaction);
        for field in transaction.fields.iter().rev() {
            let (name, value) = field.split_once(':').unwrap_or((field, ""));
            message.header.prepend(Field::new(name, value.trim_start()));
        }
        let own = transaction.fields.len();
        let received = Filtered {
            message,
            transaction,
        };
        self.filter_message(received, own).await
    }

    /// A client of ours may leave fields out or write them wrong (printers and scripts do); a
    /// message from outside stays as it is (RFC 6409 §8).
    fn complete(&self, message: &mut Received, sender: &Sender) {
        let hostname = &self.setup.config.hostname;
        let from = match sender {
            Sender::Null => format!("MAILER-DAEMON@{hostname}"),
            Sender::Address(address) => address.to_string(),
        };
        let facts = complete::Facts {
            now: clock::now(),
            hostname,
            id: &message.id.to_string(),
            from: &from,
            content: message.content,
            charset: message.charset,
        };
        // Of several authors one would be left, in whose name alone it would be signed.
        if self.setup.signer.keys(&message.header).is_ok() {
            // No name is given a domain here.
            conform::conform(&mut message.header, &from, &|_| true);
        }
        complete::complete(&mut message.header, &facts);
    }

    fn add_trace(&self, message: &mut Received, transaction: &Transaction) {
        let only = match transaction.recipients.as_slice() {
            [only] => Some(only.address.as_str()),
            _ => None,
        };
        let helo = self.machine.helo().unwrap_or("unknown");
        message.header.prepend(trace::received(&trace::Received {
            from: &format!("from {helo} ({})", self.name.replacen('[', " [", 1)),
            by: &self.setup.config.hostname,
            with: self.machine.protocol(),
            id: &message.id.to_string(),
            for_: only,
            date: &clock::now().rfc5322(),
            tls: self.tls.as_deref(),
        }));
    }

    async fn envelope(
        &self,
        transaction: &Transaction,
        message: &Received,
    ) -> Result<Envelope, Failure> {
        let (content, sent) = (message.content, SentOn::by(&message.header));
        let mail = &transaction.mail;
        let (recipients, setup) = (transaction.recipients.clone(), Arc::clone(&self.setup));
        // A list can have tens of thousands of members.
        let expand = move || dispatch::expand(&recipients, &sent, &setup.router);
        let expanded = self
            .server
            .bench
            .work(expand, (self.client, self.own))
            .await;
        Ok(Envelope {
            sender: transaction.sender(),
            recipients: expanded
                .unwrap_or_else(|| Err(Failure::ours("looking up aliases broke off")))?,
            origin: self.origin(),
            uid: None,
            content: Content {
                eight_bit: content.eight_bit || content.utf8 || mail.eight_bit,
                utf8: mail.utf8,
            },
            // What could not be verified comes back, if it does, without its content.
            ret: if transaction.unverified {
                Some(Ret::Headers)
            } else {
                mail.ret
            },
            envid: mail.envid.clone(),
        })
    }
}

/// It is in the queue.
fn taken(id: QueueId) -> Reply {
    let text = format!("Ok: queued as {id}");
    Reply::new(250, EnhancedStatus::new(2, 0, 0), text)
}

pub(super) fn no_room(server: &Server, error: &SpoolError) -> Reply {
    system::log::line(system::log::Level::Error, error);
    notify::of_no_room(server, error);
    match error {
        SpoolError::Full { .. } => Reply::literal("452 4.3.1 Insufficient system storage"),
        _ => Reply::literal("451 4.3.0 Error: queue file write error"),
    }
}

fn unkept(server: &Server, fault: &Fault) -> Reply {
    match fault {
        Fault::HeaderTooLong => Reply::literal("552 5.3.4 Error: the header section is too long"),
        Fault::Disk(error) => no_room(server, error),
        Fault::NoMessage => Reply::literal("503 5.5.1 Error: no message"),
    }
}
