//! The sink and the session of the harness, tried on each other: a tool that lies would make every
//! other test worthless.

use tests::{
    identity::Identity,
    session::Session,
    sink::{Fault, Script, Sink},
};

const MESSAGE: &[u8] = b"Subject: one\r\n\r\n.a dot\r\n..two\r\n";

#[test]
fn the_sink_keeps_what_it_was_given_byte_for_byte() {
    let sink = Sink::start();
    let reply = Session::greeted(sink.address())
        .mail("a@example.org", &["b@example.org"], MESSAGE)
        .unwrap();
    assert_eq!(reply.code, 250);
    let received = sink.journal().first();
    assert_eq!(received.content, MESSAGE);
    assert_eq!(
        (received.sender.as_str(), received.encrypted),
        ("a@example.org", false)
    );
    assert_eq!(received.recipients, ["b@example.org"]);
    assert_eq!(received.field("subject"), "one");
}

#[test]
fn the_sink_refuses_whom_the_script_refuses_and_keeps_nothing_for_them() {
    let recipients = vec![(
        "no@example.org".to_owned(),
        "550 5.1.1 no such user".to_owned(),
    )];
    let sink = Sink::with(Script {
        recipients,
        ..Script::default()
    });
    let mut session = Session::greeted(sink.address());
    assert_eq!(
        session
            .mail("a@example.org", &["no@example.org"], MESSAGE)
            .unwrap()
            .code,
        550
    );
    assert!(sink.journal().is_empty());
    session.delivers("a@example.org", &["yes@example.org"], MESSAGE);
    assert_eq!(sink.journal().first().recipients, ["yes@example.org"]);
}

#[test]
fn starttls_of_sink_and_session_is_tls() {
    let sink = Sink::with(Script {
        starttls: Some(Identity::new("sink.example.test").server()),
        ..Script::default()
    });
    let trusting = relay::tls::ClientTls::new(&relay::tls::Trust::Opportunistic).unwrap();
    let mut session = Session::greeted(sink.address()).starttls(trusting.config);
    session.delivers("a@example.org", &["b@example.org"], MESSAGE);
    assert!(sink.journal().first().encrypted);
}

#[test]
fn a_sink_that_closes_at_a_byte_closes_there() {
    for limit in [1, 10, 40] {
        let sink = Sink::with(Script {
            fault: Fault::CloseAfterWriting(limit),
            ..Script::default()
        });
        assert!(Session::connect(sink.address()).try_reply().is_err() || limit == 40);
    }
    let sink = Sink::with(Script {
        fault: Fault::CloseAfterReading(3),
        ..Script::default()
    });
    let mut session = Session::connect(sink.address());
    assert_eq!(session.reply().code, 220);
    session.send(b"EHLO client.example.test\r\n").unwrap();
    assert!(session.try_reply().is_err());
}
