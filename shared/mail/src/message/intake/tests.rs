use proptest::prelude::*;

use super::*;
use crate::message::Splitter;

fn intake(input: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut intake = Intake::default();
    for piece in input.chunks(size) {
        intake.feed(piece, &mut out);
    }
    intake.finish(&mut out);
    out
}

fn told_of(intake: &Intake) -> String {
    let found = intake.misplaced().iter().map(|it| it.field.as_str());
    found.collect::<Vec<_>>().join("|")
}

/// Every trap that loses mail in ssmtp, nullmailer, dma or Postfix.
#[test]
fn whatever_a_program_pipes_in_becomes_one_well_formed_message() {
    for (input, expected) in [
        // A lone dot is text.
        ("A: b\n\n.\nrest\n", "A: b\r\n\r\n.\r\nrest\r\n"),
        ("A: b\r\n\r\n.\r\nrest\r\n", "A: b\r\n\r\n.\r\nrest\r\n"),
        // CRLF, and PHP's CRLF header with LF body.
        (
            "A: b\r\nC: d\r\n\r\nx\ny\r\n",
            "A: b\r\nC: d\r\n\r\nx\r\ny\r\n",
        ),
        ("A: b\r\r\n\nx\r\r\ny", "A: b\r\n\r\nx\r\ny\r\n"),
        // NUL and bare CR.
        ("A: b\0c\n\nx\0y\nz\n", "A: bc\r\n\r\nxy\r\nz\r\n"),
        (
            "A: b\rC: c\n\n10%\r20%\rdone\n",
            "A: b C: c\r\n\r\n10%\r\n20%\r\ndone\r\n",
        ),
        // mbox lines.
        (
            "From root Sun Nov\n>From x\nA: b\n\nFrom x\n",
            "A: b\r\n\r\nFrom x\r\n",
        ),
        (
            "From here on\nall is text\n",
            "\r\nFrom here on\r\nall is text\r\n",
        ),
        ("From here\n\ntext\n", "\r\nFrom here\r\n\r\ntext\r\n"),
        // No header, no empty line, nothing.
        ("just text\nA: b\n", "\r\njust text\r\nA: b\r\n"),
        (" indented\n", "\r\n indented\r\n"),
        (
            "A: b\ntext at once\nC: d\n",
            "A: b\r\n\r\ntext at once\r\nC: d\r\n",
        ),
        ("A: b\n", "A: b\r\n\r\n"),
        ("A: b", "A: b\r\n\r\n"),
        ("A: b\n\n", "A: b\r\n\r\n"),
        ("A : b\nC\u{e9}: d\n", "A : b\r\n\r\nC\u{e9}: d\r\n"),
        ("", "\r\n"),
        ("\n", "\r\n"),
        ("\n\nx", "\r\n\r\nx\r\n"),
        ("text\r", "\r\ntext\r\n"),
    ] {
        for size in [1, 2, 3, 1000] {
            let got = String::from_utf8(intake(input.as_bytes(), size)).unwrap();
            assert_eq!(got, expected, "{input:?} in pieces of {size}");
        }
    }
}

/// RFC 5322 §4.2: otherwise what was to be hidden is shown, in the body.
#[test]
fn a_line_of_blanks_ends_the_header_only_where_text_follows() {
    for (input, expected) in [
        (
            "A: b\n c\n \nBcc: e\n\nx\n",
            "A: b\r\n c\r\nBcc: e\r\n\r\nx\r\n",
        ),
        ("A: b\r\n\t \r\nD: e\r\n\r\n", "A: b\r\nD: e\r\n\r\n"),
        ("A: b,\n \n \t\n c\n\nx\n", "A: b,\r\n c\r\n\r\nx\r\n"),
        ("A: b\n \0\r\r\nD: e", "A: b\r\nD: e\r\n\r\n"),
        ("A: b\n \ntext\nD: e\n", "A: b\r\n\r\ntext\r\nD: e\r\n"),
        (
            "A: b\n \n  \ntext: no field\u{e9}: x",
            "A: b\r\ntext: no field\u{e9}: x\r\n\r\n",
        ),
        ("A: b\n \n  \nno field\n", "A: b\r\n\r\n  \r\nno field\r\n"),
        ("A: b\n \n\nx\n", "A: b\r\n\r\nx\r\n"),
        ("A: b\n \n", "A: b\r\n\r\n"),
        ("A: b\n\n \nD: e\n", "A: b\r\n\r\n \r\nD: e\r\n"),
        (" \nA: b\n", "\r\nA: b\r\n"),
    ] {
        for size in [1, 2, 3, 1000] {
            let got = String::from_utf8(intake(input.as_bytes(), size)).unwrap();
            assert_eq!(got, expected, "{input:?} in pieces of {size}");
        }
    }
}

