//! The driver against peers of a few lines, over real sockets.

use std::net::SocketAddr;

use mail::{
    address::{Address, Sender},
    envelope::{Envelope, Recipient},
    outcome::Stage,
};
use relay::tls;
use smtp::client::{Protocol, Security, Settings, Timeouts};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;

fn settings(security: Security) -> Settings {
    Settings {
        helo: "me.example".to_owned(),
        protocol: Protocol::Smtp,
        security,
        timeouts: Timeouts::default(),
        known: None,
        credentials: None,
        enroll: None,
    }
}

fn transaction() -> Transaction {
    let to = |text| Recipient::from(Address::parse(text).unwrap());
    let envelope = Envelope {
        sender: Sender::Null,
        recipients: vec![to("a@there.example"), to("b@there.example")],
        ..Envelope::default()
    };
    Transaction::of(&envelope, 10)
}

/// By one attempt, as the settings ask.
async fn open(
    address: SocketAddr,
    tls: Option<&ClientTls>,
    settings: Settings,
) -> Result<Connection, Failure> {
    let host = address.ip().to_string();
    let place = Place::Tcp(address);
    Connection::open(&host, place, tls, settings, limits::CONNECT_TIMEOUT).await
}

/// A peer that answers each line whose beginning is in the script, and reads a message after 354.
async fn answer(stream: TcpStream, script: &[(&str, &str)]) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let (mut heard, mut data) = (Vec::new(), false);
    stream.write_all(b"220 there.example\r\n").await.unwrap();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return heard;
        }
        let line = line.trim_end().to_owned();
        let key = if data {
            if line == "." { "." } else { "text" }
        } else {
            line.as_str()
        };
        if let Some((_, reply)) = script.iter().find(|(start, _)| key.starts_with(start)) {
            data = reply.starts_with("354");
            if reply.is_empty() {
                return heard;
            }
            stream
                .write_all(format!("{reply}\r\n").as_bytes())
                .await
                .unwrap();
        }
        heard.push(line);
    }
}

const GOOD: &[(&str, &str)] = &[
    (
        "EHLO",
        "250-there.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES",
    ),
    ("MAIL", "250 2.1.0 Ok"),
    ("RCPT TO:<b@", "550 5.1.1 no such user"),
    ("RCPT", "250 2.1.5 Ok"),
    ("DATA", "354 go on"),
    (".", "250 2.0.0 queued as X"),
    ("RSET", "250 2.0.0 Ok"),
    ("QUIT", "221 2.0.0 bye"),
];

#[tokio::test]
async fn several_messages_go_over_one_connection_and_each_recipient_has_an_outcome_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let relay = tokio::spawn(async move { answer(listener.accept().await.unwrap().0, GOOD).await });
    let mut connection = open(address, None, settings(Security::None)).await.unwrap();
    for _ in 0..2 {
        let outcomes = connection
            .send(transaction(), &mut &b"Subject: x\r\n\r\n.dot\r\n"[..], None)
            .await;
        let [Outcome::Delivered(delivered), Outcome::Failed(failed)] = outcomes.as_slice() else {
            panic!("{outcomes:?}")
        };
        assert_eq!(
            delivered.relay,
            format!("127.0.0.1[127.0.0.1]:{}", address.port())
        );
        assert_eq!(
            failed.log_text(),
            format!(
                "host {} said: 550 5.1.1 no such user (in reply to RCPT TO command)",
                delivered.relay
            )
        );
        assert!(connection.is_ready());
    }
    connection.quit().await;
    let heard = relay.await.unwrap();
    assert_eq!(
        heard.iter().filter(|line| line.starts_with("MAIL")).count(),
        2
    );
    assert_eq!(heard.iter().filter(|line| *line == "..dot").count(), 2);
    assert_eq!(heard.last().unwrap(), "QUIT");
}

#[tokio::test]
async fn a_relay_that_vanishes_at_the_end_of_the_message_leaves_it_deferred() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut script = GOOD.to_vec();
        script.insert(0, (".", ""));
        answer(listener.accept().await.unwrap().0, &script).await
    });
    let mut connection = open(address, None, settings(Security::None)).await.unwrap();
    let outcomes = connection
        .send(transaction(), &mut &b"Subject: x\r\n\r\n"[..], None)
        .await;
    assert!(
        matches!(&outcomes[0], Outcome::Deferred(failure) if failure.text.contains("more than once")),
        "{outcomes:?}"
    );
    assert!(!connection.is_ready());
}

#[tokio::test]
async fn a_relay_that_must_speak_tls_and_does_not_gets_no_message() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let relay = tokio::spawn(async move { answer(listener.accept().await.unwrap().0, GOOD).await });
    let tls = ClientTls::new(&tls::Trust::Opportunistic).unwrap();
    let failure = open(address, Some(&tls), settings(Security::StartTls))
        .await
        .unwrap_err();
    assert_eq!((failure.stage, failure.status.class()), (Stage::Tls, 4));
    assert!(
        relay
            .await
            .unwrap()
            .iter()
            .all(|line| !line.starts_with("MAIL"))
    );
}
