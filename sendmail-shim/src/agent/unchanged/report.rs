//! What a report says, numbers apart, and the job that it is of.
//!
//! Contract: pure, total, linear. Two reports say the same if they differ in nothing but numbers,
//! none of which is zero in one of them alone; of the header, in nothing but its trace. A number is
//! a run of digits that does not follow a letter, with the points and commas inside it. The parts
//! of a time of day (`00:05`) are never zero. What is not plain text (encoded, in parts, in a
//! charset whose letters have digits in them) has no numbers: it is the same byte for byte or not
//! at all.
//! RFC 2045 §5.1, §6.1 (Content-Type, Content-Transfer-Encoding); RFC 2047 §2 (encoded words).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::{
    envelope::Envelope,
    message::{Field, Header, writer::WRITER},
};
use sha2::{Digest as _, Sha256};

/// SHA-256: nobody can make two that are taken for one another.
pub(crate) type Hash = [u8; 32];

/// Lines with numbers of a report that is compared; one with more is sent.
const NUMBERS: usize = 256;
/// The longest subject that is compared, bytes.
const SUBJECT: usize = 300;
/// Fields that differ each time and say nothing.
const TRACE: [&str; 5] = ["Date", "Message-ID", "Received", "Subject", WRITER];

/// One report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    /// User, sender, recipients, subject without its numbers.
    pub(crate) job: Hash,
    /// `None`: it cannot be compared.
    pub(crate) said: Option<Said>,
}

/// What it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    /// All of it, numbers masked.
    pub(crate) content: Hash,
    /// Its lines with numbers, in their order.
    pub(crate) numbers: Vec<Line>,
}

/// A line as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) hash: u128,
    pub(crate) length: usize,
}

/// `body`: if it is small.
pub(crate) fn report(envelope: &Envelope, header: &Header, body: Option<&[u8]>) -> Report {
    let subject = subject(header);
    let (kind, of_content) = if is_encoded(&subject) {
        (subject.clone(), subject.clone())
    } else {
        (masked(&subject, false), masked(&subject, true))
    };
    let job = hash(|part| {
        part(
            envelope
                .uid
                .map_or(String::new(), |uid| uid.to_string())
                .as_bytes(),
        );
        part(envelope.sender.to_string().as_bytes());
        addressed(envelope, &mut *part);
        part(&kind);
    });
    let said = body.filter(|_| subject.len() <= SUBJECT);
    let said = said.and_then(|body| said_in(header, &of_content, body));
    Report { job, said }
}

/// Whose digest it is told in: that of a user's mail to the same recipients.
pub(crate) fn group(envelope: &Envelope) -> u128 {
    let all = hash(|part| {
        part(
            envelope
                .uid
                .map_or(String::new(), |uid| uid.to_string())
                .as_bytes(),
        );
        addressed(envelope, &mut *part);
    });
    short(all)
}

/// The subject, on one line.
pub(crate) fn subject(header: &Header) -> Vec<u8> {
    let subject = header.first("Subject").map(Field::value);
    subject.unwrap_or_default().trim_ascii().to_vec()
}

/// The lines of a body that have numbers, in their order: what a [`Said`] counts.
pub(crate) fn lines_with_numbers(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = body
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    lines.filter(|line| line.iter().any(u8::is_ascii_digit))
}

fn said_in(header: &Header, subject: &[u8], body: &[u8]) -> Option<Said> {
    let plain = is_plain(header);
    let lines = lines_with_numbers(body).filter(|_| plain);
    let numbers: Vec<Line> = lines.take(NUMBERS.saturating_add(1)).map(line).collect();
    if numbers.len() > NUMBERS {
        return None;
    }
    let content = hash(|part| {
        part(subject);
        let told = header.fields().iter();
        for field in told.filter(|field| !TRACE.iter().any(|name| field.is(name))) {
            part(field.name().to_ascii_lowercase().as_bytes());
            part(&field.value());
        }
        if plain {
            part(&masked(body, true));
        } else {
            part(body);
        }
    });
    Some(Said { content, numbers })
}

fn line(text: &[u8]) -> Line {
    Line {
        hash: short(hash(|part| part(text))),
        length: text.len(),
    }
}

/// Recipients in any order.
fn addressed(envelope: &Envelope, part: &mut dyn FnMut(&[u8])) {
    let recipients = envelope.recipients.iter();
    let mut recipients: Vec<_> = recipients.map(|it| it.address.as_str()).collect();
    recipients.sort_unstable();
    for recipient in recipients {
        part(recipient.as_bytes());
    }
}

