//! Macros in the arguments of a program, as pipe(8) knows them: `${recipient}`, `$(size)`, `$user`,
//! `$$`. Pure.
//!
//! Contract: an argument with a macro about a recipient becomes one argument for each recipient.
//! Nothing is split, and nothing is read twice: what a macro stands for is never looked through for
//! macros, blanks or quotes.
//! Failures: a macro that is not known, when the settings are read; an argument that somebody else
//! made begin with `-`.

use std::fmt;

/// One argument as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Macros {
    written: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Macro(Macro),
}

/// What stands for something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Macro {
    ClientAddress,
    ClientHostname,
    Domain,
    Envid,
    Extension,
    Mailbox,
    Nexthop,
    OriginalRecipient,
    QueueId,
    Recipient,
    Sender,
    Size,
    User,
}

/// Name, macro, whether it is about one recipient.
const NAMES: [(&str, Macro, bool); 13] = [
    ("client_address", Macro::ClientAddress, false),
    ("client_hostname", Macro::ClientHostname, false),
    ("domain", Macro::Domain, true),
    ("envid", Macro::Envid, false),
    ("extension", Macro::Extension, true),
    ("mailbox", Macro::Mailbox, true),
    ("nexthop", Macro::Nexthop, false),
    ("original_recipient", Macro::OriginalRecipient, true),
    ("queue_id", Macro::QueueId, false),
    ("recipient", Macro::Recipient, true),
    ("sender", Macro::Sender, false),
    ("size", Macro::Size, false),
    ("user", Macro::User, true),
];

impl Macros {
    /// Reads one argument.
    pub fn parse(written: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = written;
        while let Some((text, after)) = rest.split_once('$') {
            push(&mut pieces, text);
            let (name, left) = match after.chars().next() {
                Some('$') => {
                    push(&mut pieces, "$");
                    rest = after.get(1..).unwrap_or_default();
                    continue;
                }
                Some('{') => closed(after, '}'),
                Some('(') => closed(after, ')'),
                _ => {
                    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                    Some(after.split_at(end.unwrap_or(after.len())))
                }
            }
            .ok_or_else(|| format!("`{}`: a bracket is not closed", written.escape_debug()))?;
            let known = NAMES.iter().find(|(known, ..)| *known == name);
            let (_, found, _) = known.ok_or_else(|| unknown(name))?;
            pieces.push(Piece::Macro(*found));
            rest = left;
        }
        push(&mut pieces, rest);
        Ok(Self {
            written: written.to_owned(),
            pieces,
        })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    fn is_of_each(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Macro(one) => NAMES.iter().any(|(_, it, each)| it == one && *each),
            Piece::Text(_) => false,
        })
    }

    /// What of it the administrator wrote.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Macro(_) => None,
        })
    }

    /// The arguments that it stands for: `value` knows what a macro means for a recipient, by
    /// index. `Err`: what somebody else has written would be an option of the program.
    pub fn expand(
        &self,
        recipients: usize,
        value: impl Fn(Macro, usize) -> String,
    ) -> Result<Vec<String>, String> {
        let count = if self.is_of_each() { recipients } else { 1 };
        let one = |index| {
            let texts = self.pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Macro(one) => value(*one, index),
            });
            let argument: String = texts.collect();
            let ours = matches!(self.pieces.first(), Some(Piece::Text(_)));
            if argument.starts_with('-') && !ours {
                return Err(argument);
            }
            Ok(argument)
        };
        (0..count).map(one).collect()
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// What stands in brackets, and behind them.
fn closed(text: &str, end: char) -> Option<(&str, &str)> {
    text.get(1..)?.split_once(end)
}

fn unknown(name: &str) -> String {
    let known: Vec<_> = NAMES.iter().map(|(name, ..)| *name).collect();
    format!(
        "there is no macro `{}`; write one of {}, or $$ for a dollar",
        name.escape_debug(),
        known.join(", ")
    )
}

impl fmt::Display for Macros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, recipients: usize) -> Result<Vec<String>, String> {
        let value = |one, index| match one {
            Macro::Recipient => format!("r{index}@example.org"),
            Macro::Extension => "-x".to_owned(),
            Macro::Sender => "$recipient `id` \"; rm".to_owned(),
            _ => String::new(),
        };
        Macros::parse(text).unwrap().expand(recipients, value)
    }

    #[test]
    fn a_macro_is_replaced_once_and_one_about_recipients_once_for_each() {
        assert_eq!(
            expand("--to=${recipient}", 2).unwrap(),
            ["--to=r0@example.org", "--to=r1@example.org"]
        );
        assert_eq!(expand("$(recipient)$$", 1).unwrap(), ["r0@example.org$"]);
        assert_eq!(expand("plain", 5).unwrap(), ["plain"]);
        assert_eq!(
            expand("${sender}", 2).unwrap(),
            ["$recipient `id` \"; rm"],
            "one argument, read by nobody"
        );
    }

    #[test]
    fn what_a_stranger_wrote_is_never_an_option_and_a_wrong_macro_is_named() {
        assert_eq!(expand("$extension", 1), Err("-x".to_owned()));
        assert_eq!(expand("-${extension}", 1).unwrap(), ["--x"]);
        for (text, remedy) in [
            ("${recipent}", "there is no macro `recipent`"),
            ("${recipient", "not closed"),
            ("a$", "there is no macro ``"),
            ("$(", "not closed"),
        ] {
            let error = Macros::parse(text).unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
