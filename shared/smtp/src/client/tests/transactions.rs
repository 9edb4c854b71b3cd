//! Messages that go as they should, or are refused in order.

use mail::{
    address::{AddressError, LocalPart, Mailbox},
    envelope::Rcpt,
};

use super::*;

#[test]
fn with_pipelining_a_message_takes_two_writes_and_each_recipient_has_its_own_outcome() {
    let mut dialog = Dialog::begun(Security::None, ALL);
    let outcomes = dialog.send(
        mail(&["a@x.example", "b@x.example", "c@x.example"]),
        "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n450 4.2.0 later\r\n550 5.1.1 unknown\r\n354 go\r\n|250 2.0.0 Ok: queued as X\r\n",
    );
    assert_eq!(
        brief(&outcomes),
        [
            "D 250 2.0.0 Ok: queued as X",
            "4 4.2.0 450 4.2.0 later",
            "5 5.1.1 550 5.1.1 unknown"
        ]
    );
    assert_eq!(
        dialog.sent,
        [
            "EHLO vm1.example.org\r\n",
            "MAIL FROM:<root@vm1.example.org> SIZE=20\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n",
            SENT_MESSAGE,
        ]
    );
    assert!(dialog.ready && !dialog.closed);
    let again = dialog.send(
        mail(&["a@x.example"]),
        "250 ok\r\n250 ok\r\n354 go\r\n|250 ok\r\n",
    );
    assert_eq!(
        brief(&again),
        ["D 250 ok"],
        "the connection serves the next message, without RSET"
    );
    assert!(!dialog.sent.concat().contains("RSET"));
}

#[test]
fn without_pipelining_commands_go_one_by_one_and_nothing_is_sent_for_nobody() {
    let mut dialog = Dialog::begun(Security::None, BARE);
    let outcomes = dialog.send(
        mail(&["a@x.example", "b@x.example"]),
        "250 ok\r\n|250 ok\r\n|550 no\r\n|354 go\r\n|250 ok\r\n",
    );
    assert_eq!(brief(&outcomes), ["D 250 ok", "5 5.0.0 550 no"]);
    let refused = dialog.send(mail(&["a@x.example"]), "250 ok\r\n|550 no\r\n");
    assert_eq!(brief(&refused), ["5 5.0.0 550 no"]);
    assert_eq!(
        dialog.sent.last().unwrap(),
        "RCPT TO:<a@x.example>\r\n",
        "no DATA without a recipient"
    );
    dialog.event(Event::Begin(mail(&["c@x.example"])));
    assert_eq!(
        dialog.sent.last().unwrap(),
        "RSET\r\n",
        "what was left open is reset before the next"
    );
}

/// RFC 2920 §3.1.
#[test]
fn a_peer_that_wants_data_for_nobody_gets_a_lone_dot_and_delivers_nothing() {
    let mut dialog = Dialog::begun(Security::None, ALL);
    let outcomes = dialog.send(
        mail(&["a@x.example"]),
        "250 ok\r\n550 5.1.1 no\r\n354 go\r\n|250 2.0.0 queued\r\n",
    );
    assert_eq!(brief(&outcomes), ["5 5.1.1 550 5.1.1 no"]);
    assert_eq!(dialog.sent.last().unwrap(), ".\r\n");
    assert!(dialog.ready);
}

#[test]
fn a_refused_sender_is_every_recipients_failure_and_the_connection_stays() {
    for (reply, class) in [
        ("550 5.7.1 not you", "5 5.7.1"),
        ("450 4.7.1 Error: too much mail", "4 4.7.1"),
    ] {
        let mut dialog = Dialog::begun(Security::None, ALL);
        let outcomes = dialog.send(
            mail(&["a@x.example", "b@x.example"]),
            &format!("{reply}\r\n503 no\r\n503 no\r\n503 no\r\n"),
        );
        assert_eq!(brief(&outcomes), vec![format!("{class} {reply}"); 2]);
        assert!(dialog.ready && !dialog.closed);
    }
}

