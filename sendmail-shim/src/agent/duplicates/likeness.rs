//! Which messages are the same: those of one user with the same sender, recipients, subject and
//! body, numbers apart.
//!
//! Contract: pure. A number is a run of digits that does not follow a letter: `sda1` and `sdb2`
//! differ, `pid 17` and `pid 4711` do not. Only automatic mail is ever alike.
//! RFC 3834 §5 (Auto-Submitted).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::hash::{BuildHasher, Hasher};

use mail::{
    envelope::Envelope,
    message::{Field, Header},
};

/// Whether a program wrote it that nobody talks to: cron's mail, or what says so itself.
pub(crate) fn is_automatic(header: &Header) -> bool {
    header.fields().iter().any(|field| {
        if field.is("Auto-Submitted") {
            !field.value().trim_ascii().eq_ignore_ascii_case(b"no")
        } else if field.is("From") {
            let needle = b"Cron Daemon";
            field
                .value()
                .windows(needle.len())
                .any(|part| part == needle)
        } else {
            field.is("X-Cron-Env")
        }
    })
}

/// Equal for messages that are alike. The hasher's key must be secret: then nobody can write mail
/// that is taken for another.
pub(crate) fn likeness(
    key: &impl BuildHasher,
    envelope: &Envelope,
    header: &Header,
    body: &[u8],
) -> u64 {
    let mut hasher = key.build_hasher();
    hasher.write_u64(envelope.uid.map_or(u64::MAX, u64::from));
    hasher.write(envelope.sender.to_string().as_bytes());
    let mut recipients: Vec<_> = envelope
        .recipients
        .iter()
        .map(|recipient| recipient.address.as_str())
        .collect();
    recipients.sort_unstable();
    for recipient in recipients {
        hasher.write_u8(0xff);
        hasher.write(recipient.as_bytes());
    }
    let subject = header.first("Subject").map(Field::value);
    hasher.write_u8(0xff);
    write_masked(&mut hasher, subject.unwrap_or_default().trim_ascii());
    hasher.write_u8(0xff);
    write_masked(&mut hasher, body);
    hasher.finish()
}

/// Numbers as `0`, all else as it is.
fn write_masked(hasher: &mut impl Hasher, text: &[u8]) {
    let mut masked = Vec::with_capacity(text.len());
    let (mut in_number, mut after_letter) = (false, false);
    for &byte in text {
        let digit = byte.is_ascii_digit();
        if digit && in_number {
            continue;
        }
        in_number = digit && !after_letter;
        masked.push(if in_number { b'0' } else { byte });
        after_letter = byte.is_ascii_alphabetic() || (digit && after_letter);
    }
    hasher.write(&masked);
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use proptest::prelude::*;

    use super::*;
    use crate::agent::tests::envelope;

    fn header(text: &str) -> Header {
        Header::parse(text.as_bytes())
    }
    #[test]
    fn cron_and_what_calls_itself_automatic_is_automatic_and_people_are_not() {
        for (text, automatic) in [
            ("X-Cron-Env: <SHELL=/bin/sh>\r\n", true),
            ("From: \"Cron Daemon\" <root@x.example>\r\n", true),
            ("From: root (Cron Daemon)\r\n", true),
            ("Auto-Submitted: auto-generated\r\n", true),
            ("Auto-Submitted: No\r\n", false),
            ("From: someone@x.example\r\nSubject: X-Cron-Env\r\n", false),
        ] {
            assert_eq!(is_automatic(&header(text)), automatic, "{text}");
        }
    }

    #[test]
    fn numbers_and_times_make_no_difference_and_names_callers_and_recipients_do() {
        let key = RandomState::new();
        let to = ["b@x.example", "a@x.example"];
        let of = |uid, to: &[&str], subject: &str, body: &str| {
            let subject = header(&format!("Subject: {subject}\r\n"));
            likeness(&key, &envelope(uid, to), &subject, body.as_bytes())
        };
        let first = of(0, &to, "backup 17", "12:45:01 job[812] of sda1: 97% full");
        let swapped = [to[1], to[0]];
        assert_eq!(
            first,
            of(
                0,
                &swapped,
                "backup 4",
                "9:02:11 job[4711] of sda1: 8% full"
            )
        );
        for other in [
            of(33, &to, "backup 17", "12:45:01 job[812] of sda1: 97% full"),
            of(
                0,
                &to[..1],
                "backup 17",
                "12:45:01 job[812] of sda1: 97% full",
            ),
            of(0, &to, "restore 17", "12:45:01 job[812] of sda1: 97% full"),
            of(0, &to, "backup 17", "12:45:01 job[812] of sda2: 97% full"),
            of(0, &to, "backup", "17 12:45:01 job[812] of sda1: 97% full"),
        ] {
            assert_ne!(first, other);
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_likeness_and_the_same_text_has_the_same(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let key = RandomState::new();
            let of = || likeness(&key, &envelope(0, &["a@x.example"]), &header("Subject: x\r\n"), &text);
            prop_assert_eq!(of(), of());
        }
    }
}
