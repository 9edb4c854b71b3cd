//! Answers the session machine's questions: the policy chain, the client's limit, room in the spool, and in the end the commit.
//!
//! Contract: 250 to a message is said only when it is on disk and in the queue, and when the count of it is written.
//! Failures: what cannot be decided or kept now is refused with 4yz; each refusal is one line in the log.

use std::time::Duration;

use mail::{
    address::Sender,
    clock,
    envelope::{Content, Envelope, Ret},
    message::{Field, complete, conform, trace},
    outcome::Failure,
    status::EnhancedStatus,
};
use smtp::{
    reply::Reply,
    session::{Question, Verdict},
};
use spool::SpoolError;

use tokio::{sync::oneshot, task::block_in_place, time};

use super::{
    counting::{Begun, Counted},
    filtering::Filtered,
    session::Connection,
    transaction::{Fault, Received, Transaction},
    world,
};
use crate::{
    dispatch,
    limits::Decision,
    maillog::{self, Subject},
    policy::{self, Answer, ClientName, Effect, Facts, Query, Step},
};

/// Fields that are for the client's own software, and name hidden recipients (Postfix `message_drop_headers`).
const DROPPED: [&str; 4] = ["Bcc", "Resent-Bcc", "Content-Length", "Return-Path"];
/// What the world does not answer in this time is unknown, and so temporary; clients wait longer (RFC 5321 §4.5.3.2).
const DECISION: Duration = Duration::from_mins(2);

impl Connection {
    /// The answer to a question of the machine.
    pub(super) async fn decide(&mut self, question: Question) -> Verdict {
        if let Question::Mail(_) = question {
            // What a reload changed holds from here on: clients keep their sessions for long.
            self.setup = self.server.current.get();
        }
        let verdict = match self.judge(&question, 0).await {
            Verdict::Accept => self.go_on(&question).await,
            other => other,
        };
        let refused = matches!(verdict, Verdict::Refuse(_) | Verdict::Close(_));
        if refused {
            if self.subject.is_none() {
                self.subject = Some(self.subject(&question));
            }
            if matches!(question, Question::Mail(_)) {
                self.begun = None;
            }
        }
        match question {
            Question::Message { .. } => self.message_over().await,
            Question::Mail(_) if refused => self.message_over().await,
            _ => {}
        }
        verdict
    }

    /// The chain has nothing against it.
    async fn go_on(&mut self, question: &Question) -> Verdict {
        // Filters are told the id that the message will have.
        if let Question::Data = question
            && let refused @ (Verdict::Refuse(_) | Verdict::Close(_)) = self.begin()
        {
            return refused;
        }
        match self.filter(question).await {
            Verdict::Accept => self.follow(question).await,
            refused => refused,
        }
    }

    /// What a refusal is about.
    fn subject(&self, question: &Question) -> Subject {
        let known = self.transaction.as_ref().map(Transaction::sender);
        match question {
            Question::Mail(mail) => Subject {
                sender: Some(mail.sender()),
                recipient: None,
            },
            Question::Recipient(rcpt) => Subject {
                sender: known,
                recipient: rcpt.to.address().cloned(),
            },
            _ => Subject {
                sender: known,
                recipient: None,
            },
        }
    }

    /// What policy says; what it asks the world is found out at the same time.
    async fn judge(&mut self, question: &Question, hops: usize) -> Verdict {
        let facts = self.facts(question, hops);
        let mut evaluation = self.setup.policy.evaluate(facts, question);
        let patience = time::Instant::now() + DECISION;
        loop {
            match evaluation.step() {
                Step::Done(ruling) => {
                    self.log_effects(question, &ruling.effects);
                    self.rule = ruling.restriction;
                    if ruling.verdict == Verdict::Accept
                        && let Some(transaction) = &mut self.transaction
                    {
                        transaction.note(ruling.effects);
                    }
                    return self.tempered(ruling.verdict);
                }
                Step::Ask(queries) => {
                    let told = self.called.as_ref();
                    let (told, queries): (Vec<_>, Vec<_>) = queries
                        .into_iter()
                        .partition(|it| told.is_some() && matches!(it, Query::ClientName(_)));
                    for query in told {
                        let name = self.called.clone().unwrap_or(ClientName::Unknown);
                        evaluation.answer(query, Answer::ClientName(name));
                    }
                    let answers = world::ask(&self.server, &self.setup, queries);
                    let Ok(answers) = time::timeout_at(patience, answers).await else {
                        return Verdict::Refuse(Reply::literal(
                            "451 4.3.0 Error: temporary lookup failure",
                        ));
                    };
                    for (query, answer) in answers {
                        self.note(&query, &answer);
                        evaluation.answer(query, answer);
                    }
                }
            }
        }
    }

