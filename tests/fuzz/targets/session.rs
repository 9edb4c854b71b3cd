//! A client's bytes against the server's machine. The first byte chooses the packets, the second what the policy says.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use shared::{
    limits,
    smtp::{
        data::Checker,
        reply::Reply,
        session::{Action, Event, Question, Session, Settings, Verdict},
    },
};

fuzz_target!(|input: &[u8]| {
    let [packet, policy, input @ ..] = input else { return };
    let whole = hold(input, usize::MAX, *policy);
    assert_eq!(hold(input, usize::from(*packet).max(1), *policy), whole);
});

#[derive(Default, PartialEq, Debug)]
struct Story {
    said: Vec<u8>,
    asked: Vec<Question>,
    begun: usize,
    ended: usize,
    tls: bool,
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
        banner: None,
        starttls: true,
        encrypted: false,
        max_size: 1000,
        max_recipients: 3,
        local: policy & 1 != 0,
        command_timeout: Duration::from_secs(300),
        max_errors: 20,
        max_junk: 100,
    }
}

fn drain(session: &mut Session, story: &mut Story, policy: u8, now: Instant) {
    let mut lines = Checker::default();
    while let Some(action) = session.next_action() {
        match action {
            Action::Send(bytes) => {
                assert!(bytes.ends_with(b"\r\n"));
                story.said.extend(bytes);
            }
            Action::StartTls => story.tls = true,
            Action::Ask(question) => {
                let refused = policy & 2 != 0 && (story.asked.len() + usize::from(policy)) % 5 == 4;
                let verdict = if refused { Verdict::Refuse(Reply::literal("450 4.7.1 Later")) } else { Verdict::Accept };
                if !refused {
                    story.begun += usize::from(matches!(question, Question::Mail(_)));
                    story.ended += usize::from(matches!(question, Question::Message { .. }));
                }
                story.asked.push(question);
                session.handle(Event::Verdict(verdict), now);
            }
            Action::Body(piece) => {
                assert!(piece.len() <= limits::PIECE);
                let _ = lines.check(&piece);
            }
            Action::Abort => story.ended += 1,
            Action::Close => assert_eq!(session.next_action(), None),
        }
    }
}
