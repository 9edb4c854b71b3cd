//! Peers and networks that fail, or lie.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

/// Row C7.
#[test]
fn a_421_anywhere_keeps_the_mail_closes_the_connection_and_shows_the_reason() {
    let busy = "421 4.7.0 too many connections\r\n";
    for greeting in [busy, "220 mx\r\n|421 4.7.0 too many connections\r\n"] {
        let dialog = Dialog::begun(Security::None, greeting);
        assert_eq!(dialog.failed.as_ref().unwrap().text, busy.trim_end());
        assert!(dialog.closed && !dialog.ready);
    }
    for before in [
        "",
        "250 ok\r\n",
        "250 ok\r\n250 ok\r\n",
        "250 ok\r\n250 ok\r\n250 ok\r\n",
        "250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n|",
    ] {
        let mut dialog = Dialog::begun(Security::None, ALL);
        let outcomes = dialog.send(
            mail(&["a@x.example", "b@x.example"]),
            &format!("{before}{busy}"),
        );
        assert_eq!(
            brief(&outcomes)[0],
            format!("4 4.7.0 {}", busy.trim_end()),
            "after {before:?}"
        );
        assert!(dialog.closed && dialog.failed.is_none());
    }
}

/// 334 after DATA is no 354, and 221 after the message no 250: a peer out of step takes nothing.
#[test]
fn an_answer_that_belongs_to_another_command_is_believed_nowhere() {
    let stages = [
        ("", &[220][..], Stage::Greeting),
        ("220 mx\r\n|", &[250], Stage::Helo),
        ("|", &[250], Stage::Mail),
        ("250 ok\r\n|", &[250, 251, 252], Stage::Recipient),
        ("250 ok\r\n|250 ok\r\n|", &[354], Stage::Data),
        (
            "250 ok\r\n|250 ok\r\n|354 go\r\n|",
            &[250, 251, 252],
            Stage::Message,
        ),
    ];
    for (before, own, stage) in stages {
        for code in [
            200, 211, 214, 220, 221, 235, 250, 251, 252, 299, 300, 334, 353, 354, 399,
        ] {
            let unknown = code == 200 || code == 299;
            if own.contains(&code) || unknown && stage != Stage::Data {
                continue;
            }
            let opens = stage < Stage::Mail;
            let greeting = if opens { before } else { BARE };
            let mut dialog = Dialog::begun(Security::None, greeting);
            if !opens {
                assert!(dialog.ready);
                dialog.event(Event::Begin(mail(&["a@x.example"])));
                dialog.hear(before);
            }
            let bodies = dialog
                .sent
                .iter()
                .filter(|sent| sent.contains("Subject"))
                .count();
            dialog.hear(&format!("{code} 2.0.0 yes\r\n"));
            let failure = match dialog.finished.pop().as_deref() {
                Some([Outcome::Deferred(failure)]) => failure.clone(),
                None => dialog.failed.clone().unwrap(),
                other => panic!("{stage:?} {code}: {other:?}"),
            };
            assert_eq!(
                (failure.stage, failure.status.class()),
                (stage, 4),
                "{code}"
            );
            assert!(failure.text.contains(&code.to_string()), "{failure:?}");
            assert!(dialog.closed, "{stage:?} {code}");
            let after = dialog
                .sent
                .iter()
                .filter(|sent| sent.contains("Subject"))
                .count();
            assert_eq!(after, bodies, "no message after {code}");
        }
    }
}

#[test]
fn a_connection_lost_behind_the_final_dot_defers_and_says_that_a_copy_may_arrive() {
    let lost = || {
        Failure::new(
            Blame::Network,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 2),
            "lost connection",
        )
    };
    for (end, duplicate) in [
        ("250 ok\r\n250 ok\r\n", false),
        ("250 ok\r\n250 ok\r\n354 go\r\n", true),
    ] {
        for timed_out in [false, true] {
            let mut dialog = Dialog::begun(Security::None, ALL);
            dialog.event(Event::Begin(mail(&["a@x.example"])));
            dialog.hear(end);
            dialog.now = dialog.client.deadline().unwrap();
            dialog.event(if timed_out {
                Event::TimedOut
            } else {
                Event::Lost(lost())
            });
            let outcomes = dialog.finished.pop().unwrap();
            let Outcome::Deferred(failure) = &outcomes[0] else {
                panic!("{outcomes:?}")
            };
            assert_eq!(
                failure.text.contains("may be sent more than once"),
                duplicate
            );
            assert_eq!(
                failure.stage,
                if duplicate {
                    Stage::Message
                } else {
                    Stage::Data
                }
            );
            assert!(dialog.closed);
        }
    }
}

