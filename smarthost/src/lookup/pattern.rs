//! Regular expressions as Postfix's tables write them: `/pattern/flags value`, any delimiter, `$1`
//! in the value.
//!
//! Contract: matching takes linear time. POSIX and PCRE are read by one engine: what that cannot do
//! (references back into the pattern, looking around) is a fault with its line. Letters match in
//! any case unless flag `i` says otherwise.
//! `regexp_table(5)`, `pcre_table(5)`.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use mail::maps::LogicalLine;
use regex::{Captures, Regex, RegexBuilder};

use super::{
    name::Kind,
    problems::Problems,
    rules::{self, Rules},
};

/// Largest compiled expression, bytes.
const MAX: usize = 1 << 20;

/// One expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

/// Reads the lines of a table of a kind.
pub(super) fn read(
    lines: Vec<LogicalLine<'_>>,
    kind: Kind,
    problems: &mut Problems,
) -> Rules<Pattern> {
    let pattern: rules::Read<Pattern> = match kind {
        Kind::Regexp => |text| expression(text, false),
        _ => |text| expression(text, true),
    };
    let fits = |pattern: &Pattern, negated, value: &str| match (negated, value.contains('$')) {
        (_, false) => Ok(()),
        (true, true) => Err("a negated pattern matches nothing that $1 could stand for".to_owned()),
        (false, true) => expand(
            value,
            |group| (1..pattern.0.captures_len()).contains(&group),
            |_| "",
        )
        .map(drop),
    };
    rules::read(lines, (pattern, fits), problems)
}

/// Whether a line of a text table is a pattern: `/…/`, flags, a blank.
pub(super) fn is_line(text: &str) -> bool {
    let inner = text.strip_prefix('/').and_then(|rest| delimited(rest, '/'));
    inner.is_some_and(|(_, rest)| {
        let (flags, value) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        !value.trim().is_empty() && flags.bytes().all(|b| b"imsxAEUX".contains(&b))
    })
}

/// The value of the first pattern that a key fits, with what it stands for, and its line.
pub(super) fn find<'a>(rules: &'a Rules<Pattern>, key: &str) -> Option<(Cow<'a, str>, u32)> {
    let (value, line, matched) = rules.find((
        |_: &Pattern| true,
        |pattern: &Pattern| pattern.0.captures(key),
    ))?;
    let Some(matched) = matched.filter(|_| value.contains('$')) else {
        return Some((value.into(), line));
    };
    // What a value may hold was seen when it was read.
    let text = expand(value, |_| true, |group| group_of(&matched, group)).ok()?;
    Some((text.into(), line))
}

fn group_of<'a>(matched: &Captures<'a>, group: usize) -> &'a str {
    matched.get(group).map_or("", |group| group.as_str())
}

/// What stands before an unescaped delimiter, and behind it.
fn delimited(text: &str, delimiter: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = !escaped && c == delimiter;
        escaped = !escaped && c == '\\';
        ends
    })?;
    let (inner, rest) = text.split_at_checked(end)?;
    Some((inner, rest.strip_prefix(delimiter)?))
}

/// Reads an expression with delimiters and flags; gives the rest.
fn expression(text: &str, perl: bool) -> Result<(Pattern, &str), String> {
    let mut characters = text.chars();
    let delimiter = characters
        .next()
        .filter(|c| !c.is_alphanumeric() && !c.is_whitespace())
        .ok_or("the pattern is missing; write `/pattern/ value`")?;
    let (inner, rest) = delimited(characters.as_str(), delimiter)
        .ok_or_else(|| format!("the pattern is not closed by `{delimiter}`"))?;
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (flags, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let on = |flag: char| flags.matches(flag).count() % 2 == 1;
    let known = if perl { "imsxAEUX" } else { "imx" };
    if let Some(unknown) = flags.chars().find(|flag| !known.contains(*flag)) {
        return Err(format!(
            "`{}` is not a flag; the flags are {known}",
            unknown.escape_debug()
        ));
    }
    if !perl && on('x') {
        return Err(
            "basic expressions are not supported; write extended ones, without \
             `x`"
            .to_owned(),
        );
    }
    let translated = translate(inner, perl);
    let anchored = if on('A') {
        format!("^(?:{translated})")
    } else {
        translated
    };
    RegexBuilder::new(&anchored)
        .case_insensitive(!on('i'))
        .multi_line(on('m'))
        .dot_matches_new_line(!on('s'))
        .ignore_whitespace(perl && on('x'))
        .swap_greed(on('U'))
        .size_limit(MAX)
        .build()
        .map(|regex| (Pattern(regex), rest))
        .map_err(|error| reason(&error))
}

/// In one line.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!(
                "the pattern cannot be read: {}",
                last.trim_start_matches("error: ")
            )
        }
    }
}

