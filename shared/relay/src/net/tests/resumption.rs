//! Peers that cannot bear what they are offered.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use mail::outcome::Failure;
use smtp::client::Security;

use super::{follow, open, settings};
use crate::{
    tls::{ClientTls, TlsVersion, Trust, pins_of_file, self_signed, server_config},
    trust::Pin,
};

/// Tickets that can be given, and are never understood; counts those that came.
#[derive(Debug, Default)]
struct Forgetful(AtomicUsize);
impl rustls::server::ProducesTickets for Forgetful {
    fn enabled(&self) -> bool {
        true
    }
    fn lifetime(&self) -> u32 {
        3600
    }
    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        Some(session.to_vec())
    }
    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        None
    }
}

/// Four connections with a relay that, where it is offered a session, says `answer` and closes, or
/// says nothing: how each went, how often it was offered one, and how many connections it saw.
fn break_over_sessions(
    version: &'static rustls::SupportedProtocolVersion,
    answer: Option<&'static [u8]>,
    believe: impl Fn(Pin) -> Trust,
) -> (Vec<Result<Option<String>, Failure>>, usize, usize) {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = self_signed("relay.example.org").unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    };
    let (certificate, key) = (file("cert", certificate), file("key", key));
    let pin = pins_of_file(&certificate).unwrap().pin();
    let offered = Arc::new(Forgetful::default());
    let server = server_config(&certificate, &key, TlsVersion::V1_2).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(server.crypto_provider()))
        .with_protocol_versions(&[version])
        .unwrap();
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&server.cert_resolver));
    config.ticketer = Arc::clone(&offered) as _;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let counted = Arc::clone(&offered);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let relay = thread::spawn(move || {
        let (mut connections, mut mute) = (0, Vec::new());
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if ended.try_recv().is_ok() {
                return connections;
            }
            connections += 1;
            let before = counted.0.load(Ordering::SeqCst);
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            session.read_tls(&mut stream).unwrap();
            session.process_new_packets().unwrap();
            if counted.0.load(Ordering::SeqCst) == before {
                let script = [
                    ("", "220 relay ESMTP\r\n"),
                    ("\r\n", "250 relay\r\n"),
                    ("QUIT\r\n", "221 bye\r\n"),
                ];
                follow(rustls::StreamOwned::new(session, stream), &script);
            } else if let Some(answer) = answer {
                stream.write_all(answer).unwrap();
            } else {
                mute.push(stream);
            }
        }
        connections
    });
    let tls = ClientTls::new(&believe(pin)).unwrap();
    let mut settings = settings(Security::Wrapped);
    settings.timeouts.opening = Duration::from_millis(500);
    let opened = (0..4).map(|_| {
        let connection = open(address, Some(&tls), &settings)?;
        let summary = connection.tls_summary().map(str::to_owned);
        connection.quit();
        Ok(summary)
    });
    let opened = opened.collect();
    end.send(()).unwrap();
    drop(std::net::TcpStream::connect(address));
    let connections = relay.join().unwrap();
    (opened, offered.0.load(Ordering::SeqCst), connections)
}

/// Row B7.
#[test]
fn a_relay_that_breaks_over_a_session_costs_one_more_connection_once_and_none_of_the_trust() {
    const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 80];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for answer in [&b""[..], ALERT, b"421 4.3.0 what is this?\r\n"] {
            for trusts in [|pin| Trust::Pins(vec![pin]), |_| Trust::Opportunistic] {
                let (opened, offered, connections) =
                    break_over_sessions(version, Some(answer), trusts);
                for opened in opened {
                    let summary = opened.unwrap().unwrap();
                    assert!(!summary.contains("resumed"), "{summary}");
                }
                assert_eq!((offered, connections), (1, 5), "{version:?} {answer:?}");
            }
        }
        // Nobody waits twice: the next one goes in full.
        let (opened, offered, connections) =
            break_over_sessions(version, None, |pin| Trust::Pins(vec![pin]));
        let failed: Vec<bool> = opened.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, true, false, false], "{version:?}");
        assert_eq!((offered, connections), (1, 4), "{version:?}");
    }
}
