//! What a filter answers, read: total, and strict, since what it says becomes a reply of ours or
//! part of a message.

use mail::{
    limits,
    outcome::escape,
    status::{EnhancedStatus, ReplyCode},
};
use smtp::{
    command::{self, Rules},
    reply::Reply,
};

use super::{
    edit::{Edit, is_name},
    packet::{Fault, take_number, take_string},
};

/// Longest text of a filter in the log, bytes.
const SHOWN: usize = 200;
/// Longest reason for a quarantine, bytes (Postfix).
const REASON: usize = 100;

/// One packet of a filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It works on it.
    Progress,
    Continue,
    /// No more questions about the message, or about the session.
    Accept,
    /// No more of this kind.
    Skip,
    Discard,
    Refuse(Reply),
    /// 421, and the end of the session.
    Shutdown,
    Quarantine(String),
    Edit(Edit),
}

/// Reads a packet. Edits are allowed at the end of a message alone.
pub(super) fn read(letter: u8, payload: &[u8], edits: bool) -> Result<Said, Fault> {
    let said = match letter {
        b'p' => Said::Progress,
        b'c' => Said::Continue,
        b'a' => Said::Accept,
        b's' => Said::Skip,
        b'd' => Said::Discard,
        b'r' => Said::Refuse(Reply::literal("550 5.7.1 Command rejected")),
        b't' => Said::Refuse(Reply::literal(
            "451 4.7.1 Service unavailable - try again later",
        )),
        b'4' => Said::Shutdown,
        b'y' => return reply(payload).map(Said::Refuse),
        b'q' => return Ok(Said::Quarantine(reason(payload))),
        _ if edits => return edit(letter, payload).map(Said::Edit),
        _ => return Err(unexpected(letter)),
    };
    if payload.is_empty() {
        Ok(said)
    } else {
        Err(malformed("an answer with more behind it", payload))
    }
}

fn unexpected(letter: u8) -> Fault {
    Fault(format!(
        "it answers `{}` where that is no answer",
        escape(&[letter], SHOWN)
    ))
}

fn malformed(what: &str, payload: &[u8]) -> Fault {
    Fault(format!("it sends {what}: {}", escape(payload, SHOWN)))
}

fn reason(payload: &[u8]) -> String {
    let text = payload.split(|byte| *byte == 0).next();
    escape(text.unwrap_or_default(), REASON)
}

/// `550 5.7.1 text`, or several lines of it: one code of 4yz or 5yz, and enhanced codes of its
/// class. Percent signs are doubled there.
fn reply(payload: &[u8]) -> Result<Reply, Fault> {
    let wrong = || malformed("a malformed reply", payload);
    let text = payload.strip_suffix(&[0]).unwrap_or(payload);
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.split("\r\n").collect();
    if lines.len() > limits::REPLY_LINES || text.len() > limits::REPLY_LINE * 2 {
        return Err(wrong());
    }
    let mut reply: Option<Reply> = None;
    for (index, line) in lines.iter().enumerate() {
        let last = index.saturating_add(1) == lines.len();
        let (code, words) = split_line(line, last).ok_or_else(wrong)?;
        let (status, words) = split_status(code, words).ok_or_else(wrong)?;
        let words = unescaped(words);
        match &mut reply {
            None => {
                reply = Some(Reply {
                    code,
                    status,
                    lines: vec![words],
                });
            }
            Some(reply) if reply.code == code => reply.lines.push(words),
            Some(_) => return Err(wrong()),
        }
    }
    reply.ok_or_else(wrong)
}

/// `550-text`, the last line with a blank.
fn split_line(line: &str, last: bool) -> Option<(ReplyCode, &str)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let refuses = digits.starts_with(['4', '5']) && digits.bytes().all(|b| b.is_ascii_digit());
    let code = ReplyCode::new(digits.parse().ok().filter(|_| refuses)?)?;
    let words = rest.strip_prefix(if last { ' ' } else { '-' })?;
    (!words.contains(char::is_control)).then_some((code, words))
}

/// Takes an enhanced code off the front; `None` if it contradicts the code.
fn split_status(code: ReplyCode, words: &str) -> Option<(Option<EnhancedStatus>, &str)> {
    if !words.starts_with(|c: char| c.is_ascii_digit()) {
        return Some((None, words));
    }
    let class = (code.value() / 100).to_string();
    if !words.starts_with(&class) {
        return None;
    }
    let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
    Some(match EnhancedStatus::parse(word) {
        Some(status) => (Some(status), rest),
        None => (None, words),
    })
}

/// `%%` is a percent sign, one alone is nothing: Sendmail takes the text for a format.
fn unescaped(words: &str) -> String {
    let mut text = String::new();
    let mut letters = words.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

fn edit(letter: u8, payload: &[u8]) -> Result<Edit, Fault> {
    if letter == b'b' {
        return Ok(Edit::Body(payload.to_vec()));
    }
    let wrong = || malformed("a malformed request to edit", payload);
    let mut rest = payload;
    let edit = match letter {
        b'h' => {
            let (name, value) = field(&mut rest).ok_or_else(wrong)?;
            Edit::Add { name, value }
        }
        b'i' | b'm' => {
            let index = take_number(&mut rest).ok_or_else(wrong)?;
            let index = i32::try_from(index)
                .ok()
                .and_then(|index| usize::try_from(index).ok());
            let index = index.ok_or_else(wrong)?;
            let (name, value) = field(&mut rest).ok_or_else(wrong)?;
            if letter == b'i' {
                Edit::Insert { index, name, value }
            } else {
                // 0 is what 1 is to Sendmail.
                let nth = index.max(1);
                Edit::Change { nth, name, value }
            }
        }
        b'e' => Edit::Sender(
            envelope(&mut rest, "FROM:", command::mail)
                .ok_or_else(wrong)?
                .into(),
        ),
        b'+' | b'2' => {
            let added = envelope(&mut rest, "TO:", command::recipient);
            Edit::AddRecipient(added.ok_or_else(wrong)?.into())
        }
        b'-' => {
            let deleted = envelope(&mut rest, "TO:", command::recipient);
            Edit::DeleteRecipient(deleted.ok_or_else(wrong)?.to)
        }
        _ => return Err(unexpected(letter)),
    };
    if rest.is_empty() {
        Ok(edit)
    } else {
        Err(wrong())
    }
}

fn field(rest: &mut &[u8]) -> Option<(String, Vec<u8>)> {
    let name = std::str::from_utf8(take_string(rest)?).ok()?;
    let value = take_string(rest)?;
    is_name(name).then(|| (name.to_owned(), value.to_vec()))
}

/// An address, and its parameters where there are some, read as MAIL and RCPT are.
fn envelope<T, E>(
    rest: &mut &[u8],
    keyword: &str,
    read: fn(&str, Rules<'_>) -> Result<T, E>,
) -> Option<T> {
    let address = std::str::from_utf8(take_string(rest)?).ok()?;
    let parameters = match take_string(rest) {
        Some(parameters) => std::str::from_utf8(parameters).ok()?,
        None => "",
    };
    if address.contains(char::is_control) || parameters.contains(char::is_control) {
        return None;
    }
    let address = match address.strip_prefix('<') {
        Some(_) => address.to_owned(),
        None => format!("<{address}>"),
    };
    let rules = Rules {
        hostname: "localhost",
        local: false,
        auth: false,
        xmove: false,
        utf8: true,
    };
    read(&format!("{keyword}{address} {parameters}"), rules).ok()
}
