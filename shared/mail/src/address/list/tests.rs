use proptest::prelude::*;

use super::*;
use crate::address::Address;

fn targets(text: &str) -> Vec<String> {
    let list = parse(text.as_bytes());
    assert_eq!(list.problems, [], "{text}");
    list.entries
        .into_iter()
        .map(|entry| match entry.target {
            Mailbox::Address(address) => address.to_string(),
            Mailbox::Local(local) => format!("local {}", local.as_str()),
        })
        .collect()
}

#[test]
fn lists_are_read_as_programs_and_people_write_them() {
    for (text, expected) in [
        ("root", vec!["local root"]),
        ("a@x,b@y", vec!["a@x", "b@y"]),
        ("A <a@x>, B (com@h) <b@y>", vec!["a@x", "b@y"]),
        ("\"Doe, John\" <j@x>", vec!["j@x"]),
        ("\"<evil@z>\" <a@x>", vec!["a@x"]),
        ("a@x (Doe, John <c@z>)", vec!["a@x"]),
        ("a@x (nested (deep, e@f) still)", vec!["a@x"]),
        ("undisclosed-recipients:;", vec![]),
        ("g: a@x, \"b\" <b@y>;, c@z", vec!["a@x", "b@y", "c@z"]),
        ("<@relay1,@relay2:a@x>, b@y", vec!["a@x", "b@y"]),
        ("\"a@evil\"@x", vec!["\"a@evil\"@x"]),
        ("a\r\n @ x . org", vec!["a@x.org"]),
        (
            "a@[192.0.2.1], b@[IPv6:2001:db8::1]",
            vec!["a@[192.0.2.1]", "b@[IPv6:2001:db8::1]"],
        ),
        (",, a@x ,\r\n\t, b@y,", vec!["a@x", "b@y"]),
        ("jürgen@münchen.example", vec!["jürgen@münchen.example"]),
        (
            "<root>, \"John Smith\"",
            vec!["local root", "local John Smith"],
        ),
        ("", vec![]),
    ] {
        assert_eq!(targets(text), expected, "{text:?}");
    }
}

#[test]
fn a_final_dot_and_blanks_in_the_place_of_commas_leave_no_doubt_about_what_is_meant() {
    for (text, expected) in [
        ("e@c.d.", vec!["e@c.d"]),
        ("E <e@c.d.>, f@g.", vec!["e@c.d", "f@g"]),
        ("e@[192.0.2.1]", vec!["e@[192.0.2.1]"]),
        ("a@b.c d@e.f", vec!["a@b.c", "d@e.f"]),
        ("a@b.c.\r\n\td@e.f. g@h", vec!["a@b.c", "d@e.f", "g@h"]),
        ("<a@b.c> <d@e.f>", vec!["a@b.c", "d@e.f"]),
        (
            "x@y, a@b.c \"d e\"@e.f; z@z",
            vec!["x@y", "a@b.c", "\"d e\"@e.f", "z@z"],
        ),
        ("a@b.c (one) d@e.f (two)", vec!["a@b.c", "d@e.f"]),
    ] {
        assert_eq!(targets(text), expected, "{text:?}");
    }
    for doubtful in ["e@c.d..", "e@.", "a@b@c d", "john a@"] {
        let list = parse(doubtful.as_bytes());
        assert_eq!(
            (list.entries.len(), list.problems.len()),
            (0, 1),
            "{doubtful}"
        );
    }
}

#[test]
fn what_cannot_be_seen_around_an_address_is_none_of_it() {
    for unseen in [
        "\u{200b}", "\u{202a}", "\u{202c}", "\u{a0}", "\u{feff}", "\u{200e}", "\u{2060}",
        "\u{3000}",
    ] {
        for text in [
            "?x@d.example",
            "x@d.example?",
            "<?x@d.example?>",
            "?<x@d.example>?",
            " ?? x@d.example ?",
            "Jo?Smith? <?x@d.example>",
            "?x@d.example,?",
        ] {
            let text = text.replace('?', unseen);
            assert_eq!(targets(&text), ["x@d.example"], "{text:?}");
            let mended = mend::mend(text.as_bytes(), mend::Role::Recipients(&|_| true)).unwrap();
            let bare = mended.text.rsplit(' ').next().unwrap();
            assert!(bare.is_ascii(), "{text:?}: {}", mended.text);
        }
        let inside = format!("x{unseen}y@d.example");
        assert_ne!(targets(&inside), ["xy@d.example"]);
    }
    assert_eq!(parse(b"\xa0x@d.example, a@d.example").entries.len(), 2);
    assert_eq!(targets("\u{e0}@d.example"), ["\u{e0}@d.example"]);
}

#[test]
fn the_name_that_cron_puts_into_a_comment_is_found() {
    let list = parse(b"root (Cron Daemon)");
    let entry = &list.entries[0];
    assert_eq!(entry.comment.as_deref(), Some("Cron Daemon"));
    assert_eq!((entry.mailbox.clone(), entry.spec.clone()), (0..18, 0..4));
    let list = parse(b"\"(Cron Daemon)\" <root>, J. \"R. R.\" Tolkien <t@x>");
    assert_eq!(list.entries[0].name.as_deref(), Some("(Cron Daemon)"));
    assert_eq!(list.entries[1].name.as_deref(), Some("J. R. R. Tolkien"));
}

#[test]
fn a_malformed_element_is_quoted_and_its_neighbours_are_kept() {
    for bad in ["john smith", "a@", "<>", "a\u{1}b", "a@b@c"] {
        let list = parse(format!("first@x, {bad}, last@x").as_bytes());
        assert_eq!(list.entries.len(), 2, "{bad}: {list:?}");
        assert_eq!(list.problems.len(), 1, "{bad}");
        assert_eq!(list.problems[0].text, bad);
    }
}