#[test]
fn a_message_that_cannot_be_read_to_its_end_is_never_ended_with_a_dot() {
    let broken = || Failure::ours("damaged");
    for event in [Event::BodyFailed(broken()), Event::Body(b"bare\nLF")] {
        let mut client = Client::new(settings());
        let now = Instant::now();
        client.handle(Event::Connected, now);
        for part in ALL.split('|') {
            client.handle(Event::Received(part.as_bytes()), now);
        }
        client.handle(Event::Begin(mail(&["a@x.example"])), now);
        client.handle(Event::Received(b"250 ok\r\n250 ok\r\n354 go\r\n"), now);
        client.handle(Event::Body(MESSAGE), now);
        client.handle(event, now);
        let actions: Vec<_> = std::iter::from_fn(|| client.next_action()).collect();
        assert!(
            !actions.iter().any(
                |action| matches!(action, Action::Send(bytes) if bytes.ends_with(b"\r\n.\r\n"))
            )
        );
        assert_eq!(actions.last(), Some(&Action::Close));
        assert!(
            actions
                .iter()
                .any(|action| matches!(action, Action::Finished(outcomes) if outcomes.len() == 1))
        );
    }
}

#[test]
fn a_peer_that_drips_bytes_does_not_extend_its_time() {
    let mut dialog = Dialog::begun(Security::None, BARE);
    dialog.event(Event::Begin(mail(&["a@x.example"])));
    let deadline = dialog.client.deadline();
    dialog.now += Duration::from_mins(4);
    dialog.hear("2|5|0| |o");
    assert_eq!(dialog.client.deadline(), deadline);
}

#[test]
fn a_transaction_of_little_patience_is_short_up_to_the_final_dot_and_no_longer() {
    let most = Duration::from_secs(7);
    for patience in [Some(most), None] {
        let mut dialog = Dialog::begun(Security::None, BARE);
        let mut transaction = mail(&["a@x.example", "b@x.example"]);
        transaction.patience = patience;
        dialog.event(Event::Begin(transaction));
        let full = Timeouts::default();
        for (reply, protocol) in [
            ("250 ok\r\n", full.reply),
            ("250 ok\r\n", full.reply),
            ("250 ok\r\n", full.reply),
            ("354 go\r\n", full.data),
        ] {
            let deadline = dialog.client.deadline();
            assert_eq!(deadline, Some(dialog.now + patience.unwrap_or(protocol)));
            dialog.now += Duration::from_secs(1);
            dialog.hear(reply);
        }
        assert_eq!(dialog.client.deadline(), Some(dialog.now + full.message));
        dialog.hear("250 taken\r\n");
        // The next transaction has its own.
        dialog.event(Event::Begin(mail(&["a@x.example"])));
        assert_eq!(dialog.client.deadline(), Some(dialog.now + full.reply));
    }
}

fn hostile_script() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        8 => "(220|250|250|250|354|354|421|450|503|550)[ -](2\\.1\\.0 |5\\.1\\.1 )?[a-z]{0,4}\r\n",
        1 => "250-(PIPELINING|SIZE 9|STARTTLS)\r\n",
        1 => ".{0,6}",
        1 => Just("|".to_owned()),
    ];
    proptest::collection::vec(line, 0..20).prop_map(|lines| lines.concat())
}

proptest! {
    /// The peer may say anything at any time: each recipient gets one outcome, and `Delivered` only
    /// if the message had gone out before the peer's 2yz.
    #[test]
    fn no_peer_makes_the_machine_panic_or_believe_in_a_delivery_that_was_not_confirmed(
        script in hostile_script(), pipelining: bool, lmtp: bool, bytes in proptest::collection::vec(any::<u8>(), 0..30),
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let mut dialog = Dialog::new(Settings { protocol, security: Security::Opportunistic, ..settings() });
        dialog.event(Event::Connected);
        dialog.hear(if pipelining { ALL } else { BARE });
        dialog.event(Event::Begin(mail(&["a@x.example", "b@x.example"])));
        let mut confirmed = false;
        for part in script.split_inclusive('\n') {
            let out = dialog.sent.last().is_some_and(|sent| sent.ends_with(SENT_MESSAGE));
            dialog.event(Event::Received(part.as_bytes()));
            confirmed |= out && part.trim_start_matches('|').starts_with('2');
            let delivered = dialog.finished.iter().flatten().any(|outcome| matches!(outcome, Outcome::Delivered(_)));
            prop_assert!(!delivered || confirmed, "{script:?} {:?}", dialog.finished);
        }
        dialog.event(Event::Received(&bytes));
        dialog.event(Event::Lost(Failure::new(Blame::Network, Stage::Connect, EnhancedStatus::new(4, 4, 2), "lost connection")));
        prop_assert_eq!(dialog.finished.len(), 1);
        prop_assert_eq!(dialog.finished[0].len(), 2);
        prop_assert!(dialog.closed);
    }
}

/// A transaction over a connection that was kept since an earlier one.
fn over_kept(recipients: &[&str]) -> Transaction {
    Transaction {
        kept: true,
        ..mail(recipients)
    }
}

