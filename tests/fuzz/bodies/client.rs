//! A server's bytes against the client's machine. The first byte chooses the packets, the second
//! SMTP or LMTP and STARTTLS.
use std::time::Instant;

use mail::{
    address::{Address, Sender},
    envelope::Envelope,
    outcome::{Outcome, Stage},
    status::Severity,
};
use smtp::{
    client::{Action, Client, Event, Protocol, Security, Settings, Timeouts, Transaction},
    data::Checker,
    reply::Parser,
    sasl::{Credentials, Secret},
};

/// Messages of one connection: a server that always says 250 would keep us here.
const MESSAGES: usize = 3;
const BODY: [&[u8]; 2] = [b"Subject: x\r\n\r\n", b".\r\nlast"];

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let [packet, kind, input @ ..] = input else {
        return;
    };
    let mut parser = Parser::default();
    let mut rest = input;
    while let Ok(Some(reply)) = parser.next(&mut rest) {
        let mut wire = Vec::new();
        reply.encode(&mut wire);
        let again = Parser::default().next(&mut wire.as_slice()).ok().flatten();
        assert_eq!(again.map(|again| again.code), Some(reply.code));
    }
    let mut driver = Driver::new(*kind);
    driver.tell(Event::Connected);
    for piece in input.chunks(usize::from(*packet).max(1)) {
        driver.tell(Event::Received(piece));
    }
    driver.tell(Event::TimedOut);
    assert!(
        !driver.waiting,
        "each recipient has its outcome, whatever the server says"
    );
    assert!(
        driver.closed,
        "a server that is silent for too long is left"
    );
}

struct Driver {
    client: Client,
    now: Instant,
    wire: Checker,
    begun: usize,
    /// A message can follow.
    ready: bool,
    /// Outcomes are due.
    waiting: bool,
    /// Pieces of the message that were given; one more than there are: its end.
    given: usize,
    closed: bool,
}

impl Driver {
    fn new(kind: u8) -> Self {
        let settings = Settings {
            helo: "vm1.example.org".into(),
            protocol: if kind & 1 == 0 {
                Protocol::Smtp
            } else {
                Protocol::Lmtp
            },
            security: if kind & 2 == 0 {
                Security::None
            } else {
                Security::Opportunistic
            },
            timeouts: Timeouts::default(),
            known: None,
            credentials: (kind & 4 != 0).then(|| Credentials {
                user: "u".into(),
                secret: Secret::Password("p".into()),
            }),
            enroll: None,
        };
        Self {
            client: Client::new(settings),
            now: Instant::now(),
            wire: Checker::default(),
            begun: 0,
            ready: false,
            waiting: false,
            given: 0,
            closed: false,
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.client.handle(event, self.now);
        self.drain();
        while std::mem::take(&mut self.ready) && !self.closed {
            self.begin();
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.client.next_action() {
            assert!(!self.closed, "nothing is done with a closed connection");
            match action {
                Action::Send(bytes) => self
                    .wire
                    .check(&bytes)
                    .expect("no bare CR or LF is ever sent"),
                Action::StartTls => self.client.handle(Event::TlsStarted, self.now),
                Action::Ready => self.ready = true,
                Action::WantBody => self.give(),
                Action::Finished(outcomes) => self.judge(&outcomes),
                Action::Failed(_) => assert!(!self.waiting, "a transaction ends with outcomes"),
                Action::Close => self.closed = true,
            }
        }
    }

    fn begin(&mut self) {
        if self.begun == MESSAGES {
            return self.client.handle(Event::Quit, self.now);
        }
        self.begun += 1;
        (self.waiting, self.given) = (true, 0);
        self.client.handle(Event::Begin(transaction()), self.now);
    }

    fn give(&mut self) {
        let event = BODY
            .get(self.given)
            .map_or(Event::BodyEnd, |piece| Event::Body(piece));
        self.given += 1;
        self.client.handle(event, self.now);
    }

    fn judge(&mut self, outcomes: &[Outcome]) {
        assert!(self.waiting, "outcomes come once");
        self.waiting = false;
        assert_eq!(outcomes.len(), 2);
        for outcome in outcomes {
            match outcome {
                Outcome::Delivered(_) => {
                    assert!(self.given > BODY.len(), "only a whole message is delivered");
                }
                Outcome::Deferred(failure) => assert_eq!(failure.status.class(), 4),
                Outcome::Failed(failure) => assert!(
                    // Said by the server, in a reply or by the size that it takes.
                    failure
                        .reply
                        .map_or(failure.stage == Stage::Mail, |code| code.severity()
                            == Severity::Permanent),
                    "what is not known is tried again: {failure:?}"
                ),
            }
        }
    }
}

fn transaction() -> Transaction {
    let address = |text| Address::parse(text).expect("an address");
    let envelope = Envelope {
        sender: Sender::Address(address("a@example.org")),
        recipients: vec![
            address("b@example.net").into(),
            address("c@example.net").into(),
        ],
        ..Envelope::default()
    };
    Transaction::of(&envelope, 20)
}
