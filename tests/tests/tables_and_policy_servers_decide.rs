//! What access tables and policy servers say, and what becomes of it. Rows A6, C4, C5.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Read as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use tests::{
    daemon::Daemon,
    peers,
    policy::{converse, policy_server},
    resolver::{Record, Resolver},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_port, until},
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";
const STRANGER: &str = "127.0.0.66";

/// An inbound relay for public.example.
fn relay(sink: &Sink, resolver: &Resolver, restrictions: &str) -> Smarthost {
    Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\ndomains = {{ relay = [\"public.example\"] }}\nresolver = \"{}\"\n\
         restrictions = [{restrictions}]\n",
        sink.nexthop(),
        resolver.address()
    ))
}

fn from(client: &str, server: &Smarthost, helo: &str) -> Session {
    let client: IpAddr = client.parse().unwrap();
    let mut session = Session::connect_from(client, server.address());
    assert_eq!(session.reply().code, 220);
    session.say(&format!("EHLO {helo}"));
    session
}

fn rcpt(server: &Smarthost, sender: &str, recipient: &str) -> String {
    let mut session = from(STRANGER, server, "ham.example");
    session.say(&format!("MAIL FROM:<{sender}>"));
    let reply = session.say(&format!("RCPT TO:<{recipient}>"));
    format!("{} {}", reply.code, reply.text())
}

fn world(name: &str) -> Option<Vec<Record>> {
    Some(match name {
        "ham.example" | "public.example" | "black.example" | "white.example" => {
            vec![Record::Mx("mx.ham.example")]
        }
        "66.0.0.127.bl1.example" | "black.example.dbl.example" => {
            vec![Record::A(Ipv4Addr::new(127, 0, 0, 2))]
        }
        _ => return None,
    })
}

const OTHER: &str = "127.0.0.67";
const TO: &str = "boss@public.example";

/// Client, HELO name, sender, recipient, and what RCPT is answered.
const CHAIN: [(&str, &str, &str, &str, &str); 10] = [
    (OTHER, "ham.example", "a@ham.example", TO, "250 2.1.5 Ok"),
    (
        STRANGER,
        "ham..example",
        "friend@white.example",
        TO,
        "250 2.1.5 Ok",
    ),
    (
        OTHER,
        "ham.example",
        "foe@ham.example",
        TO,
        "554 5.7.1 <foe@ham.example>: Sender address rejected: Access denied",
    ),
    (
        OTHER,
        "ham..example",
        "a@ham.example",
        TO,
        "501 5.5.2 <ham..example>: Helo command rejected: Invalid name",
    ),
    (
        OTHER,
        "ham.example",
        "a@nodot",
        TO,
        "504 5.5.2 <a@nodot>: Sender address rejected: need fully-qualified address",
    ),
    (
        OTHER,
        "ham.example",
        "a@gone.example",
        TO,
        "550 5.1.8 <a@gone.example>: Sender address rejected: Domain not found",
    ),
    (
        STRANGER,
        "ham.example",
        "a@ham.example",
        TO,
        "554 5.7.1 Service unavailable; Client host [127.0.0.66] blocked using bl1.example",
    ),
    (
        OTHER,
        "ham.example",
        "a@black.example",
        TO,
        "554 5.7.1 Service unavailable; Sender address [a@black.example] blocked using dbl.example",
    ),
    (
        STRANGER,
        "ham.example",
        "friend@white.example",
        "u@far.example",
        "554 5.7.1 <u@far.example>: Relay access denied",
    ),
    (
        "127.0.0.1",
        "ham.example",
        "a@ham.example",
        "u@ham.example",
        "250 2.1.5 Ok",
    ),
];

/// Rows C4, C5: the chain of the deployment, word for word, with its table of senders in front.
#[test]
fn the_chain_of_an_inbound_relay_runs_as_it_was_written_for_postfix() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let mut smarthost = relay(
        &sink,
        &resolver,
        "\"check_sender_access hash:$DIR/senders\", \"reject_invalid_hostname\", \"reject_non_fqdn_sender\", \"reject_non_fqdn_recipient\", \
         \"reject_unknown_sender_domain\", \"reject_unknown_recipient_domain\", \"reject_unauth_pipelining\", \"permit_mynetworks\", \
         \"reject_unauth_destination\", \"reject_rbl_client bl1.example\", \"reject_rbl_client bl2.example\", \
         \"reject_rbl_client bl3.example\", \"reject_rbl_client bl4.example\", \"reject_rhsbl_sender dbl.example\", \"permit\"",
    );
    smarthost.file(
        "senders",
        "friend@white.example OK\nfoe@ham.example REJECT\n",
    );
    smarthost.run();
    let answer = |client: &str, helo: &str, sender: &str, recipient: &str| {
        let mut session = from(client, &smarthost, helo);
        session.say(&format!("MAIL FROM:<{sender}>"));
        let reply = session.say(&format!("RCPT TO:<{recipient}>"));
        format!("{} {}", reply.code, reply.text())
    };
    let (other, to) = (OTHER, TO);
    for (client, helo, sender, recipient, expected) in CHAIN {
        assert_eq!(
            answer(client, helo, sender, recipient),
            expected,
            "{client} {helo} {sender} {recipient}"
        );
    }
    // No postmap and no reload: the next line of the table counts by itself.
    assert!(answer(other, "ham.example", "new@ham.example", to).starts_with("250"));
    smarthost.file(
        "senders",
        "friend@white.example OK\nnew@ham.example REJECT not you\n",
    );
    until("the table is read again", || {
        answer(other, "ham.example", "new@ham.example", to)
            .contains("not you")
            .then_some(())
    });
}

