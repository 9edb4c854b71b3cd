//! The chain: which restrictions run at which stage, and how one that asks is resumed.

use std::{net::IpAddr, sync::Arc};

use shared::{
    maps::Table,
    smtp::session::{Question, Verdict},
};

use crate::{config::Config, limits};

/// What is known of a session when a question is decided.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The client; IPv4-mapped addresses are taken as IPv4.
    pub client: IpAddr,
    /// Name from the greeting, once given.
    pub helo: Option<&'a str>,
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
pub struct Policy {}

impl Policy {
    pub fn new(_config: &Config, _aliases: Arc<Table>) -> Self {
        todo!()
    }

    /// Whether this client may relay anywhere.
    pub fn may_relay(&self, _client: IpAddr) -> bool {
        todo!()
    }

    /// Begins to decide a question.
    pub fn evaluate(&self, _facts: &Facts<'_>, _question: &Question) -> Evaluation {
        todo!()
    }
}

/// A chain on its way.
#[derive(Debug)]
pub struct Evaluation {}

impl Evaluation {
    pub fn step(&mut self) -> Step {
        todo!()
    }
    pub fn answer(&mut self, _answer: Answer) {
        todo!()
    }
}
