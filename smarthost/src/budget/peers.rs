//! The smarthosts that share the budget, as this node has heard of them. Pure.
//!
//! Contract: a name is here only if a smarthost of that name has told the store that it is there.
//! The store may forget them; here they are kept until an administrator says that one is gone for
//! good.

use std::collections::{BTreeMap, BTreeSet};

use super::protocol::Millis;

/// At most.
const MOST: usize = 256;
/// Whoever was heard so lately is there.
const LIVES: Millis = 10_000;
/// It is noted anew after so long.
const NOTED: Millis = 3_600_000;

/// When each was heard last, by the store's clock.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    heard: BTreeMap<String, Millis>,
    /// As it is on the disk.
    noted: BTreeMap<String, Millis>,
    dirty: BTreeSet<String>,
}

impl Peers {
    /// One was there then.
    pub(super) fn hear(&mut self, node: &str, at: Millis) {
        if self.heard.len() >= MOST && !self.heard.contains_key(node) {
            return;
        }
        self.heard.insert(node.to_owned(), at);
        let noted = self.noted.get(node);
        if noted.is_none_or(|noted| noted.abs_diff(at) >= NOTED) {
            self.noted.insert(node.to_owned(), at);
            self.dirty.insert(node.to_owned());
        }
    }

    /// Why one cannot be forgotten; `me` and `now` by the store's clock.
    pub(super) fn refuses(&self, node: &str, me: &str, now: Millis) -> Option<String> {
        let why = match self.heard.get(node) {
            _ if node == me => "is this smarthost itself".to_owned(),
            None => "is no smarthost that was ever heard here".to_owned(),
            Some(at) if now.abs_diff(*at) < LIVES => "is there".to_owned(),
            Some(_) => return None,
        };
        let all = self.heard.iter().map(|(name, at)| {
            let ago = now.abs_diff(*at) / 1000;
            let what = if name == me {
                "this one".to_owned()
            } else {
                format!("heard {ago} s ago")
            };
            format!("{name} ({what})")
        });
        let all: Vec<_> = all.collect();
        Some(format!(
            "`{}` {why}; those that share the budget: {}",
            node.escape_debug(),
            all.join(", ")
        ))
    }

    /// So many are known.
    pub(super) fn len(&self) -> usize {
        self.heard.len()
    }

    /// It is gone for good.
    pub(super) fn forget(&mut self, node: &str) {
        self.noted.remove(node);
        if self.heard.remove(node).is_some() {
            self.dirty.insert(node.to_owned());
        }
    }

    pub(super) fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty).into_iter();
        let row = |node: &str| self.noted.get(node).map(ToString::to_string);
        dirty.map(|node| (node.clone(), row(&node))).collect()
    }

    /// `false`: it cannot be read.
    pub(super) fn restore(&mut self, node: &str, at: &str) -> bool {
        let Ok(at) = at.parse() else { return false };
        self.heard.insert(node.to_owned(), at);
        self.noted.insert(node.to_owned(), at);
        true
    }

    /// What was kept is lost on the disk.
    pub(super) fn all_changed(&mut self) {
        self.dirty.extend(self.noted.keys().cloned());
    }
}
