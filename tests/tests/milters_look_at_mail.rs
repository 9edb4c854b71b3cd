//! Milters are told of each session and message, step by step, and decide at each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use relay::tls::{ClientTls, Trust};
use rustls::ClientConfig;
use tests::{
    milter::{Answer, Milter, Packet, agreed, field, go_on, packet},
    session::{Reply, Session},
    sink::{Received, Sink},
    smarthost::Smarthost,
};

const STRANGER: &str = "127.0.0.66";
const MESSAGE: &[u8] = b"From: a@ham.example\r\nSubject: x\r\n\r\nbody\r\n";
/// All steps up to the end of a message of two fields, and the end.
const WHOLE: &str = "OCHMRTLLNBEA";

/// An inbound relay for public.example with these filters.
fn relay(sink: &Sink, milters: &str) -> Smarthost {
    Smarthost::start(&config(sink, milters))
}

fn config(sink: &Sink, milters: &str) -> String {
    format!(
        "networks = [\"127.0.0.1/32\"]\ngreet_wait = \"0s\"\nrelayhost = \"{}\"\ndomains = {{ relay = [\"public.example\"] }}\nmilters = [{milters}]\n",
        sink.nexthop()
    )
}

fn quoted(milter: &Milter) -> String {
    format!("\"{}\"", milter.endpoint())
}

fn with(milter: &Milter, rest: &str) -> String {
    format!("{{ address = \"{}\", {rest} }}", milter.endpoint())
}

fn stranger(server: &Smarthost) -> Session {
    Session::connect_from(STRANGER.parse().unwrap(), server.address())
}

fn anybody() -> Arc<ClientConfig> {
    ClientTls::new(&Trust::Opportunistic).unwrap().config
}

fn told(reply: &Reply) -> String {
    format!("{} {}", reply.code, reply.text())
}

/// The first refusal of a session with a message, and the command that met it; or the reply to the
/// message.
fn goes(server: &Smarthost) -> (String, String) {
    let mut session = stranger(server);
    let mut last = ("connect", session.reply());
    for command in [
        "EHLO ham.example",
        "MAIL FROM:<a@ham.example>",
        "RCPT TO:<u@public.example>",
        "DATA",
        "",
    ] {
        if last.1.code >= 400 {
            break;
        }
        let reply = if command.is_empty() {
            session.send(&[MESSAGE, b".\r\n"].concat()).unwrap();
            session.reply()
        } else {
            session.say(command)
        };
        last = (command.split([' ', ':']).next().unwrap(), reply);
    }
    (last.0.to_owned(), told(&last.1))
}

fn refuses(server: &Smarthost, command: &str, reply: &str) {
    assert_eq!(goes(server), (command.to_owned(), reply.to_owned()));
}

/// Delivers a message from a stranger, and gives what came out.
fn comes_out(server: &Smarthost, sink: &Sink, message: &[u8]) -> Received {
    let before = sink.journal().len();
    stranger(server)
        .ehlo()
        .delivers("a@ham.example", &["u@public.example"], message);
    sink.journal().wait_for(before + 1).pop().unwrap()
}

/// At this step these packets, otherwise nothing against it.
fn at(step: char, answer: Vec<u8>) -> impl Fn(&Packet, &[Packet]) -> Answer {
    move |packet, _| {
        if packet.letter == step as u8 {
            Answer::Bytes(answer.clone())
        } else {
            go_on()
        }
    }
}

/// Rows B5, B10.
#[test]
fn a_milter_hears_each_step_and_decides_at_each() {
    let sink = Sink::start();
    let milter = Milter::start(|_, _| go_on());
    let server = relay(&sink, &quoted(&milter));
    comes_out(&server, &sink, MESSAGE);
    milter.wait_for(&format!("{WHOLE}Q"));
    let steps = [
        ('C', "connect", "OC"),
        ('H', "EHLO", "OCH"),
        ('M', "MAIL", "OCHMA"),
        ('R', "RCPT", "OCHMRA"),
        ('T', "DATA", "OCHMRTA"),
        ('L', "", "OCHMRTLA"),
        ('N', "", "OCHMRTLLNA"),
        ('B', "", "OCHMRTLLNBA"),
        ('E', "", WHOLE),
    ];
    for (step, command, heard) in steps {
        for (answer, reply) in [
            (packet('r', ""), "550 5.7.1 Command rejected"),
            (
                packet('t', ""),
                "451 4.7.1 Service unavailable - try again later",
            ),
            (
                packet('y', "554 5.7.1 no such luck\0"),
                "554 5.7.1 no such luck",
            ),
            (
                packet('4', ""),
                "421 4.7.0 Service unavailable - try again later",
            ),
            (packet('y', "421 4.3.2 closing\0"), "421 4.3.2 closing"),
        ] {
            let milter = Milter::start(at(step, answer.clone()));
            let mut server = relay(&sink, &quoted(&milter));
            refuses(&server, command, reply);
            milter.wait_for(&format!("{heard}Q"));
            let stage = match command {
                "connect" => "CONNECT",
                "" => "END-OF-MESSAGE",
                other => other,
            };
            let line = format!("milter-reject: {stage} from unknown[127.0.0.66]: ");
            server.daemon().wait_for_log(&line);
        }
        // Accepted: nothing more about the message, or about the session.
        let milter = Milter::start(at(step, packet('a', "")));
        let server = relay(&sink, &quoted(&milter));
        comes_out(&server, &sink, MESSAGE);
        let heard = heard.trim_end_matches('A');
        let end = if "CH".contains(step) { "Q" } else { "AQ" };
        milter.wait_for(&format!("{heard}{end}"));
    }
    assert_eq!(sink.journal().len(), 1 + steps.len());
}

