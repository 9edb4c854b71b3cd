//! The exit status of `sendmail`, with an agent, without one, and with one that is broken.

use std::{
    io::Write as _,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::{Output, Stdio},
};

use rustix::process::Signal;
use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS, config},
    sink::{Script, Sink, nexthop},
    wait::{free_address, until_true},
};

fn status(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn without_an_agent_it_delivers_to_the_relayhost_itself_rewritten_and_complete() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    machine.send(&CRON_ARGUMENTS, CRON);
    let message = sink.journal().first();
    assert_eq!(message.recipients, ["admins@example.org"]);
    for field in ["Received", "Date", "Message-ID", "From", "To", "Subject"] {
        assert_eq!(
            message.fields(field).len(),
            1,
            "{field}: {}",
            message.text()
        );
    }
    assert_eq!(
        message.body(),
        "backup: nothing to do\r\n.\r\nstill the same message\r\n"
    );
}

#[test]
fn without_an_agent_and_without_a_relay_it_says_75_and_why() {
    let machine = Agent::prepare(&config(&nexthop(free_address()), ""));
    let (code, told) = status(&machine.sendmail(&["root"], CRON));
    assert_eq!(code, Some(75), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.contains("not queued") && told.contains("refused"),
        "{told}"
    );

    let machine = Agent::prepare("");
    let (code, told) = status(&machine.sendmail(&["root"], CRON));
    assert_eq!(code, Some(75), "{told}");
    assert!(
        told.contains("relayhost") && told.contains("submit.sock"),
        "{told}"
    );
}

#[test]
fn without_an_agent_what_the_relay_says_of_a_recipient_becomes_the_exit_status() {
    let sink = Sink::with(Script {
        recipients: vec![
            (
                "nobody@example.net".to_owned(),
                "550 5.1.1 no such user".to_owned(),
            ),
            ("later@example.net".to_owned(), "450 4.2.0 later".to_owned()),
        ],
        ..Script::default()
    });
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    for (recipient, expected) in [
        ("somebody@example.net", 0),
        ("nobody@example.net", 67),
        ("later@example.net", 75),
    ] {
        let (code, told) = status(&machine.sendmail(&[recipient], CRON));
        assert_eq!(code, Some(expected), "{told}");
        assert_eq!(told.contains(recipient), expected != 0, "{told}");
    }
}

#[test]
fn an_agent_that_takes_connections_and_never_answers_does_not_keep_the_caller() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    let _mute = UnixListener::bind(machine.directory().join("submit.sock")).unwrap();
    machine.send(&["root"], CRON);
    assert_eq!(sink.journal().len(), 1);

    machine.configure(&config(&nexthop(free_address()), ""));
    let (code, told) = status(&machine.sendmail(&["root"], CRON));
    assert_eq!(code, Some(75), "{told}");
}

#[test]
fn an_agent_that_stands_still_with_a_full_backlog_does_not_keep_the_caller() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    let _listener = machine.stands_still();
    machine.send(&["root"], CRON);
    assert_eq!(sink.journal().len(), 1);
    let output = machine.sendmail(&["-bs"], "QUIT\r\n");
    assert_eq!(status(&output).0, Some(75), "{output:?}");
}

/// Stopped, as by a debugger or the freezer of cgroups: its socket takes connections all the same.
#[test]
fn an_agent_that_is_stopped_does_not_keep_whoever_speaks_smtp() {
    let sink = Sink::start();
    let mut machine = Agent::start(&config(&sink.nexthop(), ""));
    machine.daemon().signal(Signal::STOP);
    let output = machine.sendmail(&["-bs"], "EHLO x\r\nQUIT\r\n");
    machine.daemon().signal(Signal::CONT);
    assert_eq!(status(&output).0, Some(75), "{output:?}");
    assert!(output.stdout.starts_with(b"421 "), "{output:?}");
}

#[test]
fn a_message_or_an_order_is_served_or_the_exit_status_says_that_it_is_not() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let run = |words: &[&str]| status(&machine.sendmail(words, "To: bob@example.net\n\nx\n"));
    let (code, told) = run(&["-t", "-V"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("-V takes 1 to 100"), "{told}");
    sink.journal().wait_for(1);
    for mode in ["-bh", "-bp", "-q", "--version"] {
        let (code, told) = run(&["-t", mode]);
        assert_eq!(code, Some(64), "{mode}: {told}");
        assert!(told.contains("it would be lost"), "{mode}: {told}");
    }
    let (code, told) = run(&["-qIABC"]);
    assert_eq!(code, Some(69), "{told}");
    assert!(told.contains("-qIABC: no message"), "{told}");
    for part in ["-q!IABC", "-qRbob", "-qSbob"] {
        let (code, told) = run(&[part]);
        assert_eq!(code, Some(0), "{part}: {told}");
        assert!(told.contains(&format!("{part}: no message")), "{told}");
    }
    assert_eq!(run(&["-q"]), (Some(0), String::new()));
}

