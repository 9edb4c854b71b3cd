//! What is told of a message.

use super::*;
use crate::trace::entry::Entry;

fn story(log: &[&str], row: Option<Row>) -> Story {
    let lines: Vec<_> = log
        .iter()
        .map(|line| Line {
            entry: Entry::parse(
                &format!("2026-11-22T07:51:52Z mx1 smarthost[1]: AA0001: {line}"),
                Timestamp::from_secs(1),
            ),
            tls: None,
        })
        .collect();
    Story::of("AA0001", &lines, row)
}

const LATE: &str =
    "to=<a@b.example>, relay=none, delay=1, dsn=4.4.1, status=deferred (nobody answers)";

#[test]
fn each_recipient_has_one_end() {
    let states = |log: &[&str]| {
        let recipients = story(log, None).recipients.into_iter();
        recipients
            .map(|ending| (ending.state, ending.attempts))
            .collect::<Vec<_>>()
    };
    let sent = "to=<a@b.example>, relay=mx[1.2.3.4]:25, delay=1, dsn=2.0.0, status=sent (250 ok)";
    let other =
        "to=<c@b.example>, relay=mx[1.2.3.4]:25, delay=1, dsn=5.1.1, status=bounced (550 no)";
    assert_eq!(states(&[LATE]), [("deferred", 1)]);
    assert_eq!(
        states(&[LATE, LATE, sent, other, "removed"]),
        [("delivered", 3), ("bounced", 1)]
    );
    assert_eq!(
        states(&[
            LATE,
            "from=<x@y>, status=expired, returned to sender",
            "removed"
        ]),
        [("expired", 1)]
    );
    assert_eq!(
        states(&[
            LATE,
            "deleted by order, undelivered recipients: 1",
            "removed"
        ]),
        [("deleted", 1)]
    );
    assert_eq!(states(&[LATE, "removed"]), [("gone", 1)]);
}

#[test]
fn text_of_others_commands_no_terminal_and_forges_no_line() {
    let text = story(&["client=\u{1b}[2J\u{85}x[1.2.3.4]", LATE], None).text();
    assert!(
        !text.contains(|c: char| c.is_control() && c != '\n'),
        "{text:?}"
    );
}

#[test]
fn a_reply_that_names_a_strangers_message_is_not_followed_blindly() {
    let lines = |id: &str, texts: &[&str]| {
        let line = |text: &&str| Line {
            entry: Entry::parse(&format!("x[1]: {id}: {text}"), Timestamp::from_secs(1)),
            tls: None,
        };
        (id.to_owned(), texts.iter().map(line).collect::<Vec<_>>())
    };
    let sent = "to=<a@b>, relay=n, delay=1, dsn=2.0.0, status=sent (250 queued as BB0001)";
    let related = |its: &str| {
        let found = Found {
            lines: [
                lines("AA0001", &["message-id=<1@x>", sent]),
                lines("BB0001", &[&format!("message-id={its}")]),
            ]
            .into(),
            ..Found::default()
        };
        let stories = Story::all(&found, HashMap::new());
        let mut stories = stories.into_iter();
        stories
            .find(|story| story.id == "AA0001")
            .unwrap()
            .related
            .remove(0)
            .what
    };
    assert_eq!(related("<1@x>"), "goes on as");
    assert_eq!(related("<2@x>"), "named by the reply, but another message");
}
