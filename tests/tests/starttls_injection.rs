//! A man in the middle who forges replies behind the answer to STARTTLS, and behind a correct pin.
//!
//! He cannot read or change what is encrypted. But a client that keeps its buffer over the
//! handshake takes his clear-text replies for the relay's: a refused recipient looks accepted, and
//! the message is lost. Transports with that flaw exist, which is why the client machine is ours.
//! First the attack is shown to work on such a client, then that ours is immune.
#![expect(clippy::unwrap_used, reason = "a harness fails its test by panicking")]

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use mail::{
    address::Address,
    envelope::{Envelope, Recipient},
    outcome::{Blame, Failure, Outcome, Stage},
};
use relay::{
    net::{Connection, Target},
    tls::{ClientTls, Trust},
    trust::PeerKey,
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use smtp::client::{Protocol, Security, Settings, Timeouts, Transaction};
use tests::{
    identity::Identity,
    sink::{Script, Sink},
};

const FORGED: &str = "250-evil.example\r\n250 PIPELINING\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Ok: queued as FORGED\r\n";
const PATIENCE: Duration = Duration::from_mins(1);

/// A relay that knows no recipient, the way to it through the man in the middle, and its pin.
struct Scene {
    relay: Sink,
    middle: SocketAddr,
    tls: ClientTls,
}

fn scene(forged: &'static str) -> Scene {
    let identity = Identity::new("relay.example.test");
    let relay = Sink::with(Script {
        starttls: Some(identity.server()),
        recipients: vec![(
            "admins@example.org".to_owned(),
            "550 5.1.1 no such user".to_owned(),
        )],
        ..Script::default()
    });
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let pin = PeerKey::of_certificate(&certificate).unwrap().pin();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let middle = listener.local_addr().unwrap();
    let address = relay.address();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            thread::spawn(move || {
                stand_between(client, TcpStream::connect(address).unwrap(), forged)
            });
        }
    });
    Scene {
        relay,
        middle,
        tls: ClientTls::new(&Trust::Pins(vec![pin])).unwrap(),
    }
}

/// Passes everything on; adds the forged replies to the answer to STARTTLS, in one write.
fn stand_between(mut client: TcpStream, relay: TcpStream, forged: &str) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut from_client, mut to_relay) = (client.try_clone()?, relay.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_relay);
        to_relay.shutdown(std::net::Shutdown::Write)
    });
    let mut from_relay = BufReader::new(relay);
    let mut greeted = false;
    loop {
        let mut line = String::new();
        if from_relay.read_line(&mut line)? == 0 {
            return Ok(());
        }
        // The first 220 is the greeting, the second answers STARTTLS.
        let answers_starttls = line.starts_with("220 ") && std::mem::replace(&mut greeted, true);
        if answers_starttls {
            line.push_str(forged);
        }
        client.write_all(line.as_bytes())?;
        if answers_starttls {
            io::copy(&mut from_relay, &mut client)?;
            return Ok(());
        }
    }
}

fn command(stream: &mut impl Write, line: &str) {
    stream
        .write_all(line.as_bytes())
        .and_then(|()| stream.flush())
        .unwrap();
}

/// One reply, all its lines.
fn reply(from: &mut impl io::BufRead) -> String {
    let mut text = String::new();
    loop {
        let start = text.len();
        from.read_line(&mut text).unwrap();
        if text.as_bytes()[start..].get(3) != Some(&b'-') {
            return text;
        }
    }
}

/// Goes on reading through the buffer that it had before TLS: first what is left in it, then what
/// is encrypted.
struct KeptBuffer {
    kept: io::Cursor<Vec<u8>>,
    encrypted: rustls::StreamOwned<rustls::ClientConnection, TcpStream>,
}

impl Read for KeptBuffer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.kept.read(buffer)? {
            0 => self.encrypted.read(buffer),
            count => Ok(count),
        }
    }
}

