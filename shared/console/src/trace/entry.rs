//! A line of a log, in the forms in which it is kept: our own, syslog's old and new one, and the
//! journal's (`journalctl` as text, and as JSON).
//!
//! Contract: every line is an entry, whatever it holds; what is not understood has no time and no
//! program. No text is longer than [`LONGEST`].
//! RFC 3164 §4.1, RFC 5424 §6.

use mail::clock::Timestamp;
use serde_json::Value;

/// Longest text of a line that is looked at, bytes.
pub(super) const LONGEST: usize = 16 * 1024;

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Entry {
    pub(super) time: Option<Timestamp>,
    /// Empty where the log does not tell.
    pub(super) host: String,
    /// `smarthost`, `sendmail-shim`, or what the log calls it, `postfix/smtpd`.
    pub(super) program: String,
    /// From the queue id on, or what there is in its place.
    pub(super) text: String,
}

impl Entry {
    /// `now`: the old form of syslog has no year.
    pub(super) fn parse(line: &str, now: Timestamp) -> Self {
        let line = line.trim_end_matches(['\r', '\n']);
        let journal = line.starts_with('{').then(|| of_journal(line)).flatten();
        let mut entry = journal.unwrap_or_else(|| of_text(line, now));
        for level in ["warning: ", "error: ", "debug: "] {
            if let Some(rest) = entry.text.strip_prefix(level)
                && id(rest).is_some()
            {
                entry.text = rest.to_owned();
            }
        }
        entry
    }

    /// The id of the message that it is about, and what it says of it.
    pub(super) fn of_message(&self) -> Option<(&str, &str)> {
        id(&self.text)
    }
}

/// `ID: …`
fn id(text: &str) -> Option<(&str, &str)> {
    let (id, rest) = text.split_once(": ")?;
    is_id(id).then_some((id, rest))
}

/// As both programs write them, and Postfix: letters and digits, of which there is one, or
/// consonants only.
pub(super) fn is_id(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    (6..=20).contains(&word.len())
        && word.bytes().all(plain)
        && word != "NOQUEUE"
        && (word.bytes().any(|byte| byte.is_ascii_digit())
            || word.bytes().all(|byte| byte.is_ascii_uppercase()))
}

/// A line of `journalctl --output=json`.
fn of_journal(line: &str) -> Option<Entry> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(line).ok()?;
    let text = |name: &str| fields.get(name).and_then(text);
    let micros: Option<u64> = text("__REALTIME_TIMESTAMP").and_then(|text| text.parse().ok());
    let unit = text("_SYSTEMD_UNIT").and_then(|unit| {
        let unit = unit.strip_suffix(".service")?.to_owned();
        matches!(unit.as_str(), "smarthost" | "sendmail-shim").then_some(unit)
    });
    Some(Entry {
        time: micros.map(|micros| Timestamp::from_millis(micros / 1000)),
        host: text("_HOSTNAME").unwrap_or_default(),
        program: unit
            .or_else(|| text("SYSLOG_IDENTIFIER"))
            .unwrap_or_default(),
        text: text("MESSAGE")?,
    })
}

/// Text, or bytes where it is not UTF-8; of a field that is there twice, the first.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) if all.iter().all(Value::is_u64) => {
            let bytes = all.iter().filter_map(|byte| byte.as_u64()?.try_into().ok());
            let bytes: Vec<u8> = bytes.collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(all) => all.first().and_then(text),
        _ => None,
    }
}

fn of_text(line: &str, now: Timestamp) -> Entry {
    let line = without_priority(line);
    let (time, rest) = time(line, now);
    let (host, program, text) = sender(rest).unwrap_or(("", "", rest));
    Entry {
        time,
        host: host.to_owned(),
        program: program.to_owned(),
        text: text.to_owned(),
    }
}

/// `<22>`, and the `1 ` of the new form.
fn without_priority(line: &str) -> &str {
    let priority = line
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    let rest = priority.map_or(line, |(_, rest)| rest);
    rest.strip_prefix("1 ").unwrap_or(rest)
}

/// The first word, and what follows the blanks behind it.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_start_matches(' '))
}

fn time(line: &str, now: Timestamp) -> (Option<Timestamp>, &str) {
    let (first, rest) = word(line);
    if first
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit())
    {
        if let Some(time) = Timestamp::parse(first).filter(|_| first.contains('T')) {
            return (Some(time), rest);
        }
        let (second, after) = word(rest);
        if let Some(time) = Timestamp::parse(&format!("{first} {second}")) {
            return (Some(time), after);
        }
    }
    let (day, after) = word(rest);
    let (time, after) = word(after);
    if let Some(time) = Timestamp::of_syslog(first, day, time, now) {
        return (Some(time), after);
    }
    // `Sun 2026-11-22 07:51:52 CET host …`
    match Timestamp::parse(&format!("{day} {time}")) {
        Some(time) if first.len() == 3 => (Some(time), word(after).1),
        _ => (None, line),
    }
}

