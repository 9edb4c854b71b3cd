//! A proxy in front of the smarthost says who its clients are, and nobody else can (`proxy`, the PROXY protocol).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{io::ErrorKind, net::IpAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use relay::tls::{ClientTls, Trust};
use tests::{session::Session, sink::Sink, smarthost::Smarthost, wait::free_address};

const PROXY: &str = "127.0.0.5";
const CARRIED: &[u8] = b"PROXY TCP4 198.51.100.7 192.0.2.1 51000 25\r\n";
const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// The clients behind the proxy may relay, and so may its own address.
fn setup(sink: &Sink, more: &str) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"198.51.100.0/24\", \"{PROXY}\", \"127.0.0.6\"]\nproxy = [\"{PROXY}\"]\nrelayhost = \"{}\"\n\
         domains = {{ local = [\"example.org\"] }}\nmaildir = \"$DIR/Maildir\"\n{more}\n",
        sink.nexthop()
    ))
}

fn from(address: &str, smarthost: &Smarthost) -> Session {
    let address: IpAddr = address.parse().unwrap();
    Session::connect_from(address, smarthost.address())
}

fn behind(header: &[u8], smarthost: &Smarthost) -> Session {
    let mut session = from(PROXY, smarthost);
    session.send(header).unwrap();
    session
}

/// Version 2, as the proxy writes it.
fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    let fixed = [0x20 | command, family, length[0], length[1]];
    [b"\r\n\r\n\0\r\nQUIT\n", &fixed[..], rest].concat()
}

const V4: [u8; 12] = [198, 51, 100, 9, 192, 0, 2, 1, 199, 56, 0, 25];

#[test]
fn the_client_is_whom_the_header_names_in_networks_limits_log_and_received() {
    let sink = Sink::start();
    let mut smarthost = setup(&sink, "limits = { per_client = [\"1/day\"] }");
    // In pieces, the last with the first command behind it.
    let mut session = from(PROXY, &smarthost);
    let (first, rest) = CARRIED.split_at(17);
    session.send(first).unwrap();
    let (second, last) = rest.split_at(rest.len() - 1);
    session.send(second).unwrap();
    session
        .send(&[last, b"EHLO c.example\r\n"].concat())
        .unwrap();
    assert_eq!(session.reply().code, 220);
    assert_eq!(session.reply().code, 250);
    session.delivers("a@example.net", &["b@far.example"], MESSAGE);
    let over = session.mail("a@example.net", &["b@far.example"], MESSAGE);
    assert_eq!(over.unwrap().code, 450);

    // Another client behind the same proxy, in the binary form, byte by byte, with something about the proxy.
    let header = version_2(1, 0x11, &[&V4[..], &[4, 0, 1, 0]].concat());
    let mut other = from(PROXY, &smarthost);
    for byte in header {
        other.send(&[byte]).unwrap();
    }
    other
        .ehlo()
        .delivers("a@example.net", &["b@far.example"], MESSAGE);

    for (message, client) in sink
        .journal()
        .wait_for(2)
        .iter()
        .zip(["198.51.100.7", "198.51.100.9"])
    {
        let received = message.fields("received");
        assert!(received[0].contains(&format!("[{client}]")), "{received:?}");
    }
    smarthost
        .daemon()
        .wait_for_log("connect from unknown[198.51.100.7]");
    assert!(!smarthost.daemon().log().contains(PROXY));
    let listed = smarthost.admin(&["limits", "list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for client in ["198.51.100.7", "198.51.100.9"] {
        assert!(listed.contains(client), "{listed}");
    }
    assert!(!listed.contains(PROXY), "{listed}");
}

/// A client may fail ten times, and has so many sessions at once; its neighbours behind the proxy do not feel it.
#[test]
fn failed_logins_and_places_are_those_of_the_client_and_not_of_the_proxy() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"{PROXY}\"]\nproxy = [\"{PROXY}\"]\nauth = {{ users = \"users\" }}\nrelayhost = \"{}\"\n\
         concurrency = {{ sessions_per_client = 2 }}\n",
        sink.nexthop()
    ));
    let output = smarthost.admin(&["passwd", "printer", "--generate"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let secret = said.trim_end().lines().last().unwrap().to_owned();
    smarthost.run();
    let config = ClientTls::new(&Trust::Opportunistic).unwrap().config;
    let open = |client: &str| {
        let header = format!("PROXY TCP4 {client} 192.0.2.1 51000 587\r\n");
        let session = behind(header.as_bytes(), &smarthost).ehlo();
        session.starttls(config.clone())
    };
    let login = |session: &mut Session, secret: &str| {
        let response = BASE64_STANDARD.encode(format!("\0printer\0{secret}"));
        session.say(&format!("AUTH PLAIN {response}")).code
    };
    let mut guesser = open("203.0.113.7");
    for _ in 0..10 {
        assert_eq!(login(&mut guesser, "wrong"), 535);
    }
    assert_eq!(login(&mut guesser, &secret), 454);
    let mut printer = open("203.0.113.8");
    assert_eq!(login(&mut printer, &secret), 235);
    printer.delivers("a@example.net", &["b@far.example"], MESSAGE);

    let _second = open("203.0.113.7");
    let mut third = behind(b"PROXY TCP4 203.0.113.7 192.0.2.1 9 587\r\n", &smarthost);
    let refused = third.reply();
    assert_eq!(refused.code, 421);
    assert!(refused.text().contains("203.0.113.7"), "{refused:?}");
    drop(open("203.0.113.9"));
}

#[test]
fn the_header_comes_before_tls() {
    let sink = Sink::start();
    let wrapped = free_address();
    let mut smarthost = Smarthost::prepare("");
    let first = smarthost.address();
    let listen =
        format!("listen = [\"{first}\", {{ address = \"{wrapped}\", tls = \"wrapped\" }}]");
    smarthost.configure(&format!(
        "networks = [\"198.51.100.0/24\"]\nproxy = [\"{PROXY}\"]\nrelayhost = \"{}\"\n{listen}\n",
        sink.nexthop()
    ));
    smarthost.run();
    let config = ClientTls::new(&Trust::Opportunistic).unwrap().config;
    let mut session = Session::connect_from(PROXY.parse().unwrap(), wrapped);
    session.send(CARRIED).unwrap();
    session
        .wrapped(config)
        .ehlo()
        .delivers("a@example.net", &["b@far.example"], MESSAGE);
}

#[test]
fn without_a_header_that_can_be_read_the_connection_is_closed_without_a_word() {
    let sink = Sink::start();
    let mut smarthost = setup(&sink, "");
    let stranger = [203, 0, 113, 9, 192, 0, 2, 1, 199, 56, 0, 25];
    for (header, why) in [
        (
            b"EHLO c.example\r\n".to_vec(),
            "does not begin with a PROXY header",
        ),
        (
            [&b"PROXY UNKNOWN "[..], &[b'x'; 107]].concat(),
            "is too long",
        ),
        (
            b"PROXY TCP4 198.51.100.7 192.0.2.1 51000\r\n".to_vec(),
            "is malformed",
        ),
        (
            version_2(1, 0x31, &[b'/'; 216]),
            "names no client of TCP over IPv4 or IPv6",
        ),
        (
            b"PROXY TCP4 0.0.0.0 192.0.2.1 51000 25\r\n".to_vec(),
            "an address that no client can have",
        ),
    ] {
        let mut session = behind(&header, &smarthost);
        let end = session.line().unwrap_err().kind();
        let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&end);
        assert!(closed, "{header:?}: {end}");
        smarthost.daemon().wait_for_log(why);
    }
    // Who says nothing, or half of it, is not waited for.
    let parts = [&b""[..], &CARRIED[..20], &version_2(1, 0x11, &V4)[..20]];
    for mut silent in parts.map(|part| behind(part, &smarthost)) {
        let end = silent.line().unwrap_err().kind();
        assert_eq!(end, ErrorKind::UnexpectedEof);
    }
    smarthost
        .daemon()
        .wait_for_log("no PROXY header came in time");
    // Whom the proxy names is no friend of ours, even if the proxy is.
    let mut session = behind(&version_2(1, 0x11, &stranger), &smarthost).ehlo();
    let refused = session.mail("a@example.net", &["b@far.example"], MESSAGE);
    assert_eq!(refused.unwrap().code, 554);
}

