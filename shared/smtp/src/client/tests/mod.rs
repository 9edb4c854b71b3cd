//! Dialogs in memory: what the peer says, what the machine answers, what becomes of each recipient.

mod auth;
mod faults;
mod greeting;
mod pair;
mod parameters;
mod transactions;

use std::time::Instant;

use super::*;
use crate::capability::Capabilities;
use mail::{
    address::{Address, Sender},
    envelope::{Envelope, Notify, Recipient, Ret},
    outcome::{Blame, Failure, Outcome, Stage},
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
        credentials: None,
        enroll: None,
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
    Transaction::of(&envelope, 20)
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
