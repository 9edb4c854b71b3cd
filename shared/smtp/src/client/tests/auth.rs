//! AUTH: what is said, and to whom nothing is said.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::*;
use crate::sasl::{Credentials, Secret};

const TLS: &str = "220 mx\r\n|250-mx\r\n250 STARTTLS\r\n|220 go\r\n";

/// After EHLO under TLS, with these mechanisms.
fn offered(mechanisms: &str, password: &str) -> Dialog {
    with(mechanisms, Secret::Password(password.into()))
}

fn with(mechanisms: &str, secret: Secret) -> Dialog {
    let mut dialog = Dialog::new(Settings {
        security: Security::StartTls,
        credentials: Some(Credentials {
            user: "vm1".into(),
            secret,
        }),
        ..settings()
    });
    dialog.event(Event::Connected);
    dialog.hear(TLS);
    dialog.event(Event::TlsStarted);
    dialog.hear(&format!("250-mx\r\n250 AUTH {mechanisms}\r\n"));
    dialog
}

/// PLAIN and LOGIN as RFC 4616 and the draft have them; the base64 is openssl's.
#[test]
fn user_and_password_are_told_with_what_the_relay_offers() {
    let mut plain = offered("LOGIN PLAIN CRAM-MD5", "secret");
    assert_eq!(
        plain.sent.last().unwrap(),
        "AUTH PLAIN AHZtMQBzZWNyZXQ=\r\n"
    );
    plain.hear("235 2.7.0 ok\r\n");
    assert!(plain.ready);

    let mut login = offered("LOGIN CRAM-MD5", "secret");
    assert_eq!(login.sent.last().unwrap(), "AUTH LOGIN\r\n");
    login.hear("334 VXNlcm5hbWU6\r\n");
    assert_eq!(login.sent.last().unwrap(), "dm0x\r\n");
    login.hear("334 Password:\r\n");
    assert_eq!(login.sent.last().unwrap(), "c2VjcmV0\r\n");
    assert!(!login.ready);
    login.hear("235 ok\r\n");
    assert!(login.ready);

    let mut long = offered("PLAIN", &"x".repeat(600));
    assert_eq!(long.sent.last().unwrap(), "AUTH PLAIN\r\n");
    long.hear("334 \r\n");
    assert!(long.sent.last().unwrap().starts_with("AHZtMQB4eHh4"));
}

#[test]
fn a_relay_that_takes_scram_without_proving_itself_is_not_believed() {
    let mut dialog = offered("PLAIN SCRAM-SHA-256", "secret");
    let sent = dialog.sent.last().unwrap().clone();
    assert!(sent.starts_with("AUTH SCRAM-SHA-256 biws"), "{sent}");
    dialog.hear("235 2.7.0 welcome\r\n");
    let failure = dialog.failed.unwrap();
    assert!(failure.text.contains("did not prove"), "{}", failure.text);
    assert!(!dialog.ready && dialog.closed);
}

#[test]
fn a_refused_password_defers_the_mail_and_is_in_no_text() {
    for (mechanisms, script, told) in [
        ("PLAIN", "535 5.7.8 no\r\n", "535 5.7.8 no"),
        ("PLAIN", "334 more\r\n", "more than the mechanism"),
        ("SCRAM-SHA-256", "334 !!\r\n", "not base64"),
        ("CRAM-MD5 GSSAPI", "", "CRAM-MD5 GSSAPI"),
        ("", "", "offers no AUTH"),
    ] {
        let mut dialog = offered(mechanisms, "hunter2");
        dialog.hear(script);
        let debug = format!("{:?}", dialog.client);
        let failure = dialog.failed.unwrap();
        assert_eq!((failure.stage, failure.status.class()), (Stage::Auth, 4));
        assert!(failure.text.contains(told), "{}", failure.text);
        assert!(!failure.text.contains("hunter2") && !debug.contains("hunter2"));
        assert!(!dialog.ready);
    }
}

