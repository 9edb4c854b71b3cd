//! Milters change fields, sender, recipients and body and put mail on hold; none of it gives
//! anybody permission to relay.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use tests::{
    milter::{Answer, Milter, Packet, field, go_on, packet},
    session::Session,
    sink::{Received, Sink},
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"From: a@ham.example\r\nSubject: x\r\n\r\nbody\r\n";

fn relay(sink: &Sink, milter: &Milter, rest: &str) -> Smarthost {
    let address = milter.endpoint();
    with_filters(sink, &format!("{{ address = \"{address}\", {rest} }}"))
}

/// For public.example and local names, with a table of recipients; 127.0.0.1 is ours.
fn with_filters(sink: &Sink, milters: &str) -> Smarthost {
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\ngreet_wait = \"0s\"\nrelayhost = \"{}\"\ndomains = {{ relay = [\"public.example\"], virtual = [\"virtual.example\"] }}\n\
         virtual = [\"virtual\"]\nrelay_recipients = [\"recipients\"]\naliases = []\nmessage_size = \"100KiB\"\n\
         milters = [{milters}]\n",
        sink.nexthop()
    ));
    smarthost.file(
        "recipients",
        "u@public.example x\nv@public.example x\nw@public.example x\n",
    );
    smarthost.file("virtual", "out@virtual.example far@far.example\n");
    smarthost.run();
    smarthost
}

fn at_end(answers: &[Vec<u8>]) -> impl Fn(&Packet, &[Packet]) -> Answer + use<> {
    let answer = answers.concat();
    move |packet, _| match packet.letter {
        b'E' => Answer::Bytes(answer.clone()),
        _ => go_on(),
    }
}

fn mail(server: &Smarthost, client: &str, recipients: &[&str]) -> String {
    let mut session = Session::connect_from(client.parse().unwrap(), server.address()).ehlo();
    let reply = session.mail("a@ham.example", recipients, MESSAGE).unwrap();
    format!("{} {}", reply.code, reply.text())
}

/// Delivers a message from a stranger, and gives what came out.
fn comes_out(server: &Smarthost, sink: &Sink, message: &[u8]) -> Received {
    let before = sink.journal().len();
    Session::connect_from(STRANGER.parse().unwrap(), server.address())
        .ehlo()
        .delivers("a@ham.example", &["u@public.example"], message);
    sink.journal().wait_for(before + 1).pop().unwrap()
}

const STRANGER: &str = "127.0.0.66";
const OURS: &str = "127.0.0.1";

