//! Our client and our server, in memory, over a network that cuts bytes into any pieces and breaks
//! anywhere.

use std::{collections::VecDeque, time::Duration};

use super::*;
use crate::{
    reply::Reply,
    session::{self, Question, Session, Verdict},
};
use proptest::prelude::*;

/// What the server's policy says to one recipient, or to the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Say {
    Yes,
    Later,
    No,
}

impl Say {
    fn verdict(self) -> Verdict {
        match self {
            Self::Yes => Verdict::Accept,
            Self::Later => Verdict::Refuse(Reply::literal("450 4.7.1 later")),
            Self::No => Verdict::Refuse(Reply::literal("550 5.1.1 no")),
        }
    }

    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Delivered(_) => Self::Yes,
            Outcome::Deferred(_) => Self::Later,
            Outcome::Failed(_) => Self::No,
        }
    }
}

fn say() -> impl Strategy<Value = Say> {
    prop_oneof![3 => Just(Say::Yes), 1 => Just(Say::Later), 1 => Just(Say::No)]
}

/// Both ends and the wire between them.
struct Pair {
    client: Client,
    server: Session,
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    content: VecDeque<u8>,
    recipients: Vec<Say>,
    message: Say,
    asked: usize,
    arriving: Vec<u8>,
    kept: Vec<Vec<u8>>,
    ready: bool,
    outcomes: Option<Vec<Outcome>>,
    now: Instant,
}

impl Pair {
    fn new(known: bool, content: &[u8], recipients: &[Say], message: Say) -> Self {
        let now = Instant::now();
        let offered = session::Settings {
            hostname: "mx.example.org".into(),
            max_size: 1_000_000,
            max_recipients: 100,
            local: known,
            command_timeout: Duration::from_mins(5),
            max_errors: 1000,
            max_junk: 1000,
            ..session::Settings::default()
        };
        let known = known.then(|| Capabilities {
            pipelining: true,
            ..Capabilities::default()
        });
        Self {
            client: Client::new(Settings {
                known,
                ..settings()
            }),
            server: Session::new(offered, now),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            content: content.iter().copied().collect(),
            recipients: recipients.to_vec(),
            message,
            asked: 0,
            arriving: Vec::new(),
            kept: Vec::new(),
            ready: false,
            outcomes: None,
            now,
        }
    }

    fn tell_client(&mut self, event: Event<'_>) {
        self.client.handle(event, self.now);
        while let Some(action) = self.client.next_action() {
            match action {
                Action::Send(bytes) => self.to_server.extend(bytes),
                Action::WantBody => {
                    let count = self.content.len().min(7);
                    let piece: Vec<u8> = self.content.drain(..count).collect();
                    self.client.handle(
                        if piece.is_empty() {
                            Event::BodyEnd
                        } else {
                            Event::Body(&piece)
                        },
                        self.now,
                    );
                }
                Action::Ready => self.ready = true,
                Action::Finished(outcomes) => self.outcomes = Some(outcomes),
                Action::StartTls | Action::Failed(_) | Action::Close => {}
            }
        }
    }

    fn tell_server(&mut self, event: session::Event<'_>) {
        self.server.handle(event, self.now);
        while let Some(action) = self.server.next_action() {
            match action {
                session::Action::Send(bytes) => self.to_client.extend(bytes),
                session::Action::Ask(question) => {
                    let verdict = self.decide(&question);
                    self.server
                        .handle(session::Event::Verdict(verdict), self.now);
                }
                session::Action::Body(bytes) => self.arriving.extend(bytes),
                session::Action::Abort => self.arriving.clear(),
                session::Action::Close
                | session::Action::StartTls
                | session::Action::Refused { .. } => {}
            }
        }
    }

    fn decide(&mut self, question: &Question) -> Verdict {
        match question {
            Question::Recipient(_) => {
                let said = self.recipients[self.asked];
                self.asked += 1;
                said.verdict()
            }
            Question::Message { .. } => {
                if self.message == Say::Yes {
                    self.kept.push(std::mem::take(&mut self.arriving));
                }
                self.message.verdict()
            }
            _ => Verdict::Accept,
        }
    }

    /// Moves bytes, `size` at a time, until nothing moves or `budget` bytes have moved; then the
    /// line breaks.
    fn run(&mut self, size: usize, mut budget: usize) -> Vec<Outcome> {
        self.tell_server(session::Event::Connected);
        self.tell_client(Event::Connected);
        let mut begun = false;
        while self.outcomes.is_none() && budget > 0 {
            if self.ready && !begun {
                begun = true;
                self.ready = false;
                let names: Vec<_> = (0..self.recipients.len())
                    .map(|n| format!("r{n}@x.example"))
                    .collect();
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                self.tell_client(Event::Begin(mail(&names)));
            }
            let count = size.min(budget).min(self.to_server.len());
            let upward: Vec<u8> = self.to_server.drain(..count).collect();
            budget -= count;
            self.tell_server(session::Event::Received(&upward));
            let count = size.min(budget).min(self.to_client.len());
            let downward: Vec<u8> = self.to_client.drain(..count).collect();
            budget -= count;
            self.tell_client(Event::Received(&downward));
            assert!(
                !(upward.is_empty() && downward.is_empty())
                    || self.outcomes.is_some()
                    || self.ready && !begun,
                "both wait for the other"
            );
        }
        self.tell_server(session::Event::Closed);
        if !begun {
            return vec![];
        }
        self.tell_client(Event::Lost(Failure::new(
            Blame::Network,
            Stage::Connect,
            EnhancedStatus::new(4, 4, 2),
            "lost connection",
        )));
        self.outcomes.take().unwrap()
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    "(\\.{0,3}[a-z.]{0,5}\r\n){1,12}".prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn what_our_client_sends_our_server_keeps_byte_for_byte_and_both_agree_on_every_recipient(
        known: bool, content in content(), recipients in proptest::collection::vec(say(), 1..5), message in say(), size in 1usize..60,
    ) {
        let mut pair = Pair::new(known, &content, &recipients, message);
        let outcomes = pair.run(size, usize::MAX);
        let expected: Vec<_> = recipients.iter().map(|said| if *said == Say::Yes { message } else { *said }).collect();
        prop_assert_eq!(outcomes.iter().map(Say::of).collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(pair.kept, if expected.contains(&Say::Yes) { vec![content] } else { vec![] });
        prop_assert!(pair.ready);
    }

    /// A copy too many may arrive; a message too few never.
    #[test]
    fn wherever_the_line_breaks_nothing_counts_as_delivered_that_the_server_has_not_kept(
        known: bool, content in content(), recipients in proptest::collection::vec(say(), 1..4), size in 1usize..60, budget in 0usize..600,
    ) {
        let mut pair = Pair::new(known, &content, &recipients, Say::Yes);
        let outcomes = pair.run(size, budget);
        let delivered = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Delivered(_)));
        prop_assert!(!delivered || pair.kept == [content], "{outcomes:?}");
        for (outcome, said) in outcomes.iter().zip(&recipients) {
            prop_assert!(Say::of(outcome) == *said || Say::of(outcome) == Say::Later, "a broken line is never a reason to give up");
        }
    }
}