/// cron and PHP do not look at the exit status; their mail must not be lost.
#[test]
fn a_sender_or_recipient_that_is_no_address_loses_no_mail() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let mut count = 0;
    let mut sent = |arguments: &[&str], message: &str| {
        let output = machine.sendmail(arguments, message);
        count += 1;
        let received = sink.journal().wait_for(count).pop().unwrap();
        (status(&output), received)
    };
    for sender in [
        "a@@b",
        "www-data@",
        "@example.org",
        "joe doe@example.org",
        "a\nb@c",
    ] {
        let ((code, told), received) =
            sent(&["-f", sender, "x@example.net"], "Subject: x\n\nkept\n");
        assert_eq!(code, Some(0), "{sender}: {told}");
        assert!(told.contains("you are the sender"), "{sender}: {told}");
        assert_eq!(received.recipients, ["x@example.net"]);
        assert!(received.text().contains("kept"), "{sender}");
    }
    for (to, recipients) in [
        ("Joe <x@example.net", &["x@example.net"][..]),
        ("<mailto:x@example.net>", &["x@example.net"]),
        (
            "<<x@example.net>>, y@example.net>",
            &["x@example.net", "y@example.net"],
        ),
        ("a..b@example.net", &["\"a..b\"@example.net"]),
    ] {
        let message = format!("To: {to}\nSubject: x\n\nkept\n");
        let ((code, told), received) = sent(&["-t"], &message);
        assert_eq!(code, Some(0), "{to}: {told}");
        assert_eq!(received.recipients, recipients, "{to}");
    }
    // Nobody can be served: its sender gets it back, from the command line as from the header.
    for (arguments, to) in [(&["-t"][..], "b@@c"), (&["b@@c"], "nobody")] {
        let message = format!("To: {to}\nSubject: x\n\nkept\n");
        let ((code, told), received) = sent(arguments, &message);
        assert_eq!(code, Some(65), "{told}");
        let text = received.text();
        assert!(text.contains("b@@c") && text.contains("kept"), "{text}");
    }
}

#[test]
fn bcc_is_delivered_to_and_never_shown_with_and_without_an_agent() {
    let sink = Sink::start();
    let mut machine = Agent::prepare(&config(&sink.nexthop(), ""));
    let message =
        "To: a@example.net\nBcc: secret@example.net,\n other@example.net\nSubject: x\n\ntext\n";
    machine.send(&["-t"], message);
    machine.run();
    machine.send(&["-t"], message);
    for received in sink.journal().wait_for(2) {
        assert_eq!(
            received.recipients,
            ["a@example.net", "secret@example.net", "other@example.net"]
        );
        assert!(!received.text().contains("secret"), "{}", received.text());
    }
}

/// CVE-2016-10033 and its kind.
#[test]
fn options_that_make_other_programs_write_files_write_none_and_the_mail_goes() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let log = machine.directory().join("x.php");
    let exploits = [
        format!("-X{}", log.display()),
        format!("-oX{}", log.display()),
        format!("-C{}", log.display()),
    ];
    for exploit in &exploits {
        machine.send(
            &[
                "-t",
                "-i",
                "-OQueueDirectory=/tmp",
                exploit,
                "-f",
                "a@example.org",
            ],
            "To: b@example.net\n\n<?php\n",
        );
    }
    assert_eq!(sink.journal().wait_for(3).len(), 3);
    assert!(!log.exists());
}

#[test]
fn a_raw_utf8_subject_is_delivered_by_a_relay_that_lacks_smtputf8() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    machine.send(&["-t"], "To: a@example.net\nSubject: Grüße\n\ntext\n");
    assert!(sink.journal().first().text().contains("Gr"));
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
}

#[test]
fn a_command_line_that_cannot_be_used_has_its_own_status_and_a_wrong_configuration_is_temporary() {
    let machine = &Agent::prepare("relayhsot = \"x\"\n");
    // Some wait a while for an agent: all at once.
    std::thread::scope(|scope| {
        for (arguments, expected) in [
            (&[][..], 64),
            (&["-bd"][..], 64),
            (&["a@@b"][..], 65),
            (&["-f", "a\nb@example.org", "root"][..], 75),
            (&["root"][..], 75),
            (&["--help"][..], 0),
            (&["-bV"][..], 0),
        ] {
            scope.spawn(move || {
                let (code, told) = status(&machine.sendmail(arguments, "Subject: x\n\ntext\n"));
                assert_eq!(code, Some(expected), "{arguments:?}: {told}");
            });
        }
    });
}

