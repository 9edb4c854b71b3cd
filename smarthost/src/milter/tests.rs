//! One filter and one session, packet by packet.

use std::time::{Duration, Instant};

use mail::message::Header;
use proptest::prelude::*;

use super::{Action, Dialog, Edit, EditedHeader, Event, Macros, Milter, Outcome, Stage, packet};

fn milter(on_failure: &str) -> Milter {
    toml_like(&format!(
        "{{ address = \"inet:127.0.0.1:1\", on_failure = \"{on_failure}\" }}"
    ))
}

/// As the configuration reads one.
fn toml_like(value: &str) -> Milter {
    let config = format!("milters = [{value}]");
    let path = std::path::Path::new("/etc/smarthost/config.toml");
    let config = crate::config::Config::parse(path, &config, "localhost").unwrap();
    config.milters.into_iter().next().unwrap()
}

fn said(letter: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet::write(&mut bytes, letter, payload);
    bytes
}

fn agreed(steps: u32) -> Vec<u8> {
    said(b'O', [6, 0x1ff, steps].map(u32::to_be_bytes).as_flattened())
}

fn drain(dialog: &mut Dialog) -> Vec<Action> {
    std::iter::from_fn(|| dialog.next_action()).collect()
}

fn outcome(dialog: &mut Dialog) -> Option<Outcome> {
    drain(dialog).into_iter().find_map(|action| match action {
        Action::Done(outcome) => Some(outcome),
        _ => None,
    })
}

fn failed(dialog: &mut Dialog) -> String {
    let actions = drain(dialog).into_iter();
    let mut faults = actions.filter_map(|action| match action {
        Action::Failed(why) => Some(why),
        _ => None,
    });
    faults.next().unwrap()
}

fn open(dialog: &mut Dialog, now: Instant) {
    dialog.handle(Event::Opened, now);
    dialog.handle(Event::Received(&agreed(0)), now);
    assert_eq!(outcome(dialog), Some(Outcome::Pass));
}

fn tell(dialog: &mut Dialog, stage: Stage<'_>, answer: &[u8], now: Instant) -> Option<Outcome> {
    dialog.handle(Event::Tell(stage, &Macros::default()), now);
    dialog.handle(Event::Received(answer), now);
    outcome(dialog)
}

#[test]
fn each_packet_moves_the_deadline_and_none_moves_it_for_ever() {
    let now = Instant::now();
    let mut dialog = Dialog::new(&milter("tempfail"), now);
    open(&mut dialog, now);
    assert_eq!(dialog.deadline(), None);
    dialog.handle(Event::Tell(Stage::EndOfMessage, &Macros::default()), now);
    assert_eq!(dialog.deadline(), Some(now + Duration::from_mins(5)));
    for minute in [1, 3, 6, 8] {
        let later = now + Duration::from_mins(minute);
        dialog.handle(Event::Received(&said(b'p', b"")), later);
        let end = (later + Duration::from_mins(5)).min(now + Duration::from_mins(9));
        assert_eq!(dialog.deadline(), Some(end));
    }
    dialog.handle(Event::TimedOut, now + Duration::from_mins(9));
    let actions = drain(&mut dialog);
    assert!(matches!(
        &*actions,
        [
            Action::Send(_),
            Action::Failed(_),
            Action::Done(Outcome::Refuse(_))
        ]
    ));
    // All pieces of a message have this time together.
    dialog.reset();
    open(&mut dialog, now);
    tell(&mut dialog, Stage::EndOfHeader, &said(b'c', b""), now);
    let later = now + Duration::from_mins(7);
    dialog.handle(Event::Tell(Stage::Body(b"x"), &Macros::default()), later);
    assert_eq!(dialog.deadline(), Some(now + Duration::from_mins(9)));
    dialog.handle(Event::TimedOut, now + Duration::from_mins(9));
    assert!(failed(&mut dialog).contains("9 minutes, which is all that the filters"));
    // So have all filters: the client waits for all of them.
    dialog.reset();
    open(&mut dialog, later);
    dialog.ended(now);
    dialog.handle(Event::Tell(Stage::EndOfMessage, &Macros::default()), later);
    assert_eq!(dialog.deadline(), Some(now + Duration::from_mins(9)));
    let quick = toml_like("{ address = \"inet:127.0.0.1:1\", timeout = \"3s\" }");
    let mut dialog = Dialog::new(&quick, now);
    open(&mut dialog, now);
    dialog.handle(Event::Tell(Stage::Data, &Macros::default()), now);
    assert_eq!(dialog.deadline(), Some(now + Duration::from_secs(3)));
    dialog.handle(Event::TimedOut, now + Duration::from_secs(3));
    assert_eq!(failed(&mut dialog), "no answer in 3 seconds");
}

