//! Each format with files that the real program wrote (Postfix 3.7.11, nullmailer 2.2, dma 0.13,
//! Exim 4.96), and with anything at all.

use proptest::prelude::*;

use super::*;

const DEFERRED: &[u8] = include_bytes!("../testdata/queue/postfix-deferred");
const NULL_SENDER: &[u8] = include_bytes!("../testdata/queue/postfix-null-sender");
const MAILDROP: &[u8] = include_bytes!("../testdata/queue/postfix-maildrop");
const NULLMAILER: &[u8] = include_bytes!("../testdata/queue/nullmailer-queued");
const DMA_Q: &[u8] = include_bytes!("../testdata/queue/dma-Q");
const DMA_M: &[u8] = include_bytes!("../testdata/queue/dma-M");
const EXIM_H: &[u8] = include_bytes!("../testdata/queue/exim-deferred-H");
const EXIM_D: &[u8] = include_bytes!("../testdata/queue/exim-deferred-D");
const BCC_H: &[u8] = include_bytes!("../testdata/queue/exim-bcc-H");
const BCC_D: &[u8] = include_bytes!("../testdata/queue/exim-bcc-D");

/// What was piped into Postfix and Exim, from the body on.
const BODY: &[u8] = b"\n.a dot\n.\nlatin \xe9\n";

fn address(text: &str) -> Mailbox {
    Mailbox::Address(Address::parse(text).unwrap())
}

fn targets(queued: &Queued) -> Vec<Mailbox> {
    let recipients = queued.recipients.iter();
    recipients.map(|recipient| recipient.to.clone()).collect()
}

fn contains(queued: &Queued, part: &[u8]) -> bool {
    queued
        .content
        .windows(part.len())
        .any(|bytes| bytes == part)
}

/// The record of this kind with this data.
fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    let mut length = data.len();
    while length > 127 {
        out.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(data);
    out
}

#[test]
fn postfix_gives_those_who_still_wait_their_wishes_and_lines_as_long_as_they_were() {
    let queued = postfix::read(DEFERRED).unwrap();
    assert_eq!(queued.sender, Some(address("web@example.org")));
    assert_eq!(
        targets(&queued),
        [
            address("later@example.net"),
            address("\"two words\"@example.net")
        ],
        "done@example.net has it"
    );
    let first = queued.recipients.first().unwrap();
    let wishes = (
        first.notify.explicit,
        first.notify.success,
        first.notify.delay,
    );
    assert_eq!(wishes, (true, true, false));
    assert_eq!(first.orcpt.as_deref(), Some("rfc822;later@example.net"));
    assert_eq!(
        (queued.ret, queued.envid.as_deref()),
        (Some(Ret::Headers), Some("env+1"))
    );
    let header = "From: Café <web@example.org>\nTo: done@example.net, later@example.net\nSubject: several recipients\nX-Long: hhh";
    assert!(contains(&queued, header.as_bytes()) && contains(&queued, BODY));
    let long = ["\n", &"0123456789".repeat(450), "\nlast line without end\n"].concat();
    assert!(queued.content.ends_with(long.as_bytes()));
}

#[test]
fn postfix_gives_the_null_sender_and_what_no_daemon_has_seen_yet() {
    let bounce = postfix::read(NULL_SENDER).unwrap();
    assert_eq!(bounce.sender, None);
    assert_eq!(targets(&bounce), [address("later@example.net")]);
    let dropped = postfix::read(MAILDROP).unwrap();
    assert_eq!(
        dropped.sender,
        Some(Mailbox::Local(LocalPart::new("root").unwrap()))
    );
    assert_eq!(
        targets(&dropped),
        [Mailbox::Local(LocalPart::new("root").unwrap())]
    );
    assert!(
        dropped
            .content
            .starts_with(b"From: root (Cron Daemon)\nTo: root\n")
    );
}

