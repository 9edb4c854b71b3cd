//! A chain on its way: what its rules come to together, and how those that ask are resumed.

use std::sync::Arc;

use mail::masked::free_text;
use smtp::{
    reply::Reply,
    session::{Question, Verdict},
};

use super::{
    Answer, Facts, Policy, Query,
    chain::Stage,
    restrictions,
    rule::{Restriction, Rule},
    trace::{Because, Effect, Judged, Named, Notes, Origin, Trace},
    view::{Answers, Opinion, View},
};

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Find out all of these, at the same time if possible; say each with [`Evaluation::answer`],
    /// then [`Evaluation::step`] again.
    Ask(Vec<Query>),
    Done(Ruling),
}

/// A decision, and which restriction made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    pub verdict: Verdict,
    /// For the log; `None` where the chain ended.
    pub restriction: Option<String>,
    /// What else is to be done.
    pub effects: Vec<Effect>,
}

impl Policy {
    /// Begins to decide a question.
    pub fn evaluate(&self, facts: Facts, question: &Question) -> Evaluation {
        let stage = match question {
            Question::Connect
            | Question::Helo { .. }
            | Question::Auth
            | Question::Login(_)
            | Question::Client(_)
            | Question::Enroll(_)
            | Question::Data => Stage::None,
            Question::Mail(_) => Stage::Mail,
            Question::Recipient(_) => Stage::Recipient,
            Question::Message { .. } => Stage::Message,
        };
        Evaluation {
            policy: self.clone(),
            facts,
            stage,
            at: 0,
            inserted: Vec::new(),
            answers: Answers::default(),
            deferral: None,
            effects: Vec::new(),
            trace: None,
        }
    }
}

/// A chain on its way.
#[derive(Debug)]
pub struct Evaluation {
    policy: Policy,
    facts: Facts,
    stage: Stage,
    /// The rule that has not decided yet.
    at: usize,
    /// Rules that an entry of a table named; they come before it, the next one last.
    inserted: Vec<Arc<Rule>>,
    answers: Answers,
    /// Some trouble; a yes becomes this.
    deferral: Option<(Reply, String)>,
    effects: Vec<Effect>,
    /// What each rule thought, where somebody wants to know.
    trace: Option<Vec<(Option<usize>, Judged)>>,
}

impl Evaluation {
    /// Runs rules until one asks or decides, or all have passed. With the first that asks, those
    /// behind it ask too that only look something up.
    pub fn step(&mut self) -> Step {
        while let Some(rule) = self.current() {
            let (opinion, because) = self.judge(&rule);
            if let Opinion::Ask(queries) = opinion {
                return Step::Ask(self.look_ahead(queries));
            }
            self.note(&rule, &opinion, because);
            let always = self.at >= self.policy.chain(self.stage).always;
            if self.inserted.pop().is_none() {
                self.at = self.at.saturating_add(1);
            }
            match opinion {
                Opinion::Ask(_) | Opinion::Pass => {}
                Opinion::Permit if always => {}
                Opinion::Permit => {
                    self.inserted.clear();
                    self.at = self.policy.chain(self.stage).always;
                }
                Opinion::Refuse(reply) | Opinion::DeferIfPermit(reply) if rule.warn => {
                    self.effects.push(Effect::WouldReject(reply));
                }
                Opinion::Note(effect) => self.effects.push(effect),
                Opinion::Apply(rules) => self.insert(rules, rule.warn),
                Opinion::DeferIfPermit(reply) => {
                    self.deferral.get_or_insert_with(|| (reply, told(&rule)));
                }
                Opinion::Refuse(reply) => return self.refuse(reply, &rule),
                Opinion::Broken(reply, why) => {
                    self.effects.push(Effect::Warn(why));
                    return self.refuse(reply, &rule);
                }
            }
        }
        Step::Done(Ruling {
            verdict: Verdict::Accept,
            restriction: None,
            effects: std::mem::take(&mut self.effects),
        })
    }

    fn current(&self) -> Option<Arc<Rule>> {
        let chain = self.policy.chain(self.stage);
        self.inserted
            .last()
            .or_else(|| chain.rules.get(self.at))
            .cloned()
    }

