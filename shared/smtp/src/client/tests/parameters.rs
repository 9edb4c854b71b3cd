//! Peers that refuse a parameter which they offered to take.

use super::*;

fn asking(recipients: &[&str]) -> Transaction {
    let mut transaction = mail(recipients);
    transaction.mail.eight_bit = true;
    transaction.mail.ret = Some(Ret::Full);
    transaction.mail.envid = Some("id".into());
    transaction.recipients[0].notify = Notify {
        explicit: true,
        failure: true,
        ..Notify::default()
    };
    transaction
}

/// What MAIL and the first RCPT ask for in the last transaction.
fn asked(dialog: &Dialog) -> (String, String) {
    let sent = dialog.sent.concat();
    let last = |verb: &str| {
        let line = sent.lines().rfind(|line| line.starts_with(verb)).unwrap();
        let (_, parameters) = line.split_once('>').unwrap();
        parameters.trim().to_owned()
    };
    (last("MAIL"), last("RCPT TO:<a@"))
}

const AFTER: &str = "503 no\r\n503 no\r\n";
const TAKEN: &str = "250 ok\r\n250 ok\r\n354 go\r\n|250 taken\r\n";

#[test]
fn what_a_peer_refuses_though_it_offered_it_is_not_asked_for_again() {
    for (replies, left) in [
        (
            &["501 5.5.4 Unsupported option: SIZE=20"][..],
            "BODY=8BITMIME RET=FULL ENVID=id",
        ),
        (
            &["555 5.5.4 Unsupported parameter: BODY"],
            "SIZE=20 RET=FULL ENVID=id",
        ),
        (
            &["504 8BITMIME not implemented"],
            "SIZE=20 RET=FULL ENVID=id",
        ),
        (&["501 bad RET"], "SIZE=20 BODY=8BITMIME"),
        (
            &["501 Syntax error in parameters or arguments"],
            "BODY=8BITMIME",
        ),
        (&["455 cannot"], "BODY=8BITMIME"),
        (&["550 5.5.4 no such argument"], "BODY=8BITMIME"),
        (&["500 Syntax error, command unrecognized"], "BODY=8BITMIME"),
        (&["554 5.3.3 not capable"], "BODY=8BITMIME"),
        (&["554 5.6.3 BODY conversion"], "SIZE=20 RET=FULL ENVID=id"),
        (&["501 no", "501 no"], ""),
        (&["501 SIZE", "501 BODY", "555 ENVID"], ""),
    ] {
        let mut dialog = Dialog::begun(Security::None, ALL);
        for reply in replies {
            let outcomes = dialog.send(asking(&["a@x.example"]), &format!("{reply}\r\n{AFTER}"));
            let Outcome::Deferred(failure) = &outcomes[0] else {
                panic!("{reply}: {outcomes:?}")
            };
            assert!(is_retraction(failure), "{reply}: {failure:?}");
            assert!(!dialog.closed, "{reply}");
        }
        let outcomes = dialog.send(asking(&["a@x.example"]), TAKEN);
        assert_eq!(brief(&outcomes), ["D 250 taken"], "{replies:?}");
        assert_eq!(asked(&dialog).0, left, "{replies:?}");
    }
}

#[test]
fn a_refused_wish_of_one_recipient_costs_the_others_nothing() {
    let mut dialog = Dialog::begun(Security::None, ALL);
    let script = "250 ok\r\n501 5.5.4 NOTIFY\r\n250 ok\r\n354 go\r\n|250 taken\r\n";
    let outcomes = dialog.send(asking(&["a@x.example", "b@x.example"]), script);
    assert_eq!(
        brief(&outcomes),
        ["4 4.5.4 501 5.5.4 NOTIFY", "D 250 taken"]
    );
    let outcomes = dialog.send(asking(&["a@x.example"]), TAKEN);
    assert_eq!(brief(&outcomes), ["D 250 taken"]);
    assert_eq!(
        asked(&dialog),
        ("SIZE=20 BODY=8BITMIME".into(), String::new())
    );
}

#[test]
fn a_refusal_of_address_message_or_policy_is_not_one_of_a_parameter() {
    for reply in [
        "501 5.1.7 Bad sender address syntax",
        "552 5.3.4 Message size exceeds fixed limit",
        "552 message SIZE too big",
        "550 5.7.1 refused",
        "550 5.1.8 no such domain",
        "550 5.6.7 SMTPUTF8 not welcome",
        "553 no",
        "503 5.5.1 out of order",
    ] {
        let mut dialog = Dialog::begun(Security::None, ALL);
        let outcomes = dialog.send(asking(&["a@x.example"]), &format!("{reply}\r\n{AFTER}"));
        assert!(
            matches!(outcomes[0], Outcome::Failed(_)),
            "{reply}: {outcomes:?}"
        );
    }
    // Plain commands have no parameter that could be refused; and what was taken for one was none.
    let mut dialog = Dialog::begun(Security::None, ALL);
    for expected in [
        "4 4.5.4 501 no",
        "4 4.5.4 501 no",
        "5 5.0.0 501 no",
        "4 4.5.4 501 no",
    ] {
        let outcomes = dialog.send(asking(&["a@x.example"]), &format!("501 no\r\n{AFTER}"));
        assert_eq!(brief(&outcomes), [expected]);
    }
}

#[test]
fn mail_that_needs_what_is_refused_waits() {
    let mut dialog = Dialog::begun(Security::None, ALL);
    let mut transaction = mail(&["\u{f6}@x.example"]);
    transaction.mail.size = None;
    let outcomes = dialog.send(
        transaction.clone(),
        &format!("555 5.5.4 SMTPUTF8\r\n{AFTER}"),
    );
    assert_eq!(brief(&outcomes), ["4 4.5.4 555 5.5.4 SMTPUTF8"]);
    let outcomes = dialog.send(transaction, "");
    assert!(
        brief(&outcomes)[0].starts_with("4 4.6.7 SMTPUTF8 is required"),
        "{outcomes:?}"
    );
}
