use proptest::prelude::*;

use super::*;

/// Decodes with a cut before each byte in `cuts`; the content and the bytes behind the end, `None`
/// without an end.
fn decode(wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, Option<Vec<u8>>), BareLineEnd> {
    let mut decoder = Decoder::default();
    let mut content = Vec::new();
    let mut start = 0;
    for end in cuts
        .iter()
        .copied()
        .filter(|&cut| cut <= wire.len())
        .chain([wire.len()])
    {
        if let Decoded::End { consumed } = decoder.decode(&wire[start..end], &mut content)? {
            return Ok((content, Some(wire[start + consumed..].to_vec())));
        }
        start = end;
    }
    Ok((content, None))
}

fn encode(content: &[u8], cuts: &[usize]) -> Result<Vec<u8>, BareLineEnd> {
    let mut encoder = Encoder::default();
    let mut wire = Vec::new();
    let mut start = 0;
    for end in cuts
        .iter()
        .copied()
        .filter(|&cut| cut <= content.len())
        .chain([content.len()])
    {
        encoder.encode(&content[start..end], &mut wire)?;
        start = end;
    }
    encoder.finish(&mut wire)?;
    Ok(wire)
}

#[test]
fn dots_are_removed_and_the_next_command_is_left_alone() {
    let cases = [
        (".\r\n", "", ""),
        (".\r\nQUIT\r\n", "", "QUIT\r\n"),
        ("..x\r\n.\r\n", ".x\r\n", ""),
        ("..\r\n.\r\n", ".\r\n", ""),
        ("a\r\n..\r\n...\r\n.\r\nRSET", "a\r\n.\r\n..\r\n", "RSET"),
        ("a.\r\n.b\r\n.\r\n", "a.\r\nb\r\n", ""),
        ("\r\n\r\n.\r\n", "\r\n\r\n", ""),
    ];
    for (wire, content, rest) in cases {
        let expected = Ok((content.into(), Some(rest.into())));
        assert_eq!(decode(wire.as_bytes(), &[]), expected, "{wire:?}");
        let each: Vec<usize> = (0..wire.len()).collect();
        assert_eq!(
            decode(wire.as_bytes(), &each),
            expected,
            "{wire:?}, byte by byte"
        );
    }
}

/// The smuggling family: CVE-2023-51764, -51765, -51766, -52354, CVE-2024-27305.
#[test]
fn nothing_but_crlf_dot_crlf_ends_a_message_and_a_bare_cr_or_lf_is_refused() {
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\n.\r",
        "\r.\r",
        "\r.\r\n",
        "\r.\n",
        "\r\n.\n",
        "\r\n.\r",
        "\r\n.\r\r\n",
        "\r\r\n.\r\n",
        "\n\n.\r\n",
        "\r\n\0.\r\n",
    ] {
        let wire = format!("mail{end}MAIL FROM:<smuggled@example.com>\r\n");
        let seen = decode(wire.as_bytes(), &[]);
        if end.contains('\0') {
            assert_eq!(seen.unwrap().1, None, "{end:?} is content");
        } else {
            assert_eq!(seen, Err(BareLineEnd), "{end:?}");
        }
    }
}

#[test]
fn a_lone_dot_in_the_content_arrives_and_an_open_last_line_is_completed() {
    assert_eq!(
        encode(b"a\r\n.\r\nb", &[]).unwrap(),
        b"a\r\n..\r\nb\r\n.\r\n"
    );
    assert_eq!(encode(b"", &[]).unwrap(), b".\r\n");
    assert_eq!(encode(b".", &[]).unwrap(), b"..\r\n.\r\n");
}

#[test]
fn a_bare_cr_or_lf_in_the_content_never_reaches_the_wire() {
    for content in ["a\nb\r\n", "a\rb\r\n", "a\r", "\n", "a\r\r\n", ".\n.\r\n"] {
        for cuts in [vec![], (0..content.len()).collect()] {
            let mut encoder = Encoder::default();
            let mut wire = Vec::new();
            let mut start = 0;
            let result = cuts.into_iter().chain([content.len()]).try_for_each(|end| {
                let piece = &content.as_bytes()[start..end];
                start = end;
                encoder.encode(piece, &mut wire)
            });
            assert_eq!(
                result.and_then(|()| encoder.finish(&mut wire)),
                Err(BareLineEnd),
                "{content:?}"
            );
            assert!(
                !String::from_utf8(wire)
                    .unwrap()
                    .replace("\r\n", "")
                    .contains(['\r', '\n']),
                "{content:?}"
            );
        }
        let mut checker = Checker::default();
        assert!(
            checker.check(content.as_bytes()).is_err() || checker.finish().is_err(),
            "{content:?}"
        );
    }
}

/// Lines such as mail has, with many dots.
fn lines() -> impl Strategy<Value = String> {
    proptest::collection::vec("[.a\u{0}é]{0,5}\r\n", 0..8).prop_map(|lines| lines.concat())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::btree_set(0_usize..80, 0..12).prop_map(|set| set.into_iter().collect())
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_unchanged_in_whatever_pieces(content in lines(), first in cuts(), second in cuts()) {
        let wire = encode(content.as_bytes(), &first).unwrap();
        prop_assert_eq!(&wire, &encode(content.as_bytes(), &[]).unwrap());
        let (decoded, rest) = decode(&wire, &second).unwrap();
        prop_assert_eq!(String::from_utf8(decoded).unwrap(), content);
        prop_assert_eq!(rest, Some(Vec::new()));
    }

    #[test]
    fn hostile_bytes_mean_the_same_in_whatever_pieces(wire in "[.\r\na]{0,40}", cuts in cuts()) {
        let whole = decode(wire.as_bytes(), &[]);
        prop_assert_eq!(&decode(wire.as_bytes(), &cuts), &whole);
        if let Ok((content, _)) = whole {
            let mut checker = Checker::default();
            prop_assert!(checker.check(&content).is_ok(), "decoded content is in CRLF lines");
        }
    }
}

