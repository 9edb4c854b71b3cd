//! Names within values, replaced as Postfix replaces them.
//!
//! | written | means |
//! |---|---|
//! | `$name`, `${name}`, `$(name)` | its value |
//! | `${name?value}`, `${name?{value}:{other}}` | `value`, if the name's own is not empty; else `other` |
//! | `${name:value}` | `value`, if it is empty; else nothing |
//! | `${{a} op {b} ? {value} : {other}}` | by comparing: `== != < <= > >=`, and with `level` behind, levels of compatibility |
//! | `$$` | a dollar |
//!
//! Contract: bounded in depth, names and bytes; what goes beyond is cut and told.

use std::{cmp::Ordering, collections::BTreeSet};

use crate::list::{bare, enclosed};

/// Settings within settings.
const DEPTH: usize = 20;
/// Names replaced in one value, all depths together.
const NAMES: usize = 1000;
/// Bytes of one value.
const BYTES: usize = 1 << 20;

/// A value with its names replaced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expanded {
    pub text: String,
    /// Names that nothing is known of; nothing stands for them.
    pub unknown: BTreeSet<String>,
    /// It refers to itself, or is too long: `text` is not all of it.
    pub endless: bool,
}

/// Replaces the names in a value by what `known` says that they are.
pub(crate) fn expand<'a>(value: &'a str, known: &'a dyn Fn(&str) -> Option<&'a str>) -> Expanded {
    let mut expansion = Expansion {
        known,
        names: NAMES,
        out: Expanded::default(),
    };
    expansion.replace(value, 0);
    expansion.out
}

struct Expansion<'a> {
    known: &'a dyn Fn(&str) -> Option<&'a str>,
    names: usize,
    out: Expanded,
}

impl<'a> Expansion<'a> {
    fn replace(&mut self, value: &'a str, depth: usize) {
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('$') {
            self.push(before);
            if let Some(after) = after.strip_prefix('$') {
                self.push("$");
                rest = after;
                continue;
            }
            let (name, remainder) = name(after);
            self.names = self.names.saturating_sub(1);
            if self.names == 0 || depth >= DEPTH || self.out.endless {
                self.out.endless = true;
                return;
            }
            self.insert(name, depth.saturating_add(1));
            rest = remainder;
        }
        self.push(rest);
    }

    fn push(&mut self, text: &str) {
        if self.out.text.len().saturating_add(text.len()) > BYTES {
            self.out.endless = true;
        } else {
            self.out.text.push_str(text);
        }
    }

    fn insert(&mut self, name: &'a str, depth: usize) {
        if name.trim_start().starts_with('{') {
            return self.compare(name, depth);
        }
        let (key, choice) = match name.find(['?', ':']) {
            Some(at) => name.split_at_checked(at).unwrap_or((name, "")),
            None => (name, ""),
        };
        let key = key.trim();
        let Some(inner) = (self.known)(key) else {
            if choice.is_empty() {
                self.out.unknown.insert(key.to_owned());
            }
            return self.choose("", choice, depth);
        };
        if choice.is_empty() {
            return self.replace(inner, depth);
        }
        let value = self.apart(inner, depth);
        self.choose(&value, choice, depth);
    }

    /// `?{value}:{other}`, `?value` or `:other`.
    fn choose(&mut self, value: &str, choice: &'a str, depth: usize) {
        let chosen = match (choice.strip_prefix('?'), choice.strip_prefix(':')) {
            (Some(values), _) => either(values, !value.is_empty()),
            (None, Some(_)) if !value.is_empty() => return,
            (None, Some(otherwise)) => bare(otherwise),
            (None, None) => return,
        };
        self.replace(chosen, depth);
    }

    /// `{a} op {b} ? {value} : {other}`
    fn compare(&mut self, text: &'a str, depth: usize) {
        let read = || {
            let (left, rest) = enclosed(text, '{', '}')?;
            let (operator, right) = rest.split_at_checked(rest.find('{')?)?;
            let (right, choice) = enclosed(right, '{', '}')?;
            Some((left, operator.trim(), right, choice.trim()))
        };
        let Some((left, operator, right, choice)) = read() else {
            self.out.unknown.insert(text.to_owned());
            return;
        };
        let sides = [left, right].map(|side| self.apart(side, depth));
        let Some(holds) = holds(&sides, operator) else {
            self.out.unknown.insert(text.to_owned());
            return;
        };
        let chosen = match choice.strip_prefix('?') {
            Some(values) => either(values, holds),
            None if holds => return,
            None => bare(choice.strip_prefix(':').unwrap_or_default()),
        };
        self.replace(chosen, depth);
    }

    /// What it stands for, not yet put anywhere.
    fn apart(&mut self, text: &'a str, depth: usize) -> String {
        let before = std::mem::take(&mut self.out.text);
        self.replace(text, depth);
        std::mem::replace(&mut self.out.text, before)
    }
}

/// `{value}:{other}`, or the value alone.
fn either(values: &str, yes: bool) -> &str {
    let (value, rest) = match enclosed(values, '{', '}') {
        Some((value, rest)) => (value, rest.trim().strip_prefix(':').unwrap_or_default()),
        None => (values, ""),
    };
    if yes { value } else { bare(rest.trim()) }
}

fn holds([left, right]: &[String; 2], operator: &str) -> Option<bool> {
    let (operator, order) = match operator.strip_suffix("level") {
        Some(operator) => (operator.trim(), level(left).cmp(&level(right))),
        None => match (left.parse::<u64>(), right.parse::<u64>()) {
            (Ok(left), Ok(right)) => (operator, left.cmp(&right)),
            _ => (operator, left.cmp(right)),
        },
    };
    Some(match operator {
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        _ => return None,
    })
}

/// `3.6` as its numbers; what is no level is 0.
pub fn level(text: &str) -> [u32; 3] {
    let mut numbers = text.trim().split('.').map(|it| it.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

fn name(after: &str) -> (&str, &str) {
    for (open, close) in [('{', '}'), ('(', ')')] {
        if after.starts_with(open) {
            return enclosed(after, open, close).unwrap_or((after, ""));
        }
    }
    let end = after
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(after.len());
    after.split_at_checked(end).unwrap_or((after, ""))
}
