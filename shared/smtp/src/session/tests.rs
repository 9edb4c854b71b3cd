//! What dialogs (`tests/data/dialogs`) cannot show: packets, clocks, memory, and bytes that nobody
//! would write.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::reply::Reply;
use mail::limits;

mod chunks;

const WAIT: Duration = Duration::from_mins(5);

fn session(now: Instant) -> Session {
    let settings = Settings {
        hostname: "mail.example.org".into(),
        starttls: true,
        max_size: 5_000_000,
        max_recipients: 5,
        command_timeout: WAIT,
        ..Settings::default()
    };
    Session::new(settings, now)
}

/// What a session did, told in one way however the bytes were cut.
#[derive(Default, PartialEq, Debug)]
struct Story {
    said: Vec<u8>,
    sends: usize,
    asked: Vec<Question>,
    /// Of the messages kept, and of the one that is coming.
    body: Vec<u8>,
    /// How much of it is of messages kept.
    whole: usize,
    begun: usize,
    kept: usize,
    aborted: usize,
    tls: bool,
    refused: usize,
    closed: usize,
}

impl Story {
    /// Drains the machine; the nth question is answered as the nth of `verdicts` says, the rest is
    /// accepted.
    fn drain(&mut self, session: &mut Session, verdicts: &[Verdict], now: Instant) {
        while let Some(action) = session.next_action() {
            assert_eq!(self.closed, 0, "{action:?} after Close");
            match action {
                Action::Send(bytes) => {
                    self.sends += 1;
                    self.said.extend(bytes);
                }
                Action::StartTls => self.tls = true,
                Action::Ask(question) => {
                    let verdict = verdicts
                        .get(self.asked.len())
                        .cloned()
                        .unwrap_or(Verdict::Accept);
                    if verdict == Verdict::Accept {
                        self.begun += usize::from(matches!(question, Question::Mail(_)));
                        if matches!(question, Question::Message { .. }) {
                            self.kept += 1;
                            self.whole = self.body.len();
                        }
                    }
                    self.asked.push(question);
                    assert!(session.deadline().is_some(), "no answer is owed for ever");
                    session.handle(Event::Verdict(verdict), now);
                }
                Action::Body(piece) => {
                    assert!((1..=limits::PIECE).contains(&piece.len()));
                    self.body.extend(piece);
                }
                Action::Abort => {
                    self.aborted += 1;
                    self.body.truncate(self.whole);
                }
                Action::Refused { reply, .. } => {
                    assert!(reply.starts_with(['4', '5']), "{reply}");
                    self.refused += 1;
                }
                Action::Close => self.closed += 1,
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }
}

/// A greeted session and what it said so far.
fn greeted(verdicts: &[Verdict]) -> (Session, Story, Instant) {
    let now = Instant::now();
    let (mut session, mut story) = (session(now), Story::default());
    session.handle(Event::Connected, now);
    story.drain(&mut session, verdicts, now);
    (session, story, now)
}

/// Feeds `input` cut at each of `cuts`, until STARTTLS, then closes.
fn hold(input: &[u8], cuts: &[usize], verdicts: &[Verdict]) -> Story {
    let (mut session, mut story, now) = greeted(verdicts);
    let mut start = 0;
    for end in cuts
        .iter()
        .copied()
        .filter(|&cut| cut < input.len())
        .chain([input.len()])
    {
        session.handle(Event::Received(&input[start..end]), now);
        story.drain(&mut session, verdicts, now);
        start = end;
    }
    session.handle(Event::Closed, now);
    story.drain(&mut session, verdicts, now);
    story.sends = 0;
    story
}

const OPENING: &[u8] =
    b"EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";

#[test]
fn the_replies_to_a_pipelined_transaction_go_out_in_one_write() {
    let (mut session, mut story, now) = greeted(&[]);
    let before = story.sends;
    session.handle(Event::Received(&[OPENING, b"DATA\r\n"].concat()), now);
    story.drain(&mut session, &[], now);
    assert_eq!(story.sends, before + 1);
    assert!(
        story
            .text()
            .ends_with("250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"),
        "{}",
        story.text()
    );
}

#[test]
fn a_client_that_talks_before_the_greeting_is_told_so_and_closed() {
    let now = Instant::now();
    let (mut session, mut story) = (session(now), Story::default());
    session.handle(Event::Received(b"EHLO early.example\r\n"), now);
    session.handle(Event::Connected, now);
    story.drain(&mut session, &[], now);
    assert!(story.text().starts_with("521 5.5.1 "), "{}", story.text());
    assert_eq!((story.closed, story.asked.len()), (1, 1));
}

#[test]
fn a_client_that_leaves_while_its_message_is_stored_has_no_say_in_what_becomes_of_it() {
    for (verdict, aborted) in [
        (Verdict::Accept, 0),
        (Verdict::Refuse(Reply::literal("452 4.3.1 Full")), 1),
    ] {
        let (mut session, mut story, now) = greeted(&[]);
        session.handle(Event::Received(&[OPENING, b"DATA\r\n"].concat()), now);
        story.drain(&mut session, &[], now);
        session.handle(Event::Received(b"text\r\n.\r\n"), now);
        let asked = std::iter::from_fn(|| session.next_action()).last();
        assert_eq!(asked, Some(Action::Ask(Question::Message { size: 6 })));
        session.handle(Event::Closed, now);
        assert_eq!(session.next_action(), None, "nothing is decided yet");
        session.handle(Event::Verdict(verdict), now);
        let rest: Vec<Action> = std::iter::from_fn(|| session.next_action())
            .filter(|action| !matches!(action, Action::Refused { .. }))
            .collect();
        let expected = if aborted == 1 {
            vec![Action::Abort, Action::Close]
        } else {
            vec![Action::Close]
        };
        assert_eq!(rest, expected);
    }
}

#[test]
fn bytes_that_come_while_a_verdict_is_awaited_are_kept_but_not_without_bound() {
    let (mut session, _, now) = greeted(&[]);
    session.handle(Event::Received(b"EHLO client.example\r\nNOOP\r\n"), now);
    assert!(matches!(
        session.next_action(),
        Some(Action::Ask(Question::Helo { .. }))
    ));
    assert_eq!(session.deadline(), Some(now + WAIT));
    session.handle(Event::Received(b"NOOP\r\n"), now);
    session.handle(Event::Verdict(Verdict::Accept), now);
    let Some(Action::Send(replies)) = session.next_action() else {
        panic!("no replies")
    };
    assert!(replies.ends_with(b"250 CHUNKING\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n"));

    session.handle(Event::Received(b"MAIL FROM:<>\r\n"), now);
    assert!(matches!(session.next_action(), Some(Action::Ask(_))));
    let packet = vec![b'x'; limits::PIECE];
    let packets = (0..1000).take_while(|_| {
        session.handle(Event::Received(&packet), now);
        session.next_action().is_none()
    });
    assert!(
        packets.count() < 20,
        "a driver that reads although it should not is cut off"
    );
}

#[test]
fn a_verdict_that_does_not_come_ends_the_session_and_comes_too_late() {
    let (mut session, mut story, now) = greeted(&[]);
    session.handle(Event::Received(OPENING), now);
    story.drain(&mut session, &[], now);
    session.handle(Event::Received(b"RCPT TO:<c@example.net>\r\n"), now);
    assert!(matches!(session.next_action(), Some(Action::Ask(_))));
    session.handle(Event::Received(b"NOOP\r\n"), now + WAIT / 2);
    assert_eq!(session.deadline(), Some(now + WAIT), "bytes do not move it");
    session.handle(Event::TimedOut, now + WAIT);
    session.handle(Event::Verdict(Verdict::Accept), now + WAIT);
    let rest: Vec<Action> = std::iter::from_fn(|| session.next_action()).collect();
    assert!(
        matches!(&rest[..], [Action::Abort, Action::Send(said), Action::Close] if said.starts_with(b"421 ")),
        "{rest:?}"
    );
}

/// Postfix 2026-08-05: chunks of one byte filled the memory.
#[test]
fn very_many_chunks_of_one_byte_cost_no_memory() {
    let (mut session, mut story, now) = greeted(&[]);
    session.handle(Event::Received(OPENING), now);
    story.drain(&mut session, &[], now);
    let packet = b"BDAT 1\r\nx".repeat(1000);
    for _ in 0..100 {
        let (sends, body) = (story.sends, story.body.len());
        session.handle(Event::Received(&packet), now);
        story.drain(&mut session, &[], now);
        assert_eq!(
            (story.sends, story.body.len()),
            (sends + 1, body + 1000),
            "answered and handed over at once"
        );
        assert!(
            format!("{session:?}").len() < 2000,
            "nothing is left behind"
        );
        assert_eq!(session.next_action(), None);
    }
    session.handle(Event::Received(b"BDAT 0 LAST\r\n"), now);
    story.drain(&mut session, &[], now);
    assert_eq!(
        story.asked.last(),
        Some(&Question::Message { size: 100_002 }),
        "with the line end that was missing"
    );
}

#[test]
fn a_message_that_only_trickles_in_runs_into_the_timeout_and_one_that_flows_does_not() {
    for (bytes_a_minute, timed_out) in [(600_usize, true), (60_000, false)] {
        let (mut session, mut story, mut now) = greeted(&[]);
        session.handle(Event::Received(&[OPENING, b"DATA\r\n"].concat()), now);
        story.drain(&mut session, &[], now);
        assert_eq!(session.deadline(), Some(now + WAIT));
        let late = (0..30).any(|_| {
            now += Duration::from_mins(1);
            if session.deadline().is_some_and(|deadline| deadline <= now) {
                return true;
            }
            session.handle(Event::Received(&vec![b'x'; bytes_a_minute]), now);
            story.drain(&mut session, &[], now);
            false
        });
        assert_eq!(late, timed_out, "{bytes_a_minute} bytes a minute");
    }
}

#[test]
fn a_command_sent_letter_by_letter_does_not_move_the_deadline() {
    let (mut session, mut story, start) = greeted(&[]);
    for (letter, second) in b"HELO client.example".chunks(1).zip(1..) {
        session.handle(Event::Received(letter), start + Duration::from_secs(second));
    }
    story.drain(&mut session, &[], start);
    assert_eq!(session.deadline(), Some(start + WAIT));
}

/// Pieces of sessions, sensible and not.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "EHLO c.example\r\n",
        "HELO c.example\r\n",
        "MAIL FROM:<a@example.org>\r\n",
        "MAIL FROM:<a@example.org>\r\n",
        "RCPT TO:<b@example.net>\r\n",
        "RCPT TO:<b@example.net>\r\n",
        "DATA\r\n",
        "DATA\r\n",
        "text\r\n.",
        "\r\n.\r\n",
        "\r\n",
        "BDAT 3\r\nabc",
        "BDAT 4 LAST\r\na\r\n.",
        "BDAT x\r\n",
        "RSET\r\n",
        "VRFY é\r\n",
        "QUIT\r\n",
        "STARTTLS\r\n",
        "\n",
        "\r",
    ]);
    let piece = prop_oneof![
        12 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| [OPENING, &pieces.concat()].concat())
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    let verdict = prop_oneof![
        8 => Just(Verdict::Accept),
        1 => Just(Verdict::Refuse(Reply::literal("550 5.7.1 No"))),
        1 => Just(Verdict::Refuse(Reply::literal("450 4.7.1 Later"))),
        1 => Just(Verdict::Close(Reply::literal("421 4.7.0 Bye"))),
    ];
    proptest::collection::vec(verdict, 0..12)
}

