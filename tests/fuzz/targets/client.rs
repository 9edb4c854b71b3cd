//! A server's bytes against the client's machine. The first byte chooses the packets, the second SMTP or LMTP and STARTTLS.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use shared::{
    address::{Address, Sender},
    envelope::Envelope,
    smtp::{
        client::{Action, Client, Event, Protocol, Security, Settings, Timeouts, Transaction},
        data::Checker,
        reply::Parser,
    },
};

fuzz_target!(|input: &[u8]| {
    let [packet, kind, input @ ..] = input else { return };
    let mut parser = Parser::default();
    let mut rest = input;
    while let Ok(Some(reply)) = parser.next(&mut rest) {
        let mut wire = Vec::new();
        reply.encode(&mut wire);
        assert!(wire.ends_with(b"\r\n"));
    }
    speak(input, usize::from(*packet).max(1), *kind);
});

fn speak(input: &[u8], packet: usize, kind: u8) {
    let now = Instant::now();
    let mut client = Client::new(Settings {
        helo: "vm1.example.org".into(),
        protocol: if kind & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp },
        security: if kind & 2 == 0 { Security::None } else { Security::Opportunistic },
        timeouts: Timeouts::default(),
        known: None,
    });
    let mut wire = Checker::default();
    let mut waiting = 0;
    client.handle(Event::Connected, now);
    for piece in input.chunks(packet) {
        drain(&mut client, &mut wire, &mut waiting, now);
        client.handle(Event::Received(piece), now);
    }
    drain(&mut client, &mut wire, &mut waiting, now);
    client.handle(Event::TimedOut, now);
    drain(&mut client, &mut wire, &mut waiting, now);
    assert_eq!(waiting, 0, "each recipient has its outcome, whatever the server says");
}

fn drain(client: &mut Client, wire: &mut Checker, waiting: &mut usize, now: Instant) {
    let mut body = [&b"Subject: x\r\n\r\n"[..], b".\r\nlast"].into_iter();
    let mut begun = 0;
    while let Some(action) = client.next_action() {
        match action {
            Action::Send(bytes) => wire.check(&bytes).expect("no bare CR or LF is ever sent"),
            Action::StartTls => client.handle(Event::TlsStarted, now),
            // A bounded number of messages, or a server that always says 250 keeps us here.
            Action::Ready if begun < 3 => {
                begun += 1;
                *waiting = 2;
                client.handle(Event::Begin(transaction()), now);
            }
            Action::Ready => client.handle(Event::Quit, now),
            Action::WantBody => match body.next() {
                Some(piece) => client.handle(Event::Body(piece), now),
                None => client.handle(Event::BodyEnd, now),
            },
            Action::Finished(outcomes) => {
                assert_eq!(outcomes.len(), *waiting);
                *waiting = 0;
            }
            Action::Failed(_) | Action::Close => {}
        }
    }
}

fn transaction() -> Transaction {
    let address = |text| Address::parse(text).expect("an address");
    Transaction {
        envelope: Envelope {
            sender: Sender::Address(address("a@example.org")),
            recipients: vec![address("b@example.net").into(), address("c@example.net").into()],
            ..Envelope::default()
        },
        size: 20,
        xcaller: None,
        unqualified_sender: None,
        unqualified: Vec::new(),
    }
}