#[test]
fn pointers_of_postfix_are_followed_once_and_never_round() {
    let pointer = |place: usize| record(b'p', format!("{place:15}").as_bytes());
    let head = [
        record(b'S', b"a@x.example"),
        record(b'R', b"b@x.example"),
        record(b'M', b""),
    ]
    .concat();
    let tail = [
        record(b'N', b""),
        record(b'N', b"text"),
        record(b'X', b""),
        record(b'E', b""),
    ]
    .concat();
    let edited = head.len() + 17 + tail.len();
    let back = head.len() + 17;
    let edit = [
        record(b'N', b"Subject: edited"),
        record(b'w', b"room"),
        pointer(back),
    ]
    .concat();
    let file = [head.clone(), pointer(edited), tail.clone(), edit].concat();
    assert_eq!(
        postfix::read(&file).unwrap().content,
        b"Subject: edited\n\ntext\n"
    );
    let unused = [head.clone(), pointer(0), tail.clone()].concat();
    assert_eq!(postfix::read(&unused).unwrap().content, b"\ntext\n");
    for place in [head.len(), 0, usize::MAX] {
        let place = if place == 0 { head.len() - 2 } else { place };
        let file = [
            head.clone(),
            record(b'N', b"x"),
            pointer(place),
            tail.clone(),
        ]
        .concat();
        let error = postfix::read(&file).unwrap_err();
        assert!(matches!(error, Left::Damaged(..)), "{error}");
    }
}

#[test]
fn nullmailer_and_dma_give_envelope_and_message() {
    let queued = nullmailer::read(NULLMAILER).unwrap();
    assert_eq!(queued.sender, Some(address("web@example.org")));
    assert_eq!(
        targets(&queued),
        [address("later@example.net"), address("later2@example.net")]
    );
    assert!(queued.content.starts_with(b"Received: (nullmailer pid "));
    assert!(queued.content.ends_with(b"\n\nbody \xe9\n.\n"));
    for null in [
        &b"\nb@x.example\n\nSubject: x\n"[..],
        b"#@[]\nb@x.example\n\n",
    ] {
        assert_eq!(nullmailer::read(null).unwrap().sender, None);
    }
    assert_eq!(
        nullmailer::read(b"a@x.example\n\ntext\n"),
        Err(Left::Served)
    );

    let queued = dma::read(DMA_Q, DMA_M).unwrap();
    assert_eq!(queued.sender, Some(address("web@example.org")));
    assert_eq!(targets(&queued), [address("later@example.net")]);
    assert_eq!(queued.content, DMA_M);
    let null = dma::read(b"ID: 1\nSender: \nRecipient: b@x.example\nX: y\n", b"").unwrap();
    assert_eq!(null.sender, None);
}

#[test]
fn exim_gives_those_who_still_wait_and_no_field_that_was_deleted() {
    let queued = exim::read(EXIM_H, EXIM_D, None, false).unwrap();
    assert_eq!(queued.sender, Some(address("web@example.org")));
    let words = address("\"two words\"@example.net");
    assert_eq!(
        targets(&queued),
        [address("later@example.net"), words.clone()]
    );
    assert!(queued.content.starts_with(
        b"Received: from root by vm1.example.org with local (Exim 4.96)\n\t(envelope-from"
    ));
    let header = "From: Café <web@example.org>\nTo: done@example.net, later@example.net\nSubject: several\n folded\nMessage-Id:";
    assert!(contains(&queued, header.as_bytes()));
    assert!(queued.content.ends_with(&[BODY, b"end\n"].concat()));
    let journal = exim::read(EXIM_H, EXIM_D, Some(b"Later@example.net\n"), false).unwrap();
    assert_eq!(targets(&journal), [words]);

    let bcc = exim::read(BCC_H, BCC_D, None, false).unwrap();
    assert_eq!(
        targets(&bcc),
        [address("later@example.net"), address("secret@example.net")]
    );
    assert!(!contains(&bcc, b"Bcc") && contains(&bcc, b"To: later@example.net\nSubject: t\n"));
    let other = exim::read(EXIM_H, BCC_D, None, false);
    assert!(
        matches!(other, Err(Left::Damaged(..))),
        "another message's body"
    );
}

