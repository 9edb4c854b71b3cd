//! Real sockets, with a peer that follows a script in a thread.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
    time::Duration,
};

use super::*;
use crate::{
    conversation::Trusting,
    delivery::Place,
    tls::{ClientTls, TlsVersion, Trust, pins_of_file, self_signed, server_config},
    trust::{PeerKey, Pin},
};
use mail::{
    address::Address,
    envelope::{Envelope, Recipient},
    outcome::{Blame, Failure, Outcome, Stage},
};
use smtp::{
    capability::Capabilities,
    client::{Protocol, Security, Settings, Timeouts, Transaction},
};

mod resumption;

const PATIENCE: Duration = Duration::from_mins(1);

fn settings(security: Security) -> Settings {
    Settings {
        helo: "vm1.example.org".into(),
        protocol: Protocol::Smtp,
        security,
        timeouts: Timeouts::default(),
        known: None,
        credentials: None,
        enroll: None,
    }
}

fn mail() -> Transaction {
    let recipients = vec![Recipient::from(
        Address::parse("admins@example.org").unwrap(),
    )];
    let envelope = Envelope {
        recipients,
        ..Envelope::default()
    };
    Transaction::of(&envelope, 5)
}

/// Says each line, after having read what ends in the text that stands before it. Gives the bytes
/// of each read, and what came after the script.
fn follow(mut stream: impl Read + Write, script: &[(&str, &str)]) -> Vec<String> {
    let mut reads = Vec::new();
    for (awaited, reply) in script {
        let mut heard = String::new();
        while !heard.ends_with(awaited) {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(count @ 1..) => {
                    heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                    reads.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
                }
                _ => return reads,
            }
        }
        if stream
            .write_all(reply.as_bytes())
            .and_then(|()| stream.flush())
            .is_err()
        {
            return reads;
        }
    }
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest);
    reads.push(rest);
    reads
}

/// A TCP peer for one connection.
fn peer(script: &'static [(&str, &str)]) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (
        listener.local_addr().unwrap(),
        thread::spawn(move || follow(listener.accept().unwrap().0, script)),
    )
}

fn open(
    address: SocketAddr,
    tls: Option<&ClientTls>,
    settings: &Settings,
) -> Result<Connection, Failure> {
    let target = Target::tcp("127.0.0.1", address, tls);
    Connection::open_or_clear(&target, settings, PATIENCE).map(|(connection, _)| connection)
}

#[test]
fn a_known_peer_on_a_unix_socket_takes_two_writes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("submit.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let agent = thread::spawn(move || {
        let script = [
            (
                "DATA\r\n",
                "220 agent\r\n250 agent\r\n250 ok\r\n250 ok\r\n354 go\r\n",
            ),
            ("\r\n.\r\n", "250 2.0.0 Ok: queued as X\r\n"),
        ];
        follow(listener.accept().unwrap().0, &script)
    });
    let known = Some(Capabilities {
        pipelining: true,
        ..Capabilities::default()
    });
    let mut connection = Connection::open(
        &Target::unix(&path),
        &Settings {
            known,
            ..settings(Security::None)
        },
        PATIENCE,
    )
    .unwrap();
    let outcomes = connection.send(mail(), &mut b"hello\r\n".as_slice());
    assert!(
        matches!(&outcomes[..], [Outcome::Delivered(delivery)] if delivery.reply == "250 2.0.0 Ok: queued as X"),
        "{outcomes:?}"
    );
    assert!(connection.is_usable());
    connection.quit();
    let reads = agent.join().unwrap();
    assert_eq!(
        reads[0],
        "EHLO vm1.example.org\r\nMAIL FROM:<>\r\nRCPT TO:<admins@example.org>\r\nDATA\r\n"
    );
    assert_eq!(reads[1..], ["hello\r\n.\r\n", "QUIT\r\n"]);
}

