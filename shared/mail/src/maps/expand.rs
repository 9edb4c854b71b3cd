//! Following names through a table: chains, lists, loops.
//!
//! Contract: total and bounded ([`limits::EXPANDED`], [`MAX_DEPTH`]); each name is followed once,
//! each result given once, in order.
//! A name whose values hold itself means itself there, as in Postfix; `\\name` means that name, not
//! followed. A catch-all is followed once on each way.
//! Failures: a chain that comes back to itself, more results than allowed, or none. Whoever asks
//! for what is left of a list gets the others of it, and which chains come back ([`expand_rest`]).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{borrow::Cow, collections::HashSet, fmt, path::Path, sync::Arc};

use crate::{
    address::{LocalPart, Mailbox},
    limits,
    maps::{Entry, Table, Target},
};

/// Longest chain.
const MAX_DEPTH: usize = 100;
/// What is wrong with an alias that has entries, and no recipient.
pub const NOBODY: &str = "it stands for nobody: what it includes names no recipient";
/// Most chains of one name that are told.
const LOOPS: usize = 5;
/// Stands for the catch-all on a way; no name can be so.
const CATCH_ALL: &str = "";

/// Why a name cannot be expanded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpandError {
    /// A chain that comes back to itself; the names on it.
    Loop(Vec<String>),
    /// More results, or a longer chain, than allowed.
    TooMany,
    /// There is no result.
    Nobody,
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop(names) => {
                write!(f, "the alias comes back to itself: {}", names.join(" -> "))
            }
            Self::TooMany => write!(
                f,
                "the alias has more than {} results or a chain of more than {MAX_DEPTH} names",
                limits::EXPANDED
            ),
            Self::Nobody => f.write_str(NOBODY),
        }
    }
}
impl std::error::Error for ExpandError {}

/// Follows a name through the table until nothing changes. What is no name is given as it is; of
/// the results, none is a
/// [`Target::Final`].
pub fn expand(table: &Table, name: &LocalPart) -> Result<Vec<Target>, ExpandError> {
    let results = expand_with_files(table, name)?;
    Ok(results.into_iter().map(|(target, _)| target).collect())
}

/// A result, and the file that names it.
pub type Named = (Target, Option<Arc<Path>>);

/// The same, each result with the file that names it; none for a name that has no entry.
pub fn expand_with_files(table: &Table, name: &LocalPart) -> Result<Vec<Named>, ExpandError> {
    let expansion = followed(table, name)?;
    match expansion.loops.into_iter().next() {
        Some(names) => Err(ExpandError::Loop(names)),
        None => Ok(expansion.results),
    }
}

/// What a name stands for without the chains that come back to themselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rest {
    pub targets: Vec<Target>,
    /// These chains, if any do; the first few.
    pub loops: Vec<ExpandError>,
    /// The names that lead nowhere else.
    pub unserved: Vec<LocalPart>,
    /// The names that refuse mail, and why.
    pub refused: Vec<(LocalPart, String)>,
}

/// Follows a name as [`expand`] does. A chain that comes back to itself is an error only if the
/// name stands for nobody else. Names that refuse mail are among the targets, too.
pub fn expand_rest(table: &Table, name: &LocalPart) -> Result<Rest, ExpandError> {
    let expansion = followed(table, name)?;
    let targets = expansion.results.into_iter().map(|(target, _)| target);
    Ok(Rest {
        targets: targets.collect(),
        loops: expansion.loops.into_iter().map(ExpandError::Loop).collect(),
        unserved: expansion.unserved,
        refused: expansion.refused,
    })
}

/// Whether a name can be followed, and how many steps that took.
pub fn tried(table: &Table, name: &LocalPart) -> (Result<(), ExpandError>, usize) {
    let mut expansion = Expansion::new(table);
    let followed = expansion.follow(name);
    let steps = expansion.steps;
    let whole = followed.and_then(|()| expansion.ended());
    let tried = whole.and_then(|it| match it.loops.into_iter().next() {
        Some(names) => Err(ExpandError::Loop(names)),
        None => Ok(()),
    });
    (tried, steps)
}

fn followed<'a>(table: &'a Table, name: &LocalPart) -> Result<Expansion<'a>, ExpandError> {
    let mut expansion = Expansion::new(table);
    expansion.follow(name)?;
    expansion.ended()
}

struct Expansion<'a> {
    table: &'a Table,
    /// Names on the way to where we are, in lower case.
    path: Vec<String>,
    followed: HashSet<String>,
    given: HashSet<String>,
    results: Vec<Named>,
    /// So often a way has led to somebody, known or not.
    led: usize,
    loops: Vec<Vec<String>>,
    unserved: Vec<LocalPart>,
    refused: Vec<(LocalPart, String)>,
    /// So many names and results were looked at.
    steps: usize,
}

