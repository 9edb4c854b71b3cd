//! Logical lines, which all of Postfix's tables are made of.
//!
//! Contract: total. A line that starts with a blank continues the one before it; empty lines and
//! those whose first sign is `#` are comments, between continued lines too.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{borrow::Cow, iter::Peekable};

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogicalLine<'a> {
    /// Of its first line, from 1.
    pub number: u32,
    /// With all that continues it.
    pub text: Cow<'a, str>,
    /// Where in it the lines begin that continue it.
    pub breaks: Vec<usize>,
    /// It would continue the one before it, and there is none.
    pub orphan: bool,
}

/// What to do about an orphan.
pub const ORPHAN: &str = "a line that starts with a blank continues the one before it, and there is none; remove the blank";

/// All of a text.
pub fn logical_lines(text: &str) -> impl Iterator<Item = LogicalLine<'_>> {
    let mut lines = numbered(text)
        .filter(|(_, line)| !is_comment(line))
        .peekable();
    std::iter::from_fn(move || next(&mut lines))
}

fn next<'a>(lines: &mut Peekable<impl Iterator<Item = (u32, &'a str)>>) -> Option<LogicalLine<'a>> {
    let (number, first) = lines.next()?;
    let mut line = LogicalLine {
        number,
        text: Cow::Borrowed(first),
        breaks: Vec::new(),
        orphan: continues(first),
    };
    while !line.orphan
        && let Some((_, more)) = lines.next_if(|(_, line)| continues(line))
    {
        line.breaks.push(line.text.len());
        line.text.to_mut().push_str(more);
    }
    Some(line)
}

fn continues(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

pub(super) fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1u32..).zip(text.lines())
}

pub(super) fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}