/// Sender and recipients of all that came out, in order.
fn envelopes(received: &[Received]) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<_> = received
        .iter()
        .map(|it| {
            let mut recipients = it.recipients.clone();
            recipients.sort();
            (it.sender.clone(), recipients)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn sender_and_recipients_are_changed_as_the_filter_says() {
    let sink = Sink::start();
    let milter = Milter::start(at_end(&[
        packet('e', "<bounce+x@ham.example>\0RET=HDRS\0"),
        packet('-', "<U@public.example>\0"),
        packet('-', "nobody@public.example\0"),
        packet('+', "v@public.example\0"),
        packet('2', "<w@public.example>\0NOTIFY=NEVER\0"),
        packet('+', "<w@public.example>\0"),
        packet('c', ""),
    ]));
    let server = relay(&sink, &milter, "timeout = \"30s\"");
    assert!(mail(&server, STRANGER, &["u@public.example"]).starts_with("250 "));
    let received = sink.journal().wait_for(1);
    let expected = (
        "bounce+x@ham.example".to_owned(),
        vec!["v@public.example".to_owned(), "w@public.example".to_owned()],
    );
    assert_eq!(envelopes(&received), [expected]);
}

/// A filter adds nobody whom the client itself could not have named.
#[test]
fn no_filter_gives_permission_to_relay() {
    let sink = Sink::start();
    for added in [
        "<x@far.example>\0",
        "<x%far.example@far.example>\0",
        "<@public.example:x@far.example>\0",
        "<x@public.example.far.example>\0",
        "\"x@public.example\"@far.example\0",
        "<unknown@public.example>\0",
        "<u%far.example@public.example>\0",
        "<far.example!u@public.example>\0",
        "<\"u@far.example\"@public.example>\0",
        "<unknown@virtual.example>\0",
        "<unknown@mail.example.test>\0",
    ] {
        let milter = Milter::start(at_end(&[
            packet('-', "<u@public.example>\0"),
            packet('+', added),
            packet('h', "X-Edited\0yes\0"),
            packet('a', ""),
        ]));
        let mut server = relay(&sink, &milter, "on_failure = \"tempfail\"");
        assert_eq!(
            mail(&server, STRANGER, &["u@public.example"]),
            "451 4.7.1 Service unavailable - try again later",
            "{added}"
        );
        server.daemon().wait_for_log(": it adds the recipient ");
        // As if there were no filter: nothing of what it wanted is done.
        let server = relay(&sink, &milter, "on_failure = \"accept\"");
        let before = sink.journal().len();
        assert!(mail(&server, STRANGER, &["u@public.example"]).starts_with("250 "));
        let last = sink.journal().wait_for(before + 1).pop().unwrap();
        assert_eq!(last.recipients, ["u@public.example"]);
        assert!(last.fields("X-Edited").is_empty());
    }
    for (client, added, wanted, why) in [
        (
            OURS,
            "x@far.example",
            "x@far.example",
            "our own client could have",
        ),
        (
            STRANGER,
            "out@virtual.example",
            "far@far.example",
            "an alias leads on",
        ),
    ] {
        let added = packet('+', format!("<{added}>\0"));
        let milter = Milter::start(at_end(&[added, packet('c', "")]));
        let server = relay(&sink, &milter, "timeout = \"30s\"");
        let before = sink.journal().len();
        assert!(mail(&server, client, &["u@public.example"]).starts_with("250 "));
        let received = sink.journal().wait_for(before + 1).split_off(before);
        let mut named = received.iter().flat_map(|it| &it.recipients);
        assert!(named.any(|it| it == wanted), "{why}: {received:?}");
    }
}

#[test]
fn mail_that_a_filter_would_discard_quarantine_or_take_from_everybody_waits_for_an_administrator() {
    let sink = Sink::start();
    let nobody = vec![packet('-', "<u@public.example>\0"), packet('c', "")];
    let quarantine = vec![packet('q', "looks odd\n\u{1b}[2J\0"), packet('c', "")];
    for (step, answer, why) in [
        (
            'M',
            vec![packet('d', "")],
            "it asked for the message to be discarded",
        ),
        (
            'R',
            vec![packet('d', "")],
            "it asked for the message to be discarded",
        ),
        (
            'B',
            vec![packet('d', "")],
            "it asked for the message to be discarded",
        ),
        (
            'E',
            vec![packet('d', "")],
            "it asked for the message to be discarded",
        ),
        ('E', nobody, "it removed all recipients"),
        ('E', quarantine, "looks odd\\x0a\\x1b[2J"),
    ] {
        let before = sink.journal().len();
        let answer = answer.concat();
        let milter = Milter::start(move |packet, _| {
            if packet.letter == step as u8 {
                Answer::Bytes(answer.clone())
            } else {
                go_on()
            }
        });
        let mut server = relay(&sink, &milter, "timeout = \"30s\"");
        let reply = mail(&server, STRANGER, &["u@public.example"]);
        let id = reply
            .strip_prefix("250 2.0.0 Ok: queued as ")
            .unwrap()
            .to_owned();
        let log = server
            .daemon()
            .wait_for_log(&format!("{id}: milter-hold: END-OF-MESSAGE from "));
        let line = log
            .lines()
            .find(|line| line.contains("milter-hold"))
            .unwrap();
        assert!(line.contains("milter triggers HOLD action: "), "{line}");
        assert!(line.replace("\\\\", "\\").contains(why), "{line}");
        assert!(
            line.contains("from=<a@ham.example> to=<u@public.example>"),
            "{line}"
        );
        let listing = server.wait_for_mailq("the message", |listing| listing.contains(&id));
        assert!(listing.contains(&format!("{id}!")), "{listing}");
        let reason = format!("(milter {}: ", milter.endpoint());
        assert!(listing.contains(&reason), "{listing}");
        assert_eq!(sink.journal().len(), before);
        assert!(server.admin(&["queue", "release", &id]).status.success());
        let received = sink.journal().wait_for(before + 1).pop().unwrap();
        assert_eq!(received.recipients, ["u@public.example"]);
        assert_eq!(received.body(), "body\r\n");
    }
}

#[test]
fn a_body_that_a_filter_sends_is_in_whole_lines_within_the_limit() {
    let sink = Sink::start();
    for (pieces, body) in [
        (
            vec!["one\ntwo\rthree\r", "\nfour\r\r\n.\r\n..\r\nfive"],
            "one\r\ntwo\r\nthree\r\nfour\r\n.\r\n..\r\nfive\r\n",
        ),
        (vec![""], ""),
        (vec!["ab\n.\nQUIT\n"], "ab\r\n.\r\nQUIT\r\n"),
        (vec!["\r", "\n", "\r", "x"], "\r\n\r\nx\r\n"),
    ] {
        let mut answers: Vec<_> = pieces.iter().map(|piece| packet('b', piece)).collect();
        answers.insert(1, packet('h', "X-Between\0yes\0"));
        answers.push(packet('c', ""));
        let milter = Milter::start(at_end(&answers));
        let server = relay(&sink, &milter, "timeout = \"30s\"");
        let before = sink.journal().len();
        assert!(mail(&server, STRANGER, &["u@public.example"]).starts_with("250 "));
        let received = sink.journal().wait_for(before + 1).pop().unwrap();
        assert_eq!(received.body(), body, "{pieces:?}");
        assert_eq!(received.fields("X-Between").len(), 1);
    }
    let long = "0123456789abcde\r\n".repeat(6 * 1024);
    let milter = Milter::start(at_end(&[
        packet('b', &long),
        packet('b', "8 bits: é\n"),
        packet('c', ""),
    ]));
    let server = relay(&sink, &milter, "timeout = \"30s\"");
    let before = sink.journal().len();
    let reply = mail(&server, STRANGER, &["u@public.example"]);
    assert!(reply.starts_with("451 "), "over message_size: {reply}");
    let shorter = "0123456789abcde\r\n".repeat(5 * 1024);
    let milter = Milter::start(at_end(&[
        packet('b', &shorter),
        packet('b', "8 bits: é\n"),
        packet('c', ""),
    ]));
    let server = relay(&sink, &milter, "timeout = \"30s\"");
    assert!(mail(&server, STRANGER, &["u@public.example"]).starts_with("250 "));
    let received = sink.journal().wait_for(before + 1).pop().unwrap();
    assert_eq!(received.body(), format!("{shorter}8 bits: é\r\n"));
}

#[test]
fn fields_are_changed_where_they_stand_and_ours_is_not_counted() {
    let sink = Sink::start();
    let edits = [
        packet('m', field(Some(1), "from", "x@ham.example")),
        packet('m', field(Some(1), "Received", "gone")),
        packet('m', field(Some(5), "To", "new")),
        packet('m', field(Some(0), "Subject", "zero is one")),
        packet('m', field(Some(1), "X-Away", "")),
        packet('m', field(Some(9), "X-Never", "")),
        packet('h', field(None, "X-Last", "1")),
        packet('i', field(Some(0), "X-Top", "2")),
        packet('i', field(Some(2), "X-Below-Ours", "3")),
        packet('i', field(Some(1000), "X-Very-Last", "4")),
        packet('c', ""),
    ];
    let milter = Milter::start(at_end(&edits));
    let server = relay(&sink, &milter, "timeout = \"30s\"");
    let message = "Received: from inner.example by hop.example; Sun, 22 Nov 2026 07:51:52 +0100\r\n\
        From: one@ham.example\r\nTo: r@example.org\r\nX-Away: y\r\nSubject: s\r\nFrom: two@ham.example\r\n\r\nbody\r\n";
    let received = comes_out(&server, &sink, message.as_bytes());
    let header = received.header_section();
    let names: Vec<_> = header
        .lines()
        .filter(|line| !line.starts_with(['\t', ' ']))
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let expected = [
        ("X-Top", " 2"),
        (
            "Received",
            " from client.example.test (unknown [127.0.0.66])",
        ),
        ("X-Below-Ours", " 3"),
        ("Received", " gone"),
        ("from", " x@ham.example"),
        ("To", " r@example.org"),
        ("Subject", " zero is one"),
        ("From", " two@ham.example"),
        ("To", " new"),
        ("X-Last", " 1"),
        ("X-Very-Last", " 4"),
    ];
    assert_eq!(names, expected, "{header}");
    let heard = milter.all('L');
    let heard: Vec<_> = heard.iter().map(|it| it.strings()[0].clone()).collect();
    assert_eq!(
        heard,
        ["Received", "From", "To", "X-Away", "Subject", "From"]
    );
}

#[test]
fn no_line_end_in_a_value_makes_a_field_or_reaches_the_wire_alone() {
    let sink = Sink::start();
    let results = "mx.example.org;\r\n\tspf=pass;\r\n\tdkim=none";
    let edits = [
        packet('h', field(None, "Authentication-Results", results)),
        packet('h', field(None, "X-Unix", &results.replace("\r\n", "\n"))),
        packet('h', field(None, "X-Note", "one\nBcc: victim@example.net")),
        packet(
            'i',
            field(
                Some(0),
                "X-Cr",
                "one\rBcc: victim@example.net\r\r\n\r\n.\r\nX: y",
            ),
        ),
        packet(
            'm',
            field(Some(1), "Subject", "x\r\n\r\nbody\r\n.\r\nMAIL FROM:<>"),
        ),
        packet('c', ""),
    ];
    let milter = Milter::start(at_end(&edits));
    let server = relay(&sink, &milter, "timeout = \"30s\"");
    let received = comes_out(&server, &sink, MESSAGE);
    let header = received.header_section();
    for expected in [
        "Authentication-Results: mx.example.org;\r\n\tspf=pass;\r\n\tdkim=none\r\n",
        "X-Unix: mx.example.org;\r\n\tspf=pass;\r\n\tdkim=none\r\n",
        "X-Note: one\r\n\tBcc: victim@example.net\r\n",
        "X-Cr: one\r\n\tBcc: victim@example.net\r\n\t.\r\n\tX: y\r\n",
        "Subject: x\r\n\tbody\r\n\t.\r\n\tMAIL FROM:<>\r\n",
    ] {
        assert!(
            received.text().contains(expected),
            "{expected}\n{}",
            received.text()
        );
    }
    assert!(received.fields("Bcc").is_empty(), "{header}");
    let text = received.text().replace("\r\n", "");
    assert!(!text.contains(['\r', '\n']));
    assert_eq!(received.body(), "body\r\n");
    assert_eq!(sink.journal().len(), 1);
}

#[test]
fn several_filters_are_asked_in_their_order_and_each_sees_what_the_one_before_made() {
    let sink = Sink::start();
    let first = Milter::start(at_end(&[
        packet('h', field(None, "X-First", "1")),
        packet('m', field(Some(1), "Subject", "")),
        packet('b', "first\n"),
        packet('b', "made this"),
        packet('c', ""),
    ]));
    let second = Milter::start(at_end(&[
        packet('i', field(Some(0), "X-Second", "2")),
        packet('a', ""),
    ]));
    let both = |first: &Milter, second: &Milter| {
        format!("\"{}\", \"{}\"", first.endpoint(), second.endpoint())
    };
    let server = with_filters(&sink, &both(&first, &second));
    let received = comes_out(&server, &sink, MESSAGE);
    assert!(
        received.text().starts_with("X-Second: 2\r\nReceived: "),
        "{}",
        received.text()
    );
    assert_eq!(received.field("X-First"), "1");
    assert!(received.fields("Subject").is_empty());
    assert_eq!(received.body(), "first\r\nmade this\r\n");
    let fields = second.all('L');
    let names: Vec<_> = fields.iter().map(|it| it.strings()[0].clone()).collect();
    assert_eq!(names, ["From", "X-First"]);
    assert_eq!(second.all('B')[0].payload, b"first\r\nmade this\r\n");
    let strict = Milter::start(|it, _| match it.letter {
        b'R' => Answer::Bytes(packet('r', "")),
        _ => go_on(),
    });
    let last = Milter::start(|_, _| go_on());
    let server = with_filters(&sink, &both(&strict, &last));
    assert_eq!(
        mail(&server, STRANGER, &["u@public.example"]),
        "550 5.7.1 Command rejected"
    );
    last.wait_for("OCHMAQ");
}
