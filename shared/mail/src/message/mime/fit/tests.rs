use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const SEVEN: Wanted = Wanted {
    seven_bit: true,
    ascii_header: false,
};

/// What is told of a message that was fitted.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "as in what it is taken from")]
struct Told {
    changed: bool,
    eight_bit: bool,
    long_lines: bool,
    folded: bool,
}

/// The message as it is sent, and what is told of it.
fn sent(message: &[u8], wanted: Wanted) -> (String, Told) {
    let mut fit = fit(|| Ok(message), wanted).unwrap();
    let mut out = Vec::new();
    fit.content.read_to_end(&mut out).unwrap();
    assert_eq!(out.len() as u64, fit.size);
    assert_eq!(fit.changed, out != message);
    let told = Told {
        changed: fit.changed,
        eight_bit: fit.eight_bit,
        long_lines: fit.long_lines,
        folded: fit.folded,
    };
    (String::from_utf8_lossy(&out).into_owned(), told)
}

fn multipart(parts: &[&str]) -> String {
    let mut text =
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\npreamble\r\n"
            .to_owned();
    for part in parts {
        let _ = write!(text, "--q\r\n{part}\r\n");
    }
    text + "--q--\r\nepilogue\r\n"
}

/// `1,2,…` on one line of more than 998 bytes.
fn numbers() -> String {
    (1..2000)
        .map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(",")
}

#[test]
fn a_long_line_in_an_attachment_is_encoded_and_the_other_parts_stay_byte_for_byte() {
    let text = "Content-Type: text/plain\r\n\r\nshort = short \r\n";
    let csv = format!(
        "Content-Type: text/csv\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{}\r\n",
        numbers()
    );
    let json = format!("Content-Type: application/json\r\n\r\n{}", numbers());
    let (out, fit) = sent(
        multipart(&[text, &csv, &json]).as_bytes(),
        Wanted::default(),
    );
    assert!(!fit.folded && !fit.long_lines);
    assert!(out.lines().all(|line| line.len() <= 76), "{out}");
    let parts: Vec<&str> = out.split("--q").collect();
    assert_eq!(parts[1], format!("\r\n{text}\r\n"));
    let (header, body) = parts[2].split_once("\r\n\r\n").unwrap();
    assert_eq!(
        header,
        "\r\nContent-Type: text/csv\r\nContent-Transfer-Encoding: quoted-printable"
    );
    assert_eq!(body.replace("=\r\n", ""), format!("{}\r\n\r\n", numbers()));
    let (header, body) = parts[3].split_once("\r\n\r\n").unwrap();
    assert!(
        header.ends_with("application/json\r\nContent-Transfer-Encoding: base64"),
        "{header}"
    );
    assert!(
        body.starts_with("MSwyLDMsNCw1LDYsNyw4LDks") && body.ends_with("\r\n"),
        "{body}"
    );
}

#[test]
fn text_in_one_part_is_quoted_and_declared() {
    let text = "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}n = x\r\nend\r\n";
    assert_eq!(
        sent(text.as_bytes(), SEVEN).0,
        "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BCn =3D x\r\nend\r\n"
    );
    let (text, _) = sent("Subject: s\r\n\r\n\u{fc}\r\n".as_bytes(), SEVEN);
    assert_eq!(
        text,
        "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n"
    );
    let (text, _) = sent(b"Subject: s\r\n\r\n\xfc\r\n", SEVEN);
    assert!(
        text.contains("charset=unknown-8bit\r\n") && text.ends_with("\r\n\r\n=FC\r\n"),
        "{text}"
    );
}

