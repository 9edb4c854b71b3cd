//! Headers that are damaged: nobody who is blind is shown, and whoever is named is served or told.

use proptest::prelude::*;

use crate::message::{Arrived, Incoming, recipients};

/// What leaves, and what is told.
struct Left {
    /// Header and body, with LF.
    text: String,
    header: String,
    body: Vec<u8>,
    /// Who is served with `-t`.
    served: Vec<String>,
    told: String,
}

fn left(mut incoming: Incoming, input: &[u8], size: usize) -> Left {
    let mut body = Vec::new();
    for piece in input.chunks(size) {
        body.extend_from_slice(incoming.feed(piece).unwrap());
    }
    body.extend_from_slice(incoming.end().unwrap());
    let Arrived {
        mut header,
        misplaced,
        ..
    } = incoming.finish();
    let named = recipients::extract(&header);
    let mut told: Vec<_> = misplaced.into_iter().map(|it| it.field).collect();
    told.extend(named.problems.into_iter().map(|problem| problem.text));
    recipients::withhold(&mut header);
    let header = String::from_utf8_lossy(&header.to_bytes()).replace("\r\n", "\n");
    let shown = String::from_utf8_lossy(&body).replace("\r\n", "\n");
    Left {
        text: format!("{header}\n{shown}"),
        header,
        body,
        served: named.recipients.iter().map(ToString::to_string).collect(),
        told: told.join("|"),
    }
}

fn piped(input: &str) -> Left {
    left(Incoming::piped(), input.as_bytes(), 1000)
}

#[track_caller]
fn holds(input: &str, text: &str, served: &str, told: &str) {
    let got = piped(input);
    assert_eq!(
        (got.text.as_str(), got.served.join(" ").as_str(), &*got.told),
        (text, served, told),
        "{input:?}"
    );
}

#[test]
fn a_blind_recipient_below_a_line_of_blanks_that_is_not_empty_is_shown_to_nobody() {
    for blanks in [" ", "\t", " \t "] {
        let input = format!("Subject: x\njunk\nTo: x@d\n{blanks}\nBcc: b@s\n\nt\n");
        let got = piped(&input);
        assert!(!got.text.contains("b@s"), "{input:?}: {}", got.text);
        assert!(got.told.contains("b@s"), "{input:?}: {}", got.told);
    }
    // An empty one ends what may be a header.
    let input = "Subject: x\njunk\n\nBcc: b@s\n";
    holds(input, "Subject: x\n\njunk\n\nBcc: b@s\n", "", "");
}

#[test]
fn a_list_of_recipients_goes_on_in_lines_that_are_not_indented() {
    for (input, text, served, told) in [
        ("Bcc: a@d,\nb@s\nX: y\n\nt\n", "X: y\n\nt\n", "a@d b@s", ""),
        ("Bcc:\nb@s\nX: y\n\nt\n", "X: y\n\nt\n", "b@s", ""),
        ("Bcc:\nb@s\nc@s\n\nt\n", "\nt\n", "b@s c@s", ""),
        ("Bcc: g:\nboss;\n\nt\n", "\nt\n", "boss", ""),
        ("Bcc: g: a@d,\nb@s;\n\nt\n", "\nt\n", "a@d b@s", ""),
        ("Bcc: A <a@d>,\nThe B <b@s>\n\nt\n", "\nt\n", "a@d b@s", ""),
        (
            "Bcc: a@d,\n \nb@s\nX: y\n\nt\n",
            "X: y\n\nt\n",
            "a@d b@s",
            "",
        ),
        ("Bcc: A <\nb@s>\nX: y\n\nt\n", "X: y\n\nt\n", "b@s", ""),
        ("Bcc: a@d, \\\nb@s\n\nt\n", "\nt\n", "a@d b@s", "\\"),
        (
            "To: x@d,\ny@d\n\nt\n",
            "To: x@d,\n\ty@d\n\nt\n",
            "x@d y@d",
            "",
        ),
        (
            "To: root,\nops\n\nt\n",
            "To: root,\n\tops\n\nt\n",
            "root ops",
            "",
        ),
        // What is not clear is told; of whoever is blind nothing is shown.
        ("Bcc: a@d,\nor b@s?\n\nt\n", "\nt\n", "a@d", "or b@s?"),
        ("Bcc: a@d\nb@s\n c@s\n\nt\n", "\nt\n", "a@d", "b@s c@s"),
        (
            "To: x@d,\nor y@d?\n\nt\n",
            "To: x@d,\n\nor y@d?\n\nt\n",
            "x@d",
            "or y@d?",
        ),
        // Text is text.
        (
            "To: x@d,\nDear all!\n",
            "To: x@d,\n\nDear all!\n",
            "x@d",
            "",
        ),
        (
            "To: x@d\nBcc:\nHello,\nyou\n",
            "To: x@d\n\nHello,\nyou\n",
            "x@d",
            "",
        ),
        (
            "To: x@d\nBcc:\nWrite to b@s!\n",
            "To: x@d\n\n",
            "x@d",
            "Write to b@s!",
        ),
        ("To: x@d\ny@d\n", "To: x@d\n\ny@d\n", "x@d", ""),
        ("Bcc: a@d,\n\nb@s\n", "\nb@s\n", "a@d", ""),
    ] {
        holds(input, text, served, told);
    }
}