impl<'a> Expansion<'a> {
    fn new(table: &'a Table) -> Self {
        Self {
            table,
            path: Vec::new(),
            followed: HashSet::new(),
            given: HashSet::new(),
            results: Vec::new(),
            led: 0,
            loops: Vec::new(),
            unserved: Vec::new(),
            refused: Vec::new(),
            steps: 0,
        }
    }

    /// An error if it led to nobody.
    fn ended(self) -> Result<Self, ExpandError> {
        if !self.results.is_empty() {
            return Ok(self);
        }
        let first = self.loops.into_iter().next();
        Err(first.map_or(ExpandError::Nobody, ExpandError::Loop))
    }

    fn follow(&mut self, name: &LocalPart) -> Result<(), ExpandError> {
        let itself = || Target::Mailbox(Mailbox::Local(name.clone()));
        let mut key = name.as_str().to_lowercase();
        self.steps = self.steps.saturating_add(1);
        // Its entry, which may be long, is not read again.
        if self.followed.contains(&key) && self.path.last() != Some(&key) {
            self.again(key);
            return Ok(());
        }
        let mut entry = self.table.named(&key);
        if entry.is_none() && !self.path.iter().any(|on_path| on_path == CATCH_ALL) {
            entry = self.table.catch_all.as_ref().map(Cow::Borrowed);
            CATCH_ALL.clone_into(&mut key);
        }
        let Some(entry) = entry else {
            return self.give(itself(), None);
        };
        if self.path.last() == Some(&key) {
            return self.give(itself(), Some(&entry));
        }
        if !self.followed.insert(key.clone()) {
            self.again(key);
            return Ok(());
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(ExpandError::TooMany);
        }
        self.path.push(key);
        let before = (self.led, self.loops.len(), self.unserved.len());
        for target in &entry.targets {
            match target {
                Target::Mailbox(Mailbox::Local(name)) => self.follow(name)?,
                Target::Final(mailbox) => {
                    self.give(Target::Mailbox(mailbox.clone()), Some(&entry))?;
                }
                other => {
                    if let Target::Refusal(why) = other {
                        self.refused.push((name.clone(), why.clone()));
                    }
                    self.give(other.clone(), Some(&entry))?;
                }
            }
        }
        self.path.pop();
        if self.led == before.0 && self.loops.len() > before.1 {
            // Instead of what leads nowhere behind it.
            self.unserved.truncate(before.2);
            self.unserved.push(name.clone());
        }
        Ok(())
    }

    /// A name that was followed before: on this way, or on another one.
    fn again(&mut self, key: String) {
        match self.path.iter().position(|on_path| *on_path == key) {
            None => self.led = self.led.saturating_add(1),
            Some(start) if self.loops.len() < LOOPS => {
                let names = self.path.iter().skip(start).cloned();
                self.loops.push(names.chain([key]).collect());
            }
            Some(_) => {}
        }
    }

