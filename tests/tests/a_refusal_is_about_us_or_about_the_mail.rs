//! What a next hop says of this machine, of a recipient, of a message: each has its own
//! consequence.

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::until_true,
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

fn relay_to(relayhost: &str) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{relayhost}\"\nrelay_tls = {{ level = \"none\" }}\n"
    ))
}

fn machine_with(relayhost: &str) -> Agent {
    Agent::start(&format!("relayhost = {relayhost}\ntls = \"none\"\n"))
}

/// What stands for the end of the message.
const END: &str = ".";

fn answering(command: &str, reply: &str) -> Script {
    if command == END {
        return Script {
            after_message: reply.to_owned(),
            ..Script::default()
        };
    }
    Script {
        answers: vec![(command.to_owned(), reply.to_owned())],
        ..Script::default()
    }
}

/// A relayhost that wants a login, TLS or a permission refuses this machine: no mail is returned
/// for it, and the remedy is shown.
#[test]
fn a_relayhost_that_refuses_this_machine_costs_no_mail() {
    for (command, reply, remedy) in [
        ("MAIL", "530 5.7.0 Authentication Required", "wants a login"),
        (
            "MAIL",
            "530 5.7.0 Must issue a STARTTLS command first",
            "wants TLS first",
        ),
        (
            "RCPT",
            "554 5.7.1 <b@example.net>: Relay access denied",
            "does not relay for this machine",
        ),
        (
            "MAIL",
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
            "takes no passwords",
        ),
        (
            END,
            "554 5.7.1 <b@example.net>: Relay access denied",
            "does not relay for this machine",
        ),
        (
            END,
            "503 5.5.1 Error: need AUTH command first",
            "wants a login",
        ),
        (
            "MAIL",
            "504 5.5.2 <vm1>: Helo command rejected: need fully-qualified hostname",
            "refuses this machine's address or name",
        ),
        (
            END,
            "554 Message rejected: Sending paused for this account.",
            "refuses the account",
        ),
    ] {
        let sink = Sink::with(answering(command, reply));
        let mut smarthost = relay_to(&sink.nexthop());
        let mut machine = machine_with(&format!("\"{}\"", sink.nexthop()));
        Session::greeted(smarthost.address()).delivers(
            "a@example.org",
            &["b@example.net"],
            MESSAGE,
        );
        machine.send(&CRON_ARGUMENTS, CRON);
        for listing in [
            smarthost.wait_for_mailq("the remedy", |text| text.contains(remedy)),
            machine.wait_for_mailq("the remedy", |text| text.contains(remedy)),
        ] {
            assert!(listing.contains(&reply[..9]), "{listing}");
        }
        // No message is sent by it.
        if command != END {
            let checked = machine.admin(&["check"]);
            let checked = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.contains(remedy), "{reply}: {checked}");
        }
        sink.play(Script::default());
        assert!(smarthost.admin(&["queue", "flush"]).status.success());
        assert!(machine.sendmail(&["-q"], "").status.success());
        let all = || -> String {
            let received = sink.journal().messages();
            received.iter().map(tests::sink::Received::text).collect()
        };
        let notice = "the relayhost refuses mail of this machine";
        for text in ["\r\nhello\r\n", "nothing to do", notice] {
            until_true(text, || all().contains(text));
        }
        let told = all().matches(notice).count();
        // What is refused at its end has been seen, too.
        assert!(told == 1 || command == END, "told once: {}", all());
        for log in [smarthost.daemon().log(), machine.daemon().log()] {
            assert!(!log.contains("status=bounced"), "{reply}: {log}");
        }
    }
}