#[test]
fn recipients_behind_a_line_that_no_header_has_are_told() {
    for (input, text, served, told) in [
        (
            "To: x@d\nnotice\nCc: y@d\nX: y\n\nt\n",
            "To: x@d\n\nnotice\nCc: y@d\nX: y\n\nt\n",
            "x@d",
            "Cc: y@d",
        ),
        (
            "notice\nTo: x@d\nBcc: a@d,\nb@s\nX: y\n\nt\n",
            "\nnotice\nTo: x@d\nX: y\n\nt\n",
            "",
            "To: x@d|Bcc: a@d, b@s",
        ),
        (" Bcc: b@s\nX: y\n\nt\n", "\nX: y\n\nt\n", "", "Bcc: b@s"),
        (
            "notice\nBcc: a@d,\n \n b@s\nX: y\n\nt\n",
            "\nnotice\n \nX: y\n\nt\n",
            "",
            "Bcc: a@d, b@s",
        ),
        (
            "To: x@d\nTo be or not\nTo: be or not\n",
            "To: x@d\n\nTo be or not\nTo: be or not\n",
            "x@d",
            "",
        ),
    ] {
        holds(input, text, served, told);
    }
}

#[test]
fn a_line_end_of_another_system_hides_no_recipient_in_another_field() {
    for end in ["\r", "\u{2028}", "\u{2029}", "\u{85}", "\u{b}", "\u{c}"] {
        let input = format!("From: a@d{end}Bcc: b@s\nSubject: s{end}Bcc: c@s,{end} d@s\n\nt\n");
        let told = "Bcc: b@s|Bcc: c@s, d@s";
        holds(&input, "From: a@d\nSubject: s\n\nt\n", "", told);
        let input = format!("To: x@d{end}Bcc: b@s\n\nt\n");
        assert_eq!(piped(&input).served, ["x@d", "b@s"], "{input:?}");
    }
    holds(
        "X: a\rTo: b@d\rc\n\nt\n",
        "X: a To: b@d c\n\nt\n",
        "",
        "To: b@d",
    );
    // The names that a signature covers are none.
    let signed = "DKIM-Signature: v=1; h=From:\n\tTo:Cc:\n\tBcc:Subject;\n\tb=x\nX: y\n\nt\n";
    holds(signed, signed, "", "");
    holds(
        "X: h=\n\tTo:Cc:Subject\n\n",
        "X: h=\n\tTo:Cc:Subject\n\n",
        "",
        "",
    );
}

#[test]
fn a_name_with_what_cannot_be_seen_is_the_name() {
    for name in [
        "Bcc\u{c}:",
        "Bcc\u{b}:",
        "Bcc\u{a0}:",
        "\u{a0}Bcc:",
        "\u{200b}Bcc:",
        "B\u{200b}cc:",
        "\u{feff}Bcc:",
        "\u{1}Bcc:",
        "Bcc\u{8}:",
        "Bcc\u{7f}:",
        "Bcc\0:",
        "B\rcc:",
        "Bcc\u{ff1a}",
        "Bcc \u{ff1a}",
        "Bcc\n :",
        "Bcc\n:",
        "bCC\t:",
        "B cc :",
    ] {
        holds(
            &format!("{name} b@s\nX: y\n\nt\n"),
            "X: y\n\nt\n",
            "b@s",
            "",
        );
        holds(
            &format!("X: y\n{name} b@s,\n c@s\n\nt\n"),
            "X: y\n\nt\n",
            "b@s c@s",
            "",
        );
        let behind = piped(&format!("To: x@d\nnotice\n{name} b@s\nmore\n\nt\n"));
        assert_eq!(behind.text, "To: x@d\n\nnotice\nmore\n\nt\n", "{name:?}");
        assert!(behind.told.contains("b@s"), "{}", behind.told);
    }
    let latin = left(Incoming::piped(), b"X: y\nBcc\xa0: b@s\n\nt\n", 3);
    assert_eq!(
        (&*latin.text, latin.served.join(" ")),
        ("X: y\n\nt\n", "b@s".into())
    );
    let resent = piped("Resent-To: x@d\nResent -Bcc: b@s\n\nt\n");
    assert_eq!(resent.served, ["x@d", "b@s"]);
    assert!(!resent.text.contains("b@s"));
}

