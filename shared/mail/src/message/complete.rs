//! Completion: what a message must have and does not.
//!
//! Contract: fields that are there stay as they are, byte for byte; one that is there without a
//! value counts as missing.
//! Completing twice is completing once. A resent message gets its Resent- fields instead of To.
//! RFC 5322 §3.6 (required fields), §3.6.6 (resent); RFC 2045 §4, §6 (MIME fields); RFC 6854 is not
//! needed: From is never a group.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{
    clock::Timestamp,
    envelope::Content,
    message::{Field, Header},
};

/// What is known when a message is completed.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Now.
    pub now: Timestamp,
    /// This machine, for Message-ID.
    pub hostname: &'a str,
    /// Queue id, makes the Message-ID unique.
    pub id: &'a str,
    /// `From` where there is none, already rewritten: `Full Name <user@domain>`.
    pub from: &'a str,
    /// 8-bit content without MIME fields gets MIME fields.
    pub content: Content,
    /// What 8-bit text is called ([`Charset::label`](super::charset::Charset::label)).
    pub charset: &'a str,
}

/// Adds Date, Message-ID, From, To (`undisclosed-recipients:;`), MIME fields where missing; nothing
/// else changes. Idempotent.
pub fn complete(header: &mut Header, facts: &Facts<'_>) {
    let message_id = format!("<{}.{}@{}>", facts.id, facts.now.as_secs(), facts.hostname);
    let resent = header.fields().iter().any(is_resent);
    if resent {
        // In the block of this resending, which is the first; each goes before those already there.
        for (name, value) in [
            ("Resent-Message-ID", message_id.clone()),
            ("Resent-From", facts.from.to_owned()),
            ("Resent-Date", facts.now.rfc5322()),
        ] {
            if lacks(header, name) {
                header.insert_before(Field::new(name, &value), is_resent);
            }
        }
    }
    add(header, "Date", &facts.now.rfc5322());
    // A large receiver takes no mail without it, resent or not.
    add(header, "Message-ID", &message_id);
    add(header, "From", facts.from);
    if !resent && lacks(header, "To") && header.first("Cc").is_none() {
        add(header, "To", "undisclosed-recipients:;");
    }
    if facts.content.eight_bit {
        add(header, "MIME-Version", "1.0");
        let content_type = format!("text/plain; charset={}", facts.charset);
        add(header, "Content-Type", &content_type);
        add(header, "Content-Transfer-Encoding", "8bit");
    }
}

fn is_resent(field: &Field) -> bool {
    [
        "Resent-From",
        "Resent-Sender",
        "Resent-To",
        "Resent-Cc",
        "Resent-Date",
        "Resent-Message-ID",
    ]
    .iter()
    .any(|name| field.is(name))
}

/// Whether a field is not there, or only without a value.
fn lacks(header: &Header, name: &str) -> bool {
    header
        .fields()
        .iter()
        .all(|field| !field.is(name) || field.value().is_empty())
}

fn add(header: &mut Header, name: &str, value: &str) {
    if lacks(header, name) {
        header.remove(name);
        header.append(Field::new(name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        now: Timestamp::from_secs(1_795_333_912),
        hostname: "vm1.example.org",
        id: "4bX",
        from: "root <root@example.org>",
        content: Content {
            eight_bit: false,
            utf8: false,
        },
        charset: "utf-8",
    };

    fn completed(text: &str, content: Content) -> String {
        let mut header = Header::parse(text.as_bytes());
        complete(&mut header, &Facts { content, ..FACTS });
        let once = header.clone();
        complete(
            &mut header,
            &Facts {
                id: "another",
                content,
                ..FACTS
            },
        );
        assert_eq!(header, once, "completing twice is completing once");
        String::from_utf8(header.to_bytes()).unwrap()
    }

    /// Row A1.
    #[test]
    fn mail_of_cron_gets_what_it_lacks_and_keeps_what_it_has() {
        let text = completed(
            "From: x\r\nSubject: Cron\r\nto : root\r\n",
            Content::default(),
        );
        let date = FACTS.now.rfc5322();
        assert_eq!(
            text,
            format!(
                "From: x\r\nSubject: Cron\r\nto : root\r\nDate: {date}\r\nMessage-ID: <4bX.1795333912@vm1.example.org>\r\n"
            )
        );
    }

    #[test]
    fn an_empty_message_becomes_a_valid_one() {
        let text = completed("", Content::default());
        assert!(
            text.ends_with("From: root <root@example.org>\r\nTo: undisclosed-recipients:;\r\n"),
            "{text}"
        );
        assert!(!completed("Cc: a@x\r\n", Content::default()).contains("undisclosed"));
        assert!(
            completed("To: \r\nDate:\r\n", Content::default())
                .contains("To: undisclosed-recipients:;")
        );
    }

    #[test]
    fn eight_bit_text_is_declared_and_a_programs_own_declaration_is_kept() {
        let content = Content {
            eight_bit: true,
            utf8: false,
        };
        let text = completed("", content);
        assert!(text.ends_with(
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        ));
        let declared =
            "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8BIT\r\n";
        let text = completed(declared, content);
        assert!(
            text.starts_with(declared) && text.matches("Content-").count() == 2,
            "{text}"
        );
    }

    #[test]
    fn a_resent_message_is_completed_in_its_resent_block() {
        let text = completed(
            "Received: x\r\nResent-To: a@x\r\nTo: b@y\r\n",
            Content::default(),
        );
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            names,
            [
                "Received",
                "Resent-Date",
                "Resent-From",
                "Resent-Message-ID",
                "Resent-To",
                "To",
                "Date",
                "Message-ID",
                "From"
            ]
        );
    }
}
