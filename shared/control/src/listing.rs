//! The queue as `mailq` and `postqueue -j` print it (Postfix 3.12 formats), from one row type that
//! also travels over the control socket.
//!
//! Contract: one message is one paragraph, and no text in a row can make another: control
//! characters print as `?`.
//! Columns widen as in Postfix when queue ids are long. The null sender prints as `MAILER-DAEMON`.
//! postqueue(1).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use mail::{clock::Timestamp, envelope::Recipient, outcome::escape, text::printable};

/// Longest header section shown, bytes.
const MAX_HEADER: usize = 128 * 1024;
/// Longest line of it shown, bytes.
const MAX_HEADER_LINE: usize = 1000;

/// One queued message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// As in the log.
    pub queue_id: String,
    /// `active`, `deferred`, `hold`.
    pub queue_name: String,
    /// When it was accepted.
    pub arrival: Timestamp,
    /// Bytes.
    pub size: u64,
    /// Empty for the null sender.
    pub sender: String,
    /// Those who still wait for it.
    pub recipients: Vec<RecipientRow>,
    /// When it is tried next, if deferred.
    pub next_attempt: Option<Timestamp>,
    /// Where it came from.
    pub origin: String,
}

/// One recipient that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecipientRow {
    /// Where it goes.
    pub address: String,
    /// Before aliases.
    pub orig_address: Option<String>,
    /// Why it waits; empty before the first attempt.
    pub delay_reason: String,
}

impl RecipientRow {
    /// A recipient and why he waits.
    pub fn new(recipient: &Recipient, delay_reason: String) -> Self {
        Self {
            address: recipient.address.to_string(),
            orig_address: recipient.replaced().map(ToString::to_string),
            delay_reason,
        }
    }
}

/// Widths of the columns before sender and recipients.
struct Columns {
    heading: &'static str,
    id: usize,
    size: usize,
    time: usize,
}

const SHORT: Columns = Columns {
    heading: "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------",
    id: 11,
    size: 7,
    time: 20,
};
const LONG: Columns = Columns {
    heading: "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------",
    id: 17,
    size: 8,
    time: 19,
};
/// Longest id for the short form; the mark behind it takes one more.
const SHORT_ID: usize = 10;
/// Where a reason ends, in columns.
const REASON_END: usize = 76;

/// `mailq`'s table, `Mail queue is empty` for no rows.
pub fn mailq(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "Mail queue is empty\n".to_owned();
    }
    let columns = if rows.iter().all(|row| row.queue_id.len() <= SHORT_ID) {
        SHORT
    } else {
        LONG
    };
    let mut out = format!("{}\n", columns.heading);
    for row in rows {
        // Writing to a String cannot fail.
        let _ = paragraph(&mut out, row, &columns);
        out.push('\n');
    }
    let bytes = rows
        .iter()
        .fold(0u64, |sum, row| sum.saturating_add(row.size));
    let plural = if rows.len() == 1 { "" } else { "s" };
    let _ = writeln!(
        out,
        "-- {} Kbytes in {} Request{plural}.",
        bytes / 1024,
        rows.len()
    );
    out
}

fn paragraph(out: &mut String, row: &Row, columns: &Columns) -> std::fmt::Result {
    let mark = match row.queue_name.as_str() {
        "active" => "*",
        "hold" => "!",
        _ => "",
    };
    let Columns { id, size, time, .. } = *columns;
    let queue_id = format!("{}{mark}", printable(&row.queue_id));
    let sender = printable(sender(row));
    writeln!(
        out,
        "{queue_id:<id$} {:>size$} {:<time$} {sender}",
        row.size,
        row.arrival.mailq()
    )?;
    let mut last_reason = "";
    for recipient in &row.recipients {
        if !recipient.delay_reason.is_empty() && recipient.delay_reason != last_reason {
            let reason = printable(&recipient.delay_reason);
            let indent = REASON_END.saturating_sub(reason.chars().count());
            writeln!(out, "{:indent$}({reason})", "")?;
        }
        last_reason = &recipient.delay_reason;
        writeln!(
            out,
            "{:id$} {:size$} {:time$} {}",
            "",
            "",
            "",
            printable(&recipient.address)
        )?;
    }
    Ok(())
}

fn sender(row: &Row) -> &str {
    if row.sender.is_empty() {
        "MAILER-DAEMON"
    } else {
        &row.sender
    }
}

/// A message as `postqueue -j` shows it; the order of the keys is Postfix's.
#[derive(Serialize)]
struct Json<'a> {
    queue_name: &'a str,
    queue_id: &'a str,
    arrival_time: u64,
    message_size: u64,
    forced_expire: bool,
    sender: &'a str,
    recipients: Vec<JsonRecipient<'a>>,
}

#[derive(Serialize)]
struct JsonRecipient<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    orig_address: Option<&'a str>,
    address: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    delay_reason: &'a str,
}

