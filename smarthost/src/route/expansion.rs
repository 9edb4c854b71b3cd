//! Following a recipient through virtual aliases and aliases until nothing changes.
//!
//! Contract: bounded; each address is followed once and given once. One whose own entry names it
//! ends there (virtual(5): an identity protects a user). Failures: a chain that comes back to
//! itself otherwise, one without end, or one that ends at nobody; nothing is given by halves.

use std::{collections::HashSet, sync::Arc};

use mail::{address::Address, limits, outcome::Failure};

use super::{
    Router,
    failures::{nobody, unusable},
};
use crate::{destination::Destination, lookup::Place};

/// Longest chain. Postfix: `virtual_alias_recursion_limit`, 1000.
const MAX_DEPTH: usize = 100;

impl Router {
    /// The addresses that stand for one after aliases: itself, if there is none. Those of a long
    /// list are found once.
    pub(super) fn members(&self, address: &Address) -> Result<Arc<[Address]>, Failure> {
        // As it was written: patterns may tell small letters from capitals.
        let key = address.as_str();
        if let Some(known) = self.expansions.of(key) {
            return Ok(known);
        }
        let members = Expansion::of(self, address)?.into();
        self.expansions.keep(key, &members);
        Ok(members)
    }
}

pub(super) struct Expansion<'a> {
    router: &'a Router,
    recipient: &'a Address,
    /// Addresses on the way to where we are, and whether their own entry names them.
    path: Vec<(String, bool)>,
    /// All that were met.
    seen: HashSet<String>,
    pub(super) results: Vec<Address>,
    /// No more are wanted.
    enough: usize,
    /// How it came about, where somebody wants to know.
    steps: Option<Vec<Step>>,
}

/// One address, and what it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub address: Address,
    /// The entries that say so, and what is written there.
    pub entries: Vec<(Place, String)>,
    pub becomes: Vec<Address>,
    pub programs: Vec<Destination>,
}

impl<'a> Expansion<'a> {
    pub(super) fn of(router: &'a Router, recipient: &'a Address) -> Result<Vec<Address>, Failure> {
        Self::new(router, recipient).whole()
    }

    /// The same where two are as good as all.
    pub(super) fn of_two(
        router: &'a Router,
        recipient: &'a Address,
    ) -> Result<Vec<Address>, Failure> {
        let mut expansion = Self::new(router, recipient);
        expansion.enough = 2;
        expansion.whole()
    }

    /// The same with each step on the way, also where it ends in a failure.
    pub(super) fn explained(
        router: &'a Router,
        recipient: &'a Address,
    ) -> (Vec<Step>, Result<Vec<Address>, Failure>) {
        let mut expansion = Self::new(router, recipient);
        expansion.steps = Some(Vec::new());
        let results = expansion.whole();
        (expansion.steps.unwrap_or_default(), results)
    }

    fn whole(&mut self) -> Result<Vec<Address>, Failure> {
        self.follow(self.recipient.clone())?;
        if self.results.is_empty() {
            return Err(nobody(self.recipient));
        }
        Ok(std::mem::take(&mut self.results))
    }

    fn new(router: &'a Router, recipient: &'a Address) -> Self {
        Self {
            router,
            recipient,
            path: Vec::new(),
            seen: HashSet::new(),
            results: Vec::new(),
            enough: usize::MAX,
            steps: None,
        }
    }

    fn follow(&mut self, address: Address) -> Result<(), Failure> {
        if self.results.len() >= self.enough {
            return Ok(());
        }
        let key = address.key();
        if let Some(start) = self.path.iter().position(|(on_path, _)| *on_path == key) {
            return match self.path.get(start) {
                Some((_, true)) => Ok(()),
                _ => Err(self.circle(start, &key)),
            };
        }
        if !self.seen.insert(key.clone()) {
            return Ok(());
        }
        if self.seen.len() > limits::EXPANDED {
            let why = format!("it stands for more than {} addresses", limits::EXPANDED);
            return Err(unusable(self.recipient, &why));
        }
        let Some(targets) = self.router.stands_for(&address)? else {
            self.results.push(address);
            return Ok(());
        };
        if let Some(steps) = &mut self.steps {
            steps.push(Step {
                entries: self.router.entries(&address),
                address: address.clone(),
                becomes: targets.addresses.clone(),
                programs: targets.programs.clone(),
            });
        }
        if self.path.len() >= MAX_DEPTH {
            let why = format!("the chain has more than {MAX_DEPTH} addresses");
            return Err(unusable(self.recipient, &why));
        }
        let itself = targets.addresses.iter().any(|target| target.key() == key);
        // What a program gets stays under the alias's own address: which it is, is asked when it is
        // delivered.
        let copies = targets.programs.len() + usize::from(itself);
        self.results.extend(vec![address; copies]);
        self.path.push((key, itself));
        for target in targets.addresses {
            self.follow(target)?;
        }
        self.path.pop();
        Ok(())
    }

    fn circle(&self, start: usize, key: &str) -> Failure {
        let circle = self.path.iter().skip(start).map(|(key, _)| key.as_str());
        let names: Vec<_> = circle.chain([key]).collect();
        let why = format!("it comes back to itself: {}", names.join(" -> "));
        unusable(self.recipient, &why)
    }
}