/// A relay with a certificate of its own; gives its address, its pin, and what it heard.
fn secure_relay(wrapped: bool) -> (SocketAddr, Pin, thread::JoinHandle<String>) {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = self_signed("relay.example.org").unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path
    };
    let (certificate, key) = (file("cert", certificate), file("key", key));
    let pin = pins_of_file(&certificate).unwrap().pin();
    let config = server_config(&certificate, &key, TlsVersion::V1_2).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        if !wrapped {
            let clear = [
                ("", "220 relay ESMTP\r\n"),
                ("\r\n", "250-relay\r\n250 STARTTLS\r\n"),
                ("STARTTLS\r\n", "220 go\r\n"),
            ];
            for (awaited, reply) in clear {
                read_until(&mut stream, awaited);
                stream.write_all(reply.as_bytes()).unwrap();
            }
        }
        let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let greeting = if wrapped { "220 relay ESMTP\r\n" } else { "" };
        let script = [
            ("", greeting),
            ("\r\n", "250-relay\r\n250 PIPELINING\r\n"),
            ("DATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"),
            ("\r\n.\r\n", "250 2.0.0 Ok: queued as X\r\n"),
        ];
        follow(rustls::StreamOwned::new(session, stream), &script).concat()
    });
    (address, pin, relay)
}

fn read_until(stream: &mut impl Read, awaited: &str) {
    let (mut heard, mut byte) = (String::new(), [0]);
    while !heard.ends_with(awaited) {
        stream.read_exact(&mut byte).unwrap();
        heard.push(char::from(byte[0]));
    }
}

/// Row B15.
#[test]
fn a_pinned_relay_is_believed_with_starttls_and_with_wrapped_tls() {
    for security in [Security::StartTls, Security::Wrapped] {
        let (address, pin, relay) = secure_relay(security == Security::Wrapped);
        let tls = ClientTls::new(&Trust::Pins(vec![pin.clone()])).unwrap();
        let mut connection = open(address, Some(&tls), &settings(security)).unwrap();
        let large = "0123456789\r\n".repeat(20_000);
        let outcomes = connection.send(mail(), &mut large.as_bytes());
        assert!(
            matches!(&outcomes[..], [Outcome::Delivered(delivery)] if delivery.relay == connection.relay()),
            "{outcomes:?}"
        );
        assert!(connection.is_usable(), "tickets are no news");
        assert_eq!(connection.peer_key().map(PeerKey::pin), Some(pin));
        assert!(
            connection
                .tls_summary()
                .unwrap()
                .starts_with("TLSv1.3 with cipher")
        );
        connection.quit();
        assert!(
            relay.join().unwrap().contains(&large),
            "the whole message arrived"
        );
    }
}

#[test]
fn behind_a_wrong_pin_the_relay_hears_nothing_even_where_tls_is_optional() {
    for security in [
        Security::StartTls,
        Security::Wrapped,
        Security::Opportunistic,
    ] {
        let (address, pin, relay) = secure_relay(security == Security::Wrapped);
        let tls = ClientTls::new(&Trust::Pins(vec![Pin::KeySha256([1; 32])])).unwrap();
        let failure = open(address, Some(&tls), &settings(security))
            .err()
            .unwrap();
        assert!(
            failure.log_text().contains(&pin.to_string()),
            "{}",
            failure.log_text()
        );
        assert_eq!((failure.stage, failure.status.class()), (Stage::Tls, 4));
        assert_eq!(relay.join().unwrap(), "");
    }
}

#[test]
fn a_mute_relay_costs_no_more_than_the_timeout() {
    let (address, relay) = peer(&[("", "22"), ("never", "")]);
    let mut short = settings(Security::None);
    short.timeouts.opening = Duration::from_millis(100);
    let failure = open(address, None, &short).err().unwrap();
    assert_eq!(
        (failure.text.as_str(), failure.stage),
        ("conversation timed out", Stage::Greeting)
    );
    relay.join().unwrap();
}

