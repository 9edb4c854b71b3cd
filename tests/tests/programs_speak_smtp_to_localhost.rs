//! Programs that speak SMTP to localhost instead of calling sendmail (rows A3, B15).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
};

use rustix::process::Signal;
use tests::{
    agent::Agent,
    session::Session,
    sink::Sink,
    wait::{free_address, until_true},
};

/// Rows A3, B15.
#[test]
fn a_program_that_speaks_smtp_to_localhost_is_known_by_its_user_and_its_mail_reaches_the_relayhost()
{
    let (sink, address) = (Sink::start(), free_address());
    let machine = Agent::start(&format!(
        "relayhost = {:?}\ndomain = \"example.org\"\ntls = \"none\"\nlisten = [\"{address}\"]\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(address);
    let message = b"Subject: spoken\r\n\r\ntext\r\n";
    let reply = session.mail("web@example.org", &["b@example.net"], message);
    assert_eq!(reply.unwrap().code, 250);
    let received = sink.journal().first();
    assert_eq!(received.field("Subject"), "spoken");
    let uid = rustix::process::getuid().as_raw();
    assert!(
        received.field("Received").contains(&format!("uid {uid}")),
        "{}",
        received.text()
    );
    drop(machine);
}

#[test]
fn an_address_that_others_can_reach_is_a_mistake_told_with_its_place() {
    let machine = Agent::prepare("listen = [\"0.0.0.0:2525\"]\n");
    let output = machine.admin(&["check"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(
        told.contains("config.toml:9") && told.contains("127.0.0.1:25"),
        "{told}"
    );
}

fn machine(sink: &Sink, more: &str) -> Agent {
    Agent::start(&format!(
        "relayhost = {:?}\ndomain = \"example.org\"\ntls = \"none\"\n{more}",
        sink.nexthop()
    ))
}

fn message(subject: &str, end: &str) -> String {
    let lines = [
        "MAIL FROM:<a@example.org>",
        "RCPT TO:<b@example.net>",
        "DATA",
        &format!("Subject: {subject}"),
        "",
        "..dot",
        ".",
    ];
    lines.map(|line| format!("{line}{end}")).concat()
}

fn subjects(sink: &Sink, count: usize) -> Vec<String> {
    let mut subjects: Vec<_> = sink
        .journal()
        .wait_for(count)
        .iter()
        .map(|message| message.field("Subject"))
        .collect();
    subjects.sort();
    subjects
}

#[test]
fn programs_that_speak_smtp_to_sendmail_bs_reach_the_queue() {
    let sink = Sink::start();
    let machine = machine(&sink, "");
    let dialog = "EHLO test\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n\
                  Subject: spoken\r\n\r\ntext\r\n.\r\nQUIT\r\n";
    let output = machine.sendmail(&["-bs"], dialog);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("queued as") && said.contains("221 "),
        "{said}"
    );
    assert_eq!(sink.journal().first().field("Subject"), "spoken");
}

#[test]
fn a_batch_for_sendmail_bs_is_delivered_whole_with_line_ends_of_unix_or_of_smtp() {
    let sink = Sink::start();
    let machine = machine(&sink, "");
    let three = |end| {
        ["1", "2", "3"]
            .map(|subject| message(subject, end))
            .concat()
    };
    for (nth, (end, last)) in [("\n", "QUIT\n"), ("\r\n", "QUIT\r\n"), ("\n", "QUIT")]
        .into_iter()
        .enumerate()
    {
        let batch = format!("EHLO batch{end}{}{last}", three(end));
        let output = machine.sendmail(&["-bs"], batch);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(said.matches("queued as").count(), 3, "{said}");
        sink.journal().wait_for(3 * (nth + 1));
    }
    assert_eq!(
        subjects(&sink, 9),
        ["1", "1", "1", "2", "2", "2", "3", "3", "3"]
    );
    for message in sink.journal().messages() {
        assert!(
            message.text().ends_with("\r\n\r\n.dot\r\n"),
            "{}",
            message.text()
        );
    }
}

#[test]
fn a_batch_for_sendmail_bs_may_count_its_message_in_line_ends_of_unix() {
    let sink = Sink::start();
    let machine = machine(&sink, "");
    let (one, two) = ("Subject: counted\n\nx\n.\n", "é\nlast\n");
    let batch = format!(
        "EHLO x\nMAIL FROM:<a@example.org> BODY=8BITMIME\nRCPT TO:<b@example.net>\n\
         BDAT {}\n{one}BDAT {} LAST\n{two}QUIT",
        one.len(),
        two.len()
    );
    let output = machine.sendmail(&["-bs"], batch);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(subjects(&sink, 1), ["counted"]);
    let text = sink.journal().messages()[0].text();
    assert!(text.ends_with("\r\n\r\nx\r\n.\r\né\r\nlast\r\n"), "{text}");
}

#[test]
fn sendmail_bs_never_says_that_all_is_well_with_something_unanswered() {
    let sink = Sink::start();
    let mut machine = machine(&sink, "");
    let whole = message("whole", "\n");
    // Its end is told apart from that of the message in a session of such lines.
    let mixed = format!("EHLO x\r\n{}", whole.replacen('\n', "\r\n", 3));
    for half in [
        mixed.as_str(),
        "EHLO x\nMAIL FROM:<a@example.org>\nRCPT TO:<b@example.net>\nDATA\nSubject: half\n\nx\n",
        "EHLO x\nMAIL FROM:<a@example.org>\nRCPT TO:<b@example.net>\nBDAT 1000 LAST\nhalf",
        &format!("EHLO x\n{whole}QUIT\nEHLO x\n{whole}"),
        &format!("EHLO x\nNOOP\rx\n{whole}"),
        &format!("EHLO x\n{}{whole}", "WHAT\n".repeat(30)),
        &format!("EHLO x\n{}", whole.trim_end()),
    ] {
        let output = machine.sendmail(&["-bs"], half);
        assert_eq!(output.status.code(), Some(75), "{half}: {output:?}");
        assert!(!output.stderr.is_empty());
        // Where the input ends within a message, that is the reason, and no other is told.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let cut = half == mixed || half.contains("half") || !half.ends_with('\n');
        let why = "lines of the message end in LF alone";
        assert_eq!(said.matches(why).count() == 2, half == mixed, "{said}");
        assert_eq!(
            said.matches("input ended within a message").count() == 2,
            cut,
            "{half}: {said}"
        );
        // A 521 says it already.
        let most = usize::from(!said.contains("\n521 "));
        assert!(said.matches("\n421 ").count() <= most, "{half}: {said}");
        assert!(!(cut && said.contains("not available")), "{half}: {said}");
    }
    machine.kill();
    let output = machine.sendmail(&["-bs"], &whole);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
}

#[test]
fn messages_sent_in_one_packet_to_localhost_are_all_answered() {
    let (sink, address) = (Sink::start(), free_address());
    let machine = machine(&sink, &format!("listen = [\"{address}\"]\n"));
    let mut session = Session::greeted(address);
    let batch = format!("{}{}QUIT\r\n", message("1", "\r\n"), message("2", "\r\n"));
    session.send(batch.as_bytes()).unwrap();
    let codes: Vec<u16> = (0..9).map(|_| session.reply().code).collect();
    assert_eq!(codes, [250, 250, 354, 250, 250, 250, 354, 250, 221]);
    assert_eq!(subjects(&sink, 2), ["1", "2"]);
    drop(machine);
}

#[test]
fn mail_on_a_connection_that_was_closed_before_its_owner_could_be_seen_is_refused_and_counts_for_nobody()
 {
    let (sink, address) = (Sink::start(), free_address());
    let mut machine = machine(
        &sink,
        &format!("listen = [\"{address}\"]\nbudget = \"20/day\"\n"),
    );
    // Whoever connects and is gone when the agent comes to it.
    machine.daemon().signal(Signal::STOP);
    let gone = format!("EHLO x\r\n{}QUIT\r\n", message("gone", "\r\n"));
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(gone.as_bytes()).unwrap();
    drop(client);
    machine.daemon().signal(Signal::CONT);
    machine
        .daemon()
        .wait_for_log("reject: from a connection that was closed at once: 421 4.7.0");
    // Who waits for the replies is served.
    let mut session = Session::greeted(address);
    session.delivers(
        "a@example.org",
        &["b@example.net"],
        b"Subject: stays\r\n\r\nx\r\n",
    );
    assert_eq!(subjects(&sink, 1), ["stays"]);
    let status = machine.admin(&["status"]);
    let told = String::from_utf8(status.stdout).unwrap();
    assert!(
        !told.contains("nobody") && !told.contains("65534"),
        "{told}"
    );
}

/// A session of `sendmail -bs`, of which so much was typed and answered up to a line that begins
/// so.
fn typed(machine: &Agent, text: &str, answered: &str) -> (Child, BufReader<ChildStdout>, String) {
    let mut session = machine
        .program("sendmail")
        .arg("-bs")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(session.stdout.take().unwrap());
    session
        .stdin
        .as_mut()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let mut said = String::new();
    while !said
        .lines()
        .last()
        .unwrap_or_default()
        .starts_with(answered)
    {
        assert_ne!(output.read_line(&mut said).unwrap(), 0, "{said}");
    }
    (session, output, said)
}

#[test]
fn an_agent_that_is_started_again_while_a_program_thinks_costs_it_nothing() {
    for kill in [true, false] {
        let sink = Sink::start();
        let mut machine = machine(&sink, "");
        let first = format!("EHLO x\n{}", message("first", "\n"));
        for (before, answered, after) in [
            ("EHLO x\n", "250 ", message("after the greeting", "\n")),
            (
                &first,
                "250 2.0.0 Ok: queued",
                message("after a message", "\n"),
            ),
            ("", "220 ", message("before a greeting", "\n")),
        ] {
            let (mut session, mut output, mut said) = typed(&machine, before, answered);
            if kill {
                machine.kill();
            } else {
                machine.daemon().stop();
            }
            machine.run();
            let mut stdin = session.stdin.take().unwrap();
            let dotted = after.replace("a@example.org", "a@example.org.");
            stdin
                .write_all(format!("{dotted}QUIT\n").as_bytes())
                .unwrap();
            drop(stdin);
            output.read_to_string(&mut said).unwrap();
            assert!(session.wait().unwrap().success(), "{said}");
            let greetings = said.lines().filter(|line| line.starts_with("220 "));
            assert_eq!(greetings.count(), 1, "{said}");
            assert!(said.trim_end().ends_with("221 2.0.0 Bye"), "{said}");
            until_true("its message is sent", || {
                let messages = sink.journal().messages();
                messages
                    .iter()
                    .any(|it| after.contains(&it.field("Subject")))
            });
        }
    }
}

#[test]
fn a_program_that_says_quit_and_waits_for_the_end_with_its_pipe_open_hears_that_all_is_well() {
    let sink = Sink::start();
    let machine = machine(&sink, "");
    let (mut session, _output, _) = typed(&machine, "EHLO x\nQUIT\n", "221 ");
    let stdin = session.stdin.take();
    assert!(session.wait().unwrap().success());
    drop(stdin);
}

/// As long as somebody is connected, it waits some seconds.
#[test]
fn an_agent_that_starts_anew_ends_no_session_without_a_word_and_refuses_no_connection() {
    let (sink, address) = (Sink::start(), free_address());
    let mut machine = machine(&sink, &format!("listen = [\"{address}\"]\n"));
    let mut idle = Session::greeted(address);
    let mut busy = Session::greeted(address);
    assert_eq!(busy.say("MAIL FROM:<a@example.org>").code, 250);
    let (mut shell, mut output, mut said) = typed(&machine, "EHLO x\n", "250 ");
    for _ in 0..3 {
        machine.daemon().signal(Signal::HUP);
    }
    let told = idle.reply();
    assert!(
        told.code == 421 && told.text().contains("4.3.2"),
        "{told:?}"
    );
    // Its message is waited for.
    assert_eq!(busy.say("RCPT TO:<b@example.net>").code, 250);
    assert_eq!(busy.say("DATA").code, 354);
    assert_eq!(busy.say("Subject: under way\r\n\r\nx\r\n.").code, 250);
    assert_eq!(busy.reply().code, 421);
    until_true("it has started anew", || {
        let mut greeting = String::new();
        let stream = TcpStream::connect(address).expect("nobody is refused");
        BufReader::new(stream).read_line(&mut greeting).unwrap();
        assert!(
            ["220 ", "421 "].iter().any(|it| greeting.starts_with(it)),
            "{greeting:?}"
        );
        machine.daemon().log().matches("listening on").count() > 1
    });
    // And so does what is typed into `sendmail -bs`.
    let mut stdin = shell.stdin.take().unwrap();
    let next = format!("{}QUIT\n", message("thought about", "\n"));
    stdin.write_all(next.as_bytes()).unwrap();
    output.read_to_string(&mut said).unwrap();
    assert!(
        shell.wait().unwrap().success() && !said.contains("421"),
        "{said}"
    );
    assert_eq!(subjects(&sink, 2), ["thought about", "under way"]);
    let log = machine.daemon().log();
    assert_eq!(log.matches("SIGHUP: starting anew").count(), 1, "{log}");
    assert_eq!(log.matches("listening on").count(), 2, "{log}");
}

#[test]
fn a_program_in_the_middle_of_a_message_is_told_when_the_agent_ends() {
    let (sink, address) = (Sink::start(), free_address());
    let mut machine = machine(&sink, &format!("listen = [\"{address}\"]\n"));
    let mut session = Session::greeted(address);
    assert_eq!(session.say("MAIL FROM:<a@example.org>").code, 250);
    assert_eq!(session.say("RCPT TO:<b@example.net>").code, 250);
    assert_eq!(session.say("DATA").code, 354);
    session.send(b"Subject: half\r\n").unwrap();
    machine.daemon().signal(Signal::TERM);
    let told = session.reply();
    assert!(
        told.code == 421 && told.text().contains("4.3.2"),
        "{told:?}"
    );
    until_true("it has ended", || machine.daemon().ended().is_some());
    assert!(sink.journal().is_empty());
}

#[test]
fn a_program_whose_message_was_under_way_when_the_agent_ended_hears_it() {
    let sink = Sink::start();
    let mut machine = machine(&sink, "");
    let mail = "EHLO x\nMAIL FROM:<a@example.org>\n";
    let data = format!("{mail}RCPT TO:<b@example.net>\nDATA\nSubject: half\n");
    for (before, answered) in [(mail, "250 2.1.0"), (&data, "354 ")] {
        let (mut session, mut output, mut said) = typed(&machine, before, answered);
        machine.kill();
        machine.run();
        output.read_to_string(&mut said).unwrap();
        assert!(said.lines().last().unwrap().starts_with("421 "), "{said}");
        assert_eq!(session.wait().unwrap().code(), Some(75), "{said}");
    }
    assert!(sink.journal().is_empty());
}
