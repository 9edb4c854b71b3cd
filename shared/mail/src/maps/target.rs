//! What a name of an alias table stands for, read once, when the table is read.
//!
//! Contract: total; what cannot be read is [`Target::Unusable`] and keeps its place, so that no
//! mail is lost or misled by it. aliases(5); `:fail:` as in Exim's redirect router.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, path::PathBuf};

use crate::address::{Address, LocalPart, Mailbox, list};

/// One value of an alias.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// An address, or a name that is looked up again.
    Mailbox(Mailbox),
    /// `\name`: that name or address, not looked up again.
    Final(Mailbox),
    /// `|command`
    Program(String),
    /// `/file`
    File(PathBuf),
    /// `:include:/file` that has not been followed.
    Include(PathBuf),
    /// `:fail: reason`: mail is refused.
    Refusal(String),
    /// What was written, and what is wrong with it.
    Unusable(String, String),
}

/// As it is written in a table.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => write!(f, "{mailbox}"),
            Self::Final(mailbox) => write!(f, "\\{mailbox}"),
            Self::Program(command) => write!(f, "|{command}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Include(path) => write!(f, ":include:{}", path.display()),
            Self::Refusal(reason) => write!(f, ":fail: {reason}"),
            Self::Unusable(written, _) => f.write_str(written),
        }
    }
}

impl Target {
    /// Why nobody can be mailed there: a program, a file, or a list that was not followed.
    pub fn not_mailable(&self) -> Option<String> {
        Some(match self {
            Self::Program(_) => format!("delivery to programs is not supported: {self}"),
            Self::File(_) => format!("delivery to files is not supported: {self}"),
            Self::Include(path) => format!("the list {} cannot be followed", path.display()),
            Self::Mailbox(_) | Self::Final(_) | Self::Refusal(_) | Self::Unusable(..) => {
                return None;
            }
        })
    }

    /// Whether a text begins with `:fail:`.
    pub(super) fn is_refusal(text: &str) -> bool {
        let sign = text.split_at_checked(6).map(|(sign, _)| sign);
        sign.is_some_and(|sign| sign.eq_ignore_ascii_case(":fail:"))
    }

    /// Reads what stands between two commas, which may be several addresses with blanks between
    /// them.
    pub(super) fn read(written: &str) -> Vec<Self> {
        let quoted = outer_quotes(written);
        let plain = quoted.as_deref().unwrap_or(written);
        if let Some(special) = special(plain) {
            return vec![special];
        }
        if is_open(written) {
            return vec![unusable(
                written,
                "a quotation mark is not closed".to_owned(),
            )];
        }
        if let Some(inner) = &quoted {
            return vec![one(inner, inner).unwrap_or_else(|why| unusable(written, why))];
        }
        if let Some(rest) = plain.strip_prefix('\\') {
            let inner = outer_quotes(rest);
            let read = one(inner.as_deref().unwrap_or(rest), rest);
            return vec![match read {
                Ok(Self::Mailbox(mailbox)) => Self::Final(mailbox),
                Ok(other) => other,
                Err(why) => unusable(written, why),
            }];
        }
        let list = list::parse(plain.as_bytes());
        let read = list.entries.into_iter().map(|entry| mailbox(entry.target));
        let broken = list.problems.into_iter();
        let broken = broken.map(|problem| unusable(&problem.text, problem.error.to_string()));
        read.chain(broken).collect()
    }
}

/// What begins with a sign of its own.
fn special(text: &str) -> Option<Target> {
    if let Some(command) = text.strip_prefix('|') {
        return Some(Target::Program(command.to_owned()));
    }
    if text.starts_with('/') {
        return Some(Target::File(text.into()));
    }
    let rest = text.strip_prefix(':')?;
    let (word, rest) = rest.split_once(':').unwrap_or((rest, ""));
    Some(match word.to_ascii_lowercase().as_str() {
        "include" => Target::Include(rest.trim().into()),
        "fail" => Target::Refusal(rest.trim().replace(char::is_control, " ")),
        _ => unusable(text, "only :include: and :fail: are known here".to_owned()),
    })
}

/// An address, or else a name as meant.
fn one(meant: &str, written: &str) -> Result<Target, String> {
    if let Ok(address) = Address::parse(meant.strip_suffix('.').unwrap_or(meant)) {
        return Ok(mailbox(Mailbox::Address(address)));
    }
    if meant.contains('@') {
        return match list::one(written) {
            Ok(to) => Ok(mailbox(to)),
            Err(problem) => Err(problem.error.to_string()),
        };
    }
    LocalPart::new(meant)
        .map(|name| Target::Mailbox(Mailbox::Local(name)))
        .map_err(|error| error.to_string())
}

/// Its domain in the form that every server understands.
fn mailbox(to: Mailbox) -> Target {
    Target::Mailbox(match to {
        Mailbox::Address(address) => Mailbox::Address(address.with_ascii_domain()),
        local @ Mailbox::Local(_) => local,
    })
}

