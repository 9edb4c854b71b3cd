use super::*;
use crate::{address::Address, outcome::Failure};
use crate::{
    message::Splitter,
    notice::notice,
    outcome::{Blame, Stage},
    status::{EnhancedStatus, ReplyCode},
};

const HEADER: &[u8] = b"From: a@x\r\nMessage-ID: <m1@x>\r\nSubject: s\r\n";

fn failed() -> Vec<(Recipient, Failure)> {
    let said = ReplyCode::new(550).unwrap();
    let unknown = Failure::replied(
        Stage::Recipient,
        said,
        EnhancedStatus::parse("5.1.1"),
        "550 5.1.1 no\r\n\r\n--=_x such user",
    );
    let mut first = Recipient::from(Address::parse("gone@y.example").unwrap());
    first.orcpt = Some("rfc822;root@vm1.example".into());
    first.original = Some(Address::parse("root@vm1.example").unwrap());
    let refused = Failure::new(
        Blame::Network,
        Stage::Connect,
        EnhancedStatus::new(4, 4, 1),
        "Connection refused",
    );
    vec![
        (first, unknown.at("mx.y.example[192.0.2.1]:25")),
        (
            Recipient::from(Address::parse("jürgen@z.example").unwrap()),
            refused.at("mx.z.example[192.0.2.2]:25"),
        ),
    ]
}

