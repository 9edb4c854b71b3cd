//! Blind recipients: served where they stand in a field, and shown to nobody wherever they stand.

use std::process::Output;

use tests::{
    agent::{Agent, config},
    session::Session,
    sink::{Received, Sink},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

fn status(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_blind_recipient_behind_a_line_of_blanks_is_served_and_not_shown() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    let message = "To: a@d.example\nSubject: s\n \nBcc: secret@d.example\n\ntext\n";
    machine.send(&["-t"], message);
    let received = sink.journal().first();
    assert_eq!(received.recipients, ["a@d.example", "secret@d.example"]);
    assert!(!received.text().contains("secret"), "{}", received.text());
    assert_eq!(received.body(), "text\r\n");
}

/// The relayhost gets them in several transactions.
#[test]
fn a_message_to_thousands_is_taken_as_one_and_beyond_the_bound_it_goes_to_nobody() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let all: Vec<_> = (0..2500).map(|n| format!("u{n}@d.example")).collect();
    let message = format!("Bcc: {}\nSubject: s\n\nx\n", all.join(",\n "));
    let (code, told) = status(&machine.sendmail(&["-t"], message));
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let mut expected = all.clone();
    expected.sort();
    assert_eq!(sink.recipients(2500), expected);
    let many: Vec<_> = (0..50_001).map(|n| format!("u{n}@d.example")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let (code, told) = status(&machine.sendmail(&many, "Subject: s\n\nx\n"));
    assert_eq!(code, Some(65), "{told}");
    let why = "50001 recipients, and one message may have 50000; send it in several parts";
    assert!(told.contains(why), "{told}");
    assert!(machine.mailq().contains("empty"));
}

/// No line may be the empty one, and no field can hold another.
#[test]
fn a_blind_recipient_where_no_field_is_is_never_shown_and_whoever_is_left_out_is_told() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    for (message, told) in [
        (
            "To: a@d.example\nsome text\nBcc: secret@d.example\n\nx\n",
            65,
        ),
        (
            "To: a@d.example\nSubject: s\n Bcc: secret@d.example\n\nx\n",
            65,
        ),
        ("To: a@d.example\n Bcc: secret@d.example\n\nx\n", 0),
    ] {
        let before = sink.journal().messages().len();
        let (code, said) = status(&machine.sendmail(&["-t", "-f", "<>"], message));
        assert_eq!(code, Some(told), "{said}");
        assert_eq!(said.contains("Bcc: secret@d.example"), told == 65, "{said}");
        let received = sink.journal().wait_for(before + 1).remove(before);
        let served = if told == 65 { 1 } else { 2 };
        assert_eq!(received.recipients.len(), served, "{message}");
        assert!(!received.text().contains("secret"), "{}", received.text());
    }
}

/// Headers with a blind recipient, damaged in each way that is known; no bare CR, which SMTP
/// refuses.
const DAMAGED: &[&str] = &[
    "To: a@d.example\nBcc: b@d.example,\nsecret@d.example\n",
    "To: a@d.example\nBcc:\nsecret@d.example\nsecret2@d.example\n",
    "To: a@d.example\nBcc: g:\nsecret;\n",
    "To: a@d.example\nBcc: b@d.example,\n \nsecret@d.example\n",
    "To: a@d.example\nBcc: b@d.example,\nor secret@d.example\n",
    "To: a@d.example\nnot a field\nBcc: secret@d.example\n",
    "To: a@d.example\nnot a field\nBcc: b@d.example,\nsecret@d.example\n",
    "garbage\nTo: a@d.example\nBcc: secret@d.example\n",
    " indented\nTo: a@d.example\n\u{a0}Bcc : secret@d.example\n",
    "To: a@d.example\nFrom: f@example.org\u{2028}Bcc: secret@d.example\n",
    "To: a@d.example\nBcc\u{c}: secret@d.example\n",
    "To: a@d.example\n\u{200b}Bcc\u{a0}: secret@d.example\n",
    "\u{feff}Bcc\u{ff1a} secret@d.example\nTo: a@d.example\n",
    "To: a@d.example\nBcc\n : secret@d.example\n",
    "To: a@d.example\n>Bcc: secret@d.example\n",
    "To: a@d.example\n\"Bcc\": secret@d.example\n",
    "To: a@d.example\nBcc= secret@d.example\n",
    "To: a@d.example\n Bcc: my team: secret@d.example;\n",
    "To: a@d.example\n Bcc: Ops: night <secret@d.example>, b@d.example\n",
    "To: a@d.example\n\"Bcc\" (c): secret@d.example\n",
    "To: a@d.example\\nBcc: secret@d.example\n",
];
const REST: &str = "Subject: s\n\ntext\nBcc: stays@d.example\n";

