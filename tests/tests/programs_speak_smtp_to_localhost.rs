//! Programs that speak SMTP to localhost instead of calling sendmail (rows A3, B15).

use tests::{agent::Agent, session::Session, sink::Sink, wait::free_address};

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
        told.contains("config.toml:7") && told.contains("127.0.0.1:25"),
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
    for (nth, (end, last)) in [("\n", "QUIT\n"), ("\r\n", "QUIT\r\n"), ("\n", "")]
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
fn sendmail_bs_never_says_that_all_is_well_with_something_unanswered() {
    let sink = Sink::start();
    let mut machine = machine(&sink, "");
    let whole = message("whole", "\n");
    for half in [
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
    }
    machine.kill();
    let output = machine.sendmail(&["-bs"], &whole);
    assert!(!output.status.success(), "{output:?}");
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