#[test]
fn a_filter_that_talks_without_end_fails_while_a_body_in_pieces_is_heard() {
    let now = Instant::now();
    let hold = |reason: &[u8]| said(b'q', reason);
    for word in [
        said(b'p', b""),
        said(b'b', b""),
        hold(b"x\0"),
        said(b'h', b"X\0y\0"),
    ] {
        let mut dialog = Dialog::new(&milter("tempfail"), now);
        open(&mut dialog, now);
        dialog.handle(Event::Tell(Stage::EndOfMessage, &Macros::default()), now);
        dialog.handle(Event::Received(&word.repeat(20_000)), now);
        assert_eq!(outcome(&mut dialog), None);
        dialog.handle(Event::Received(&word), now);
        assert!(failed(&mut dialog).contains("more than 20000 things"));
    }
    let mut dialog = Dialog::new(&milter("tempfail"), now);
    open(&mut dialog, now);
    dialog.handle(Event::Tell(Stage::EndOfMessage, &Macros::default()), now);
    dialog.handle(Event::Received(&said(b'b', b"x\r\n").repeat(30_000)), now);
    dialog.handle(Event::Received(&said(b'c', b"")), now);
    assert_eq!(outcome(&mut dialog), Some(Outcome::Pass));
}

#[test]
fn a_failure_counts_until_the_message_is_over_and_then_the_filter_is_tried_again() {
    let now = Instant::now();
    let mut dialog = Dialog::new(&milter("tempfail"), now);
    dialog.handle(Event::Lost("refused".to_owned()), now);
    assert_eq!(
        outcome(&mut dialog),
        Some(Outcome::Pass),
        "a session goes on"
    );
    assert!(!dialog.is_closed());
    dialog.renew();
    assert_eq!(
        tell(&mut dialog, Stage::Helo("x"), b"", now),
        Some(Outcome::Pass)
    );
    let mail = ["<a@b.example>".to_owned()];
    let refused = tell(&mut dialog, Stage::Mail(&mail), b"", now);
    assert!(
        matches!(refused, Some(Outcome::Refuse(_))),
        "its first message hears of it"
    );
    dialog.renew();
    assert!(dialog.is_closed(), "the next one has it tried again");
    open(&mut dialog, now);
    assert_eq!(
        tell(&mut dialog, Stage::Mail(&mail), &said(b'c', b""), now),
        Some(Outcome::Pass)
    );
    dialog.handle(Event::Lost("gone".to_owned()), now);
    assert!(
        matches!(&*drain(&mut dialog), [Action::Failed(_)]),
        "nothing was asked"
    );
    let refused = tell(&mut dialog, Stage::EndOfMessage, b"", now);
    assert!(
        matches!(refused, Some(Outcome::Refuse(_))),
        "no message passes unseen"
    );
    dialog.handle(Event::MessageOver, now);
    dialog.renew();
    assert!(dialog.is_closed());
}