#[test]
fn a_handshake_that_is_not_answered_or_answered_with_nonsense_costs_the_timeout_at_most_and_sends_no_mail()
 {
    for answer in [
        &b""[..],
        b"what is this?\r\n500 no\r\n",
        &[0x16, 3, 3, 0xff, 0xff, 2],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let relay = thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            stream.get_mut().write_all(b"220 x\r\n").unwrap();
            for reply in [&b"250-x\r\n250 STARTTLS\r\n"[..], b"220 go\r\n"] {
                stream.read_line(&mut line).unwrap();
                stream.get_mut().write_all(reply).unwrap();
            }
            let mut handshake = [0; 5];
            stream.read_exact(&mut handshake).unwrap();
            stream.get_mut().write_all(answer).unwrap();
            let mut rest = Vec::new();
            // A client that gives up in the middle may reset the connection.
            let _ = stream.read_to_end(&mut rest);
            rest
        });
        let tls = ClientTls::new(&Trust::Pins(vec![Pin::KeySha256([1; 32])])).unwrap();
        let mut short = settings(Security::StartTls);
        short.timeouts.opening = Duration::from_millis(300);
        let failure = open(address, Some(&tls), &short).err().unwrap();
        assert_eq!((failure.stage, failure.status.class()), (Stage::Tls, 4));
        let heard = relay.join().unwrap();
        assert!(!heard.windows(4).any(|window| window == b"MAIL"));
    }
}

#[test]
fn a_relay_that_closes_or_talks_nonsense_defers_at_every_step() {
    const CUT: [&[(&str, &str)]; 5] = [
        &[
            ("", "220 relay\r\n"),
            ("\r\n", "250 relay\r\n"),
            ("MAIL FROM:<>\r\n", "25"),
        ],
        &[
            ("", "220 relay\r\n"),
            ("\r\n", "250 relay\r\n"),
            ("MAIL FROM:<>\r\n", "250 ok\n"),
        ],
        &[
            ("", "220 relay\r\n"),
            ("\r\n", "250 relay\r\n"),
            ("MAIL FROM:<>\r\n", "250 ok\r\n"),
            ("\r\n", "\0\r\n"),
        ],
        &[
            ("", "220 relay\r\n"),
            ("\r\n", "250 relay\r\n"),
            ("<>\r\n", "250 ok\r\n"),
            ("\r\n", "250 ok\r\n"),
            ("DATA\r\n", ""),
        ],
        &[
            ("", "220 relay\r\n"),
            ("\r\n", "250 relay\r\n"),
            ("<>\r\n", "250 ok\r\n"),
            ("\r\n", "250 ok\r\n"),
            ("DATA\r\n", "354 go\r\n"),
            ("\r\n.\r\n", ""),
        ],
    ];
    for script in CUT {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Unlike `follow` alone, closes at once behind its last line.
        let relay = thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            let (last, before) = script.split_last().unwrap();
            let mut stream = stream;
            for (awaited, reply) in before {
                read_until(&mut stream, awaited);
                stream.write_all(reply.as_bytes()).unwrap();
            }
            read_until(&mut stream, last.0);
            stream.write_all(last.1.as_bytes()).unwrap();
        });
        let mut connection = open(address, None, &settings(Security::None)).unwrap();
        let outcomes = connection.send(mail(), &mut b"hello\r\n".as_slice());
        assert!(
            matches!(&outcomes[..], [Outcome::Deferred(_)]),
            "{outcomes:?}"
        );
        assert!(!connection.is_usable());
        relay.join().unwrap();
    }
}

#[test]
fn a_reply_too_many_behind_ehlo_is_told_as_what_it_is_and_not_as_a_closed_connection() {
    let (address, relay) = peer(&[("", "220 relay\r\n"), ("\r\n", "250 relay\r\n250 more\r\n")]);
    let failure = open(address, None, &settings(Security::None))
        .err()
        .unwrap();
    assert_eq!(
        failure.text,
        "the peer sent a reply that nobody asked for: 250 more"
    );
    assert_eq!((failure.stage, failure.blame), (Stage::Helo, Blame::Peer));
    assert!(failure.stops_destination());
    relay.join().unwrap();
}

