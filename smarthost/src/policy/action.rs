//! What a table or a policy server says is to be done: access(5).
//!
//! Contract: total; nothing with a control character comes out. Failures: a text for whoever wrote
//! the entry.

use mail::status::EnhancedStatus;
use smtp::reply::Reply;

use super::rule::{Rule, Subject};

/// Longest text of a reply, in characters.
const TEXT: usize = 400;

/// An action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// Ends the chain.
    Ok,
    /// No opinion, and no other key of this table is tried.
    Dunno,
    Refuse(Refusal),
    /// Only if nothing else refuses.
    DeferIfPermit(Refusal),
    /// A line in the log.
    Warn(String),
    Info(String),
    /// The message is kept until an administrator says otherwise.
    Hold(String),
    /// A header field above the others: `Name: value`.
    Prepend(String),
    /// These restrictions, in the place of the entry.
    Apply(Vec<Rule>),
}

/// A reply whose text begins with what was looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    code: u16,
    status: EnhancedStatus,
    text: String,
}

impl Action {
    /// Reads an entry's right side, or what stands behind `action=`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text: String = text.trim().chars().map(printable).take(TEXT).collect();
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((&text, ""));
        let rest = rest.trim();
        let refusal = |code, detail, fallback| Refusal::new(code, detail, rest, fallback);
        Ok(match word.to_ascii_uppercase().as_str() {
            "OK" | "RELAY" => Self::Ok,
            "DUNNO" => Self::Dunno,
            "REJECT" => Self::Refuse(refusal(554, 7, "Access denied")),
            "DEFER" => Self::Refuse(refusal(450, 7, "Access denied")),
            "DEFER_IF_PERMIT" => Self::DeferIfPermit(refusal(450, 7, "Service unavailable")),
            "WARN" => Self::Warn(rest.to_owned()),
            "INFO" => Self::Info(rest.to_owned()),
            "HOLD" => Self::Hold(rest.to_owned()),
            "PREPEND" => Self::Prepend(field(rest)?),
            other => return coded(other, rest).map_or_else(|| named(&text), Ok),
        })
    }
}

/// `450 4.7.1 text`, or a number alone, which means yes.
fn coded(word: &str, rest: &str) -> Option<Action> {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match word.parse() {
        Ok(code @ 400..=599) if !rest.is_empty() => {
            Some(Action::Refuse(Refusal::new(code, 7, rest, "Access denied")))
        }
        _ if rest.is_empty() => Some(Action::Ok),
        _ => None,
    }
}

/// Names of restrictions.
fn named(text: &str) -> Result<Action, String> {
    let words: Vec<_> = text
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty())
        .collect();
    let rules: Result<Vec<_>, _> = words.iter().map(|word| Rule::parse(word)).collect();
    match rules {
        Ok(rules) if !rules.is_empty() => Ok(Action::Apply(rules)),
        _ => Err(format!(
            "`{}` is not an action; write OK, REJECT, DEFER, DEFER_IF_PERMIT, DUNNO, WARN, HOLD, \
             PREPEND, a reply such \
             as \"550 5.7.1 text\", or names of restrictions",
            text.escape_debug()
        )),
    }
}

/// `Name: value`, as RFC 5322 §2.2 asks.
fn field(text: &str) -> Result<String, String> {
    let name = text.split_once(':').map_or("", |(name, _)| name);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "PREPEND needs a header field after it, such as \"X-Seen: yes\", not `{}`",
            text.escape_debug()
        ))
    }
}

fn printable(c: char) -> char {
    if c.is_control() && c != '\t' { '?' } else { c }
}

impl Refusal {
    /// `text` may begin with an enhanced status of the same class.
    fn new(code: u16, subject: u16, text: &str, fallback: &str) -> Self {
        let class = u8::try_from(code / 100).unwrap_or(4);
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let (status, text) = match EnhancedStatus::parse(word) {
            // The class follows the reply code, as with Postfix.
            Some(status) => (
                EnhancedStatus::new(class, status.subject(), status.detail()),
                rest.trim(),
            ),
            None => (EnhancedStatus::new(class, subject, 1), text),
        };
        let text = if text.is_empty() { fallback } else { text };
        Self {
            code,
            status,
            text: text.to_owned(),
        }
    }

