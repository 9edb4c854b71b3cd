//! What a program did with a case, beside what it should have done.
//!
//! Contract: what is told is a few words each, worst first: mail lost or sent to the wrong people
//! before words on the wire.
//! Of every message, whatever the case: no bare CR or LF, no NUL, no line over 998 bytes, and
//! nothing in 8 bits that the relay does not offer to take.

use super::case::Case;
use crate::sink::Received;

/// What was seen.
#[derive(Debug)]
pub struct Observed {
    /// `None`: killed, or it did not end.
    pub exit: Option<i32>,
    pub stdout: String,
    pub messages: Vec<Received>,
    /// What the relay offered.
    pub takes_8bit: bool,
}

/// What went otherwise than the case says; `exactly`: with this very exit status, else one of the
/// same class (0, 75, any other).
pub fn judge(case: &Case, observed: &Observed, exactly: bool) -> Vec<String> {
    let mut faults = Vec::new();
    envelope(case, observed, &mut faults);
    exit(case, observed, exactly, &mut faults);
    if let Some(expected) = &case.stdout
        && !observed.stdout.contains(expected.as_str())
    {
        faults.push(format!("does not print \"{expected}\""));
    }
    for message in observed.messages.iter().filter(|m| !is_bounce(case, m)) {
        content(case, message, &mut faults);
        wire(message, observed.takes_8bit, &mut faults);
    }
    faults.dedup();
    faults
}

fn envelope(case: &Case, observed: &Observed, faults: &mut Vec<String>) {
    let (bounces, messages): (Vec<_>, Vec<_>) =
        observed.messages.iter().partition(|m| is_bounce(case, m));
    let mut seen: Vec<&str> = messages
        .iter()
        .flat_map(|message| message.recipients.iter().map(String::as_str))
        .collect();
    seen.sort_unstable();
    let expected = case.to();
    let missing = match case.recipients {
        Some(count) => count.saturating_sub(seen.len()),
        None => expected
            .iter()
            .filter(|to| !seen.contains(&to.as_str()))
            .count(),
    };
    if missing > 0 {
        let fate = match observed.exit {
            _ if !bounces.is_empty() => "bounced",
            Some(0) if case.exit == 0 => "not delivered, exit 0",
            _ => "not taken",
        };
        faults.push(format!("{missing} of {} recipients {fate}", case.count()));
    }
    let unwanted = seen.iter().find(|to| !expected.iter().any(|e| e == *to));
    if let Some(unwanted) = unwanted.filter(|_| case.recipients.is_none()) {
        faults.push(format!("sent to <{}>", unwanted.escape_debug()));
    }
    if seen.len() > case.count() && missing == 0 && unwanted.is_none() {
        faults.push("a recipient gets it twice".to_owned());
    }
    if let Some(expected) = &case.sender
        && let Some(message) = messages.first()
        && message.sender != *expected
    {
        faults.push(format!("sender <{}>", message.sender.escape_debug()));
    }
}

/// A bounce or a report to the caller: not what the case sends.
pub(super) fn is_bounce(case: &Case, message: &Received) -> bool {
    let wanted = message.recipients.iter().any(|to| case.to().contains(to));
    message.sender.is_empty() && case.sender.as_deref() != Some("") && !wanted
}

fn exit(case: &Case, observed: &Observed, exactly: bool, faults: &mut Vec<String>) {
    let class = |code: i32| match code {
        0 | 75 => code,
        _ => 64,
    };
    let expected = i32::from(case.exit);
    match observed.exit {
        None => faults.push("killed by a signal".to_owned()),
        Some(124 | 137) => faults.push("does not end".to_owned()),
        Some(code) if exactly && code != expected => faults.push(format!("exit {code}")),
        Some(code) if class(code) != class(expected) => faults.push(format!("exit {code}")),
        Some(_) => {}
    }
}

fn content(case: &Case, message: &Received, faults: &mut Vec<String>) {
    for field in &case.once {
        match message.fields(field).len() {
            1 => {}
            0 => faults.push(format!("no {field}")),
            count => faults.push(format!("{count} times {field}")),
        }
    }
    let text = message.text();
    let unfolded = text.replace("\r\n ", " ").replace("\r\n\t", " ");
    for wanted in &case.has {
        if !unfolded.contains(wanted.as_str()) {
            faults.push(format!("lacks `{}`", short(wanted)));
        }
    }
    for unwanted in &case.lacks {
        if text.contains(unwanted.as_str()) {
            faults.push(format!("has `{}`", short(unwanted)));
        }
    }
    // Clients may end the message with one empty line more.
    let body = message.body();
    if let Some(expected) = &case.body
        && body != *expected
    {
        let got = if body.len() < expected.len() {
            "cut"
        } else {
            "changed"
        };
        faults.push(format!("body {got}: `{}`", short(&body)));
    }
    if case.body_size.is_some_and(|size| size != body.len()) {
        faults.push(format!("{} bytes of body", body.len()));
    }
}

fn wire(message: &Received, takes_8bit: bool, faults: &mut Vec<String>) {
    let content = &message.content;
    let mut before = 0;
    let mut bare = false;
    let mut column = 0usize;
    let mut longest = 0;
    for &byte in content {
        bare |= (byte == b'\n') != (before == b'\r');
        column = if byte == b'\n' { 0 } else { column + 1 };
        longest = longest.max(column);
        before = byte;
    }
    if bare || before == b'\r' {
        faults.push("bare CR or LF on the wire".to_owned());
    }
    if content.contains(&0) {
        faults.push("NUL on the wire".to_owned());
    }
    if longest > 999 {
        faults.push("line over 998 bytes".to_owned());
    }
    if !message.header_section().is_ascii() && !message.parameters.contains("SMTPUTF8") {
        faults.push("8-bit header".to_owned());
    }
    if !takes_8bit && !message.body().is_ascii() {
        faults.push("8-bit body".to_owned());
    }
}

fn short(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    shown.escape_debug().to_string()
}
