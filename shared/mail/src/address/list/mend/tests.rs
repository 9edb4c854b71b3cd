use proptest::prelude::*;

use super::*;

fn author(text: &str) -> Option<String> {
    mend(text.as_bytes(), Role::Author("me")).map(|mended| mended.text)
}
fn recipients(text: &str) -> Option<String> {
    mend(text.as_bytes(), Role::Recipients(&|_| true)).map(|mended| mended.text)
}

#[test]
fn a_name_with_specials_stays_the_name_of_one_author() {
    for (text, expected) in [
        ("Kock, Arne <a@x.example>", "\"Kock, Arne\" <a@x.example>"),
        (
            "Kock, Arne, Dr. <a@x.example>",
            "\"Kock, Arne, Dr.\" <a@x.example>",
        ),
        ("Dr. Joe, MD <a@x.example>", "\"Dr. Joe, MD\" <a@x.example>"),
        (
            "Joe, Dr. , MD. Ph. D. <a@x.example>",
            "\"Joe, Dr., MD. Ph. D.\" <a@x.example>",
        ),
        (
            "St.John, A. B <a@x.example>",
            "\"St.John, A. B\" <a@x.example>",
        ),
        (
            "Ops: nightly <a@x.example>",
            "\"Ops: nightly\" <a@x.example>",
        ),
        ("Ops: a@x.example", "Ops <a@x.example>"),
        (
            "Ops; nightly <a@x.example>",
            "\"Ops, nightly\" <a@x.example>",
        ),
        (
            "Backup [nas] <a@x.example>",
            "\"Backup [nas]\" <a@x.example>",
        ),
        ("me@home <a@x.example>", "\"me@home\" <a@x.example>"),
        ("a \\ b <a@x.example>", "\"a \\\\ b\" <a@x.example>"),
        ("smiley :) <a@x.example>", "\"smiley :)\" <a@x.example>"),
        ("\"Kock, Arne <a@x.example>", "\"Kock, Arne\" <a@x.example>"),
        ("Arne (boss <a@x.example>", "\"Arne boss\" <a@x.example>"),
        ("Arne [boss <a@x.example>", "\"Arne boss\" <a@x.example>"),
        ("Fail2Ban Daemon", "\"Fail2Ban Daemon\" <me>"),
        ("Cron <>", "Cron <me>"),
        ("<a@x.example> Arne", "Arne <a@x.example>"),
        ("Arne <a@x.example", "Arne <a@x.example>"),
        ("Arne a@x.example", "Arne <a@x.example>"),
        (
            "=?utf-8?q?J=C3=BC?=, [nas] <a@x.example>",
            "=?utf-8?q?J=C3=BC?= \",\" \"[nas]\" <a@x.example>",
        ),
        (
            "=?utf-8?Q?M=C3=BC,_(J.)?= <a@x.example>",
            "=?utf-8?Q?M=C3=BC=2C_=28J=2E=29?= <a@x.example>",
        ),
        ("J. Doe <a@x.example>", "\"J. Doe\" <a@x.example>"),
        (
            "J. \"R. R.\" Tolkien (x)\r\n <a@x.example>",
            "\"J. R. R. Tolkien\" <a@x.example>",
        ),
        ("a@x.example, b@x.example", "a@x.example"),
        ("a@x.example, Arne, Kock", "a@x.example"),
        (",\"=?utf-8?q?x?=\"", "=?utf-8?q?x?= <me>"),
        ("a@x.example.", "a@x.example"),
        ("", ""),
        ("(nobody)", ""),
    ] {
        assert_eq!(author(text).as_deref(), Some(expected), "{text}");
    }
    for fine in [
        "root (Cron Daemon)",
        "root",
        "a@x.example",
        "\"Kock, Arne\" (boss)\r\n <a@x.example>",
        "=?utf-8?q?J=C3=BC?= <a@x.example>",
        "\"a b\"@x.example",
    ] {
        assert_eq!(author(fine), None, "{fine}");
    }
}

#[test]
fn a_comma_that_lacks_behind_a_group_is_put_there() {
    for (text, expected) in [
        ("g: a@x; b@y", "g: a@x;, b@y"),
        ("g: a@x; Bob <b@y>, c@z", "g: a@x;, Bob <b@y>, c@z"),
        ("g: a@x; h: b@y;", "g: a@x;, h: b@y;"),
        ("g:; root", "g:;, root"),
    ] {
        assert_eq!(recipients(text).as_deref(), Some(expected), "{text}");
        assert_eq!(recipients(expected), None, "{expected}");
    }
    for fine in ["g:;, h:;", "g: a@x;, b@y", "g: a@x;"] {
        assert_eq!(recipients(fine), None, "{fine}");
    }
}