#[test]
fn a_name_among_other_signs_is_served_to_nobody_and_a_blind_one_not_shown() {
    for name in [
        ">Bcc:", "\"Bcc\":", "Bcc;", "Bcc=", "- Bcc:", "Bcc&#58;", "> Bcc :",
    ] {
        let told = format!("{name} b@s");
        let (first, second) = (
            format!("{told}\nX: y\n\nt\n"),
            format!("X: y\n{told}\nZ: z\n\nt\n"),
        );
        holds(&first, "X: y\n\nt\n", "", &told);
        holds(&second, "X: y\nZ: z\n\nt\n", "", &told);
        holds(
            &format!("{told},\n c@s\nX: y\n\nt\n"),
            "X: y\n\nt\n",
            "",
            &format!("{told}, c@s"),
        );
    }
    for text in [
        "Bcc boss@d.example when you answer\n",
        "Bcc-list b@s\n",
        "bcc@s\n",
        "Bcc nobody\nText\n",
        "> To: x@d\n> Hello\n\nme, too\n",
        "- To: do\n- Cc: nobody\n",
        "bcc = true\nto = x\n",
        "To\u{ff1a} all\n",
        "Bcc\nText\n",
        "To\n",
    ] {
        assert_eq!(piped(text).text, format!("\n{text}"), "{text:?}");
    }
    holds(
        "X: y\n>To: x@d\nZ: z\n\n",
        "X: y\n>To: x@d\nZ: z\n\n",
        "",
        ">To: x@d",
    );
}

#[test]
fn a_field_without_its_colon_is_served_to_nobody_and_a_blind_one_not_shown() {
    for told in [
        "Bcc b@s",
        "bcc\tb@s",
        "Bcc b@s, c@s",
        "Bcc The Boss <b@s>",
        "Bcc <b@s>",
        "Bcc, b@s",
        "Bcc - b@s",
        "Bcc\u{a0}b@s",
        "> Bcc b@s",
        "\"Bcc\" b@s",
        "Resent-Bcc b@s",
    ] {
        let shown = told.trim();
        for (input, text) in [
            (format!("{told}\nX: y\n\nt\n"), "X: y\n\nt\n"),
            (format!("X: y\n{told}\nZ: z\n\nt\n"), "X: y\nZ: z\n\nt\n"),
            (
                format!("X: y\nnotice\n{told}\n\nt\n"),
                "X: y\n\nnotice\n\nt\n",
            ),
        ] {
            holds(&input, text, "", shown);
        }
        let goes_on = format!("X: y\n{told},\nd@s\n\nt\n");
        holds(&goes_on, "X: y\n\nt\n", "", &format!("{shown}, d@s"));
    }
    let text = "X: y\n\nTo x@d\nZ: z\n\nt\n";
    holds("X: y\nTo x@d\nZ: z\n\nt\n", text, "", "To x@d");
}

/// Fields of recipients, with `@` for an address, as they are damaged.
const FORMS: &[&str] = &[
    "N: @",
    "n : @",
    "N:\n @",
    "N: @,\n A <@>",
    "N\u{c}: @",
    "N\u{a0}: @",
    "\u{200b}N: @",
    "\u{feff}N: @",
    "\u{1}N: @",
    "N\u{7f}: @",
    "N\u{ff1a} @",
    "N\n : @",
    ">N: @",
    "\"N\": @",
    "N; @",
    "N= @",
    "N @",
    "N\t<@>, @",
    "N: @,\n@",
    "N:\n@",
    "N:\n@\n@",
    "N: g:\n@;",
    "N: A <@>,\nB C <@>",
    "N: @,\n \n@",
    "N: @,\nor @",
    "Subject: s\n N: @",
    "Subject: s\u{2028}N: @",
    "Subject: s\rN: @",
    "From: f@x\rN: @,\r @",
];
const OTHERS: &[&str] = &[
    "Subject: s",
    "X-A: b\n c",
    "From r Sun Nov",
    "not a field",
    "PHP Warning: foo in bar",
    "Date:",
    "Reply-To: r@x",
    " indented",
];

