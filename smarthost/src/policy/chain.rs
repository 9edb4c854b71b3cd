//! The chain: which restrictions run at which stage, and how one that asks is resumed.

use std::{net::IpAddr, sync::Arc};

use mail::maps::Table;
use smtp::session::{Question, Verdict};

use crate::{
    config::Config,
    limits,
    network::Networks,
    policy::restrictions::{self, Opinion, Restriction},
    route::Router,
};

/// What is known of a session when a question is decided.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The client; IPv4-mapped addresses are taken as IPv4.
    pub client: IpAddr,
    /// `Received` fields of the message, at [`Question::Message`].
    pub hops: usize,
}

/// What the world has to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query {
    /// Count one message of this client ([`limits::Limits::count`]).
    Limit(IpAddr),
}

/// The world's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Limit(limits::Decision),
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Find out, call [`Evaluation::answer`], then [`Evaluation::step`] again.
    Ask(Query),
    Done(Ruling),
}

/// A decision, and which restriction made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    pub verdict: Verdict,
    /// For the log; `None` where the chain ended.
    pub restriction: Option<&'static str>,
}

/// The rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    networks: Arc<Networks>,
    router: Router,
}

impl Policy {
    pub fn new(config: &Config, aliases: Arc<Table>) -> Self {
        Self {
            networks: Arc::new(config.networks.clone()),
            router: Router::new(config, aliases),
        }
    }

    /// Whether this client may relay anywhere.
    pub fn may_relay(&self, client: IpAddr) -> bool {
        self.networks.contains(client)
    }

    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// Begins to decide a question.
    pub fn evaluate(&self, facts: &Facts, question: &Question) -> Evaluation {
        let recipient = match question {
            Question::Recipient(rcpt) => rcpt.to.address().cloned(),
            _ => None,
        };
        let chain = match question {
            Question::Connect | Question::Helo { .. } | Question::Data => restrictions::NONE,
            Question::Mail(_) => restrictions::MAIL,
            Question::Recipient(_) => restrictions::RECIPIENT,
            Question::Message { .. } => restrictions::MESSAGE,
        };
        let subject = restrictions::Subject {
            client: facts.client,
            recipient,
            hops: facts.hops,
        };
        Evaluation {
            policy: self.clone(),
            chain,
            subject,
            answer: None,
        }
    }
}

/// A chain on its way.
#[derive(Debug)]
pub struct Evaluation {
    policy: Policy,
    /// What has not decided yet.
    chain: &'static [Restriction],
    subject: restrictions::Subject,
    /// For the first restriction of `chain`, which asked.
    answer: Option<Answer>,
}

impl Evaluation {
    /// Runs restrictions until one asks or decides, or all have passed.
    pub fn step(&mut self) -> Step {
        while let Some((restriction, rest)) = self.chain.split_first() {
            match (restriction.judge)(&self.policy, &self.subject, self.answer.take()) {
                Opinion::Ask(query) => return Step::Ask(query),
                Opinion::Pass => self.chain = rest,
                Opinion::Refuse(reply) => {
                    self.chain = &[];
                    let verdict = Verdict::Refuse(reply);
                    return Step::Done(Ruling {
                        verdict,
                        restriction: Some(restriction.name),
                    });
                }
            }
        }
        Step::Done(Ruling {
            verdict: Verdict::Accept,
            restriction: None,
        })
    }

    /// What the world answered to [`Step::Ask`].
    pub fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }
}