proptest! {
    #[test]
    fn any_bytes_in_any_packets_give_the_same_session(
        input in fragments(),
        cuts in proptest::collection::btree_set(0_usize..400, 0..40),
        verdicts in verdicts(),
    ) {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let whole = hold(&input, &[], &verdicts);
        let each: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(&hold(&input, &cuts, &verdicts), &whole);
        prop_assert_eq!(&hold(&input, &each, &verdicts), &whole);
        prop_assert_eq!(whole.begun, whole.kept + whole.aborted, "each transaction ends exactly once");
        prop_assert_eq!(whole.closed, 1);
        prop_assert!(whole.text().ends_with("\r\n"));
    }
}

/// All that a session said and did when these bytes came in one packet.
fn told(input: &[u8], strict: bool) -> Story {
    let now = Instant::now();
    let mut session = session(now);
    session.settings.forbid_unauth_pipelining = strict;
    let mut story = Story::default();
    session.handle(Event::Connected, now);
    story.drain(&mut session, &[], now);
    for packet in input.split(|&byte| byte == b'|') {
        session.handle(Event::Received(packet), now);
        story.drain(&mut session, &[], now);
    }
    story
}

#[test]
fn commands_sent_ahead_where_rfc_2920_forbids_it_end_the_session_unless_they_are_allowed() {
    let transaction = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";
    for (ahead, ends) in [
        ("EHLO c.example\r\nMAIL FROM:<>\r\n".to_owned(), true),
        ("EHLO c.example\r\n ".to_owned(), true),
        ("ehlo c.example\r\nNOOP\r\n".to_owned(), true),
        ("HELO c.example\r\nNOOP\r\n".to_owned(), true),
        (format!("HELO c.example\r\n|{transaction}"), true),
        (
            format!("EHLO c.example\r\n|{transaction}DATA\r\nSubject: x\r\n"),
            true,
        ),
        (
            format!("EHLO c.example\r\n|{transaction}DATA\r\n.\r\n"),
            true,
        ),
        (
            format!("EHLO c.example\r\n|{transaction}DATA\r\n|x\r\n.\r\n{transaction}QUIT\r\n"),
            false,
        ),
        (
            format!("EHLO c.example\r\n|{transaction}BDAT 3 LAST\r\na\r\nNOOP\r\nRSET\r\n"),
            false,
        ),
        ("HELO c.example\r\n|QUIT\r\n\r\n".to_owned(), false),
        ("NOOP\r\nEHLO c.example\r\n".to_owned(), false),
    ] {
        let strict = told(ahead.as_bytes(), true);
        let refusal = strict
            .text()
            .contains("554 5.5.0 Error: SMTP protocol synchronization");
        assert_eq!(refusal, ends, "{ahead}: {}", strict.text());
        assert!(!ends || (strict.closed == 1 && strict.kept == 0));
        assert!(
            !told(ahead.as_bytes(), false)
                .text()
                .contains("synchronization")
        );
    }
}