/// `[host] program[pid]: text`, or `host program pid msgid - text`.
fn sender(rest: &str) -> Option<(&str, &str, &str)> {
    let (first, after) = word(rest);
    if let Some(program) = tag(first) {
        return Some(("", program, after));
    }
    let (second, text) = word(after);
    if let Some(program) = tag(second) {
        return Some((first, program, text));
    }
    let (pid, text) = word(text);
    let (_, text) = word(text);
    let text = text.strip_prefix("- ")?;
    let number = pid == "-" || pid.bytes().all(|byte| byte.is_ascii_digit());
    number.then_some((first, second, text))
}

/// `smarthost[7]:`
fn tag(word: &str) -> Option<&str> {
    let name = word.strip_suffix(':')?;
    let name = match name.strip_suffix(']') {
        Some(inner) => inner.rsplit_once('[')?.0,
        None => name,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.@".contains(c);
    // A queue id in the place of the program: what was logged without a name.
    let is = !name.is_empty() && name.chars().all(plain) && (word.contains('[') || !is_id(name));
    is.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_every_form_in_which_logs_are_kept() {
        let now = Timestamp::parse("2026-11-23").unwrap();
        let then = Timestamp::parse("2026-11-22 07:51:52");
        let iso = then.unwrap().rfc3339();
        let micros = then.unwrap().as_millis() * 1000;
        let text = "0BCDFGHJKLMNP: to=<a@b.example>, status=sent (250 ok)";
        for line in [
            format!("{iso} smarthost[7]: {text}"),
            format!("{iso} mx1 postfix/smtp[7]: {text}"),
            format!("Nov 22 07:51:52 mx1 smarthost[7]: {text}"),
            format!("Nov 22 07:51:52.000123 mx1 smarthost[7]: {text}\r\n"),
            format!("Nov 22 07:51:52 mx1 smarthost: {text}"),
            format!("Sun 2026-11-22 07:51:52 CET mx1 smarthost[7]: {text}"),
            format!("2026-11-22 07:51:52 mx1 smarthost[7]: {text}"),
            format!("2026-11-22T07:51:52 mx1 smarthost[7]: warning: {text}"),
            format!("<22>1 {iso} mx1 smarthost 7 - - {text}"),
            format!("<22>Nov 22 07:51:52 mx1 smarthost[7]: error: {text}"),
            format!(
                "{{\"MESSAGE\":\"{text}\",\"__REALTIME_TIMESTAMP\":\"{micros}\",\"_HOSTNAME\":\"mx1\",\
                 \"SYSLOG_IDENTIFIER\":\"postfix/smtp\",\"_SYSTEMD_UNIT\":\"smarthost.service\"}}"
            ),
            format!(
                "{{\"MESSAGE\":{:?},\"__REALTIME_TIMESTAMP\":\"{micros}\"}}",
                text.as_bytes()
            ),
        ] {
            let entry = Entry::parse(&line, now);
            assert_eq!((entry.time, entry.text.as_str()), (then, text), "{line}");
            assert!(["", "mx1"].contains(&entry.host.as_str()), "{entry:?}");
            let (id, said) = entry.of_message().unwrap();
            assert!(
                id == "0BCDFGHJKLMNP" && said.starts_with("to=<a@"),
                "{line}"
            );
        }
    }

    #[test]
    fn the_old_form_without_a_year_is_never_about_the_future() {
        let now = Timestamp::parse("2026-01-02 10:00:00").unwrap();
        let entry = Entry::parse("Dec 31 23:59:59 mx1 smarthost[7]: x", now);
        assert_eq!(entry.time, Timestamp::parse("2025-12-31 23:59:59"));
    }

    #[test]
    fn what_is_no_line_of_ours_is_an_entry_all_the_same() {
        let now = Timestamp::from_secs(1_795_333_912);
        for line in [
            "",
            " ",
            "{",
            "{}",
            "{\"MESSAGE\":null}",
            "<",
            "<22>",
            "<22>1 ",
            ":",
            "[]:",
            "a[: b",
            "Nov",
            "Nov 22",
            "Foo 99 99:99:99 x y[1]: z",
            "0BCDFGHJKLMNP: removed",
            "\u{feff}é: ß",
            "1 2 3 4 5 - x",
        ] {
            let entry = Entry::parse(line, now);
            assert!(entry.text.len() <= line.len(), "{entry:?}");
        }
        assert!(
            Entry::parse("0BCDFGHJKLMNP: removed", now)
                .of_message()
                .is_some()
        );
        for none in [
            "NOQUEUE: reject: x",
            "statistics: max",
            "connect from x",
            "milter x: y",
            "disconnect: 7",
        ] {
            assert!(Entry::parse(none, now).of_message().is_none(), "{none}");
        }
    }
}