fn compose(
    header: &[u8],
    body: Option<&[u8]>,
    make: impl Fn(&Bounce<'_>) -> Vec<u8>,
) -> (Header, Vec<Part>) {
    let to = Address::parse("sender@x.example").unwrap();
    let now = Timestamp::from_secs(1_795_400_000);
    let arrival = Timestamp::from_secs(1_795_333_912);
    let failed = failed();
    parts(&make(&Bounce {
        hostname: "vm1.example",
        queue_id: "4bX",
        arrival,
        now,
        to: &to,
        envid: Some("QQ+1"),
        failed: &failed,
        header,
        body,
    }))
}

/// Header and content of one MIME part.
struct Part {
    header: Header,
    content: Vec<u8>,
}

impl Part {
    fn is(&self, content_type: &str) -> bool {
        self.value("Content-Type").starts_with(content_type)
    }
    fn value(&self, name: &str) -> String {
        self.header
            .first(name)
            .map(|f| String::from_utf8(f.value()).unwrap())
            .unwrap_or_default()
    }
    fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

fn split(bytes: &[u8]) -> (Header, Vec<u8>) {
    let mut splitter = Splitter::default();
    let body = splitter.split(bytes).unwrap().to_vec();
    (splitter.finish().0, body)
}

/// Takes the message apart as a mail program does.
fn parts(message: &[u8]) -> (Header, Vec<Part>) {
    assert!(message.ends_with(b"\r\n"));
    for line in message.split_inclusive(|&b| b == b'\n') {
        assert!(
            line.ends_with(b"\r\n") && line.len() <= 1000,
            "{}",
            line.escape_ascii()
        );
        assert!(
            !line[..line.len() - 2]
                .iter()
                .any(|b| matches!(b, b'\r' | b'\0'))
        );
    }
    let (header, body) = split(message);
    let content_type = String::from_utf8(header.first("Content-Type").unwrap().value()).unwrap();
    let boundary = content_type
        .split("boundary=\"")
        .nth(1)
        .unwrap()
        .trim_end_matches('"');
    let body = [b"\r\n", body.as_slice()].concat();
    let text = body.as_slice();
    let delimiter = format!("\r\n--{boundary}");
    let mut at: Vec<usize> = text
        .windows(delimiter.len())
        .enumerate()
        .filter(|(_, w)| *w == delimiter.as_bytes())
        .map(|(i, _)| i)
        .collect();
    let last = at.pop().unwrap();
    assert_eq!(&text[last + delimiter.len()..], b"--\r\n");
    at.push(last);
    let parts = at.windows(2).map(|pair| {
        let (header, content) = split(&text[pair[0] + delimiter.len() + 2..pair[1]]);
        Part { header, content }
    });
    (header, parts.collect())
}

#[test]
fn a_bounce_tells_people_and_programs_who_was_not_reached_and_why() {
    let (header, parts) = compose(HEADER, None, bounce);
    for (name, value) in [
        (
            "From",
            "\"Mail Delivery System\" <MAILER-DAEMON@vm1.example>",
        ),
        ("To", "sender@x.example"),
        ("Auto-Submitted", "auto-replied"),
        ("In-Reply-To", "<m1@x>"),
        ("MIME-Version", "1.0"),
        ("Content-Transfer-Encoding", "7bit"),
    ] {
        assert_eq!(
            header.first(name).map(Field::value),
            Some(value.into()),
            "{name}"
        );
    }
    let content_type = String::from_utf8(header.first("Content-Type").unwrap().value()).unwrap();
    assert!(
        content_type.starts_with("multipart/report; report-type=delivery-status; boundary="),
        "{content_type}"
    );
    assert_eq!(parts.len(), 3);
    assert!(
        parts[0].is("text/plain")
            && parts[1].is("message/delivery-status")
            && parts[2].is("text/rfc822-headers")
    );
    assert!(parts[1].text().is_ascii() && parts[1].value("Content-Transfer-Encoding") == "7bit");
    assert!(
        parts[0]
            .text()
            .contains("<gone@y.example> (written to <root@vm1.example>):"),
        "{}",
        parts[0].text()
    );
    assert_eq!(
        parts[2].text().trim_end(),
        std::str::from_utf8(HEADER).unwrap().trim_end()
    );

    let groups: Vec<Header> = parts[1]
        .text()
        .split("\r\n\r\n")
        .map(|group| Header::parse(group.as_bytes()))
        .collect();
    let value = |group: usize, name: &str| {
        groups[group]
            .first(name)
            .map(|f| String::from_utf8(f.value()).unwrap())
    };
    assert_eq!(value(0, "Reporting-MTA").unwrap(), "dns; vm1.example");
    assert_eq!(value(0, "Original-Envelope-Id").unwrap(), "QQ+1");
    assert_eq!(
        value(1, "Original-Recipient").unwrap(),
        "rfc822; root@vm1.example"
    );
    assert_eq!(
        value(1, "Final-Recipient").unwrap(),
        "rfc822; gone@y.example"
    );
    assert_eq!(value(1, "Action").unwrap(), "failed");
    assert_eq!(value(1, "Status").unwrap(), "5.1.1");
    assert_eq!(value(1, "Remote-MTA").unwrap(), "dns; mx.y.example");
    assert_eq!(
        value(1, "Diagnostic-Code").unwrap(),
        "smtp; 550 5.1.1 no\\x0d\\x0a\\x0d\\x0a--=_x such user"
    );
    assert_eq!(
        value(2, "Final-Recipient").unwrap(),
        "utf-8; j\\x{FC}rgen@z.example"
    );
    assert_eq!(
        value(2, "Diagnostic-Code").unwrap(),
        "x-local; connect to mx.z.example[192.0.2.2]:25: Connection refused"
    );
    assert_eq!(value(2, "Remote-MTA"), None);
}

#[test]
fn a_delay_warning_says_until_when_the_message_is_tried() {
    let until = Timestamp::from_secs(1_795_800_000);
    let (_, parts) = compose(HEADER, None, |facts| delay(facts, until));
    assert!(parts[1].text().contains("Action: delayed\r\n"));
    assert!(
        parts[1]
            .text()
            .contains(&format!("Will-Retry-Until: {}\r\n", until.rfc5322()))
    );
    assert!(
        parts[0].value("Content-Transfer-Encoding") != "7bit"
            || parts[0].text().contains("ONLY A WARNING")
    );
}

#[test]
fn a_returned_message_is_whole_and_its_bytes_are_its_own() {
    let (header, parts) = compose(HEADER, Some(b"line\r\n.\r\nend\r\n"), bounce);
    assert!(parts[2].is("message/rfc822"));
    assert_eq!(
        parts[2].content.trim_ascii_end(),
        [HEADER, b"\r\nline\r\n.\r\nend"].concat()
    );
    assert_eq!(
        header.first("Content-Transfer-Encoding").unwrap().value(),
        b"7bit"
    );
    let (header, parts) = compose(HEADER, Some(b"caf\xe9\r\n"), bounce);
    assert_eq!(
        header.first("Content-Transfer-Encoding").unwrap().value(),
        b"8bit"
    );
    assert_eq!(parts[2].value("Content-Transfer-Encoding"), "8bit");
    assert_eq!(
        parts[2].content.trim_ascii_end(),
        [HEADER, b"\r\ncaf\xe9"].concat()
    );
}

/// RFC 6533 §4: programs read the header as UTF-8 only where they are told that it is.
#[test]
fn an_original_with_a_header_in_utf_8_is_returned_as_what_it_is() {
    let utf8 = "From: jürgen@z.example\r\nSubject: grüße\r\n".as_bytes();
    let (header, parts) = compose(utf8, Some(b"x\r\n"), bounce);
    assert!(parts[2].is("message/global"));
    assert_eq!(parts[2].value("Content-Transfer-Encoding"), "8bit");
    assert_eq!(
        header.first("Content-Transfer-Encoding").unwrap().value(),
        b"8bit"
    );
    assert_eq!(parts[2].content.trim_ascii_end(), [utf8, b"\r\nx"].concat());
    // Bytes of another charset are no UTF-8, and a body in it makes no such header.
    for (header, body) in [
        (&b"Subject: gr\xfc\xdfe\r\n"[..], &b"x\r\n"[..]),
        (HEADER, "ü\r\n".as_bytes()),
    ] {
        let (_, parts) = compose(header, Some(body), bounce);
        assert!(parts[2].is("message/rfc822"));
    }
    let (_, parts) = compose(b"Subject: gr\xfc\xdfe\r\n", None, bounce);
    assert!(parts[2].is("text/rfc822-headers"));
}

#[test]
fn an_eight_bit_header_travels_encoded_and_a_boundary_in_it_does_no_harm() {
    let guess = format!("=_{:x}.0", Timestamp::from_secs(1_795_400_000).as_millis());
    let original = format!(
        "Subject: café\r\nX: --{guess}\r\nY: {}\r\n",
        "z".repeat(2000)
    );
    let (_, with_guess) = compose(format!("X:\r\n --{guess}\r\n").as_bytes(), None, bounce);
    assert_eq!(with_guess.len(), 3);
    let (_, parts) = compose(original.as_bytes(), None, bounce);
    assert_eq!(parts.len(), 3);
    assert_eq!(
        parts[2].value("Content-Transfer-Encoding"),
        "quoted-printable"
    );
    assert!(parts[2].is("message/global-headers"));
    assert!(
        parts[2].text().is_ascii() && parts[2].text().contains("Subject: caf=C3=A9\r\nX: --=3D_")
    );
}

#[test]
fn a_notice_is_plain_text_marked_as_generated() {
    let to = [
        Address::parse("admins@example.org").unwrap(),
        Address::parse("b@example.org").unwrap(),
    ];
    let now = Timestamp::from_secs(1_795_400_000);
    let message = notice(
        "vm1.example",
        now,
        &to,
        "100 of 100: \u{e9}\r\nBcc: x@y",
        "first\n.\nl\u{1b}ast\n",
    );
    let (header, body) = split(&message);
    assert_eq!(
        header.first("To").unwrap().value(),
        b"admins@example.org, b@example.org"
    );
    assert_eq!(
        header.first("Auto-Submitted").unwrap().value(),
        b"auto-generated"
    );
    assert!(header.first("Bcc").is_none() && header.to_bytes().is_ascii());
    assert_eq!(
        header.first("Subject").unwrap().value(),
        b"100 of 100: =?utf-8?b?w6k=?= Bcc: x@y"
    );
    assert_eq!(
        String::from_utf8(body).unwrap().trim_end(),
        "first\r\n.\r\nl ast"
    );
    let other = notice("vm1.example", now, &to, "other", "first\n");
    assert_ne!(
        split(&other).0.first("Message-ID"),
        header.first("Message-ID")
    );
}

/// RFC 3461 §5.2.2, §5.2.6: what is told when NOTIFY=SUCCESS was asked for.
#[test]
fn success_is_delivered_or_relayed_and_nothing_else() {
    let reached = |handover| {
        let recipient = Recipient::from(Address::parse("u@y.example").unwrap());
        let delivery = Delivery {
            relay: "mx.y.example[192.0.2.1]:25".to_owned(),
            reply: "250 Ok".to_owned(),
            handover,
        };
        (recipient, delivery)
    };
    for (handover, action) in [
        (Handover::Final, "Action: delivered\r\n"),
        (Handover::Relayed, "Action: relayed\r\n"),
    ] {
        let (header, parts) = compose(HEADER, None, |facts| success(facts, &[reached(handover)]));
        assert_eq!(
            header.first("Auto-Submitted").unwrap().value(),
            b"auto-replied"
        );
        let status = parts[1].text();
        for line in [
            action,
            "Final-Recipient: rfc822; u@y.example\r\n",
            "Status: 2.0.0\r\n",
            "Remote-MTA: dns; mx.y.example\r\n",
            "Original-Envelope-Id: QQ+1\r\n",
        ] {
            assert!(status.contains(line), "{line} in {status}");
        }
        assert!(!status.contains("Diagnostic-Code") && !status.contains("gone@y.example"));
    }
}

#[test]
fn mail_that_an_administrator_gives_up_was_not_tried_at_that_time() {
    let to = Address::parse("sender@x.example").unwrap();
    let now = Timestamp::from_secs(1_795_400_000);
    let tried = |failure: Failure| {
        let failed = [(Recipient::from(to.clone()), failure)];
        let report = bounce(&Bounce {
            hostname: "vm1.example",
            queue_id: "4bX",
            arrival: Timestamp::from_secs(1_795_333_912),
            now,
            to: &to,
            envid: None,
            failed: &failed,
            header: b"",
            body: None,
        });
        String::from_utf8(report)
            .unwrap()
            .contains("\r\nLast-Attempt-Date: ")
    };
    assert!(!tried(Failure::by_order(Some("Connection refused"))));
    assert!(tried(Failure::ours("a program failed")));
}