#[test]
fn an_answer_that_nobody_asked_for_is_never_taken_for_that_of_the_next_question() {
    let now = Instant::now();
    let mut dialog = Dialog::new(&milter("tempfail"), now);
    open(&mut dialog, now);
    let two = [said(b'c', b""), said(b'a', b"")].concat();
    let refused = tell(&mut dialog, Stage::Data, &two, now);
    assert!(
        matches!(refused, Some(Outcome::Refuse(_))),
        "which is the answer nobody knows"
    );
    dialog.reset();
    open(&mut dialog, now);
    dialog.handle(Event::Received(&said(b'a', b"")), now);
    assert!(matches!(&*drain(&mut dialog), [Action::Failed(_)]));
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop::sample::select(b"acdrtsp4yqhimeb+-2fOz".to_vec());
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[45][0-9]{2}[- ][45]?(\\.[0-9]\\.[0-9])? ?[ -~]{0,20}(\r\n[45][0-9]{2} x)?"
            .prop_map(String::into_bytes),
        "\0\0\0[\0-\u{3}][A-Za-z-]{1,9}\0[ -~\r\n\t]{0,30}\0".prop_map(String::into_bytes),
        "<?[a-z]{1,5}@[a-z]{1,5}\\.example>?\0(NOTIFY=NEVER\0)?".prop_map(String::into_bytes),
    ];
    let packets = prop::collection::vec((letter, payload), 0..6).prop_map(|packets| {
        packets
            .into_iter()
            .flat_map(|(letter, payload)| said(letter, &payload))
            .collect()
    });
    prop_oneof![4 => packets, 1 => prop::collection::vec(any::<u8>(), 0..60)]
}

/// What comes of these bytes in answer to the end of a message.
fn story(bytes: &[u8], size: usize) -> Vec<Action> {
    let now = Instant::now();
    let mut dialog = Dialog::new(&milter("quarantine"), now);
    open(&mut dialog, now);
    dialog.handle(Event::Tell(Stage::EndOfMessage, &Macros::default()), now);
    let mut actions = drain(&mut dialog);
    for piece in bytes.chunks(size) {
        dialog.handle(Event::Received(piece), now);
        actions.extend(drain(&mut dialog));
        if actions
            .iter()
            .any(|action| matches!(action, Action::Done(_)))
        {
            return actions;
        }
    }
    dialog.handle(Event::Lost("end".to_owned()), now);
    actions.extend(drain(&mut dialog));
    actions
}

proptest! {
    #[test]
    fn any_bytes_end_in_one_outcome_and_no_edit_of_them_breaks_a_message(bytes in any_bytes(), size in 1usize..9) {
        let whole = story(&bytes, usize::MAX);
        let done = |actions: &[Action]| actions.iter().filter(|it| matches!(it, Action::Done(_))).count();
        prop_assert_eq!(done(&whole), 1);
        let pieces = story(&bytes, size);
        prop_assert_eq!(done(&pieces), 1);
        let before = b"Received: us\r\nReceived: them\r\nFrom: a\r\nnonsense\r\nTo: b\r\n";
        let mut header = EditedHeader::new(Header::parse(before), 0);
        for action in whole {
            match action {
                Action::Edit(edit) => {
                    header.edit(&edit, false);
                    let bytes = header.clone().into_header().to_bytes();
                    prop_assert_eq!(&Header::parse(&bytes), &header.clone().into_header());
                    prop_assert!(bytes.windows(12).any(|part| part == b"Received: us"));
                    prop_assert!(!bytes.contains(&0) && !bytes.windows(4).any(|part| part == b"\r\n\r\n"));
                    if let Edit::AddRecipient(rcpt) = edit {
                        prop_assert!(!rcpt.to.to_string().contains(char::is_control));
                    }
                }
                Action::Done(Outcome::Refuse(reply) | Outcome::Close(reply)) => {
                    prop_assert!((400..600).contains(&reply.code.value()));
                    let mut wire = Vec::new();
                    reply.encode(&mut wire);
                    let lines = String::from_utf8_lossy(&wire).matches("\r\n").count();
                    prop_assert_eq!(lines, reply.lines.len());
                }
                _ => {}
            }
        }
    }

    #[test]
    fn any_offer_is_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), version in 0u32..9) {
        let now = Instant::now();
        for payload in [bytes.clone(), [&version.to_be_bytes()[..], &[0, 0, 0, 1], &bytes].concat()] {
            let mut dialog = Dialog::new(&milter("accept"), now);
            dialog.handle(Event::Opened, now);
            dialog.handle(Event::Received(&said(b'O', &payload)), now);
            prop_assert!(outcome(&mut dialog).is_some());
        }
    }
}
