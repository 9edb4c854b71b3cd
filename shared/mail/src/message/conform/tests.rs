use proptest::prelude::*;

use super::*;
use crate::{
    address::list,
    clock::Timestamp,
    envelope::Content,
    message::complete::{Facts, complete},
};

fn conformed(text: &str) -> String {
    let mut header = Header::parse(text.as_bytes());
    conform(&mut header, "me", &|_| true);
    let once = header.clone();
    assert_eq!(conform(&mut header, "me", &|_| true), []);
    assert_eq!(header, once, "conforming twice is conforming once");
    String::from_utf8_lossy(&header.to_bytes()).into_owned()
}

#[test]
fn a_field_that_may_stand_once_stands_once_and_to_and_cc_are_joined() {
    assert_eq!(
        conformed(
            "Date: Tue, 4 Oct 2022 10:00:00 +0000\r\nFrom: NAS <nas@x.example>\r\nto: a@x.example\r\nSubject: s\r\n\
             DATE: Tue, 4 Oct 2022 10:00:01 +0000\r\nFrom: other@x.example\r\nTo:\r\n b@x.example\r\nCc: \r\nCC: c@x.example\r\n\
             Message-ID: <1@x>\r\nMessage-Id: <2@x>\r\nSubject: t\r\nX-A: 1\r\nX-A: 2\r\nReceived: a\r\nReceived: b\r\n"
        ),
        "Date: Tue, 4 Oct 2022 10:00:00 +0000\r\nFrom: NAS <nas@x.example>\r\nto: a@x.example,\r\n\tb@x.example\r\nSubject: s\r\n\
         CC: c@x.example\r\nMessage-ID: <1@x>\r\nX-A: 1\r\nX-A: 2\r\nReceived: a\r\nReceived: b\r\n"
    );
}

#[test]
fn of_several_the_first_usable_one_stays() {
    assert_eq!(
        conformed(
            "Date: soon\r\nMessage-ID: none\r\nSubject:\r\nDate: 4 Oct 2022 10:00 GMT\r\nMessage-ID: <2@x>\r\nSubject: t\r\n"
        ),
        "Date: 4 Oct 2022 10:00 GMT\r\nMessage-ID: <2@x>\r\nSubject: t\r\n"
    );
}

#[test]
fn what_a_strict_relay_would_refuse_is_written_as_it_was_meant() {
    for (text, expected) in [
        (
            "From: Kock, Arne <a@x.example>\r\n",
            "From: \"Kock, Arne\" <a@x.example>\r\n",
        ),
        (
            "From: a@x.example, B <b@x.example>\r\n",
            "From: a@x.example\r\nReply-To: a@x.example, B <b@x.example>\r\n",
        ),
        (
            "Sender: Fail2Ban Daemon\r\n",
            "Sender: \"Fail2Ban Daemon\" <me>\r\n",
        ),
        ("Sender:\r\nReply-To: ()\r\nCc: ,\r\n", ""),
        ("Message-ID: 12@x (by me)\r\n", "Message-ID:\r\n"),
        ("Message-ID: 12@x\r\n", "Message-ID: <12@x>\r\n"),
        ("Message-ID: <12@x> (by me)\r\n", "Message-ID: <12@x>\r\n"),
        ("Message-ID: <12>\r\n", "Message-ID:\r\n"),
        (
            "Subject: a\u{7}b\u{1b}[2J\u{7f}c\r\n\td\r\n",
            "Subject: a b [2J c\r\n\td\r\n",
        ),
        ("Comments: a\u{c}b\r\n", "Comments: a b\r\n"),
        (
            "Subject: \u{1b}$B$3$s\u{1b}(B\r\n",
            "Subject: \u{1b}$B$3$s\u{1b}(B\r\n",
        ),
        (
            "Date: 2022-10-04T10:00:00Z\r\n",
            "Date: Tue, 04 Oct 2022 10:00:00 +0000\r\n",
        ),
        ("Subject : x\r\n \r\n\ty\r\n", "Subject: x\r\n\ty\r\n"),
        (
            "no field\r\n and more\r\nA: b\r\n",
            "X-Malformed: no field and more\r\nA: b\r\n",
        ),
    ] {
        assert_eq!(conformed(text), expected, "{text}");
    }
}

#[test]
fn thousands_of_one_field_are_no_work() {
    for line in [
        "Resent-To: a@x.example\r\n",
        "To: a@x.example\r\n",
        "From: (((\r\n",
        "Date: x\r\n",
    ] {
        let text = line.repeat(crate::limits::HEADER / line.len());
        assert!(conformed(&text).len() <= text.len() * 2);
    }
}