#[test]
fn a_blind_recipient_is_never_shown_behind_a_line_that_no_header_has() {
    for (input, expected, told) in [
        (
            "To: z\nsome text\nBcc: a@x\nD: e\n\nBcc: body\n",
            "To: z\r\n\r\nsome text\r\nD: e\r\n\r\nBcc: body\r\n",
            "Bcc: a@x",
        ),
        (
            "To: z\nB\u{e9}c: q\nRESENT-BCC : a@x,\n\tb@x\nmore\n",
            "To: z\r\n\r\nB\u{e9}c: q\r\nmore\r\n",
            "RESENT-BCC : a@x, b@x",
        ),
        (
            "To: z\ntext\n  Bcc: a@x\n  Cc: b@x\nend",
            "To: z\r\n\r\ntext\r\n  Cc: b@x\r\nend\r\n",
            "Bcc: a@x|Cc: b@x",
        ),
        (
            "Subject: s\n Bcc: a@x\n  b@x\nTo: z\n\nx\n",
            "Subject: s\r\nTo: z\r\n\r\nx\r\n",
            "Bcc: a@x b@x",
        ),
        // Whoever stands in these is served, and what is blind is not shown.
        (
            "To: z@x\n Bcc: a@x\n\nx\n",
            "To: z@x\r\n Bcc: a@x\r\n\r\nx\r\n",
            "",
        ),
        // A separator, or what was meant as one, ends no list.
        (
            "To: z@x\0Bcc: a@x\n\nx\n",
            "To: z@x Bcc: a@x\r\n\r\nx\r\n",
            "",
        ),
        (
            "To: z@x\\nBcc: a@x\n\nx\n",
            "To: z@x  Bcc: a@x\r\n\r\nx\r\n",
            "",
        ),
        (
            "T\0o\0: \"D\\nTony\" <z\0@x>\n\nx\n",
            "To: \"D\\nTony\" <z@x>\r\n\r\nx\r\n",
            "",
        ),
        (
            "Subject: s\\r\\nBcc: a@x\nTo: z\n\nx\n",
            "Subject: s\r\nTo: z\r\n\r\nx\r\n",
            "Bcc: a@x",
        ),
        (
            "Subject: s\0Bcc: a@x\nTo: z\n\nx\n",
            "Subject: s\r\nTo: z\r\n\r\nx\r\n",
            "Bcc: a@x",
        ),
        // All of it is text, and a header was meant.
        (
            "hello\nBcc: a@x\n\nBcc: b@x",
            "\r\nhello\r\n\r\nBcc: b@x\r\n",
            "Bcc: a@x",
        ),
        ("A: b\n\nBcc: a@x\n", "A: b\r\n\r\nBcc: a@x\r\n", ""),
        (
            "A: b\n \ntext\nBcc: c\n",
            "A: b\r\n\r\ntext\r\nBcc: c\r\n",
            "",
        ),
    ] {
        for size in [1, 2, 3, 1000] {
            let (mut out, mut intake) = (Vec::new(), Intake::default());
            let mut pieces = input.as_bytes().chunks(size);
            pieces
                .by_ref()
                .for_each(|piece| intake.feed(piece, &mut out));
            intake.finish(&mut out);
            let got = String::from_utf8(out).unwrap();
            assert_eq!(got, expected, "{input:?} in pieces of {size}");
            assert_eq!(told_of(&intake), told, "{input:?}");
        }
    }
    let long = [b"A: b\n".as_slice(), &vec![b'y'; limits::HEADER * 2]].concat();
    let long = [long.as_slice(), b"\n", &long[5..], b"\nBcc: c\nD: e\n"].concat();
    let out = String::from_utf8(intake(&long, limits::PIECE)).unwrap();
    assert!(out.ends_with("y\r\nD: e\r\n") && out.len() > limits::HEADER * 4);
}

#[test]
fn a_first_line_without_end_is_text_and_a_field_without_end_a_header_that_is_too_long() {
    let long = |before: &str, after: &str| {
        let line = vec![b'y'; limits::HEADER * 2];
        [before.as_bytes(), &line, after.as_bytes()].concat()
    };
    for (input, refused) in [
        (long("", "\nBcc: c\n"), false),
        (long("A: b\n\n", "\nBcc: c\n"), false),
        (long("A: b\nno field ", "\nBcc: c\n"), false),
        (long("X: ", ""), true),
        (long("A: b\nBcc: ", ""), true),
        (long("A: b\nX: ", "\nBcc: c\n"), true),
        (long("A: b\n ", "\nBcc: c\n"), true),
        (long("From x\n>From ", ""), false),
    ] {
        let (mut out, mut splitter) = (Vec::new(), Splitter::default());
        let mut intake = Intake::default();
        let mut pieces = input.chunks(limits::PIECE);
        let read = pieces.try_for_each(|piece| {
            out.clear();
            intake.feed(piece, &mut out);
            assert!(intake.line.len() <= limits::HEADER + limits::PIECE);
            splitter.split(&out).map(drop)
        });
        let shown = String::from_utf8_lossy(input.get(..20).unwrap()).into_owned();
        assert_eq!(read.is_err(), refused, "{shown:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_become_canonical_lines_that_no_longer_change(
        input in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), "([A-C: x\0\r.>]{0,4}(From )?\r?\n){0,8}.{0,5}".prop_map(String::into_bytes)],
        size in 1usize..50,
    ) {
        let once = intake(&input, 1000);
        prop_assert_eq!(&intake(&input, size), &once);
        prop_assert_eq!(&intake(&once, size), &once);
        let text = once.strip_suffix(b"\r\n").unwrap();
        let lines: Vec<u8> = String::from_utf8_lossy(text).replace("\r\n", "").into_bytes();
        prop_assert!(!lines.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
}