#[test]
fn a_session_goes_on_after_a_verdict_and_the_next_message_is_asked_about_from_its_sender_on() {
    let sink = Sink::start();
    let milter = Milter::start(|packet, before| {
        let ends = before.iter().filter(|it| it.letter == b'E').count();
        match (packet.letter, ends) {
            (b'E', 1) => Answer::Bytes(self::packet('y', "451 4.7.1 Try again later\0")),
            _ => go_on(),
        }
    });
    let server = relay(&sink, &quoted(&milter));
    let mut session = stranger(&server).ehlo();
    let to = &["u@public.example"];
    let reply = session.mail("a@ham.example", to, MESSAGE).unwrap();
    assert_eq!(told(&reply), "451 4.7.1 Try again later");
    assert_eq!(session.say("RCPT TO:<u@public.example>").code, 503);
    assert_eq!(session.say("DATA").code, 503);
    assert_eq!(session.say("RSET").code, 250);
    assert_eq!(session.say("EHLO again.example").code, 250);
    session.delivers("a@ham.example", to, MESSAGE);
    assert_eq!(session.say("QUIT").code, 221);
    milter.wait_for("OCHMRTLLNBEAHMRTLLNBEAQ");
}

/// Postfix 20260803: a filter that had accepted a message was not asked about the next one, once
/// the end of the first was refused.
#[test]
fn an_accepted_message_that_is_refused_otherwise_leaves_nothing_behind() {
    let sink = Sink::start();
    let milter = Milter::start(at('R', packet('a', "")));
    let server = relay(&sink, &quoted(&milter));
    let mut session = stranger(&server).ehlo();
    let hops = "Received: from a by b; Sun, 22 Nov 2026 07:51:52 +0100\r\n".repeat(60);
    let looping = format!("{hops}\r\nx\r\n");
    let to = &["u@public.example"];
    let reply = session
        .mail("a@ham.example", to, looping.as_bytes())
        .unwrap();
    assert!(reply.code >= 500, "{reply:?}");
    assert_eq!(session.say("RCPT TO:<u@public.example>").code, 503);
    assert_eq!(session.say("DATA").code, 503);
    session.delivers("a@ham.example", to, MESSAGE);
    drop(session);
    milter.wait_for("OCHMRAMRAQ");
}

#[test]
fn every_way_out_of_a_message_is_told_once() {
    let sink = Sink::start();
    let milter = Milter::start(|_, _| go_on());
    let server = relay(&sink, &quoted(&milter));
    let mut session = stranger(&server).ehlo();
    let begin = ["MAIL FROM:<a@ham.example>", "RCPT TO:<u@public.example>"];
    for end in ["RSET", "EHLO other.example", "HELO other.example"] {
        for command in begin.iter().chain([&end]) {
            assert_eq!(session.say(command).code, 250, "{command}");
        }
    }
    assert_eq!(session.say(begin[0]).code, 250);
    assert_eq!(session.say("RCPT TO:<u@far.example>").code, 554);
    assert_eq!(session.say("RSET").code, 250);
    assert_eq!(session.say(begin[0]).code, 250);
    drop(session);
    // Nobody who may not relay is asked about.
    milter.wait_for("OCHMRAMRAHMRAHMAMAQ");
}