#[test]
fn a_message_with_fields_twice_or_a_comma_in_a_name_leaves_in_a_form_that_no_strict_relay_refuses()
{
    let sink = Sink::start();
    let strict = |from_override: bool, message: &str| {
        let config = format!(
            "{}from_override = {from_override}\n",
            config(&sink.nexthop(), "")
        );
        let machine = Agent::prepare(&config);
        let before = sink.journal().len();
        machine.send(&["-t"], message);
        let message = sink.journal().messages().remove(before);
        for field in ["Date", "From", "To", "Subject", "Message-ID"] {
            assert_eq!(
                message.fields(field).len(),
                1,
                "{field}: {}",
                message.text()
            );
        }
        message.fields("From").remove(0)
    };
    let twice = "Date: Tue, 4 Oct 2022 10:00:00 +0000\nFrom: TrueNAS <nas@example.net>\nTo: x@example.net\nSubject: s\n\
                 Date: Tue, 4 Oct 2022 10:00:01 +0000\nFrom: nas2@example.net\nMessage-ID: <1@nas>\nMessage-ID: <2@nas>\n\nb\n";
    assert_eq!(strict(true, twice), "TrueNAS <nas@example.net>");
    assert!(strict(false, twice).starts_with("TrueNAS <"));
    let comma = "From: Kock, Arne <a@example.net>\nTo: x@example.net\nSubject: s\n\nb\n";
    assert_eq!(strict(true, comma), "\"Kock, Arne\" <a@example.net>");
    assert!(strict(false, comma).starts_with("\"Kock, Arne\" <"));
    let colon = "From: Ops: nightly <a@example.net>\nTo: x@example.net\nSubject: s\n\nb\n";
    assert_eq!(strict(true, colon), "\"Ops: nightly\" <a@example.net>");
}

#[test]
fn a_long_line_in_an_attachment_arrives_whole() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let numbers: Vec<_> = (1..=5000).map(|number| number.to_string()).collect();
    let numbers = numbers.join(",");
    machine.send(
        &["x@example.net"],
        format!(
            "Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=q\n\n--q\nContent-Type: text/csv\n\n{numbers}\n--q--\n"
        ),
    );
    let body = sink.journal().first().body();
    assert!(body.lines().all(|line| line.len() <= 76), "{body}");
    let part =
        "--q\r\nContent-Type: text/csv\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
    let expected = format!("{part}{numbers}\r\n--q--\r\n");
    assert_eq!(body.replace("=\r\n", ""), expected);
}

/// A caller such as cron looks at neither status nor standard error.
#[test]
fn an_odd_address_stops_no_other_and_the_sender_is_told_of_it() {
    let sink = Sink::start();
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    let send = |to: &str| {
        let message = format!("To: {to}\nSubject: report\n\nthe content\n");
        machine
            .sendmail(&["-t", "-f", "me@example.org."], message)
            .status
            .code()
    };
    // What leaves no doubt is read as meant.
    assert_eq!(send("a@b.example d@e.example, f@g.example."), Some(0));
    let received = sink.journal().wait_for(1).remove(0);
    assert_eq!(received.sender, "me@example.org");
    assert_eq!(
        received.recipients,
        ["a@b.example", "d@e.example", "f@g.example"]
    );
    // The good one is served, and the sender hears of the bad one; if there is none but bad ones,
    // he has the content back.
    for (to, served, told) in [
        ("good@b.example, bad bad@x", 1, "bad bad@x"),
        ("bad@@x", 0, "bad@@x"),
    ] {
        let before = sink.journal().messages().len();
        assert_eq!(send(to), Some(65), "{to}");
        let all = sink.journal().wait_for(before + served + 1);
        let news = all[before..]
            .iter()
            .find(|message| message.recipients == ["me@example.org"]);
        let news = news.unwrap();
        assert_eq!(news.sender, "");
        let text = news.text();
        assert!(text.contains(told), "{text}");
        assert_eq!(text.contains("the content"), served == 0, "{text}");
    }
}

