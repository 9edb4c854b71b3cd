//! Dialogs in memory: what the peer says, what the machine answers, what becomes of each recipient.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::{
    address::{Address, Sender},
    envelope::{Envelope, Notify, Recipient, Ret},
    outcome::{Blame, Failure, Outcome, Stage},
    smtp::capability::Capabilities,
    status::EnhancedStatus,
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.dot\r\n";
const SENT_MESSAGE: &str = "Subject: x\r\n\r\n..dot\r\n.\r\n";
const ALL: &str = "220 mx ESMTP\r\n|250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n";
const BARE: &str = "220 mx\r\n|250 mx\r\n";

/// A peer that answers each write of the machine with its next line of the script.
struct Dialog {
    client: Client,
    now: Instant,
    sent: Vec<String>,
    finished: Vec<Vec<Outcome>>,
    failed: Option<Failure>,
    ready: bool,
    closed: bool,
    handshakes: usize,
}

impl Dialog {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(settings),
            now,
            sent: Vec::new(),
            finished: Vec::new(),
            failed: None,
            ready: false,
            closed: false,
            handshakes: 0,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        self.client.handle(event, self.now);
        while let Some(action) = self.client.next_action() {
            match action {
                Action::Send(bytes) => self.sent.push(String::from_utf8(bytes).unwrap()),
                Action::StartTls => self.handshakes += 1,
                Action::Ready => self.ready = true,
                Action::WantBody => {
                    self.client.handle(Event::Body(MESSAGE), self.now);
                    assert_eq!(self.client.next_action(), Some(Action::WantBody));
                    self.client.handle(Event::BodyEnd, self.now);
                }
                Action::Finished(outcomes) => {
                    self.ready = false;
                    self.finished.push(outcomes);
                }
                Action::Failed(failure) => self.failed = Some(failure),
                Action::Close => self.closed = true,
            }
        }
    }

    /// Feeds the script, one part after another.
    fn hear(&mut self, script: &str) {
        script
            .split('|')
            .for_each(|part| self.event(Event::Received(part.as_bytes())));
    }

    /// Begins a transaction when the peer is ready, and goes on with the script.
    fn send(&mut self, transaction: Transaction, script: &str) -> Vec<Outcome> {
        assert!(self.ready, "{:?} {:?}", self.sent, self.failed);
        self.event(Event::Begin(transaction));
        self.hear(script);
        self.finished.pop().expect("the transaction has an end")
    }

    fn begun(security: Security, greeting: &str) -> Self {
        let mut dialog = Self::new(Settings {
            security,
            ..settings()
        });
        dialog.event(Event::Connected);
        dialog.hear(greeting);
        dialog
    }
}

fn settings() -> Settings {
    Settings {
        helo: "vm1.example.org".into(),
        protocol: Protocol::Smtp,
        security: Security::None,
        timeouts: Timeouts::default(),
        known: None,
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn mail(recipients: &[&str]) -> Transaction {
    let envelope = Envelope {
        sender: Sender::Address(address("root@vm1.example.org")),
        recipients: recipients
            .iter()
            .map(|text| Recipient::from(address(text)))
            .collect(),
        ..Envelope::default()
    };
    Transaction {
        envelope,
        size: 20,
        xcaller: None,
        unqualified_sender: None,
        unqualified: Vec::new(),
    }
}

/// `D`, `4` or `5` with the words of the peer.
fn brief(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Delivered(delivery) => format!("D {}", delivery.reply),
            Outcome::Deferred(failure) => format!("4 {} {}", failure.status, failure.text),
            Outcome::Failed(failure) => format!("5 {} {}", failure.status, failure.text),
        })
        .collect()
}

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
    let large = dialog.send(
        Transaction {
            size: 1001,
            ..mail(&["a@x.example"])
        },
        "",
    );
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
fn wishes_travel_to_a_peer_that_knows_them_and_to_no_other() {
    let mut transaction = mail(&["a@x.example"]);
    transaction.envelope.content.eight_bit = true;
    transaction.envelope.ret = Some(Ret::Headers);
    transaction.envelope.envid = Some("a+b=c d".into());
    transaction.envelope.recipients[0].orcpt = Some("rfc822;a+b@x.example".into());
    transaction.envelope.recipients[0].notify = Notify {
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
    let never = Notify {
        explicit: true,
        success: false,
        failure: false,
        delay: false,
    };
    let transaction = Transaction {
        xcaller: Some(Some("Cron Dæmon".into())),
        unqualified_sender: Some("www-data".into()),
        unqualified: vec![
            ("root".into(), never),
            ("a\r\nRCPT TO:<evil@x.example>".into(), never),
        ],
        ..mail(&["a@x.example"])
    };
    let outcomes = dialog.send(
        transaction,
        "220 agent\r\n|250-agent\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 XCALLER\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 2.0.0 Ok: queued as X\r\n",
    );
    assert_eq!(
        dialog.sent,
        [
            "EHLO vm1.example.org\r\nMAIL FROM:<www-data> XCALLER=Cron+20D+C3+A6mon\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<root> NOTIFY=NEVER\r\nDATA\r\n",
            SENT_MESSAGE,
        ]
    );
    let queued = "D 250 2.0.0 Ok: queued as X";
    assert_eq!(brief(&outcomes)[..2], [queued, queued]);
    assert!(
        brief(&outcomes)[2].starts_with("5 5.1.3"),
        "a name that would be a second command is not sent"
    );
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
    let broken = || {
        Failure::new(
            Blame::Local,
            Stage::Local,
            EnhancedStatus::new(4, 3, 0),
            "damaged",
        )
    };
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
    /// The peer may say anything at any time: each recipient gets one outcome, and `Delivered` only if the message had gone out before the peer's 2yz.
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