/// What RFC 5322 §3.6 asks of a message that leaves.
fn assert_strict(header: &Header, text: &str) {
    let all = String::from_utf8_lossy(&header.to_bytes()).into_owned();
    for name in ONCE {
        let count = header
            .fields()
            .iter()
            .filter(|field| field.is(name))
            .count();
        let wanted = ["Date", "From", "Message-ID"].contains(name);
        assert!(
            count <= 1 && (count == 1 || !wanted),
            "{count} {name} in {all} of {text}"
        );
    }
    let value = |name: &str| decode(&header.first(name).unwrap().value());
    assert_eq!(date::read(&value("Date")), date::Date::Fine, "{all}");
    assert_eq!(as_message_id(&value("Message-ID")), None, "{all}");
    for field in header.fields() {
        assert!(!field.name().is_empty(), "{all}");
        let author = is_one_of(field, AUTHORS);
        if author || is_one_of(field, RECIPIENTS) {
            let list = list::parse(field.body());
            assert_eq!(list.problems, [], "{all} of {text}");
            assert!(!author || list.entries.len() == 1, "{all} of {text}");
        }
    }
}

fn any_field() -> impl Strategy<Value = String> {
    let names = prop::sample::select(
        [
            ONCE,
            AUTHORS,
            RECIPIENTS,
            &["X-A", "Resent-Date", "no field"],
        ]
        .concat(),
    );
    let value = prop_oneof![
        prop::collection::vec(
            prop::sample::select(
                &[
                    "a@x.example",
                    "<b@x.example>",
                    "Kock",
                    ",",
                    ":",
                    ";",
                    "[",
                    "\"",
                    "(",
                    ")",
                    " ",
                    "<",
                    ">",
                    "@",
                    "\r\n ",
                    "\r\n\t\r\n x"
                ][..]
            ),
            0..8
        )
        .prop_map(|words| words.concat()),
        prop::sample::select(
            &[
                "Tue, 4 Oct 2022 10:00:00 +0000",
                "Tue Oct  4 10:00:00 UTC 2022",
                "<1@x>",
                "1@x",
                "\u{fc}ber"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    (names, value).prop_map(|(name, value)| format!("{name}: {value}\r\n"))
}

proptest! {
    #[test]
    fn whatever_a_program_writes_leaves_as_rfc_5322_asks(fields in prop::collection::vec(any_field(), 0..12)) {
        let text = fields.concat();
        let mut header = Header::parse(text.as_bytes());
        conform(&mut header, "me@x.example", &|_| true);
        let facts = Facts {
            now: Timestamp::from_secs(1_795_333_912),
            hostname: "vm1.example.org",
            id: "4bX",
            from: "root <root@example.org>",
            content: Content::default(),
            charset: "utf-8",
        };
        complete(&mut header, &facts);
        assert_strict(&header, &text);
    }
}

#[test]
fn what_is_written_anew_has_no_obsolete_form_and_what_is_not_may_keep_it() {
    let kept = "Date: 4 Oct 22 10:00 GMT\r\nReferences: Your mail of today <1@x>\r\n\
                In-Reply-To: Joe's <2@x> (yesterday)\r\n";
    assert_eq!(conformed(kept), kept);
    let obsolete = [" :", ":\x01", ":\r\n \r\n "];
    for colon in obsolete {
        for (field, expected) in [
            (
                "Date: 4 Oct 22 10:00 GMT",
                "Date: Tue, 04 Oct 2022 10:00:00 +0000",
            ),
            (
                "Date: Tue, 4 Oct 2022 10:00:00 -0700 (PDT)",
                "Date: Tue, 04 Oct 2022 10:00:00 -0700",
            ),
            (
                "References: Your mail <1@x> of <2 @x> <3@x>",
                "References: <1@x> <3@x>",
            ),
            ("In-Reply-To: Joe's <2@x> (yesterday)", "In-Reply-To: <2@x>"),
            ("In-Reply-To: Your mail", ""),
        ] {
            let text = field.replacen(':', colon, 1) + "\r\n";
            let expected = if expected.is_empty() {
                String::new()
            } else {
                format!("{expected}\r\n")
            };
            assert_eq!(conformed(&text), expected, "{text:?}");
        }
    }
    for fine in [
        "Date : Tue, 4 Oct 2022 10:00 +0200\r\n",
        "References : <1@x> <2@x>\r\n",
    ] {
        assert_eq!(conformed(fine), fine.replace(" :", ":"));
    }
}