#[test]
fn a_table_holds_a_message_adds_a_field_and_says_so_in_the_log() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let mut smarthost = relay(
        &sink,
        &resolver,
        "\"check_sender_access senders\", \"warn_if_reject check_sender_access others\", \"reject_unauth_destination\"",
    );
    smarthost.file(
        "senders",
        "hold@ham.example HOLD look at it\nfield@ham.example PREPEND X-Seen: by the table\nwarn@ham.example WARN strange\n",
    );
    smarthost.file("others", "field@ham.example REJECT one day\n");
    smarthost.run();
    let mut session = from(STRANGER, &smarthost, "ham.example");
    session.delivers("hold@ham.example", &["a@public.example"], MESSAGE);
    session.delivers(
        "field@ham.example",
        &["a@public.example", "b@public.example"],
        MESSAGE,
    );
    session.delivers("warn@ham.example", &["a@public.example"], MESSAGE);
    let received = sink.journal().wait_for(2);
    let texts: Vec<_> = received
        .iter()
        .map(|it| String::from_utf8_lossy(&it.content).into_owned())
        .collect();
    let with: Vec<_> = texts
        .iter()
        .filter(|text| text.starts_with("X-Seen: by the table\r\nReceived:"))
        .collect();
    assert_eq!(
        with.len(),
        1,
        "once, although two recipients asked for it: {texts:?}"
    );
    assert_eq!(with[0].matches("X-Seen").count(), 1);
    let listing = smarthost.wait_for_mailq("the held message", |listing| listing.contains('!'));
    assert!(listing.contains("hold@ham.example"), "{listing}");
    let log = smarthost.daemon().log();
    for line in [
        "NOQUEUE: hold: RCPT from unknown[127.0.0.66]: <hold@ham.example>: Sender address look at it; from=<hold@ham.example> to=<a@public.example>",
        "NOQUEUE: warn: RCPT from unknown[127.0.0.66]: strange; from=<warn@ham.example>",
        "NOQUEUE: reject_warning: RCPT from unknown[127.0.0.66]: 554 5.7.1 <field@ham.example>: Sender address rejected: one day; from=<field@ham.example> to=<a@public.example> proto=ESMTP helo=<ham.example>",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    assert!(
        smarthost
            .admin(&["queue", "release", "--all"])
            .status
            .success()
    );
    sink.journal().wait_for(3);
}