/// `postqueue -j`: one JSON object a line.
pub fn json_lines(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let recipients = row.recipients.iter().map(|recipient| JsonRecipient {
            orig_address: recipient.orig_address.as_deref(),
            address: &recipient.address,
            delay_reason: &recipient.delay_reason,
        });
        let json = Json {
            queue_name: &row.queue_name,
            queue_id: &row.queue_id,
            arrival_time: row.arrival.as_secs(),
            message_size: row.size,
            forced_expire: false,
            sender: sender(row),
            recipients: recipients.collect(),
        };
        // Strings and numbers always have a JSON form.
        if let Ok(line) = serde_json::to_string(&json) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

/// A header section for a terminal: lines escaped and bounded.
pub fn header(header: &[u8]) -> String {
    let mut out = String::new();
    for line in header.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        let (blanks, rest) = match line.strip_prefix(b"\t") {
            Some(rest) => ("        ", rest),
            None => ("", line),
        };
        out.push_str(blanks);
        out.push_str(&escape(rest, MAX_HEADER_LINE));
        out.push('\n');
        if out.len() > MAX_HEADER {
            out.push_str("...\n");
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(queue_id: &str, queue_name: &str) -> Row {
        let recipient = |address: &str, reason: &str| RecipientRow {
            address: address.into(),
            orig_address: None,
            delay_reason: reason.into(),
        };
        let refused = "connect to 127.0.0.1[127.0.0.1]:2601: Connection refused";
        Row {
            queue_id: queue_id.into(),
            queue_name: queue_name.into(),
            arrival: Timestamp::from_secs(1_795_333_912),
            size: 399,
            sender: "a@relay.test".into(),
            recipients: vec![
                recipient("u1@dead.test", refused),
                recipient("u2@dead.test", refused),
            ],
            next_attempt: None,
            origin: String::new(),
        }
    }

    /// Rows C6, C7, D6.
    #[test]
    fn the_queue_is_listed_as_postfix_lists_it_with_the_reason_for_waiting() {
        let time = Timestamp::from_secs(1_795_333_912).mailq();
        let expected = format!(
            "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n\
             AF0FCA2A1D      399 {time}  a@relay.test\n\
             {:20}(connect to 127.0.0.1[127.0.0.1]:2601: Connection refused)\n\
             {:41}u1@dead.test\n\
             {:41}u2@dead.test\n\n\
             -- 0 Kbytes in 1 Request.\n",
            "", "", ""
        );
        assert_eq!(mailq(&[row("AF0FCA2A1D", "deferred")]), expected);
        assert_eq!(mailq(&[]), "Mail queue is empty\n");
    }

    #[test]
    fn long_ids_marks_totals_and_the_null_sender_are_shown() {
        let mut held = row("4bXk2LzQ9aB", "hold");
        held.sender.clear();
        held.size = 5000;
        held.recipients[1].delay_reason = "other".into();
        let text = mailq(&[row("4bXk2LzQ9aA", "active"), held]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("4bXk2LzQ9aA*           399 "),
            "{text}"
        );
        assert!(
            lines[6].starts_with("4bXk2LzQ9aB!          5000 ")
                && lines[6].ends_with(" MAILER-DAEMON"),
            "{text}"
        );
        assert_eq!(lines[9].trim(), "(other)");
        assert_eq!(lines[9].find('('), Some(71));
        assert_eq!(lines[10].find("u2@"), Some(47));
        assert_eq!(lines.last(), Some(&"-- 5 Kbytes in 2 Requests."));
    }

    #[test]
    fn no_text_in_a_row_can_forge_another_line() {
        let mut forged = row("A\nB", "deferred");
        forged.sender = "x\r\ny".into();
        forged.recipients[0].delay_reason = "a\n-- 0 Kbytes in 0 Requests.\x1b[2J".into();
        assert_eq!(mailq(&[forged.clone()]).lines().count(), 8);
        assert!(!mailq(&[forged.clone()]).contains('\x1b'));
        assert_eq!(json_lines(&[forged]).lines().count(), 1);
    }

    #[test]
    fn each_message_is_one_json_object_with_postfixs_keys() {
        let mut aliased = row("A1", "active");
        aliased.recipients.truncate(1);
        aliased.recipients[0].orig_address = Some("root@x".into());
        let text = json_lines(&[row("A0", "deferred"), aliased]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "{\"queue_name\":\"active\",\"queue_id\":\"A1\",\"arrival_time\":1795333912,\"message_size\":399,\"forced_expire\":false,\"sender\":\"a@relay.test\",\"recipients\":[{\"orig_address\":\"root@x\",\"address\":\"u1@dead.test\",\"delay_reason\":\"connect to 127.0.0.1[127.0.0.1]:2601: Connection refused\"}]}"
        );
        let first: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(first["recipients"][1]["address"], "u2@dead.test");
    }

    #[test]
    fn a_header_is_shown_without_what_would_command_the_terminal() {
        let shown = header(b"Subject: \x1b[2Jhello\r\n\tfolded\r\nX: \xff\r\n");
        assert_eq!(shown, "Subject: \\x1b[2Jhello\n        folded\nX: \\xff");
        assert!(header(&b"A: b\r\n".repeat(100_000)).len() < MAX_HEADER + 2000);
    }
}