/// Means the same to our engine: what is plain in a bracket expression of POSIX or PCRE is no
/// operator there.
fn translate(pattern: &str, perl: bool) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\\' => {
                out.push(c);
                let next = rest.chars().next();
                out.extend(next);
                rest = rest
                    .get(next.map_or(0, char::len_utf8)..)
                    .unwrap_or_default();
            }
            '[' => rest = bracket(rest, perl, &mut out),
            '{' if perl && !is_repetition(rest) => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out
}

/// Copies what stands in brackets; gives what is behind them.
fn bracket<'a>(text: &'a str, perl: bool, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = text;
    if let Some(more) = rest.strip_prefix('^') {
        out.push('^');
        rest = more;
    }
    if let Some(more) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = more;
    }
    while let Some(c) = rest.chars().next() {
        let class = rest.starts_with("[:").then(|| rest.find(":]")).flatten();
        if let Some((class, more)) =
            class.and_then(|at| rest.split_at_checked(at.saturating_add(2)))
        {
            out.push_str(class);
            rest = more;
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            ']' => {
                out.push(']');
                return rest;
            }
            '\\' if perl => {
                out.push('\\');
                let next = rest.chars().next();
                out.extend(next);
                rest = rest
                    .get(next.map_or(0, char::len_utf8)..)
                    .unwrap_or_default();
            }
            '\\' | '[' | '&' | '~' => out.extend(['\\', c]),
            '-' if rest.starts_with('-') => out.push_str("\\-"),
            c => out.push(c),
        }
    }
    rest
}

/// Whether `{` begins a number of times: `{3}`, `{3,}`, `{3,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some((times, _)) = rest.split_once('}') else {
        return false;
    };
    times.starts_with(|c: char| c.is_ascii_digit())
        && times.bytes().all(|b| b.is_ascii_digit() || b == b',')
}

/// The value with `$1`, `${1}` and `$(1)` replaced; `$$` is a dollar.
fn expand<'a>(
    value: &str,
    known: impl Fn(usize) -> bool,
    group: impl Fn(usize) -> &'a str,
) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut parts = value.split('$');
    out.push_str(parts.next().unwrap_or_default());
    while let Some(part) = parts.next() {
        if part.is_empty() {
            // `$$`: what stands between them is empty.
            let Some(rest) = parts.next() else {
                return Err("there is a single `$` at the end; write `$$` for a dollar".to_owned());
            };
            out.push('$');
            out.push_str(rest);
            continue;
        }
        let closed = |open: char, close: char| part.strip_prefix(open)?.split_once(close);
        let (name, rest) = closed('{', '}')
            .or_else(|| closed('(', ')'))
            .unwrap_or_else(|| {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = part.find(|c| !is_name(c)).unwrap_or(part.len());
                part.split_at_checked(end).unwrap_or((part, ""))
            });
        match name.parse() {
            Ok(number) if known(number) => out.push_str(group(number)),
            Ok(_) => {
                return Err(format!(
                    "the pattern has no part that ${name} could stand for"
                ));
            }
            Err(_) => {
                return Err(format!(
                    "`${}` is not a number; write $1 or ${{1}}, or $$ for a dollar",
                    name.escape_debug()
                ));
            }
        }
        out.push_str(rest);
    }
    Ok(out)
}