fn with_service(sink: &Sink, resolver: &Resolver, service: SocketAddr) -> Smarthost {
    let rules = format!("\"reject_unauth_destination\", \"check_policy_service inet:{service}\"");
    let mut smarthost = relay(sink, resolver, &rules);
    smarthost.run();
    smarthost
}

/// What Postfix tells a policy server at RCPT.
const ATTRIBUTES: [&str; 19] = [
    "request=smtpd_access_policy\n",
    "protocol_state=RCPT\n",
    "protocol_name=ESMTP\n",
    "client_address=127.0.0.66\n",
    "client_name=unknown\n",
    "reverse_client_name=unknown\n",
    "server_address=127.0.0.1\n",
    "helo_name=ham.example\n",
    "sender=a@ham.example\n",
    "recipient=u@public.example\n",
    "recipient_count=0\n",
    "queue_id=\n",
    "size=0\n",
    "sasl_username=\n",
    "ccert_subject=\n",
    "encryption_protocol=\n",
    "etrn_domain=\n",
    "stress=\n",
    "policy_context=\n",
];

#[test]
fn a_policy_server_hears_all_that_postfix_tells_and_decides_over_one_kept_connection() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let connections: Arc<Mutex<usize>> = Arc::default();
    let (requests, opened) = (Arc::clone(&heard), Arc::clone(&connections));
    let service = policy_server(move |stream| {
        *opened.lock().unwrap() += 1;
        converse(stream, |request| {
            requests.lock().unwrap().push(request.to_owned());
            let action = match request {
                r if r.contains("sender=grey@") => "DEFER_IF_PERMIT Greylisted, see you",
                r if r.contains("sender=bad@") => "reject 5.1.8 no such domain",
                r if r.contains("sender=field@") => "PREPEND X-Greylist: delayed 300 seconds",
                r if r.contains("sender=odd@") => "DANCE",
                _ => "DUNNO",
            };
            format!("action={action}\n\n")
        });
    });
    let smarthost = with_service(&sink, &resolver, service);
    for (sender, expected) in [
        ("a@ham.example", "250 2.1.5 Ok"),
        (
            "grey@ham.example",
            "450 4.7.1 <u@public.example>: Recipient address rejected: Greylisted, see you",
        ),
        (
            "bad@ham.example",
            "554 5.1.2 <u@public.example>: Recipient address rejected: no such domain",
        ),
        (
            "odd@ham.example",
            "451 4.3.5 <u@public.example>: Recipient address rejected: Server configuration problem",
        ),
        ("", "250 2.1.5 Ok"),
    ] {
        assert_eq!(
            rcpt(&smarthost, sender, "u@public.example"),
            expected,
            "{sender}"
        );
    }
    assert!(rcpt(&smarthost, "a@ham.example", "u@far.example").contains("Relay access denied"));
    let heard = heard.lock().unwrap().clone();
    assert_eq!(
        heard.len(),
        5,
        "nothing is asked about those who may not relay"
    );
    assert_eq!(*connections.lock().unwrap(), 1);
    for line in ATTRIBUTES {
        assert!(heard[0].contains(line), "{line}{}", heard[0]);
    }
    assert!(heard[4].contains("sender=\n"));
    let instance = |request: &str| {
        request
            .lines()
            .find(|line| line.starts_with("instance="))
            .unwrap()
            .to_owned()
    };
    assert_ne!(
        instance(&heard[0]),
        instance(&heard[1]),
        "each message has its own"
    );
    let mut session = from(STRANGER, &smarthost, "ham.example");
    session.delivers("field@ham.example", &["u@public.example"], MESSAGE);
    let received = sink.journal().wait_for(1);
    assert!(
        received[0]
            .content
            .starts_with(b"X-Greylist: delayed 300 seconds\r\n")
    );
}

