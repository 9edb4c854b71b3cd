//! What the smarthost's log tells of refusals, and other people's programs that read it.

use std::{fs::File, path::Path, process::Command};

use tests::{peers, session::Session, sink::Sink, smarthost::Smarthost};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn relay(sink: &Sink, more: &str) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nmessage_size = \"1KiB\"\n\
         domains.local = [\"example.org\"]\n{more}",
        sink.nexthop()
    ))
}

/// Row C9: whatever refused it, it is one line with client, stage and reply.
#[test]
fn every_refusal_is_one_line_with_client_stage_and_reply_and_is_counted() {
    let sink = Sink::start();
    let mut smarthost = relay(&sink, "");
    let mut session = Session::greeted(smarthost.address());
    for (command, code) in [
        ("MAIL FROM:<a b@example.org>", 501),
        ("MAIL FROM:<nobody>", 504),
        ("MAIL FROM:<a@example.org> SIZE=5000", 552),
        ("MAIL FROM:<a@example.org> X=Y", 555),
        ("WHAT", 500),
        ("RCPT TO:<b@example.net>", 503),
        ("MAIL FROM:<a@example.org>", 250),
        ("RCPT TO:<unknown@example.org>", 550),
        ("DATA", 554),
        ("RSET", 250),
    ] {
        assert_eq!(session.say(command).code, code, "{command}");
    }
    let large = [b"Subject: x\r\n\r\n", &[b'x'; 2000][..], b"\r\n"].concat();
    let reply = session.mail("a@example.org", &["b@example.net"], &large);
    assert_eq!(reply.unwrap().code, 552);
    session.send(b"NOOP\n").unwrap();
    assert_eq!(session.reply().code, 521);
    let log = smarthost
        .daemon()
        .wait_for_log("disconnect from unknown[127.0.0.1]");
    for (stage, reply) in [
        ("MAIL", "501 5.1.7"),
        ("MAIL", "504 5.5.2"),
        ("MAIL", "552 5.3.4"),
        ("MAIL", "555 5.5.4"),
        ("UNKNOWN", "500 5.5.2"),
        ("RCPT", "503 5.5.1"),
        ("RCPT", "550 5.1.1"),
        ("DATA", "554 5.5.1"),
        ("END-OF-MESSAGE", "552 5.3.4"),
        ("END-OF-MESSAGE", "521 5.5.2"),
    ] {
        let line = format!("NOQUEUE: reject: {stage} from unknown[127.0.0.1]: {reply}");
        assert_eq!(log.matches(&line).count(), 1, "{line}\n{log}");
    }
    assert!(
        log.contains("to=<unknown@example.org> proto=ESMTP helo=<client.example.test>"),
        "{log}"
    );
    assert!(log.contains("messages=0 refused=10"), "{log}");
    assert!(!log.contains("client="), "no message was taken: {log}");
}

/// The names of Postfix's daemons are what its readers go by.
#[test]
fn pflogsumm_and_logwatch_as_they_are_shipped_count_what_the_smarthost_did() {
    let (Some(pflogsumm), Some(perl)) = (peers::find("pflogsumm"), peers::find("perl")) else {
        return;
    };
    let logwatch = Path::new("/usr/share/logwatch");
    let sink = Sink::start();
    let mut smarthost = relay(&sink, "log = { format = \"postfix\" }\n");
    let mut session = Session::greeted(smarthost.address());
    for _ in 0..3 {
        session.delivers(
            "a@example.org",
            &["b@example.net", "c@example.net"],
            MESSAGE,
        );
    }
    for _ in 0..2 {
        let refused = session.mail("a@example.org", &["unknown@example.org"], MESSAGE);
        assert_eq!(refused.unwrap().code, 550);
    }
    session.say("QUIT");
    sink.journal().wait_for(3);
    let log = tests::wait::until("all is delivered", || {
        let log = smarthost.daemon().log();
        (log.matches(": removed").count() == 3).then_some(log)
    });
    let file = smarthost.directory().join("mail.log");
    smarthost.file("mail.log", &log);
    let output = Command::new(pflogsumm).arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for count in [
        "3   received",
        "6   delivered",
        "0   deferred",
        "0   bounced",
        "2   rejected",
    ] {
        assert!(text.contains(count), "{count}\n{text}\n{log}");
    }
    if !logwatch.exists() {
        return peers::skip("logwatch is not installed");
    }
    // It reads what a syslog daemon writes.
    let syslog: String = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(stamp, line)| Some(format!("Nov 29 {} {line}\n", stamp.get(11..19)?)))
        .collect();
    smarthost.file("mail.log", &syslog);
    let mut report = Command::new(perl);
    report
        .env("LOGWATCH_DETAIL_LEVEL", "5")
        .arg("-I")
        .arg(logwatch.join("lib"))
        .arg(logwatch.join("scripts/services/postfix"))
        .stdin(File::open(file).unwrap());
    let text = String::from_utf8_lossy(&report.output().unwrap().stdout).into_owned();
    for (count, what) in [
        ("3", "Accepted"),
        ("6", "Sent via SMTP"),
        ("2", "5xx Reject"),
    ] {
        let is_right = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(count) && line.contains(what)
        };
        assert!(text.lines().any(is_right), "{count} {what}\n{text}\n{log}");
    }
    // Postfix has no words for what ours says when it starts.
    let unmatched = text.lines().filter(|line| line.contains("postfix/"));
    let unmatched: Vec<_> = unmatched
        .filter(|line| !line.contains("postfix/master["))
        .collect();
    assert_eq!(unmatched, [""; 0]);
}

#[test]
fn fail2ban_as_it_is_shipped_finds_the_clients_that_were_refused() {
    let Some(fail2ban) = peers::find("fail2ban-regex") else {
        return;
    };
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.9\"]\nrelayhost = \"{}\"\nlog.format = \"postfix\"\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    for _ in 0..3 {
        let refused = session.mail("a@example.org", &["b@example.net"], MESSAGE);
        assert_eq!(refused.unwrap().code, 554);
    }
    session.say("QUIT");
    let log = smarthost.daemon().wait_for_log("disconnect from");
    let file = smarthost.directory().join("mail.log");
    smarthost.file("mail.log", &log);
    let output = Command::new(fail2ban)
        .arg(&file)
        .arg("postfix")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("3 matched"), "{text}\n{log}");
}