#[test]
fn the_body_comes_in_pieces_that_every_filter_takes() {
    let sink = Sink::start();
    let milter = Milter::start(|_, _| go_on());
    let server = relay(&sink, &quoted(&milter));
    let fields: Vec<_> = (0..30)
        .map(|n| format!("X-Field-{n}: value {n}\r\n"))
        .collect();
    let fields = fields.concat();
    for size in [0usize, 150_000, 700_000] {
        let body = ".a line\r\n..two\r\n.\r\n".repeat(size / 19);
        let already = milter.all('B').len();
        let message = format!("{fields}\r\n{body}");
        let received = comes_out(&server, &sink, message.as_bytes());
        assert_eq!(received.body(), body);
        let pieces = milter.all('B').split_off(already);
        assert!(pieces.iter().all(|piece| piece.payload.len() <= 65_535));
        let heard: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.payload).collect();
        assert!(heard == body.as_bytes(), "the body is the body");
    }
    let names = milter.all('L');
    assert_eq!(names.len(), 3 * 30);
    assert_eq!(names[0].payload, b"X-Field-0\0value 0\0");
    // A field that no packet has room for is cut in what is told, and nowhere else.
    let long = format!(
        "X-Long: {}\r\n\r\nx\r\n",
        "0123456789 ".repeat(9000).replace("9 0", "9\r\n 0")
    );
    let received = comes_out(&server, &sink, long.as_bytes());
    assert!(received.text().ends_with(&long));
    let told = milter.all('L').pop().unwrap();
    assert_eq!(told.payload.len(), 65_535);
    assert_eq!(told.payload.last(), Some(&0));
}

#[test]
fn a_filter_may_do_without_steps_and_answers_and_hears_values_as_it_wants_them() {
    let sink = Sink::start();
    let message = b"X-Folded: one\r\n\ttwo\r\nX-Tab:\tthree\r\nX-None:four\r\n\r\nbody\r\n";
    let values = |milter: &Milter| -> Vec<String> {
        let all = milter.all('L');
        all.iter().map(|it| it.strings()[1].clone()).collect()
    };
    // SMFIP_NR_… for all, and SMFIP_HDR_LEADSPC.
    let silent = Milter::offering(agreed(0x1f_f080, &[]), |packet, _| match packet.letter {
        b'E' => Answer::Bytes(
            [
                self::packet('h', field(None, "X-Seen", "\tyes")),
                self::packet('c', ""),
            ]
            .concat(),
        ),
        _ => Answer::Mute,
    });
    let server = relay(&sink, &quoted(&silent));
    let received = comes_out(&server, &sink, message);
    silent.wait_for("OCHMRTLLLNBEAQ");
    assert_eq!(values(&silent), [" one\n\ttwo", "\tthree", "four"]);
    assert!(received.text().contains("X-Seen:\tyes\r\n"));
    // SMFIP_NO… for all but the end.
    let deaf = Milter::offering(agreed(0x37f, &[]), |_, _| go_on());
    let server = relay(&sink, &quoted(&deaf));
    comes_out(&server, &sink, message);
    deaf.wait_for("OEAQ");
    // The first piece of the body is enough.
    let skips = Milter::start(at('B', packet('s', "")));
    let server = relay(&sink, &quoted(&skips));
    comes_out(
        &server,
        &sink,
        &[
            message,
            "x".repeat(900).as_bytes(),
            &b"\r\n0123456789".repeat(20_000),
            b"\r\n",
        ]
        .concat(),
    );
    skips.wait_for("OCHMRTLLLNBEAQ");
    assert_eq!(values(&skips), ["one\n\ttwo", "\tthree", "four"]);
    // Version 2 knows no DATA.
    let options = [2u32, 0x3f, 0].map(u32::to_be_bytes);
    let old = Milter::offering(packet('O', options.as_flattened()), |_, _| go_on());
    let server = relay(&sink, &quoted(&old));
    comes_out(&server, &sink, message);
    old.wait_for("OCHMRLLLNBEAQ");
}

