//! A milter that is not there, hangs, talks nonsense or asks for what cannot be: what is said in
//! its place, and that no mail is lost or harmed by it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write as _,
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tests::{
    milter::{Answer, Milter, Packet, agreed, field, go_on, packet},
    session::Session,
    sink::{Received, Sink},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const STRANGER: &str = "127.0.0.66";
const TO: &[&str] = &["u@public.example"];
const MESSAGE: &[u8] = b"From: a@ham.example\r\nSubject: x\r\n\r\nbody\r\n";
const LATER: &str = "451 4.7.1 Service unavailable - try again later";

fn config(sink: &Sink, milters: &str) -> String {
    format!(
        "networks = [\"127.0.0.1/32\"]\ngreet_wait = \"0s\"\nrelayhost = \"{}\"\ndomains = {{ relay = [\"public.example\"] }}\nmilters = [{milters}]\n",
        sink.nexthop()
    )
}

fn relay(sink: &Sink, milters: &str) -> Smarthost {
    Smarthost::start(&config(sink, milters))
}

fn with(endpoint: &str, rest: &str) -> String {
    format!("{{ address = \"{endpoint}\", {rest} }}")
}

fn stranger(server: &Smarthost) -> Session {
    Session::connect_from(STRANGER.parse().unwrap(), server.address()).ehlo()
}

fn said(server: &Smarthost) -> String {
    let reply = stranger(server).mail("a@ham.example", TO, MESSAGE).unwrap();
    format!("{} {}", reply.code, reply.text())
}

fn unharmed(received: &Received) {
    let text = received.text();
    let (trace, message) = text.split_once("From: ").unwrap();
    assert!(trace.starts_with("Received: "), "{text}");
    assert_eq!(
        message, "a@ham.example\r\nSubject: x\r\n\r\nbody\r\n",
        "{text}"
    );
}

/// Edits of all kinds, and then this.
fn edits(end: &[u8]) -> Vec<u8> {
    [
        &packet('h', field(None, "X-Edited", "1"))[..],
        &packet('m', field(Some(1), "Subject", "")),
        &packet('e', "<x@ham.example>\0"),
        &packet('+', "<v@public.example>\0"),
        &packet('-', "<u@public.example>\0"),
        &packet('b', "another body\r\n"),
        end,
    ]
    .concat()
}

fn at(step: char, answer: Answer) -> impl Fn(&Packet, &[Packet]) -> Answer {
    move |packet, _| {
        if packet.letter == step as u8 {
            answer.clone()
        } else {
            go_on()
        }
    }
}

/// A filter that gives these answers to the ends of messages, one after the other, and is done
/// without.
fn taken_unharmed(sink: &Sink, answers: Vec<Answer>) {
    let (count, next) = (answers.len(), AtomicUsize::new(0));
    let milter = Milter::start(move |packet, _| match packet.letter {
        b'E' => answers[next.fetch_add(1, Ordering::Relaxed)].clone(),
        _ => go_on(),
    });
    let server = relay(sink, &with(&milter.endpoint(), "on_failure = \"accept\""));
    let before = sink.journal().len();
    for number in 1..=count {
        assert!(said(&server).starts_with("250 "), "{number}");
        let received = sink.journal().wait_for(before + number);
        unharmed(&received[before + number - 1]);
    }
    assert_eq!(milter.all('E').len(), count);
}

#[test]
fn without_an_answer_mail_is_deferred_taken_refused_or_held_as_the_administrator_says() {
    let sink = Sink::start();
    let nobody = format!("inet:{}", free_address());
    let quiet = TcpListener::bind(free_address()).unwrap();
    let mute = format!("inet:{}", quiet.local_addr().unwrap());
    let closes = Milter::start(at('E', Answer::Last(edits(&[]))));
    for (endpoint, why) in [
        (&nobody, "Connection refused"),
        (&mute, "no answer in 1 seconds"),
        (&closes.endpoint(), "it closed the connection"),
    ] {
        let accepted = sink.journal().len();
        for (on_failure, reply, meanwhile) in [
            ("tempfail", LATER, "mail is deferred (451) meanwhile"),
            (
                "reject",
                "550 5.5.0 Service unavailable",
                "mail is refused (550) meanwhile",
            ),
            (
                "accept",
                "250 2.0.0 Ok: queued as ",
                "mail is taken as it is meanwhile",
            ),
            (
                "quarantine",
                "250 2.0.0 Ok: queued as ",
                "mail is kept on hold meanwhile",
            ),
        ] {
            let rest = format!("on_failure = \"{on_failure}\", timeout = \"1s\"");
            let mut server = relay(&sink, &with(endpoint, &rest));
            let heard = said(&server);
            assert!(heard.starts_with(reply), "{on_failure} {heard}");
            let log = server.daemon().wait_for_log(meanwhile);
            assert!(
                log.contains(&format!("milter {endpoint}: ")) && log.contains(why),
                "{log}"
            );
            if on_failure == "accept" {
                sink.journal().wait_for(accepted + 1);
            }
            if on_failure == "quarantine" {
                server.wait_for_mailq("the held message", |listing| listing.contains('!'));
                assert_eq!(sink.journal().len(), accepted + 1);
                assert!(
                    server
                        .admin(&["queue", "release", "--all"])
                        .status
                        .success()
                );
                sink.journal().wait_for(accepted + 2);
            }
        }
        for received in sink.journal().wait_for(accepted + 2).split_off(accepted) {
            unharmed(&received);
        }
    }
}

#[test]
fn a_filter_that_was_away_is_asked_again_with_the_next_message_of_the_same_session() {
    let sink = Sink::start();
    let address = free_address();
    let server = relay(&sink, &format!("\"inet:{address}\""));
    let mut session = stranger(&server);
    for _ in 0..2 {
        let reply = session.mail("a@ham.example", TO, MESSAGE).unwrap();
        assert_eq!(format!("{} {}", reply.code, reply.text()), LATER);
    }
    let milter = Milter::on(address, |packet, before| match packet.letter {
        b'O' => Answer::Bytes(agreed(0, &[])),
        // It goes after its first message, as on a restart.
        b'E' if before.len() < 30 => Answer::Last(self::packet('c', "")),
        _ => go_on(),
    });
    session.delivers("a@ham.example", TO, MESSAGE);
    until_true("the filter has hung up", || {
        milter.letters().starts_with("OCHMRTLLNBE")
    });
    session.delivers("a@ham.example", TO, MESSAGE);
    assert_eq!(sink.journal().wait_for(2).len(), 2);
    let letters = milter.letters().replace(['A', 'Q'], "");
    assert_eq!(letters, "OCHMRTLLNBE|OCHMRTLLNBE");
}

#[test]
fn a_filter_that_breaks_off_anywhere_or_talks_nonsense_harms_no_message() {
    let sink = Sink::start();
    let whole = edits(&packet('c', ""));
    let length = whole.len();
    // Cut at each byte.
    let pieces: Vec<_> = (0..length)
        .map(|cut| Answer::Last(whole[..cut].to_vec()))
        .collect();
    taken_unharmed(&sink, pieces);
    let index = u32::MAX.to_be_bytes();
    let nonsense = [
        vec![0, 0, 0, 0],
        vec![0xff, 0xff, 0xff, 0xff, b'c'],
        packet('z', ""),
        packet('c', "more"),
        packet('a', "\0"),
        packet('f', ""),
        packet('O', ""),
        packet('h', "no value\0"),
        packet('h', field(None, "", "no name")),
        packet('h', field(None, "a b", "c")),
        packet('h', field(None, "a:b", "c")),
        packet('h', field(None, "X\r\nBcc", "c")),
        packet('h', field(None, "é", "c")),
        packet('h', [&field(None, "X", "c")[..], b"more"].concat()),
        packet('m', [&index[..], b"X\0c\0"].concat()),
        packet('i', [&index[..], b"X\0c\0"].concat()),
        packet('m', "X\0"),
        packet('+', "<no address\0"),
        packet('+', "<a@b\r\nRCPT TO:<c@d>>\0"),
        packet('+', ""),
        packet('2', "<v@public.example>\0NOTIFY=SOMETIMES\0"),
        packet('-', "<>\0"),
        packet('e', "<a@b> SIZE=much\0"),
        packet('y', "250 2.0.0 Ok\0"),
        [packet('c', ""), packet('c', "")].concat(),
        b"220 smtp.example ESMTP\r\n".to_vec(),
        packet('b', "a\0b\r\n"),
        packet('b', "x".repeat(300 * 1024)),
        packet('h', field(None, "X", &"y".repeat(300 * 1024))),
        packet('h', field(None, "X", &"y".repeat(200 * 1024))).repeat(2),
        packet('h', field(None, "X", "y")).repeat(10_001),
    ];
    let nonsense = nonsense
        .iter()
        .map(|it| [&edits(it)[..], &packet('c', "")].concat());
    taken_unharmed(&sink, nonsense.map(Answer::Bytes).collect());
    // Edits before the end of the message are none.
    for step in "CHMRTLNB".chars() {
        let answer = [packet('h', field(None, "X-Early", "1")), packet('c', "")].concat();
        let milter = Milter::start(at(step, Answer::Bytes(answer)));
        let server = relay(
            &sink,
            &with(&milter.endpoint(), "on_failure = \"tempfail\""),
        );
        assert_eq!(said(&server), LATER, "{step}");
    }
}

#[test]
fn a_filter_that_asks_for_changes_without_end_fails_when_it_is_too_much_and_not_at_its_end() {
    let sink = Sink::start();
    let field = |size: usize| packet('h', field(None, "X", &"y".repeat(size)));
    for (endless, why) in [
        (
            field(1).repeat(10_001),
            "more changes than a message can have",
        ),
        (
            field(200 * 1024).repeat(2),
            "more changes than a message can have",
        ),
        (
            packet('b', "x\r\n".repeat(20_000)).repeat(40),
            "message_size",
        ),
        (packet('p', "").repeat(20_001), "more than 20000 things"),
        (packet('b', "").repeat(20_001), "more than 20000 things"),
    ] {
        // It never says that this was all.
        let milter = Milter::start(at('E', Answer::Bytes(endless)));
        let lines = format!(
            "message_size = \"1MiB\"\n{}",
            config(&sink, &with(&milter.endpoint(), "timeout = \"9m\""))
        );
        let mut server = Smarthost::start(&lines);
        assert_eq!(said(&server), LATER, "{why}");
        server.daemon().wait_for_log(why);
    }
}

#[test]
fn what_is_agreed_on_must_be_what_was_offered() {
    let sink = Sink::start();
    for (options, why) in [
        ([7, 0, 0], "version 7"),
        ([1, 0, 0], "version 1"),
        ([6, 0x200, 0], "what we do not offer"),
    ] {
        let milter = Milter::offering(
            packet('O', options.map(u32::to_be_bytes).as_flattened()),
            |_, _| go_on(),
        );
        let mut server = relay(&sink, &format!("\"{}\"", milter.endpoint()));
        assert_eq!(said(&server), LATER);
        server.daemon().wait_for_log(why);
    }
    for options in [
        packet('c', ""),
        packet('O', "short"),
        packet('O', [6u32, 0, 0, 1].map(u32::to_be_bytes).as_flattened()),
    ] {
        let milter = Milter::offering(options, |_, _| go_on());
        let server = relay(&sink, &format!("\"{}\"", milter.endpoint()));
        assert_eq!(said(&server), LATER);
    }
}

#[test]
fn a_filter_that_hangs_stalls_nobody_else_and_one_that_works_on_it_is_waited_for() {
    let sink = Sink::start();
    let hangs = Milter::start(at('M', Answer::Mute));
    let server = relay(&sink, &with(&hangs.endpoint(), "timeout = \"9m\""));
    let stalled = thread::spawn({
        let address = server.address();
        move || {
            let mut session = Session::connect_from(STRANGER.parse().unwrap(), address).ehlo();
            session.send(b"MAIL FROM:<a@ham.example>\r\n").unwrap();
            session
        }
    });
    let stalled = stalled.join().unwrap();
    until_true("the filter is asked", || hangs.letters() == "OCHM");
    let mut other = Session::greeted(server.address());
    assert_eq!(other.say("NOOP").code, 250);
    assert_eq!(hangs.letters(), "OCHM|OCH", "the first still waits");
    drop(stalled);
    let slow = Milter::start(|packet, _| match packet.letter {
        b'E' => Answer::Bytes([self::packet('p', "").repeat(50), self::packet('c', "")].concat()),
        _ => go_on(),
    });
    let server = relay(&sink, &format!("\"{}\"", slow.endpoint()));
    assert!(said(&server).starts_with("250 "));
}

#[test]
fn a_changed_list_of_filters_holds_from_the_next_message_of_a_session_on() {
    let sink = Sink::start();
    let old = Milter::start(|_, _| go_on());
    let new = Milter::start(at(
        'E',
        Answer::Bytes([packet('h', field(None, "X-New", "1")), packet('c', "")].concat()),
    ));
    let mut server = relay(&sink, &format!("\"{}\"", old.endpoint()));
    let mut session = stranger(&server);
    session.delivers("a@ham.example", TO, MESSAGE);
    server.configure(&config(&sink, &format!("\"{}\"", new.endpoint())));
    server.daemon().signal(rustix::process::Signal::HUP);
    until_true("the new filter is asked", || {
        session.delivers("a@ham.example", TO, MESSAGE);
        !new.all('E').is_empty()
    });
    assert!(old.letters().ends_with("EAQ"), "{}", old.letters());
    until_true("its field is there", || {
        sink.journal()
            .messages()
            .iter()
            .any(|it| !it.fields("X-New").is_empty())
    });
}

#[test]
fn a_socket_of_the_file_system_is_a_place_too_and_it_may_talk_before_it_is_asked() {
    let sink = Sink::start();
    let mut server = Smarthost::prepare(&config(&sink, "\"unix:$DIR/milter.sock\""));
    server.run();
    assert_eq!(said(&server), LATER);
    let listener =
        std::os::unix::net::UnixListener::bind(server.directory().join("milter.sock")).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // It is no filter at all.
        stream.write_all(b"* OK IMAP4 ready\r\n").unwrap();
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    });
    assert_eq!(said(&server), LATER);
    let log = server.daemon().wait_for_log("it sends a packet of");
    assert!(log.contains("milter unix:"), "{log}");
}

