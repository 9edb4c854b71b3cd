//! Milters beside logins, tables, BDAT, several recipients, many sessions and a kill at the wrong
//! moment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;

use tests::{
    login::{anybody, password, plain},
    milter::{Answer, Milter, Packet, field, go_on, packet},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const STRANGER: &str = "127.0.0.66";
const MESSAGE: &[u8] = b"From: a@ham.example\r\nSubject: x\r\n\r\nbody\r\n";

fn config(nexthop: &str, milter: &Milter, rest: &str) -> String {
    format!(
        "networks = [\"127.0.0.1/32\"]\ngreet_wait = \"0s\"\nrelayhost = \"{nexthop}\"\ndomains = {{ relay = [\"public.example\"] }}\n\
         milters = [\"{}\"]\n{rest}",
        milter.endpoint()
    )
}

fn stranger(server: &Smarthost) -> Session {
    Session::connect_from(STRANGER.parse().unwrap(), server.address()).ehlo()
}

fn at_end(answer: Vec<u8>) -> impl Fn(&Packet, &[Packet]) -> Answer {
    move |packet, _| match packet.letter {
        b'E' => Answer::Bytes(answer.clone()),
        _ => go_on(),
    }
}

#[test]
fn a_login_is_told_and_what_our_own_client_left_out_is_there_before_filters_sign_it() {
    let sink = Sink::start();
    let milter = Milter::start(|_, _| go_on());
    let mut server = Smarthost::prepare(&config(
        &sink.nexthop(),
        &milter,
        "auth = { users = \"users\" }\n",
    ));
    let secret = password(&server, "printer");
    server.run();
    let mut session = stranger(&server).starttls(anybody());
    assert_eq!(plain(&mut session, "printer", &secret).code, 235);
    let message = b"Subject: scan\r\nBcc: hidden@far.example\r\n\r\nx\r\n";
    session.delivers("scan@ham.example", &["u@far.example"], message);
    let received = sink.journal().first();
    let macros = milter.macros('M');
    for (name, value) in [("{auth_type}", "PLAIN"), ("{auth_authen}", "printer")] {
        assert!(
            macros.contains(&(name.to_owned(), value.to_owned())),
            "{macros:?}"
        );
    }
    let fields = milter.all('L');
    let mut told: Vec<_> = fields.iter().map(Packet::strings).collect();
    told.sort();
    let names: Vec<_> = told.iter().map(|it| it[0].as_str()).collect();
    assert!(
        names.contains(&"Date") && names.contains(&"Message-ID") && names.contains(&"From"),
        "{names:?}"
    );
    assert!(!names.contains(&"Bcc"), "{names:?}");
    let written = received.header_section().matches("\r\n").count();
    assert!(
        written > fields.len(),
        "and ours in front: {}",
        received.header_section()
    );
}

#[test]
fn fields_of_tables_and_messages_in_chunks_are_seen_as_they_go_on() {
    let sink = Sink::start();
    let edits = [
        packet('i', field(Some(1), "X-Second", "y")),
        packet('m', field(Some(1), "X-Table", "changed")),
        packet('c', ""),
    ];
    let milter = Milter::start(at_end(edits.concat()));
    let rules = "restrictions = [\"check_sender_access senders\", \"reject_unauth_destination\"]\n";
    let mut server = Smarthost::prepare(&config(&sink.nexthop(), &milter, rules));
    server.file("senders", "a@ham.example PREPEND X-Table: by the table\n");
    server.run();
    let mut session = stranger(&server);
    session.say("MAIL FROM:<a@ham.example>");
    session.say("RCPT TO:<u@public.example>");
    let (one, two) = MESSAGE.split_at(30);
    session
        .send(format!("BDAT {}\r\n", one.len()).as_bytes())
        .unwrap();
    session.send(one).unwrap();
    assert_eq!(session.reply().code, 250);
    session
        .send(format!("BDAT {} LAST\r\n", two.len()).as_bytes())
        .unwrap();
    session.send(two).unwrap();
    assert_eq!(session.reply().code, 250);
    let text = sink.journal().first().text();
    assert!(
        text.starts_with("X-Table: changed\r\nX-Second: y\r\nReceived: "),
        "{text}"
    );
    let names: Vec<_> = milter
        .all('L')
        .iter()
        .map(|it| it.strings()[0].clone())
        .collect();
    assert_eq!(names, ["X-Table", "From", "Subject"]);
    assert!(
        milter.letters().starts_with("OCHMRTLLLNBE"),
        "{}",
        milter.letters()
    );
}

#[test]
fn a_refused_recipient_is_one_less_and_the_message_goes_to_the_others() {
    let sink = Sink::start();
    let milter = Milter::start(|it, _| match it.letter {
        b'R' if it.payload.starts_with(b"<spam") => {
            Answer::Bytes(packet('y', "550 5.1.1 not here\0"))
        }
        b'R' if it.payload.starts_with(b"<busy") => Answer::Bytes(packet('t', "")),
        _ => go_on(),
    });
    let server = Smarthost::start(&config(&sink.nexthop(), &milter, ""));
    let mut session = stranger(&server);
    assert_eq!(session.say("MAIL FROM:<a@ham.example>").code, 250);
    for (to, code) in [("u", 250), ("spam", 550), ("v", 250), ("busy", 451)] {
        assert_eq!(
            session.say(&format!("RCPT TO:<{to}@public.example>")).code,
            code
        );
    }
    assert_eq!(session.say("DATA").code, 354);
    session.send(&[MESSAGE, b".\r\n"].concat()).unwrap();
    assert_eq!(session.reply().code, 250);
    let mut recipients = sink.journal().first().recipients;
    recipients.sort();
    assert_eq!(recipients, ["u@public.example", "v@public.example"]);
}

/// What was answered 250 is on disk as the filter made it, a large body of its own included.
#[test]
fn a_kill_behind_the_250_loses_neither_the_message_nor_what_the_filter_made_of_it() {
    let away = free_address();
    let body = "made by the filter, line after line\r\n".repeat(20_000);
    let mut answer = packet('h', field(None, "X-Kept", "yes"));
    for piece in body.as_bytes().chunks(60_000) {
        answer.extend(packet('b', piece));
    }
    answer.extend(packet('c', ""));
    let milter = Milter::start(at_end(answer));
    let nexthop = tests::sink::nexthop(away);
    let mut server = Smarthost::start(&config(
        &nexthop,
        &milter,
        "retry = { minimal = \"1s\", maximal = \"1s\" }\n",
    ));
    let large = [MESSAGE, &b"x".repeat(70)[..], b"\r\n"].concat();
    stranger(&server).delivers("a@ham.example", &["u@public.example"], &large);
    server.kill();
    let sink = Sink::on(away, Script::default());
    server.run();
    let received = sink.journal().wait_for(1).pop().unwrap();
    assert_eq!(received.field("X-Kept"), "yes");
    assert!(received.body() == body, "{} bytes", received.body().len());
}

#[test]
fn many_sessions_have_their_own_filter_connections_and_no_answer_goes_astray() {
    let sink = Sink::start();
    let milter = Milter::start(|it, before| match it.letter {
        b'E' => {
            let mut mails = before.iter().filter(|it| it.letter == b'M');
            let sender = mails.next_back().unwrap().strings()[0].clone();
            Answer::Bytes(
                [
                    packet('h', field(None, "X-Sender", &sender)),
                    packet('c', ""),
                ]
                .concat(),
            )
        }
        _ => go_on(),
    });
    let server = Smarthost::start(&config(&sink.nexthop(), &milter, ""));
    let address = server.address();
    let clients: Vec<_> = (0..20)
        .map(|client| {
            thread::spawn(move || {
                let mut session = Session::connect_from(STRANGER.parse().unwrap(), address).ehlo();
                for message in 0..5 {
                    let sender = format!("c{client}-{message}@ham.example");
                    session.delivers(&sender, &["u@public.example"], MESSAGE);
                    if message % 2 == 0 {
                        session.say("RSET");
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    for received in sink.journal().wait_for(100) {
        assert_eq!(received.field("X-Sender"), format!("<{}>", received.sender));
    }
    until_true("each filter connection is closed with its session", || {
        milter
            .heard()
            .iter()
            .all(|it| it.last().is_some_and(|it| it.letter == b'Q'))
    });
    assert_eq!(milter.heard().len(), 20);
}