/// A client with the flaw, and with the right pin; gives the reply to each of its commands.
fn flawed_client(scene: &Scene) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(scene.middle).unwrap());
    reply(&mut stream);
    command(stream.get_mut(), "EHLO client.example\r\n");
    reply(&mut stream);
    command(stream.get_mut(), "STARTTLS\r\n");
    assert!(reply(&mut stream).starts_with("220 "));
    let kept = io::Cursor::new(stream.buffer().to_vec());
    let name = ServerName::try_from("relay.example.test").unwrap();
    let session = rustls::ClientConnection::new(Arc::clone(&scene.tls.config), name).unwrap();
    let encrypted = rustls::StreamOwned::new(session, stream.into_inner());
    let mut stream = BufReader::new(KeptBuffer { kept, encrypted });
    let commands = [
        "EHLO client.example\r\n",
        "MAIL FROM:<root@vm1.example.org>\r\n",
        "RCPT TO:<admins@example.org>\r\n",
    ];
    commands
        .into_iter()
        .map(|line| {
            command(&mut stream.get_mut().encrypted, line);
            reply(&mut stream)
        })
        .collect()
}

/// Our client: the outcome, or why there is no connection.
fn our_client(scene: &Scene, security: Security) -> Result<Vec<Outcome>, Failure> {
    let settings = Settings {
        helo: "vm1.example.org".to_owned(),
        protocol: Protocol::Smtp,
        security,
        timeouts: Timeouts::default(),
        known: None,
        credentials: None,
        enroll: None,
    };
    let target = Target::tcp("127.0.0.1", scene.middle, Some(&scene.tls));
    let (mut connection, _) = Connection::open_or_clear(&target, &settings, PATIENCE)?;
    let recipients = vec![Recipient::from(
        Address::parse("admins@example.org").unwrap(),
    )];
    let envelope = Envelope {
        recipients,
        ..Envelope::default()
    };
    let transaction = Transaction::of(&envelope, 15);
    let outcomes = connection.send(transaction, &mut b"Subject: x\r\n\r\n".as_slice());
    connection.quit();
    Ok(outcomes)
}

#[test]
fn the_forged_replies_arrive_in_the_segment_that_answers_starttls() {
    let scene = scene(FORGED);
    let mut stream = TcpStream::connect(scene.middle).unwrap();
    let mut buffered = BufReader::new(stream.try_clone().unwrap());
    reply(&mut buffered);
    command(&mut stream, "EHLO client.example\r\n");
    reply(&mut buffered);
    assert!(buffered.buffer().is_empty());
    command(&mut stream, "STARTTLS\r\n");
    let mut segment = [0; 4096];
    let count = stream.read(&mut segment).unwrap();
    let segment = std::str::from_utf8(&segment[..count]).unwrap();
    assert!(
        segment.starts_with("220 ") && segment.ends_with(FORGED),
        "{segment}"
    );
}

#[test]
fn a_client_that_keeps_its_buffer_is_deceived_behind_a_correct_pin() {
    let forged = flawed_client(&scene(FORGED));
    assert_eq!(forged[0], "250-evil.example\r\n250 PIPELINING\r\n");
    assert_eq!(forged[2], "250 2.1.5 Ok\r\n", "the relay had said 550");
    let honest = flawed_client(&scene(""));
    assert_eq!(honest[2], "550 5.1.1 no such user\r\n");
}

/// Rows B15 and B7: the pin protects only if nothing from before the handshake counts.
#[test]
fn our_client_refuses_the_connection_and_keeps_the_mail() {
    for security in [Security::StartTls, Security::Opportunistic] {
        for forged in [FORGED, "2", "\r\n"] {
            let scene = scene(forged);
            let failure = our_client(&scene, security).unwrap_err();
            assert_eq!(
                (failure.blame, failure.stage, failure.status.class()),
                (Blame::Peer, Stage::Tls, 4)
            );
            assert!(
                failure.log_text().contains("forges replies"),
                "{}",
                failure.log_text()
            );
            assert!(scene.relay.journal().is_empty());
        }
    }
}

#[test]
fn without_forgery_the_same_way_leads_to_the_relays_own_answer() {
    let outcomes = our_client(&scene(""), Security::StartTls).unwrap();
    assert!(
        matches!(&outcomes[..], [Outcome::Failed(failure)] if failure.text == "550 5.1.1 no such user"),
        "{outcomes:?}"
    );
}
