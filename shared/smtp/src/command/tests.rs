use proptest::prelude::*;

use super::*;
use crate::capability::Capabilities;
use mail::{
    address::{Address, Mailbox},
    envelope::{Mail, Notify, Rcpt, Recipient, Ret},
};

const RULES: Rules<'static> = Rules {
    hostname: "mail.example.org",
    local: false,
    auth: false,
    xmove: false,
    utf8: false,
};
const LOCAL: Rules<'static> = Rules {
    hostname: "vm1.example.org",
    local: true,
    auth: false,
    xmove: false,
    utf8: true,
};

/// The recipient as it would go on, or the reply.
fn rcpt(arguments: &str) -> String {
    match recipient(arguments, RULES) {
        Ok(rcpt) => rcpt.to.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_recipient_is_kept_as_it_was_written_or_refused() {
    let cases = [
        ("TO:<user@example.org>", "user@example.org"),
        ("to:  user@example.org", "user@example.org"),
        ("To:<user@example.org> NOTIFY=NEVER", "user@example.org"),
        (r#"TO:<"a\"b@c"@example.org>"#, r#""a\"b@c"@example.org"#),
        (r#"TO:<"a> b"@example.org>"#, r#""a> b"@example.org"#),
        ("TO:<a@[127.0.0.1]>", "a@[127.0.0.1]"),
        ("TO:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
        ("TO:<postmaster>", "postmaster@mail.example.org"),
        ("TO:<Postmaster>", "Postmaster@mail.example.org"),
        (
            "TO:<@a.example,@[IPv6:::1]:user@example.org>",
            "user@example.org",
        ),
        ("TO:<user@example.org.>", "user@example.org"),
        ("TO:user@Example.ORG. NOTIFY=NEVER", "user@Example.ORG"),
        ("TO:<@a.example:user@example.org.>", "user@example.org"),
        (
            "TO:<user@example.org..>",
            "501 5.1.3 Bad recipient address syntax",
        ),
        ("TO:<user@.>", "501 5.1.3 Bad recipient address syntax"),
        (
            "TO:<a@[127.0.0.1].>",
            "501 5.1.3 Bad recipient address syntax",
        ),
        (r#"TO:<"a@b".>"#, "501 5.1.3 Bad recipient address syntax"),
        ("TO:<postmaster.>", "501 5.1.3 Bad recipient address syntax"),
        ("TO:<>", "501 5.1.3 Bad recipient address syntax"),
        ("TO:", "501 5.1.3 Bad recipient address syntax"),
        (
            "TO:<user@example.org",
            "501 5.1.3 Bad recipient address syntax",
        ),
        (
            "TO:<user@example.org>x",
            "501 5.1.3 Bad recipient address syntax",
        ),
        (
            "TO:<a b@example.org>",
            "501 5.1.3 Bad recipient address syntax",
        ),
        (
            "TO:<<a@example.org>>",
            "501 5.1.3 Bad recipient address syntax",
        ),
        ("TO:<@a.example:>", "501 5.1.3 Bad recipient address syntax"),
        (
            "TO:<@a..example:user@example.org>",
            "501 5.1.3 Bad recipient address syntax",
        ),
        (
            "TO:<root>",
            "504 5.5.2 <root>: Recipient address rejected: need fully-qualified address",
        ),
        (
            "TO:<jürgen@example.org>",
            "553 5.6.7 Error: a non-ASCII recipient needs MAIL with SMTPUTF8",
        ),
        ("<user@example.org>", "501 5.5.4 Syntax: RCPT TO:<address>"),
        ("", "501 5.5.4 Syntax: RCPT TO:<address>"),
        (
            "TO:<a@example.org> NOTIFY=NEVER,SUCCESS",
            "501 5.5.4 Error: bad NOTIFY parameter",
        ),
        (
            "TO:<a@example.org> NOTIFY=",
            "501 5.5.4 Error: bad NOTIFY parameter",
        ),
        (
            "TO:<a@example.org> NOTIFY=DELAY NOTIFY=DELAY",
            "501 5.5.4 Error: bad NOTIFY parameter",
        ),
        (
            "TO:<a@example.org> ORCPT=a@example.org",
            "501 5.5.4 Error: bad ORCPT parameter",
        ),
        (
            "TO:<a@example.org> ORCPT=rfc822;a+0D+0Ab",
            "501 5.5.4 Error: bad ORCPT parameter",
        ),
        (
            "TO:<a@example.org> SIZE=1",
            "555 5.5.4 Unsupported option: SIZE",
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(rcpt(arguments), expected, "{arguments}");
    }
}

#[test]
fn a_sender_is_read_with_its_parameters_or_refused() {
    let full = "FROM:<a@example.org> size=1024 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2B1";
    let expected = Mail {
        sender: Some(Address::parse("a@example.org").unwrap().into()),
        size: Some(1024),
        eight_bit: true,
        utf8: true,
        ret: Some(Ret::Headers),
        envid: Some("q+1".into()),
        ..Mail::default()
    };
    assert_eq!(mail(full, RULES), Ok(expected));
    assert_eq!(mail("FROM:<>", RULES), Ok(Mail::default()));
    assert_eq!(
        mail("FROM:<> SIZE=99999999999999999999", RULES)
            .unwrap()
            .size,
        Some(u64::MAX)
    );
    let refused = [
        ("FROM:", "501 5.1.7 Bad sender address syntax"),
        ("FROM:<a@>", "501 5.1.7 Bad sender address syntax"),
        ("<a@example.org>", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        (
            "TO:<a@example.org>",
            "501 5.5.4 Syntax: MAIL FROM:<address>",
        ),
        (
            "FROM:<root>",
            "504 5.5.2 <root>: Sender address rejected: need fully-qualified address",
        ),
        (
            "FROM:<é@example.org>",
            "553 5.6.7 Error: a non-ASCII sender needs the parameter SMTPUTF8",
        ),
        ("FROM:<> SIZE=-1", "501 5.5.4 Error: bad SIZE parameter"),
        (
            "FROM:<> BODY=BINARYMIME",
            "501 5.5.4 Error: bad BODY parameter",
        ),
        (
            "FROM:<> SMTPUTF8=yes",
            "501 5.5.4 Error: bad SMTPUTF8 parameter",
        ),
        ("FROM:<> XCALLER", "555 5.5.4 Unsupported option: XCALLER"),
        ("FROM:<> XQUEUED", "555 5.5.4 Unsupported option: XQUEUED"),
        ("FROM:<> XMOVE", "555 5.5.4 Unsupported option: XMOVE"),
        ("FROM:<> AUTH=<>", "555 5.5.4 Unsupported option: AUTH"),
    ];
    for (arguments, expected) in refused {
        assert_eq!(
            mail(arguments, RULES).unwrap_err().to_string(),
            expected,
            "{arguments}"
        );
    }
}

#[test]
fn the_agents_socket_takes_names_without_domain_and_the_callers_full_name() {
    let sender = mail("FROM:<root> XCALLER=J.+20Doe", LOCAL).unwrap();
    assert_eq!(
        (sender.sender, sender.xcaller),
        (Mailbox::parse("root").ok(), Some(Some("J. Doe".into())))
    );
    let mail = |arguments| mail(arguments, LOCAL).map(|mail| (mail.xcaller, mail.queued));
    assert_eq!(mail("FROM:<> XCALLER"), Ok((Some(None), false)));
    assert_eq!(mail("FROM:<> XQUEUED"), Ok((None, true)));
    assert!(mail("FROM:<> XQUEUED=1").is_err() && mail("FROM:<> XQUEUED XQUEUED").is_err());
    let to = recipient("TO:<postmaster>", LOCAL).unwrap();
    assert_eq!(Ok(to.to), Mailbox::parse("postmaster"));
}

#[test]
fn a_callers_full_name_of_any_length_and_language_never_costs_his_mail() {
    let peer = Capabilities {
        xcaller: true,
        smtputf8: true,
        ..Capabilities::default()
    };
    for letter in ["x", "+", "é", "中", "😀"] {
        for (count, utf8) in [1, 55, 84, 128, 500, 5000]
            .into_iter()
            .zip([false, true].repeat(3))
        {
            let name = letter.repeat(count);
            let sent = Mail {
                xcaller: Some(Some(name.clone())),
                ..Mail::default()
            };
            let mut out = Vec::new();
            write_mail(&mut out, &sent, utf8, &peer);
            let line = String::from_utf8(out).unwrap();
            let arguments = line.trim_end().strip_prefix("MAIL ").unwrap();
            let read = mail(arguments, LOCAL).unwrap().xcaller.flatten().unwrap();
            assert!(
                !read.is_empty() && name.starts_with(&read),
                "{letter} {count}"
            );
            assert!(read == name || count > 50, "{letter} {count}");
        }
    }
}

#[test]
fn verbs_are_known_in_any_case_and_binary_lines_are_refused() {
    assert_eq!(split(b"helo test"), Ok((Verb::Helo, "test")));
    assert_eq!(split(b"mail from: <a@b>"), Ok((Verb::Mail, "from: <a@b>")));
    assert_eq!(split(b"\tQUIT  "), Ok((Verb::Quit, "")));
    assert_eq!(split(b"DATA foo"), Ok((Verb::Data, "foo")));
    assert_eq!(split(b"GET / HTTP/1.1"), Ok((Verb::Http, "/ HTTP/1.1")));
    assert_eq!(split(b""), Ok((Verb::Unknown, "")));
    assert_eq!(split(b"MAIL FROM:<\xff\xfe@x>"), Err(CommandError::Utf8));
    assert_eq!(split(b"NOOP\x00"), Err(CommandError::Control));
    assert_eq!(
        chunk("0 last"),
        Ok(Chunk {
            size: 0,
            last: true
        })
    );
    for bad in [
        "",
        "x",
        "-1",
        "+1",
        "1 LAST x",
        "1 FIRST",
        "99999999999999999999",
    ] {
        assert!(chunk(bad).is_err(), "{bad}");
    }
    for bad in ["", "a b", "a\u{a0}b", &"a".repeat(256)] {
        assert!(helo_name(Verb::Ehlo, bad).is_err(), "{bad}");
    }
}

#[test]
fn the_client_asks_only_for_what_the_peer_offered() {
    let address = |text| Address::parse(text).unwrap();
    let mail = Mail {
        sender: Some(address("a@example.org").into()),
        size: Some(77),
        eight_bit: true,
        utf8: true,
        ret: Some(Ret::Full),
        envid: Some("a b+c".into()),
        ..Mail::default()
    };
    let notify = Notify {
        explicit: true,
        success: true,
        failure: false,
        delay: true,
    };
    let recipient = Recipient {
        original: Some(address("root@example.org")),
        notify,
        ..address("b@example.org").into()
    };
    let all = Capabilities {
        size: Some(0),
        eight_bit_mime: true,
        smtputf8: true,
        dsn: true,
        xcaller: true,
        ..Capabilities::default()
    };
    let written = |peer: &Capabilities, xcaller: Option<Option<String>>| {
        let mut out = Vec::new();
        let mail = Mail {
            queued: xcaller.is_some(),
            xcaller,
            ..mail.clone()
        };
        write_mail(&mut out, &mail, true, peer);
        write_recipient(&mut out, &Rcpt::from(&recipient), peer.smtputf8, peer);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        written(&Capabilities::default(), Some(None)),
        "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n"
    );
    let expected = "MAIL FROM:<a@example.org> SIZE=77 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+20b+2Bc XCALLER=J+20é XQUEUED\r\n\
                    RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;root@example.org\r\n";
    assert_eq!(written(&all, Some(Some("J é".into()))), expected);
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused_and_nothing_read_has_control_characters(line in proptest::collection::vec(any::<u8>(), 0..80), head in "(MAIL FROM:|RCPT TO:<|BDAT |EHLO |)") {
        let line = [head.as_bytes(), &line].concat();
        let Ok((verb, arguments)) = split(&line) else { return Ok(()) };
        let read = match verb {
            Verb::Mail => mail(arguments, LOCAL).map(|mail| format!("{:?}{:?}", mail.sender, mail.envid)),
            Verb::Rcpt => recipient(arguments, LOCAL).map(|rcpt| format!("{:?}{:?}", rcpt.to, rcpt.orcpt)),
            Verb::Bdat => chunk(arguments).map(|chunk| chunk.size.to_string()),
            _ => helo_name(verb, arguments).map(str::to_owned),
        };
        let text = read.unwrap_or_else(|error| error.to_string());
        prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
    }

    #[test]
    fn xtext_is_read_back_as_it_was_written(text in "[^\\p{Cc}]{0,20}", utf8: bool) {
        let mut out = Vec::new();
        xtext::encode(&text, utf8, &mut out);
        prop_assert_eq!(xtext::decode(str::from_utf8(&out).unwrap()), Some(text));
    }
}

#[test]
fn mail_that_moves_is_read_and_written_only_between_servers_that_agree() {
    let rules = Rules {
        xmove: true,
        ..RULES
    };
    let moved = mail("FROM:<> XMOVE", rules).unwrap();
    assert!(moved.moved);
    assert!(mail("FROM:<> XMOVE=1", rules).is_err() && mail("FROM:<> XMOVE XMOVE", rules).is_err());
    for xmove in [true, false] {
        let peer = Capabilities {
            xmove,
            ..Capabilities::default()
        };
        let mut out = Vec::new();
        write_mail(&mut out, &moved, false, &peer);
        assert_eq!(out.ends_with(b"<> XMOVE\r\n"), xmove);
    }
}
