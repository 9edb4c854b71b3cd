//! Patterns in order, the first that fits decides: `pattern value`, `!pattern value`, `if pattern`
//! … `endif`.
//!
//! Contract: a rule that cannot be read is left out; an `if` that cannot be read is never true.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::maps::LogicalLine;

use super::problems::{NO_VALUE, Problems};
use crate::network::Network;

/// Most rules of one table.
const MOST: usize = 20_000;

/// Rules whose patterns are of one kind.
#[derive(Clone, Debug)]
pub(super) struct Rules<T>(Box<[Rule<T>]>);

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Self(Box::new([]))
    }
}

#[derive(Clone, Debug)]
struct Rule<T> {
    /// `None`: it could not be read.
    pattern: Option<T>,
    negated: bool,
    then: Then,
    line: u32,
}

#[derive(Clone, Debug)]
enum Then {
    Value(Box<str>),
    /// Of an `if`: how many rules stand behind the last one up to its `endif`.
    Block(usize),
}

/// Reads one pattern at the start of a text; gives the rest of it.
pub(super) type Read<T> = fn(&str) -> Result<(T, &str), String>;
/// Whether a value can be used with a pattern, which may be negated.
pub(super) type Fits<T> = fn(&T, bool, &str) -> Result<(), String>;

/// Reads logical lines.
pub(super) fn read<T>(
    lines: Vec<LogicalLine<'_>>,
    (pattern, fits): (Read<T>, Fits<T>),
    problems: &mut Problems,
) -> Rules<T> {
    let mut rules: Vec<Rule<T>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for line in &lines {
        let text = line.text.trim();
        if rules.len() >= MOST {
            problems.fault(line.number, format!("a table has at most {MOST} patterns"));
            break;
        }
        if text.eq_ignore_ascii_case("endif") {
            match open.pop() {
                Some(start) => close(&mut rules, start),
                None => problems.fault(line.number, "`endif` without `if`"),
            }
            continue;
        }
        let condition = condition(text);
        let (negated, text) = negation(condition.unwrap_or(text));
        let (pattern, then) = match (pattern(text), condition) {
            (Ok((pattern, rest)), Some(_)) if rest.trim().is_empty() => {
                (Some(pattern), Then::Block(0))
            }
            (Ok((pattern, rest)), None) => match value(&pattern, negated, rest, fits) {
                Ok(value) => {
                    if value.is_empty() {
                        problems.fault(line.number, NO_VALUE);
                    }
                    (Some(pattern), Then::Value(value.into()))
                }
                Err(why) => {
                    problems.fault(line.number, why);
                    continue;
                }
            },
            (Ok(_), Some(_)) => {
                problems.fault(line.number, "nothing may follow the pattern of `if`");
                (None, Then::Block(0))
            }
            (Err(why), block) => {
                problems.fault(line.number, why);
                match block {
                    Some(_) => (None, Then::Block(0)),
                    None => continue,
                }
            }
        };
        if condition.is_some() {
            open.push(rules.len());
        }
        rules.push(Rule {
            pattern,
            negated,
            then,
            line: line.number,
        });
    }
    while let Some(start) = open.pop() {
        let line = rules.get(start).map_or(0, |rule| rule.line);
        problems.fault(line, "`if` without `endif`");
        close(&mut rules, start);
    }
    Rules(rules.into())
}

fn close<T>(rules: &mut [Rule<T>], start: usize) {
    let block = rules.len().saturating_sub(start).saturating_sub(1);
    if let Some(rule) = rules.get_mut(start) {
        rule.then = Then::Block(block);
    }
}

/// What stands behind `if`.
fn condition(text: &str) -> Option<&str> {
    let (word, rest) = text.split_at_checked(2)?;
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == ':');
    (word.eq_ignore_ascii_case("if") && ends).then(|| rest.trim_start())
}

fn negation(text: &str) -> (bool, &str) {
    let (mut negated, mut text) = (false, text);
    while let Some(rest) = text.strip_prefix('!') {
        (negated, text) = (!negated, rest.trim_start());
    }
    (negated, text)
}

fn value<'a, T>(
    pattern: &T,
    negated: bool,
    rest: &'a str,
    fits: Fits<T>,
) -> Result<&'a str, String> {
    let value = rest.trim();
    fits(pattern, negated, value).map(|()| value)
}

impl<T> Rules<T> {
    /// The value of the first rule that is true, its line, and what was matched unless the rule is
    /// negated. One that does not apply, negated or not, is never true.
    pub(super) fn find<M>(
        &self,
        (applies, fits): (impl Fn(&T) -> bool, impl Fn(&T) -> Option<M>),
    ) -> Option<(&str, u32, Option<M>)> {
        let mut rules = self.0.iter();
        while let Some(rule) = rules.next() {
            let matched = rule
                .pattern
                .as_ref()
                .filter(|pattern| applies(pattern))
                .map(&fits);
            let holds = matched
                .as_ref()
                .is_some_and(|it| it.is_some() != rule.negated);
            match &rule.then {
                Then::Value(value) if holds => return Some((value, rule.line, matched.flatten())),
                Then::Block(length) if !holds && *length > 0 => {
                    rules.nth(length.saturating_sub(1));
                }
                _ => {}
            }
        }
        None
    }

    /// Whether there is any.
    pub(super) fn some(&self) -> bool {
        !self.0.is_empty()
    }

    /// Values and lines.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().filter_map(|rule| match &rule.then {
            Then::Value(value) => Some((&**value, rule.line)),
            Then::Block(_) => None,
        })
    }
}

/// Reads `network value` lines.
pub(super) fn networks(lines: Vec<LogicalLine<'_>>, problems: &mut Problems) -> Rules<Network> {
    let pattern: Read<Network> = |text| {
        let (network, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        // Both `[2001:db8::]/32` and `[2001:db8::/32]` are written.
        let inner = network
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'));
        match Network::parse(inner.unwrap_or(network)) {
            Ok(network) => Ok((network, rest)),
            Err(error) => Err(error.to_string()),
        }
    };
    read(lines, (pattern, |_, _, _| Ok(())), problems)
}