#[test]
fn a_reply_of_a_filter_is_passed_on_only_if_it_is_one() {
    let sink = Sink::start();
    for (said, heard) in [
        (
            "550 5.7.23 100%% sure, see https://spf.example/why?s=a%%40b\0",
            "550 5.7.23 100% sure, see https://spf.example/why?s=a%40b",
        ),
        (
            "550-5.7.1 line one\r\n550 5.7.1 line two",
            "550 5.7.1 line one\n5.7.1 line two",
        ),
        ("450 later\0", "450 later"),
        ("554 5.7.1 \0", "554 5.7.1 "),
    ] {
        let milter = Milter::start(at('M', packet('y', said)));
        refuses(&relay(&sink, &quoted(&milter)), "MAIL", heard);
    }
    let long = format!("550 5.7.1 {}", "x".repeat(64 * 1024));
    for malformed in [
        "550 4.7.23 SPF fail",
        "550-5.7.1 line one\r\n551 5.7.1 line two\0",
        "550-5.7.1 line one\r\n550-5.7.1 line two\0",
        "550 5.7.1 line one\r\n550 5.7.1 line two\0",
        "550 5.7.1 line one\r\n",
        "550 5.7.1 one\n250 2.0.0 two",
        "550 5.7.1 one\r250 2.0.0 two",
        "550 5.7.1 one\0\r\n250 2.0.0 two\0",
        "55",
        "550",
        "999 x",
        "250 2.0.0 Ok",
        "354 go on",
        "5x0 5.7.1 x",
        "",
        "\0",
        &long,
    ] {
        let milter = Milter::start(at('M', packet('y', malformed)));
        let mut server = relay(&sink, &with(&milter, "on_failure = \"tempfail\""));
        refuses(
            &server,
            "MAIL",
            "451 4.7.1 Service unavailable - try again later",
        );
        let line = format!("milter {}: it sends a malformed reply: ", milter.endpoint());
        server.daemon().wait_for_log(&line);
    }
}

#[test]
fn macros_tell_what_is_known_at_each_step_and_what_a_filter_asks_for() {
    let sink = Sink::start();
    let milter = Milter::start(|_, _| go_on());
    let server = relay(&sink, &quoted(&milter));
    let mut session = stranger(&server).ehlo().starttls(anybody());
    session.delivers("a@ham.example", &["u@public.example"], MESSAGE);
    let value = |step: char, name: &str| {
        let macros = milter.macros(step).into_iter();
        macros
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value)
            .next()
    };
    let queued = sink.journal().first().field("Received");
    let id = queued
        .split(" id ")
        .nth(1)
        .unwrap()
        .split([' ', ';', '\r', '\n'])
        .next()
        .unwrap();
    for (step, name, expected) in [
        ('C', "j", "mail.example.test"),
        ('C', "{daemon_name}", "mail.example.test"),
        ('C', "{daemon_addr}", "127.0.0.1"),
        ('C', "_", "unknown [127.0.0.66]"),
        ('C', "{client_addr}", "127.0.0.66"),
        ('C', "{client_name}", "unknown"),
        ('H', "{tls_version}", "TLSv1.3"),
        ('H', "{cipher_bits}", "256"),
        ('M', "{mail_addr}", "a@ham.example"),
        ('R', "{rcpt_addr}", "u@public.example"),
        ('T', "i", id),
        ('N', "i", id),
        ('E', "i", id),
    ] {
        assert_eq!(
            value(step, name).as_deref(),
            Some(expected),
            "{step} {name}"
        );
    }
    assert!(value('C', "v").unwrap().starts_with("smarthost "));
    assert!(value('H', "{cipher}").unwrap().starts_with("TLS_"));
    let connect = &milter.all('C')[0].payload;
    assert!(connect.starts_with(b"[127.0.0.66]\x004"), "{connect:?}");
    assert!(connect.ends_with(b"127.0.0.66\0"), "{connect:?}");
    let mail = milter.all('M')[0].strings();
    assert_eq!(mail, ["<a@ham.example>"]);
    // EHLO twice, before STARTTLS and behind it, on one connection.
    drop(session);
    milter.wait_for("OCHHMRTLLNBEAQ");
}

#[test]
fn a_filter_hears_the_macros_that_it_names_and_all_parameters() {
    let sink = Sink::start();
    let wants = [
        (2, "j {client_addr},{mail_addr} i"),
        (5, "{tls_version}"),
        (77, "x"),
    ];
    let choosy = Milter::offering(agreed(0, &wants), |_, _| go_on());
    let server = relay(&sink, &quoted(&choosy));
    let mut session = stranger(&server).ehlo();
    session.say("MAIL FROM:<\"a b\"@ham.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x+2By");
    session.say("RCPT TO:<u@public.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;u@old.example");
    assert_eq!(
        choosy.macros('M'),
        [
            ("j", "mail.example.test"),
            ("{client_addr}", "127.0.0.66"),
            ("{mail_addr}", "\"a b\"@ham.example")
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(
        choosy.all('M')[0].strings(),
        [
            "<\"a b\"@ham.example>",
            "SIZE=100",
            "BODY=8BITMIME",
            "RET=HDRS",
            "ENVID=x+2By"
        ]
    );
    assert_eq!(
        choosy.all('R')[0].strings(),
        [
            "<u@public.example>",
            "NOTIFY=SUCCESS,DELAY",
            "ORCPT=rfc822;u@old.example"
        ]
    );
}
