//! Hostile and broken input, from the network and from programs: a clear answer, nothing else
//! harmed.

use std::{fs, process::Output};

use tests::{agent::Agent, session::Session, sink::Sink, smarthost::Smarthost};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

fn relay(sink: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\nmessage_size = \"64KiB\"\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ))
}

#[test]
fn every_malformed_command_has_its_answer_and_the_session_goes_on() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let long = format!("MAIL FROM:<{}@example.org>", "x".repeat(300));
    let endless = format!("RCPT TO:<{}", "y".repeat(6000));
    let rows: [(&str, &[u16]); 9] = [
        ("XYZZY", &[500, 502]),
        ("MAIL", &[501]),
        ("MAIL FROM:<a@b@c>", &[501, 553]),
        ("MAIL FROM:a b <x@y>", &[501, 504]),
        (&long, &[501, 553]),
        ("RCPT TO:<b@example.net>", &[503]),
        ("DATA", &[503]),
        ("MAIL FROM:<a@example.org> SIZE=999999999", &[552]),
        ("MAIL FROM:<a@example.org> FOO=bar", &[501, 504, 555]),
    ];
    for (line, codes) in rows {
        let mut session = Session::greeted(smarthost.address());
        let reply = session.say(line);
        assert!(codes.contains(&reply.code), "{line:.80}: {reply:?}");
        let reply = session
            .mail("a@example.org", &["b@example.net"], MESSAGE)
            .unwrap();
        assert_eq!(reply.code, 250, "after {line:.80}: {reply:?}");
    }
    assert_eq!(sink.journal().wait_for(rows.len()).len(), rows.len());
    // Who sends a line without an end is told so, and not listened to any longer.
    let mut session = Session::greeted(smarthost.address());
    assert_eq!(session.say(&endless).code, 500);
    assert!(session.try_reply().is_err());
}

/// SMTP smuggling: whatever another server may take for the end of a message, it is not one here,
/// and is not passed on.
#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    for end in [
        b"\n.\n".as_slice(),
        b"\r.\r",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\n\x00.\r\n",
        b"\n\n.\r\n",
    ] {
        let mut session = Session::greeted(smarthost.address());
        for (line, code) in [
            ("MAIL FROM:<a@example.org>", 250),
            ("RCPT TO:<b@example.net>", 250),
            ("DATA", 354),
        ] {
            assert_eq!(session.say(line).code, code);
        }
        session.send(b"Subject: outer\r\n\r\nhello").unwrap();
        session.send(end).unwrap();
        let _ = session.send(b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n");
        while let Ok(reply) = session.try_reply() {
            assert_ne!(reply.code, 354, "a smuggled DATA was taken after {end:?}");
        }
    }
    // A proper message sent afterwards comes after all that might have been passed on.
    Session::greeted(smarthost.address()).delivers("a@example.org", &["last@example.net"], MESSAGE);
    let last = tests::wait::until("the last message", || {
        sink.journal()
            .messages()
            .into_iter()
            .find(|m| m.recipients == ["last@example.net"])
    });
    assert!(!last.content.is_empty());
    for received in sink.journal().messages() {
        assert_ne!(received.sender, "evil@example.org");
        let lone = received.content.windows(2).any(|pair| {
            (pair[0] != b'\r' && pair[1] == b'\n') || (pair[0] == b'\r' && pair[1] != b'\n')
        });
        assert!(!lone, "a bare CR or LF was sent on: {:?}", received.text());
    }
}

#[test]
fn a_message_that_is_too_big_is_refused_after_its_end_and_the_session_goes_on() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let big = [MESSAGE, &b"0123456789\r\n".repeat(8192)].concat();
    let mut session = Session::greeted(smarthost.address());
    assert_eq!(
        session
            .mail("a@example.org", &["b@example.net"], &big)
            .unwrap()
            .code,
        552
    );
    session.delivers("a@example.org", &["b@example.net"], MESSAGE);
    assert_eq!(
        sink.journal()
            .first()
            .content
            .windows(5)
            .filter(|w| w == b"01234")
            .count(),
        0
    );
}