#[test]
fn what_is_signed_or_cannot_be_encoded_stays_as_it_is_and_is_told() {
    let long = "x".repeat(2000);
    let signed = multipart(&["Content-Type: text/plain\r\n\r\n\u{fc}"])
        .replace("multipart/mixed", "multipart/signed");
    for message in [
        signed,
        "Content-Transfer-Encoding: base64\r\n\r\n\u{fc}\r\n".to_owned(),
        "Content-Type: message/partial\r\n\r\n\u{fc}\r\n".to_owned(),
        "DKIM-Signature: v=1\r\n\r\n\u{fc}\r\n".to_owned(),
        format!("ARC-Message-Signature: i=1\r\n\r\n\u{fc}{long}\r\n"),
    ] {
        let (out, fit) = sent(message.as_bytes(), SEVEN);
        assert_eq!(out, message);
        assert!(
            fit.eight_bit && fit.long_lines == message.contains("xx"),
            "{fit:?}"
        );
    }
}

#[test]
fn parts_in_forwarded_messages_and_nested_multiparts_are_encoded_each_by_itself() {
    let inner = "Content-Type: multipart/alternative; boundary=\"q 2\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--q 2\r\n\r\n\u{fc}\r\n--q 2 \r\nContent-Type: text/html\r\n\r\nascii\r\n--q 2--\r\n";
    let forwarded = format!("Content-Type: message/rfc822\r\n\r\nSubject: s\r\n{inner}");
    let (out, fit) = sent(multipart(&[&forwarded, "\r\n\u{e9}"]).as_bytes(), SEVEN);
    assert!(out.is_ascii() && !fit.eight_bit, "{out}");
    assert_eq!(out.matches("quoted-printable").count(), 2, "{out}");
    assert!(
        out.contains("Content-Transfer-Encoding: 7bit\r\n\r\n--q 2\r\n"),
        "{out}"
    );
    assert!(
        out.contains("\r\nContent-Type: text/html\r\n\r\nascii\r\n--q 2--\r\n"),
        "{out}"
    );
    let digest = multipart(&["\r\nSubject: s\r\n\r\n\u{fc}"]).replace("mixed", "digest");
    let (out, _) = sent(digest.as_bytes(), SEVEN);
    assert!(
        out.contains("--q\r\n\r\nSubject: s\r\nContent-Type: text/plain; charset=utf-8\r\n"),
        "{out}"
    );
}

#[test]
fn the_names_of_attachments_become_ascii_with_the_rest() {
    let part = "Content-Disposition: attachment; filename=\"Gr\u{fc}n.txt\"\r\n\r\nascii";
    let (out, fit) = sent(multipart(&[part]).as_bytes(), SEVEN);
    assert!(
        out.contains("filename*=utf-8''Gr%C3%BCn.txt") && !fit.eight_bit,
        "{out}"
    );
    let subject = "Subject: Gr\u{fc}n\r\n\r\nascii\r\n";
    let ascii_header = Wanted {
        ascii_header: true,
        ..Wanted::default()
    };
    assert_eq!(
        sent(subject.as_bytes(), ascii_header).0,
        "Subject: =?utf-8?q?Gr=C3=BCn?=\r\n\r\nascii\r\n"
    );
    assert_eq!(sent(subject.as_bytes(), SEVEN).0, subject);
}

#[test]
fn encoded_parts_with_long_lines_read_back_the_same() {
    let quoted = format!(
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n",
        "=41b".repeat(1000)
    );
    let (out, fit) = sent(quoted.as_bytes(), Wanted::default());
    assert!(
        !fit.folded && out.lines().all(|line| line.len() < 998),
        "{out}"
    );
    assert_eq!(out.replace("=\r\n", ""), quoted);
    let base64 = format!(
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        "QUJD".repeat(1000)
    );
    let (out, fit) = sent(base64.as_bytes(), Wanted::default());
    assert!(
        !fit.folded && out.lines().all(|line| line.len() <= 998),
        "{out}"
    );
    assert_eq!(out.replace("\r\n", ""), base64.replace("\r\n", ""));
}