/// Of parts, none of which can be taken for a piece of another.
fn hash(parts: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Hash {
    let mut hasher = Sha256::new();
    parts(&mut |part| {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    });
    hasher.finalize().into()
}

fn short(hash: Hash) -> u128 {
    hash.first_chunk()
        .map_or(0, |first| u128::from_be_bytes(*first))
}

/// Whether digits in it are letters.
fn is_encoded(subject: &[u8]) -> bool {
    subject.windows(2).any(|two| two == b"=?")
}

/// Whether digits in the body are digits.
fn is_plain(header: &Header) -> bool {
    header.fields().iter().all(|field| {
        let value = String::from_utf8_lossy(&field.value()).to_ascii_lowercase();
        if field.is("Content-Transfer-Encoding") {
            ["7bit", "8bit", "binary"].contains(&value.trim())
        } else if field.is("Content-Type") {
            let mut parts = value.split(';').map(str::trim);
            parts.next() == Some("text/plain") && parts.all(is_harmless)
        } else {
            true
        }
    })
}

/// Whether a parameter of a content type names no charset in which digits may be letters.
fn is_harmless(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return parameter.is_empty();
    };
    let value = value.trim().trim_matches('"');
    let known = ["utf-8", "us-ascii", "ansi_x3.4-1968"].contains(&value);
    name.trim() != "charset"
        || known
        || value.starts_with("iso-8859-")
        || value.starts_with("windows-125")
}

/// Numbers as `9`, with their points and commas; zeros as `0` if `zeros` count; all else as it is.
fn masked(text: &[u8], zeros: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut before: &[u8] = &[];
    while let Some(&byte) = rest.first() {
        let length = if byte.is_ascii_digit() {
            number(rest)
        } else {
            let letter = byte.is_ascii_alphabetic();
            let digits = rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit());
            1usize.saturating_add(if letter { digits.count() } else { 0 })
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        if byte.is_ascii_digit() {
            let zero = zeros && is_zero(token) && !is_of_time(before, token, after);
            mask(token, if zero { b'0' } else { b'9' }, &mut out);
        } else {
            out.extend_from_slice(token);
        }
        let done = text.len().saturating_sub(after.len());
        before = text.get(..done).unwrap_or_default();
        rest = after;
    }
    out
}

/// The length of the number that a text begins with.
fn number(text: &[u8]) -> usize {
    let mut length = 0usize;
    loop {
        let rest = text.get(length..).unwrap_or_default();
        length = length.saturating_add(rest.iter().take_while(|b| b.is_ascii_digit()).count());
        match text.get(length..).unwrap_or_default() {
            [b'.' | b',', digit, ..] if digit.is_ascii_digit() => {
                length = length.saturating_add(1);
            }
            _ => return length,
        }
    }
}

fn is_zero(number: &[u8]) -> bool {
    number.iter().all(|byte| matches!(byte, b'0' | b'.' | b','))
}

/// `00` of `12:00` and `00:05`.
fn is_of_time(before: &[u8], number: &[u8], after: &[u8]) -> bool {
    let follows = matches!(before, [.., digit, b':'] if digit.is_ascii_digit());
    let goes_on =
        matches!(after, [b':', one, two, ..] if one.is_ascii_digit() && two.is_ascii_digit());
    goes_on || (follows && number.len() >= 2)
}