#[test]
fn whom_the_proxy_cannot_name_is_greeted_and_may_not_relay_as_the_proxy_might() {
    let sink = Sink::start();
    let smarthost = setup(&sink, "");
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 198.51.100.7 192.0.2.1 1 25\r\n".to_vec(),
        version_2(0, 0, b""),
        version_2(0, 0x11, &V4),
        version_2(1, 0, b""),
    ] {
        let mut session = behind(&header, &smarthost).ehlo();
        let refused = session.mail("a@example.net", &["b@far.example"], MESSAGE);
        assert_eq!(refused.unwrap().code, 554, "{header:?}");
        session.delivers("a@example.net", &["root@example.org"], MESSAGE);
    }
}

#[test]
fn a_header_from_elsewhere_is_an_unknown_command_and_gives_nothing() {
    let sink = Sink::start();
    let mut smarthost = setup(&sink, "");
    let line = String::from_utf8(CARRIED.to_vec()).unwrap();
    // The second is in networks: perhaps a proxy that was forgotten in `proxy`, whose clients are not its own.
    for address in ["127.0.0.66", "127.0.0.6"] {
        let mut session = from(address, &smarthost);
        assert_eq!(session.reply().code, 220);
        session.send(b"PRO").unwrap();
        let unknown = session.say(line.trim_end().strip_prefix("PRO").unwrap());
        assert!([500, 502].contains(&unknown.code), "{unknown:?}");
        assert_eq!(session.say("EHLO c.example").code, 250);
        let refused = session.mail("a@example.net", &["b@far.example"], MESSAGE);
        assert_eq!(refused.unwrap().code, 554, "{address}");
    }
    let mut friend = from("127.0.0.6", &smarthost).ehlo();
    friend.delivers("a@example.net", &["b@far.example"], MESSAGE);
    let log = smarthost.daemon().wait_for_log("not in `proxy`");
    assert!(!log.contains("198.51.100.7"), "{log}");
}