/// Three senders are refused, as by Postfix where a login owns other addresses; mail of a fourth
/// one goes on, in both programs.
#[test]
fn a_relayhost_that_refuses_some_senders_takes_the_mail_of_others() {
    let refused = |user: &str| {
        let reply = "553 5.7.1 Sender address rejected: not owned by user vm1";
        (format!("MAIL FROM:<{user}@example.org>"), reply.to_owned())
    };
    let sink = Sink::with(Script {
        answers: ["a", "b", "c"].map(refused).to_vec(),
        ..Script::default()
    });
    let retry = "retry = { minimal = \"1s\", maximal = \"2s\" }\n";
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nrelay_tls = {{ level = \"none\" }}\n{retry}",
        sink.nexthop()
    ));
    let mut machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\nfrom_override = true\n{retry}",
        sink.nexthop()
    ));
    let send = |smarthost: &Smarthost, machine: &Agent, from: &str, to: &str| {
        let from = format!("{from}@example.org");
        let recipients = [format!("server.{to}@example.net")];
        let recipients = recipients.each_ref().map(String::as_str);
        Session::greeted(smarthost.address()).delivers(&from, &recipients, MESSAGE);
        let to = format!("machine.{to}@example.net");
        machine.send(&["-f", &from, &to], "Subject: hello\n\nhello\n");
    };
    let arrived = |to: &str| {
        let all = sink.journal().messages();
        let to = format!(".{to}@example.net");
        let is_its =
            |it: &&tests::sink::Received| it.recipients.iter().any(|one| one.ends_with(&to));
        all.iter().filter(is_its).count()
    };
    for user in ["a", "b", "c"] {
        send(&smarthost, &machine, user, "refused");
    }
    for log in [smarthost.daemon(), machine.daemon()] {
        log.wait_for_log("not owned by user");
    }
    for number in 0..5 {
        let to = format!("good{number}");
        send(&smarthost, &machine, "good", &to);
    }
    until_true("the mail of another sender goes", || {
        (0..5).all(|number| arrived(&format!("good{number}")) == 2)
    });
    assert_eq!(arrived("refused"), 0);
    sink.play(Script::default());
    until_true("what was refused goes, too", || arrived("refused") == 6);
}

/// What is about the recipient or the content is told to the sender at once, whatever words of
/// policy it has.
#[test]
fn what_is_about_the_mail_is_not_taken_for_a_refusal_of_this_machine() {
    for unknown in [
        "550 5.1.1 <b@example.net>: Recipient address rejected: User unknown in relay recipient table",
        "552 5.2.2 This account is over quota",
        "550 5.7.124 Sender not allowed to send to this group",
    ] {
        let sink = Sink::with(answering("RCPT TO:<b@", unknown));
        let mut smarthost = relay_to(&sink.nexthop());
        let mut machine = machine_with(&format!("\"{}\"", sink.nexthop()));
        machine.send(&["b@example.net"], "Subject: hello\n\nhello\n");
        Session::greeted(smarthost.address()).delivers(
            "a@example.org",
            &["b@example.net"],
            MESSAGE,
        );
        for daemon in [smarthost.daemon(), machine.daemon()] {
            let log = daemon.wait_for_log("status=bounced");
            assert!(log.contains(&unknown[..9]), "{log}");
            assert!(!log.contains("status=deferred"), "{log}");
        }
    }
    for after_message in [
        "552 5.7.0 This message was blocked because its content presents a potential security issue",
        "550 5.7.26 Unauthenticated email from example.org is not accepted due to DMARC policy",
        "554 5.7.9 Message not accepted for policy reasons",
        "534 5.3.4 Message too big for system",
    ] {
        let sink = Sink::with(Script {
            after_message: after_message.to_owned(),
            ..Script::default()
        });
        let mut smarthost = relay_to(&sink.nexthop());
        Session::greeted(smarthost.address()).delivers(
            "a@example.org",
            &["b@example.net"],
            MESSAGE,
        );
        let log = smarthost.daemon().wait_for_log("status=bounced");
        assert!(log.contains(&after_message[..9]), "{log}");
    }
}

/// A first relayhost that is busy is no reason to wait while a second one is there.
#[test]
fn what_the_first_relayhost_takes_not_now_the_second_one_takes() {
    let answers = [
        ("MAIL", "421 4.7.0 too many connections"),
        ("MAIL", "451 4.3.0 busy"),
        ("RCPT", "452 4.2.2 full"),
        ("DATA", "451 4.3.0 busy"),
    ];
    let mut firsts: Vec<Script> = answers
        .iter()
        .map(|(command, reply)| answering(command, reply))
        .collect();
    firsts.push(Script {
        after_message: "451 4.3.0 disk".to_owned(),
        ..Script::default()
    });
    firsts.push(answering(
        END,
        "554 5.7.1 <b@example.net>: Relay access denied",
    ));
    firsts.push(Script {
        greeting: "554 5.3.2 closed".to_owned(),
        ..Script::default()
    });
    for script in firsts {
        let (first, second) = (Sink::with(script), Sink::start());
        let machine = machine_with(&format!(
            "[\"{}\", \"{}\"]",
            first.nexthop(),
            second.nexthop()
        ));
        machine.send(&CRON_ARGUMENTS, CRON);
        second.journal().wait_for(1);
        assert!(first.connections() >= 1);
        machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    }
}