#[test]
fn commands_name_the_filters_and_say_which_can_be_reached() {
    let sink = Sink::start();
    let works = Milter::start(at('M', Answer::Bytes(packet('y', "550 5.7.1 not you\0"))));
    let nonsense = Milter::offering(packet('O', "short"), |_, _| go_on());
    let nobody = format!("inet:{}", free_address());
    let milters = format!(
        "\"{}\",\n  {}, \"{nobody}\"",
        works.endpoint(),
        with(&nonsense.endpoint(), "on_failure = \"accept\"")
    );
    let mut server = relay(&sink, &milters);
    let output = server.admin(&["check"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        format!("{} speaks the milter protocol", works.endpoint()),
        format!("{}: its offer is cut short", nonsense.endpoint()),
        format!("{nobody}: Connection refused"),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    until_true("nothing of a session is told", || works.letters() == "OQ");
    assert_eq!(said(&server), "550 5.7.1 not you");
    server.daemon().wait_for_log("milter-reject: MAIL");
    let told = server.admin(&["status"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for line in [
        format!("ok    milter {}: answers", works.endpoint()),
        format!("FAIL  milter {}: no answer at ", nonsense.endpoint()),
        format!("FAIL  milter {nobody}: no answer at "),
    ] {
        assert!(told.contains(&line), "{line}\n{told}");
    }
    let arguments = ["report", "rejected", "--json"];
    let rule = format!("\"rule\":\"milter {}\"", works.endpoint());
    until_true("the report shows the rule", || {
        String::from_utf8_lossy(&server.admin(&arguments).stdout).contains(&rule)
    });
    let explain = [
        "explain",
        "--client",
        "192.0.2.7",
        "--to",
        "u@public.example",
    ];
    let before = works.heard().len();
    let text = String::from_utf8(server.admin(&explain).stdout).unwrap();
    let named = text
        .lines()
        .filter(|line| line.contains("without an answer"));
    assert_eq!(named.count(), 3, "{text}");
    assert!(
        text.contains(&nonsense.endpoint()) && text.contains("without an answer accept"),
        "{text}"
    );
    assert_eq!(works.heard().len(), before, "explain asks nobody");
    let shown = String::from_utf8(server.admin(&["config"]).stdout).unwrap();
    assert!(shown.contains("on_failure = \"accept\""), "{shown}");
}

#[test]
fn a_filter_that_is_written_wrong_is_refused_with_its_place() {
    for (written, why) in [
        (
            "\"127.0.0.1:11332\"",
            "write \"unix:/run/rspamd/milter.sock\" or \"inet:127.0.0.1:11332\"",
        ),
        ("\"inet:127.0.0.1\"", "is not the address of a milter"),
        ("{ on_failure = \"accept\" }", "address"),
        (
            "{ address = \"unix:/x\", on_failure = \"discard\" }",
            "tempfail",
        ),
        (
            "{ address = \"unix:/x\", timeout = \"0s\" }",
            "from \"1s\" to less than \"10m\"",
        ),
        (
            "{ address = \"unix:/x\", timeout = \"1h\" }",
            "from \"1s\" to less than \"10m\"",
        ),
        ("{ address = \"unix:/x\", timeouts = \"1s\" }", "timeout"),
        ("7", "inet:HOST:PORT"),
    ] {
        let server = Smarthost::prepare(&format!("milters = [{written}]\n"));
        let output = server.admin(&["check"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{written}: {text}");
        assert!(
            text.contains("config.toml:") && text.contains(why),
            "{written}: {text}"
        );
    }
}
