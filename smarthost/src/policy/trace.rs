//! What the chain thought, rule by rule, for an administrator who asks why. Collected beside the
//! chain, and only where somebody asked for it: the daemon pays nothing.

use std::cell::RefCell;

use smtp::reply::Reply;

use super::query::{Answer, Query};
use crate::lookup::{Found, Place};

/// One rule that was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    pub rule: Named,
    pub thought: Thought,
    pub because: Because,
}

/// A rule, and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    pub rule: String,
    pub origin: Origin,
}

/// Where a rule comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The administrator's, by its index in `restrictions`.
    Written(usize),
    /// It holds for everybody, whatever is written.
    Always,
    /// An entry of a table, or a policy server, named it.
    Named,
}

/// What a rule wants besides yes or no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// `warn_if_reject`: this reply would have been given.
    WouldReject(Reply),
    Warn(String),
    Info(String),
    /// The message waits for an administrator.
    Hold(String),
    /// A field above the header.
    Prepend(String),
    /// The recipient could not be verified, and gets small mail all the same.
    Unverified,
}

/// What a rule came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Thought {
    Pass,
    Permit,
    Refuse(Reply),
    /// It would refuse, and is only to warn.
    Warn(Reply),
    DeferIfPermit(Reply),
    Note(Effect),
    /// These decide in its place.
    Apply(Vec<String>),
}

/// Why.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Because {
    /// Entries of tables, and what stands there.
    pub entries: Vec<(Place, String)>,
    /// What the world was asked, and what it said.
    pub asked: Vec<(Query, Answer)>,
    /// Other reasons.
    pub words: Vec<String>,
}

/// A whole chain.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    pub judged: Vec<Judged>,
    /// Those that nobody asked, since others had decided.
    pub skipped: Vec<Named>,
}

/// Where a rule that is asked writes down why; nothing, unless somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct Notes(Option<RefCell<Because>>);

impl Notes {
    pub(super) fn new(wanted: bool) -> Self {
        Self(wanted.then(RefCell::default))
    }

    fn add(&self, add: impl FnOnce(&mut Because)) {
        if let Some(because) = &self.0 {
            add(&mut because.borrow_mut());
        }
    }

    pub(super) fn entry(&self, found: &Found<'_>) {
        self.add(|it| {
            let entry = (found.place.clone(), found.value.clone().into_owned());
            it.entries.push(entry);
        });
    }

    pub(super) fn asked(&self, query: &Query, answer: &Answer) {
        self.add(|it| {
            if it.asked.iter().all(|(known, _)| known != query) {
                it.asked.push((query.clone(), answer.clone()));
            }
        });
    }

    pub(super) fn say(&self, words: impl FnOnce() -> String) {
        self.add(|it| it.words.push(words()));
    }

    pub(super) fn done(self) -> Because {
        self.0.map(RefCell::into_inner).unwrap_or_default()
    }
}