/// A message is fitted to what its next hop offers; a Subject in UTF-8 is no reason to return it.
#[test]
fn a_next_hop_without_extensions_gets_mail_that_it_can_take() {
    let sink = Sink::with(Script {
        extensions: vec!["SIZE 100000".to_owned()],
        ..Script::default()
    });
    let smarthost = relay_to(&sink.nexthop());
    let mut session = Session::greeted(smarthost.address());
    let message = "Subject: Gr\u{fc}\u{df}e\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                   Content-Transfer-Encoding: 8bit\r\n\r\nSch\u{f6}ne Gr\u{fc}\u{df}e\r\n";
    session.delivers("a@example.org", &["b@example.net"], message.as_bytes());
    let received = sink.journal().first();
    assert!(
        !received.parameters.contains("SMTPUTF8"),
        "{}",
        received.parameters
    );
    assert_eq!(
        received.field("Content-Transfer-Encoding"),
        "quoted-printable"
    );
    assert!(
        received.body().contains("Sch=C3=B6ne Gr=C3=BC=C3=9Fe"),
        "{}",
        received.body()
    );
    let size = format!("SIZE={}", received.content.len());
    assert!(
        received.parameters.contains(&size),
        "{} is not {size}",
        received.parameters
    );
}

/// An address in UTF-8 costs the other recipients nothing where the next hop lacks SMTPUTF8: it
/// alone is returned, in mail that the same hop takes, and a field that shows it stays readable.
#[test]
fn one_recipient_in_utf8_takes_no_other_along() {
    let sink = Sink::with(Script {
        extensions: vec!["PIPELINING".to_owned(), "8BITMIME".to_owned()],
        ..Script::default()
    });
    let mut smarthost = relay_to(&sink.nexthop());
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    let alias = "root: d@example.net, j\u{f6}rg@example.net\n";
    machine.file("machine.aliases", alias);
    machine.run();
    let mut session = Session::greeted(smarthost.address());
    for (line, code) in [
        ("MAIL FROM:<a@example.org> SMTPUTF8", 250),
        ("RCPT TO:<\u{fc}@example.net>", 250),
        ("RCPT TO:<b@example.net>", 250),
        ("DATA", 354),
        (
            "Cc: \u{fc}@example.net\r\nSubject: server\r\n\r\nx\r\n.",
            250,
        ),
    ] {
        assert_eq!(session.say(line).code, code, "{line}");
    }
    machine.send(
        &["-fops@example.org", "-t"],
        "To: c@example.net\nCc: j\u{f6}rg@example.net\nSubject: typed\n\nx\n",
    );
    machine.send(&["-fops@example.org", "root"], "Subject: alias\n\nx\n");
    let all = sink.recipients(6);
    let to = |name: &str| all.iter().filter(|it| it.starts_with(name)).count();
    assert_eq!(
        ["a@", "b@", "c@", "d@", "ops@"].map(to),
        [1, 1, 1, 1, 2],
        "{all:?}"
    );
    for received in sink.journal().messages() {
        let text = received.text();
        assert!(received.header_section().is_ascii(), "{text}");
        assert!(!received.parameters.contains("SMTPUTF8"), "{text}");
        match received.recipients.first().map(String::as_str) {
            Some("b@example.net") => assert_eq!(
                received.field("Cc"),
                "=?utf-8?q?_=3C=C3=BC=40example=2Enet=3E?=:;"
            ),
            Some("c@example.net") => assert!(received.field("Cc").ends_with(":;"), "{text}"),
            Some("a@example.org" | "ops@example.org") => {
                assert!(
                    text.contains("5.6.7") && text.contains("Subject: "),
                    "{text}"
                );
            }
            _ => {}
        }
    }
    for daemon in [smarthost.daemon(), machine.daemon()] {
        daemon.wait_for_log("dsn=5.6.7");
    }
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// A next hop with SMTPUTF8 may have one behind it that lacks it: then the mail would bounce there,
/// and its bounce too.
#[test]
fn a_raw_subject_that_nobody_declared_is_encoded_and_hidden_recipients_stay_hidden() {
    let sink = Sink::with(Script {
        extensions: vec!["8BITMIME".to_owned(), "SMTPUTF8".to_owned()],
        ..Script::default()
    });
    let smarthost = relay_to(&sink.nexthop());
    let mut session = Session::greeted(smarthost.address());
    let message = "Subject: Gr\u{fc}\u{df}e\r\nBcc: hidden@example.net\r\nReturn-Path: <x@example.net>\r\n\r\nhello\r\n";
    session.delivers("a@example.org", &["b@example.net"], message.as_bytes());
    let received = sink.journal().first();
    assert!(
        !received.parameters.contains("SMTPUTF8"),
        "{}",
        received.parameters
    );
    assert_eq!(received.field("Subject"), "=?utf-8?q?Gr=C3=BC=C3=9Fe?=");
    let text = String::from_utf8_lossy(&received.content);
    assert!(
        !text.contains("hidden@") && !text.contains("Return-Path"),
        "{text}"
    );
}

/// A firewall or a server that offers what it then refuses: the mail goes without it, and 8 bits
/// become 7.
#[test]
fn a_peer_that_refuses_what_it_offered_gets_the_mail_without_it() {
    let saying = |text: &str, reply: &str| (text.to_owned(), reply.to_owned());
    let message = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                   Content-Transfer-Encoding: 8bit\r\n\r\nSch\u{f6}n\r\n";
    for parameters in [
        vec![saying(" SIZE=", "501 5.5.4 Unsupported option SIZE")],
        vec![saying(" SIZE=", "555 no"), saying(" BODY=", "555 no")],
        vec![saying(" BODY=", "504 5.5.4 not implemented")],
        vec![saying(" RET=", "501 bad"), saying(" ENVID=", "501 bad")],
        vec![saying(" NOTIFY=", "555 5.5.4 what?")],
        vec![
            saying(" NOTIFY=", "501 Syntax error"),
            saying(" ORCPT=", "501 Syntax error"),
            saying("=", "455 no"),
        ],
    ] {
        let sink = Sink::with(Script {
            parameters: parameters.clone(),
            ..Script::default()
        });
        let mut smarthost = relay_to(&sink.nexthop());
        let mut machine = machine_with(&format!("\"{}\"", sink.nexthop()));
        let mut session = Session::greeted(smarthost.address());
        for (line, code) in [
            (
                "MAIL FROM:<a@example.org> BODY=8BITMIME RET=FULL ENVID=x",
                250,
            ),
            (
                "RCPT TO:<b@example.net> NOTIFY=FAILURE ORCPT=rfc822;c@example.net",
                250,
            ),
            ("RCPT TO:<d@example.net>", 250),
            ("DATA", 354),
            (&format!("{message}."), 250),
        ] {
            assert_eq!(session.say(line).code, code, "{line}");
        }
        machine.send(
            &["-N", "failure", "-R", "full", "-V", "y", "e@example.net"],
            message,
        );
        let all = || -> Vec<String> {
            let received = sink.journal().messages();
            let mut all: Vec<String> = received
                .iter()
                .flat_map(|one| one.recipients.clone())
                .collect();
            all.sort();
            all
        };
        until_true(&format!("all have it: {parameters:?}"), || all().len() >= 3);
        assert_eq!(all(), ["b@example.net", "d@example.net", "e@example.net"]);
        for received in sink.journal().messages() {
            let seven_bit = received.content.is_ascii();
            let refused = !received.parameters.contains("BODY=");
            assert_eq!(
                seven_bit, refused,
                "{parameters:?}: {}",
                received.parameters
            );
        }
        for log in [smarthost.daemon().log(), machine.daemon().log()] {
            assert!(
                !log.contains("status=bounced") && !log.contains("status=deferred"),
                "{log}"
            );
        }
    }
}

/// An answer that belongs to another command is none: the message waits, and nothing of it is sent.
#[test]
fn a_relay_that_answers_out_of_step_takes_no_mail_away() {
    for script in [
        answering("DATA", "334 go on"),
        answering("DATA", "221 bye"),
        answering("MAIL", "354 go on"),
        answering("RCPT", "235 2.7.0 welcome"),
        answering("EHLO", "220 mx ESMTP"),
        Script {
            greeting: "250 hello".to_owned(),
            ..Script::default()
        },
        Script {
            after_message: "221 2.0.0 bye".to_owned(),
            ..Script::default()
        },
        Script {
            after_message: "354 go on".to_owned(),
            ..Script::default()
        },
    ] {
        let sink = Sink::with(script);
        let smarthost = relay_to(&sink.nexthop());
        let machine = machine_with(&format!("\"{}\"", sink.nexthop()));
        Session::greeted(smarthost.address()).delivers(
            "a@example.org",
            &["b@example.net"],
            MESSAGE,
        );
        machine.send(&CRON_ARGUMENTS, CRON);
        let reason = "is no answer to what was asked";
        smarthost.wait_for_mailq("the reason", |text| text.contains(reason));
        machine.wait_for_mailq("the reason", |text| text.contains(reason));
    }
}