/// RFC 2033 §4.2; row D5.
#[test]
fn lmtp_answers_for_each_accepted_recipient() {
    let mut dialog = Dialog::new(Settings {
        protocol: Protocol::Lmtp,
        ..settings()
    });
    dialog.event(Event::Connected);
    dialog.hear(ALL);
    assert_eq!(dialog.sent, ["LHLO vm1.example.org\r\n"]);
    dialog.event(Event::Begin(mail(&[
        "a@x.example",
        "b@x.example",
        "c@x.example",
        "d@x.example",
    ])));
    dialog.hear("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 stored\r\n452 4.2.2 full\r\n");
    assert!(dialog.finished.is_empty(), "one answer is still due");
    dialog.event(Event::Lost(Failure::new(
        Blame::Network,
        Stage::Connect,
        EnhancedStatus::new(4, 4, 2),
        "lost connection",
    )));
    let outcomes = brief(&dialog.finished[0]);
    assert_eq!(
        outcomes[..3],
        ["D 250 stored", "5 5.0.0 550 no", "4 4.2.2 452 4.2.2 full"]
    );
    assert_eq!(
        outcomes[3],
        "4 4.4.2 message may be sent more than once: lost connection"
    );
}

#[test]
fn what_the_peer_cannot_take_is_known_before_it_is_sent() {
    let mut dialog = Dialog::begun(Security::None, ALL);
    let mut too_large = mail(&["a@x.example"]);
    too_large.mail.size = Some(1001);
    let large = dialog.send(too_large, "");
    assert_eq!(
        brief(&large),
        ["5 5.3.4 message size 1001 exceeds size limit 1000 of the peer"]
    );
    assert!(dialog.ready, "the next message may be smaller");
    let mut dialog = Dialog::begun(Security::None, BARE);
    assert_eq!(
        brief(&dialog.send(mail(&["ü@x.example"]), "")),
        ["5 5.6.7 SMTPUTF8 is required, but was not offered"]
    );
    assert_eq!(dialog.sent.len(), 1);
}

#[test]
fn a_recipient_in_utf8_is_nobodys_matter_but_his_own() {
    let mut dialog = Dialog::begun(Security::None, BARE);
    let before = dialog.sent.len();
    let outcomes = dialog.send(
        mail(&["a@x.example", "ü@x.example", "b@x.example"]),
        "250 ok\r\n|250 ok\r\n|250 ok\r\n|354 go\r\n|250 stored\r\n",
    );
    assert_eq!(
        brief(&outcomes),
        [
            "D 250 stored",
            "5 5.6.7 SMTPUTF8 is required, but was not offered",
            "D 250 stored"
        ]
    );
    let sent = dialog.sent[before..].concat();
    assert!(sent.is_ascii() && !sent.contains("SMTPUTF8"), "{sent}");
    assert_eq!(sent.matches("RCPT TO:").count(), 2, "{sent}");
    // A sender in UTF-8 is everybody's.
    let mut utf8 = mail(&["a@x.example"]);
    utf8.mail.sender = mail(&["ü@x.example"]).recipients.remove(0).to.into();
    assert_eq!(
        brief(&dialog.send(utf8, "")),
        ["5 5.6.7 SMTPUTF8 is required, but was not offered"]
    );
}

#[test]
fn wishes_travel_to_a_peer_that_knows_them_and_to_no_other() {
    let mut transaction = mail(&["a@x.example"]);
    transaction.mail.eight_bit = true;
    transaction.mail.ret = Some(Ret::Headers);
    transaction.mail.envid = Some("a+b=c d".into());
    transaction.recipients[0].orcpt = Some("rfc822;a+b@x.example".into());
    transaction.recipients[0].notify = Notify {
        explicit: true,
        success: true,
        failure: true,
        delay: false,
    };
    let mut dialog = Dialog::begun(Security::None, ALL);
    dialog.event(Event::Begin(transaction.clone()));
    assert_eq!(
        dialog.sent[1],
        "MAIL FROM:<root@vm1.example.org> SIZE=20 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+3Dc+20d\r\n\
         RCPT TO:<a@x.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@x.example\r\nDATA\r\n"
    );
    let mut dialog = Dialog::begun(Security::None, BARE);
    dialog.event(Event::Begin(transaction));
    assert_eq!(dialog.sent[1], "MAIL FROM:<root@vm1.example.org>\r\n");
}