    fn give(&mut self, target: Target, entry: Option<&Entry>) -> Result<(), ExpandError> {
        self.steps = self.steps.saturating_add(1);
        let key = match &target {
            Target::Mailbox(mailbox) => mailbox.key(),
            other => other.to_string(),
        };
        self.led = self.led.saturating_add(1);
        if self.given.insert(key) {
            let file = entry.map(|entry| Arc::clone(&entry.path));
            self.results.push((target, file));
        }
        if self.results.len() > limits::EXPANDED {
            Err(ExpandError::TooMany)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    fn table(text: &str) -> Table {
        Table::aliases(PathBuf::from("aliases"), text).0
    }

    fn follow(table: &Table, name: &str) -> Result<Vec<String>, ExpandError> {
        let results = expand(table, &LocalPart::new(name).unwrap())?;
        Ok(results.iter().map(ToString::to_string).collect())
    }

    fn expanded(text: &str, name: &str) -> Vec<String> {
        follow(&table(text), name).unwrap()
    }

    /// Rows A2, B9, B18, D2.
    #[test]
    fn a_chain_of_role_accounts_ends_at_the_administrators_address() {
        let text = "mailer-daemon: postmaster\npostmaster: root\nnobody: ROOT\nroot: list@example.org\nsecurity: sec@example.org";
        for name in ["mailer-daemon", "Postmaster", "nobody", "root"] {
            assert_eq!(expanded(text, name), ["list@example.org"]);
        }
        assert_eq!(expanded(text, "security"), ["sec@example.org"]);
        assert_eq!(expanded(text, "somebody"), ["somebody"]);
    }

    #[test]
    fn lists_give_each_address_once_in_order() {
        let text = "all: a, b, x@y\na: c, d@z\nb: c, |prog, /file, :include:/list\nc: D@z, e";
        assert_eq!(
            expanded(text, "all"),
            ["D@z", "e", "|prog", "/file", ":include:/list", "x@y"]
        );
    }

    #[test]
    fn a_loop_is_an_error_that_names_the_chain_but_a_name_may_mean_itself() {
        let looped = follow(&table("a: b\nb: c, x@y\nc: B"), "a").unwrap_err();
        assert_eq!(
            looped,
            ExpandError::Loop(vec!["b".into(), "c".into(), "b".into()])
        );
        assert_eq!(
            looped.to_string(),
            "the alias comes back to itself: b -> c -> b"
        );
        assert_eq!(expanded("root: root, a@x", "root"), ["root", "a@x"]);
        assert_eq!(
            expanded("root: \\root, a@x\nother: \\root", "other"),
            ["root"]
        );
    }

    #[test]
    fn the_others_of_a_list_are_found_where_one_of_its_names_comes_back_to_itself() {
        let rest = |text: &str| {
            let rest = expand_rest(&table(text), &LocalPart::new("team").unwrap())?;
            let text = |loops: &[ExpandError]| loops.iter().map(ToString::to_string).collect();
            let loops: Vec<String> = text(&rest.loops);
            let targets: Vec<_> = rest.targets.iter().map(ToString::to_string).collect();
            let unserved: Vec<_> = rest.unserved.iter().map(ToString::to_string).collect();
            Ok::<_, ExpandError>((targets.join(" "), loops.join("; "), unserved.join(" ")))
        };
        let told = |chain: &str| format!("the alias comes back to itself: {chain}");
        for (text, targets, chain, unserved) in [
            (
                "team: ann, bob, ops\nops: carl, team",
                "ann bob carl",
                "team -> ops -> team",
                "",
            ),
            (
                "team: a, b\na: b, ann\nb: a, bob",
                "bob ann",
                "a -> b -> a",
                "",
            ),
            (
                "team: ann, a, bob\na: b\nb: a",
                "ann bob",
                "a -> b -> a",
                "a",
            ),
            (
                "team: x, ann\nx: a, y\na: b\nb: a\ny: bob",
                "bob ann",
                "a -> b -> a",
                "a",
            ),
        ] {
            let expected = (targets.to_owned(), told(chain), unserved.to_owned());
            assert_eq!(rest(text), Ok(expected), "{text}");
            assert!(follow(&table(text), "team").is_err(), "{text}");
        }
        let none = rest("team: a\na: team").unwrap_err();
        assert_eq!(none.to_string(), told("team -> a -> team"));
        assert_eq!(
            rest("team: ann"),
            Ok(("ann".into(), String::new(), String::new()))
        );
    }

    #[test]
    fn a_catch_all_takes_the_names_that_have_no_entry_of_their_own_and_stops_there() {
        let client = |text: &str, name: &str| {
            let (table, problems) = Table::client_aliases(PathBuf::from("aliases"), text);
            assert_eq!(problems, []);
            follow(&table, name).unwrap()
        };
        for text in [
            "postmaster: root\n*: ops@x",
            "postmaster: root\ndefault: ops@x",
            "DEFAULT: boss\npostmaster: root\nboss: ops@x",
        ] {
            for name in ["postmaster", "root", "smartd"] {
                assert_eq!(client(text, name), ["ops@x"], "{text}: {name}");
            }
        }
        assert_eq!(client("*: keeper", "root"), ["keeper"]);
        assert_eq!(
            client("all: a, b, c@x\n*: keeper, d@x", "all"),
            ["keeper", "d@x", "c@x"]
        );
        assert_eq!(client("root: a@x\n*: b@x", "root"), ["a@x"]);
        // A server's table knows none (row B3).
        assert_eq!(expanded("root: a@x\ndefault: b@x\n", "smartd"), ["smartd"]);
    }

    #[test]
    fn a_list_of_ten_thousand_members_is_followed() {
        let members: Vec<String> = (0..10_000).map(|n| format!("m{n}@x.example")).collect();
        let text = format!("all: {}\n", members.join(", "));
        assert_eq!(expanded(&text, "all"), members);
    }

    #[test]
    fn expansion_is_bounded_in_breadth_and_depth() {
        let wide: Vec<String> = (0..=limits::EXPANDED).map(|n| format!("u{n}@x")).collect();
        assert_eq!(
            follow(&table(&format!("all: {}", wide.join(","))), "all"),
            Err(ExpandError::TooMany)
        );
        let deep: Vec<String> = (0..200).map(|n| format!("n{n}: n{}\n", n + 1)).collect();
        let deep = deep.concat();
        assert_eq!(follow(&table(&deep), "n0"), Err(ExpandError::TooMany));
        assert_eq!(expanded(&deep, "n150"), ["n200"]);
        // Doubling at each step ends after 60 names, not after 2^60.
        let doubling: Vec<String> = (0..60)
            .map(|n| format!("n{n}: n{0}, n{0}\n", n + 1))
            .collect();
        let doubling = doubling.concat();
        assert_eq!(expanded(&doubling, "n0"), ["n60"]);
    }

    proptest! {
        #[test]
        fn any_table_expands_or_fails_within_its_bounds(text in "([a-e]: [a-e]{1}(, [a-e@]{1,2})?\n){0,12}", name in "[a-e]") {
            if let Ok(results) = follow(&table(&text), &name) {
                prop_assert!(results.len() <= limits::EXPANDED);
            }
        }
    }
}