#[test]
fn a_message_with_a_nul_is_refused_wherever_the_nul_stands_and_the_session_goes_on() {
    let opening = "EHLO c.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";
    for message in [
        "DATA\r\n\0\r\n.\r\n",
        "DATA\r\nSubject: \0\r\n\r\n.\r\n",
        "DATA\r\nx\r\n\0.\r\nx\r\n.\r\n",
        "BDAT 3 LAST\r\n\0\r\n",
        "BDAT 3\r\n\0\r\nBDAT 0 LAST\r\n",
        "BDAT 3\r\na\r\nBDAT 1 LAST\r\n\0",
    ] {
        let story = told(format!("{opening}{message}NOOP\r\n").as_bytes(), false);
        let text = story.text();
        assert!(text.contains("554 5.6.0 Error: NUL"), "{message:?}: {text}");
        assert!(story.kept == 0 && story.aborted == 1 && text.ends_with("250 2.0.0 Ok\r\n"));
    }
}

#[test]
fn every_refusal_is_told_to_the_log_with_its_stage() {
    let now = Instant::now();
    let mut session = session(now);
    session.handle(Event::Connected, now);
    let input = b"EHLO c.example\r\nMAIL FROM:<a b>\r\nMAIL FROM:<a@example.org> SIZE=9999999999\r\nWHAT\r\n\
        MAIL FROM:<a@example.org> X=Y\r\nRCPT TO:<b@example.net>\r\nNO\nOP\r\n";
    let mut told = Vec::new();
    let mut step = |session: &mut Session| {
        while let Some(action) = session.next_action() {
            match action {
                Action::Ask(_) => session.handle(Event::Verdict(Verdict::Accept), now),
                Action::Refused { stage, reply, .. } => {
                    told.push(format!("{stage} {}", &reply[..3]));
                }
                _ => {}
            }
        }
    };
    step(&mut session);
    session.handle(Event::Received(input), now);
    step(&mut session);
    assert_eq!(
        told,
        [
            "MAIL 501",
            "MAIL 552",
            "UNKNOWN 500",
            "MAIL 555",
            "RCPT 503",
            "RCPT 521"
        ]
    );
}
