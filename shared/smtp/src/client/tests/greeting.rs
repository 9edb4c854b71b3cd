//! Greeting, EHLO and STARTTLS.

use super::*;

#[test]
fn a_greeting_that_refuses_is_temporary_however_it_says_so() {
    for greeting in [
        "554 go away\r\n",
        "450 busy\r\n",
        "354 what\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "220 mx\r\n|550 no EHLO\r\n|550 no HELO\r\n",
    ] {
        let dialog = Dialog::begun(Security::None, greeting);
        assert_eq!(dialog.failed.unwrap().status.class(), 4, "{greeting}");
    }
}

#[test]
fn an_old_server_that_does_not_know_ehlo_is_spoken_to_with_helo() {
    let mut dialog = Dialog::begun(
        Security::Opportunistic,
        "220 mx\r\n|502 what?\r\n|250 mx\r\n",
    );
    let outcomes = dialog.send(
        mail(&["a@x.example"]),
        "250 ok\r\n|250 ok\r\n|354 go\r\n|250 ok\r\n",
    );
    assert_eq!(brief(&outcomes), ["D 250 ok"]);
    assert_eq!(
        dialog.sent[1..3],
        [
            "HELO vm1.example.org\r\n",
            "MAIL FROM:<root@vm1.example.org>\r\n"
        ]
    );
}

/// Row B15: no way back to clear text.
#[test]
fn tls_that_is_required_but_not_offered_or_refused_keeps_the_mail() {
    for (script, text) in [
        (BARE, "TLS is required, but was not offered"),
        (
            "220 mx\r\n|502 what?\r\n",
            "TLS is required, but was not offered",
        ),
        (
            "220 mx\r\n|250-mx\r\n250 STARTTLS\r\n|454 4.7.0 not now\r\n",
            "454 4.7.0 not now",
        ),
    ] {
        let dialog = Dialog::begun(Security::StartTls, script);
        let failure = dialog.failed.unwrap();
        assert_eq!((failure.text.as_str(), failure.status.class()), (text, 4));
        assert!(!dialog.sent.concat().contains("MAIL"));
    }
}

#[test]
fn bytes_behind_the_answer_to_starttls_end_the_connection() {
    let tls = "220 mx\r\n|250-mx\r\n250 STARTTLS\r\n";
    for injected in [
        "|220 go\r\n250 evil\r\n",
        "|220 go\r\n2",
        "|220 go\r\n|250 evil\r\n",
    ] {
        let dialog = Dialog::begun(Security::Opportunistic, &format!("{tls}{injected}"));
        assert!(
            dialog.failed.unwrap().text.contains("forges replies"),
            "{injected:?}"
        );
        assert!(dialog.closed && !dialog.ready);
    }
    let mut dialog = Dialog::begun(Security::StartTls, &format!("{tls}|220 go\r\n"));
    assert_eq!((dialog.handshakes, dialog.ready), (1, false));
    dialog.event(Event::TlsStarted);
    dialog.hear("250-mx\r\n250 DSN\r\n");
    assert!(
        dialog.ready && dialog.client.capabilities().dsn && !dialog.client.capabilities().starttls,
        "what was offered in clear text is forgotten"
    );
}