#[test]
fn what_programs_pipe_in_arrives_whole_whatever_it_is() {
    let sink = Sink::start();
    let machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\n",
        sink.nexthop()
    ));
    let rows: [(&str, &[u8], &str); 5] = [
        ("no header at all", b"just text\n", "just text\r\n"),
        (
            "CRLF line ends",
            b"Subject: x\r\n\r\none\r\ntwo\r\n",
            "one\r\ntwo\r\n",
        ),
        ("no last line end", b"Subject: x\n\nlast", "last\r\n"),
        (
            "an mbox line",
            b"From root Mon Jan  1 00:00:00 2024\nSubject: x\n\nbody\n",
            "body\r\n",
        ),
        ("nothing", b"", ""),
    ];
    for (nth, (what, input, body)) in rows.into_iter().enumerate() {
        machine.send(&["-i", "ops@example.net"], input);
        let received = sink.journal().wait_for(nth + 1).pop().unwrap();
        assert_eq!(received.body(), body, "{what}:\n{}", received.text());
        for field in ["from", "date", "message-id"] {
            assert_eq!(
                received.fields(field).len(),
                1,
                "{what}: {field} in\n{}",
                received.header_section()
            );
        }
    }
}

#[test]
fn a_command_line_that_cannot_be_mail_ends_with_its_own_status() {
    let machine = &Agent::prepare("relayhost = \"[127.0.0.1]:1\"\ntls = \"none\"\n");
    let rows: [(&[&str], &str, i32); 4] = [
        (&[], "Subject: x\n\nx\n", 64),
        (&["-t"], "Subject: nobody\n\nx\n", 64),
        (&["not an address@@"], "Subject: x\n\nx\n", 65),
        // Nobody takes it, nobody stores it.
        (&["ops@example.net"], "Subject: x\n\nx\n", 75),
    ];
    // Some wait a while for an agent: all at once.
    std::thread::scope(|scope| {
        for (arguments, message, status) in rows {
            scope.spawn(move || {
                let output = machine.sendmail(arguments, message);
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
                assert!(!told.is_empty(), "{arguments:?} says why");
            });
        }
    });
}

/// Daemon or no daemon: nothing is asked with a word that cannot be meant.
#[test]
fn a_word_that_cannot_be_what_is_wanted_is_wrong_arguments_with_a_remedy_and_changes_nothing() {
    let relay = Smarthost::start("");
    let node = Agent::start("tls = \"none\"\nrelayhost = \"[127.0.0.1]:9\"\n");
    let files = || {
        let all = [relay.directory(), node.directory()].map(|it| fs::read_dir(it).unwrap());
        let all = all.into_iter().flatten();
        let mut all: Vec<_> = all.map(|it| it.unwrap().file_name()).collect();
        all.sort();
        all
    };
    let before = files();
    let directory = node.directory().to_str().unwrap();
    let provision = ["provision", "--directory", directory, "--answers"];
    for (ask, words, told) in [
        (
            &relay as &dyn Admin,
            &["explain", "a b"][..],
            "bob@example.org",
        ),
        (&relay, &["explain", ""], "bob@example.org"),
        (
            &relay,
            &[
                "explain", "--client", "10.0.0.7", "--to", "a@b.c", "--login", "",
            ],
            "no name",
        ),
        (
            &relay,
            &["init", "foo=bar"],
            "\"foo\" is not asked; the keys are hostname",
        ),
        (
            &relay,
            &["init", "hostname"],
            "write KEY=VALUE; the keys are",
        ),
        (&relay, &["provision", "--answers", "="], "write KEY=VALUE"),
        (&relay, &["provision", "--answers", ".="], "write KEY=VALUE"),
        (&relay, &["limits", "forget-node", ""], "leave it out"),
        (&relay, &["enroll", "vm7", "--relay", "a b"], "no next hop"),
        (&relay, &["drain", "--to", "mx2", "--pin", "zz"], "pin"),
        (
            &relay,
            &["queue", "list", "--destination", " "],
            "leave it out",
        ),
        (&relay, &["queue", "show", ""], "leave it out"),
        (&relay, &["trace", ""], "leave it out"),
        (&relay, &["report", "rejected", "--to", ""], "leave it out"),
        (
            &node,
            &["init", "foo=bar"],
            "\"foo\" is not asked; the keys are relayhost",
        ),
        (&node, &[&provision[..], &["="]].concat(), "write KEY=VALUE"),
        (&node, &["explain", ""], "leave it out"),
        (&node, &["explain", "--user", "", "root"], "leave it out"),
        (&node, &["queue", "delete", ""], "leave it out"),
        (&node, &["trace", " "], "leave it out"),
    ] {
        let output = ask.ask(words);
        let said = [&*output.stdout, &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
    assert_eq!(files(), before);
}

/// Who is asked.
trait Admin {
    fn ask(&self, words: &[&str]) -> Output;
}

impl Admin for Smarthost {
    fn ask(&self, words: &[&str]) -> Output {
        self.admin(words)
    }
}

impl Admin for Agent {
    fn ask(&self, words: &[&str]) -> Output {
        self.admin(words)
    }
}