/// With something to say to XENROLL, behind EHLO under TLS.
fn enrolling(security: Security) -> Dialog {
    let mut dialog = Dialog::new(Settings {
        security,
        enroll: Some("NAME=vm7 SECRET=abc".into()),
        ..settings()
    });
    dialog.event(Event::Connected);
    dialog
}

#[test]
fn a_key_is_made_known_once_under_tls_where_that_is_offered_and_a_refusal_ends_the_connection() {
    for (offered, reply, ready) in [
        ("250-mx\r\n250 XENROLL\r\n", "250 2.0.0 vm7\r\n", true),
        ("250-mx\r\n250 XENROLL\r\n", "535 5.7.8 no\r\n", false),
        ("250-mx\r\n250 XENROLL\r\n", "221 2.0.0 bye\r\n", false),
        ("250 mx\r\n", "", false),
    ] {
        let mut dialog = enrolling(Security::StartTls);
        dialog.hear(TLS);
        dialog.event(Event::TlsStarted);
        dialog.sent.clear();
        dialog.hear(offered);
        let said = dialog.sent.concat();
        let expected = if reply.is_empty() {
            ""
        } else {
            "XENROLL NAME=vm7 SECRET=abc\r\n"
        };
        assert_eq!(said, expected, "{offered}");
        dialog.hear(reply);
        assert_eq!(dialog.ready, ready, "{offered}{reply}");
        assert_eq!(dialog.failed.is_some(), !ready);
        if reply.starts_with("535") {
            let status = dialog.failed.unwrap().status;
            assert_eq!(status.to_string(), "4.7.8", "why it was refused");
        }
    }
    for security in [Security::None, Security::Opportunistic] {
        let mut dialog = enrolling(security);
        dialog.hear("220 mx\r\n");
        dialog.hear("250-mx\r\n250 XENROLL\r\n");
        let said = dialog.sent.concat();
        assert!(!said.contains("XENROLL"), "{said}");
    }
}

#[test]
fn no_password_travels_in_clear_text() {
    for security in [Security::None, Security::Opportunistic] {
        let mut dialog = Dialog::new(Settings {
            security,
            credentials: Some(Credentials {
                user: "vm1".into(),
                secret: Secret::Password("secret".into()),
            }),
            ..settings()
        });
        dialog.event(Event::Connected);
        dialog.hear("220 mx\r\n|250-mx\r\n250 AUTH PLAIN\r\n");
        assert!(dialog.failed.unwrap().text.contains("without TLS"));
        assert!(!dialog.sent.concat().contains("AUTH"));
    }
}

