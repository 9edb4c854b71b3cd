//! SMTP as people type it and as test tools speak it, and machines that name their own address.

use std::process::Command;

use tests::{
    peers, postfix::Postfix, session::Session, sink::Sink, smarthost::Smarthost, wait::free_address,
};

fn relay(sink: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ))
}

/// Row C8.
#[test]
fn a_session_typed_by_hand_works() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let mut session = Session::connect(smarthost.address());
    assert_eq!(session.reply().code, 220);
    for (typed, code) in [
        ("helo test", 250),
        ("mail from: <me@example.org>", 250),
        ("rcpt to: <you@example.net>", 250),
        ("data", 354),
    ] {
        // Keys arrive one by one.
        for key in typed.bytes() {
            session.send(&[key]).unwrap();
        }
        let reply = session.say("");
        assert_eq!(reply.code, code, "{typed}: {reply:?}");
    }
    session.send(b"subject: typed\r\n\r\nhello\r\n").unwrap();
    assert_eq!(session.say(".").code, 250);
    assert_eq!(session.say("quit").code, 221);
    let received = sink.journal().first();
    assert_eq!(
        (received.sender.as_str(), received.field("subject").as_str()),
        ("me@example.org", "typed")
    );
    assert_eq!(received.recipients, ["you@example.net"]);
}

/// Row B17.
#[test]
fn swaks_is_pleased() {
    let Some(swaks) = peers::find("swaks") else {
        return;
    };
    let sink = Sink::start();
    let wrapped = free_address();
    let mut smarthost = Smarthost::prepare("");
    let (first, nexthop) = (smarthost.address(), sink.nexthop());
    smarthost.configure(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{nexthop}\"\nlisten = [\"{first}\", {{ address = \"{wrapped}\", tls = \"wrapped\" }}]\n"
    ));
    smarthost.run();
    let rows: [(&[&str], _, _); 3] = [
        (&["--protocol", "smtp"], first, "SMTP"),
        (&["--protocol", "esmtp", "--tls"], first, "ESMTPS"),
        (
            &["--protocol", "esmtp", "--tls-on-connect"],
            wrapped,
            "ESMTPS",
        ),
    ];
    for (nth, (arguments, server, with)) in rows.into_iter().enumerate() {
        let mut command = Command::new(&swaks);
        command
            .args([
                "-t",
                "you@example.net",
                "-f",
                "me@example.org",
                "--server",
                &server.to_string(),
            ])
            .args(arguments);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        let received = sink.journal().wait_for(nth + 1).pop().unwrap();
        assert!(
            received.fields("received")[0].contains(&format!(" with {with}")),
            "{}",
            received.header_section()
        );
    }
}

/// Row B17: what they type, `--protocol smtp --tls`, is a contradiction that swaks itself ends:
/// this protocol says HELO, the list of extensions comes with EHLO, and so swaks sees no STARTTLS
/// and leaves with 29 before the first MAIL, on Postfix as on us. What they mean is `--protocol
/// esmtps`.
#[test]
fn swaks_says_the_same_to_us_as_to_postfix_when_it_shall_encrypt_without_ehlo() {
    let Some(swaks) = peers::find("swaks") else {
        return;
    };
    let Some(postfix) = Postfix::start("") else {
        return;
    };
    let smarthost = relay(&Sink::start());
    let session = |server: &str, protocol: &str| {
        let output = Command::new(&swaks)
            .args(["-t", "you@example.net", "--tls", "--quit-after", "rcpt"])
            .args(["--server", server, "--protocol", protocol])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    for server in [
        smarthost.address().to_string(),
        format!("127.0.0.1:{}", postfix.port()),
    ] {
        let (code, said) = session(&server, "smtp");
        assert_eq!(code, Some(29), "{server}:\n{said}");
        assert!(
            said.contains(" -> HELO ")
                && said.contains("Host did not advertise STARTTLS")
                && !said.contains("STARTTLS\n<"),
            "{server}:\n{said}"
        );
        let (code, said) = session(&server, "esmtps");
        assert_eq!(code, Some(0), "{server}:\n{said}");
        assert!(said.contains("=== TLS started"), "{server}:\n{said}");
    }
}

/// Python's smtplib, as the web applications use it.
#[test]
fn a_web_application_sends_with_smtplib() {
    let Some(python) = peers::find("python3") else {
        return;
    };
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let script = "import smtplib, sys, email.message\n\
        m = email.message.EmailMessage()\n\
        m['From'], m['To'], m['Subject'] = 'app@example.org', 'you@example.net', 'gr\\u00fc\\u00dfe'\n\
        m.set_content('.\\nline\\n..\\n')\n\
        s = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))\n\
        s.starttls(); refused = s.send_message(m); s.quit(); assert not refused\n";
    let output = Command::new(python)
        .args(["-c", script, &smarthost.address().port().to_string()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(sink.journal().first().body().trim_end(), ".\r\nline\r\n..");
}

/// Row D8.
#[test]
fn a_machine_names_its_own_address_without_authentication() {
    let sink = Sink::start();
    let smarthost = relay(&sink);
    let mut session = Session::connect(smarthost.address());
    assert_eq!(session.reply().code, 220);
    let hello = session.say("EHLO [127.0.0.1]");
    assert_eq!(hello.code, 250);
    assert!(!hello.text().to_uppercase().contains("AUTH"), "{hello:?}");
    let reply = session
        .mail(
            "root@db3.campus.example",
            &["ops@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        )
        .unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    assert_eq!(sink.journal().first().sender, "root@db3.campus.example");
}

/// A telnet test, a scanner, an UPS; and a stranger whose first line would go on with the field
/// that we put above it.
#[test]
fn text_without_a_header_is_the_message_and_no_line_joins_our_received_field() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.1/32\"]\ndomains = {{ relay = [\"example.net\"] }}\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let mut sent = 0;
    for client in ["127.0.0.1", "127.0.0.2"] {
        for (text, header, body) in [
            (
                "Backup FAILED\r\nsee log\r\n",
                "",
                "Backup FAILED\r\nsee log\r\n",
            ),
            (
                "Subject: UPS\r\nBattery low\r\nX: y\r\n",
                "Subject: UPS\r\n",
                "Battery low\r\nX: y\r\n",
            ),
            (
                " (real client: bank.example [192.0.2.1])\r\nSubject: x\r\n\r\nb\r\n",
                "",
                " (real client: bank.example [192.0.2.1])\r\nSubject: x\r\n\r\nb\r\n",
            ),
        ] {
            let client = client.parse().unwrap();
            let mut session = Session::connect_from(client, smarthost.address()).ehlo();
            session.delivers("a@example.org", &["b@example.net"], text.as_bytes());
            sent += 1;
            let received = sink.journal().wait_for(sent).pop().unwrap();
            let content = String::from_utf8(received.content).unwrap();
            let (above, below) = content.split_once("\r\n\r\n").unwrap();
            assert_eq!(below, body, "{content}");
            assert!(format!("{above}\r\n").contains(header), "{content}");
            assert!(
                !above.contains("X-Malformed") && !above.contains("bank"),
                "{content}"
            );
        }
    }
}
