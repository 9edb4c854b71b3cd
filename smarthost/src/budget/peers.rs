//! The smarthosts that share the budget, as this node has heard of them. Pure.
//!
//! Contract: a name is here only if a smarthost of that name has told the store that it is there.
//! The store may forget them; here they are kept, and so is which of them an administrator has said
//! to be gone for good, until it comes back. A store that lacks any of that is told, before this
//! node says that it has told all: of two nodes that know something of a third one, the one whose
//! news are newer is believed, before anything is granted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::protocol::Millis;

/// At most.
const MOST: usize = 256;
/// Whoever was heard so lately is there.
const LIVES: Millis = 10_000;
/// It is noted anew after so long.
const NOTED: Millis = 3_600_000;

/// In the place of its process: a node that is gone for good.
pub(super) const FORGOTTEN: &str = "forgotten";
/// A node that another one has heard, but this store has not.
const HEARSAY: &str = "-";

/// What the store has of a node: its process, when it was there last, and its limits.
pub(super) fn said(text: &str) -> (&str, Millis, &str) {
    let mut words = text.splitn(3, ' ');
    let process = words.next().unwrap_or_default();
    let at = words.next().and_then(|at| at.parse().ok()).unwrap_or(0);
    (process, at, words.next().unwrap_or_default())
}

/// Whether that was said by the node itself.
pub(super) fn is_its_own(process: &str) -> bool {
    !matches!(process, "" | FORGOTTEN | HEARSAY)
}

/// What the store lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lacking {
    pub(crate) node: String,
    pub(crate) at: Millis,
    /// It is gone for good since, and they were so many with it; `None`: it was heard then.
    pub(crate) gone: Option<u32>,
}

/// One that is gone for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Gone {
    /// Since.
    at: Millis,
    /// So many they were with it.
    were: u32,
}

impl Gone {
    /// `forgotten TIME NODES`, in the store and on the disk.
    fn parse(text: &str) -> Option<Self> {
        let (process, at, were) = said(text);
        let were = were.parse().unwrap_or(0);
        (process == FORGOTTEN).then_some(Self { at, were })
    }
}

/// When each was heard last, by the store's clock.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    heard: BTreeMap<String, Millis>,
    gone: BTreeMap<String, Gone>,
    /// As it is on the disk.
    noted: BTreeMap<String, Millis>,
    dirty: BTreeSet<String>,
}

impl Peers {
    /// All that the store has of the nodes; what it lacks.
    pub(super) fn meet(
        &mut self,
        nodes: &HashMap<String, String>,
        me: &str,
        now: Millis,
    ) -> Vec<Lacking> {
        for (node, text) in nodes {
            let (process, at, _) = said(text);
            let newer = self.gone.get(node).is_none_or(|gone| at > gone.at);
            match Gone::parse(text) {
                Some(gone) if newer && self.heard.get(node).is_none_or(|heard| *heard <= at) => {
                    self.forget(node, gone.at, gone.were);
                }
                None if newer || is_its_own(process) && now.abs_diff(at) < LIVES => {
                    self.hear(node, process, at);
                }
                _ => {}
            }
        }
        self.hear(me, "this", now);
        self.lacking(nodes, now)
    }

    fn lacking(&self, nodes: &HashMap<String, String>, now: Millis) -> Vec<Lacking> {
        let newest = |node: &str| {
            let (process, at, _) = said(nodes.get(node)?);
            let is_there = is_its_own(process) && now.abs_diff(at) < LIVES;
            Some((process, if is_there { Millis::MAX } else { at }))
        };
        let gone = self.gone.iter().filter_map(|(node, gone)| {
            let lacks = newest(node).is_none_or(|(_, at)| at < gone.at);
            lacks.then(|| Lacking {
                node: node.clone(),
                at: gone.at,
                gone: Some(gone.were),
            })
        });
        let heard = self.heard.iter().filter_map(|(node, heard)| {
            let there = newest(node);
            let lacks = there.is_none_or(|(process, at)| process == FORGOTTEN && at < *heard);
            lacks.then(|| Lacking {
                node: node.clone(),
                at: *heard,
                gone: None,
            })
        });
        gone.chain(heard).collect()
    }

    /// One was there then.
    fn hear(&mut self, node: &str, process: &str, at: Millis) {
        if self.heard.len() >= MOST && !self.heard.contains_key(node) {
            return;
        }
        // What others have heard may be older than what was heard here.
        let known = self.heard.get(node).copied().unwrap_or_default();
        let at = if is_its_own(process) {
            at
        } else {
            at.max(known)
        };
        if self.gone.remove(node).is_some() {
            self.dirty.insert(node.to_owned());
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
        let heard = self.heard.get(node).or_else(|| {
            let gone = self.gone.get(node);
            gone.map(|gone| &gone.at)
        });
        let why = match heard {
            _ if node == me => "is this smarthost itself".to_owned(),
            None => "is no smarthost that was ever heard here".to_owned(),
            Some(at) if now.abs_diff(*at) < LIVES && !self.gone.contains_key(node) => {
                "is there".to_owned()
            }
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

    /// So many they are with one of them that is to be forgotten.
    pub(super) fn with(&self, node: &str, nodes: u32) -> u32 {
        let known = u32::try_from(self.heard.len()).unwrap_or(u32::MAX);
        let were = self.gone.get(node).map_or(0, |gone| gone.were);
        known.max(nodes).max(were)
    }

    /// It is gone for good since then, and they were so many with it.
    pub(super) fn forget(&mut self, node: &str, at: Millis, were: u32) {
        if self.gone.len() >= MOST && !self.gone.contains_key(node) {
            return;
        }
        self.noted.remove(node);
        self.heard.remove(node);
        self.gone.insert(node.to_owned(), Gone { at, were });
        self.dirty.insert(node.to_owned());
    }

    pub(super) fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let dirty = std::mem::take(&mut self.dirty).into_iter();
        let row = |node: &str| match (self.gone.get(node), self.noted.get(node)) {
            (Some(Gone { at, were }), _) => Some(format!("{FORGOTTEN} {at} {were}")),
            (None, noted) => noted.map(ToString::to_string),
        };
        dirty.map(|node| (node.clone(), row(&node))).collect()
    }

    /// `false`: it cannot be read.
    pub(super) fn restore(&mut self, node: &str, at: &str) -> bool {
        if let Some(gone) = Gone::parse(at) {
            self.gone.insert(node.to_owned(), gone);
            return true;
        }
        let Ok(at) = at.parse() else { return false };
        self.heard.insert(node.to_owned(), at);
        self.noted.insert(node.to_owned(), at);
        true
    }

    /// What was kept is lost on the disk.
    pub(super) fn all_changed(&mut self) {
        let all = self.noted.keys().chain(self.gone.keys());
        self.dirty.extend(all.cloned());
    }
}