fn is_whole(received: &Received, how: &str) {
    let text = received.text();
    assert!(!text.contains("secret"), "{how}: {text}");
    assert!(
        text.ends_with("text\r\nBcc: stays@d.example\r\n"),
        "{how}: {text}"
    );
}

#[test]
fn a_damaged_header_shows_no_blind_recipient_with_and_without_an_agent() {
    let sink = Sink::start();
    let mut machine = Agent::prepare(&config(&sink.nexthop(), ""));
    let mut count = 0;
    for agent in [false, true] {
        if agent {
            machine.run();
        }
        // All of them without an agent would be as many connections.
        let headers = DAMAGED.iter().skip(if agent { 0 } else { 5 }).step_by(3);
        let lone = ["From: f@example.org\rBcc: secret@d.example\n"];
        for header in headers.copied().chain(lone) {
            let message = format!("{header}{REST}");
            machine.sendmail(&["-f", "<>", "a@d.example"], &message);
            count += 1;
            let how = format!("agent: {agent}, {header:?}");
            let received = sink.journal().wait_for(count).remove(count - 1);
            assert_eq!(received.recipients, ["a@d.example"], "{how}");
            is_whole(&received, &how);
        }
    }
}

#[test]
fn a_damaged_header_shows_no_blind_recipient_of_programs_that_speak_smtp() {
    let (sink, address) = (Sink::start(), free_address());
    let listen = format!("listen = [\"{address}\"]\n");
    let machine = Agent::start(&config(&sink.nexthop(), &listen));
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.1\"]\nrelayhost = \"{}\"\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\n",
        sink.nexthop()
    ));
    let mut sessions = [
        Session::greeted(address),
        Session::greeted(smarthost.address()),
    ];
    for header in DAMAGED {
        let message = format!("{header}{REST}").replace('\n', "\r\n");
        for session in &mut sessions {
            session.delivers("f@example.org", &["a@d.example"], message.as_bytes());
        }
    }
    let transaction = |header: &&str| {
        format!("MAIL FROM:<f@example.org>\nRCPT TO:<a@d.example>\nDATA\n{header}{REST}.\n")
    };
    let batch = DAMAGED.iter().map(transaction).collect::<Vec<_>>().concat();
    let output = machine.sendmail(&["-bs"], format!("EHLO batch\n{batch}QUIT\n"));
    assert!(output.status.success(), "{output:?}");
    for received in sink.journal().wait_for(3 * DAMAGED.len()) {
        is_whole(&received, "by SMTP");
    }
}

#[test]
fn whoever_a_damaged_header_names_is_served_or_told() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    for (header, served, told) in [
        (
            "To: x@d.example,\ny@d.example\nBcc: A <a@d.example>,\nBoss <secret@d.example>\n",
            "x y a secret",
            None,
        ),
        (
            "To: x@d.example\nBcc\u{a0}: \u{200b}secret@d.example\u{202c}\n",
            "x secret",
            None,
        ),
        ("To: x@d.example\nnotice\nTo: X <x@d.example>\n", "x", None),
        (
            "To: x@d.example\nnotice\nCc: y@d.example\n",
            "x",
            Some("Cc: y@d.example"),
        ),
        (
            "To: x@d.example\nFrom: f@example.org\rBcc: secret@d.example\n",
            "x",
            Some("Bcc: secret@d.example"),
        ),
    ] {
        let before = sink.journal().messages().len();
        let (code, said) = status(&machine.sendmail(&["-t"], format!("{header}{REST}")));
        assert_eq!(code, Some(told.map_or(0, |_| 65)), "{header:?}: {said}");
        let news = usize::from(told.is_some());
        let received = sink.journal().wait_for(before + 1 + news).split_off(before);
        let (to_all, to_sender): (Vec<_>, Vec<_>) = received
            .into_iter()
            .partition(|it| it.text().contains("stays@d.example"));
        let names: Vec<_> = to_all[0]
            .recipients
            .iter()
            .map(|to| to.trim_end_matches("@d.example"))
            .collect();
        assert_eq!(names.join(" "), served, "{header:?}");
        is_whole(&to_all[0], header);
        if let Some(told) = told {
            assert!(said.contains(told), "{said}");
            assert!(
                to_sender[0].text().contains(told),
                "{}",
                to_sender[0].text()
            );
        }
    }
}