    /// What the chain wants to be told, whatever it came to.
    fn log_effects(&self, question: &Question, effects: &[Effect]) {
        for effect in effects {
            let (action, text) = match effect {
                Effect::WouldReject(reply) => ("reject_warning", reply.text()),
                Effect::Warn(text) => ("warn", text.clone()),
                Effect::Info(text) => ("info", text.clone()),
                Effect::Hold(text) => ("hold", text.clone()),
                Effect::Prepend(_) | Effect::Unverified => continue,
            };
            maillog::reject(&maillog::Rejected {
                id: None,
                action,
                stage: self.machine.last_verb(),
                client: &self.name,
                reply: &text,
                subject: self.subject(question),
                protocol: self.machine.protocol(),
                helo: self.machine.helo(),
            });
        }
    }

    fn facts(&self, question: &Question, hops: usize) -> Facts {
        let recipient = match question {
            Question::Recipient(rcpt) => rcpt.to.address().cloned(),
            _ => None,
        };
        let size = match question {
            Question::Message { size } => *size,
            _ => 0,
        };
        let transaction = self.transaction.as_ref();
        let sender = match question {
            Question::Mail(mail) => Some(mail.sender()),
            _ => transaction.map(Transaction::sender),
        };
        Facts {
            session: policy::Session {
                address: self.client,
                port: self.port,
                server: self.local,
                protocol: match self.machine.protocol() {
                    "SMTP" => "SMTP",
                    _ => "ESMTP",
                },
                helo: self.machine.helo().map(str::to_owned),
                tls: self.tls.clone(),
                login: self.machine.login().map(str::to_owned),
                method: self.method,
                pinned: self.pinned.clone(),
                unnamed: self.unnamed,
                sent_ahead: self.machine.sent_ahead(),
            },
            transaction: policy::Transaction {
                sender,
                recipient,
                size: transaction.and_then(|transaction| transaction.mail.size),
                unverified: transaction.is_some_and(|transaction| transaction.unverified),
                instance: transaction
                    .map(|transaction| transaction.instance.clone())
                    .unwrap_or_default(),
                recipients: transaction.map_or(0, |transaction| transaction.recipients.len()),
            },
            message: policy::Message { size, hops },
        }
    }

    /// What a limit said holds for the transaction.
    fn note(&mut self, query: &Query, answer: &Answer) {
        let Answer::Limit(decision) = answer else {
            return;
        };
        match (query, decision) {
            (_, Decision::Over(excess)) => {
                maillog::over_limit(&self.name, &excess.log_text(&self.name));
                self.server.news.notify_one();
            }
            (Query::Message(client), Decision::Within { .. }) => {
                self.begun = Some(Begun::new(&self.server, client.clone()));
            }
            (Query::Recipient(_), Decision::Within { .. }) => {
                if let Some(begun) = &mut self.begun {
                    begun.add_recipient();
                }
            }
            (_, Decision::Unlimited | Decision::Within { .. }) => {}
        }
    }