fn unusable(written: &str, why: String) -> Target {
    Target::Unusable(written.to_owned(), why)
}

/// Follows quotes through a text.
#[derive(Default)]
pub(super) struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    /// Whether this character stands between quotes (or is one).
    pub(super) fn inside(&mut self, c: char) -> bool {
        let was_open = self.open;
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' if self.open => self.escaped = true,
            '"' => self.open = !self.open,
            _ => {}
        }
        was_open || self.open
    }
}

/// Whether a quotation mark is not closed.
fn is_open(text: &str) -> bool {
    let mut quotes = Quotes::default();
    for c in text.chars() {
        quotes.inside(c);
    }
    quotes.open
}

/// What stands in quotes that go around all of a text; `"joe smith"@example.org` has none.
pub(super) fn outer_quotes(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return characters.as_str().is_empty().then_some(out),
            '\\' => out.extend(characters.next()),
            _ => out.push(c),
        }
    }
    None
}

/// What is odd in a value.
pub(super) enum Odd<'a> {
    Comment,
    /// What was written, and what is wrong with it.
    Unusable(&'a str, &'a str),
}

/// The values of an alias, or of one line of a list.
pub(super) fn targets(text: &str, mut tell: impl FnMut(Odd<'_>)) -> Vec<Target> {
    let whole = text.trim();
    if Target::is_refusal(whole) {
        // Commas are part of what it says.
        return Target::read(whole);
    }
    let mut targets = Vec::new();
    for value in split_values(text) {
        let (value, comment) = without_comment(value);
        if comment {
            tell(Odd::Comment);
        }
        for target in Target::read(value) {
            if let Target::Unusable(written, why) = &target {
                tell(Odd::Unusable(written, why));
            }
            targets.push(target);
        }
    }
    targets
}

/// Whether a comment within a text takes a line that continues it with it; `breaks`: where such
/// lines begin.
pub(super) fn comment_takes_lines(text: &str, breaks: &[usize]) -> bool {
    if breaks.is_empty() || Target::is_refusal(text.trim()) {
        return false;
    }
    let begin = |part: &str| part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    split_values(text).any(|value| {
        let (before, comment) = without_comment(value);
        let start = begin(value);
        let of_comment = start.saturating_add(before.len())..start.saturating_add(value.len());
        comment && breaks.iter().any(|at| of_comment.contains(at))
    })
}

/// The values between commas; commas in quotes, angle brackets and comments do not count.
fn split_values(rest: &str) -> impl Iterator<Item = &str> {
    let mut quotes = Quotes::default();
    let mut depth = 0u32;
    rest.split(move |c| {
        if quotes.inside(c) {
            return false;
        }
        match c {
            '(' | '<' => depth = depth.saturating_add(1),
            ')' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
}

/// Cuts ` # comment` off a value that is neither quoted nor a program.
fn without_comment(value: &str) -> (&str, bool) {
    match value.split_once('#') {
        Some((before, _))
            if (before.is_empty() || before.ends_with([' ', '\t'])) && !before.contains('"') =>
        {
            (before.trim_end(), true)
        }
        _ => (value, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_an_address_a_name_a_program_a_file_a_list_or_a_refusal() {
        let local = |name| Target::Mailbox(Mailbox::Local(LocalPart::new(name).unwrap()));
        let address = |text| Target::Mailbox(Mailbox::Address(Address::parse(text).unwrap()));
        let root = || Mailbox::Local(LocalPart::new("root").unwrap());
        for (written, expected) in [
            ("root", vec![local("root")]),
            ("\"joe smith\"", vec![local("joe smith")]),
            ("\"a@x.example\"", vec![address("a@x.example")]),
            ("Joe <a@x.example>", vec![address("a@x.example")]),
            ("a@x.example.", vec![address("a@x.example")]),
            (
                "jane@B\u{fc}cher.example",
                vec![address("jane@xn--bcher-kva.example")],
            ),
            (
                "a@x.example b@y.example",
                vec![address("a@x.example"), address("b@y.example")],
            ),
            ("\\root", vec![Target::Final(root())]),
            ("\\\"root\"", vec![Target::Final(root())]),
            ("|/bin/x -a", vec![Target::Program("/bin/x -a".into())]),
            (
                "\"|/bin/x, \\\"y\\\"\"",
                vec![Target::Program("/bin/x, \"y\"".into())],
            ),
            ("/var/mail/x", vec![Target::File("/var/mail/x".into())]),
            (":INCLUDE: /l", vec![Target::Include("/l".into())]),
            (":fail: gone", vec![Target::Refusal("gone".into())]),
        ] {
            assert_eq!(Target::read(written), expected, "{written}");
        }
        for bad in [
            "\"open",
            "Joe \"open <a@x.example>",
            "a b",
            "a@",
            "@x",
            ":blackhole:",
            "a@b@c",
            "\"a@b c\"",
            "\\",
        ] {
            let read = Target::read(bad);
            assert!(
                matches!(read.as_slice(), [Target::Unusable(..)]),
                "{bad}: {read:?}"
            );
        }
    }
}
