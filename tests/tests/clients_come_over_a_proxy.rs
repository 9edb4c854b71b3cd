//! A proxy or front end before the smarthost says who its clients are, and nobody else can
//! (`proxy`: the PROXY protocol, `xclient`: XCLIENT).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{io::ErrorKind, net::IpAddr};

use tests::{
    login::{anybody, password, plain},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

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

    // Another client behind the same proxy, in the binary form, byte by byte, with something about
    // the proxy.
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

/// A client may fail ten times, and has so many sessions at once; its neighbours behind the proxy
/// do not feel it.
#[test]
fn failed_logins_and_places_are_those_of_the_client_and_not_of_the_proxy() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"{PROXY}\"]\nproxy = [\"{PROXY}\"]\nauth = {{ users = \"users\" }}\nrelayhost = \"{}\"\n\
         concurrency = {{ sessions_per_client = 2 }}\n",
        sink.nexthop()
    ));
    let secret = password(&smarthost, "printer");
    smarthost.run();
    let open = |client: &str| {
        let header = format!("PROXY TCP4 {client} 192.0.2.1 51000 587\r\n");
        let session = behind(header.as_bytes(), &smarthost).ehlo();
        session.starttls(anybody())
    };
    let login = |session: &mut Session, secret: &str| plain(session, "printer", secret).code;
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
    let mut session = Session::connect_from(PROXY.parse().unwrap(), wrapped);
    session.send(CARRIED).unwrap();
    session
        .wrapped(anybody())
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
    // The second is in networks: perhaps a proxy that was forgotten in `proxy`, whose clients are
    // not its own.
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

const FRONT: &str = "127.0.0.8";

/// The front end and some of those behind it may relay.
fn behind_a_front_end(sink: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"198.51.100.0/24\", \"{FRONT}\"]\nxclient = [\"{FRONT}\"]\nrelayhost = \"{}\"\n\
         domains = {{ local = [\"example.org\"] }}\nmaildir = \"$DIR/Maildir\"\n\
         concurrency = {{ sessions_per_client = 2 }}\nlimits = {{ per_client = [\"100/day\"] }}\n\
         restrictions = [\"permit_mynetworks\", \"permit_sasl_authenticated\", \"reject_unknown_client_hostname\"]\n",
        sink.nexthop()
    ))
}

fn code(session: &mut Session, recipient: &str) -> u16 {
    let code = session
        .mail("a@example.net", &[recipient], MESSAGE)
        .unwrap()
        .code;
    if code != 250 {
        session.say("RSET");
    }
    code
}

#[test]
fn a_front_end_hands_on_sessions_and_each_client_is_judged_and_counted_as_itself() {
    let sink = Sink::start();
    let mut smarthost = behind_a_front_end(&sink);
    let mut session = from(FRONT, &smarthost).ehlo();
    let offered = session.say("EHLO front.example").text();
    let attributes = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
    assert!(offered.contains(attributes), "{offered}");

    // A stranger, with its name and its HELO: no EHLO is needed.
    let stranger =
        "XCLIENT ADDR=203.0.113.9 NAME=mx.ham.example PORT=4711 HELO=helo.ham.example PROTO=ESMTP";
    assert_eq!(session.say(stranger).code, 220);
    assert_eq!(code(&mut session, "b@far.example"), 554);
    assert_eq!(code(&mut session, "root@example.org"), 250);
    smarthost
        .daemon()
        .wait_for_log("client=mx.ham.example[203.0.113.9]");
    let received = "from helo.ham.example (mx.ham.example [203.0.113.9])";
    until_true("it is delivered", || {
        let mails = smarthost.maildir("Maildir");
        mails.iter().any(|mail| mail.contains(received))
    });

    // The same over another connection: the next client, by name or the want of it.
    for (name, expected) in [
        ("[UNAVAILABLE]", 550),
        ("[TEMPUNAVAIL]", 450),
        ("mx.ham.example", 250),
    ] {
        let next = format!("XCLIENT NAME={name} ADDR=203.0.113.10");
        assert_eq!(session.say(&next).code, 220);
        assert_eq!(
            session.say("MAIL FROM:<a@example.net>").code,
            503,
            "as after a new connection"
        );
        assert_eq!(session.say("EHLO mx.ham.example").code, 250);
        assert_eq!(code(&mut session, "root@example.org"), expected, "{name}");
    }

    // Whose address is in networks, or who has logged in, may relay, as long as it is said.
    for (client, expected) in [
        ("ADDR=198.51.100.7", 250),
        ("ADDR=203.0.113.9 LOGIN=vm7@example.org", 250),
        ("ADDR=203.0.113.9", 554),
        ("ADDR=IPV6:2001:db8::1 LOGIN=[UNAVAILABLE]", 554),
        ("ADDR=[UNAVAILABLE]", 554),
        ("NAME=x.example", 554),
        ("ADDR=198.51.100.8", 250),
    ] {
        assert_eq!(
            session.say(&format!("XCLIENT {client}")).code,
            220,
            "{client}"
        );
        assert_eq!(session.say("EHLO mx.ham.example").code, 250);
        assert_eq!(code(&mut session, "b@far.example"), expected, "{client}");
    }
    smarthost
        .daemon()
        .wait_for_log("sasl_method=XCLIENT, sasl_username=vm7@example.org");
    let listed = smarthost.admin(&["limits", "list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for client in ["198.51.100.7", "198.51.100.8", "vm7@example.org"] {
        assert!(listed.contains(client), "{listed}");
    }
    assert!(!listed.contains(FRONT), "{listed}");
}

#[test]
fn what_nobody_may_say_or_is_wrong_changes_nothing() {
    let sink = Sink::start();
    let smarthost = behind_a_front_end(&sink);
    // Others, those in networks among them.
    for address in ["127.0.0.66", PROXY] {
        let mut session = from(address, &smarthost).ehlo();
        assert!(!session.say("EHLO c.example").text().contains("XCLIENT"));
        assert_eq!(session.say("XCLIENT ADDR=198.51.100.7").code, 550);
        assert_eq!(code(&mut session, "b@far.example"), 554);
    }
    let mut session = from(FRONT, &smarthost).ehlo();
    for wrong in [
        "XCLIENT",
        "XCLIENT ADDR=203.0.113.9 COLOUR=red",
        "XCLIENT ADDR=203.0.113.9 LOGIN=10.0.0.1",
        "XCLIENT ADDR=203.0.113.999",
        "XCLIENT LOGIN=two+20words",
    ] {
        assert_eq!(session.say(wrong).code, 501, "{wrong}");
    }
    assert_eq!(session.say("MAIL FROM:<a@example.net>").code, 250);
    assert_eq!(session.say("XCLIENT ADDR=203.0.113.9").code, 503);
    assert_eq!(session.say("RCPT TO:<b@far.example>").code, 250);
    assert_eq!(session.say("RSET").code, 250);
    // A client has as many places as it would have alone.
    let mut others: Vec<_> = (0..2).map(|_| from(FRONT, &smarthost)).collect();
    assert_eq!(others[1].reply().code, 421, "the front end has two itself");
    assert_eq!(session.say("XCLIENT ADDR=198.51.100.7").code, 220);
    assert_eq!(others[0].reply().code, 220);
    assert_eq!(others[0].say("XCLIENT ADDR=198.51.100.7").code, 220);
    let mut third = from(FRONT, &smarthost);
    assert_eq!(third.reply().code, 220);
    let refused = third.say("XCLIENT ADDR=198.51.100.7");
    assert_eq!(refused.code, 421);
    assert!(refused.text().contains("198.51.100.7"), "{refused:?}");
}
