//! Answers the session machine's questions: the policy chain, the client's limit, room in the
//! spool; a message that has come whole is
//! [`super::acceptance`]'s.
//!
//! Failures: what cannot be decided now is refused with 4yz; each refusal is one line in the log.

use std::time::Duration;

use mail::clock;
use smtp::{
    reply::Reply,
    session::{Question, Verdict},
};
use tokio::time;

use super::{
    acceptance::no_room, asking, counting::Begun, refused::About, session::Connection,
    transaction::Transaction,
};
use crate::{
    limits::Decision,
    maillog::{self, Subject},
    policy::{self, Answer, ClientName, Effect, Facts, Query, Step},
};

/// What the world does not answer in this time is unknown, and so temporary; clients wait longer
/// (RFC 5321 §4.5.3.2).
const DECISION: Duration = Duration::from_mins(2);
const UNDECIDED: &str = "451 4.3.0 Error: temporary lookup failure";

impl Connection {
    /// The answer to a question of the machine.
    pub(super) async fn decide(&mut self, question: Question) -> Verdict {
        if let Question::Mail(_) = question {
            // What a reload changed holds from here on: clients keep their sessions for long.
            self.setup = self.server.current.get();
        }
        let lost = match question {
            Question::Mail(_) => self.has_lost_rights(),
            _ => None,
        };
        let decided = match lost.or_else(|| self.disbelieve(&question)) {
            None => self.decide_drained(&question).await,
            refused => refused,
        };
        let verdict = match decided {
            Some(verdict) => verdict,
            None => match self.judge(&question, 0).await {
                Verdict::Accept => self.go_on(&question).await,
                other => other,
            },
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
            Question::Message { .. } => {
                if refused {
                    self.end_transaction();
                }
                self.message_over().await;
            }
            Question::Mail(_) if refused => self.message_over().await,
            _ => {}
        }
        verdict
    }

    /// The answer to a client whose session has lost what it has its rights from.
    fn has_lost_rights(&self) -> Option<Verdict> {
        let why = self.rights.lost(&self.setup)?;
        maillog::lost_rights(&self.name, why);
        let host = &self.setup.config.hostname;
        let reply = format!("421 4.7.0 {host} Error: {why}; connect again");
        Some(Verdict::Close(Reply::literal(&reply)))
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
            Question::Data | Question::Message { .. } if let Some(about) = &self.about => {
                about.subject()
            }
            _ => Subject {
                sender: known,
                recipient: None,
            },
        }
    }

    /// What policy says; what it asks the world is found out at the same time.
    pub(super) async fn judge(&mut self, question: &Question, hops: usize) -> Verdict {
        let facts = self.facts(question, hops);
        let mut evaluation = self.setup.policy.evaluate(facts, question);
        let patience = time::Instant::now() + DECISION;
        loop {
            let stepped = self
                .server
                .bench
                .step(evaluation, (self.client, self.own))
                .await;
            let Some((going_on, step)) = stepped else {
                return Verdict::Refuse(Reply::literal(UNDECIDED));
            };
            evaluation = going_on;
            match step {
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
                    let answers = asking::ask(&self.server, &self.setup, queries);
                    let Ok(answers) = time::timeout_at(patience, answers).await else {
                        return Verdict::Refuse(Reply::literal(UNDECIDED));
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
                strange_key: self.key.is_some() && self.pinned.is_none(),
                unnamed: self.unnamed,
                sent_ahead: self.machine.sent_ahead(),
            },
            transaction: policy::Transaction {
                sender,
                returns_nowhere: recipient
                    .as_ref()
                    .and_then(|it| self.setup.router.returns_nowhere(it, clock::now())),
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
                self.over = Some(excess.client.clone());
                maillog::over_limit(&self.name, &excess.log_text(&self.name));
                if self.server.limits().has_news() {
                    self.server.dispatch.news().wake();
                }
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
            Question::Auth => self.may_try(),
            Question::Login(attempt) => self.log_in(attempt).await,
            Question::Client(said) => self.hand_on(said).await,
            Question::Enroll(said) => self.enroll(said),
            Question::Mail(_) if self.is_full_of_dead() => Verdict::Refuse(Reply::literal(
                "452 4.3.1 Too much mail of this client could neither be delivered nor returned; \
                 its administrator is to look at: smarthost queue list --held",
            )),
            Question::Mail(mail) => match self
                .server
                .dispatch
                .spool()
                .has_room(mail.size.unwrap_or_default())
            {
                Ok(()) => {
                    self.about = Some(About::new(mail.sender()));
                    self.transaction = Some(Transaction::new(mail.clone()));
                    Verdict::Accept
                }
                Err(error) => Verdict::Refuse(no_room(&self.server, &error)),
            },
            Question::Recipient(rcpt) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.add(rcpt.clone());
                    if let Some(about) = &mut self.about {
                        about.add(rcpt.to.address());
                    }
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
        let ours = self.is_ours();
        let Some(transaction) = &mut self.transaction else {
            return Verdict::Refuse(Reply::literal("503 5.5.1 Error: need MAIL command"));
        };
        match self.server.dispatch.spool().draft() {
            Ok(draft) => {
                transaction.begin(draft, ours);
                Verdict::Accept
            }
            Err(error) => Verdict::Refuse(no_room(&self.server, &error)),
        }
    }
}
