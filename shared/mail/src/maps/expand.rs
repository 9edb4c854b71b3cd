//! Following names through a table: chains, lists, loops.
//!
//! Contract: total and bounded ([`MAX_RESULTS`], [`MAX_DEPTH`]); each name is followed once, each result given once, in order.
//! A name whose values hold itself means itself there, as in Postfix; `\name` means that name, not followed.
//! Failures: a chain that comes back to itself, or more results than allowed; nothing is delivered by halves.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::HashSet, fmt};

use crate::maps::Table;

/// Most results of one name.
const MAX_RESULTS: usize = 1000;
/// Longest chain.
const MAX_DEPTH: usize = 100;

/// Why a name cannot be expanded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpandError {
    /// A chain that comes back to itself; the names on it.
    Loop(Vec<String>),
    /// More results, or a longer chain, than allowed.
    TooMany,
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop(names) => {
                write!(f, "the alias comes back to itself: {}", names.join(" -> "))
            }
            Self::TooMany => {
                write!(
                    f,
                    "the alias has more than {MAX_RESULTS} results or a chain of more than {MAX_DEPTH} names"
                )
            }
        }
    }
}
impl std::error::Error for ExpandError {}

/// Follows a name through the table until nothing changes: chains, lists, loops caught, at most 1000 results and depth 100.
/// Values that are addresses, `|program`, `:include:FILE` or `/file` are returned as they are.
pub fn expand(table: &Table, name: &str) -> Result<Vec<String>, ExpandError> {
    let mut expansion = Expansion {
        table,
        path: Vec::new(),
        followed: HashSet::new(),
        given: HashSet::new(),
        results: Vec::new(),
    };
    expansion.follow(name)?;
    Ok(expansion.results)
}

struct Expansion<'a> {
    table: &'a Table,
    /// Names on the way to where we are, in lower case.
    path: Vec<String>,
    followed: HashSet<String>,
    given: HashSet<String>,
    results: Vec<String>,
}

impl Expansion<'_> {
    fn follow(&mut self, name: &str) -> Result<(), ExpandError> {
        let key = name.to_lowercase();
        let Some(entry) = self.table.get(&key) else {
            return self.give(name);
        };
        if self.path.last() == Some(&key) {
            return self.give(name);
        }
        if let Some(start) = self.path.iter().position(|on_path| *on_path == key) {
            let mut names = self.path.split_off(start);
            names.push(key);
            return Err(ExpandError::Loop(names));
        }
        if !self.followed.insert(key.clone()) {
            return Ok(());
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(ExpandError::TooMany);
        }
        self.path.push(key);
        for value in &entry.values {
            match value.strip_prefix('\\') {
                Some(final_name) => self.give(final_name)?,
                None if is_final(value) => self.give(value)?,
                None => self.follow(value)?,
            }
        }
        self.path.pop();
        Ok(())
    }

    fn give(&mut self, value: &str) -> Result<(), ExpandError> {
        if self.given.insert(value.to_lowercase()) {
            self.results.push(value.to_owned());
        }
        if self.results.len() > MAX_RESULTS {
            Err(ExpandError::TooMany)
        } else {
            Ok(())
        }
    }
}

fn is_final(value: &str) -> bool {
    value.contains('@') || value.starts_with(['|', '/', ':'])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    fn table(text: &str) -> Table {
        Table::aliases(PathBuf::from("aliases"), text).0
    }

    fn expanded(text: &str, name: &str) -> Vec<String> {
        expand(&table(text), name).unwrap()
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
        let looped = expand(&table("a: b\nb: c, x@y\nc: B"), "a").unwrap_err();
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
    fn expansion_is_bounded_in_breadth_and_depth() {
        let wide: Vec<String> = (0..1001).map(|n| format!("u{n}@x")).collect();
        assert_eq!(
            expand(&table(&format!("all: {}", wide.join(","))), "all"),
            Err(ExpandError::TooMany)
        );
        let deep: Vec<String> = (0..200).map(|n| format!("n{n}: n{}\n", n + 1)).collect();
        let deep = deep.concat();
        assert_eq!(expand(&table(&deep), "n0"), Err(ExpandError::TooMany));
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
            if let Ok(results) = expand(&table(&text), &name) {
                prop_assert!(results.len() <= MAX_RESULTS);
            }
        }
    }
}