/// All strings of dots, CR, LF and text that have this length.
fn all_strings(length: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..4_usize.pow(length)).map(move |number| {
        let digit = |place| number / 4_usize.pow(place) % 4;
        (0..length).map(|place| b".\r\na"[digit(place)]).collect()
    })
}

/// Whether a CR has no LF or an LF no CR; that of a CR at the end may still come.
fn has_bare(bytes: &[u8]) -> bool {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let closed = text.strip_suffix('\r').unwrap_or(&text);
    closed.replace("\r\n", "").contains(['\r', '\n'])
}

/// What RFC 5321 makes of a wire, line by line: content so far, and what belonged to the message if
/// it ended.
fn by_the_book(wire: &[u8]) -> Result<(Vec<u8>, Option<usize>), BareLineEnd> {
    let (mut content, mut start) = (Vec::new(), 0);
    while let Some(length) = wire[start..].windows(2).position(|two| two == b"\r\n") {
        let line = &wire[start..start + length];
        start += length + 2;
        if line.contains(&b'\r') || line.contains(&b'\n') {
            return Err(BareLineEnd);
        }
        if line == b"." {
            return Ok((content, Some(start)));
        }
        content.extend(line.strip_prefix(b".").unwrap_or(line));
        content.extend(b"\r\n");
    }
    let open = &wire[start..];
    if has_bare(open) {
        return Err(BareLineEnd);
    }
    // The end is not seen yet.
    if open != b".\r" {
        content.extend(open.strip_prefix(b".").unwrap_or(open));
    }
    Ok((content, None))
}

/// In any pieces, too: that one cut changes neither what comes out nor the state says by induction
/// that no number of cuts does.
#[test]
fn any_short_wire_is_read_by_the_book_in_whatever_pieces() {
    for wire in (0..=9).flat_map(all_strings) {
        let (mut decoder, mut content) = (Decoder::default(), Vec::new());
        let told = decoder.decode(&wire, &mut content);
        let shown = wire.escape_ascii();
        match by_the_book(&wire) {
            Err(bare) => assert_eq!(told, Err(bare), "{shown}"),
            Ok((expected, end)) => {
                let all = end.map_or(Decoded::More, |consumed| Decoded::End { consumed });
                assert_eq!((told, &content), (Ok(all), &expected), "{shown}");
            }
        }
        for cut in 1..wire.len() {
            let (mut cut_decoder, mut pieces) = (Decoder::default(), Vec::new());
            let first = cut_decoder.decode(&wire[..cut], &mut pieces);
            let told_of_pieces = match first {
                Ok(Decoded::More) => match cut_decoder.decode(&wire[cut..], &mut pieces) {
                    Ok(Decoded::End { consumed }) => Ok(Decoded::End {
                        consumed: cut + consumed,
                    }),
                    other => other,
                },
                ended => ended,
            };
            assert_eq!(told_of_pieces, told, "{shown}, cut at {cut}");
            if told.is_ok() {
                assert_eq!(
                    (cut_decoder, &pieces),
                    (decoder, &content),
                    "{shown}, {cut}"
                );
            }
        }
    }
}

#[test]
fn any_short_content_comes_back_unchanged_or_is_refused_for_a_bare_line_end() {
    for content in (0..=9).flat_map(all_strings) {
        let shown = content.escape_ascii();
        let (mut encoder, mut wire) = (Encoder::default(), Vec::new());
        let told = encoder.encode(&content, &mut wire);
        assert!(!has_bare(&wire) && !wire.ends_with(b"\r"), "{shown}");
        for cut in 1..content.len() {
            let (mut pieces, mut written) = (Encoder::default(), Vec::new());
            let first = pieces.encode(&content[..cut], &mut written);
            let both = first.and_then(|()| pieces.encode(&content[cut..], &mut written));
            assert_eq!(both, told, "{shown}, cut at {cut}");
            assert!(
                !has_bare(&written) && !written.ends_with(b"\r"),
                "{shown}, {cut}"
            );
            if told.is_ok() {
                assert_eq!(
                    (pieces, &written),
                    (encoder, &wire),
                    "{shown}, cut at {cut}"
                );
            }
        }
        let told = told.and_then(|()| encoder.finish(&mut wire));
        let bare = has_bare(&content) || content.ends_with(b"\r");
        assert_eq!(told.is_err(), bare, "{shown}");
        let mut checker = Checker::default();
        let dotted = checker.check(&content).and_then(|()| checker.finish());
        assert_eq!(dotted.is_err(), bare, "{shown}");
        if bare {
            continue;
        }
        let mut expected = content.clone();
        if dotted == Ok(true) {
            expected.extend(b"\r\n");
        }
        let whole = Ok((expected, Some(wire.len())));
        assert_eq!(by_the_book(&wire), whole, "{shown}");
        assert_eq!(
            decode(&wire, &[]).map(|(read, _)| read),
            whole.map(|(read, _)| read)
        );
    }
}
