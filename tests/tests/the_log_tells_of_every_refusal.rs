//! What the smarthost's log tells of refusals, and other people's programs that read it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs::File, path::Path, process::Command};

use system::log::events::{self, By};
use tests::{
    agent::Agent,
    identity::Identity,
    login::{from, password, plain},
    peers,
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn relay(sink: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nmessage_size = \"1KiB\"\n\
         domains.local = [\"example.org\"]\n",
        sink.nexthop()
    ))
}

/// Row C9: whatever refused it, it is one line with client, stage and reply.
#[test]
fn every_refusal_is_one_line_with_client_stage_and_reply_and_is_counted() {
    let sink = Sink::start();
    let mut smarthost = relay(&sink);
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

/// Two are gone, one is busy; speaks TLS.
fn world() -> Sink {
    let mut script = Script::with_tls(Identity::new("sink.example").server());
    let answer = |to: &str, reply: &str| (to.to_owned(), reply.to_owned());
    script.recipients = vec![
        answer("gone@example.net", "550 5.1.1 no such user"),
        answer("busy@example.net", "451 4.7.1 come again"),
    ];
    Sink::with(script)
}

/// Mail that arrives, waits and is returned, in clear text, over TLS and with a login, and clients
/// that are refused at each step; then the log, in the form of Postfix's.
fn mixed_load(sink: &Sink) -> (Smarthost, String) {
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.9\"]\nrelayhost = \"{}\"\n\
         domains.local = [\"example.org\"]\nauth = {{ users = \"users\" }}\n\
         retry = {{ minimal = \"1h\" }}\nlog.format = \"postfix\"\n",
        sink.nexthop()
    ));
    let secret = password(&smarthost, "printer");
    smarthost.run();
    let own = "127.0.0.9".parse().unwrap();
    let mut session = Session::connect_from(own, smarthost.address()).ehlo();
    for _ in 0..3 {
        session.delivers(
            "a@far.example",
            &["b@example.net", "c@example.net"],
            MESSAGE,
        );
    }
    session.delivers("a@far.example", &["gone@example.net"], MESSAGE);
    session.delivers("a@far.example", &["busy@example.net"], MESSAGE);
    for _ in 0..2 {
        let refused = session.mail("a@far.example", &["unknown@example.org"], MESSAGE);
        assert_eq!(refused.unwrap().code, 550);
    }
    session.say("QUIT");
    let mut stranger = Session::greeted(smarthost.address());
    for _ in 0..3 {
        let refused = stranger.mail("a@far.example", &["b@example.net"], MESSAGE);
        assert_eq!(refused.unwrap().code, 554);
    }
    drop(stranger);
    let mut login = from(&smarthost, "127.0.0.5");
    for guess in ["wrong", "wronger"] {
        assert_eq!(plain(&mut login, "printer", guess).code, 535);
    }
    assert_eq!(plain(&mut login, "printer", &secret).code, 235);
    login.delivers("scan@far.example", &["d@example.net"], MESSAGE);
    login.say("QUIT");
    // 3 with two recipients, that of the printer, and one bounce.
    sink.journal().wait_for(5);
    let log = tests::wait::until("all is settled", || {
        let log = smarthost.daemon().log();
        let ended = log.matches(": removed").count() == 6;
        let closed = log.matches("disconnect from").count() == 3
            || log.matches("lost connection").count() > 0;
        (ended && closed && log.contains("status=deferred")).then_some(log)
    });
    (smarthost, log)
}

/// A line without time, host, program and level.
fn said(line: &str) -> &str {
    let behind = line.split_once("]: ").map_or(line, |(_, text)| text);
    let levels = ["warning: ", "error: "];
    let level = levels.iter().find_map(|it| behind.strip_prefix(it));
    level.unwrap_or(behind)
}

#[test]
fn whatever_a_mixed_load_writes_into_the_log_stands_in_the_catalogue_of_the_manual() {
    let sink = world();
    let (mut smarthost, log) = mixed_load(&sink);
    let unknown = |by: By, log: &str| -> Vec<String> {
        let lines = log.lines().map(said);
        let unknown = lines.filter(|line| events::of(by, line).is_none());
        unknown.map(str::to_owned).collect()
    };
    assert_eq!(unknown(By::Smarthost, &log), [""; 0]);
    let deleted = smarthost.admin(&["queue", "delete", "--all"]);
    assert!(deleted.status.success(), "{deleted:?}");
    let reloaded = smarthost.admin(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    let log = smarthost.daemon().wait_for_log("reloaded ");
    assert_eq!(unknown(By::Smarthost, &log), [""; 0]);

    let mut node = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    for to in ["b@example.net", "gone@example.net", "busy@example.net"] {
        node.send(&[to], "Subject: x\n\nx\n");
    }
    let log = tests::wait::until("each has its line", || {
        let log = node.daemon().log();
        let has = |word: &str| log.contains(&format!("status={word} ("));
        ["sent", "deferred", "bounced"]
            .into_iter()
            .all(has)
            .then_some(log)
    });
    assert_eq!(unknown(By::Agent, &log), [""; 0]);
}

/// The names of Postfix's daemons are what its readers go by.
#[test]
fn pflogsumm_and_logwatch_as_they_are_shipped_count_what_the_smarthost_did() {
    let (Some(pflogsumm), Some(perl)) = (peers::find("pflogsumm"), peers::find("perl")) else {
        return;
    };
    let logwatch = Path::new("/usr/share/logwatch");
    let sink = world();
    let (smarthost, log) = mixed_load(&sink);
    let file = smarthost.directory().join("mail.log");
    smarthost.file("mail.log", &log);
    let output = Command::new(pflogsumm).arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for count in [
        "6   received",
        "8   delivered",
        "1   deferred",
        "1   bounced",
        "5   rejected",
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
        ("6", "Accepted"),
        ("8", "Sent via SMTP"),
        ("5", "5xx Reject"),
        ("1", "Deferred"),
        ("1", "Bounced"),
        ("2", "SASL authentication failed"),
        ("1", "SASL authenticated messages"),
        ("1", "TLS connections (server)"),
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

/// Refusals of each kind, and logins that failed, in the modes that look at them.
#[test]
fn fail2ban_as_it_is_shipped_finds_the_clients_that_were_refused() {
    let Some(fail2ban) = peers::find("fail2ban-regex") else {
        return;
    };
    let sink = world();
    let (smarthost, log) = mixed_load(&sink);
    let file = smarthost.directory().join("mail.log");
    smarthost.file("mail.log", &log);
    for (mode, matched) in [("more", 5), ("auth", 2), ("extra", 7), ("aggressive", 8)] {
        let output = Command::new(&fail2ban)
            .arg(&file)
            .arg(format!("postfix[mode={mode}]"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let matched = format!("{matched} matched");
        assert!(text.contains(&matched), "{mode}: {matched}\n{text}\n{log}");
    }
}