#[test]
fn over_a_kept_connection_a_refusal_counts_once_quit_proves_that_the_replies_are_in_step() {
    let refusals = [
        (
            "250 ok\r\n550 5.1.1 no\r\n450 4.2.0 later\r\n503 no\r\n",
            ["5 5.1.1 550 5.1.1 no", "4 4.2.0 450 4.2.0 later"],
        ),
        (
            "450 4.7.1 slow\r\n503 a\r\n503 b\r\n503 c\r\n",
            ["4 4.7.1 450 4.7.1 slow"; 2],
        ),
        (
            "250 ok\r\n250 ok\r\n250 ok\r\n451 4.3.5 busy\r\n",
            ["4 4.3.5 451 4.3.5 busy"; 2],
        ),
    ];
    for (replies, told) in refusals {
        let mut dialog = Dialog::begun(Security::None, ALL);
        let outcomes = dialog.send(
            over_kept(&["a@x.example", "b@x.example"]),
            &format!("{replies}|221 bye\r\n"),
        );
        assert_eq!(brief(&outcomes), told);
        assert_eq!(dialog.sent.last().unwrap(), "QUIT\r\n");
        assert!(dialog.closed);
    }
    // The message asked for is proof enough.
    let mut dialog = Dialog::begun(Security::None, ALL);
    let taken = "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n|250 taken\r\n";
    let outcomes = dialog.send(over_kept(&["a@x.example", "b@x.example"]), taken);
    assert_eq!(brief(&outcomes), ["D 250 taken", "5 5.1.1 550 5.1.1 no"]);
    assert!(!dialog.sent.concat().contains("QUIT") && dialog.ready);
}

#[test]
fn a_transaction_behind_a_reply_that_nobody_asked_for_hears_of_that_reply() {
    let mut dialog = Dialog::begun(Security::None, "220 mx\r\n|250 mx\r\n250 more\r\n");
    let why = "the peer sent a reply that nobody asked for: 250 more";
    assert_eq!(dialog.failed.as_ref().unwrap().text, why);
    dialog.event(Event::Begin(mail(&["a@x.example"])));
    assert_eq!(
        brief(&dialog.finished.pop().unwrap()),
        [format!("4 4.5.0 {why}")]
    );
}

/// Last words of an idle connection, and replies that nobody asked for, in front of the real ones.
#[test]
fn replies_of_a_kept_connection_that_are_out_of_step_say_nothing_of_the_mail() {
    for (greeting, replies) in [
        (ALL, "554 5.4.2 idle too long, closing\r\n"),
        (
            ALL,
            "554 5.4.2 idle too long, closing\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
        ),
        (
            ALL,
            "250 stray\r\n250 ok\r\n550 5.1.1 first\r\n450 second\r\n|503 data\r\n",
        ),
        (
            ALL,
            "250 stray\r\n550 5.7.1 sender\r\n503 first\r\n503 second\r\n|503 data\r\n",
        ),
        (
            ALL,
            "250 ok\r\n550 5.1.1 no\r\n450 later\r\n503 no\r\n|421 closing\r\n",
        ),
        (ALL, "250 ok\r\n550 5.1.1 no\r\n421 closing\r\n"),
        (
            BARE,
            "250 stray\r\n|250 ok\r\n|550 5.1.1 first\r\n|550 5.1.1 second\r\n|503 data\r\n",
        ),
        (BARE, "554 idle\r\n"),
        (BARE, "554 idle\r\n|250 ok\r\n"),
        (BARE, "450 stray\r\n250 another\r\n|250 ok\r\n"),
        (
            ALL,
            "250 a\r\n250 b\r\n250 ok\r\n550 first\r\n|250 second\r\n503 data\r\n",
        ),
        (
            ALL,
            "450 a\r\n250 b\r\n250 ok\r\n550 first\r\n|250 second\r\n503 data\r\n",
        ),
        (ALL, "550 a\r\n221 bye\r\n"),
    ] {
        let mut dialog = Dialog::begun(Security::None, greeting);
        dialog.event(Event::Begin(over_kept(&["a@x.example", "b@x.example"])));
        dialog.hear(replies);
        dialog.event(Event::Lost(Failure::new(
            Blame::Network,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 2),
            "lost connection",
        )));
        let outcomes = dialog.finished.pop().unwrap();
        for outcome in outcomes {
            let Outcome::Deferred(failure) = outcome else {
                panic!("{replies:?}: {outcome:?}");
            };
            assert!(
                failure.reply.is_none_or(|code| code.value() == 421),
                "{replies:?}: {failure:?}"
            );
        }
        assert!(dialog.closed);
    }
}

#[test]
fn when_a_peer_goes_away_it_is_known_how_many_recipients_it_had_accepted() {
    for end in ["421 4.3.2 no more\r\n", ""] {
        for kept in [false, true] {
            let mut dialog = Dialog::begun(Security::None, ALL);
            let transaction = Transaction {
                kept,
                ..mail(&["a@x.example", "b@x.example", "c@x.example", "d@x.example"])
            };
            dialog.event(Event::Begin(transaction));
            dialog.hear(&format!("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n{end}"));
            dialog.event(Event::Lost(Failure::new(
                Blame::Network,
                Stage::Connect,
                EnhancedStatus::new(4, 4, 2),
                "lost connection",
            )));
            assert_eq!(dialog.client.accepted(), 2);
        }
    }
}
