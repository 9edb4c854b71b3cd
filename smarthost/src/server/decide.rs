//! Answers the session machine's questions: the policy chain, the client's limit, room in the spool, and in the end the commit.
//!
//! Contract: 250 to a message is said only when it is on disk and in the queue, and when the count of it is written.
//! Failures: what cannot be decided or kept now is refused with 4yz; each refusal is one line in the log.

use std::sync::Arc;

use mail::{
    address::Sender,
    clock,
    envelope::{Content, Envelope},
    message::{complete, trace},
    status::EnhancedStatus,
};
use smtp::{
    reply::Reply,
    session::{Question, Verdict},
};
use spool::SpoolError;

use tokio::sync::oneshot;

use super::{
    notify,
    session::Visit,
    transaction::{Fault, Received, Transaction},
};
use crate::{
    dispatch,
    limits::Decision,
    maillog,
    policy::{Answer, Evaluation, Facts, Query, Step},
};

impl Visit {
    /// The answer to a question of the machine.
    pub(super) async fn decide(&mut self, question: Question) -> Verdict {
        if let Question::Mail(_) = question {
            // What a reload changed holds from here on: clients keep their sessions for long.
            self.setup = self.reception.current.get();
        }
        let verdict = match self.judge(&question, 0) {
            Verdict::Accept => self.follow(&question).await,
            other => other,
        };
        if let Verdict::Refuse(reply) | Verdict::Close(reply) = &verdict {
            self.log_refusal(&question, reply);
        }
        verdict
    }

    /// What policy says.
    fn judge(&mut self, question: &Question, hops: usize) -> Verdict {
        let facts = Facts {
            client: self.client,
            hops,
        };
        let mut evaluation: Evaluation = self.setup.policy.evaluate(&facts, question);
        loop {
            match evaluation.step() {
                Step::Done(ruling) => {
                    return match ruling.verdict {
                        Verdict::Refuse(reply) if self.reception.current.only_queues() => {
                            Verdict::Refuse(not_for_good(reply))
                        }
                        verdict => verdict,
                    };
                }
                Step::Ask(Query::Limit(client)) => {
                    evaluation.answer(Answer::Limit(self.count(client)));
                }
            }
        }
    }

    /// Counts one message of a client, keeps the count, and tells the administrators where that is due.
    fn count(&mut self, client: std::net::IpAddr) -> Decision {
        let (decision, notices) = {
            let mut limits = self.reception.limits();
            let decision = limits.count(client, clock::now());
            (
                decision,
                std::iter::from_fn(|| limits.next_notice()).collect::<Vec<_>>(),
            )
        };
        self.counted =
            matches!(decision, Decision::Within { .. }).then(|| self.reception.state.changed());
        for notice in notices {
            let (dispatch, setup) = (
                Arc::clone(&self.reception.dispatch),
                Arc::clone(&self.setup),
            );
            tokio::spawn(notify::of_limit(dispatch, setup, notice));
        }
        if let Decision::Over(excess) = &decision {
            maillog::over_limit(&excess.log_text(&self.name));
        }
        decision
    }