    fn insert(&mut self, rules: Vec<Rule>, warn: bool) {
        let warned = rules.into_iter().rev().map(|mut rule| {
            rule.warn |= warn;
            Arc::new(rule)
        });
        self.inserted.extend(warned);
    }

    /// Nothing behind it is asked any more.
    fn refuse(&mut self, reply: Reply, rule: &Rule) -> Step {
        self.inserted.clear();
        self.at = usize::MAX;
        let name = match (&rule.restriction, &self.deferral) {
            (Restriction::Deferral, Some((_, name))) => name.clone(),
            _ => told(rule),
        };
        // As access(5) has it: the client is hung up on.
        let verdict = match reply.code.value() {
            421 | 521 => Verdict::Close(reply),
            _ => Verdict::Refuse(reply),
        };
        Step::Done(Ruling {
            verdict,
            restriction: Some(name),
            effects: std::mem::take(&mut self.effects),
        })
    }

    fn judge(&self, rule: &Rule) -> (Opinion, Because) {
        let notes = Notes::new(self.trace.is_some());
        let view = View {
            policy: &self.policy,
            facts: &self.facts,
            answers: &self.answers,
            deferral: self.deferral.as_ref().map(|(reply, _)| reply),
            notes: &notes,
        };
        let opinion = restrictions::judge(rule, &view);
        (opinion, notes.done())
    }

    /// The same evaluation, which also keeps what each rule thinks: see [`Evaluation::trace`].
    #[must_use]
    pub fn traced(mut self) -> Self {
        self.trace = Some(Vec::new());
        self
    }

    fn note(&mut self, rule: &Rule, opinion: &Opinion, because: Because) {
        if self.trace.is_none() {
            return;
        }
        let at = self.inserted.is_empty().then_some(self.at);
        let (rule, thought) = (self.named(at, told(rule)), opinion.thought(rule.warn));
        if let (Some(trace), Some(thought)) = (&mut self.trace, thought) {
            let judged = Judged {
                rule,
                thought,
                because,
            };
            trace.push((at, judged));
        }
    }

    /// What was thought, after [`Step::Done`]; nothing unless it is [traced](Evaluation::traced).
    pub fn trace(&mut self) -> Trace {
        let judged = self.trace.take().unwrap_or_default();
        let rules = self.policy.chain(self.stage).rules.iter().enumerate();
        let skipped = rules.filter(|(at, _)| judged.iter().all(|(seen, _)| *seen != Some(*at)));
        let skipped = skipped.map(|(at, rule)| self.named(Some(at), told(rule)));
        Trace {
            skipped: skipped.collect(),
            judged: judged.into_iter().map(|(_, judged)| judged).collect(),
        }
    }

    /// A rule at a place of the chain; without one, an entry of a table named it.
    fn named(&self, at: Option<usize>, rule: String) -> Named {
        let always = self.policy.chain(self.stage).always;
        let written = |at: usize| self.stage == Stage::Recipient && (1..always).contains(&at);
        let origin = match at {
            None => Origin::Named,
            Some(at) if written(at) => Origin::Written(at.saturating_sub(1)),
            Some(_) => Origin::Always,
        };
        Named { rule, origin }
    }

    /// What the rules behind would ask, up to one that decides whatever the answers are.
    fn look_ahead(&self, mut queries: Vec<Query>) -> Vec<Query> {
        let inserted = self.inserted.iter().rev();
        let skipped = usize::from(self.inserted.is_empty());
        let chain = self.policy.chain(self.stage).rules.iter();
        let rest = inserted
            .skip(1)
            .chain(chain.skip(self.at.saturating_add(skipped)));
        for rule in rest {
            match self.judge(rule).0 {
                Opinion::Ask(more) if rule.restriction.looks_up() => queries.extend(more),
                Opinion::Permit => break,
                Opinion::Refuse(_) if !rule.warn => break,
                _ => {}
            }
        }
        let mut asked = Vec::with_capacity(queries.len());
        for query in queries {
            if !asked.contains(&query) && self.answers.get(&query).is_none() {
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

/// A rule as logs and answers name it: the name of a list may have a key in it.
fn told(rule: &Rule) -> String {
    free_text(&rule.to_string())
}