fn line() -> impl Strategy<Value = (&'static str, &'static str)> {
    let name = prop_oneof![Just("Bcc"), Just("bcc"), Just("To"), Just("Cc")];
    prop_oneof![
        3 => (prop::sample::select(FORMS), name),
        2 => (prop::sample::select(OTHERS), Just("")),
    ]
}

/// The header that is meant, and all addresses in it.
fn written(lines: &[(&str, &str)]) -> (String, Vec<String>) {
    let (mut header, mut addresses) = (String::new(), Vec::new());
    for (form, name) in lines {
        let form = form.replace("n : ", "N : ").replace('N', name);
        if name.is_empty() {
            header += &form;
            header.push('\n');
            continue;
        }
        for (index, part) in form.split('@').enumerate() {
            // The address of a sender is written out.
            let whole = index > 0 && !part.starts_with('x');
            if whole {
                let kind = if name.eq_ignore_ascii_case("bcc") {
                    "blind"
                } else {
                    "seen"
                };
                addresses.push(format!("{kind}{}@d.example", addresses.len()));
                header += addresses.last().unwrap();
            } else if index > 0 {
                header.push('@');
            }
            header += part;
        }
        header.push('\n');
    }
    (header, addresses)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nobody_who_is_blind_is_shown_by_any_door_and_whoever_is_named_is_served_or_told(
        lines in prop::collection::vec(line(), 1..7),
        size in 1usize..40,
        crlf: bool,
    ) {
        let (header, addresses) = written(&lines);
        let body = "\nBcc: body@text\nTo: body@text,\nmore\n";
        let mut input = format!("{header}{body}");
        if crlf {
            input = input.replace('\n', "\r\n");
        }
        let got = left(Incoming::piped(), input.as_bytes(), size);
        prop_assert!(!got.text.contains("blind"), "{input:?}\n{}", got.text);
        prop_assert!(got.text.ends_with(body), "{input:?}\n{}", got.text);
        for address in &addresses {
            let known = got.served.contains(address) || got.told.contains(address.as_str());
            prop_assert!(known, "{address} of {input:?}: {:?} {}", got.served, got.told);
        }
        // By SMTP, where a bare CR is refused.
        let sent = input.replace("\r\n", "\n");
        if !sent.contains('\r') {
            let sent = sent.replace('\n', "\r\n");
            let by_smtp = left(Incoming::of_ours(), sent.as_bytes(), size);
            prop_assert_eq!((by_smtp.header, by_smtp.body), (got.header, got.body));
        }
    }

    #[test]
    fn a_sound_message_stays_as_it_is_by_every_door(
        fields in prop::collection::vec("[A-Z][a-z]{0,4}(-[A-Z][a-z]{0,4})?: [ -~é]{0,60}(\r\n [!-~][ -~]{0,60}){0,2}", 1..8),
        body in "([ -~é]{0,60}\r\n){0,8}",
        size in 1usize..40,
    ) {
        let inside = |field: &String| field.lines().skip(1).any(|line| {
            let line = line.to_ascii_lowercase();
            ["to", "cc", "bcc"].iter().any(|name| line.trim_start().starts_with(name))
        });
        prop_assume!(!fields.iter().any(inside));
        let header = fields.join("\r\n");
        let message = format!("{header}\r\n\r\n{body}");
        for door in [Incoming::piped, Incoming::of_ours, Incoming::of_strangers] {
            let mut incoming = door();
            let mut got = Vec::new();
            for piece in message.as_bytes().chunks(size) {
                got.extend_from_slice(incoming.feed(piece).unwrap());
            }
            got.extend_from_slice(incoming.end().unwrap());
            let arrived = incoming.finish();
            prop_assert_eq!(arrived.header.to_bytes(), format!("{header}\r\n").into_bytes());
            prop_assert_eq!(&got, &body.clone().into_bytes());
            prop_assert_eq!(arrived.misplaced, []);
        }
    }
}