    /// What an accepted command does.
    async fn follow(&mut self, question: &Question) -> Verdict {
        match question {
            Question::Connect | Question::Helo { .. } | Question::Data => Verdict::Accept,
            Question::Login(attempt) => self.log_in(attempt).await,
            Question::Client(said) => self.hand_on(said).await,
            Question::Mail(mail) => match self
                .server
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
                    let sender = transaction.sender().to_string();
                    let recipient = rcpt.to.address().map(ToString::to_string);
                    let envelope = (sender.as_str(), recipient.as_deref().unwrap_or_default());
                    let mut refusals = self.server.refusals();
                    if refusals.accepted(self.client, envelope, clock::now()) {
                        self.server.state.changed();
                    }
                }
                Verdict::Accept
            }
            Question::Message { size } => self.accept(*size).await,
        }
    }

    fn begin(&mut self) -> Verdict {
        let Some(transaction) = &mut self.transaction else {
            return Verdict::Refuse(Reply::literal("503 5.5.1 Error: need MAIL command"));
        };
        match self.server.dispatch.spool().draft() {
            Ok(draft) => {
                transaction.begin(draft);
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
        let message = match transaction.finish() {
            Ok(message) => message,
            Err(fault) => return Verdict::Refuse(unkept(&fault)),
        };
        let verdict = self
            .judge(&Question::Message { size }, trace::hops(&message.header))
            .await;
        if verdict != Verdict::Accept {
            return verdict;
        }
        let recipients = u32::try_from(transaction.recipients.len()).unwrap_or(u32::MAX);
        let Filtered {
            message,
            transaction,
        } = match self.filtered(message, transaction).await {
            Ok(filtered) => filtered,
            Err(refused) => return refused,
        };
        let envelope = match self.envelope(&transaction, message.content) {
            Ok(envelope) => envelope,
            Err(failure) => {
                return Verdict::Refuse(Reply::new(452, failure.status, failure.text));
            }
        };
        let counted = self.begun.take().map(|begun| begun.count(recipients));
        let message_id = message.header.first("Message-ID");
        let message_id = message_id.map(|field| field.value().clone());
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
                held,
            );
            Ok::<_, SpoolError>(id)
        };
        let (queued, ()) = tokio::join!(queued, self.count_is_kept(counted.as_ref()));
        match queued {
            Ok(id) => {
                self.messages = self.messages.saturating_add(1);
                Verdict::AcceptWith(Reply::new(
                    250,
                    EnhancedStatus::new(2, 0, 0),
                    format!("Ok: queued as {id}"),
                ))
            }
            Err(error) => {
                if let Some(counted) = counted {
                    counted.take_back();
                }
                Verdict::Refuse(no_room(&error))
            }
        }
    }

    /// The message as it goes on: completed, with our fields in front, and as filters made it.
    async fn filtered(
        &mut self,
        mut message: Received,
        transaction: Transaction,
    ) -> Result<Filtered, Verdict> {
        if self.is_ours() {
            self.complete(&mut message, &transaction.sender());
        }
        for name in DROPPED {
            message.header.remove(name);
        }
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

    /// Waits until the count of this message would survive a kill. Messages that are not counted wait for nothing.
    async fn count_is_kept(&self, counted: Option<&Counted>) {
        let state = &self.server.state;
        if counted.is_some_and(|counted| !state.is_kept(counted.change)) {
            let (done, kept) = oneshot::channel();
            state.flush_then(move || {
                // The session is over.
                let _ = done.send(());
            });
            // The writer gone means that the daemon ends, which writes everything.
            let _ = kept.await;
        }
    }

    /// Where the message is from, and as whom its client is known: `unknown[192.0.2.1] as vm7`.
    fn origin(&self) -> String {
        match (self.known_as(), self.name.strip_suffix(']')) {
            (Some(known), Some(name)) => [name, dispatch::KNOWN_AS, known].concat(),
            (None, Some(name)) if self.unnamed => [name, dispatch::OVER_PROXY].concat(),
            _ => self.name.clone(),
        }
    }

    /// Its network, its key or its login says that it is one of our clients.
    pub(super) fn is_ours(&self) -> bool {
        self.known_as().is_some() || !self.unnamed && self.setup.policy.may_relay(self.client)
    }

    /// The name of its key, else its login.
    pub(super) fn known_as(&self) -> Option<&str> {
        self.pinned.as_deref().or(self.machine.login())
    }

    /// A client of ours may leave fields out or write them wrong (printers and scripts do); a message from outside stays as it is (RFC 6409 §8).
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
            conform::conform(&mut message.header, &from);
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

    fn envelope(&self, transaction: &Transaction, content: Content) -> Result<Envelope, Failure> {
        let mail = &transaction.mail;
        Ok(Envelope {
            sender: transaction.sender(),
            // A list can have tens of thousands of members.
            recipients: block_in_place(|| {
                dispatch::expand(&transaction.recipients, &self.setup.router)
            })?,
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
        Fault::Disk(error) => no_room(error),
        Fault::NoMessage => Reply::literal("503 5.5.1 Error: no message"),
    }
}