    /// `554 5.7.1 <name>: Sender address rejected: text`; a status that is about the other address
    /// is turned round.
    pub(super) fn reply(&self, subject: Subject, name: &str) -> Reply {
        let text = format!("<{name}>: {} rejected: {}", subject.words(), self.text);
        Reply::new(self.code, fitting(self.status, subject), text)
    }
}

/// A status about a recipient's address means nothing about a sender's, and the other way round
/// (access(5)).
fn fitting(status: EnhancedStatus, subject: Subject) -> EnhancedStatus {
    if status.subject() != 1 {
        return status;
    }
    let (about, detail) = match (subject, status.detail()) {
        (Subject::Sender, 2 | 8) => (1, 8),
        (Subject::Sender, 1 | 3 | 4 | 6 | 7) => (1, 7),
        (Subject::Recipient, 7) => (1, 3),
        (Subject::Recipient, 8) => (1, 2),
        (Subject::Recipient, detail @ 1..=6) => (1, detail),
        (Subject::Sender | Subject::Recipient, _) => (1, 0),
        (Subject::Client | Subject::Helo, _) => (0, 0),
    };
    EnhancedStatus::new(status.class(), about, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str, subject: Subject) -> String {
        match Action::parse(text) {
            Ok(Action::Refuse(refusal) | Action::DeferIfPermit(refusal)) => {
                refusal.reply(subject, "x").text()
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn an_entrys_text_becomes_the_reply_with_a_status_that_fits_what_was_looked_up() {
        use Subject::{Client, Helo, Recipient, Sender};
        for (text, subject, expected) in [
            (
                "REJECT",
                Sender,
                "554 5.7.1 <x>: Sender address rejected: Access denied",
            ),
            (
                "reject  go away",
                Helo,
                "554 5.7.1 <x>: Helo command rejected: go away",
            ),
            (
                "REJECT 5.1.1 no such",
                Sender,
                "554 5.1.7 <x>: Sender address rejected: no such",
            ),
            (
                "REJECT 5.1.1 no such",
                Recipient,
                "554 5.1.1 <x>: Recipient address rejected: no such",
            ),
            (
                "550 5.1.8 what",
                Recipient,
                "550 5.1.2 <x>: Recipient address rejected: what",
            ),
            (
                "550 4.1.8 what",
                Client,
                "550 5.0.0 <x>: Client host rejected: what",
            ),
            (
                "421 4.7.0 bye",
                Client,
                "421 4.7.0 <x>: Client host rejected: bye",
            ),
            (
                "450 later",
                Client,
                "450 4.7.1 <x>: Client host rejected: later",
            ),
            (
                "DEFER",
                Client,
                "450 4.7.1 <x>: Client host rejected: Access denied",
            ),
            (
                "DEFER_IF_PERMIT",
                Client,
                "450 4.7.1 <x>: Client host rejected: Service unavailable",
            ),
            (
                "DEFER_IF_PERMIT Greylisted, see x",
                Recipient,
                "450 4.7.1 <x>: Recipient address rejected: Greylisted, see x",
            ),
            (
                "REJECT a\r\nb",
                Client,
                "554 5.7.1 <x>: Client host rejected: a??b",
            ),
        ] {
            assert_eq!(reply(text, subject), expected, "{text}");
        }
    }

    #[test]
    fn every_other_action_is_known_and_what_is_none_is_told() {
        assert_eq!(Action::parse("ok by the boss"), Ok(Action::Ok));
        assert_eq!(Action::parse("1732802000"), Ok(Action::Ok));
        assert_eq!(Action::parse("Dunno"), Ok(Action::Dunno));
        assert_eq!(
            Action::parse("PREPEND X-A: b"),
            Ok(Action::Prepend("X-A: b".into()))
        );
        assert_eq!(
            Action::parse("PREPEND X-A: b\r\nBcc: c"),
            Ok(Action::Prepend("X-A: b??Bcc: c".into()))
        );
        assert_eq!(Action::parse("HOLD"), Ok(Action::Hold(String::new())));
        assert!(
            matches!(Action::parse("permit_mynetworks, reject_non_fqdn_sender"), Ok(Action::Apply(r)) if r.len() == 2)
        );
        for bad in [
            "",
            "DISCARD",
            "REDIRECT a@b.example",
            "FILTER x:y",
            "PREPEND",
            "PREPEND no field",
            "650 x",
            "55 x",
            "maybe",
        ] {
            assert!(
                Action::parse(bad).is_err(),
                "{bad}: {:?}",
                Action::parse(bad)
            );
        }
    }
}