/// Whatever is written there by programs that know no better: their bytes arrive.
#[test]
fn no_line_is_cut_within_a_word_whatever_the_encoding_or_the_structure_is_called() {
    let words = "word ".repeat(600);
    let solid = "x".repeat(2500);
    let short = |text: &str| text.lines().all(|line| line.len() <= 998);
    for named in ["x-uuencode", "8-bit", "utf-8", "none", "7bit;", "\"8bit\""] {
        for (kind, encoded) in [("text/plain", "quoted-printable"), ("image/x", "base64")] {
            let text = format!(
                "MIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {named}\r\n\r\n{words}\r\n{solid}\r\n"
            );
            let (out, fit) = sent(text.as_bytes(), Wanted::default());
            assert!(
                short(&out) && !fit.long_lines && !fit.folded,
                "{named}: {out}"
            );
            assert!(
                out.contains(&format!("Content-Transfer-Encoding: {encoded}\r\n")),
                "{out}"
            );
            assert!(!out.contains(named), "{out}");
            if kind == "text/plain" {
                let (_, body) = out.split_once("\r\n\r\n").unwrap();
                let read = body.replace("=\r\n", "").replace("=20", " ");
                assert_eq!(read, format!("{words}\r\n{solid}\r\n"));
            }
        }
    }
    // A multipart in which nobody finds a part is text.
    for content_type in ["multipart/mixed", "Multipart/Alternative; charset=utf-8"] {
        let text = format!("Content-Type: {content_type}\r\n\r\n--q\r\n\r\n{solid}\r\n--q--\r\n");
        let (out, fit) = sent(text.as_bytes(), Wanted::default());
        assert!(short(&out) && !fit.long_lines, "{out}");
        assert!(out.contains("Content-Type: text/plain; charset="), "{out}");
        assert!(
            !out.to_lowercase().contains("multipart") && out.contains("\r\n--q\r\n"),
            "{out}"
        );
    }
    // One whose own encoding is nonsense has parts all the same.
    for named in ["quoted-printable", "8-bit"] {
        let part = format!("Content-Type: text/plain\r\n\r\n{solid}");
        let text = multipart(&[&part]);
        let text = format!("Content-Transfer-Encoding: {named}\r\n{text}");
        let (out, fit) = sent(text.as_bytes(), Wanted::default());
        assert!(short(&out) && !fit.folded && !fit.long_lines, "{out}");
        assert!(
            out.contains("text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n"),
            "{out}"
        );
    }
}

/// RFC 2046 §5.2: these may not be encoded.
#[test]
fn what_must_not_be_encoded_is_folded_at_blanks_and_a_longer_word_stays_whole() {
    let words = "word ".repeat(600);
    for (solid, long) in [("y".repeat(900), false), ("x".repeat(2500), true)] {
        let line = format!("{words}{solid} {words}");
        for text in [
            format!("Content-Type: message/partial; id=x\r\n\r\n{line}\r\n"),
            multipart(&["\r\nx"]).replacen("\r\n\r\n", &format!("\r\n\r\n{line}\r\n"), 1),
        ] {
            let (out, fit) = sent(text.as_bytes(), Wanted::default());
            assert!(fit.folded && fit.long_lines == long, "{out}");
            assert_eq!(
                out.replace("\r\n ", " "),
                text.replace("\r\n ", " "),
                "{out}"
            );
            let over = out.lines().filter(|line| line.len() > 998);
            assert!(over.clone().all(|line| line.trim() == solid), "{out}");
            assert_eq!(over.count(), usize::from(long));
        }
    }
    // Signed: not a byte.
    let signed = format!(
        "Content-Type: multipart/signed; boundary=q\r\n\r\n--q\r\nContent-Transfer-Encoding: x-y\r\n\r\n{words}\r\n--q--\r\n"
    );
    let (out, fit) = sent(signed.as_bytes(), Wanted::default());
    assert!(out == signed && fit.long_lines && !fit.folded);
}