    /// What an accepted command does.
    async fn follow(&mut self, question: &Question) -> Verdict {
        match question {
            Question::Connect | Question::Helo { .. } => Verdict::Accept,
            Question::Mail(mail) => match self
                .reception
                .dispatch
                .spool()
                .has_room(mail.size.unwrap_or_default())
            {
                Ok(()) => {
                    self.transaction = Some(Transaction::new(mail.clone()));
                    Verdict::Accept
                }
                Err(error) => Verdict::Refuse(no_room(&error)),
            },
            Question::Recipient(rcpt) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.add(rcpt.clone());
                }
                Verdict::Accept
            }
            Question::Data => self.begin(),
            Question::Message { size } => self.accept(*size).await,
        }
    }

    fn begin(&mut self) -> Verdict {
        let Some(transaction) = &mut self.transaction else {
            return Verdict::Refuse(Reply::literal("503 5.5.1 Error: need MAIL command"));
        };
        match self.reception.dispatch.spool().draft() {
            Ok(draft) => {
                maillog::client(transaction.begin(draft), &self.name);
                Verdict::Accept
            }
            Err(error) => Verdict::Refuse(no_room(&error)),
        }
    }

    /// The message is complete: keep it.
    async fn accept(&mut self, size: u64) -> Verdict {
        let Some(mut transaction) = self.transaction.take() else {
            return Verdict::Refuse(Reply::literal("503 5.5.1 Error: need MAIL command"));
        };
        let mut message = match transaction.finish() {
            Ok(message) => message,
            Err(fault) => return Verdict::Refuse(unkept(&fault)),
        };
        let verdict = self.judge(&Question::Message { size }, trace::hops(&message.header));
        if verdict != Verdict::Accept {
            return verdict;
        }
        if self.setup.policy.may_relay(self.client) {
            self.complete(&mut message, &transaction.sender());
        }
        self.add_trace(&mut message, &transaction);
        let envelope = self.envelope(&transaction, message.content);
        let id = message.id;
        if let Some(field) = message.header.first("Message-ID") {
            maillog::message_id(id, &field.value());
        }
        let header = message.header.to_bytes();
        let queued =
            self.reception
                .dispatch
                .enqueue(message.draft, &envelope, &header, &self.setup.router);
        let (queued, ()) = tokio::join!(queued, self.count_is_kept());
        match queued {
            Ok(id) => {
                maillog::queued(id, &envelope, size);
                self.messages = self.messages.saturating_add(1);
                Verdict::AcceptWith(Reply::new(
                    250,
                    EnhancedStatus::new(2, 0, 0),
                    format!("Ok: queued as {id}"),
                ))
            }
            Err(error) => Verdict::Refuse(no_room(&error)),
        }
    }

    /// Waits until the count of this message would survive a kill. Messages that are not counted wait for nothing.
    async fn count_is_kept(&self) {
        let state = &self.reception.state;
        if self.counted.is_some_and(|count| !state.is_kept(count)) {
            let (done, kept) = oneshot::channel();
            state.flush_then(move || {
                // The session is over.
                let _ = done.send(());
            });
            // The writer gone means that the daemon ends, which writes everything.
            let _ = kept.await;
        }
    }

    /// A client of ours may leave fields out (printers and scripts do); a message from outside stays as it is (RFC 6409 §8).
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
        };
        complete::complete(&mut message.header, &facts);
    }

    fn add_trace(&self, message: &mut Received, transaction: &Transaction) {
        let only = match transaction.recipients.as_slice() {
            [only] => Some(only.address.as_str()),
            _ => None,
        };
        let helo = self.machine.helo().unwrap_or("unknown");
        message.header.prepend(trace::received(&trace::Received {
            from: &format!("from {helo} (unknown [{}])", self.client),
            by: &self.setup.config.hostname,
            with: self.machine.protocol(),
            id: &message.id.to_string(),
            for_: only,
            date: &clock::now().rfc5322(),
            tls: self.tls.as_deref(),
        }));
    }

    fn envelope(&self, transaction: &Transaction, content: Content) -> Envelope {
        let mail = &transaction.mail;
        Envelope {
            sender: transaction.sender(),
            recipients: dispatch::expand(&transaction.recipients, &self.setup.router),
            origin: self.name.clone(),
            uid: None,
            content: Content {
                eight_bit: content.eight_bit || mail.eight_bit,
                utf8: content.utf8 || mail.utf8,
            },
            ret: mail.ret,
            envid: mail.envid.clone(),
        }
    }

    fn log_refusal(&mut self, question: &Question, reply: &Reply) {
        self.refused = self.refused.saturating_add(1);
        let (stage, sender, recipient) = match question {
            Question::Connect => ("CONNECT", None, None),
            Question::Helo { .. } => ("HELO", None, None),
            Question::Mail(mail) => ("MAIL", Some(mail.sender()), None),
            Question::Recipient(rcpt) => (
                "RCPT",
                self.transaction.as_ref().map(Transaction::sender),
                rcpt.to.address(),
            ),
            Question::Data => (
                "DATA",
                self.transaction.as_ref().map(Transaction::sender),
                None,
            ),
            Question::Message { .. } => (
                "END-OF-MESSAGE",
                self.transaction.as_ref().map(Transaction::sender),
                None,
            ),
        };
        let id = self.transaction.as_ref().and_then(Transaction::id);
        maillog::reject(
            id,
            &maillog::Rejected {
                stage,
                client: &self.name,
                reply,
                sender,
                recipient,
                protocol: self.machine.protocol(),
                helo: self.machine.helo(),
            },
        );
    }
}

/// Without its configuration the daemon does not know what to refuse.
fn not_for_good(reply: Reply) -> Reply {
    if reply.code.value() < 500 {
        return reply;
    }
    Reply::literal("451 4.3.5 Error: server configuration problem")
}

fn no_room(error: &SpoolError) -> Reply {
    system::log::line(system::log::Level::Error, error);
    match error {
        SpoolError::Full { .. } => Reply::literal("452 4.3.1 Insufficient system storage"),
        _ => Reply::literal("451 4.3.0 Error: queue file write error"),
    }
}

fn unkept(fault: &Fault) -> Reply {
    match fault {
        Fault::HeaderTooLong => Reply::literal("552 5.3.4 Error: the header section is too long"),
        Fault::Disk(error) => {
            system::log::line(
                system::log::Level::Error,
                &format_args!("cannot keep a message: {error}"),
            );
            Reply::literal("452 4.3.1 Insufficient system storage")
        }
        Fault::NoMessage => Reply::literal("503 5.5.1 Error: no message"),
    }
}