/// Google's example of XOAUTH2 and the one of RFC 7628 §4.1 in form; what the server objects is
/// told, and answered as it must be.
#[test]
fn a_token_is_told_with_what_the_relay_offers_and_its_refusal_is_understood() {
    let token = |mechanisms| with(mechanisms, Secret::Token("tok1".into()));
    let mut dialog = token("PLAIN OAUTHBEARER XOAUTH2");
    assert_eq!(
        dialog.sent.last().unwrap(),
        "AUTH XOAUTH2 dXNlcj12bTEBYXV0aD1CZWFyZXIgdG9rMQEB\r\n"
    );
    dialog.hear("235 2.7.0 Accepted\r\n");
    assert!(dialog.ready);
    let objection =
        BASE64_STANDARD.encode(r#"{"status":"401","scope":"tok1 https://mail.example/"}"#);
    for (mechanism, answer) in [("XOAUTH2", "\r\n"), ("OAUTHBEARER", "AQ==\r\n")] {
        let mut dialog = token(mechanism);
        dialog.hear(&format!("334 {objection}\r\n"));
        assert_eq!(dialog.sent.last().unwrap(), answer);
        assert!(dialog.failed.is_none() && !dialog.ready);
        dialog.hear("535 5.7.8 no\r\n");
        let failure = dialog.failed.unwrap();
        assert_eq!((failure.stage, failure.status.class()), (Stage::Auth, 4));
        assert!(failure.text.contains("\"401\""), "{}", failure.text);
        assert!(!failure.text.contains("tok1"), "{}", failure.text);
    }
    // In whatever form and stage a relay repeats it, nobody reads it.
    let secret = "ya29.token-of-more-than-sixteen";
    for said in [
        format!("bad token {secret}"),
        format!("bad token {} ...", &secret[..20]),
        format!(
            "what is {}",
            BASE64_STANDARD.encode(format!("auth=Bearer {secret}"))
        ),
    ] {
        for script in [
            format!("535 {said}\r\n"),
            format!("454-no\r\n454 {said}\r\n"),
        ] {
            let mut dialog = with("XOAUTH2", Secret::Token(secret.into()));
            dialog.hear(&script);
            let text = dialog.failed.unwrap().text;
            assert!(text.contains("repeats our password or token"), "{text}");
            assert!(!text.contains("ya29") && !text.contains("eWEyOS"), "{text}");
        }
    }
    // A 334 is no success, nor is what follows it.
    for script in ["235 2.7.0 welcome\r\n", "334 \r\n"] {
        let mut dialog = token("XOAUTH2");
        dialog.hear("334 e30=\r\n");
        dialog.hear(script);
        assert!(!dialog.ready && dialog.failed.is_some(), "{script}");
    }
    let mut dialog = with("XOAUTH2", Secret::Token("x".repeat(2000)));
    assert_eq!(dialog.sent.last().unwrap(), "AUTH XOAUTH2\r\n");
    dialog.hear("334 \r\n");
    assert!(
        dialog
            .sent
            .last()
            .unwrap()
            .starts_with("dXNlcj12bTEBYXV0aD1CZWFyZXIg")
    );
    let dialog = token("PLAIN LOGIN SCRAM-SHA-256");
    assert!(
        dialog
            .failed
            .unwrap()
            .text
            .contains("XOAUTH2 or OAUTHBEARER is needed")
    );
}

#[test]
fn a_password_that_a_relay_repeats_over_several_lines_is_shown_in_none_of_them() {
    let secret = "ya29.token-of-more-than-sixteen";
    let encoded = BASE64_STANDARD.encode(format!("\0vm1\0{secret}"));
    let encoded = &encoded[12..40];
    let whole = [
        secret,
        encoded,
        "hunter2",
        "correct horse battery",
        "open sesame",
    ];
    for said in whole {
        let password = if said == encoded { secret } else { said };
        let near_end = said.len() - 3;
        for (cuts, before) in [
            ([4, 4], "535 "),
            ([near_end, near_end], "535 5.7.8   "),
            ([3, near_end], "535 5.7.9 "),
            ([4, near_end], "535 "),
        ] {
            let parts = [&said[..cuts[0]], &said[cuts[0]..cuts[1]], &said[cuts[1]..]];
            let [first, middle, last] = parts.map(str::to_owned);
            let more = before.replacen("535 ", "535-", 1);
            let mut dialog = offered("PLAIN", password);
            dialog.hear(&format!(
                "535-5.7.8 you said\r\n535-5.7.8 {first}\r\n{more}{middle}\r\n{before}{last}\r\n"
            ));
            let text = dialog.failed.unwrap().text;
            assert!(text.starts_with("535 5.7.8 you said (text that"), "{text}");
            let shown = [first, last].into_iter().filter(|part| part.len() > 3);
            for part in shown {
                assert!(!text.contains(&part), "{part}: {text}");
            }
        }
    }
    let mut dialog = offered("PLAIN", secret);
    dialog.hear("535-ya29.\r\n535 token of others\r\n");
    let text = dialog.failed.unwrap().text;
    assert_eq!(text, "535 ya29. token of others");
}