#[test]
fn slips_with_brackets_schemes_and_dots_leave_no_doubt_about_what_is_meant() {
    for (text, expected) in [
        ("Joe <a@x", vec!["a@x"]),
        ("Joe <a@x, b@y", vec!["a@x", "b@y"]),
        ("Joe <a@x; Jim <b@y>", vec!["a@x", "b@y"]),
        ("<a@x> Joe", vec!["a@x"]),
        ("Joe <a@x>.", vec!["a@x"]),
        ("<<a@x>>", vec!["a@x"]),
        ("Joe <<a@x>>", vec!["a@x"]),
        ("a@x>", vec!["a@x"]),
        ("Joe a@x>, <b@y", vec!["a@x", "b@y"]),
        ("<a@x>b@y", vec!["a@x", "b@y"]),
        ("<a@x><b@y>", vec!["a@x", "b@y"]),
        ("Joe <a@x> Jim <b@y>", vec!["a@x", "b@y"]),
        ("<mailto:a@x>", vec!["a@x"]),
        ("Joe <MAILTO:a@x", vec!["a@x"]),
        ("mailto:a@x", vec!["a@x"]),
        ("<smtp:a@x.>", vec!["a@x"]),
        ("a..b@x", vec!["\"a..b\"@x"]),
        ("Joe <.a.@x>", vec!["\".a.\"@x"]),
        ("\"a..b\"@x", vec!["\"a..b\"@x"]),
    ] {
        let list = parse(text.as_bytes());
        let found: Vec<_> = list
            .entries
            .iter()
            .map(|it| it.target.to_string())
            .collect();
        assert_eq!(found, expected, "{text}");
        let mended = mend::mend(text.as_bytes(), mend::Role::Recipients(&|_| true));
        let shown = mended.map_or(text.to_owned(), |mended| mended.text);
        let shown = parse(shown.as_bytes());
        assert_eq!(shown.problems, [], "{text}");
        let shown: Vec<_> = shown
            .entries
            .iter()
            .map(|it| it.target.to_string())
            .collect();
        assert_eq!(shown, expected, "as the header shows it: {text}");
    }
}

#[test]
fn an_old_encoding_is_read_in_a_name_and_refused_in_an_address() {
    let list = parse(b"J\xfcrgen <j@x>, j\xfc@x");
    assert_eq!(list.entries[0].name.as_deref(), Some("Jürgen"));
    assert_eq!(list.problems[0].text, "jü@x");
}

#[test]
fn an_address_that_a_sign_without_end_runs_through_is_told_and_its_neighbours_are_served() {
    for (text, served) in [
        ("a.(\\, b@y", vec!["b@y"]),
        ("a@(x, b@y", vec!["b@y"]),
        ("a@x (home, b@y", vec!["a@x", "b@y"]),
    ] {
        let list = parse(text.as_bytes());
        let found: Vec<_> = list
            .entries
            .iter()
            .map(|entry| &text[entry.spec.clone()])
            .collect();
        assert_eq!(found, served, "{text}");
        assert!(!list.problems.is_empty(), "{text}");
    }
}

/// With a walk over all that was before at each of them, these would take minutes.
#[test]
fn a_list_of_tens_of_thousands_of_colons_or_words_is_read_and_mended_in_one_walk() {
    const TIMES: usize = 20_000;
    for part in [
        "x\r\n Bcc: y@z ",
        "J. x@y ",
        "(c) ",
        ": ",
        "x ",
        "a: ",
        "<",
        "x@y <",
    ] {
        let text = part.repeat(TIMES);
        for text in [format!("{text};"), format!("{text}{};", ":".repeat(TIMES))] {
            let list = parse(text.as_bytes());
            assert!(list.entries.len() <= 2 * TIMES, "{part}");
            for role in [
                mend::Role::Recipients(&|_| false),
                mend::Role::Author("me@x"),
            ] {
                let mended = mend::mend(text.as_bytes(), role);
                assert!(
                    mended.is_none_or(|it| it.text.len() < 9 * text.len()),
                    "{part}"
                );
            }
        }
    }
}

#[test]
fn a_display_name_can_always_be_read_back() {
    assert_eq!(display_name("Cron Daemon"), "\"Cron Daemon\"");
    assert_eq!(display_name("root"), "root");
    assert_eq!(
        display_name("root (Cron)\r\nBcc: x"),
        "\"root (Cron) Bcc: x\""
    );
    let list = parse(format!("{} <a@x>", display_name("A \"B\" \\ <c@z>,")).as_bytes());
    assert_eq!(list.entries[0].name.as_deref(), Some("A \"B\" \\ <c@z>,"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic_and_each_place_lies_in_the_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn any_mixture_of_special_characters_is_read(text in "[a-c@<>(),;:.\"\\\\\\[\\] \r\n]{0,60}") {
        check(text.as_bytes());
    }
}

fn check(bytes: &[u8]) {
    for entry in parse(bytes).entries {
        assert!(bytes.get(entry.mailbox.clone()).is_some());
        assert!(entry.mailbox.start <= entry.spec.start && entry.spec.end <= entry.mailbox.end);
        // What is found at the place is the same address again.
        let again = parse(bytes.get(entry.spec.clone()).unwrap());
        assert_eq!(
            again.entries.first().map(|e| &e.target),
            Some(&entry.target)
        );
        if let Mailbox::Address(address) = entry.target {
            assert_eq!(Address::parse(address.as_str()), Ok(address));
        }
    }
}
