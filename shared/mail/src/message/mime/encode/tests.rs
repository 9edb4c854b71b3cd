use proptest::prelude::*;

use super::*;

fn encode(action: Action, body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(action);
    for piece in body.chunks(size) {
        encoder.feed(piece, &mut out);
    }
    encoder.finish(&mut out);
    out
}

/// RFC 2045 §6.7, the reader's side.
fn decode(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec())
        .unwrap()
        .replace("=\r\n", "");
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
        out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
    }
    out
}

fn longest(bytes: &[u8]) -> usize {
    bytes
        .split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).len())
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quoted_text_reads_back_byte_for_byte_in_short_lines(
        lines in prop::collection::vec(prop_oneof!["[a-z =\t\u{e9}.]{0,200}", "x{900,1100}"], 0..6), size in 1usize..300,
    ) {
        let body = lines.iter().map(|line| format!("{line}\r\n")).collect::<Vec<_>>().concat();
        let out = encode(Action::Quote, body.as_bytes(), size);
        prop_assert!(out.is_ascii() && longest(&out) <= 76);
        let no_blank_ends = !out.windows(3).any(|w| matches!(w, [b' ' | b'\t', b'\r', b'\n']));
        prop_assert!(no_blank_ends);
        prop_assert_eq!(decode(&out), body.as_bytes());
    }

    #[test]
    fn folded_bodies_lose_nothing_but_the_length_of_their_lines(
        lines in prop::collection::vec("[a\u{e9}\u{4e2d}]{0,1500}", 0..3), size in 1usize..300,
    ) {
        let body = lines.iter().map(|line| format!("{line}\r\n")).collect::<Vec<_>>().concat();
        let out = encode(Action::Cut, body.as_bytes(), size);
        prop_assert!(longest(&out) <= 998);
        let text = String::from_utf8(out.clone()).unwrap();
        prop_assert!(text.lines().all(|line| std::str::from_utf8(line.as_bytes()).is_ok()));
        prop_assert_eq!(text.replace("\r\n", ""), body.replace("\r\n", ""));
    }

    #[test]
    fn text_is_folded_before_blanks_alone_and_once(
        lines in prop::collection::vec("([a\u{e9}]{1,300}[ \t]{1,5}){0,9}", 0..3), size in 1usize..300,
    ) {
        let body = lines.iter().map(|line| format!("{line}\r\n")).collect::<Vec<_>>().concat();
        let out = encode(Action::Fold, body.as_bytes(), size);
        prop_assert!(longest(&out) <= 998);
        let text = String::from_utf8(out.clone()).unwrap();
        let joined = text.replace("\r\n ", " ").replace("\r\n\t", "\t");
        prop_assert_eq!(joined, body.replace("\r\n ", " ").replace("\r\n\t", "\t"));
        prop_assert_eq!(encode(Action::Fold, &out, size), out);
    }

    #[test]
    fn any_bytes_come_out_in_short_lines(body in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(longest(&encode(Action::Quote, &body, 64)) <= 998);
        // Nothing with a bare CR gets this far.
        let canonical: Vec<u8> = body.iter().copied().filter(|&byte| byte != b'\r').collect();
        prop_assert!(longest(&encode(Action::Cut, &canonical, 64)) <= 998);
        prop_assert_eq!(decode(&encode(Action::Quote, &body, 64)), body);
    }
}