#[test]
fn a_policy_server_that_hangs_up_defers_its_own_recipients_and_the_log_says_what_to_do() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let tried: Arc<Mutex<usize>> = Arc::default();
    let count = Arc::clone(&tried);
    let service = policy_server(move |_| *count.lock().unwrap() += 1);
    let smarthost = with_service(&sink, &resolver, service);
    let mut session = from(STRANGER, &smarthost, "ham.example");
    assert_eq!(session.say("MAIL FROM:<a@ham.example>").code, 250);
    let reply = session.say("RCPT TO:<u@public.example>");
    assert_eq!(
        format!("{} {}", reply.code, reply.text()),
        "451 4.3.5 <u@public.example>: Recipient address rejected: Server configuration problem"
    );
    assert_eq!(*tried.lock().unwrap(), 2, "one repeated try");
    assert_eq!(session.say("RCPT TO:<u@far.example>").code, 554);
    assert_eq!(*tried.lock().unwrap(), 2);
    assert_eq!(session.say("NOOP").code, 250, "the session goes on");
    let mut daemon = smarthost;
    let log = daemon.daemon().log();
    let line = format!("policy server inet:{service}: it closed the connection without an answer");
    assert!(
        log.contains(&line) && log.contains("is it running"),
        "{log}"
    );
}

/// One that never answers holds up its own sessions for ten seconds, and no others.
#[test]
fn a_policy_server_that_says_nothing_stalls_nobody_else() {
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let silent = policy_server(|stream| {
        let mut stream = stream;
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer) {}
    });
    let rules = format!(
        "\"permit_mynetworks\", \"reject_unauth_destination\", \"check_policy_service inet:{silent}\""
    );
    let mut stalled = relay(&sink, &resolver, &rules);
    stalled.run();
    let address = stalled.address();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            thread::spawn(move || {
                let mut session = Session::connect_from(STRANGER.parse().unwrap(), address).ehlo();
                session.say("MAIL FROM:<a@ham.example>");
                let began = Instant::now();
                (
                    session.say("RCPT TO:<u@public.example>").code,
                    began.elapsed().as_secs(),
                )
            })
        })
        .collect();
    let mut ours = from("127.0.0.1", &stalled, "ham.example");
    ours.delivers("a@ham.example", &["u@public.example"], MESSAGE);
    assert!(
        waiting.iter().all(|one| !one.is_finished()),
        "ours had not to wait for them"
    );
    for one in waiting {
        let (code, seconds) = one.join().unwrap();
        assert!(code == 451 && seconds < 40, "{code} after {seconds} s");
    }
}

/// Row A6: postgrey, as Debian ships it, on its own port.
#[test]
fn a_real_postgrey_defers_the_first_try_and_marks_what_it_lets_through() {
    let Some(postgrey) = peers::find("postgrey") else {
        return;
    };
    if !peers::root() {
        return;
    }
    let (sink, resolver) = (Sink::start(), Resolver::anywhere(world));
    let port = free_port();
    let directory = tempfile::tempdir().unwrap();
    let path = peers::text(directory.path());
    let _daemon = Daemon::start(
        "postgrey",
        Command::new(postgrey)
            .args([
                format!("--inet=127.0.0.1:{port}"),
                format!("--dbdir={path}"),
            ])
            .args(["--delay=1", "--user=root", "--group=root"]),
    );
    until("postgrey takes connections", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let mut smarthost = with_service(&sink, &resolver, ([127, 0, 0, 1], port).into());
    let first = rcpt(&smarthost, "a@ham.example", "u@public.example");
    assert!(
        first.starts_with(
            "450 4.2.0 <u@public.example>: Recipient address rejected: Greylisted, see http"
        ),
        "{first}"
    );
    until("the second try is late enough", || {
        let mut session = from(STRANGER, &smarthost, "ham.example");
        let reply = session
            .mail("a@ham.example", &["u@public.example"], MESSAGE)
            .unwrap();
        (reply.code == 250).then_some(())
    });
    let received = sink.journal().wait_for(1);
    let text = String::from_utf8_lossy(&received[0].content).into_owned();
    assert!(text.starts_with("X-Greylist: delayed "), "{text}");
    assert!(smarthost.daemon().log().contains("Greylisted"));
}