/// The forms that the captured files do not have, as Exim's manual gives them.
#[test]
fn exim_may_freeze_note_and_ask_more() {
    let file = |options: &str, tree: &str, recipient: &str| {
        format!(
            "1x-H\nu 0 0\n<a@x.example>\n1 0\n{options}{tree}1\n{recipient}\n\n011  Subject: t\n"
        )
    };
    let read = |file: &str, held| exim::read(file.as_bytes(), b"1x-D\n", None, held);
    let frozen = file("-frozen 1\n", "XX\n", "b@x.example");
    assert_eq!(read(&frozen, false), Err(Left::Held));
    assert!(read(&frozen, true).is_ok());
    let tree = "YY c@x.example\nNN a@x.example\nNY d@x.example\nNN e@x.example\n";
    let asked = "\"b c\"@x.example rfc822;o@x.example 16,3  0,-1#3";
    let queued = read(&file("--aclm 0 7\na\n-b\nXX\n-local\n", tree, asked), false).unwrap();
    assert_eq!(targets(&queued), [address("\"b c\"@x.example")]);
    assert_eq!(queued.content, b"Subject: t\n\n");
    assert_eq!(
        read(&file("", tree, "D@x.example"), false),
        Err(Left::Served)
    );
}

#[test]
fn a_file_that_is_cut_anywhere_is_never_taken() {
    let whole = postfix::read(DEFERRED).unwrap();
    for end in 0..DEFERRED.len() {
        let cut = postfix::read(DEFERRED.get(..end).unwrap());
        assert!(cut.is_err(), "{end}: {whole:?}");
    }
    for end in 0..DMA_Q.len() {
        assert!(
            dma::read(DMA_Q.get(..end).unwrap(), DMA_M).is_err(),
            "{end}"
        );
    }
    let header = 30;
    for end in 0..EXIM_H.len() - header {
        let cut = exim::read(EXIM_H.get(..end).unwrap(), EXIM_D, None, false);
        assert!(cut.is_err() || EXIM_H.get(end - 1) == Some(&b'\n'), "{end}");
    }
}

fn all(file: &[u8], other: &[u8]) -> Vec<Result<Queued, Left>> {
    vec![
        postfix::read(file),
        nullmailer::read(file),
        dma::read(file, other),
        exim::read(file, other, Some(other), true),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_are_left_and_nothing_grows(
        file in proptest::collection::vec(any::<u8>(), 0..300),
        records in proptest::collection::vec((prop::sample::select(b"CTASRDONLMXEpw>i".to_vec()), "[a-z@ .0-9=]{0,20}"), 0..20),
        text in "(1x-H\n|<?[a-z]{0,3}@x.example>?\n|ID: 1\n|Sender: a@x.example\n|XX\n|[YN]{2} a\n|-[a-z]{0,5} [0-9]{0,3}\n|[0-9]{1,3}[ *] [a-z: ]{0,9}\n|\n){0,20}",
    ) {
        let records: Vec<u8> = records.iter().flat_map(|(kind, data)| record(*kind, data.as_bytes())).collect();
        for file in [&file, &records, text.as_bytes()] {
            for queued in all(file, b"1x-D\nbody").into_iter().flatten() {
                prop_assert!(!queued.recipients.is_empty());
                prop_assert!(queued.content.len() <= file.len().saturating_mul(2).saturating_add(16));
            }
        }
    }

    #[test]
    fn a_real_file_with_a_byte_changed_is_a_message_or_is_left(at in 0usize..7000, byte in any::<u8>()) {
        for real in [DEFERRED, MAILDROP, NULLMAILER, DMA_Q, EXIM_H] {
            let mut file = real.to_vec();
            let length = file.len();
            *file.get_mut(at % length).unwrap() = byte;
            let _ = all(&file, EXIM_D);
        }
    }
}
