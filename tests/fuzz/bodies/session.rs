//! A client's bytes against the server's machine. The first byte chooses the packets, the second
//! what the policy says.
use std::time::{Duration, Instant};

use mail::limits;
use smtp::{
    data::Checker,
    reply::Reply,
    session::{Action, Event, Question, Session, Settings, Verdict},
};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let [packet, policy, input @ ..] = input else {
        return;
    };
    let whole = hold(input, usize::MAX, *policy);
    assert_eq!(hold(input, usize::from(*packet).max(1), *policy), whole);
}

/// What the client and the policy saw.
#[derive(Default, PartialEq, Debug)]
struct Story {
    said: Vec<u8>,
    asked: Vec<Question>,
    begun: usize,
    ended: usize,
    tls: bool,
    /// The message that is coming.
    lines: Checker,
    bytes: u64,
}

fn hold(input: &[u8], packet: usize, policy: u8) -> Story {
    let now = Instant::now();
    let mut session = Session::new(settings(policy), now);
    let mut story = Story::default();
    session.handle(Event::Connected, now);
    drain(&mut session, &mut story, policy, now);
    for piece in input.chunks(packet) {
        session.handle(Event::Received(piece), now);
        drain(&mut session, &mut story, policy, now);
    }
    session.handle(Event::Closed, now);
    drain(&mut session, &mut story, policy, now);
    assert_eq!(story.begun, story.ended, "each transaction ends once");
    story
}

fn settings(policy: u8) -> Settings {
    Settings {
        hostname: "mail.example.org".into(),
        starttls: true,
        max_size: 1000,
        max_recipients: 3,
        local: policy & 1 != 0,
        command_timeout: Duration::from_mins(5),
        ..Settings::default()
    }
}

fn drain(session: &mut Session, story: &mut Story, policy: u8, now: Instant) {
    while let Some(action) = session.next_action() {
        match action {
            Action::Send(bytes) => {
                assert!(bytes.ends_with(b"\r\n"));
                story.said.extend(bytes);
            }
            Action::StartTls => story.tls = true,
            Action::Ask(question) => {
                let verdict = story.decide(question, policy);
                session.handle(Event::Verdict(verdict), now);
            }
            Action::Body(piece) => story.take(&piece),
            Action::Abort => story.end(),
            Action::Refused { .. } => {}
            Action::Close => assert_eq!(session.next_action(), None),
        }
    }
}

impl Story {
    fn decide(&mut self, question: Question, policy: u8) -> Verdict {
        let refused = policy & 2 != 0 && (self.asked.len() + usize::from(policy)) % 5 == 4;
        match &question {
            Question::Mail(_) if !refused => self.begun += 1,
            Question::Message { size } => {
                assert_eq!(
                    *size, self.bytes,
                    "the size is that of what was handed over"
                );
                assert_eq!(self.lines.finish(), Ok(false), "the last line is complete");
                if !refused {
                    self.end();
                }
            }
            _ => {}
        }
        self.asked.push(question);
        if refused {
            Verdict::Refuse(Reply::literal("450 4.7.1 Later"))
        } else {
            Verdict::Accept
        }
    }

    fn take(&mut self, piece: &[u8]) {
        assert!(self.begun > self.ended, "a piece belongs to a transaction");
        assert!(piece.len() <= limits::PIECE);
        self.lines
            .check(piece)
            .expect("no bare CR or LF is handed over");
        self.bytes += piece.len() as u64;
        assert!(self.bytes <= 1000, "at most max_size");
    }

    /// The transaction is over, with a message or without.
    fn end(&mut self) {
        self.ended += 1;
        self.lines = Checker::default();
        self.bytes = 0;
    }
}