/// As a delivery does.
#[test]
fn a_probe_asks_again_without_what_the_peer_refuses_of_parameters() {
    for (last, brief) in [("250 ok\r\n", "D"), ("501 5.5.4 syntax\r\n", "F")] {
        let script: &'static [(&str, &str)] = Box::leak(Box::new([
            ("", "220 relay\r\n"),
            ("\r\n", "250-relay\r\n250 SIZE\r\n"),
            ("SIZE=5\r\n", "501 5.5.4 syntax\r\n"),
            ("MAIL FROM:<>\r\n", last),
            ("RCPT TO:<admins@example.org>\r\n", "250 ok\r\n"),
        ]));
        let (address, relay) = peer(script);
        let mut connection = open(address, None, &settings(Security::None)).unwrap();
        let outcomes = connection.probe(&mail());
        let found = match &outcomes[..] {
            [Outcome::Delivered(_)] => "D",
            [Outcome::Failed(_)] => "F",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, brief);
        connection.quit();
        relay.join().unwrap();
    }
}

#[test]
fn a_kept_connection_that_the_relay_has_ended_is_not_used_again() {
    for farewell in ["421 4.4.2 timeout\r\n", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let relay = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"220 relay\r\n").unwrap();
            read_until(&mut stream, "\r\n");
            stream.write_all(b"250 relay\r\n").unwrap();
            told.recv().unwrap();
            stream.write_all(farewell.as_bytes()).unwrap();
        });
        let mut connection = open(address, None, &settings(Security::None)).unwrap();
        assert!(connection.is_usable());
        tell.send(()).unwrap();
        relay.join().unwrap();
        assert!(!connection.is_usable(), "{farewell:?}");
    }
}

/// Fails on the first read.
struct Damaged;
impl Read for Damaged {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("checksum"))
    }
}

#[test]
fn a_spooled_message_that_cannot_be_read_is_deferred_and_the_relay_gets_no_end_of_it() {
    let (address, relay) = peer(&[
        ("", "220 r\r\n"),
        ("\r\n", "250-r\r\n250 PIPELINING\r\n"),
        ("DATA\r\n", "250 a\r\n250 b\r\n354 go\r\n"),
    ]);
    let mut connection = open(address, None, &settings(Security::None)).unwrap();
    let outcomes = connection.send(mail(), &mut Damaged);
    assert!(
        matches!(&outcomes[..], [Outcome::Deferred(failure)] if failure.text.contains("cannot be read: checksum")),
        "{outcomes:?}"
    );
    assert_eq!(relay.join().unwrap().last().unwrap(), "");
}

#[test]
fn a_broken_handshake_leads_to_clear_text_only_where_no_key_must_be_shown() {
    for (trust, connections) in [
        (Trust::Pins(vec![Pin::KeySha256([1; 32])]), 1),
        (Trust::WebRoots, 1),
        (Trust::Opportunistic, 2),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let relay = thread::spawn(move || {
            for _ in 0..connections {
                // The bytes of a handshake are no line: it closes.
                let script = [
                    ("", "220 relay\r\n"),
                    ("\r\n", "250-relay\r\n250 STARTTLS\r\n"),
                    ("\r\n", "220 go\r\n"),
                ];
                let mut stream = listener.accept().unwrap().0;
                for (awaited, reply) in script {
                    read_until(&mut stream, awaited);
                    stream.write_all(reply.as_bytes()).unwrap();
                }
            }
        });
        let tls = ClientTls::new(&trust).unwrap();
        let opened = open(address, Some(&tls), &settings(Security::Opportunistic));
        match opened {
            Ok(connection) => {
                assert_eq!((connections, connection.tls_summary()), (2, None));
                connection.quit();
            }
            Err(failure) => assert_eq!(
                (connections, failure.stage, failure.status.class()),
                (1, Stage::Tls, 4),
                "{trust:?}"
            ),
        }
        relay.join().unwrap();
    }
}

/// What DNS says of a relayhost may be forged: its certificate is for what was written.
#[test]
fn a_host_that_dns_named_must_show_the_name_that_the_administrator_wrote() {
    let tls = ClientTls::new(&Trust::WebRoots).unwrap();
    let place = Place::Tcp(([192, 0, 2, 1], 25).into());
    for (certified, expected) in [(None, "evil.example"), (Some("example.org"), "example.org")] {
        let tls = tls.showing(certified);
        let trusting = Trusting::at("evil.example", &place, Some(&tls)).unwrap();
        assert_eq!(trusting.name.to_str(), expected);
    }
}