#[test]
fn words_before_a_mailbox_with_a_name_are_of_that_name_unless_they_are_known_as_mailboxes() {
    let mended = |text: &str| {
        let known = |word: &str| word == "root";
        mend(text.as_bytes(), Role::Recipients(&known)).map(|mended| mended.text)
    };
    for (text, expected) in [
        ("Kock, Arne <a@x.example>", "\"Kock, Arne\" <a@x.example>"),
        (
            "Kock Meier, Arne,\r\n Dr. <a@x.example>",
            "\"Kock Meier, Arne, Dr.\" <a@x.example>",
        ),
        (
            "b@x.example, Kock, Arne <a@x.example>, root, Otto <o@x.example>",
            "b@x.example, \"Kock, Arne\" <a@x.example>, root, Otto <o@x.example>",
        ),
        (
            "Kock, root, Arne B. <a@x.example>",
            "Kock, root, \"Arne B.\" <a@x.example>",
        ),
        ("Kock Meier, a@x.example", "\"Kock Meier\":;, a@x.example"),
        (
            "\"Kock\", g: a@x.example;, Kock, Arne <b@x.example>",
            "Kock, g: a@x.example;, \"Kock, Arne\" <b@x.example>",
        ),
    ] {
        assert_eq!(mended(text).as_deref(), Some(expected), "{text}");
        assert_eq!(mended(expected), None, "{expected}");
    }
    for fine in [
        "root, Arne <a@x.example>",
        "Kock",
        "Kock, a@x.example",
        "Kock, <a@x.example>",
        "a@x.example, Kock",
        "Kock (boss), Arne <a@x.example>",
        "g: Kock, Arne <a@x.example>;",
    ] {
        assert_eq!(mended(fine), None, "{fine}");
    }
}

/// The envelope of `-t` and what readers see are the same.
#[test]
fn mailboxes_in_brackets_with_no_comma_between_them_are_as_many() {
    for (text, expected, read) in [
        ("<a@x.example> <b@y.example>", "a@x.example, b@y.example", 2),
        ("<a@x.example><b@y.example>", "a@x.example, b@y.example", 2),
        (
            "Ann <a@x.example> \"B. B.\" <b@y.example>",
            "Ann <a@x.example>, \"B. B.\" <b@y.example>",
            2,
        ),
        (
            "<a@x.example>\r\n b@y.example",
            "a@x.example, b@y.example",
            2,
        ),
        ("<root> <b@y.example>", "root, b@y.example", 2),
        ("<a@x.example> <b@y.example", "a@x.example, b@y.example", 2),
        (
            "g: <a@x.example> <b@y.example>;",
            "g: a@x.example, b@y.example;",
            2,
        ),
        (
            "c@z.example, <a@x.example> (x) <b@y.example> (y)",
            "c@z.example, a@x.example, x <b@y.example>",
            3,
        ),
    ] {
        let mended = recipients(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(mended, expected, "{text}");
        let targets = |text: &str| -> Vec<Mailbox> {
            let list = parse(text.as_bytes());
            assert_eq!(list.problems, [], "{text}");
            list.entries.into_iter().map(|entry| entry.target).collect()
        };
        assert_eq!(targets(text).len(), read, "{text}");
        assert_eq!(targets(text), targets(&mended), "{text}");
    }
    let mended = mend(b"<a@x.example> <b@y.example>", Role::Author("me")).unwrap();
    assert_eq!(mended.text, "a@x.example");
    assert_eq!(mended.authors, ["a@x.example", "b@y.example"]);
    // A name in which there are brackets.
    assert_eq!(
        author("Arne <arne> <a@x.example>").as_deref(),
        Some("\"Arne <arne>\" <a@x.example>")
    );
}

#[test]
fn recipients_keep_their_groups_and_what_is_no_address_becomes_an_empty_one() {
    for (text, expected) in [
        ("undisclosed-recipients:", "undisclosed-recipients:;"),
        ("undisclosed recipients", "\"undisclosed recipients\":;"),
        (
            "Ops: nightly <a@x.example>",
            "\"Ops: nightly\" <a@x.example>",
        ),
        ("a@x.example d@x.example", "a@x.example, d@x.example"),
        ("a@x.example; d@x.example", "a@x.example, d@x.example"),
        ("a@x.example,, d@x.example,", "a@x.example, d@x.example"),
        (
            "g: a@x.example, [b] <c@x.example>;, e@x.example",
            "g: a@x.example, \"[b]\" <c@x.example>;, e@x.example",
        ),
        (
            "root, J. Doe <a@x.example>",
            "root, \"J. Doe\" <a@x.example>",
        ),
        ("St. Mary: a@x.example;", "\"St. Mary\": a@x.example;"),
        ("<@r.example,@s.example:a@x.example>", "a@x.example"),
        (
            "a@@x.example, b@x.example",
            "\"a@@x.example\":;, b@x.example",
        ),
        // Its quote is never closed.
        (
            "\"@;, b@x.example, Arne <b@x.example>",
            "\"@;, b@x.example, Arne <b@x.example>\":;",
        ),
    ] {
        assert_eq!(recipients(text).as_deref(), Some(expected), "{text}");
    }
    for fine in [
        "root, Arne <a@x.example>",
        "g:;",
        "g: a@x.example;, b@x.example",
        "a@x.example (x)",
    ] {
        assert_eq!(recipients(fine), None, "{fine}");
    }
}

proptest! {
    #[test]
    fn what_is_mended_is_well_formed_and_keeps_its_addresses(
        words in prop::collection::vec(prop::sample::select(&[
            "a@x.example", "<b@y.example>", "Arne", ",", ";", ":", "[", "]", "\"", "(", ")", "<", ">", "@", ".", "\\",
            " ", "=?utf-8?q?x?=", "\u{fc}", "\r\n ",
        ][..]), 0..14),
    ) {
        let text = words.concat();
        for role in [Role::Author("me"), Role::Recipients(&|_| true)] {
            let Some(mended) = mend(text.as_bytes(), role) else { continue };
            if mended.text.is_empty() {
                continue;
            }
            prop_assert_eq!(mend(mended.text.as_bytes(), role), None, "{} from {}", mended.text, text);
            let list = parse(mended.text.as_bytes());
            prop_assert_eq!(&list.problems, &[], "{} from {}", mended.text, text);
            prop_assert!(matches!(role, Role::Recipients(_)) || list.entries.len() == 1);
        }
    }
}