#[test]
fn a_last_line_that_is_too_long_before_its_boundary_is_seen() {
    for (length, changed) in [(998, false), (999, true)] {
        let part = format!("Content-Type: text/plain\r\n\r\n{}", "x".repeat(length));
        assert_eq!(
            sent(multipart(&[&part]).as_bytes(), Wanted::default())
                .1
                .changed,
            changed
        );
    }
}

#[test]
fn tens_of_thousands_of_parts_and_levels_are_no_work() {
    let mut parts = multipart(&[]).replace("--q--", &"--q\r\n\r\n\u{fc}\r\n".repeat(30_000));
    parts.push_str("--q\r\nContent-Type: application/x\r\n\r\n\u{fc}\r\n--q--\r\n");
    let (out, fit) = sent(parts.as_bytes(), SEVEN);
    assert!(out.is_ascii() && !fit.eight_bit);
    let mut levels = String::new();
    for level in 0..5000 {
        let _ = write!(
            levels,
            "Content-Type: multipart/mixed; boundary=q{level}\r\n\r\n--q{level}\r\n"
        );
    }
    levels.push_str("\r\n\u{fc}\r\n");
    assert!(sent(levels.as_bytes(), SEVEN).1.eight_bit);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_as_quoted_text_is_ascii_in_short_lines(body in "[ a-zü=\t]{0,300}ü", lines in 1usize..40) {
        let body = format!("{body}\r\n").repeat(lines);
        let (text, fit) = sent(format!("Subject: s\r\n\r\n{body}").as_bytes(), SEVEN);
        prop_assert!(fit.changed && text.is_ascii());
        prop_assert!(text.lines().all(|line| line.len() <= 76));
        let (_, sent) = text.split_once("\r\n\r\n").unwrap();
        prop_assert_eq!(sent.replace("=\r\n", "").replace("=3D", "\0").replace("=C3=BC", "ü").replace("=20", " ").replace("=09", "\t").replace('\0', "="), body);
    }

    /// Whatever comes, however it is cut: the lines are short unless that is told, and nothing is
    /// changed twice.
    #[test]
    fn any_message_fits_and_fitting_twice_is_fitting_once(
        lines in prop::collection::vec(prop::sample::select(&[
            "--q", "--q--", "--r", "", "", "x", "\u{fc}", "Content-Type: multipart/mixed; boundary=q",
            "Content-Type: multipart/signed; boundary=r", "Content-Type: message/rfc822", "Content-Type: image/png",
            "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: quoted-printable", "LONG", "LONG\u{fc}",
            "Content-Transfer-Encoding: x-y", "Content-Type: multipart/mixed", "Content-Type: message/partial", "WORDS",
        ][..]), 0..20), size in 1usize..50, seven_bit: bool,
    ) {
        let long = "y".repeat(1200);
        let words = "word ".repeat(300);
        let lines = lines.iter().map(|line| line.replace("LONG", &long).replace("WORDS", &words));
        let lines: Vec<_> = lines.collect();
        let message = lines.join("\r\n") + "\r\n";
        let wanted = Wanted { seven_bit, ascii_header: false };
        let (out, fit) = sent(message.as_bytes(), wanted);
        prop_assert!(fit.long_lines || out.lines().all(|line| line.len() <= 998));
        let (_, body) = out.split_once("\r\n\r\n").unwrap_or_default();
        prop_assert!(!seven_bit || fit.eight_bit || body.is_ascii(), "{}", out);
        prop_assert_eq!(&sent(out.as_bytes(), wanted).0, &out);
        let mut pieces = Vec::new();
        let mut walk = Walk::new();
        let mut collect = |piece: Piece<'_>| match piece {
            Piece::Header(header, ..) => pieces.extend(header.to_bytes()),
            Piece::Body(bytes) | Piece::Frame(bytes) => pieces.extend_from_slice(bytes),
            Piece::End => {}
        };
        message.as_bytes().chunks(size).for_each(|bytes| walk.feed(bytes, &mut collect));
        walk.finish(&mut collect);
        prop_assert_eq!(String::from_utf8(pieces).unwrap(), message);
    }
}