/// Which of several are blind is known to their envelope no more.
#[test]
fn a_digest_shows_none_of_several_recipients_and_one_alone_is_named() {
    let sink = Sink::start();
    for settings in [
        "collapse = { window = \"1s\" }\n",
        "unchanged = { senders = \"*\", digest = \"1s\" }\n",
    ] {
        let machine = Agent::start(&config(&sink.nexthop(), settings));
        let before = sink.journal().messages().len();
        for (subject, bcc) in [("alone", ""), ("several", "Bcc: secret@d.example\n")] {
            let is_digest = |it: &&Received| {
                it.field("Message-ID").starts_with("<notice.") && it.text().contains(subject)
            };
            let digest = || {
                let messages = sink.journal().messages();
                messages.iter().skip(before).find(is_digest).cloned()
            };
            until_true("a digest comes", || {
                for run in 100..103 {
                    let message = format!(
                        "Auto-Submitted: auto-generated\nTo: a@d.example\n{bcc}\
                         Subject: {subject}\n\nrun {run}\n"
                    );
                    machine.send(&["-t"], message);
                }
                digest().is_some()
            });
            let digest = digest().unwrap();
            let shown = match bcc {
                "" => "a@d.example",
                _ => "undisclosed-recipients:;",
            };
            assert_eq!(digest.field("To"), shown, "{settings}");
            assert!(!digest.text().contains("secret"), "{}", digest.text());
            let count = if bcc.is_empty() { 1 } else { 2 };
            assert_eq!(digest.recipients.len(), count, "{settings}");
        }
    }
}

/// He may be one of those who see the message.
#[test]
fn the_sender_who_hears_of_a_bad_address_is_told_of_no_blind_recipient_beside_it() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    for (header, told) in [
        (
            "To: seen@d.example, bad@@d.example\nBcc: secret@d.example\n",
            "bad@@d.example",
        ),
        (
            "To: seen@d.example\nBcc: secret@d.example, bad@@d.example\n",
            "bad@@d.example",
        ),
        (
            "To: seen@d.example\nBcc: secret@d.example, bad secret2\n",
            "a bad address of blind recipients",
        ),
        (
            "To: a@d.example Bcc: secret@d.example\nCc: bad@@d.example\n",
            "bad@@d.example",
        ),
        (
            "Resent-To: seen@d.example\nResent-Bcc: secret@d.example, bad@@d.example\nTo: a@d.example\n",
            "bad@@d.example",
        ),
        ("To: bad@@d.example\nBcc: bad secret\n", "bad@@d.example"),
    ] {
        let before = sink.journal().messages().len();
        let message = format!("{header}Subject: s\n\ntext\n");
        let (code, said) = status(&machine.sendmail(&["-t", "-f", "seen@d.example"], message));
        assert_eq!(code, Some(65), "{header:?}: {said}");
        let news = until("the notice", || {
            let messages = sink.journal().messages().split_off(before);
            let mut news = messages.into_iter().filter(|it| it.sender.is_empty());
            news.next()
        });
        let text = news.text().replace("=\r\n", "");
        assert_eq!(news.recipients, ["seen@d.example"], "{text}");
        assert!(text.contains(told) && !text.contains("secret"), "{text}");
        if header.contains("seen@d.example") || header.contains("a@d.example") {
            let sent = before + 2;
            sink.journal().wait_for(sent);
        }
    }
}