#[test]
fn every_recipient_that_stands_in_the_header_is_served_and_shown_and_the_rest_is_told() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    for (field, served, told) in [
        ("To: ops@d.example Cc: boss@d.example", "ops boss", None),
        (
            "To: Ops <ops@d.example> Cc: <boss@d.example>",
            "ops boss",
            None,
        ),
        ("To: a@d.example b@d.example Cc: c@d.example", "a b c", None),
        (
            "To: x@d.example\n  Subject: disk full",
            "x",
            Some("Subject: disk full"),
        ),
        ("To: ops@d.example:25", "ops", Some("25")),
        ("To: \"Bob <b@d.example>, c@d.example", "b c", None),
        ("To: a@d.example (Ops, b@d.example", "a b", Some("Ops")),
        (
            "To: Team: a@d.example, b@d.example;, c@d.example",
            "a b c",
            None,
        ),
        ("To: team: a@d.example; b@d.example", "a b", None),
        ("To: John a@d.example", "a", None),
        ("To: a@d.example> <b@d.example", "a b", None),
        (
            "To: =?utf-8?q?x=40d.example?=, a@d.example",
            "a",
            Some("=?utf-8?q?x=40d.example?="),
        ),
    ] {
        let before = sink.journal().messages().len();
        let output = machine.sendmail(&["-t", "-f", "<>"], format!("{field}\n\ntext\n"));
        let (code, said) = status(&output);
        assert_eq!(
            code,
            Some(if told.is_some() { 65 } else { 0 }),
            "{field}: {said}"
        );
        assert!(said.contains(told.unwrap_or_default()), "{field}: {said}");
        let all = sink.journal().wait_for(before + 1);
        let message = all.last().unwrap();
        let names: Vec<_> = served
            .split(' ')
            .map(|name| format!("{name}@d.example"))
            .collect();
        assert_eq!(message.recipients, names, "{field}");
        let shown = message.fields("To").join(" ");
        assert!(
            names.iter().all(|name| shown.contains(name)),
            "{field}: {shown}"
        );
    }
    let (code, said) = status(&machine.sendmail(&["ops@d.example Cc: boss@d.example"], "\ntext\n"));
    assert_eq!(code, Some(0), "{said}");
    let all = sink.journal().messages();
    assert_eq!(
        all.last().unwrap().recipients,
        ["ops@d.example", "boss@d.example"]
    );
}

#[test]
fn a_message_from_a_pipe_that_does_not_block_is_waited_for() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    let (mut writer, reader) = UnixStream::pair().unwrap();
    reader.set_nonblocking(true).unwrap();
    let mut command = machine.program("sendmail");
    command.arg("a@d.example").stdin(OwnedFd::from(reader));
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let stat = format!("/proc/{}/stat", child.id());
    until_true("sendmail waits for input", || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
    });
    for line in ["Subject: s\n", "\n", "text\n"] {
        writer.write_all(line.as_bytes()).unwrap();
    }
    drop(writer);
    let output = child.wait_with_output().unwrap();
    assert_eq!(status(&output).0, Some(0), "{output:?}");
    assert_eq!(sink.journal().first().body(), "text\r\n");
}

#[test]
fn a_relayhost_that_takes_seven_bits_gets_no_other_in_any_field() {
    let sink = Sink::with(Script {
        extensions: vec!["PIPELINING".to_owned()],
        ..Script::default()
    });
    let config = format!("{}from_override = true\n", config(&sink.nexthop(), ""));
    let machine = Agent::prepare(&config);
    for field in [
        "From: J\u{fc} <j\u{fc}@a.example>",
        "Reply-To: j\u{fc}@a.example",
        "Cc: j\u{fc}@a.example, B\u{fc}ro: b@x.example;",
        "Sender: j\u{fc}@a.example",
        "Resent-From: j\u{fc}@a.example",
        "References: <j\u{fc}@a.example>",
        "In-Reply-To: <j\u{fc}@a.example>",
        "Received: from j\u{fc} by b; Sat, 28 Nov 2026 19:00:00 +0000",
        "List-Id: F\u{fc} <j\u{fc}.a.example>",
        "List-Unsubscribe: <https://a.example/\u{fc}>",
        "MIME-Version: 1.0\u{fc}",
        "Content-Transfer-Encoding: 8bit\u{fc}",
        "Content-ID: <j\u{fc}@x>",
        "Content-Description: j\u{fc}",
        "Auto-Submitted: j\u{fc}",
        "Disposition-Notification-To: j\u{fc}@a.example",
    ] {
        let before = sink.journal().messages().len();
        machine.send(
            &["x@d.example"],
            format!("To: x@d.example\n{field}\n\ntext\n"),
        );
        let all = sink.journal().wait_for(before + 1);
        let content = &all.last().unwrap().content;
        assert!(
            content.is_ascii(),
            "{field}: {}",
            String::from_utf8_lossy(content)
        );
    }
}