/// Each run of digits as one of these.
fn mask(number: &[u8], digit: u8, out: &mut Vec<u8>) {
    let mut inside = false;
    for &byte in number {
        let is_digit = byte.is_ascii_digit();
        if !(is_digit && inside) {
            out.push(if is_digit { digit } else { byte });
        }
        inside = is_digit;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agent::tests::envelope;

    fn of(header: &str, body: &str) -> Report {
        let header = Header::parse(header.replace('\n', "\r\n").as_bytes());
        report(
            &envelope(0, &["a@x.example"]),
            &header,
            Some(body.as_bytes()),
        )
    }

    /// Whether a body says the same as another one.
    fn same(one: &str, other: &str) -> bool {
        let of = |body| of("Subject: x\n", body).said.unwrap().content;
        of(one) == of(other)
    }

    #[test]
    fn numbers_make_no_difference_unless_one_is_zero_and_the_other_is_not() {
        for (one, other) in [
            ("1234 files in 12.5 s", "7 files in 3.25 s"),
            ("done at 12:00:07", "done at 00:05:00"),
            ("took 0:00:00", "took 0:00:59"),
            ("1,234 KiB", "9,001 KiB"),
            ("0 errors", "0 errors"),
            ("job[812] of sda1", "job[4711] of sda1"),
            ("0.0%", "0.0%"),
        ] {
            assert!(same(one, other), "{one} / {other}");
        }
        for (one, other) in [
            ("0 errors", "7 errors"),
            ("7 errors", "0 errors"),
            ("errors:0", "errors:7"),
            ("failed 0/7", "failed 3/7"),
            ("0.0% lost", "12.5% lost"),
            ("0,00 lost", "0,01 lost"),
            ("0GB free", "5GB free"),
            ("00 left", "07 left"),
            ("(0)", "(1)"),
            ("sda1", "sda2"),
            ("1 error", "2 errors"),
            ("ok 7", "OK 7"),
            ("disks 1,2", "disks 1"),
            ("-1", "1"),
            ("7\n", "7\n7\n"),
        ] {
            assert!(!same(one, other), "{one} / {other}");
        }
    }

    #[test]
    fn what_is_encoded_or_in_parts_is_the_same_byte_for_byte_or_not_at_all() {
        for header in [
            "Content-Transfer-Encoding: base64\n",
            "Content-Transfer-Encoding: quoted-printable\n",
            "Content-Type: multipart/mixed; boundary=7\n",
            "Content-Type: text/html\n",
            "Content-Type: text/plain; charset=\"iso-2022-jp\"\n",
            "Content-Type: text/plain; charset=utf-7\n",
        ] {
            let of = |body| of(header, body).said.unwrap();
            assert_ne!(of("=3D 7").content, of("=3D 8").content, "{header}");
            assert_eq!(of("=3D 7"), of("=3D 7"), "{header}");
            assert!(of("7").numbers.is_empty(), "{header}");
        }
        let cron =
            "Content-Type: text/plain; charset=ANSI_X3.4-1968\nContent-Transfer-Encoding: 8bit\n";
        assert_eq!(
            of(cron, "7").said.unwrap().content,
            of(cron, "8").said.unwrap().content
        );
        let subject = |text: &str| of(&format!("Subject: {text}\n"), "");
        assert_ne!(
            subject("=?utf-8?Q?=3D?=").job,
            subject("=?utf-8?Q?=4D?=").job
        );
    }

    #[test]
    fn a_job_is_a_user_a_sender_recipients_in_any_order_and_a_subject_without_its_numbers() {
        let job = |uid, to: &[&str], subject: &str| {
            let header = Header::parse(format!("Subject: {subject}\r\n").as_bytes());
            report(&envelope(uid, to), &header, None).job
        };
        let both = ["a@x.example", "b@x.example"];
        let first = job(0, &both, "backup 17, 0 failed");
        assert_eq!(first, job(0, &[both[1], both[0]], "backup 4, 3 failed"));
        for other in [
            job(1, &both, "backup 17, 0 failed"),
            job(0, &both[..1], "backup 17, 0 failed"),
            job(0, &both, "restore 17, 0 failed"),
        ] {
            assert_ne!(first, other);
        }
        let said = |subject: &str| {
            of(&format!("Subject: {subject}\n"), "")
                .said
                .unwrap()
                .content
        };
        assert_ne!(said("0 failed"), said("3 failed"));
        assert_eq!(said("2 failed"), said("3 failed"));
    }

    #[test]
    fn of_the_header_only_the_trace_may_differ_and_what_is_too_much_to_compare_is_not_compared() {
        let of_header = |header: &str| of(header, "x").said.unwrap().content;
        let trace =
            |n| format!("Received: by {n}\nDate: {n}\nMessage-ID: <{n}>\n{WRITER}: {n}\nTo: a\n");
        assert_eq!(of_header(&trace(1)), of_header(&trace(2)));
        assert_ne!(of_header("To: a\n"), of_header("To: b\n"));
        assert_ne!(of_header("X-Priority: 5\n"), of_header("X-Priority: 1\n"));
        assert!(of("Subject: x\n", &"7\n".repeat(NUMBERS)).said.is_some());
        assert!(
            of("Subject: x\n", &"7\n".repeat(NUMBERS + 1))
                .said
                .is_none()
        );
        assert!(
            of(&format!("Subject: {}\n", "x".repeat(SUBJECT + 1)), "")
                .said
                .is_none()
        );
    }

    proptest! {
        /// Whatever else is changed, it is another text, or only digits have changed.
        #[test]
        fn two_texts_that_are_the_same_differ_in_digits_alone(one in "[a0-9 .,:\n/]{0,30}", other in "[a0-9 .,:\n/]{0,30}") {
            let without = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            let lines = |text: &str| lines_with_numbers(text.as_bytes()).count();
            if same(&one, &other) {
                prop_assert_eq!(without(&one), without(&other));
                prop_assert_eq!(lines(&one), lines(&other));
            }
            prop_assert!(same(&one, &one));
        }

        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let header = Header::parse(&text);
            report(&envelope(0, &["a@x.example"]), &header, Some(&text));
        }
    }
}
