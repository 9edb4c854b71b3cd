//! The chain: which restrictions run at which stage, and how those that ask are resumed.

use std::{net::IpAddr, sync::Arc};

use smtp::session::{Question, Verdict};

use crate::{
    config::Config,
    limits,
    network::Networks,
    policy::{
        Facts,
        restrictions::{self, Opinion, Restriction},
    },
    route::Router,
};

/// What the world has to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query {
    /// One message more of this client ([`limits::Limits::begin`]).
    Message(IpAddr),
    /// One recipient more of its message ([`limits::Limits::recipient`]).
    Recipient(IpAddr),
}

/// The world's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Limit(limits::Decision),
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Find out all of these, at the same time if possible; say each with [`Evaluation::answer`], then [`Evaluation::step`]
    /// again.
    Ask(Vec<Query>),
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
    pub fn new(config: &Config, router: Router) -> Self {
        Self {
            networks: Arc::new(config.networks.clone()),
            router,
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
    pub fn evaluate(&self, facts: Facts, question: &Question) -> Evaluation {
        let chain = match question {
            Question::Connect | Question::Helo { .. } | Question::Data => restrictions::NONE,
            Question::Mail(_) => restrictions::MAIL,
            Question::Recipient(_) => restrictions::RECIPIENT,
            Question::Message { .. } => restrictions::MESSAGE,
        };
        Evaluation::new(self.clone(), facts, chain)
    }
}

/// What the world has answered so far.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<(Query, Answer)>);

impl Answers {
    pub(super) fn get(&self, query: Query) -> Option<&Answer> {
        let found = self.0.iter().find(|(asked, _)| *asked == query);
        found.map(|(_, answer)| answer)
    }
}

/// A chain on its way.
#[derive(Debug)]
pub struct Evaluation {
    policy: Policy,
    facts: Facts,
    /// What has not decided yet.
    chain: &'static [Restriction],
    answers: Answers,
}

impl Evaluation {
    pub(super) fn new(policy: Policy, facts: Facts, chain: &'static [Restriction]) -> Self {
        Self {
            policy,
            facts,
            chain,
            answers: Answers::default(),
        }
    }

    /// Runs restrictions until one asks or decides, or all have passed. With the first that asks, those behind it ask too
    /// that only look something up.
    pub fn step(&mut self) -> Step {
        while let Some((restriction, rest)) = self.chain.split_first() {
            match self.judge(restriction) {
                Opinion::Ask(queries) => return Step::Ask(self.look_ahead(queries, rest)),
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

    fn judge(&self, restriction: &Restriction) -> Opinion {
        (restriction.judge)(&self.policy, &self.facts, &self.answers)
    }

    fn look_ahead(&self, mut queries: Vec<Query>, rest: &[Restriction]) -> Vec<Query> {
        for restriction in rest.iter().filter(|restriction| restriction.looks_up) {
            if let Opinion::Ask(more) = self.judge(restriction) {
                queries.extend(more);
            }
        }
        let mut asked = Vec::with_capacity(queries.len());
        for query in queries {
            if !asked.contains(&query) && self.answers.get(query).is_none() {
                asked.push(query);
            }
        }
        asked
    }

    /// What the world answered to one of [`Step::Ask`].
    pub fn answer(&mut self, query: Query, answer: Answer) {
        self.answers.0.push((query, answer));
    }
}