#[test]
fn to_our_own_agent_all_commands_go_out_in_one_write() {
    let known = Capabilities {
        pipelining: true,
        dsn: true,
        xcaller: true,
        ..Capabilities::default()
    };
    let mut dialog = Dialog::new(Settings {
        known: Some(known),
        ..settings()
    });
    dialog.event(Event::Connected);
    let local = |name| Mailbox::Local(LocalPart::new(name).unwrap());
    let mut transaction = mail(&["a@x.example"]);
    transaction.mail.sender = Some(local("www-data"));
    transaction.mail.xcaller = Some(Some("Cron Dæmon".into()));
    transaction.recipients.push(Rcpt {
        notify: Notify::NEVER,
        ..Rcpt::from(local("root"))
    });
    transaction.recipients.push(local("a b>").into());
    let outcomes = dialog.send(
        transaction,
        "220 agent\r\n|250-agent\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 XCALLER\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 2.0.0 Ok: queued as X\r\n",
    );
    assert_eq!(
        dialog.sent,
        [
            "EHLO vm1.example.org\r\nMAIL FROM:<www-data> XCALLER=Cron+20D+C3+A6mon\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<root> NOTIFY=NEVER\r\nRCPT TO:<\"a b>\">\r\nDATA\r\n",
            SENT_MESSAGE,
        ]
    );
    let queued = "D 250 2.0.0 Ok: queued as X";
    assert_eq!(brief(&outcomes), [queued, queued, queued]);
    let second_command = LocalPart::new("a\r\nRCPT TO:<evil@x.example>");
    assert_eq!(second_command, Err(AddressError::Control));
}

#[test]
fn a_thousand_recipients_are_sent_for_in_bounded_portions() {
    let recipients: Vec<_> = (0..1000).map(|n| format!("r{n}@x.example")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    let mut dialog = Dialog::begun(Security::None, ALL);
    dialog.event(Event::Begin(mail(&recipients)));
    while dialog.finished.is_empty() {
        let commands = dialog.sent.last().unwrap().matches("\r\n").count();
        assert!(commands <= 100);
        let data = dialog.sent.last().unwrap().ends_with("DATA\r\n");
        let replies = "250 ok\r\n".repeat(commands - usize::from(data));
        dialog.hear(&(replies + if data { "354 go\r\n|250 ok\r\n" } else { "" }));
    }
    assert!(
        dialog.finished[0]
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Delivered(_)))
            && dialog.finished[0].len() == 1000
    );
}

#[test]
fn a_probe_learns_who_would_be_accepted_and_sends_no_message() {
    let mut dialog = Dialog::begun(Security::None, ALL);
    dialog.event(Event::Probe(mail(&["a@x.example", "b@x.example"])));
    dialog.hear("250 ok\r\n250 2.1.5 fine\r\n550 5.1.1 nobody\r\n");
    let outcomes = dialog.finished.pop().unwrap();
    assert_eq!(
        brief(&outcomes),
        ["D 250 2.1.5 fine", "5 5.1.1 550 5.1.1 nobody"]
    );
    assert!(dialog.ready && !dialog.sent.concat().contains("DATA"));
    dialog.send(
        mail(&["a@x.example"]),
        "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 taken\r\n",
    );
    let again = dialog.sent.concat();
    assert!(
        again.contains("\r\nRSET\r\nMAIL"),
        "the probe's transaction is given up first: {again}"
    );
}
